"""A trace as strace would print it.

    1 1700000000.123456 path_open(fd=3</data>, path="a.txt", ...) = 0 {fd=4</data/a.txt>} <0.000041>
    1 1700000000.123900 path_open(...) = -1 ENOTCAPABLE (Capabilities insufficient) (DENIED: why) <0.000020>

For: `Trace.text()`, `--strace`, the `.strace` export. The text is an interface (golden tests): one line a call, no
banner, the thread first, epoch seconds with six digits. Lines are made a column at a time, because a million of them
are asked for. Not for: single values (`show.py`) or choosing calls (`query.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from ..capabilities.refusal import DeniedBy
from . import show
from .container import Part
from .decode import ERRNO_NAMES, ERRNO_TEXTS, Batch, Field, Plan, call_name, plan
from .layout import DID_NOT_RETURN, Flag
from .store import Store, reason_of

if TYPE_CHECKING:
    from .trace import Trace

Array = np.ndarray[Any, Any]
Time = Literal["epoch", "relative", "run", "none"]


@dataclass(frozen=True, slots=True)
class Style:
    """What a line shows, with the letters of strace's options."""

    pid: bool = True
    """The thread's number first (-f)."""
    time: Time = "epoch"
    """"epoch" seconds (-ttt), "relative" to the previous call shown (-r), "run": since the run's start, or "none"."""
    durations: bool = True
    """Seconds spent in the call, in angle brackets (-T)."""
    fd_paths: bool = True
    """Descriptors with the path they were opened as (-y)."""
    stacks: bool = False
    """The guest's stack under each call (-k)."""
    strings: int = show.STRING_BYTES
    """Bytes of data shown a buffer (-s)."""
    verbose: bool = False
    """All rights by name, not only the telling ones (-v)."""
    notes: bool = True
    """Notes, as comments."""

    def __post_init__(self) -> None:
        if self.time not in get_args(Time):
            raise ValueError(f"time={self.time!r} is not a time; it is one of {', '.join(map(repr, get_args(Time)))}")

    @classmethod
    def of(cls, options: StyleOptions) -> Style:
        """The style that keyword arguments name; TypeError names a wrong one and the right ones."""
        wrong = sorted(set(options) - set(cls.__dataclass_fields__))
        if wrong:
            raise TypeError(f"text has no option {wrong[0]!r}; it has {', '.join(cls.__dataclass_fields__)}")
        return cls(**options)


class StyleOptions(TypedDict, total=False):
    """The fields of `Style` as keyword arguments, so that a type checker knows a wrong one at the caller."""

    pid: bool
    time: Time
    durations: bool
    fd_paths: bool
    stacks: bool
    strings: int
    verbose: bool
    notes: bool


_MARKS = (
    (int(Flag.NOSYS), " (NOT PROVIDED)"),
    (int(Flag.INJECTED), " (INJECTED)"),
    (int(Flag.OVERRIDE), " (OVERRIDDEN)"),
    (int(Flag.ASKED), " (ASKED)"),
)


def lines(trace: Trace, style: Style) -> Iterator[list[str]]:
    """The lines of a trace's calls, in order, some thousands at a time."""
    store = trace.store
    writer = _Writer(store, style)
    notes = _notes(trace) if style.notes and store.notes else {}
    epoch = int(store.meta.get("start_epoch_ns", 0))
    previous: int | None = None
    for part, index, _ in store.batches(trace.rows):
        records = part.records[index]
        body = writer.bodies(part, index, records)
        starts = records["t_start"]
        if notes:
            _add_notes(body, part.numbers(index).tolist(), notes)
        if style.time == "epoch":
            times = decimals(starts.astype("<i8") + epoch)
        elif style.time == "run":
            times = decimals(starts.astype("<i8"))
        elif style.time == "relative":
            before = starts[0] if previous is None else previous
            times = decimals(np.diff(starts.astype("<i8"), prepend=np.int64(before)))
            previous = int(starts[-1])
        else:
            times = []
        tids = records["tid"].tolist() if style.pid else []
        durations = decimals(records["dur"].astype("<i8")) if style.durations else []
        found = _assembled(tids, times, body, durations)
        if style.stacks:
            found = [
                line + stack_text(store, number)
                for line, number in zip(found, records["stack"].tolist(), strict=True)
            ]
        yield found


def _assembled(tids: list[int], times: list[str], body: list[str], durations: list[str]) -> list[str]:
    """`tid time body <duration>`; an empty list leaves its part out."""
    if tids and times and durations:  # the common case in one go
        return [f"{p} {t} {b} <{d}>" for p, t, b, d in zip(tids, times, body, durations, strict=True)]
    if times:
        body = [f"{t} {b}" for t, b in zip(times, body, strict=True)]
    if tids:
        body = [f"{p} {b}" for p, b in zip(tids, body, strict=True)]
    if durations:
        body = [f"{b} <{d}>" for b, d in zip(body, durations, strict=True)]
    return body


def decimals(ns: Array) -> list[str]:
    """Nanoseconds as decimal seconds with six digits, rounded down; negative ones (a clock set back) as 0."""
    us = np.maximum(ns, 0) // 1000
    if not len(us):
        return []
    whole = int(us.max()) // 1_000_000
    width = len(str(whole))
    if width > 1 and int(us.min()) // 1_000_000 < 10 ** (width - 1):  # integer parts of different widths
        return [f"{v // 1_000_000}.{v % 1_000_000:06d}" for v in us.tolist()]
    digits = np.empty((len(us), width + 7), "<u4")
    digits[:, width] = ord(".")
    for column in (*range(width + 6, width, -1), *range(width - 1, -1, -1)):
        rest = us // 10
        digits[:, column] = us - rest * 10 + 48
        us = rest
    texts: list[str] = digits.view(f"<U{width + 7}").ravel().tolist()
    return texts


class _Writer:
    """Writes `name(arguments) = result` for the calls of one trace."""

    def __init__(self, store: Store, style: Style) -> None:
        self.store = store
        self.style = style
        self._fds: dict[int, str] = {}
        self._by_number: dict[int, list[Any]] | None = None

    def bodies(self, part: Part, index: Array, records: Array) -> list[str]:
        keys = records["call"].astype("<u2") | ((records["flags"] & int(Flag.UNSTABLE)) << 8)
        out = np.empty(len(index), object)
        for key in np.unique(keys).tolist():
            chosen = np.flatnonzero(keys == key)
            out[chosen] = self._calls(Batch(part, index[chosen], plan(key & 0xFF, bool(key >> 8))), key & 0xFF)
        found: list[str] = out.tolist()
        return found

    def _calls(self, batch: Batch, number: int) -> list[str]:
        how = batch.plan
        style = self.style
        columns = [show.parameter(batch, field, style.strings, self.fds, style.verbose) for field in how.params]
        names = ", ".join(f"{field.name}=%s" for field in how.params)
        ends = self._ends(batch, how)
        return list(map(f"{call_name(number)}({names}) = %s".__mod__, zip(*columns, ends, strict=True)))

    def _ends(self, batch: Batch, how: Plan) -> list[str]:
        if how.results:
            columns = [self._result(batch, field) for field in how.results]
            names = ", ".join(f"{field.name}=%s" for field in how.results)
            ends = list(map(f"0 {{{names}}}".__mod__, zip(*columns, strict=True)))
        else:
            ends = ["0"] * batch.n
        records = batch.records
        errnos = records["errno"]
        for i in np.flatnonzero(errnos).tolist():
            ends[i] = _FAILED[errnos[i]]
        marked = (records["flags"] & _SHOWN_FLAGS) | records["denied_by"]
        for i in np.flatnonzero(marked).tolist():
            ends[i] += self._marks(batch.part, records[i])
        return ends

    def _marks(self, part: Part, record: Any) -> str:
        flags = int(record["flags"])
        end = "".join(mark for flag, mark in _MARKS if flags & flag)
        denied_by = int(record["denied_by"])
        if denied_by:
            reason = reason_of(part, int(record["payload"]))
            end += f" (DENIED: {show.plain(reason) or denied_name(denied_by)})"
        return end

    def _result(self, batch: Batch, field: Field) -> list[str]:
        if field.type.name != "fd":
            return show.result(batch, field, self.style.verbose)
        fds = batch.results(field)
        if not self.style.fd_paths:
            return [show.UNKNOWN if fd is None else str(fd) for fd in fds]
        seqs = batch.part.numbers(batch.index).tolist()
        return [
            show.UNKNOWN if fd is None else self._fd_at(fd, seq, opened=True) for fd, seq in zip(fds, seqs, strict=True)
        ]

    def fds(self, batch: Batch, field: Field) -> list[str]:
        """A descriptor parameter: `3</data>`, its path taken when the call was made."""
        numbers = batch.values(field)
        if not self.style.fd_paths:
            return list(map(str, numbers))
        if field.order:
            seqs = batch.part.numbers(batch.index).tolist()
            return [self._fd_at(fd, seq) for fd, seq in zip(numbers, seqs, strict=True)]
        known = self._fds
        handles = batch.records["handle"].tolist()
        try:
            return [known[handle << 32 | fd] for handle, fd in zip(handles, numbers, strict=True)]
        except KeyError:
            return [self._fd(handle, fd) for handle, fd in zip(handles, numbers, strict=True)]

    def _fd(self, handle: int, fd: int) -> str:
        key = handle << 32 | fd
        text = self._fds.get(key)
        if text is None:
            if len(self._fds) > 1 << 18:
                self._fds.clear()
            life = self.store.lives.get(handle)
            text = self._fds[key] = str(fd) if life is None else fd_text(fd, life.path)
        return text

    def _fd_at(self, fd: int, seq: int, opened: bool = False) -> str:
        life = life_at(self.store, fd, seq, opened)
        return str(fd) if life is None else fd_text(fd, life.path)


_SHOWN_FLAGS = sum(flag for flag, _ in _MARKS)
_FAILED = [f"-1 {name} ({text})" for name, text in zip(ERRNO_NAMES, ERRNO_TEXTS, strict=True)]
_FAILED[DID_NOT_RETURN] = "?"


def fd_text(fd: int, path: bytes) -> str:
    """`3</data>`; a standard stream's own brackets are not doubled."""
    name = show.path_text(path)
    return f"{fd}{name}" if name.startswith("<") and name.endswith(">") else f"{fd}<{name}>"


def life_at(store: Store, fd: int, seq: int, opened: bool = False) -> Any:
    """The descriptor life that number `fd` stood for at call `seq` (with `opened`, the one that the call opened)."""
    by_number = store.lives_by_number
    best = None
    for life in by_number.get(fd, ()):
        if life.opened_seq > seq or (life.opened_seq == seq and not opened):
            break
        best = life
    if best is None or (best.closed_seq != -1 and best.closed_seq < seq):
        return None
    return best


def denied_name(number: int) -> str:
    """What refused, for a refusal without a sentence."""
    try:
        return DeniedBy(number).name.lower()
    except ValueError:
        return f"refused ({number})"


def stack_text(store: Store, number: int) -> str:
    """The guest's stack as lines of its own, innermost frame first."""
    out = []
    for function, offset, file, line in store.stack(number):
        where = f" at {show.plain(file)}:{line}" if file else ""
        out.append(f"\n > {show.plain(function) or '?'}(){where} [{offset:#x}]")
    return "".join(out)


def _notes(trace: Trace) -> dict[int, str]:
    """Call -> its notes; that of a span stands at the first of its calls that is shown."""
    found: dict[int, str] = {}
    seqs = trace.column("seq")
    for first, last, text in trace.notes:
        note = show.plain(f"{text} (until call {last})" if last != first else text)
        at = int(np.searchsorted(seqs, first))
        if at < len(seqs) and seqs[at] <= last:
            shown = int(seqs[at])
            found[shown] = f"{found[shown]}; {note}" if shown in found else note
    return found


def _add_notes(body: list[str], seqs: list[int], notes: dict[int, str]) -> None:
    for i, seq in enumerate(seqs):
        if seq in notes:
            body[i] += f" /* {notes[seq].replace('*/', '* /')} */"
