"""A WASI call that raises returns an errno or ends the guest; it is recorded either way.

No exception may leave a callback (`raw.py`): it would corrupt the process. So every trampoline passes the exception to
`FailedCalls.answer`, which returns the errno, or stores the cause in `Stop` and returns `ENDS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from ...capabilities.refusal import Need
from ...capabilities.waiting import Interrupted
from ...trace.record.functions import Function
from ...trace.record.layout import DID_NOT_RETURN, Flag
from ...trace.record.payload import (
    MAX_KEPT_SUBSCRIPTIONS,
    MAX_KEPT_VECTORS,
    RECORD_WORDS,
    VECTOR_BYTES,
    Aux,
    pack_payload,
    schema,
)
from ...trace.record.recorder import Recorder
from ...wasi import types as t
from ...wasi.fdtable import Descriptor
from ...wasi.host import Host
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call
from ..stop import HostBug, Stop
from ..values.wasmtime_objects import CallbackCaller, CallerOf
from .memory import MAX_PATH, GuestMemory
from .stacks import CallStacks

ENDS = -1
"""Returned by `FailedCalls.answer` when the guest must end."""


class FailedCalls:
    """Answers and records the failed calls of one instance.

    `flags` are set on all its calls. `caller_of` makes a `Caller`, for access to memory, from a callback's argument.
    """

    def __init__(
        self,
        host: Host,
        stop: Stop,
        memory: GuestMemory,
        recorder: Recorder | None,
        stacks: CallStacks,
        caller_of: CallerOf,
        *,
        instance: int = 0,
        flags: int = 0,
    ) -> None:
        self._host = host
        self.now = host.run_time
        """The current time in ns, on the clock that measures calls."""
        self._stop = stop
        self._memory = memory
        self._recorder = recorder
        self._write = recorder.make_writer(instance=instance) if recorder is not None else None
        self._stacks = stacks
        self._caller_of = caller_of
        self._flags = flags

    def answer(
        self, error: BaseException, call: Call, caller: CallbackCaller, start: int, descriptor: Descriptor | None,
        path: bytes | None, words: tuple[int, ...], flags: int = 0,
    ) -> int:  # fmt: skip
        """The errno for a call that raised `error`, or `ENDS` if the guest must end, with the cause in `Stop`.

        `start` is when the call began (`Host.run_time`). `descriptor` and `path` are the arguments decoded so far;
        `words` are all arguments as 32-bit words, `flags` those of the override that answered.
        """
        try:
            known = self._host.explain(error, descriptor) if call.returns else None
            if known is not None:
                errno, denied, reason, need = int(known.errno), int(known.denied_by), known.reason, known.need
            else:
                errno, denied, reason, need = DID_NOT_RETURN, 0, self._end(error, call.name), None
            if self._write is not None:
                flags |= int(Flag.UNSTABLE) if call.module == "wasi_unstable" else 0
                life = 0 if descriptor is None else descriptor.life
                aux = attempted(call, words, self._memory)
                if path is None:
                    path = self._asked_path(call, caller, words)
                self.note(start, caller, call.number, life, path, errno, denied, flags, reason, aux, words, need)
            return errno if errno != DID_NOT_RETURN else ENDS
        except BaseException as worse:  # noqa: BLE001  nothing may leave a callback
            self._stop.error = HostBug(call.name, worse)
            return ENDS

    def further(self, function: Function) -> int:
        """The number, for `note`, of a function that is not a WASI call."""
        return 0 if self._recorder is None else self._recorder.function_number(function)

    def end(self, error: BaseException, name: str) -> None:
        """End the guest because its call `name` raised `error`. Raises nothing."""
        self._end(error, name)

    def _end(self, error: BaseException, name: str) -> str:
        """Store why and where the guest ended; return the reason to record ("" for an ordinary exit)."""
        cause: BaseException
        if isinstance(error, (t.ProcExit, Interrupted, t.Trap)):
            cause = error
        elif isinstance(error, KeyboardInterrupt):
            cause = Interrupted()
        else:
            cause = HostBug(name, error)
        self._stop.error = cause
        if not isinstance(cause, t.ProcExit):
            self._stop.frames = self._stacks.frames()
        return str(cause) if isinstance(cause, (t.Trap, HostBug)) else ""

    def note(
        self, start: int, caller: CallbackCaller, number: int, life: int, path: bytes | None, errno: int, denied: int,
        flags: int, reason: str, aux: bytes, words: Sequence[int], need: Need | None = None,
    ) -> None:  # fmt: skip
        """Record a call that failed or did not return, if the run is traced."""
        if self._write is None or self._recorder is None:
            return
        took = self.now() - start
        payload = None
        if reason or aux or len(words) > RECORD_WORDS:
            index = self._recorder.intern_reason(reason, need) if reason else 0
            payload = pack_payload(aux, b"", words[RECORD_WORDS:], index)
        w0, w1, w2, w3 = (*words[:4], 0, 0, 0, 0)[:4]
        stack = self._stacks.refused(caller) if denied else self._stacks.number(caller)
        flags |= self._flags
        self._write(start, took, 0, life, path, payload, number, errno, denied, flags, w0, w1, w2, w3, stack)

    def close(self) -> None:
        """Release the store, after the last call."""
        self._memory = GuestMemory(None)
        self._stacks.close()

    def _asked_path(self, call: Call, caller: CallbackCaller, words: tuple[int, ...]) -> bytes | None:
        """The path of a call that failed before its path was read (its descriptor is not open), if readable."""
        at = _inputs(call)
        if at.path is not None:
            with contextlib.suppress(t.WasiError, t.Trap):
                inside, (pointer, size) = self._caller_of(caller), words[at.path : at.path + 2]
                return self._memory.string(inside, pointer, size, call.name, at.path_name)
        return None


class _Inputs(NamedTuple):
    """Where the input of a call lies: indices of 32-bit words, each of a pointer."""

    path: int | None = None
    path_name: str = ""
    aux: int | None = None
    """The input that the payload keeps beside the path."""
    number: int = 0
    """The word with its number of entries,"""
    entry: int = 1
    """the bytes of each,"""
    most: int = 0
    """and how many are kept."""


_known_inputs: dict[tuple[str, str], _Inputs] = {}


def _inputs(call: Call) -> _Inputs:
    """The inputs of `call`: found once, because programs fail often, such as at looking for a file."""
    found = _known_inputs.get((call.module, call.name))
    if found is None:
        found = _known_inputs[call.module, call.name] = _find_inputs(call)
    return found


def _find_inputs(call: Call) -> _Inputs:
    layout = schema(call)
    found = _Inputs()
    word = 0
    for param in call.params:
        kind = param.type.kind
        if kind == sig.STRING and found.path is None:
            found = found._replace(path=word, path_name=param.name)
        elif kind == sig.STRING and layout.aux is Aux.PATH:
            found = found._replace(aux=word, number=word + 1, most=MAX_PATH)
        elif kind in (sig.IOVECS, sig.CIOVECS):
            found = found._replace(aux=word, number=word + 1, entry=VECTOR_BYTES, most=MAX_KEPT_VECTORS)
        elif kind == sig.INSUBS:
            number = [name for name, _ in call.words].index(param.type.count)  # the words before it are all 32 bits
            size = layout.subscription_bytes
            found = found._replace(aux=word, number=number, entry=size, most=MAX_KEPT_SUBSCRIPTIONS)
        word += sum(2 if core == "i64" else 1 for core in param.type.words)
    return found


def attempted(call: Call, words: Sequence[int], memory: GuestMemory) -> bytes:
    """The auxiliary bytes of a failed call's payload: its input, as far as it can be read."""
    at = _inputs(call)
    if at.aux is None:
        return b""
    return _readable(memory, words[at.aux], at.entry * min(words[at.number], at.most))


def _readable(memory: GuestMemory, pointer: int, size: int) -> bytes:
    """A copy of the bytes there; empty if they are outside the memory."""
    return memory.view[pointer : pointer + size].tobytes() if pointer + size <= memory.size else b""
