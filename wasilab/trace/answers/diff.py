"""Compares two runs: calls added and removed, and calls with other arguments, data or results.

For: `a.diff(b)`. A call is the same call in both when it has the same name and acts on the same path. Matched calls are
compared by their outcome (refused or not, errno, bytes transferred) and, unless switched off, by their arguments, data
and results (`fingerprints.py` lists what is ignored). Durations are compared by name only, because single durations are
noise.

Traces of two versions of WASI (a preview1 module and the same program as a component) have no calls in common. They are
compared by operation: a call is the same in both if it does the same operation (open, read, write, ...) on the same
path. Calls that only prepare another one (for example describing a descriptor) have no counterpart.

Not for: the alignment itself (`align.py`).
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np

from ...text.escape import visible
from ...text.numbers import counted, duration
from ...text.palette import PLAIN, Palette, TextStyle
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES
from ..columns.records import Array
from ..strace.lines import blocks
from ..strace.style import Style
from ..strace.values import clipped
from .align import align
from .event import CallEvent
from .fingerprints import Fingerprints
from .tabular import noted_lines, notes_html

Some = TypeVar("Some", bound=Calls)
BY_OPERATION = "operation"
"""The way of comparing two versions of WASI."""
CONTEXT = 2
"""Equal calls shown around a difference."""
SHOWN = 400
"""Rows shown by `str` and in a notebook."""
CONTENTS = ("arguments", "data", "results")
"""The parts of a call that can be left out of a comparison."""
_STYLE = Style(pid=False, time="none", durations=False, strings=24)
_VERBOSE = replace(_STYLE, verbose=True)


class ChangeKind(IntEnum):
    """How a call differs between the first and the second trace."""

    SAME = 0
    CHANGED = 1
    REMOVED = 2
    ADDED = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A call that is in both traces and differs. Rows are indices into the two traces."""

    call: str
    path: str
    before: int
    after: int
    verdict: tuple[bool, bool] | None
    """Whether it was refused, before and after, if that changed."""
    errno: tuple[str, str] | None
    bytes: tuple[int, int] | None
    contents: tuple[str, ...] = ()
    """Which of `CONTENTS` differ, if the outcome is the same."""

    def __str__(self) -> str:
        parts = []
        if self.verdict is not None:
            parts.append("now refused" if self.verdict[1] else "no longer refused")
        if self.errno is not None:
            parts.append(f"{self.errno[0] or 'success'} -> {self.errno[1] or 'success'}")
        if self.bytes is not None:
            parts.append(f"{self.bytes[0]:,} -> {self.bytes[1]:,} bytes")
        return ", ".join([*parts, *(f"other {content}" for content in self.contents)])


@dataclass(frozen=True, slots=True)
class Latency:
    """The durations of the matched calls of one name, in ns."""

    call: str
    calls: int
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After / before, medians."""
        return self.after / self.before if self.before else float("inf")


class Diff(Generic[Some]):
    """The differences between trace `a` and trace `b`, as rows in which either side may be missing (-1)."""

    def __init__(self, a: Some, b: Some, left: Array, right: Array, ignored: Sequence[str] = (), by: str = "call"
    ) -> None:
        self.a, self.b = a, b
        self.left, self.right = left, right
        """Index of the call in `a` and in `b` for each row; -1 if there is none."""
        self.ignored = tuple(content for content in CONTENTS if content in ignored)
        """The `CONTENTS` that were not compared."""
        self.by = by
        """How calls are matched: by "call" (name and path) or by "operation"."""
        both = (left >= 0) & (right >= 0)
        lone = np.where(left >= 0, np.uint8(ChangeKind.REMOVED), np.uint8(ChangeKind.ADDED))
        self.kinds = np.where(both, np.uint8(ChangeKind.SAME), lone)
        """A `ChangeKind` for each row."""
        rows = np.flatnonzero(both)
        i, j = left[rows], right[rows]
        self._outcome = {
            name: rows[first[i] != second[j]]
            for name, first, second in (
                ("verdict", a.column("denied_by") != 0, b.column("denied_by") != 0),
                ("errno", a.column("errno"), b.column("errno")),
                ("bytes", a.column("nbytes"), b.column("nbytes")),
            )
        }
        self._contents: dict[str, Array] = {}
        if len(self.ignored) < len(CONTENTS):
            ended_alike = a.column("errno")[i] == b.column("errno")[j]
            self._contents = self._compare(rows[ended_alike])
        for changed in (*self._outcome.values(), *self._contents.values()):
            self.kinds[changed] = ChangeKind.CHANGED

    @classmethod
    def from_calls(cls, a: Some, b: Some, ignore: Sequence[str] = (), by: str | None = None) -> Diff[Some]:
        """Compare two traces. `ignore` names what is not compared, of "arguments", "data" and "results". `by` sets how
        calls are matched: "call", "operation", or None: by operation if the traces have no calls in common.
        """
        if by not in (None, "call", BY_OPERATION):
            raise ValueError(f'by={by!r} is not valid: use "call" or "operation"')
        if by is None:
            by = "call" if not len(a) or not len(b) or _shares_a_call(a, b) else BY_OPERATION
        wrong = [content for content in ignore if content not in CONTENTS]
        if wrong:
            raise ValueError(f"ignore={wrong[0]!r} is not valid: use {', '.join(CONTENTS)}")
        if by == BY_OPERATION:
            ignore = CONTENTS  # they have another form in each version
        ia, ib = align(*_keys(a, b, by))
        return cls(a, b, *_rows(ia, ib, len(a), len(b)), ignore, by)

    def _compare(self, rows: Array) -> dict[str, Array]:
        """The rows, of those with the same errno on both sides, that differ in each of the contents."""
        first, second = Fingerprints.from_calls(self.a), Fingerprints.from_calls(self.b)
        i, j = self.left[rows], self.right[rows]
        differ = {}
        for content in CONTENTS:
            if content not in self.ignored:
                differ[content] = rows[getattr(first, content)[i] != getattr(second, content)[j]]
        if "data" in differ:
            differ["data"] = np.array([row for row in differ["data"].tolist() if self._data_differs(row)], "<i8")
        return differ

    def _data_differs(self, row: int) -> bool:
        """Whether the data differ, as far as both traces kept them."""
        first, second = self._events(row)
        if not (first.truncated or second.truncated):
            return True
        kept = min(len(first.data), len(second.data))
        return first.data[:kept] != second.data[:kept]

    def _events(self, row: int) -> tuple[CallEvent, CallEvent]:
        return (
            CallEvent(self.a, self.a.row(int(self.left[row]))), CallEvent(self.b, self.b.row(int(self.right[row]))),
        )  # fmt: skip

    @property
    def same(self) -> bool:
        """Whether both made the same calls with the same outcomes and contents, apart from times."""
        return not self.kinds.any()

    @property
    def added(self) -> Some:
        """The calls that only the second trace has."""
        return _pick(self.b, self.right[self.kinds == ChangeKind.ADDED])

    @property
    def removed(self) -> Some:
        """The calls that only the first trace has."""
        return _pick(self.a, self.left[self.kinds == ChangeKind.REMOVED])

    @cached_property
    def changed(self) -> list[Change]:
        """The calls that are in both traces and differ."""
        return [self.change(row) for row in np.flatnonzero(self.kinds == ChangeKind.CHANGED).tolist()]

    def change(self, row: int) -> Change:
        """How the two calls of a row differ. ValueError for a row in which a side has no call."""
        i, j = int(self.left[row]), int(self.right[row])
        if i < 0 or j < 0:
            raise ValueError(f"row {row:,} has a call on one side only")
        denied = [bool(trace.column("denied_by")[at]) for trace, at in ((self.a, i), (self.b, j))]
        errno = [int(trace.column("errno")[at]) for trace, at in ((self.a, i), (self.b, j))]
        moved = [int(trace.column("nbytes")[at]) for trace, at in ((self.a, i), (self.b, j))]
        outcome = {name for name, rows in self._outcome.items() if _holds(rows, row)}
        return Change(
            self.a.functions.names[int(self.a.column("call")[i])],
            self.a.store.targets[int(self.a.target_ids[i])][0], i, j,
            (denied[0], denied[1]) if "verdict" in outcome else None,
            (ERRNO_NAMES[errno[0]], ERRNO_NAMES[errno[1]]) if "errno" in outcome else None,
            (moved[0], moved[1]) if "bytes" in outcome else None,
            tuple(name for name, rows in self._contents.items() if _holds(rows, row)),
        )  # fmt: skip

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

    # -- in words ----------------------------------------------------------------------------------------------------

    def headline(self) -> str:
        """One sentence."""
        if self.same:
            compared = [content for content in CONTENTS if content not in self.ignored]
            alike = _listed(["outcomes", *compared])
            return f"the same {counted(len(self.a), 'call')} with the same {alike}"
        counts = np.bincount(self.kinds, minlength=4)
        kinds = [kind for kind in (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED) if counts[kind]]
        parts = [f"{counts[kind]:,} {kind.name.lower()}{self._how() * (kind == ChangeKind.CHANGED)}" for kind in kinds]
        refused = np.count_nonzero(self.b.column("denied_by")) - np.count_nonzero(self.a.column("denied_by"))
        more = f"; {abs(refused):,} {'more' if refused > 0 else 'fewer'} refused" if refused else ""
        how = ", by operation" if self.by == BY_OPERATION else ""
        calls = f"{len(self.a):,} against {counted(len(self.b), 'call')}"
        return f"{calls}{how}: {', '.join(parts)}, {counts[0]:,} the same{more}"

    def _how(self) -> str:
        """How the changed calls differ, unless only in outcome: " (3 in outcome, 2 in data)"."""
        outcome = np.unique(np.concatenate(list(self._outcome.values())))
        counts = {"outcome": len(outcome), **{name: len(rows) for name, rows in self._contents.items()}}
        if not any(counts[name] for name in CONTENTS if name in counts):
            return ""
        return f" ({', '.join(f'{count:,} in {name}' for name, count in counts.items() if count)})"

    def compared(self) -> str:
        """One sentence on what was compared and what was not."""
        if self.by == BY_OPERATION:
            return (
                "compared: operation (open, read, write, ...), path, outcome, bytes moved; not compared: the form of "
                "arguments and results in each version of WASI, times, descriptor numbers"
            )
        compared = [content for content in CONTENTS if content not in self.ignored]
        sentence = f"compared: {_listed(['path', 'outcome', 'bytes moved', *compared])}"
        kept = ["of long data the bytes that both traces kept"] * ("data" in compared and self._cut_short())
        left_out = [*self.ignored, "times", "addresses", "descriptor and inode numbers"]
        return "; ".join([sentence, *kept, f"not compared: {', '.join(left_out)}"])

    def _cut_short(self) -> bool:
        return bool(self.a.truncated or self.b.truncated)

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

    def lines(self, rows: Sequence[int]) -> list[tuple[int, str, str]]:
        """(a `ChangeKind`, call of the first trace, call of the second) of some rows, as strace prints calls.

        "" if a side has no call. Two lines that look the same are extended by what differs and is not shown.
        """
        sides = []
        for trace, side in ((self.a, self.left), (self.b, self.right)):
            wanted = [int(side[row]) for row in rows if side[row] >= 0]
            made = iter("".join(blocks(_pick(trace, np.array(wanted, "<i8")), _STYLE)).splitlines())
            sides.append([next(made) if side[row] >= 0 else "" for row in rows])
        found = []
        for row, first, second in zip(rows, *sides, strict=True):
            kind = int(self.kinds[row])
            if kind == ChangeKind.CHANGED and first == second:
                first, second = self._beyond(row, first, second)
            found.append((kind, first, second))
        return found

    def _texts(self, rows: list[int]) -> list[tuple[int, str, str]]:
        found = self.lines(rows)
        out: list[tuple[int, str, str]] = []
        for (kind, x, y), run in groupby(found):  # a loop that ran more often is one line
            more = len(list(run)) - 1
            out.append((kind, x, y))
            if more > 2:
                note = f"... {more:,} more like it"
                out.append((kind, note if x else "", note if y else ""))
            else:
                out += [(kind, x, y)] * more
        return out

    def _beyond(self, row: int, first: str, second: str) -> tuple[str, str]:
        """Two lines that look the same, extended by the difference that they do not show: rights, or later bytes."""
        verbose = ["".join(blocks(event.trace.at(event.row), _VERBOSE)).rstrip("\n") for event in self._events(row)]
        if verbose[0] != verbose[1]:
            return verbose[0], verbose[1]
        sides = [event.data for event in self._events(row)]
        at = next((k for k, (x, y) in enumerate(zip(*sides, strict=False)) if x != y), min(map(len, sides)))
        notes = [f" (from byte {at}: {clipped(data[at:], 24)})" for data in sides]
        return first + notes[0], second + notes[1]

    def text(
        self, width: int = 160, context: int = CONTEXT, limit: int = SHOWN, palette: Palette = PLAIN
    ) -> str:
        """Two aligned columns: `<` removed, `>` added, `|` changed. Long lines are cut where both are equal."""
        half = max((width - 3) // 2, 10)
        out = [palette("heading", self.headline())]
        shown = 0
        for run in self._hunks(context, limit):
            out.append(palette("note", f"@@ call {_at(self.left, run)} | call {_at(self.right, run)} @@"))
            shown += int(np.count_nonzero(self.kinds[run]))
            for kind, left, right in self._texts(run):
                if kind == ChangeKind.CHANGED:
                    left, right = _cut_alike(left, right, half)
                out.append(_side_by_side(kind, _cut(left, half), _cut(right, half), half, palette))
        if shown < len(self):
            out.append(f"... {counted(len(self) - shown, 'more difference')}")
        return "\n".join([*out, *self.remarks()])

    def remarks(self) -> list[str]:
        """The text below the rows: changed durations, notes on calls, and what was compared."""
        return [*self._shifts(), *self._notes(), self.compared()]

    def _shifts(self) -> list[str]:
        shifted = [one for one in self.latency if one.calls >= 10 and not 0.5 < one.ratio < 2]
        return [
            f"{one.call}: median time {duration(one.before)} -> {duration(one.after)} ({counted(one.calls, 'call')})"
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
                marked = _marked(left, right) if kind == ChangeKind.CHANGED else (_breakable(left), _breakable(right))
                cells = "".join(
                    f'<td width="50%" style="{_CELL}{_SHADE[kind] if text else ""}" dir="ltr">{text}</td>'
                    for text in marked
                )
                body.append(f'<tr title="{ChangeKind(kind).name.lower()}">{cells}</tr>')
        notes = self.remarks()
        if shown < len(self):
            notes.insert(0, counted(len(self) - shown, 'more difference'))
        table = f'<table width="100%" style="table-layout:fixed;width:100%"><tbody>{"".join(body)}</tbody></table>'
        return f"<p>{html.escape(self.headline())}</p>{table}{notes_html(notes)}"


_CELL = (
    "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;word-wrap:break-word;"
    "font-family:monospace;"
)
"""`word-wrap` is the older name, which a notebook that is not trusted keeps."""
_SHADE: dict[int, str] = {
    ChangeKind.SAME: "opacity:.65;",
    ChangeKind.CHANGED: "",
    ChangeKind.REMOVED: "background:rgba(220,40,60,.18);",
    ChangeKind.ADDED: "background:rgba(30,160,80,.18);",
}
_MARK = "background:rgba(255,180,0,.35)"
"""The style of words that differ."""
_REMOVED: TextStyle = "error"
_ADDED: TextStyle = "good"
_WORD = re.compile(r"\w+|\W")


def _holds(rows: Array, row: int) -> bool:
    """Whether the sorted `rows` contain a row."""
    at = int(np.searchsorted(rows, row))
    return at < len(rows) and int(rows[at]) == row


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _shares_a_call(a: Calls, b: Calls) -> bool:
    """Whether a function was called in both."""
    names = [{t.functions.names[number] for number in np.unique(t.column("call")).tolist()} for t in (a, b)]
    return bool(names[0] & names[1])


def _keys(a: Calls, b: Calls, by: str = "call") -> tuple[Array, Array]:
    """A number for the identity of each call: its name (or operation) and its path."""
    ids: dict[str, int] = {}
    keys = []
    for trace in (a, b):
        table = np.array([ids.setdefault(full, len(ids)) for full, _ in trace.store.targets], "<i8")
        functions = np.array([ids.setdefault(name, len(ids)) for name in _kinds(trace, by)], "<i8")
        keys.append(table[trace.target_ids] << 32 | functions[trace.column("call")])
    return keys[0], keys[1]


def _kinds(trace: Calls, by: str) -> Sequence[str]:
    """The name or operation of each of the 256 numbers of functions."""
    if by != BY_OPERATION:
        return trace.functions.names
    return [f"operation {operation}" for operation in trace.functions.operations]


def _rows(ia: Array, ib: Array, n: int, m: int) -> tuple[Array, Array]:
    """The matches, and everything between them, as rows in order: removed calls before added ones."""
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


def _pick(trace: Some, indices: Array) -> Some:
    mask = np.zeros(len(trace), bool)
    mask[indices] = True
    return trace.select(mask)


def _at(side: Array, run: list[int]) -> str:
    present = [int(side[row]) for row in run if side[row] >= 0]
    return f"{present[0]:,}" if present else "-"


def _changes(first: str, second: str) -> list[tuple[bool, str, str]]:
    """The parts of two lines, word by word: (whether they differ, text of the first, text of the second)."""
    words = _WORD.findall(first), _WORD.findall(second)
    matcher = difflib.SequenceMatcher(None, *words, autojunk=False)
    return [
        (tag != "equal", "".join(words[0][i1:i2]), "".join(words[1][j1:j2]))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
    ]


def _side_by_side(kind: int, left: str, right: str, half: int, palette: Palette) -> str:
    """One row of two columns; differences have the colour of their side."""
    blank = " " * (half - len(left))
    if kind == ChangeKind.CHANGED and palette.colors:
        parts = _changes(left, right)
        left = "".join(palette(_REMOVED, text) if differs else text for differs, text, _ in parts)
        right = "".join(palette(_ADDED, text) if differs else text for differs, _, text in parts)
    elif kind == ChangeKind.SAME:
        left, right = palette("faint", left), palette("faint", right)
    else:
        left, right = palette(_REMOVED, left), palette(_ADDED, right)
    return f"{left}{blank} {' |<>'[kind]} {right}".rstrip()


def _marked(first: str, second: str) -> tuple[str, str]:
    """Two lines as HTML, with the words marked that differ."""

    def side(differs: bool, text: str) -> str:
        return f'<b style="{_MARK}">{_breakable(text)}</b>' if differs and text else _breakable(text)

    changes = _changes(first, second)
    return "".join(side(d, x) for d, x, _ in changes), "".join(side(d, y) for d, _, y in changes)


def _breakable(text: str) -> str:
    """Text as HTML that can be wrapped at a `|`, a slash or a comma, even where styles are removed."""
    return re.sub(r"([|/,])(?=\S)", r"\1<wbr>", html.escape(visible(text)))


_KEPT_AROUND = 12
"""Characters kept on each side of a common part of two long lines."""


def _cut_alike(first: str, second: str, width: int) -> tuple[str, str]:
    """Two lines, cut where both are equal until both fit, as far as possible."""
    if max(len(first), len(second)) <= width:
        return first, second
    changes = _changes(first, second)
    name = first.find("(") + 1
    out: list[tuple[str, str]] = []
    for position, (differs, x, y) in enumerate(changes):
        before = name if position == 0 else _KEPT_AROUND
        after = 0 if position == len(changes) - 1 else _KEPT_AROUND
        if differs or len(x) <= before + after + 3:
            out.append((x, y))
        else:
            cut = x[:before] + "..." + x[len(x) - after :]
            out.append((cut, cut))
    return "".join(x for x, _ in out), "".join(y for _, y in out)


def _cut(text: str, width: int) -> str:
    """At most `width` characters: the arguments are cut first, since the outcome differs."""
    if len(text) <= width:
        return text
    at = text.rfind(") = ")
    outcome = text[at:] if at >= 0 else ""
    if len(outcome) > width // 2:
        outcome = outcome[: width // 2 - 3] + "..."
    room = width - len(outcome)
    return text[:at] + outcome if 0 <= at <= room else text[: room - 3] + "..." + outcome
