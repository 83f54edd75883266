"""A WASI call that raises returns an errno or ends the guest; it is recorded either way.

No exception may leave a callback (`raw.py`): it would corrupt the process. So every trampoline passes the exception to
`FailedCalls.answer`, which returns the errno, or stores the cause in `Stop` and returns `ENDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ...capabilities.waiting import Interrupted
from ...trace.record.functions import Function
from ...trace.record.layout import DID_NOT_RETURN, Flag
from ...trace.record.payload import (
    MAX_KEPT_SUBSCRIPTIONS,
    MAX_KEPT_VECTORS,
    VECTOR_BYTES,
    Aux,
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
        self._write = recorder.make_failure_writer(host.run_time, instance) if recorder is not None else None
        self._stacks = stacks
        self._wants_stacks = stacks.wanted
        self._caller_of = caller_of
        self._flags = flags
        self._inputs: dict[int, _Inputs] = {}
        """The inputs of the calls that have failed, by `id`, by which they are found sooner than by name."""
        self._failed: list[Call] = []
        """These calls, kept so that no other has their `id`."""

    def answer(
        self, error: BaseException, call: Call, caller: CallbackCaller, start: int, descriptor: Descriptor | None,
        path: bytes | None, words: tuple[int, ...], flags: int = 0,
    ) -> int:  # fmt: skip
        """The errno for a call that raised `error`, or `ENDS` if the guest must end, with the cause in `Stop`.

        `start` is when the call began (`Host.run_time`). `descriptor` and `path` are the arguments decoded so far;
        `words` are all arguments as 32-bit words, `flags` those of the override that answered.
        """
        try:
            if self._write is None:
                code = self._host.code_of(error) if call.returns else None
                if code is not None:
                    return code
                self._end(error, call.name)
                return ENDS
            known = self._host.explain(error, descriptor) if call.returns else None
            at = self._inputs.get(id(call)) or self._find(call)
            errno, denied, reason, need = DID_NOT_RETURN, 0, "", None
            if known is not None:
                errno, denied, reason, need = known.errno, known.denied_by, known.reason, known.need
            else:
                reason = self._end(error, call.name)
            if path is None and at.path is not None:
                path = self._asked_path(at, call, caller, words)
            aux = b"" if at.aux is None else self._attempted(at, words, caller)
            stack = partial(self._stack, caller, denied) if self._wants_stacks else None
            life = 0 if descriptor is None else descriptor.life
            flags |= self._flags | at.flags
            self._write(start, life, path, call.number, errno, denied, flags, reason, need, aux, words, stack)
            return errno if known is not None else ENDS
        except BaseException as worse:  # noqa: BLE001  nothing may leave a callback
            self._stop.error = HostBug(call.name, worse)
            return ENDS

    def _find(self, call: Call) -> _Inputs:
        """The inputs of a call that fails for the first time."""
        found = self._inputs[id(call)] = _inputs(call)
        self._failed.append(call)
        return found

    def _attempted(self, at: _Inputs, words: Sequence[int], caller: CallbackCaller) -> bytes:
        """The input of a call that failed; it may be the first to use the memory, or the first since that grew."""
        pointer, size = _extent(at, words)
        if pointer + size > self._memory.size:
            self._memory.look(self._caller_of(caller))
        return _readable(self._memory, pointer, size)

    def _stack(self, caller: CallbackCaller, denied: int) -> int:
        return self._stacks.refused(caller) if denied else self._stacks.number(caller)

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
        self, start: int, caller: CallbackCaller, number: int, path: bytes | None, errno: int, flags: int, reason: str,
        aux: bytes, words: Sequence[int],
    ) -> None:  # fmt: skip
        """Record a call that no host serves, if the run is traced."""
        if self._write is not None:
            stack = partial(self._stacks.number, caller) if self._wants_stacks else None
            self._write(start, 0, path, number, errno, 0, flags | self._flags, reason, None, aux, words, stack)

    def close(self) -> None:
        """Release the store, after the last call."""
        self._memory = GuestMemory(None)
        self._stacks.close()

    def _asked_path(self, at: _Inputs, call: Call, caller: CallbackCaller, words: tuple[int, ...]) -> bytes | None:
        """The path of a call that failed before its path was read (its descriptor is not open), if readable."""
        assert at.path is not None
        try:
            pointer, size = words[at.path : at.path + 2]
            return self._memory.string(self._caller_of(caller), pointer, size, call.name, at.path_name)
        except (t.WasiError, t.Trap):
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
    flags: int = 0
    """The flags of every record of the call."""


_known_inputs: dict[tuple[str, str], _Inputs] = {}


def _inputs(call: Call) -> _Inputs:
    """The inputs of `call`: found once, because programs fail often, such as at looking for a file."""
    found = _known_inputs.get((call.module, call.name))
    if found is None:
        found = _known_inputs[call.module, call.name] = _find_inputs(call)
    return found


def _find_inputs(call: Call) -> _Inputs:
    layout = schema(call)
    found = _Inputs(flags=int(Flag.UNSTABLE) if call.module == "wasi_unstable" else 0)
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
    return b"" if at.aux is None else _readable(memory, *_extent(at, words))


def _extent(at: _Inputs, words: Sequence[int]) -> tuple[int, int]:
    """(address, bytes) of an input."""
    assert at.aux is not None
    return words[at.aux], at.entry * min(words[at.number], at.most)


def _readable(memory: GuestMemory, pointer: int, size: int) -> bytes:
    """A copy of the bytes there; empty if they are outside the memory."""
    return memory.view[pointer : pointer + size].tobytes() if pointer + size <= memory.size else b""
