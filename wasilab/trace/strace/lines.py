"""Formats a trace as strace would print it.

    1 1700000000.123456 path_open(fd=3</data>, path="a.txt", ...) = 0 {fd=4</data/a.txt>} <0.000041>
    1 1700000000.123900 path_open(...) = -1 ENOTCAPABLE (Capabilities insufficient) (DENIED: why) <0.000020>

For: `Trace.text()`, `--strace`, the `.strace` export. The text is an interface (golden tests): one line per call, no
banner, the thread first, epoch seconds with six digits. Lines are made column by column, because a trace may have a
million of them. Not for: single values (`values.py`) or selecting calls (`query.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import add

import numpy as np

from ...capabilities.refusal import DeniedBy
from ...text.escape import visible
from ...wasi.components.error_names import shown
from ...wasi.library import LIBRARY_LOOKUP
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES, ERRNO_TEXTS, Batch, Field, Plan
from ..columns.part import Part
from ..columns.records import Array
from ..columns.store import Store, reason_of
from ..record.layout import DID_NOT_RETURN, Flag
from . import arguments
from .pieces import Piece, distinct, numbered, texts
from .stamps import after, before
from .style import Style
from .values import UNKNOWN, path_text

_MARKS = (
    (int(Flag.NOSYS), " (NOT PROVIDED)"),
    (int(Flag.INJECTED), " (INJECTED)"),
    (int(Flag.OVERRIDE), " (OVERRIDDEN)"),
    (int(Flag.ASKED), " (ASKED)"),
)


def lines(trace: Calls, style: Style) -> Iterator[list[str]]:
    """The lines of the calls in order, a few thousand at a time."""
    for columns in _columns(trace, style):
        some = [column for column in columns if column]
        yield some[0] if len(some) == 1 else list(map("".join, zip(*some, strict=True)))


def blocks(trace: Calls, style: Style, *, guarded: bool = False) -> Iterator[str]:
    """The same lines as text, each with a line end.

    `guarded`: no argument contains `) =`, which readers of strace text treat as the end of the arguments.
    """
    for heads, bodies, tails in _columns(trace, style, "\n", guarded):
        pieces = [""] * (3 * len(bodies))
        if heads:
            pieces[0::3] = heads
        pieces[1::3] = bodies
        pieces[2::3] = tails or ["\n"] * len(bodies)
        yield "".join(pieces)


def _columns(
    trace: Calls, style: Style, end: str = "", guarded: bool = False
) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """The three parts of the lines, a few thousand at a time: before the call, the call, after it.

    An empty list means that the lines have no such part. `end` is appended to the last part, if there is one.
    """
    store = trace.store
    writer = CallWriter(store, style)
    notes = _notes(trace) if style.notes and store.notes else {}
    epoch = int(store.meta.get("start_epoch_ns", 0))
    previous: int | None = None
    for part, index, _ in store.batches(trace.rows):
        records = part.rows(index)
        bodies = writer.bodies(part, index, records)
        if guarded and _ends_early("\n".join(bodies), len(bodies)):
            bodies = CallWriter(store, style, guarded=True).bodies(part, index, records)
        if notes:
            _add_notes(bodies, part.numbers(index).tolist(), notes)
        starts = records["t_start"].astype("<i8")
        if style.time == "relative":
            times = np.diff(starts, prepend=starts[0] if previous is None else previous)
            previous = int(starts[-1])
        else:
            times = starts + epoch if style.time == "epoch" else starts
        heads = before(records["tid"] if style.pid else None, None if style.time == "none" else times)
        if store.instances:
            heads = _named(store.instances, records["instance"].tolist(), heads)
        tails = after(records["dur"].astype("<i8"), "" if style.stacks else end) if style.durations else []
        if style.stacks:
            stacks = [stack_text(store, number) + end for number in records["stack"].tolist()]
            tails = list(map(add, tails, stacks)) if tails else stacks
        yield heads, bodies, tails


def _named(instances: list[str], numbers: list[int], heads: list[str]) -> list[str]:
    """The heads of the lines of a merged trace, each with the name of the instance that made the call."""
    width = max(map(len, instances))
    names = [f"[{visible(name):{width}}] " for name in instances]
    named = [names[number] if number < len(names) else f"[{number}] " for number in numbers]
    return list(map(add, heads, named)) if heads else named


class CallWriter:
    """Writes `name(arguments) = result` for the calls of one trace."""

    def __init__(self, store: Store, style: Style, *, guarded: bool = False) -> None:
        self.store = store
        self.style = style
        self.guarded = guarded

    def arguments(self, batch: Batch) -> list[tuple[str, str]]:
        """(name, text) of each parameter of the only call of a batch."""
        style = self.style
        return [
            (field.name, texts(arguments.parameter(batch, field, style.strings, self.fds, style.verbose), 1)[0])
            for field in batch.plan.params
        ]

    def results(self, batch: Batch) -> list[tuple[str, str]]:
        """(name, text) of each result of the only call of a batch."""
        return [(field.name, texts(self._result(batch, field), 1)[0]) for field in batch.plan.results]

    def bodies(self, part: Part, index: Array, records: Array) -> list[str]:
        keys = records["call"].astype("<u4") | records["errno"].astype("<u4") << 8
        keys |= (records["flags"] & int(Flag.UNSTABLE)).astype("<u4") << 16
        few = distinct(keys)
        codes, kinds = few if few is not None else np.unique(keys, return_inverse=True)[::-1]
        if len(kinds) == 1:
            return self._calls(Batch(part, index, self._plan(int(kinds[0]))), int(kinds[0]))
        order = np.argsort(codes, kind="stable")
        index, records = index[order], records[order]
        made: list[str] = []
        for key, count in zip(kinds.tolist(), np.bincount(codes).tolist(), strict=True):
            some = slice(len(made), len(made) + count)
            made += self._calls(Batch(part, index[some], self._plan(key), records[some]), key)
        out = np.empty(len(index), object)
        out[order] = made
        found: list[str] = out.tolist()
        return found

    def _plan(self, key: int) -> Plan:
        return self.store.plan(key & 0xFF, bool(key >> 16))

    def _calls(self, batch: Batch, key: int) -> list[str]:
        """Calls of one kind that ended with the same errno."""
        style = self.style
        name = batch.plan.name
        pieces: list[Piece] = [f"{name}("]
        verbose = style.verbose or name == "fd_fdstat_set_rights"  # here the rights matter
        for i, field in enumerate(batch.plan.params):
            if not verbose and field.name == "fs_rights_inheriting":
                pieces += arguments.inheriting(batch, field)
                continue
            pieces.append(f", {field.name}=" if i else f"{field.name}=")
            made = arguments.parameter(batch, field, style.strings, self.fds, verbose)
            pieces += [[_guard(text) for text in texts(made, batch.n)]] if self.guarded else made
        pieces.append(") = ")
        errno = key >> 8 & 0xFF
        failed = _FAILED_COMPONENT if batch.plan.module.startswith("wasi:") else _FAILED
        pieces += [failed[errno]] if errno else self._succeeded(batch)
        if key & 0xFF == LIBRARY_LOOKUP.number:
            pieces.append(" (NO WASI CALL)")
        marked = (batch.records["flags"] & _SHOWN_FLAGS) | batch.records["denied_by"]
        if marked.any():
            marks = [""] * batch.n
            for i in np.flatnonzero(marked).tolist():
                marks[i] = self._marks(batch.part, batch.records[i])
            pieces.append(marks)
        return texts(pieces, batch.n)

    def _succeeded(self, batch: Batch) -> list[Piece]:
        pieces: list[Piece] = ["0"]
        for i, field in enumerate(batch.plan.results):
            pieces += [f", {field.name}=" if i else f" {{{field.name}=", *self._result(batch, field)]
        return [*pieces, "}"] if batch.plan.results else pieces

    def _marks(self, part: Part, record: np.void) -> str:
        flags = int(record["flags"])
        end = "".join(mark for flag, mark in _MARKS if flags & flag)
        denied_by = int(record["denied_by"])
        if denied_by:
            reason = reason_of(part, int(record["payload"])).text
            end += f" (DENIED: {visible(reason) or denied_name(denied_by)})"
        return end

    def _result(self, batch: Batch, field: Field) -> list[Piece]:
        if field.type.name != "fd" or not self.style.fd_paths:
            return arguments.result(batch, field, self.style.verbose)
        seqs = batch.part.numbers(batch.index).tolist()
        fds = zip(batch.results(field), seqs, strict=True)
        return [[UNKNOWN if fd is None else self._fd_at(batch.part, fd, seq, opened=True) for fd, seq in fds]]

    def fds(self, batch: Batch, field: Field) -> Piece:
        """A descriptor parameter: `3</data>`, its path taken when the call was made."""
        numbers = batch.word(field.word).astype("<i4")
        if not self.style.fd_paths:
            return numbered(numbers, str)
        if field.order:
            seqs = batch.part.numbers(batch.index).tolist()
            return [self._fd_at(batch.part, fd, seq) for fd, seq in zip(numbers.tolist(), seqs, strict=True)]
        handles = batch.records["handle"]
        few = distinct(handles)
        if few is None:
            return [self._fd(batch.part, *pair) for pair in zip(handles.tolist(), numbers.tolist(), strict=True)]
        codes, lives = few
        numbers = numbers.astype("<i8")
        low = int(numbers.min())
        known = lives.tolist()
        width = len(known)
        return numbered(
            (numbers - low) * width + codes, lambda pair: self._fd(batch.part, known[pair % width], pair // width + low)
        )

    def _fd(self, part: Part, handle: int, fd: int) -> str:
        life = self.store.life_index.get(handle, part)
        return str(fd) if life is None else fd_text(fd, life.path)

    def _fd_at(self, part: Part, fd: int, seq: int, opened: bool = False) -> str:
        life = self.store.life_index.at(fd, seq, part, opened=opened)
        return str(fd) if life is None else fd_text(fd, life.path)


_END = re.compile(r"\)(?=\s*=)")


def _ends_early(lines: str, count: int) -> bool:
    """Whether some of `count` lines may hold the end of its arguments, `) =`, more than once."""
    return lines.count(") =") != count or ")=" in lines or ")  " in lines


def _guard(argument: str) -> str:
    return _END.sub(r"\\x29", argument)


_SHOWN_FLAGS = sum(flag for flag, _ in _MARKS)
_FAILED = [f"-1 {name} ({text})" for name, text in zip(ERRNO_NAMES, ERRNO_TEXTS, strict=True)]
_FAILED[DID_NOT_RETURN] = "?"
_FAILED_COMPONENT = ["?" if number == DID_NOT_RETURN else f"err {shown(number)}" for number in range(256)]
"""The error code of a failed call of WASI 0.2 or 0.3, by its own name."""


def fd_text(fd: int, path: bytes) -> str:
    """`3</data>`; a standard stream's own brackets are not doubled."""
    name = path_text(path)
    return f"{fd}{name}" if name.startswith("<") and name.endswith(">") else f"{fd}<{name}>"


def denied_name(number: int) -> str:
    """What refused the call, for a refusal without a reason."""
    try:
        return DeniedBy(number).name.lower()
    except ValueError:
        return f"refused ({number})"


def stack_text(store: Store, number: int) -> str:
    """The guest's stack as separate lines, innermost frame first."""
    out = []
    for function, offset, file, line in store.stack(number):
        where = f" at {visible(file)}:{line}" if file else ""
        out.append(f"\n > {visible(function) or '?'}(){where} [{offset:#x}]")
    return "".join(out)


def _notes(trace: Calls) -> dict[int, str]:
    """Call -> its notes. A note on a span of calls is put at the first one that is shown."""
    found: dict[int, str] = {}
    seqs = trace.column("seq")
    for first, last, text in trace.notes:
        note = visible(f"{text} (until call {last})" if last != first else text)
        at = int(np.searchsorted(seqs, first))
        if at < len(seqs) and seqs[at] <= last:
            shown = int(seqs[at])
            found[shown] = f"{found[shown]}; {note}" if shown in found else note
    return found


def _add_notes(body: list[str], seqs: list[int], notes: dict[int, str]) -> None:
    for i, seq in enumerate(seqs):
        if seq in notes:
            body[i] += f" /* {notes[seq].replace('*/', '* /')} */"
