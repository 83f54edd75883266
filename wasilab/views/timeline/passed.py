"""Descriptors that instances of a lab passed to each other, as views draw them: lanes, and an arrow for each.

The data are the trace's (`trace/columns/merged.py`). A number that was not open has a lane of its own, which ends in a
cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...text.escape import visible
from ...trace.columns.merged import PassedOn, passed_on
from ...trace.columns.store import Store
from ...trace.record.layout import Life
from ...trace.strace.lines import fd_text
from .columns import COLOURS, Columns

COLOUR = COLOURS["path"]
"""The colour of the arrows."""
MOST_FORGED = 4
"""Lanes of refused numbers."""
_NESTED = 256
"""The most calls between instances that are open at once and are looked at."""


@dataclass(frozen=True)
class PassedArrow:
    """One descriptor that was passed, or a number that was refused."""

    data: PassedOn
    sender: str
    """The name of the sender's lane, with control characters made visible."""
    receiver: str
    """The name of the receiver's lane; "" for a number that was refused."""
    row: int
    """The call that passed it, as a row of the columns; -1 where the trace does not hold it."""
    end: int
    """ns until which the receiver had it."""


def lane_name(store: Store, life: Life) -> str:
    """`3</data>`, with the instance's name before it where there are several."""
    instance = visible(store.instance_of(life.life))
    return (f"{instance} " if instance else "") + fd_text(life.fd, life.path)


def passed_descriptors(store: Store, columns: Columns, most: int) -> list[PassedArrow]:
    """The first `most` descriptors that were passed, and numbers that were refused, in the order of time."""
    first = [each._replace(at=min(max(each.at, 0), columns.span)) for each in passed_on(store)[:most]]
    if not first:
        return []
    flows = sorted(first, key=lambda each: each.at)
    found = []
    for each, row in zip(flows, _calls_around(columns, [flow.at for flow in flows]), strict=True):
        lent = row >= 0 and not each.kept and each.call != "channel"
        found.append(PassedArrow(
            each, _end_name(store, each.sender, each.sender_fd, each.sender_life),
            _end_name(store, each.receiver, each.receiver_fd, each.receiver_life) if each.receiver_life else "",
            row, int(columns.end[row]) if lent else columns.span,
        ))  # fmt: skip
    return found


def forged_lanes(passed: list[PassedArrow]) -> list[str]:
    """The lanes of the first numbers that were refused."""
    return list(dict.fromkeys(each.sender for each in passed if not each.receiver))[:MOST_FORGED]


def lent_spans(passed: list[PassedArrow]) -> dict[int, tuple[int, int]]:
    """Life -> (ns received, ns given back) of the descriptors that were passed."""
    return {each.data.receiver_life: (each.data.at, each.end) for each in passed if each.receiver}


def _end_name(store: Store, instance: str, fd: int, life: int) -> str:
    known = store.lives.get(life)
    return f"{visible(instance)} {fd}" if known is None else lane_name(store, known)


def _calls_around(columns: Columns, times: list[int]) -> list[int]:
    """The innermost call between instances around each time, as a row; -1 for none. One instance runs at a time."""
    functions = columns.functions
    between = [n for n in columns.numbers if (f := functions.get(n)) is not None and f.family in ("link", "python")]
    rows = np.flatnonzero(np.isin(columns.call, between))
    places = np.searchsorted(columns.start[rows], np.array(times, np.int64), side="right").tolist()
    return [
        _innermost(columns, rows[max(at - _NESTED, 0) : at].tolist(), time)
        for at, time in zip(places, times, strict=True)
    ]


def _innermost(columns: Columns, rows: list[int], time: int) -> int:
    return next((row for row in reversed(rows) if columns.end[row] >= time), -1)
