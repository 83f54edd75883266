"""One call of a trace as a Python object, decoded on demand.

For: `trace[i]` and iteration. Arguments and results are typed by the table of calls: flags and enums as their classes,
descriptors as `Fd` (an int that knows its path), paths as str, data as bytes. Not for: many calls (use columns).
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from functools import cached_property
from typing import Any

import numpy as np

from ...capabilities.refusal import DeniedBy, Need
from ...text.escape import visible
from ...wasi import types as t
from ...wasi.preview1 import signature as sig
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES, KNOWN_ERRNOS, Batch, Field, bytes_moved
from ..columns.records import Array
from ..columns.store import reason_of, text_of
from ..record.layout import DID_NOT_RETURN, Flag
from ..strace.lines import CallWriter, blocks
from ..strace.style import STRING_BYTES, Style


class Fd(int):
    """A descriptor number with the path under which it was opened ("" if the number was not open)."""

    path: str

    def __new__(cls, number: int, path: str = "") -> Fd:
        self = super().__new__(cls, number)
        self.path = path
        return self

    def __repr__(self) -> str:
        return f"{int(self)}<{visible(self.path)}>" if self.path else str(int(self))


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame of the guest's stack."""

    function: str
    offset: int
    """Offset in the module's bytes."""
    file: str | None = None
    line: int = 0


@dataclass(frozen=True)
class CallEvent:
    """One WASI call. Times in ns since the run's start, `dur` in ns, `nbytes` in bytes."""

    trace: Calls = field(repr=False)
    row: int
    """Row of the trace's store."""

    @cached_property
    def _record(self) -> np.void:
        part, index = self.trace.store.locate(self.row)
        record: np.void = part.records[index]
        return record

    @cached_property
    def _batch(self) -> Batch:
        part, index = self.trace.store.locate(self.row)
        plan = self.trace.store.plan(int(self._record["call"]), bool(self.flags & Flag.UNSTABLE))
        return Batch(part, np.array([index]), plan)

    @property
    def seq(self) -> int:
        """Its number in the run, from 0; dropped calls are counted."""
        part, index = self.trace.store.locate(self.row)
        return int(part.numbers(np.array([index]))[0])

    @property
    def name(self) -> str:
        """`path_open`, ..."""
        return self._batch.plan.name

    @property
    def family(self) -> str:
        """`path`, `fd`, ..."""
        return self._batch.plan.family

    @property
    def t_start(self) -> int:
        """When it was entered."""
        return int(self._record["t_start"])

    @property
    def dur(self) -> int:
        """How long it took."""
        return int(self._record["dur"])

    @property
    def errno(self) -> t.Errno | int | None:
        """Its errno (`Errno.SUCCESS` for success; an int where WASI names none); None if it did not return."""
        number = int(self._record["errno"])
        if number == DID_NOT_RETURN:
            return None
        return KNOWN_ERRNOS.get(number, number)

    @property
    def errno_name(self) -> str:
        """`ENOENT`, "" for success, "?" if it did not return."""
        return ERRNO_NAMES[int(self._record["errno"])]

    @property
    def denied_by(self) -> DeniedBy | int:
        """The part of the capability system that refused it."""
        number = int(self._record["denied_by"])
        return DeniedBy(number) if number <= max(DeniedBy) else number

    @property
    def reason(self) -> str:
        """Why it was refused, as a sentence, or ""."""
        return reason_of(self._batch.part, int(self._record["payload"])).text

    @property
    def need(self) -> Need | None:
        """What would have allowed it; None if no grant would have, or if it was not refused."""
        return reason_of(self._batch.part, int(self._record["payload"])).need

    @property
    def flags(self) -> Flag:
        """Injected, truncated, ..."""
        return Flag(int(self._record["flags"]))

    @property
    def tid(self) -> int:
        """The guest thread that made it."""
        return int(self._record["tid"])

    @property
    def instance(self) -> int:
        """The instance of the run that made it."""
        return int(self._record["instance"])

    @property
    def path(self) -> str:
        """The full path that it acted on, or ""."""
        return self.trace.store.target(self.row)[0]

    @property
    def fd(self) -> Fd | None:
        """Its first descriptor argument, if it has one."""
        for one in self._batch.plan.params:
            if one.kind == sig.FD:
                return self._fd(one, self._batch.values(one)[0])
        return None

    @property
    def nbytes(self) -> int:
        """Bytes that it read or wrote."""
        records = self._batch.records
        functions = self.trace.store.functions
        moved = bytes_moved(records["call"], records["errno"], records["result"], lambda: records["args"], functions)
        return int(moved[0])

    @property
    def data(self) -> bytes:
        """The bytes that it read or wrote, as far as the trace kept them (see `truncated`)."""
        return self._batch.data[0] if self._batch.has_payload[0] else b""

    @property
    def truncated(self) -> bool:
        """Whether some of its bytes were not kept."""
        return bool(self.flags & Flag.TRUNCATED)

    @cached_property
    def args(self) -> dict[str, Any]:
        """Its parameters by name; None for one that the trace does not have (an unreadable pointer, a failed read)."""
        return {one.name: self._typed(one, self._batch.values(one)[0]) for one in self._batch.plan.params}

    @cached_property
    def result(self) -> dict[str, Any]:
        """Its results by name; {} unless it succeeded."""
        if int(self._record["errno"]):
            return {}
        found = {one.name: self._typed(one, self._batch.results(one)[0]) for one in self._batch.plan.results}
        return {
            name: Fd(value, self._opened(value)) if one.type.name == "fd" and value is not None else value
            for one, (name, value) in zip(self._batch.plan.results, found.items(), strict=True)
        }

    def argument_texts(self, strings: int = STRING_BYTES) -> list[tuple[str, str]]:
        """(name, value as strace writes it) of each parameter; of a buffer at most `strings` bytes."""
        return self._texts(Style(strings=strings, verbose=True)).arguments(self._batch)

    def result_texts(self, strings: int = STRING_BYTES) -> list[tuple[str, str]]:
        """The same for each result; "?" if the trace does not have it."""
        return self._texts(Style(strings=strings, verbose=True)).results(self._batch)

    def _texts(self, style: Style) -> CallWriter:
        return CallWriter(self.trace.store, style)

    @property
    def stack_id(self) -> int:
        """The number of the guest's stack, 0 if it was not taken."""
        return int(self._record["stack"])

    @property
    def stack(self) -> list[StackFrame]:
        """The guest's stack at the call, innermost frame first; [] if it was not taken."""
        return [StackFrame(*frame) for frame in self.trace.store.stack(self.stack_id)]

    @property
    def notes(self) -> list[str]:
        """The user's notes on it."""
        return [text for first, last, text in self.trace.notes if first <= self.seq <= last]

    def _opened(self, fd: int) -> str:
        life = self.trace.store.life_index.at(fd, self.seq, self._batch.part, opened=True)
        return "" if life is None else text_of(life.path)

    def _fd(self, one: Field, number: int) -> Fd:
        lives, part = self.trace.store.life_index, self._batch.part
        life = lives.at(number, self.seq, part) if one.order else lives.get(int(self._record["handle"]), part)
        return Fd(number, "" if life is None else text_of(life.path))

    def _typed(self, one: Field, value: Any) -> Any:
        if value is None:
            return None
        if one.kind == sig.FD:
            return self._fd(one, value)
        if one.kind == sig.STRING:
            return text_of(value)
        python = one.type.python
        if python is None or not isinstance(value, int):
            return value
        if issubclass(python, IntFlag):
            return python(value) if len(python) else value  # a flags class without members makes no value (Siflags)
        return _enum(python, value)

    def text(self) -> str:
        """Its line of `Trace.text()` without thread and time."""
        return "".join(blocks(self.trace.at(self.row), Style(pid=False, time="none"))).rstrip("\n")

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(self.text())}</code>"


def events(trace: Calls) -> Iterator[CallEvent]:
    """The calls one by one."""
    for row in range(trace.store.n) if trace.rows is None else trace.rows.tolist():
        yield CallEvent(trace, row)


def data_of(trace: Calls, rows: Array) -> list[bytes]:
    """`CallEvent.data` of the calls at some positions of a trace, decoded together."""
    rows = rows if trace.rows is None else trace.rows[rows]
    order = np.argsort(rows, kind="stable")
    found = [b""] * len(rows)
    for part, index, at in trace.store.batches(rows[order]):
        records = part.records[index]
        keys = records["call"].astype("<u2") | ((records["flags"] & int(Flag.UNSTABLE)) << 8)
        for key in np.flatnonzero(np.bincount(keys)).tolist():  # np.unique would import numpy.ma: 27 ms
            chosen = np.flatnonzero(keys == key)
            how = trace.store.plan(key & 0xFF, bool(key >> 8))
            batch = Batch(part, index[chosen], how, records[chosen])
            has = batch.has_payload.tolist()
            for place, data, kept in zip(order[at[chosen]].tolist(), batch.data, has, strict=True):
                found[place] = data if kept else b""
    return found


def _enum(kind: type[IntEnum], value: int) -> int:
    try:
        return kind(value)
    except ValueError:
        return value
