"""The figures of a trace by function, as `strace -c` prints them.

For: `Trace.summary()`, and views that show such figures. Times are ns, computed with NumPy on whole columns. Not for:
figures by source line (`source_lines.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from ...text.numbers import counted, duration, size
from ...text.palette import PLAIN, Palette, TextStyle
from ...wasi.library import LIBRARY_LOOKUP
from ..calls import Calls
from ..columns.records import Array
from ..record.layout import DID_NOT_RETURN
from .tabular import noted_lines, notes_html, table_html, text_table, totals


@dataclass(frozen=True, slots=True)
class CallSummary:
    """All calls of one function. Times in ns."""

    call: str
    calls: int
    errors: int
    """Calls that returned an errno, refused ones included."""
    refused: int
    total: int
    min: int
    median: int
    p99: int
    max: int
    bytes: int
    """Bytes that the calls read or wrote."""


def call_summaries(
    names: Sequence[str], call: Array, dur: Array, failed: Array, refused: Array, nbytes: Array
) -> list[CallSummary]:
    """One summary for each function among some calls, sorted by time.

    All arrays have one entry a call: the function's number, ns, whether it returned an errno, whether it was refused,
    bytes moved. `names` are the functions' names by number (`Functions.names`).
    """
    counts = np.bincount(call, minlength=256)
    numbers = np.flatnonzero(counts).tolist()
    ordered = dur if len(numbers) == 1 else dur[np.argsort(call, kind="stable")]  # a radix sort, on bytes
    errors = np.bincount(call[failed], minlength=256)
    denied = np.bincount(call[refused], minlength=256)
    moved = totals(call, nbytes, 256)
    rows = []
    end = 0
    for number in numbers:
        start, end = end, end + int(counts[number])
        figures = int(errors[number]), int(denied[number]), int(moved[number])
        rows.append(_summary(names[number], ordered[start:end], *figures))
    return sorted(rows, key=lambda row: (-row.total, row.call))


def _summary(name: str, dur: Array, errors: int, refused: int, moved: int) -> CallSummary:
    n = len(dur)
    if not n:
        return CallSummary(name, 0, errors, refused, 0, 0, 0, 0, 0, moved)
    middle, high = (n - 1) // 2, min(n - 1, int(n * 0.99))
    part = np.partition(dur, (middle, high))
    low, median, p99, top = int(dur.min()), int(part[middle]), int(part[high]), int(dur.max())
    return CallSummary(name, n, errors, refused, int(dur.sum(dtype="<u8")), low, median, p99, top, moved)


_HEAD = ("% time", "total", "calls", "errors", "refused", "min", "median", "p99", "bytes", "call")
_STYLES: dict[int, TextStyle] = {_HEAD.index("errors"): "warning", _HEAD.index("refused"): "error"}


@dataclass(frozen=True)
class Summary:
    """One row for each function that was called, sorted by time."""

    rows: tuple[CallSummary, ...]
    total: CallSummary
    """All WASI calls together."""
    dropped: int = 0
    notes: tuple[str, ...] = ()
    stacks: bool = False
    """Whether stacks were taken, which takes time between calls."""
    whole: Calls | None = field(default=None, repr=False, compare=False)
    """The calls, unless the summary is of a part of a trace."""

    @cached_property
    def guest(self) -> int:
        """Time between the calls, spent in the guest, in ns; 0 for a part of a trace. Computed on access."""
        return 0 if self.whole is None else int(self.whole.column("gap").sum(dtype="<i8"))

    @classmethod
    def from_calls(cls, trace: Calls) -> Summary:
        """The summary of the calls of `trace`."""
        trace.gather("call", "errno", "dur", "nbytes", "denied_by", *(["gap"] if trace.rows is None else []))
        call, errno, dur, nbytes = (trace.column(name) for name in ("call", "errno", "dur", "nbytes"))
        failed = (errno != 0) & (errno != DID_NOT_RETURN)
        refused = trace.column("denied_by") != 0
        rows = call_summaries(trace.functions.names, call, dur, failed, refused, nbytes)
        if len(rows) == 1 and rows[0].call != LIBRARY_LOOKUP.name:
            total = replace(rows[0], call="total")
        else:
            asked = call != LIBRARY_LOOKUP.number
            errors, denied = int(np.count_nonzero(failed & asked)), int(np.count_nonzero(refused & asked))
            total = _summary("total", dur[asked], errors, denied, sum(row.bytes for row in rows))
        whole = trace if trace.rows is None else None
        return cls(tuple(rows), total, trace.dropped, noted_lines(trace), bool(trace.store.stacks), whole)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CallSummary]:
        return iter(self.rows)

    def __getitem__(self, call: str) -> CallSummary:
        for row in self.rows:
            if row.call == call:
                return row
        raise KeyError(f"no call {call!r} in this trace; it has {', '.join(sorted(row.call for row in self.rows))}")

    def to_dicts(self) -> list[dict[str, object]]:
        """The rows as dictionaries, times in ns."""
        return [asdict(row) for row in self.rows]

    def _remarks(self) -> list[str]:
        remarks = []
        if self.guest:
            share = 100 * self.total.total / (self.total.total + self.guest)
            stacks = " (with the taking of stacks)" if self.stacks else ""
            host, guest = duration(self.total.total), duration(self.guest)
            remarks.append(f"in the host {host} ({share:.1f}%), in the guest {guest}{stacks}")
        if any(row.call == LIBRARY_LOOKUP.name for row in self.rows):
            remarks.append(f"{LIBRARY_LOOKUP.name} is not a WASI call: the program's library refused a path by itself")
        return [*remarks, *self.notes]

    def _cells(self, row: CallSummary) -> tuple[str, ...]:
        share = 100 * row.total / self.total.total if self.total.total else 0.0
        return (
            f"{share:.1f}", duration(row.total), f"{row.calls:,}", f"{row.errors:,}" if row.errors else "",
            f"{row.refused:,}" if row.refused else "", duration(row.min), duration(row.median), duration(row.p99),
            size(row.bytes) if row.bytes else "", row.call,
        )  # fmt: skip

    def text(self, palette: Palette = PLAIN) -> str:
        """The table of `strace -c`: names with the most time first, errors and refusals in colour."""
        cells = [_HEAD, *map(self._cells, (*self.rows, self.total))]
        lines = text_table(cells, {len(_HEAD) - 1}, " ", _STYLES, palette)
        rule = palette("faint", " ".join("-" * max(map(len, column)) for column in zip(*cells, strict=True)))
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1], *self._remarks()]
        if self.dropped:
            lines.append(f"({counted(self.dropped, 'earlier call')} dropped to keep to the trace's budget)")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [self._cells(row) for row in (*self.rows, self.total)]
        # The name first, and no empty column: a narrow page shows only the first columns.
        name = len(_HEAD) - 1
        shown = [name, *(i for i in range(name) if any(row[i] for row in rows))]
        table = table_html([_HEAD[i] for i in shown], [[row[i] for i in shown] for row in rows])
        dropped = f"{counted(self.dropped, 'earlier call')} dropped (the trace's budget)"
        return table + notes_html([*self._remarks(), *([dropped] if self.dropped else [])])
