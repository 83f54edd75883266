"""A copy of the course for a student: `pull(folder)` makes it, and later brings new versions of the lessons into it.

The folder holds the notebooks and their pictures. `.wasilab-course/` in it holds the versions that the student began
with, from which `merging.py` tells the student's changes from ours.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from ...text.numbers import counted
from ..claim import CourseError
from ..notebook_file import BadNotebook, NotebookCell, NotebookJson, read_notebook_file
from .merging import merge

STATE = ".wasilab-course"
"""The folder of the course's own files within a copy."""
_FIRST = "00-*.ipynb"
_FOR_TEACHERS = "teacher"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of one file of a copy."""

    name: str
    """Its path in the copy."""
    note: str
    """"new", "up to date", "3 cells updated", ..."""

    @property
    def changed(self) -> bool:
        """Whether the file was written."""
        return self.note != _UP_TO_DATE and not self.note.startswith("left as it is")


_UP_TO_DATE = "up to date"


@cache
def course_folder() -> Path:
    """Where the notebooks of the installed package lie: in it, or beside it in a checkout. Raises `CourseError`."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "notebooks", here.parents[1] / "notebooks"):
        if any(folder.glob(_FIRST)):
            return folder
    raise CourseError("this installation has no notebooks: install wasilab again, from a wheel or a whole checkout")


def first_notebook() -> str:
    """The name of the notebook that the course begins with."""
    return next(course_folder().glob(_FIRST)).name


def pull(folder: Path, *, teacher: bool = False) -> list[Pulled]:
    """Copy the course into a folder, or bring the lessons of a copy up to date; a student's cells are not touched.

    With `teacher` the pages for teachers are copied as well. Raises `CourseError` for a folder that cannot be written
    to, or that holds other things and is not a copy.
    """
    source = course_folder()
    if folder.exists() and not folder.is_dir():
        raise CourseError(f"{str(folder)!r} is a file: name a new folder for the course")
    try:
        if folder.is_dir() and not (folder / STATE).is_dir() and any(folder.iterdir()):
            what = "is not empty, and is not a copy of the course: name a new folder"
            raise CourseError(f"the folder {str(folder)!r} {what}")
        (folder / STATE).mkdir(parents=True, exist_ok=True)
        return [_pulled(source / name, folder, name) for name in _names(source, teacher)]
    except OSError as error:
        raise CourseError(f"the folder {str(folder)!r}: {error.strerror or error}") from None


def notebooks_in(folder: Path) -> list[Path]:
    """The notebooks of the course in a copy."""
    return [folder / name for name in _names(course_folder(), False) if name.endswith(".ipynb")]


def _names(source: Path, teacher: bool) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and (teacher or name.parts[0] != _FOR_TEACHERS):
            yield name.as_posix()


def _pulled(new: Path, folder: Path, name: str) -> Pulled:
    """Bring one file up to date."""
    mine, base = folder / name, folder / STATE / "began" / name
    data = new.read_bytes()
    if not mine.exists() and not mine.is_symlink():
        _write(mine, data)
        _write(base, data)
        return Pulled(name, "new")
    if not base.is_file():
        return Pulled(name, "left as it is: it was not made by this command")
    if data == base.read_bytes():
        return Pulled(name, _UP_TO_DATE)
    if mine.is_file() and not mine.is_symlink() and mine.read_bytes() == base.read_bytes():
        _write(mine, data)
        _write(base, data)
        return Pulled(name, "updated")
    if not name.endswith(".ipynb"):
        return Pulled(name, "left as it is: you changed it")
    try:
        notebook, note = _merged(mine, base, new)
    except BadNotebook as error:
        return Pulled(name, f"left as it is: it {error}")
    _write(mine, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))
    _write(base, data)
    return Pulled(name, note)


def _merged(mine: Path, base: Path, new: Path) -> tuple[NotebookJson, str]:
    read = [read_notebook_file(path) for path in (mine, base, new)]
    for notebook in read:
        if not all(isinstance(cell, dict) for cell in notebook["cells"]):
            raise BadNotebook("is not a notebook: a cell is not an object")
    cells = [cast(list[NotebookCell], notebook["cells"]) for notebook in read]
    merged = merge(*cells)
    note = f"{counted(merged.updated, 'cell')} updated"
    if merged.kept:
        note += f"; {counted(merged.kept, 'cell')} of yours kept, which the lesson has changed, too"
    return cast(NotebookJson, {**read[0], "cells": merged.cells}), note


def _write(path: Path, data: bytes) -> None:
    """Replace a file as a whole, so that an interruption leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".wasilab-", delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
