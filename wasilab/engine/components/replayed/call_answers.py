"""Answers the host calls of a component from its recording, without a host.

Each call is compared with the recorded one: the function, and the arguments with all their bytes. The first that
differs ends the guest (`Diverged`). The recording is not trusted: an answer is read by the function's type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....capabilities.waiting import Interrupted
from ....text.escape import visible
from ....text.numbers import counted
from ....trace.record.recorder import Recorder
from ....wasi.components import value_types as v
from ....wasi.components.interfaces import ResultError, WasiFunction
from ....wasi.components.resources import PIECE
from ....wasi.components.waits import Value
from ....wasi.errnos import WasiError
from ....wasi.host import Host
from ....wasi.types import ProcExit, Trap
from ...outcome import EXIT_ERROR, EXIT_INTERRUPT
from ...replay.recorded_calls import ReplayCursor, damaged
from ...stop import EndOfReplay
from .call_log import NO_PARENT, SPLICES, Explain, drop_name, full_name, put_arguments
from .host_call_entries import CallEnd, HostCall, get_cause, pack_call, unpack_calls
from .typed_bytes import Damaged, ValueReader, get_value, value_words

_MOST_PATH = 1 << 14
_WRITES = ("[method]output-stream.write", "[method]output-stream.blocking-write-and-flush")
_ZEROS = ("[method]output-stream.write-zeroes", "[method]output-stream.blocking-write-zeroes-and-flush")
_STREAMS = {"<stdout>": 1, "<stderr>": 2}


class RecordedTrap(Trap):
    """A trap that a host function had raised."""

    def __init__(self, text: str, cause: WasiError | None) -> None:
        super().__init__(text)
        self.cause = cause


class RecordedResource:
    """Stands for a resource of the recorded run: its number, and what the trace says of it."""

    def __init__(self, number: int, path: str, preopen: str | None, filetype: int) -> None:
        self.number = number
        self.path = path
        self.preopen = preopen
        self.filetype = filetype


class RecordedResources:
    """The resources that the guest was given, by number; see `GivenResources`."""

    def __init__(self) -> None:
        self._known: list[RecordedResource] = []

    def put(self, type_: v.OwnType | v.BorrowType, rep: Value, out: bytearray) -> None:
        """Append the number of a resource."""
        out += rep.number.to_bytes(4, "little")

    def get(self, type_: v.OwnType | v.BorrowType, data: ValueReader) -> RecordedResource:
        """Read a resource; the first time that it is given it is made. Raises `Damaged`."""
        number = data.u32()
        if 0 < number <= len(self._known):
            return self._known[number - 1]
        if isinstance(type_, v.BorrowType) or number != len(self._known) + 1:
            raise Damaged(f"there is no resource {number}")
        path = data.text()
        has_preopen, preopen = data.take(1) != b"\0", data.text()
        if max(len(path), len(preopen)) > _MOST_PATH:
            raise Damaged("the path of a resource is too long")
        made = RecordedResource(number, path, preopen if has_preopen else None, data.take(1)[0])
        parent = data.u32()
        if parent != NO_PARENT:
            if parent > len(self._known):
                raise Damaged(f"there is no resource {parent}")
            made.descriptor = self._known[parent - 1] if parent else object()  # type: ignore[attr-defined]
        self._known.append(made)
        return made


class CallAnswers:
    """Answers the calls of one replay. `cursor` is its position, and says where it ends.

    `stop(end)` ends the guest once the call in progress has returned; the session sets it.
    """

    def __init__(self, data: Sequence[bytes | memoryview], cursor: ReplayCursor, recorder: Recorder) -> None:
        self.stop: Callable[[EndOfReplay], None] = lambda end: None
        self._cursor = cursor
        self._recorder = recorder
        self._entries = unpack_calls(data)
        self._resources = RecordedResources()
        try:
            self._next = next(self._entries, None)
        except Damaged as error:
            raise damaged(0, str(error)) from None

    def _damaged(self, error: Damaged) -> EndOfReplay:
        """What ends the guest at a call that no run can have recorded. (A ValueError would become an error code.)"""
        return EndOfReplay("error", EXIT_ERROR, str(damaged(self._cursor.done, str(error))))

    def finish(self) -> None:
        """The guest has ended: count its calls."""
        if not self._cursor.is_stopped and self._cursor.divergence is None:
            self._cursor.done = len(self._recorder)

    # ---- one call

    def _begin(self, name: str, came: bytes, words: Callable[[], str], params: Sequence[tuple[str, v.ValueType]]
               ) -> HostCall:  # fmt: skip
        """The recorded call that answers this one. Raises `EndOfReplay` where the replay ends or
        the program diverges, and `Damaged`."""
        cursor, found = self._cursor, self._next
        cursor.done = len(self._recorder)
        if cursor.until is not None and cursor.done >= cursor.until:
            cursor.is_stopped = True
            raise EndOfReplay("exit", 0, f"stopped before call {cursor.done}, as it was asked to")
        if found is None:
            if cursor.end is not None:
                raise cursor.end
            further = f"the recording has {counted(cursor.count, 'call')}, and the program makes another one"
            raise cursor.part("", words(), further)
        if found.kind is CallEnd.FULL:
            raise EndOfReplay(
                "error", EXIT_ERROR, "the recording reached the trace limit at this call: raise limits.trace"
            )
        if found.kind is CallEnd.HTTP:
            said = "the recorded program called HTTP here, which can be traced but not replayed"
            raise EndOfReplay("error", EXIT_ERROR, f"{said} (call {found.seq}, {visible(found.name)})")
        if found.seq >= cursor.count:
            raise Damaged("the trace does not have this call")
        if found.name != name:
            raise cursor.part(cursor.describe(found.seq), words(), f"it calls {name}, and had called {found.name}")
        if found.arguments != came:
            raise cursor.part(cursor.describe(found.seq), words(), self._difference(found, came, params))
        self._next = next(self._entries, None)
        if self._recorder.host_calls is not None:
            self._recorder.host_calls.append(pack_call(found))
        return found

    def _difference(self, found: HostCall, came: bytes, params: Sequence[tuple[str, v.ValueType]]) -> str:
        """Which argument differs, and how."""
        was, now = ValueReader(found.arguments), ValueReader(came)
        for name, type_ in params:
            before, after = (get_value(type_, data, self._resources) for data in (was, now))
            if before == after:
                continue
            if isinstance(before, bytes) and isinstance(after, bytes):
                pairs = enumerate(zip(before, after, strict=False))
                place = next((at for at, (a, b) in pairs if a != b), min(len(before), len(after)))
                return (
                    f"its argument {name!r} has other bytes: the first that differs is number {place:,}, "
                    f"{after[place : place + 16]!r}, and was {before[place : place + 16]!r} "
                    f"({len(after):,} bytes, and were {len(before):,})"
                )
            return f"its argument {name!r} is {value_words(type_, after)}, and was {value_words(type_, before)}"
        return "its arguments are others"

    def function(self, function: WasiFunction, type_: v.ComponentFuncType, explain: Explain) -> Callable[..., Value]:
        """What answers the calls of this function."""
        name, result = full_name(function), type_.result
        good = result.ok if isinstance(result, v.ResultType) else result
        bad = result.error if isinstance(result, v.ResultType) else None

        def answered(host: Host, *arguments: Value) -> Value:
            def words() -> str:
                named = zip(type_.params, arguments, strict=True)
                return f"{function.name}({', '.join(f'{n}={value_words(t, value)}' for (n, t), value in named)})"

            came = bytes(put_arguments(type_, arguments, self._resources))
            try:
                found = self._begin(name, came, words, type_.params)
                data = ValueReader(found.answer)
                if found.kind is CallEnd.OK:
                    value = None if good is None else get_value(good, data, self._resources)
                    data.end()
                    self._write(function.name, arguments, found)
                    self._answered()
                    return value
                if found.kind is CallEnd.ERROR:
                    if bad is None and not isinstance(result, v.ResultType):
                        raise Damaged("its type has no error")
                    failure = None if bad is None else get_value(bad, data, self._resources)
                    raised: Exception = ResultError(failure, get_cause(data))
                elif found.kind is CallEnd.EXIT:
                    raised = ProcExit(data.u32())
                elif found.kind is CallEnd.TRAP:
                    raised = RecordedTrap(visible(data.text()), get_cause(data))
                else:
                    self.stop(
                        self._cursor.end
                        or EndOfReplay("interrupt", EXIT_INTERRUPT, "the recorded run was stopped here")
                    )
                    raise Interrupted
                data.end()
            except Damaged as error:
                raise self._damaged(error) from None
            self._answered()
            raise raised

        return answered

    def drop(self, resource: str, drop: Callable[[Value], object]) -> Callable[[Value, object], object]:
        """What answers dropping an owned handle."""
        name = drop_name(resource)

        def answered(rep: Value, caller: object) -> None:
            if caller is None:
                return
            came = rep.number.to_bytes(4, "little")
            try:
                self._begin(name, came, lambda: f"{name}({rep.number})", ())
            except Damaged as error:
                raise self._damaged(error) from None
            self._answered()

        return answered

    def _answered(self) -> None:
        """If the recording was ended from outside after this call, end the guest."""
        if self._next is None and self._cursor.end is not None and len(self._recorder) + 1 >= self._cursor.count:
            self.stop(self._cursor.end)

    def _write(self, name: str, arguments: tuple[Value, ...], found: HostCall) -> None:
        """Pass on what the guest wrote to stdout or stderr."""
        stream = _STREAMS.get(arguments[0].path) if arguments and isinstance(arguments[0], RecordedResource) else None
        write = self._cursor.write
        if stream is None or write is None:
            return
        if name in _WRITES:
            write(stream, bytes(arguments[1]))
        elif name in SPLICES:
            if len(found.moved) > PIECE:
                raise Damaged("it moved more than one splice can")
            write(stream, bytes(found.moved))
        elif name in _ZEROS:
            if arguments[1] > PIECE:
                raise Damaged("it wrote more zeros than one call can")
            write(stream, bytes(arguments[1]))
