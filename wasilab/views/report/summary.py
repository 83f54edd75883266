"""The figures of a run as rows: the summary by call, as a report and the timeline's selection show it.

Rows are plain values in raw units (ns, bytes); `units.py` words them. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..timeline.columns import Columns, Mask, name_of


@dataclass(frozen=True)
class CallRow:
    """All calls of one name. Times in ns; `bytes` moved by reads and writes, 0 for other calls."""

    name: str
    calls: int
    refused: int
    errors: int
    total: int
    median: int
    p99: int
    longest: int
    bytes: int


def summary(columns: Columns, within: Mask | None = None) -> list[CallRow]:
    """One row a call name, the one that took most time first; `within` limits it to the masked calls."""
    if within is None:
        return list(_whole(columns))
    return _rows(columns, within)


@lru_cache(maxsize=4)
def _whole(columns: Columns) -> tuple[CallRow, ...]:
    return tuple(_rows(columns, np.ones(len(columns), bool)))


def _rows(columns: Columns, within: Mask) -> list[CallRow]:
    rows = []
    for number in columns.numbers:
        mask = (columns.call == number) & within
        if not mask.any():
            continue
        dur = columns.dur[mask]
        name = name_of(int(number))
        moved = int(columns.nbytes[mask].sum())
        middle, high = np.percentile(dur, (50, 99))
        rows.append(
            CallRow(
                name, int(mask.sum()), int((mask & columns.refused).sum()), int((mask & columns.failed).sum()),
                int(dur.sum()), round(middle), round(high), int(dur.max()), moved,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: -row.total)
