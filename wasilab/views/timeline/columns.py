"""A trace's columns as NumPy arrays, with the computations that the views share.

They answer which calls were refused, when the guest itself ran, and how busy a lane was within each bin. This file
draws nothing and uses no widget. Times are ns since the run's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ...trace.answers.summary import CallSummary
from ...trace.record.functions import Functions
from ...trace.record.layout import DID_NOT_RETURN, Flag, Life
from ...trace.trace import Trace
from ...wasi import operations
from ..subject import Subject, outcome_of, trace_of

Ints = npt.NDArray[np.int64]
Spans = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FAMILIES = (*operations.FAMILIES, "unknown")
"""The lanes of a timeline, in the order in which a program typically uses them."""

COLOURS: Mapping[str, str] = {
    "args": "#8c7a4d", "environ": "#6f8f3d", "clock": "#8a63d2", "random": "#c05fb5", "path": "#0f9d7a",
    "fd": "#2f7fd6", "poll": "#3097aa", "sched": "#5f7d95", "sock": "#4d63c9", "proc": "#7d6b5f",
    "library": "#b0562e", "unknown": "#777777",
    "guest": "#8a939d", "refused": "#d6293e", "failed": "#c98100", "injected": "#b000b8",
}  # fmt: skip
"""One colour a family, the same in every view; red and amber are kept for refusals and other failures.

Each has a contrast of at least 3 to a white page and to a dark one.
"""


_BLOCK = 1 << 10
"""Calls in a block of `Columns.slowest`."""
_READ = ("dur", "call", "errno", "denied_by", "flags", "handle", "nbytes")
"""The columns of a trace that are taken over as they are."""

_KEPT: WeakKeyDictionary[Trace, Columns] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Cover:
    """Disjoint intervals of time in ascending order. How much of any time they cover takes no loop over them."""

    left: Ints
    right: Ints

    @classmethod
    def of(cls, start: Ints, end: Ints) -> Cover:
        """The union of intervals sorted by start."""
        return cls(*merged(start, end))

    @cached_property
    def _done(self) -> Ints:
        """ns covered by the first k intervals."""
        done = np.zeros(len(self.left) + 1, np.int64)
        np.cumsum(self.right - self.left, out=done[1:])
        return done

    @property
    def total(self) -> int:
        """ns covered."""
        return int(self._done[-1])

    def before(self, at: Spans) -> Spans:
        """ns covered before each of some times."""
        begun = np.searchsorted(self.left, np.floor(at).astype(np.int64), side="right")
        if not len(self.left):
            return np.zeros(len(at))
        ahead = np.where(begun > 0, self.right[np.maximum(begun - 1, 0)] - at, 0.0)
        return np.asarray(self._done[begun] - np.maximum(ahead, 0.0))

    def busy(self, edges: Spans) -> Spans:
        """ns covered in each bin between two of these ascending edges."""
        return np.diff(self.before(edges))


@dataclass(frozen=True, eq=False)
class FamilyCalls:
    """The calls of one family, in the order of their start."""

    start: Ints
    end: Ints
    total: int
    """ns that they took together; of calls at the same time, each counts."""
    cover: Cover
    """When at least one of them was in the host."""

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of one trace, in the order of the calls' start. All arrays have one entry per call."""

    start: Ints
    """ns since the run's start."""
    dur: Ints
    """ns from entry to return."""
    call: npt.NDArray[np.uint8]
    errno: npt.NDArray[np.uint8]
    denied_by: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint16]
    handle: npt.NDArray[np.uint32]
    """The life (serial number of the opening) of the call's first descriptor; 0 for none."""
    nbytes: npt.NDArray[np.uint64]
    """Bytes that the call moved; 0 for failed calls and those that move none."""
    order: npt.NDArray[np.int64] | None = None
    """The trace's row of each call, None when it is the same."""
    functions: Functions = Functions()  # noqa: RUF009  it is immutable
    """The names for the numbers of `call`."""
    dropped: int = 0
    """Calls that were not kept, before the first one here."""
    ended: int = 0
    """ns since the run's start at which the guest ended; 0 when that is not known (a trace without its run)."""

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, run: Subject) -> Columns:
        """The columns of a run's trace; kept as long as the trace is."""
        trace, outcome = trace_of(run), outcome_of(run)
        ended = int(outcome.seconds * 1e9) if outcome is not None else 0
        known = _KEPT.get(trace)
        if known is None or known.ended != ended:
            known = _KEPT[trace] = cls._read(trace, ended)
        return known

    @classmethod
    def _read(cls, trace: Trace, ended: int) -> Columns:
        trace.gather("t_start", *_READ)
        start = np.asarray(trace.column("t_start")).view(np.int64)
        order = None
        if len(start) > 1 and (np.diff(start) < 0).any():  # with several threads the end order may differ
            order = np.argsort(start, kind="stable")
            start = start[order]
        taken = {}
        for name in _READ:
            column = np.asarray(trace.column(name))
            taken[name] = column if order is None else column[order]
        taken["dur"] = taken["dur"].view(np.int64)
        return cls(
            start, **taken, order=order, functions=trace.functions, dropped=int(trace.dropped), ended=ended
        )

    @cached_property
    def end(self) -> Ints:
        return self.start + self.dur

    @cached_property
    def refused(self) -> Mask:
        """Calls that were refused by a grant, a right, a path rule, the operating system, a quota or the user."""
        return np.asarray(self.denied_by != 0)

    @cached_property
    def failed(self) -> Mask:
        """Calls that returned an errno without being refused (no such file, bad descriptor...)."""
        return np.asarray((self.errno != 0) & (self.errno != DID_NOT_RETURN) & ~self.refused)

    @cached_property
    def injected(self) -> Mask:
        return np.asarray((self.flags & Flag.INJECTED) != 0)

    @cached_property
    def unreturned(self) -> bool:
        """Whether the last call never came back to the guest."""
        return bool(len(self)) and int(self.errno[int(self.end.argmax())]) == DID_NOT_RETURN

    @cached_property
    def span(self) -> int:
        """ns from the run's start to its end (at least the last call's end); at least 1: an axis needs a width."""
        return max(int(self.end.max()) if len(self) else 0, self.ended, 1)

    @cached_property
    def host(self) -> Cover:
        """When at least one call was in the host."""
        return Cover.of(self.start, self.end)

    @property
    def host_ns(self) -> int:
        """ns during which at least one call was in the host."""
        return self.host.total

    @cached_property
    def guest_end(self) -> int:
        """ns since the run's start at which the guest last ran, or its last call returned.

        After a call that did not return (proc_exit, a host's trap) the stack is unwound: that time is not the guest's.
        """
        last = int(self.host.right[-1]) if len(self) else 0
        return last if self.unreturned else max(last, self.ended)

    @property
    def guest_ns(self) -> int:
        """ns during which the guest itself ran."""
        return self.guest_end - self.host_ns

    def guest_busy(self, edges: Spans) -> Spans:
        """ns of the guest's own time in each bin between two of these ascending edges, from 0 on."""
        at = np.minimum(edges, float(self.guest_end))
        return np.diff(at - self.host.before(at))

    def gaps(self) -> tuple[Ints, Ints]:
        """When the guest itself ran: (starts, ends) of the time in no call, from 0 to `guest_end`."""
        starts, ends = np.concatenate(([0], self.host.right)), np.concatenate((self.host.left, [self.guest_end]))
        keep = ends > starts
        return starts[keep], ends[keep]

    @cached_property
    def families(self) -> dict[str, Mask]:
        """Family -> mask of its calls, for the families that occur, in the order of `FAMILIES`."""
        families = self.functions.families
        used = {families[number] for number in self.numbers}
        index = np.array([FAMILIES.index(family) for family in families], np.uint8)[self.call]
        return {family: index == at for at, family in enumerate(FAMILIES) if family in used}

    @cached_property
    def by_family(self) -> dict[str, FamilyCalls]:
        """Family -> its calls, for the families that occur, in the order of `FAMILIES`."""
        families = self.families
        if len(families) == 1:
            return {family: FamilyCalls(self.start, self.end, int(self.dur.sum()), self.host) for family in families}
        found = {}
        for family, mask in families.items():
            start, end = self.start[mask], self.end[mask]
            found[family] = FamilyCalls(start, end, int(self.dur[mask].sum()), Cover.of(start, end))
        return found

    def slowest(self, most: int) -> list[int]:
        """The rows of the calls that took the most time, in any order."""
        if not len(self):
            return []
        blocks = np.maximum.reduceat(self.dur, np.arange(0, len(self), _BLOCK))
        longest = np.sort(np.argsort(blocks)[-most:])  # they hold the slowest calls
        rows = np.concatenate([np.arange(at * _BLOCK, min((at + 1) * _BLOCK, len(self))) for at in longest.tolist()])
        return [int(row) for row in rows[np.argsort(self.dur[rows], kind="stable")[-most:]]]

    @cached_property
    def numbers(self) -> list[int]:
        """The numbers of the calls that occur."""
        return [int(number) for number in np.flatnonzero(np.bincount(self.call, minlength=256))]


def standard_stream(life: Life) -> str:
    """"stdin", "stdout" or "stderr" where an opening is of that, else "". A component's handles have numbers of their
    own, and their streams names.
    """
    if life.type:
        name = life.path.decode("utf-8", "replace").strip("<>")
        return name if name in _STANDARD else ""
    return _STANDARD[life.fd] if 0 <= life.fd < 3 else ""


_STANDARD = ("stdin", "stdout", "stderr")
LARGE = 100_000
"""The columns of a trace with more calls than this are not cached."""


def forget_columns(run: Subject) -> None:
    """Free the cached columns of a large trace once it is shown. They are computed again when needed."""
    if run.traced and not run.running and len(run.trace) > LARGE:
        _KEPT.pop(run.trace, None)
        run.trace.forget_columns()


_ROWS: WeakKeyDictionary[Trace, tuple[CallSummary, ...]] = WeakKeyDictionary()


def summary_rows(run: Subject) -> tuple[CallSummary, ...]:
    """The rows of the trace's summary, the call that took the most time first; cached as long as the trace lives."""
    trace = trace_of(run)
    known = _ROWS.get(trace)
    if known is None:
        known = _ROWS[trace] = trace.summary().rows
    return known


def merged(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The union of intervals sorted by start, as disjoint intervals (starts, ends)."""
    if not len(start) or (start[1:] > end[:-1]).all():
        return start, end
    reach = np.maximum.accumulate(end)
    first = np.concatenate(([True], start[1:] > reach[:-1]))
    last = np.concatenate((np.flatnonzero(first)[1:] - 1, [len(start) - 1]))
    return start[first], reach[last]


def busy(start: Ints, end: Ints, edges: Spans) -> Spans:
    """ns of each bin between two of these ascending edges that the intervals, sorted by start, cover."""
    return Cover.of(start, end).busy(edges)


def counted_in_bins(start: Ints, span: int, bins: int) -> Ints:
    """How many of these times, ascending from 0 to `span`, lie in each of `bins` equal parts of the span."""
    edges = np.array([-(-part * span // bins) for part in range(bins)], np.int64)
    first = np.searchsorted(start, edges)
    return np.diff(first, append=len(start))
