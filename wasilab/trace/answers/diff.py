"""How two runs differ: calls added and removed, and calls that ended otherwise.

For: `a.diff(b)`. A call is the same call in both when it has the same name and acts on the same path: descriptor
numbers become paths, addresses and times are left out. Matched calls are then compared by verdict (refused or not),
errno and bytes moved; how long they took is compared by name only, since single times are noise. "The same program with
one grant removed" reads at a glance: the refused call stands beside the one that succeeded, and what followed below.
Not for: the alignment itself (`align.py`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from ...text.numbers import duration
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES
from ..strace.lines import blocks
from ..strace.style import Style
from .align import align
from .tabular import noted_lines, notes_html

Array = np.ndarray[Any, Any]
CONTEXT = 2
"""Equal calls shown around a difference."""
SHOWN = 400
"""Rows shown by `str` and in a notebook."""


class ChangeKind(IntEnum):
    """What became of a call from the first trace to the second."""

    SAME = 0
    CHANGED = 1
    REMOVED = 2
    ADDED = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A call that is in both traces and ended otherwise. Rows are indices into the two traces."""

    call: str
    path: str
    before: int
    after: int
    verdict: tuple[bool, bool] | None
    """Whether it was refused, before and after, if that changed."""
    errno: tuple[str, str] | None
    bytes: tuple[int, int] | None

    def __str__(self) -> str:
        parts = []
        if self.verdict is not None:
            parts.append("now refused" if self.verdict[1] else "no longer refused")
        if self.errno is not None:
            parts.append(f"{self.errno[0] or 'success'} -> {self.errno[1] or 'success'}")
        if self.bytes is not None:
            parts.append(f"{self.bytes[0]:,} -> {self.bytes[1]:,} bytes")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the matched calls of one name took, ns."""

    call: str
    calls: int
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After / before, medians."""
        return self.after / self.before if self.before else float("inf")


class Diff:
    """The differences between trace `a` and trace `b`, as rows in which either side may be missing (-1)."""

    def __init__(self, a: Calls, b: Calls, left: Array, right: Array) -> None:
        self.a, self.b = a, b
        self.left, self.right = left, right
        """Index of the call in `a` and in `b` for each row; -1 where there is none."""
        both = (left >= 0) & (right >= 0)
        lone = np.where(left >= 0, np.uint8(ChangeKind.REMOVED), np.uint8(ChangeKind.ADDED))
        self.kinds = np.where(both, np.uint8(ChangeKind.SAME), lone)
        """A `ChangeKind` for each row."""
        rows = np.flatnonzero(both)
        i, j = left[rows], right[rows]
        self._differ = {
            name: rows[first[i] != second[j]]
            for name, first, second in (
                ("verdict", a.column("denied_by") != 0, b.column("denied_by") != 0),
                ("errno", a.column("errno"), b.column("errno")),
                ("bytes", a.column("nbytes"), b.column("nbytes")),
            )
        }
        for changed in self._differ.values():
            self.kinds[changed] = ChangeKind.CHANGED

    @classmethod
    def from_calls(cls, a: Calls, b: Calls) -> Diff:
        """Compare two traces."""
        ia, ib = align(*_keys(a, b))
        return cls(a, b, *_rows(ia, ib, len(a), len(b)))

    @property
    def same(self) -> bool:
        """Whether both made the same calls with the same outcome (times aside)."""
        return not self.kinds.any()

    @property
    def added(self) -> Calls:
        """The calls that only the second trace has."""
        return _pick(self.b, self.right[self.kinds == ChangeKind.ADDED])

    @property
    def removed(self) -> Calls:
        """The calls that only the first trace has."""
        return _pick(self.a, self.left[self.kinds == ChangeKind.REMOVED])

    @cached_property
    def changed(self) -> list[Change]:
        """The calls that are in both and ended otherwise."""
        sets = {name: set(rows.tolist()) for name, rows in self._differ.items()}
        denied = [t.column("denied_by") != 0 for t in (self.a, self.b)]
        errno, moved = ([t.column(name) for t in (self.a, self.b)] for name in ("errno", "nbytes"))
        targets, names = self.a.store.targets, self.a.functions.names
        found = []
        for row in np.flatnonzero(self.kinds == ChangeKind.CHANGED).tolist():
            i, j = int(self.left[row]), int(self.right[row])
            found.append(
                Change(
                    names[int(self.a.column("call")[i])], targets[int(self.a.target_ids[i])][0], i, j,
                    (bool(denied[0][i]), bool(denied[1][j])) if row in sets["verdict"] else None,
                    (ERRNO_NAMES[errno[0][i]], ERRNO_NAMES[errno[1][j]]) if row in sets["errno"] else None,
                    (int(moved[0][i]), int(moved[1][j])) if row in sets["bytes"] else None,
                )
            )  # fmt: skip
        return found

    @cached_property
    def latency(self) -> list[Latency]:
        """The median time of the matched calls of each name, before and after, the most frequent first."""
        both = (self.left >= 0) & (self.right >= 0)
        i, j = self.left[both], self.right[both]
        calls = self.a.column("call")[i]
        before, after = self.a.column("dur")[i], self.b.column("dur")[j]
        found = []
        for number in np.unique(calls).tolist():
            mine = calls == number
            middle = [float(np.median(side[mine])) for side in (before, after)]
            found.append(Latency(self.a.functions.names[number], int(mine.sum()), middle[0], middle[1]))
        return sorted(found, key=lambda one: -one.calls)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.kinds))

    def headline(self) -> str:
        """One sentence."""
        if self.same:
            return f"the same {len(self.a):,} calls with the same outcomes"
        counts = np.bincount(self.kinds, minlength=4)
        kinds = [kind for kind in (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED) if counts[kind]]
        parts = [f"{counts[kind]:,} {kind.name.lower()}" for kind in kinds]
        refused = np.count_nonzero(self.b.column("denied_by")) - np.count_nonzero(self.a.column("denied_by"))
        more = f"; {abs(refused):,} {'more' if refused > 0 else 'fewer'} refused" if refused else ""
        return f"{len(self.a):,} against {len(self.b):,} calls: {', '.join(parts)}, {counts[0]:,} the same{more}"

    # -- showing -----------------------------------------------------------------------------------------------------

    def _hunks(self, context: int = CONTEXT, limit: int = SHOWN) -> Iterator[list[int]]:
        """Rows to show: the differences with a few equal calls around, in runs; at most `limit` rows."""
        rows = np.flatnonzero(self.kinds)
        if not len(rows):
            return
        near = np.zeros(len(self.kinds) + 1, "<i4")
        np.add.at(near, np.maximum(rows - context, 0), 1)
        np.add.at(near, np.minimum(rows + context + 1, len(self.kinds)), -1)
        shown = np.flatnonzero(np.cumsum(near[:-1]) > 0)[:limit]
        for run in np.split(shown, np.flatnonzero(np.diff(shown) > 1) + 1):
            yield run.tolist()

    def _texts(self, rows: list[int]) -> list[tuple[int, str, str]]:
        style = Style(pid=False, time="none", durations=False, strings=24)
        sides = []
        for trace, side in ((self.a, self.left), (self.b, self.right)):
            wanted = [int(side[row]) for row in rows if side[row] >= 0]
            made = iter("".join(blocks(_pick(trace, np.array(wanted, "<i8")), style)).splitlines())
            sides.append([next(made) if side[row] >= 0 else "" for row in rows])
        out: list[tuple[int, str, str]] = []
        found = [(int(self.kinds[row]), x, y) for row, x, y in zip(rows, *sides, strict=True)]
        for (kind, x, y), run in groupby(found):  # a loop that ran more often is one line
            more = len(list(run)) - 1
            out.append((kind, x, y))
            if more > 2:
                note = f"... {more:,} more like it"
                out.append((kind, note if x else "", note if y else ""))
            else:
                out += [(kind, x, y)] * more
        return out

    def text(self, width: int = 160, context: int = CONTEXT, limit: int = SHOWN) -> str:
        """Two aligned columns: `<` removed, `>` added, `|` changed."""
        half = max((width - 3) // 2, 10)
        out = [self.headline()]
        shown = 0
        for run in self._hunks(context, limit):
            out.append(f"@@ call {_at(self.left, run)} | call {_at(self.right, run)} @@")
            shown += int(np.count_nonzero(self.kinds[run]))
            for kind, left, right in self._texts(run):
                out.append(f"{_cut(left, half):<{half}} {' |<>'[kind]} {_cut(right, half)}".rstrip())
        if shown < len(self):
            out.append(f"... {len(self) - shown:,} more differences")
        out += [*self._shifts(), *self._notes()]
        return "\n".join(out)

    def _shifts(self) -> list[str]:
        shifted = [one for one in self.latency if one.calls >= 10 and not 0.5 < one.ratio < 2]
        return [
            f"{one.call}: median time {duration(one.before)} -> {duration(one.after)} ({one.calls:,} calls)"
            for one in shifted
        ]

    def _notes(self) -> list[str]:
        return [f"{side}: {line}" for side, t in (("left", self.a), ("right", self.b)) for line in noted_lines(t)]

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        body = []
        shown = 0
        for run in self._hunks():
            body.append(
                '<tr><td colspan="2" style="color:#777;text-align:left;border-top:1px solid #999">'
                f"call {_at(self.left, run)} · call {_at(self.right, run)}</td></tr>"
            )
            shown += int(np.count_nonzero(self.kinds[run]))
            for kind, left, right in self._texts(run):
                cells = "".join(
                    f'<td style="text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;'
                    'word-wrap:break-word;'  # the older name, which a notebook that is not trusted keeps
                    f'font-family:monospace;{_SHADE[kind] if text else ""}" dir="ltr">{html.escape(text)}</td>'
                    for text in (left, right)
                )
                body.append(f'<tr title="{ChangeKind(kind).name.lower()}">{cells}</tr>')
        notes = [*self._shifts(), *self._notes()]
        if shown < len(self):
            notes.insert(0, f"{len(self) - shown:,} more differences")
        more = notes_html(notes)
        return (
            f"<p>{html.escape(self.headline())}</p>"
            f'<table style="table-layout:fixed;width:100%"><tbody>{"".join(body)}</tbody></table>{more}'
        )


_SHADE: dict[int, str] = {
    ChangeKind.SAME: "opacity:.65;",
    ChangeKind.CHANGED: "background:rgba(255,180,0,.25);",
    ChangeKind.REMOVED: "background:rgba(220,40,60,.18);",
    ChangeKind.ADDED: "background:rgba(30,160,80,.18);",
}


def _keys(a: Calls, b: Calls) -> tuple[Array, Array]:
    """A number for what each call is: its name and the path that it acted on."""
    ids: dict[str, int] = {}
    keys = []
    for trace in (a, b):
        table = np.array([ids.setdefault(full, len(ids)) for full, _ in trace.store.targets], "<i8")
        functions = np.array([ids.setdefault(name, len(ids)) for name in trace.functions.names], "<i8")
        keys.append(table[trace.target_ids] << 32 | functions[trace.column("call")])
    return keys[0], keys[1]


def _rows(ia: Array, ib: Array, n: int, m: int) -> tuple[Array, Array]:
    """The matches and all that lies between them as rows in order: what was removed before what was added."""
    lone_a, lone_b = np.ones(n, bool), np.ones(m, bool)
    lone_a[ia] = False
    lone_b[ib] = False
    a, b = np.flatnonzero(lone_a), np.flatnonzero(lone_b)
    # The place of a lone call is the number of matches before it.
    places = np.concatenate((np.arange(len(ia)), np.searchsorted(ia, a), np.searchsorted(ib, b)))
    order = np.lexsort((np.repeat([2, 0, 1], [len(ia), len(a), len(b)]), places))
    left = np.concatenate((ia, a, np.full(len(b), -1)))[order]
    right = np.concatenate((ib, np.full(len(a), -1), b))[order]
    return left, right


def _pick(trace: Calls, indices: Array) -> Calls:
    mask = np.zeros(len(trace), bool)
    mask[indices] = True
    return trace.select(mask)


def _at(side: Array, run: list[int]) -> str:
    present = [int(side[row]) for row in run if side[row] >= 0]
    return f"{present[0]:,}" if present else "-"


def _cut(text: str, width: int) -> str:
    """At most `width` characters: the arguments are cut first, since the outcome is what differs."""
    if len(text) <= width:
        return text
    at = text.rfind(") = ")
    outcome = text[at:] if at >= 0 else ""
    if len(outcome) > width // 2:
        outcome = outcome[: width // 2 - 3] + "..."
    room = width - len(outcome)
    return text[:at] + outcome if 0 <= at <= room else text[: room - 3] + "..." + outcome
