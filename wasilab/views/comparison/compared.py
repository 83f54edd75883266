"""Two runs and their difference, as the views take them: the lanes of both on one axis, and where they differ.

The axis is time since each run's start, or the calls themselves: there each row of the difference has one place, so
that two calls that are the same stand one above the other however long they took. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ...text.escape import shorten, visible
from ...trace.answers.diff import ChangeKind, Diff
from ...trace.trace import Trace
from ..subject import Subject, as_subject, trace_of
from ..timeline.columns import FAMILIES, Columns, Ints, Mask, Spans
from ..timeline.scene import bars

Axis = Literal["time", "calls"]
AXES: tuple[Axis, ...] = ("time", "calls")

SIGN = {ChangeKind.CHANGED: "≠", ChangeKind.REMOVED: "−", ChangeKind.ADDED: "+"}
"""How a difference is marked, besides its colour."""
WORDS = {
    ChangeKind.SAME: "same", ChangeKind.CHANGED: "differs", ChangeKind.REMOVED: "only in the first",
    ChangeKind.ADDED: "only in the second",
}  # fmt: skip
MOST_MARKS, MOST_TIES = 200, 160
"""The most marks in a lane, and the most lines between two calls in a lane."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A difference in a lane."""

    row: int
    """Of the difference."""
    kind: ChangeKind
    second: bool
    """Whether it is in the second run's half."""
    x: float
    """On the axis."""


@dataclass(frozen=True, slots=True)
class PairLane:
    """One lane of both runs."""

    name: str
    """The family, or "guest"."""
    calls: tuple[int, int]
    bars: tuple[Spans, Spans]
    """(k, 3) for each run: start, end on the axis, height 0..1."""
    marks: tuple[Mark, ...]
    ties: tuple[tuple[float, float, ChangeKind], ...]
    """(place in the first run, place in the second, kind) of calls that are in both."""


@dataclass(frozen=True, eq=False)
class Compared:
    """A difference and the two runs that it is of."""

    difference: Diff[Trace]
    first: Subject
    second: Subject
    labels: tuple[str, str] | None = None
    """What the two are called; None: their names."""

    @classmethod
    def of(cls, difference: Diff[Trace]) -> Compared:
        """A difference of two traces, without their runs."""
        return cls(difference, as_subject(difference.a), as_subject(difference.b))

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called, made visible: their names, or "first" and "second" where these are the same."""
        if self.labels is not None:
            return self.labels
        found = [shorten(visible(side.name), 40) for side in (self.first, self.second)]
        if found[0] == found[1] or not all(found):
            return "first", "second"
        return found[0], found[1]

    @cached_property
    def columns(self) -> tuple[Columns, Columns]:
        """The columns of both, in the order of the calls' start."""
        return Columns.of(self.first), Columns.of(self.second)

    @property
    def span(self) -> int:
        """ns: the longer of both."""
        return max(each.span for each in self.columns)

    @cached_property
    def places(self) -> tuple[Ints, Ints]:
        """For each row of the difference, the row of its call in `columns` of the first and second; -1 for none."""
        return _placed(self.difference.left, self.columns[0]), _placed(self.difference.right, self.columns[1])

    @cached_property
    def rows(self) -> tuple[Ints, Ints]:
        """For each call of `columns`, its row in the difference."""
        return _inverse(self.places[0], len(self.columns[0])), _inverse(self.places[1], len(self.columns[1]))

    def differing(self, most: int) -> list[int]:
        """The first rows that differ."""
        return [int(row) for row in np.flatnonzero(self.difference.kinds)[:most]]

    def kind(self, row: int) -> ChangeKind:
        """What became of the call of a row. ValueError for a row that does not exist."""
        if not 0 <= row < len(self.difference.kinds):
            raise ValueError(f"there is no row {row:,}; the difference has {len(self.difference.kinds):,}")
        return ChangeKind(int(self.difference.kinds[row]))

    def words(self, row: int) -> str:
        """How the calls of a row differ."""
        kind = self.kind(row)
        if kind is ChangeKind.CHANGED:
            return visible(str(self.difference.change(row)))
        first, second = self.names
        return {ChangeKind.REMOVED: f"only in {first}", ChangeKind.ADDED: f"only in {second}"}.get(kind, "the same")

    @property
    def families(self) -> list[str]:
        """The lanes of both, in the order of `FAMILIES`."""
        return [name for name in FAMILIES if any(name in each.families for each in self.columns)]

    def length(self, axis: Axis) -> float:
        """The length of the axis: ns, or rows of the difference."""
        return float(self.span if axis == "time" else max(len(self.difference.kinds), 1))

    def lanes(self, axis: Axis, bins: int = 1000) -> list[PairLane]:
        """The lanes of both runs: on the axis of time also the guest's own time."""
        return list(self._lanes(axis, bins))

    def _lanes(self, axis: Axis, bins: int) -> Iterator[PairLane]:
        length = self.length(axis)
        if axis == "time":
            guest = [bars(*each.gaps(), int(length), bins) for each in self.columns]
            yield PairLane("guest", (0, 0), (guest[0], guest[1]), (), ())
        spans = [self._spans(side, axis) for side in (0, 1)]
        middles = [((start + end) / 2 if axis == "calls" else start).astype(np.float64) for start, end in spans]
        for family in self.families:
            masks = [each.families.get(family, np.zeros(len(each), bool)) for each in self.columns]
            drawn = [
                bars(np.sort(start[mask]), np.sort(end[mask]), int(length), bins)
                for (start, end), mask in zip(spans, masks, strict=True)
            ]
            yield PairLane(
                family, (int(masks[0].sum()), int(masks[1].sum())), (drawn[0], drawn[1]),
                tuple(self._marks(masks, middles, length)), tuple(self._ties(masks[0], middles, length)),
            )  # fmt: skip

    def _spans(self, side: int, axis: Axis) -> tuple[Ints, Ints]:
        if axis == "calls":
            return self.rows[side], self.rows[side] + 1
        return self.columns[side].start, self.columns[side].end

    def _marks(self, masks: Sequence[Mask], middles: Sequence[Spans], length: float) -> Iterator[Mark]:
        """The differences of a lane, far enough apart to be distinguishable; lone calls before changed ones."""
        for side in (0, 1):
            kinds = self.difference.kinds[self.rows[side]]
            mine = np.flatnonzero(masks[side] & (kinds != ChangeKind.SAME))
            mine = mine[np.argsort(kinds[mine] == ChangeKind.CHANGED, kind="stable")]
            _, chosen = np.unique((middles[side][mine] * MOST_MARKS / length).astype(np.int64), return_index=True)
            for at in mine[chosen].tolist():
                yield Mark(int(self.rows[side][at]), ChangeKind(int(kinds[at])), side == 1, float(middles[side][at]))

    def _ties(self, mask: Mask, middles: Sequence[Spans], length: float) -> Iterator[tuple[float, float, ChangeKind]]:
        """Lines between the halves, from calls of the first to the same ones of the second."""
        rows = self.rows[0][mask]
        left, right = self.places[0][rows], self.places[1][rows]
        left, right, rows = left[right >= 0], right[right >= 0], rows[right >= 0]
        kinds = self.difference.kinds[rows]
        order = np.argsort(kinds == ChangeKind.SAME, kind="stable")  # what differs is not thinned away by what does not
        left, right, kinds = left[order], right[order], kinds[order]
        _, chosen = np.unique((middles[0][left] * MOST_TIES / length).astype(np.int64), return_index=True)
        for at in chosen.tolist():
            yield float(middles[0][left[at]]), float(middles[1][right[at]]), ChangeKind(int(kinds[at]))


def _placed(side: Ints, columns: Columns) -> Ints:
    """Rows of a trace as rows of its columns, which are in the order of start."""
    if columns.order is None:
        return np.asarray(side, np.int64)
    place = _inverse(columns.order, len(columns))
    return np.where(side >= 0, place[side], -1)


def _inverse(places: Ints, length: int) -> Ints:
    """For each of `length` places, which entry of `places` names it."""
    found = np.zeros(length, np.int64)
    there = places >= 0
    found[places[there]] = np.flatnonzero(there)
    return found


def compare(first: Subject | Trace, second: Subject | Trace, labels: tuple[str, str] | None = None) -> Compared:
    """How two runs or traces differ. `labels` are safe to print."""
    one, two = as_subject(first), as_subject(second)
    return Compared(Diff.from_calls(trace_of(one), trace_of(two)), one, two, labels)
