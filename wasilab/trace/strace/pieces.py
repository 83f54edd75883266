"""Formats text column by column; text that rows share is made once.

A line of a trace is a row of pieces. A piece is the same text in every row (a `str`), one of a few texts (`Coded`), or
a separate text for each row (a `list`). `texts` joins them: neighbours with few texts become one piece with few texts.
So a call of ten arguments of which only the data differs costs three pieces per row, not thirty. Not for: making the
texts (`arguments.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import add

import numpy as np

from ..columns.records import Array

FEW = 1 << 10
"""The maximum number of distinct texts that counts as few; more are made row by row."""
_RANGE = 1 << 16
"""Numbers within a range of this size are distinguished by a table, since sorting costs more."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One of a few texts in each row: `texts[codes[row]]`."""

    codes: Array
    texts: list[str]

    def rows(self) -> list[str]:
        """The text of each row."""
        table = np.empty(len(self.texts), object)
        table[:] = self.texts
        found: list[str] = table[self.codes].tolist()
        return found


Piece = str | Coded | list[str]


def distinct(numbers: Array) -> tuple[Array, Array] | None:
    """(code of each row, the distinct numbers), or None if there are too many."""
    if not len(numbers):
        return None
    first = numbers[0]
    if (numbers == first).all():
        return np.zeros(len(numbers), "<i8"), numbers[:1]
    low = numbers.min()
    spread = int(numbers.max()) - int(low)
    if spread >= _RANGE:
        return None
    offsets = (numbers - low).astype("<i8")
    used = np.flatnonzero(np.bincount(offsets, minlength=spread + 1))
    if len(used) > FEW:
        return None
    table = np.empty(spread + 1, "<i8")
    table[used] = np.arange(len(used))
    return table[offsets], used.astype(numbers.dtype) + low


def numbered(numbers: Array, text: Callable[[int], str]) -> Piece:
    """The text of a number in each row."""
    few = distinct(numbers)
    if few is None:
        return list(map(text, numbers.tolist()))
    codes, values = few
    texts = list(map(text, values.tolist()))
    return texts[0] if len(texts) == 1 else Coded(codes, texts)


def chosen(piece: Piece, rows: Array) -> Piece:
    """The piece at some rows."""
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Coded):
        return Coded(piece.codes[rows], piece.texts)
    return [piece[row] for row in rows.tolist()]


def texts(pieces: Iterable[Piece], n: int) -> list[str]:
    """The pieces of each of `n` rows as one text."""
    parts = _merged(pieces)
    rows = [part if isinstance(part, list) else part.rows() for part in parts if not isinstance(part, str)]
    if not rows:
        return ["".join(part for part in parts if isinstance(part, str))] * n
    if len(rows) == len(parts):
        if len(rows) == 1:
            return rows[0]
        if len(rows) == 2:
            return list(map(add, *rows))
        return list(map("".join, zip(*rows, strict=True)))
    template = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in parts)
    return list(map(template.__mod__, zip(*rows, strict=True)))


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same rows in fewer pieces: no two neighbours have few texts, and a `str` occurs only alone."""
    out: list[Piece] = []
    few: str | Coded = ""
    for piece in pieces:
        if isinstance(piece, list):
            if few != "":
                out.append(few)
            out.append(piece)
            few = ""
        else:
            both = _both(few, piece)
            if both is None:
                out += [few, piece]
                few = ""
            else:
                few = both
    if few != "" or not out:
        out.append(few)
    return out


def _both(a: str | Coded, b: str | Coded) -> str | Coded | None:
    """Two neighbours as one piece; None if that would give too many texts."""
    if isinstance(a, str):
        return a + b if isinstance(b, str) else Coded(b.codes, [a + text for text in b.texts])
    if isinstance(b, str):
        return Coded(a.codes, [text + b for text in a.texts])
    width = len(b.texts)
    few = distinct(a.codes * width + b.codes)
    if few is None:
        return None
    codes, pairs = few
    return Coded(codes, [a.texts[pair // width] + b.texts[pair % width] for pair in pairs.tolist()])
