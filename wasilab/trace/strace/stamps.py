"""Formats times: before and after a call in its line, and the dates of files.

Seconds have six digits, rounded down, as in strace. They are made for thousands of lines at once, as a matrix of
characters in which every row is a text. Not for: durations for display (`text/numbers.py`).
"""

from __future__ import annotations

import numpy as np

from ..columns.records import Array
from .pieces import Piece, distinct, numbered, texts
from .values import second_text, time_text

_THREE = np.array([list(b"%03d" % number) for number in range(1000)], "<u4")
"""The three digits of a number below 1000."""


def before(tids: Array | None, times: Array | None) -> list[str]:
    """`tid seconds ` for each row; None leaves one of them out. `times` in ns. An empty list if both are None."""
    heads = [] if tids is None else texts([numbered(tids, lambda tid: f"{tid} ")], len(tids))
    if times is None:
        return heads
    if tids is not None and (tids == tids[0]).all():
        return _seconds(times, f"{tids[0]} ", " ")
    seconds = _seconds(times, "", " ")
    return texts([heads, seconds], len(seconds)) if heads else seconds


def after(durations: Array, end: str = "") -> list[str]:
    """` <seconds>` of each row, and `end`."""
    return _seconds(durations, " <", f">{end}")


def dates(ns: Array) -> Piece:
    """Nanoseconds since the epoch as ISO 8601 in UTC with all nine digits (`values.time_text`)."""
    if not len(ns) or (ns == ns[0]).all():
        return numbered(ns, time_text)
    whole = ns // np.uint64(1_000_000_000)
    seconds, codes = np.unique(whole, return_inverse=True)
    heads = np.array([list(map(ord, f"{second_text(second)}.")) for second in seconds.tolist()], "<u4")
    width = heads.shape[1]
    cells = np.empty((len(ns), width + 10), "<u4")
    cells[:, :width] = heads[codes]
    rest = (ns - whole * np.uint64(1_000_000_000)).astype("<i8")
    for at, size in enumerate((1_000_000, 1000, 1)):
        cells[:, width + 3 * at : width + 3 * at + 3] = _THREE.take(rest // size, 0)
        rest %= size
    cells[:, width + 9] = ord("Z")
    found: list[str] = cells.view(f"<U{width + 10}").ravel().tolist()
    return found


def _seconds(ns: Array, start: str, end: str) -> list[str]:
    """Nanoseconds as decimal seconds between two texts; negative ones (the clock was set back) as 0."""
    us = np.maximum(ns, 0) // 1000
    whole = us // 1_000_000
    few = distinct(whole)
    numbers = [] if few is None else [f"{start}{number}." for number in few[1].tolist()]
    width = len(numbers[0]) if numbers else 0
    if few is None or any(len(number) != width for number in numbers):  # the texts have several widths
        return [f"{start}{v // 1_000_000}.{v % 1_000_000:06d}{end}" for v in us.tolist()]
    rest = us - whole * 1_000_000
    high = rest // 1000
    size = width + 6 + len(end)
    cells = np.empty((len(us), size), "<u4")
    heads = np.array([list(map(ord, number)) for number in numbers], "<u4")
    cells[:, :width] = heads[few[0]] if len(heads) > 1 else heads[0]
    cells[:, width : width + 3] = _THREE.take(high, 0)
    cells[:, width + 3 : width + 6] = _THREE.take(rest - high * 1000, 0)
    cells[:, width + 6 :] = list(map(ord, end))
    found: list[str] = cells.view(f"<U{size}").ravel().tolist()
    return found
