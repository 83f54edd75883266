"""Calls by source line of the guest: a table, and the annotated source.

For: `Trace.by_line()` and `Trace.annotate()`. `columns/places.py` says which line a call is counted for. Without stacks
or DWARF no line is known, which the tables say. Not for: reading DWARF (`module/dwarf.py`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ...text.escape import html_text, visible
from ...text.numbers import counted, duration, size
from ..calls import Calls
from ..columns.places import Place, Places
from ..columns.records import Array
from ..record.layout import DID_NOT_RETURN
from .tabular import noted_lines, notes_html, table_html, text_table, totals


@dataclass(frozen=True, slots=True)
class LineSummary:
    """All calls made by one line of source. Time in ns."""

    file: str
    line: int
    function: str
    calls: int
    errors: int
    refused: int
    bytes: int
    time: int
    names: tuple[str, ...]
    """The calls' names, the most frequent first."""


@dataclass(frozen=True)
class Lines:
    """One row for each line of source that made calls, by file and line."""

    rows: tuple[LineSummary, ...]
    without: int
    """Calls with no known line."""
    budget: str = ""
    """A clause on how many stacks were taken; "" if all were."""
    notes: tuple[str, ...] = ()
    """The user's notes on calls, one line each."""

    @classmethod
    def from_calls(cls, trace: Calls) -> Lines:
        """The figures of `trace` by line."""
        if not trace.store.stacks:
            return cls((), len(trace), _budget(trace), noted_lines(trace))
        keys: dict[Place, int] = {}
        places = Places(trace.store)
        number = np.array([-1 if place is None else keys.setdefault(place, len(keys)) for place in places], "<i8")
        stack = trace.column("stack")
        keyed = number[np.where(stack < len(number), stack, 0)]
        known = keyed >= 0
        key, call, errno = keyed[known], trace.column("call")[known], trace.column("errno")[known]
        n = len(keys)

        def total(weights: Array) -> list[int]:
            return list(totals(key, weights, n).tolist())

        calls, errors = total(np.ones(len(key))), total((errno != 0) & (errno != DID_NOT_RETURN))
        refused, moved = total(trace.column("denied_by")[known] != 0), total(trace.column("nbytes")[known])
        times = total(trace.column("dur")[known])
        pairs, counts = np.unique(key << 8 | call, return_counts=True)
        names: list[list[tuple[int, str]]] = [[] for _ in range(n)]
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            names[pair >> 8].append((-count, trace.functions.names[pair & 255]))
        rows = [
            LineSummary(file, line, function, calls[i], errors[i], refused[i], moved[i], times[i],
                        tuple(name for _, name in sorted(names[i])))
            for (file, line, function), i in keys.items()
            if calls[i]
        ]  # fmt: skip
        rows.sort(key=lambda row: (row.file, row.line, row.function))
        return cls(tuple(rows), int(np.count_nonzero(~known)), _budget(trace), noted_lines(trace))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[LineSummary]:
        return iter(self.rows)

    def __str__(self) -> str:
        if not self.rows:
            remark = (
                f"no line is known for {counted(self.without, 'call')}: run with stacks recorded, "
                "and a module compiled with debug information (-g)"
            )
            return "\n".join([remark, *self.notes])
        lines = text_table([_HEAD, *map(_cells, self.rows)], (0, len(_HEAD) - 1))
        if self.without:
            lines.append(f"({counted(self.without, 'call')} with no known line{self.budget})")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{html.escape(str(self))}</p>"
        return table_html(_HEAD, list(map(_cells, self.rows))) + notes_html(self.notes)


_HEAD = ("line", "calls", "errors", "refused", "bytes", "time", "what")


def _cells(row: LineSummary) -> tuple[str, ...]:
    return (
        f"{visible(row.file)}:{row.line}", f"{row.calls:,}", f"{row.errors:,}" if row.errors else "",
        f"{row.refused:,}" if row.refused else "", size(row.bytes) if row.bytes else "",
        duration(row.time), ", ".join(row.names[:3]) + (", ..." if len(row.names) > 3 else ""),
    )  # fmt: skip


def _budget(trace: Calls) -> str:
    """A clause for a run that recorded the stacks of its first calls only; else ""."""
    kept = trace.meta.get("stacks")
    if not isinstance(kept, int) or isinstance(kept, bool) or trace.store.n + trace.dropped <= kept:
        return ""
    return (
        f"; stacks were taken of the first {kept:,} calls and refusals only: "
        "run with stacks=True for all"
    )


@dataclass(frozen=True)
class Annotation:
    """The guest's source, each line with its calls, bytes and time; `!` marks lines with refused calls."""

    source: str
    lines: dict[int, list[LineSummary]]
    name: str
    remark: str = ""
    notes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """The user's notes on calls, by line; 0 for calls with no known line."""

    @classmethod
    def from_calls(cls, trace: Calls, source: str | None = None, file: str | None = None) -> Annotation:
        """The source of `trace`, or the one given, with the figures of the lines of `file`.

        Raises ValueError if neither the trace nor the caller gives the source.
        """
        text = source if source is not None else trace.meta.get("source")
        if not isinstance(text, str):
            raise ValueError("the trace does not contain its program's source: pass it as annotate(source=...)")
        name = PurePosixPath(file or str(trace.meta.get("source_name") or "")).name
        table: dict[int, list[LineSummary]] = {}
        lines = Lines.from_calls(trace)
        for row in lines:
            if not name or PurePosixPath(row.file).name == name:
                table.setdefault(row.line, []).append(row)
        without = counted(lines.without, "call has", "calls have")
        remark = f"{without} no known line{lines.budget}" if lines.budget else ""
        if not table:
            none = f"no call is known to come from {name or 'this source'}{lines.budget}"
            remark = none if lines.rows else str(lines)
        return cls(text, table, name, remark, _notes_by_line(trace, name))

    def _margin(self, number: int) -> tuple[str, str, str, bool, str]:
        rows = self.lines.get(number, [])
        if not rows:
            return "", "", "", False, ""
        moved = sum(row.bytes for row in rows)
        names = ", ".join(dict.fromkeys(name for row in rows for name in row.names))
        return (
            f"{sum(row.calls for row in rows):,}", size(moved) if moved else "",
            duration(sum(row.time for row in rows)), any(row.refused for row in rows), names,
        )  # fmt: skip

    def __str__(self) -> str:
        out = [f"{'calls':>8} {'bytes':>10} {'time':>9}    line"]
        for number, text in enumerate(self.source.splitlines(), 1):
            calls, moved, time, refused, _ = self._margin(number)
            mark = "!" if refused else " "
            out.append(f"{calls:>8} {moved:>10} {time:>9} {mark} {number:4}  {visible(text.expandtabs(4))}".rstrip())
            out += [f"{'':>8} {'':>10} {'note':>9}         ^ {note}" for note in self.notes.get(number, ())]
        if any(row.refused for rows in self.lines.values() for row in rows):
            out.append("!: refused")
        return "\n".join([*out, *filter(None, [self.remark]), *self.notes.get(0, ())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        longest = max((sum(row.time for row in rows) for rows in self.lines.values()), default=0) or 1
        body = []
        for number, text in enumerate(self.source.splitlines(), 1):
            calls, moved, time, refused, names = self._margin(number)
            share = sum(row.time for row in self.lines.get(number, ())) / longest
            shade = f"background:rgba(255,170,0,{share * 0.35:.2f});" if share else ""  # text stays readable on it
            mark = f' <span style="{_REFUSED}" title="refused">refused</span>' if refused else ""
            body.append(
                f'<tr style="{shade}" title="{html.escape(names)}">'
                + "".join(f'<td style="{_FIGURE}">{cell}</td>' for cell in (calls, moved, time, str(number)))
                + '<td style="text-align:left;white-space:pre;font-family:monospace" dir="ltr">'
                + f"{html_text(text.expandtabs(4))}{mark}</td></tr>"
            )
            body += [
                f'<tr><td colspan="4" style="text-align:right">note</td><td style="text-align:left">'
                f"<em>{html.escape(note)}</em></td></tr>"
                for note in self.notes.get(number, ())
            ]
        head = "".join(f"<th>{name}</th>" for name in ("calls", "bytes", "time", "line"))
        head += f'<th style="text-align:left" dir="ltr">{html_text(self.name)}</th>'
        remark = f"<p>{html.escape(self.remark)}</p>" if self.remark else ""
        rest = notes_html(self.notes.get(0, ()))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return f'<div style="overflow-x:auto">{table}</div>{remark}{rest}'

_FIGURE = "text-align:right;white-space:nowrap"
_REFUSED = "background:#b3261e;color:#fff;border-radius:3px;padding:0 .4em"
"""A style that is readable on light and dark pages."""


def _notes_by_line(trace: Calls, name: str) -> dict[int, tuple[str, ...]]:
    """Notes by the line of the file `name` (of any file, if "") whose call is the first that they are on; else in 0."""
    places, seqs, stacks = Places(trace.store), trace.seq, trace.column("stack")
    notes: dict[int, tuple[str, ...]] = {}
    for first, last, text in trace.notes:
        row = int(np.searchsorted(seqs, first))
        if row < len(seqs) and seqs[row] <= last:
            place = places.get(int(stacks[row]))
            line = place[1] if place and (not name or PurePosixPath(place[0]).name == name) else 0
            span = f"call {first}" if last == first else f"calls {first} to {last}"
            span = span if line else f"note on {span}"
            notes[line] = (*notes.get(line, ()), f"{span}: {visible(text)}")
    return notes
