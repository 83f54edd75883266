"""Records each host call of a component: its arguments before the call, its answer after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from ....trace.record.recorder import Recorder
from ....wasi.components import value_types as v
from ....wasi.components.interfaces import ResultError, WasiFunction
from ....wasi.components.waits import Value
from ....wasi.errnos import WasiError
from ....wasi.host import Host
from ....wasi.types import ProcExit, Trap
from ...stop import EndOfReplay
from .host_call_entries import CallEnd, HostCall, pack_call, put_cause
from .typed_bytes import Damaged, Resources, ValueReader, put_bytes, put_value

NO_PARENT = 0xFFFFFFFF
SPLICES = ("[method]output-stream.splice", "[method]output-stream.blocking-splice")
Explain = Callable[[BaseException, Value], ResultError]
"""The failure of a function for an exception and the first argument; raises the exception if it ends the guest."""


class HostCalls(Protocol):
    """Comes between a component and the host functions: records the calls, or answers them."""

    def function(self, function: WasiFunction, type_: v.ComponentFuncType, explain: Explain) -> Callable[..., Value]:
        """What is called in place of `function.call`."""

    def drop(self, resource: str, drop: Callable[[Value], object]) -> Callable[[Value, object], object]:
        """What is called in place of `drop(rep)`, with the resource and the instance that drops it: None for the host,
        at the end of the run, which is not a call."""


class ReplayedCalls(HostCalls, Protocol):
    """Answers the calls in a replay (`CallAnswers`, which reads a recording and so needs NumPy)."""

    stop: Callable[[EndOfReplay], None]
    """Ends the guest; set by the session."""

    def finish(self) -> None:
        """Called after the guest has ended."""


def full_name(function: WasiFunction) -> str:
    """The name of a function in the record, with the version that WASI serves."""
    return f"{function.interface.name}@{function.interface.version}#{function.name}"


def drop_name(resource: str) -> str:
    """The name of dropping a resource."""
    return f"[resource-drop]{resource}"


def put_arguments(type_: v.ComponentFuncType, arguments: tuple[Value, ...], resources: Resources) -> bytearray:
    """The arguments of a call as bytes."""
    out = bytearray()
    for (_, of), given in zip(type_.params, arguments, strict=True):
        put_value(of, given, resources, out)
    return out


class GivenResources:
    """Numbers the resources that the guest was given, from 1 in the order in which it got them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Value, int]] = {}
        """id -> (number, the object, how many owned handles to it there are)."""
        self._count = 0

    def put(self, type_: v.OwnType | v.BorrowType, rep: Value, out: bytearray) -> None:
        """Append the number of a resource. An owned one is given to the guest; at its first time with what the trace
        says of it."""
        number, _, handles = self._known.get(id(rep), (0, rep, 0))
        if isinstance(type_, v.BorrowType):
            out += number.to_bytes(4, "little")
            return
        new = not number
        if new:
            self._count = number = self._count + 1
        self._known[id(rep)] = number, rep, handles + 1
        out += number.to_bytes(4, "little")
        if new:
            self._describe(rep, out)

    def _describe(self, rep: Value, out: bytearray) -> None:
        put_bytes(str(getattr(rep, "path", "") or "").encode("utf-8", "replace"), out)
        preopen = getattr(rep, "preopen", None)
        out.append(preopen is not None)
        put_bytes(str(preopen or "").encode("utf-8", "replace"), out)
        out += (int(getattr(rep, "filetype", 0) or 0) & 0xFF).to_bytes(1, "little")
        parent = NO_PARENT
        if hasattr(rep, "descriptor"):
            parent = self._known.get(id(rep.descriptor), (0,))[0]
        out += parent.to_bytes(4, "little")

    def get(self, type_: v.OwnType | v.BorrowType, data: ValueReader) -> Value:
        """Nothing is read while recording."""
        raise Damaged("a record is being written")

    def dropped(self, rep: Value) -> int:
        """A handle to this is dropped; its number."""
        number, _, handles = self._known.get(id(rep), (0, rep, 0))
        if handles > 1:
            self._known[id(rep)] = number, rep, handles - 1
        else:
            self._known.pop(id(rep), None)
        return number


class _Moved:
    """An output stream whose written bytes are kept: those of a splice are in no argument."""

    def __init__(self, stream: Value) -> None:
        self._stream = stream
        self.data = b""

    def write(self, host: Host, data: bytes | memoryview) -> None:
        """Write, and keep what was written."""
        self._stream.write(host, data)
        self.data += bytes(data)


class CallLog:
    """Records the host calls of one run in `recorder.host_calls`, up to the trace limit of the run."""

    def __init__(self, recorder: Recorder) -> None:
        assert recorder.host_calls is not None, "a run that is recorded for a replay"
        self._recorder = recorder
        self._entries: list[bytes | memoryview] = recorder.host_calls
        self._left = recorder.budget_bytes
        self._resources = GivenResources()

    def _add(self, call: HostCall) -> None:
        if self._left < 0:
            return
        entry = pack_call(call)
        self._left -= len(entry)
        if self._left < 0:
            entry = pack_call(HostCall(call.seq, CallEnd.FULL, "", b"", b"", b""))
        self._entries.append(entry)
        self._recorder.host_call_bytes += len(entry)

    def function(self, function: WasiFunction, type_: v.ComponentFuncType, explain: Explain) -> Callable[..., Value]:
        """`function.call`, recorded. What fails with an error raises `ResultError`."""
        call, name, result = function.call, full_name(function), type_.result
        if function.family == "http":
            return partial(self._http, name, call)
        good = result.ok if isinstance(result, v.ResultType) else result
        bad = result.error if isinstance(result, v.ResultType) else None
        resources, recorder, splices = self._resources, self._recorder, function.name in SPLICES

        def recorded(host: Host, *arguments: Value) -> Value:
            given = put_arguments(type_, arguments, resources)
            entry = HostCall(len(recorder), CallEnd.OK, name, given, b"", b"")
            answer = bytearray()
            moved = _Moved(arguments[0]) if splices else None
            try:
                found = call(host, *arguments) if moved is None else call(host, moved, *arguments[1:])
            except BaseException as error:  # noqa: BLE001  raised again below
                try:
                    if not isinstance(error, Exception):
                        raise
                    failure = explain(error, arguments[0] if arguments else None)
                except BaseException as ended:
                    self._add(self._end(entry, ended))
                    raise
                if bad is not None:
                    put_value(bad, failure.value, resources, answer)
                put_cause(failure.cause, answer)
                self._add(replace(entry, kind=CallEnd.ERROR, answer=answer))
                raise failure from None
            if good is not None:
                put_value(good, found, resources, answer)
            self._add(replace(entry, answer=answer, moved=b"" if moved is None else moved.data))
            return found

        return recorded

    def _http(self, name: str, call: Callable[..., Value], host: Host, *arguments: Value) -> Value:
        """Perform a call of HTTP, which a replay cannot answer: the record ends here."""
        if self._left >= 0:
            seq = len(self._recorder)
            host.note(
                f"call {seq} is of HTTP ({name}), which cannot be replayed: a replay of this recording ends there"
            )
            self._add(HostCall(seq, CallEnd.HTTP, name, b"", b"", b""))
            self._left = -1
        return call(host, *arguments)

    @staticmethod
    def _end(entry: HostCall, error: BaseException) -> HostCall:
        """The entry of a call that ended the guest."""
        if isinstance(error, ProcExit):
            return replace(entry, kind=CallEnd.EXIT, answer=(error.code & 0xFFFFFFFF).to_bytes(4, "little"))
        if not isinstance(error, Trap):
            return replace(entry, kind=CallEnd.STOPPED)
        answer = bytearray()
        put_bytes(str(error).encode("utf-8", "replace"), answer)
        cause = getattr(error, "cause", None)
        put_cause(cause if isinstance(cause, WasiError) else None, answer)
        return replace(entry, kind=CallEnd.TRAP, answer=answer)

    def drop(self, resource: str, drop: Callable[[Value], object]) -> Callable[[Value, object], object]:
        """`drop`, recorded."""

        def recorded(rep: Value, caller: object) -> None:
            if caller is None:
                drop(rep)
                return
            number = self._resources.dropped(rep)
            self._add(HostCall(
                len(self._recorder), CallEnd.OK, drop_name(resource), number.to_bytes(4, "little"), b"", b""
            ))  # fmt: skip
            drop(rep)

        return recorded
