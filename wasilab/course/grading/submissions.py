"""Notebooks of students, read as text: which program or policy each hands in for which exercise.

Every byte is a stranger's. A notebook is opened without following links and must be a regular file of bounded size. No
Python of it is run: a cell that checks an exercise is only searched for the exercise's id.

A program or policy belongs to an exercise

- by its name: `%%wasi c --name ex03-1`, `%%writefile ex04-1.toml` (`Exercise.name`), or
- by the check that follows it: `check(mine, exercise="03.1")` is about the cell named `mine`, or else about the nearest
  `%%wasi` cell before; `check("mine.toml", exercise="04.1")` is about the text that a cell before wrote to that file.

If several cells hand in the same exercise, the last one counts.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...text.numbers import counted
from ..claim import CourseError
from ..entries import Exercise
from ..notebook_file import BadNotebook, read_notebook_file
from ..register import find_exercise

MOST_CELLS = 5000
MOST_TEXT = 1 << 20
"""Characters of all code cells together."""
_MOST_PYTHON = 1 << 16
"""Characters of a cell that is read as Python, to find the text that it writes to a file."""
MOST_FILES = 5000
"""Notebooks of one folder."""
DEEPEST = 4
"""Folders within the folder."""
_CHECK = re.compile(
    r"""check\s*\(\s*(?:(?P<name>[A-Za-z_]\w*)|["'](?P<file>[^"'\n]{1,200})["'])[^()]{0,200}?"""
    r"""exercise\s*=\s*["'](?P<id>[\w.-]{1,20})["']"""
)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What a notebook hands in for one exercise."""

    exercise: Exercise
    text: str
    lang: str
    """The language of a program; "" for a policy."""
    cell: int
    """The number of its cell, from 1."""
    times: int = 1
    """How many cells hand in the same exercise."""


def find_notebooks(folder: Path) -> list[Path]:
    """All entries named `*.ipynb` in a folder and the folders in it, sorted; links are listed and never followed.

    Hidden folders are left out. Raises `BadNotebook` if the folder cannot be read or holds too many.
    """
    found: list[Path] = []
    for path in _walk(folder, 0):
        found.append(path)
        if len(found) > MOST_FILES:
            raise BadNotebook(f"holds more than {counted(MOST_FILES, 'notebook')}: grade its folders one by one")
    return sorted(found)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if depth:
            return
        if folder.is_file():
            raise BadNotebook("is a file: name the folder that it is in") from None
        raise BadNotebook(f"cannot be read: {error.strerror or error}") from None
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False) and not entry.name.endswith(".ipynb"):
            if depth < DEEPEST:
                yield from _walk(Path(entry.path), depth + 1)
        elif entry.name.endswith(".ipynb"):
            yield Path(entry.path)


def read_notebook(path: Path) -> list[HandedIn]:
    """What a notebook hands in, in the order of its cells. Raises `BadNotebook`."""
    return handed_in(_cells(path))


def _cells(path: Path) -> list[str]:
    """The texts of the cells, with "" for what is not a code cell."""
    cells = read_notebook_file(path)["cells"]
    if len(cells) > MOST_CELLS:
        raise BadNotebook(f"has more than {counted(MOST_CELLS, 'cell')}")
    texts = [_text(cell) for cell in cells]
    if sum(map(len, texts)) > MOST_TEXT:
        raise BadNotebook(f"has more than {counted(MOST_TEXT, 'character')} in its cells")
    return texts


def _text(cell: object) -> str:
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return ""
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        return ""
    return source.replace("\r\n", "\n").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class _Text:
    """A program or a file that a cell holds."""

    name: str
    text: str
    lang: str
    cell: int


def handed_in(cells: list[str]) -> list[HandedIn]:
    """What the texts of a notebook's code cells hand in."""
    programs: list[_Text] = []
    files: list[_Text] = []
    found: dict[str, list[HandedIn]] = {}

    def take(id: str, held: _Text | None, kind: str) -> None:
        try:
            entry = find_exercise(id)
        except CourseError:
            return
        if held is not None and entry.kind == kind:
            same = found.setdefault(entry.id, [])
            if all(each.cell != held.cell for each in same):
                same.append(HandedIn(entry, held.text, held.lang, held.cell))

    for number, text in enumerate(cells, 1):
        if (made := _program(text, number)) is not None:
            programs.append(made)
            take(made.name, made, "program")
            continue
        for written in _files(text, number):
            files.append(written)
            take(written.name.removesuffix(".toml"), written, "policy")
        for check in _CHECK.finditer(text):
            if check["file"] is not None:
                named = [each for each in files if each.name == check["file"]]
                take(check["id"], named[-1] if named else None, "policy")
            else:
                named = [each for each in programs if each.name == check["name"]] or programs
                take(check["id"], named[-1] if named else None, "program")
    chosen = [max(same, key=lambda each: each.cell) for same in found.values()]
    times = {id: len(same) for id, same in found.items()}
    return [HandedIn(one.exercise, one.text, one.lang, one.cell, times[one.exercise.id]) for one in chosen]


def _program(text: str, number: int) -> _Text | None:
    """The program of a `%%wasi` cell; None for any other cell."""
    line, _, body = text.lstrip("\n").partition("\n")
    if not re.match(r"%%wasi(\s|$)", line):
        return None
    try:
        words = shlex.split(line)[1:]
    except ValueError:  # an open quotation mark
        words = line.split()[1:]
    lang = words[0] if words and not words[0].startswith("-") else "c"
    if lang in ("sql", "wast"):
        return None
    name = ""
    for at, word in enumerate(words):
        if word == "--name" and at + 1 < len(words):
            name = words[at + 1]
        elif word.startswith("--name="):
            name = word.partition("=")[2]
    return _Text(name, body, lang, number)


def _files(text: str, number: int) -> Iterator[_Text]:
    """The files that a cell writes: `%%writefile NAME`, or `Path("NAME").write_text(...)` of a text in the cell."""
    line, _, body = text.lstrip("\n").partition("\n")
    if match := re.match(r"%%(?:writefile|file)\s+(\S+)\s*$", line):
        yield _Text(match[1].strip("\"'"), body, "", number)
        return
    if "write_text" not in text or len(text) > _MOST_PYTHON:
        return
    plain = "\n".join("" if row.lstrip().startswith(("%", "!", "?")) else row for row in text.split("\n"))
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    texts: dict[str, str] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                texts[name] = value
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(
                        value=ast.Call(func=ast.Name(id="Path"), args=[ast.Constant(value=str(file))]),
                        attr="write_text",
                    ),
                    args=[written, *_],
                )
            ):
                if isinstance(written, ast.Constant) and isinstance(written.value, str):
                    yield _Text(file, written.value, "", number)
                elif isinstance(written, ast.Name) and written.id in texts:
                    yield _Text(file, texts[written.id], "", number)
