"""A notebook file of a stranger, read without following links, in bounded size, as the JSON that it is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TypedDict, cast

from ..text.numbers import size

MOST_BYTES = 16 << 20
"""The largest notebook that is read."""

NotebookCell = dict[str, object]
"""A cell, as nbformat 4 has it; in a stranger's file any value may have any type."""


class NotebookJson(TypedDict):
    """The part of a notebook that is used. `cells` is a list; what is in it may be anything."""

    cells: list[object]


class BadNotebook(Exception):
    """A notebook cannot be read; the message says why, in a phrase: "is not a regular file"."""


def read_notebook_file(path: Path) -> NotebookJson:
    """The JSON of a notebook that has a list of cells. Raises `BadNotebook`."""
    try:
        notebook = json.loads(_bytes(path))
    except (ValueError, RecursionError) as error:  # also for UnicodeDecodeError
        why = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise BadNotebook(f"is not a notebook: it is {why}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BadNotebook("is not a notebook: it has no list of cells (format 4)")
    return cast(NotebookJson, notebook)


def _bytes(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        if path.is_symlink():
            raise BadNotebook("is a link, which is not followed") from None
        raise BadNotebook(f"cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadNotebook("is not a regular file")
    with os.fdopen(fd, "rb") as file:
        try:
            data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise BadNotebook(f"cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise BadNotebook(f"is larger than {size(MOST_BYTES)}")
    return data
