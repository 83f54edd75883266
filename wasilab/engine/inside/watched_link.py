"""A link that shows the guest's memory to someone before each WASI call and after its answer.

Python answers every call of such an instance. What watches must be quick: the guest waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import FunctionType
from typing import Any, cast

import wasmtime

from ...wasi.preview1.signature import Call
from ..calls import raw as _raw
from ..calls.link import Link
from ..calls.memory import GuestMemory
from .memory_snapshots import Point

Watch = Callable[[Point, GuestMemory, int | None], None]
"""Called on the guest's thread with the call's number and whether it was answered, the caller's memory, and the value
of its export `__stack_pointer` (None without one)."""


class WatchedLink(Link):
    """The imports of one instance, each call shown to `watch`. The run must be traced: its records number the calls."""

    def __init__(self, watch: Watch, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch = watch

    def _trampoline(self, call: Call) -> FunctionType:
        answer = super()._trampoline(call)
        make = self._watched if self._raw else self._watched_publicly
        return cast(FunctionType, make(answer))

    def _watched(self, answer: Callable[..., int]) -> Callable[..., int]:
        def target(env: int, caller: int, slots: Any, count: int) -> int:
            number = self._show(_raw.caller(caller), None)
            done = answer(env, caller, slots, count)
            self._show(_raw.caller(caller), number)
            return done

        return target

    def _watched_publicly(self, answer: Callable[..., object]) -> Callable[..., object]:
        def target(caller: wasmtime.Caller, *arguments: object) -> object:
            number = self._show(caller, None)
            done = answer(caller, *arguments)
            self._show(caller, number)
            return done

        return target

    def _show(self, caller: wasmtime.Caller, answered: int | None) -> int | None:
        """Show the memory before a call, or after the one with the number `answered`. Returns the call's number."""
        with suppress(Exception):  # nothing may leave a callback, and a snapshot is an extra
            recorder = self._recorder
            number = answered if answered is not None else len(recorder) if recorder is not None else 0
            self.memory.look(caller)
            pointer = caller.get("__stack_pointer")
            found = pointer.value(caller) if isinstance(pointer, wasmtime.Global) else None
            address = int(found) & 0xFFFF_FFFF if isinstance(found, int) else None
            self._watch((number, answered is not None), self.memory, address)
            return number
        return answered
