"""The figures of a trace by call, as `strace -c` prints them.

For: `Trace.summary()`. Times in ns, computed with NumPy on whole columns. Not for: figures by source line (`lines.py`).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...text.escape import visible
from ...text.numbers import duration, size
from ..calls import Calls
from ..columns.decode import call_name
from ..record.layout import DID_NOT_RETURN


@dataclass(frozen=True, slots=True)
class Row:
    """All calls of one name. Times in ns."""

    call: str
    calls: int
    errors: int
    """Calls that returned an errno, the refused ones included."""
    refused: int
    total: int
    min: int
    median: int
    p99: int
    max: int
    bytes: int


_HEAD = ("% time", "total", "calls", "errors", "refused", "min", "median", "p99", "bytes", "call")


@dataclass(frozen=True)
class Summary:
    """One row for each call that occurs, the one that took most time first."""

    rows: tuple[Row, ...]
    total: Row
    dropped: int = 0
    notes: tuple[str, ...] = ()
    stacks: bool = False
    """Whether stacks were taken, which costs time between calls."""
    whole: Calls | None = field(default=None, repr=False, compare=False)
    """The trace, unless the summary is of a selection of its calls."""

    @cached_property
    def guest(self) -> int:
        """Time between the calls: the guest's own, in ns; 0 for a selection of calls. Computed when asked for."""
        return 0 if self.whole is None else int(self.whole.column("gap").sum(dtype="<i8"))

    @classmethod
    def from_calls(cls, trace: Calls) -> Summary:
        """The summary of the calls of `trace`."""
        call, errno = trace.column("call"), trace.column("errno")
        failed = (errno != 0) & (errno != DID_NOT_RETURN)
        refused = trace.column("denied_by") != 0
        counts = np.bincount(call, minlength=256)
        order = np.argsort(call, kind="stable")  # a radix sort, on bytes
        dur = trace.column("dur")[order]
        errors = np.bincount(call[failed], minlength=256)
        denied = np.bincount(call[refused], minlength=256)
        moved = totals(call, trace.column("nbytes"), 256)
        rows = []
        end = 0
        for number in np.flatnonzero(counts).tolist():
            start, end = end, end + int(counts[number])
            rows.append(
                _row(call_name(number), dur[start:end], int(errors[number]), int(denied[number]), int(moved[number]))
            )
        rows.sort(key=lambda row: (-row.total, row.call))
        total = _row("total", dur, int(errors.sum()), int(denied.sum()), int(moved.sum()))
        whole = trace if trace.rows is None else None
        return cls(tuple(rows), total, trace.dropped, noted_lines(trace), bool(trace.store.stacks), whole)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __getitem__(self, call: str) -> Row:
        for row in self.rows:
            if row.call == call:
                return row
        raise KeyError(f"no call {call!r} in this trace; it has {', '.join(sorted(row.call for row in self.rows))}")

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, times in ns."""
        return [asdict(row) for row in self.rows]

    def _times(self) -> list[str]:
        whole = self.total.total + self.guest
        if not self.guest:
            return []
        share = 100 * self.total.total / whole
        stacks = " (with the taking of stacks)" if self.stacks else ""
        host, guest = duration(self.total.total), duration(self.guest)
        return [f"in the host {host} ({share:.1f}%), in the guest {guest}{stacks}"]

    def _cells(self, row: Row) -> tuple[str, ...]:
        share = 100 * row.total / self.total.total if self.total.total else 0.0
        return (
            f"{share:.1f}", duration(row.total), f"{row.calls:,}", f"{row.errors:,}" if row.errors else "",
            f"{row.refused:,}" if row.refused else "", duration(row.min), duration(row.median),
            duration(row.p99), size(row.bytes) if row.bytes else "", row.call,
        )  # fmt: skip

    def __str__(self) -> str:
        table = [_HEAD, *map(self._cells, self.rows), self._cells(self.total)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [" ".join([*(c.rjust(w) for c, w in zip(r[:-1], widths, strict=False)), r[-1]]) for r in table]
        rule = " ".join("-" * width for width in widths)
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1], *self._times(), *self.notes]
        if self.dropped:
            lines.append(f"({self.dropped:,} earlier calls were dropped to keep to the trace's budget)")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = table_html(_HEAD, [self._cells(row) for row in (*self.rows, self.total)])
        words = notes_html([*self._times(), *self.notes])
        note = f"<p>{self.dropped:,} earlier calls were dropped (the trace's budget).</p>" if self.dropped else ""
        return f"{table}{words}{note}"


def noted_lines(trace: Calls) -> tuple[str, ...]:
    """A person's notes on the calls of `trace`, a line each."""
    if not trace.notes or not len(trace):
        return ()
    seq = trace.column("seq")
    found = []
    for first, last, text in trace.notes:
        if np.searchsorted(seq, first) < np.searchsorted(seq, last, "right"):
            span = f"call {first}" if last == first else f"calls {first} to {last}"
            found.append(f"note on {span}: {visible(text)}")
    return tuple(found)


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts that may be a guest's; a narrow page scrolls it and breaks no figure from its unit."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        '<div style="overflow-x:auto"><table style="white-space:nowrap">'
        f"<thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def notes_html(notes: Sequence[str]) -> str:
    """Such lines as paragraphs."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in notes)


def totals(codes: Any, weights: Any, n: int) -> Any:
    """The sum of the weights of each code below `n`, i8; a sum beyond 2**62 (only in a file that lies) is that."""
    return np.minimum(np.bincount(codes, weights=weights, minlength=n), 2.0**62).astype("<i8")


def _row(name: str, dur: Any, errors: int, refused: int, moved: int) -> Row:
    n = len(dur)
    if not n:
        return Row(name, 0, errors, refused, 0, 0, 0, 0, 0, moved)
    middle, high = (n - 1) // 2, min(n - 1, int(n * 0.99))
    part = np.partition(dur, (middle, high))
    low, median, p99, top = int(dur.min()), int(part[middle]), int(part[high]), int(dur.max())
    return Row(name, n, errors, refused, int(dur.sum(dtype="<u8")), low, median, p99, top, moved)
