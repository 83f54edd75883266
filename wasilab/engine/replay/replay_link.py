"""Answers the imports of one instance from a recording, without a host or open descriptors.

A replay links every WASI import to a function that takes the next recorded call, compares it with the program's call,
and returns the recorded answer. The replay is recorded too, with its own times and stacks. A call that differs ends the
guest (`Diverged`), unless the run goes on under grants (`ReplayCursor.continue_with`): then the ordinary trampolines
take over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, cast

import wasmtime

from ...module.binary import FuncType
from ...trace.record.layout import DID_NOT_RETURN, Flag
from ...trace.record.payload import RECORD_WORDS, pack_payload
from ...wasi.preview1.signature import Call
from ...wasi.types import ProcExit, Trap
from ..calls import raw as _raw
from ..calls.absent import absent_number
from ..calls.link import Link
from ..stop import CannotReplay, EndOfReplay, HostStop
from ..values.wasmtime_objects import RawWords
from .answering import Sent, answer, compare, words_of
from .recorded_calls import GoesLive, RecordedCall, ReplayCursor, damaged

Perform = Callable[[wasmtime.Caller, tuple[int, ...]], int]
"""Performs a call: `perform(caller, arguments as 32-bit words)` returns the errno."""

class ReplayLink(Link):
    """The imports of one instance, answered from `cursor`, which all instances of a run share."""

    def __init__(self, cursor: ReplayCursor, *args: Any, **kwargs: Any) -> None:
        kwargs["native"] = None
        if cursor.continue_with is None:
            kwargs["overrides"] = None
        super().__init__(*args, **kwargs)
        self._cursor = cursor
        self._stack_pointer: wasmtime.Global | None = None
        """The caller's export `__stack_pointer`, where someone watches the replay."""
        self._write = None if self._recorder is None else self._recorder.make_writer(self._instance)

    def _trampoline(self, call: Call) -> FunctionType:
        wanted = FuncType(call.signature, ("i32",) if call.returns else ())
        perform = self._present(call, call.module == "wasi_unstable")
        live = None if self._cursor.continue_with is None else super()._trampoline(call)
        make = self._raw_target if self._raw else self._public_target
        return cast(FunctionType, make(call.name, wanted, perform, live))

    def _absent(
        self, module: str, name: str, call: Call | None, wanted: FuncType, *, raw: bool
    ) -> Callable[..., object]:
        """A function for an import that no host provides. It answers by itself, as in the recording; only its position
        is compared."""
        function = super()._absent(module, name, call, wanted, raw=raw)
        number = absent_number(self._failed_calls, module, name, call, wanted)
        label = f"{module}.{name}"

        def absent(*arguments: Any) -> object:
            cursor = self._cursor
            if cursor.is_live:
                return function(*arguments)
            try:
                self._begin(_raw.caller(arguments[1]) if raw else arguments[0])
                recorded = cursor.next_call(label)
                if recorded.number != number or not recorded.flags & Flag.NOSYS:
                    raise cursor.part(cursor.describe(recorded.seq), label, f"it calls {label}, which no host provides")
                answered = function(*arguments)
                self._watched(True)
                end = cursor.answered()
                if end is not None and self.stop.error is None:
                    raise end
                return answered
            except GoesLive:
                return function(*arguments) if self._went_live(name) else refused()
            except BaseException as error:  # noqa: BLE001  nothing may leave a callback
                if self.stop.error is None:
                    self._ended(error, name)
                return refused()

        def refused() -> int:
            if raw:
                return _raw.trap()
            raise HostStop from None

        return absent

    # ---- how the guest calls

    def _went_live(self, name: str) -> bool:
        """Let the host answer from this call on; returns whether it can. If not, the guest ends."""
        try:
            self._cursor.go_live()
        except BaseException as error:  # noqa: BLE001  nothing may leave a callback
            self._ended(error, name)
        return self._cursor.is_live

    def _raw_target(
        self, name: str, wanted: FuncType, perform: Perform, live: Callable[..., object] | None
    ) -> Callable[..., int]:
        places = [
            index
            for slot, kind in enumerate(wanted.params)
            for index in ((4 * slot, 4 * slot + 1) if kind in ("i64", "f64") else (4 * slot,))
        ]

        cursor = self._cursor

        def target(env: int, caller: int, slots: RawWords, count: int) -> int:
            if live is not None and cursor.is_live:
                return cast(int, live(env, caller, slots, count))
            try:
                errno = perform(_raw.caller(caller), tuple([slots[index] for index in places]))
                if wanted.results:
                    slots[0] = errno
                return 0
            except GoesLive:
                if live is not None and self._went_live(name):
                    return cast(int, live(env, caller, slots, count))
                return _raw.trap()
            except BaseException as error:  # noqa: BLE001  nothing may leave a callback
                self._ended(error, name)
                return _raw.trap()

        return target

    def _public_target(
        self, name: str, wanted: FuncType, perform: Perform, live: Callable[..., object] | None
    ) -> Callable[..., object]:
        cursor = self._cursor

        def target(caller: wasmtime.Caller, *arguments: object) -> object:
            if live is not None and cursor.is_live:
                return live(caller, *arguments)
            words: list[int] = []
            for kind, given in zip(wanted.params, arguments, strict=True):
                given = given if isinstance(given, int) else 0
                words += [given & 0xFFFFFFFF] if kind != "i64" else [given & 0xFFFFFFFF, given >> 32 & 0xFFFFFFFF]
            try:
                errno = perform(caller, tuple(words))
            except GoesLive:
                if live is not None and self._went_live(name):
                    return live(caller, *arguments)
                raise HostStop from None
            except BaseException as error:  # noqa: BLE001  as above
                self._ended(error, name)
                raise HostStop from None
            return errno if wanted.results else None

        return target

    def _ended(self, error: BaseException, name: str) -> None:
        """Store why and where the guest ended; raises nothing."""
        if isinstance(error, EndOfReplay):
            self.stop.error = error
            self.stop.frames = self._stacks.frames()
        elif isinstance(error, CannotReplay):
            self.stop.error = EndOfReplay("error", 1, str(error))
        else:
            self._failed_calls.end(error, name)

    # ---- one call

    def _present(self, call: Call, unstable: bool) -> Perform:
        return lambda caller, words: self._replay(call, caller, words, unstable)

    def _begin(self, caller: wasmtime.Caller) -> int:
        """Bind the caller's memory; returns the call's start time. Raises `EndOfReplay` or `GoesLive` if the replay
        stops here."""
        cursor, memory = self._cursor, self.memory
        if self._foreign:
            memory.forget()
        memory.look(caller)
        if cursor.until is not None and cursor.done >= cursor.until:
            if cursor.continue_with is not None:
                raise GoesLive
            cursor.is_stopped = True
            cursor.memory = memory.view.tobytes()
            raise EndOfReplay("exit", 0, f"stopped before call {cursor.done}, as it was asked to")
        if cursor.watch is not None:
            pointer = caller.get("__stack_pointer")
            self._stack_pointer = pointer if isinstance(pointer, wasmtime.Global) else None
            self._watched(False)
        return self.host.run_time()

    def _watched(self, answered: bool) -> None:
        """Tell who watches the replay that it is before a call, or after its answer."""
        watch = self._cursor.watch
        if watch is not None:
            pointer = self._stack_pointer
            address = None if pointer is None else int(pointer.value(self.store)) & 0xFFFF_FFFF
            watch((self._cursor.done, answered), self.memory, address)

    def _replay(self, call: Call, caller: wasmtime.Caller, words: tuple[int, ...], unstable: bool) -> int:
        start = self._begin(caller)
        cursor, memory = self._cursor, self.memory
        came = _Words(call, words)
        recorded = cursor.next_call(came)
        known = recorded.call
        if recorded.number != call.number or known is None or recorded.flags & Flag.NOSYS:
            raise cursor.part(cursor.describe(recorded.seq), str(came), f"it calls {call.name}")
        if recorded.unstable != unstable or (recorded.instance != self._instance and cursor.exact):
            other = "another module of WASI" if recorded.unstable != unstable else "another instance"
            raise cursor.part(cursor.describe(recorded.seq), str(came), f"it is a call of {other}")
        if cursor.continue_with is not None and recorded.errno == DID_NOT_RETURN and call.returns:
            raise GoesLive  # it was stopped in this call
        difference = compare(call, recorded, words, memory, exact=cursor.exact)
        if difference is not None:
            raise cursor.part(cursor.describe(recorded.seq), str(came), difference)
        if not recorded.errno:
            sent = Sent(call, recorded, words, memory)
            results = self._results(call, words)
            try:
                answer(call, recorded, words, memory, caller)
            except Trap as error:
                raise damaged(recorded.seq, f"its answer does not fit ({error})") from None
            difference = sent.difference()
            if difference is not None:
                for at, before in results:  # if the call is made again, it may send them
                    memory.view[at : at + len(before)] = before
                raise cursor.part(cursor.describe(recorded.seq), str(came), difference)
            stream = cursor.output_of.get(recorded.handle)
            if stream is not None and cursor.write is not None and sent.data:
                cursor.write(stream, sent.data)
        self._record(recorded, caller, words, start)
        return self._end(call, recorded, words)

    def _results(self, call: Call, words: Sequence[int]) -> list[tuple[int, bytes]]:
        """(address, bytes) of where the call's results are going to be stored."""
        view = self.memory.view
        places = zip(call.results, words[len(words) - len(call.results) :], strict=True) if call.results else ()
        return [(at, view[at : at + result.type.size].tobytes()) for result, at in places]

    def _end(self, call: Call, recorded: RecordedCall, words: Sequence[int]) -> int:
        """Return the recorded errno, or raise the recorded end of the guest."""
        self._watched(True)
        end = self._cursor.answered()
        if recorded.errno != DID_NOT_RETURN:
            if end is not None:
                raise end
            return recorded.errno
        if not call.returns:
            raise ProcExit(words[0])
        raise end or Trap(recorded.reason.text or f"{call.name} did not return when it was recorded")

    def _record(self, recorded: RecordedCall, caller: wasmtime.Caller, words: Sequence[int], start: int) -> None:
        """Record the replayed call: its arguments and answer, with its own time and stack."""
        if self._write is None or self._recorder is None:
            return
        self._cursor.lives.follow(self._recorder, recorded.seq)
        reason, need = recorded.reason
        index = self._recorder.intern_reason(reason, need) if reason else 0
        payload = None
        if index or recorded.aux or recorded.data or len(words) > RECORD_WORDS:
            payload = pack_payload(recorded.aux, recorded.data, words[RECORD_WORDS:], index)
        w0, w1, w2, w3 = (*words[:4], 0, 0, 0, 0)[:4]
        stack = self._stacks.refused(caller) if recorded.denied_by else self._stacks.number(caller)
        self._write(
            start, self.host.run_time() - start, recorded.result, recorded.handle, recorded.path, payload,
            recorded.number, recorded.errno, recorded.denied_by, recorded.flags, w0, w1, w2, w3, stack,
        )  # fmt: skip


class _Words:
    """The program's actual call, formatted on demand."""

    def __init__(self, call: Call, words: Sequence[int]) -> None:
        self._call = call
        self._words = words

    def __str__(self) -> str:
        named = zip(words_of(self._call), self._words, strict=True)
        shown = [f"{name}={f'0x{value:x}' if pointer else value}" for (name, pointer), value in named]
        return f"{self._call.name}({', '.join(shown)})"

