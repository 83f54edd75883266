"""Calls core functions: directly on this stack, or on a Wasmtime fiber that can be suspended and resumed.

A component function of async type may wait in the middle of WebAssembly code while other tasks run. Wasmtime's C API
runs such a call on a separate stack (`wasmtime_func_call_async`). The call is polled, and poll returns early when a
*blocking* host function (`BlockingFunctions`) has no answer yet. Several fibers of one store may be suspended and
resumed in any order. A suspended fiber never holds Python frames: the callback of a blocking function returns before
the fiber is suspended.

Three rules, found by experiment: a blocking host function called outside a fiber aborts the process, so an instance
that links one runs all core functions on fibers; a nested call within a fiber must be unchecked; a finished fiber must
not be polled again.

Core words are unsigned integers; floats are passed as their bits. Source: `wasmtime/async.h` of the C API.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import wasmtime

from ...calls import raw as _raw
from ...values.wasmtime_objects import ExternItem, Pointer, RetainedCallback

_PACK = {"i32": "I12x", "f32": "I12x", "i64": "Q8x", "f64": "Q8x"}
_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}
_WIDE = frozenset({"i64", "f64"})

try:
    from wasmtime import _bindings

    _call_async = _bindings.wasmtime_func_call_async
    _poll = _bindings.wasmtime_call_future_poll
    _delete_future = _bindings.wasmtime_call_future_delete
    _define_async = _bindings.wasmtime_linker_define_async_func
    _instantiate_async = _bindings.wasmtime_linker_instantiate_async
    _async_callback = _bindings.wasmtime_func_async_callback_t
    _continuation_callback = _bindings.wasmtime_func_async_continuation_callback_t
    _linker_define = _bindings.wasmtime_linker_define
    _value = _bindings.wasmtime_val_t
    _trap_pointer = ctypes.POINTER(_bindings.wasm_trap_t)
    _error_pointer = ctypes.POINTER(_bindings.wasmtime_error_t)
    AVAILABLE = _raw.AVAILABLE
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py supports fibers."""

if AVAILABLE:
    _ready = _continuation_callback(lambda env: True)

_VALUE_TYPES = {
    "i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64, "f32": wasmtime.ValType.f32,
    "f64": wasmtime.ValType.f64,
}  # fmt: skip


def function_type(params: Sequence[str], results: Sequence[str]) -> wasmtime.FuncType:
    """The `wasmtime.FuncType` of core types by name."""
    return wasmtime.FuncType([_VALUE_TYPES[name]() for name in params], [_VALUE_TYPES[name]() for name in results])


class CoreFunction:
    """A core function with its types. `call(*words)` runs it on this stack and returns a word or None.

    `on_fiber`: it can reach a blocking function, so outside a fiber it must be run by a `Fiber`.
    """

    __slots__ = ("call", "function", "on_fiber", "params", "results", "store")

    def __init__(
        self,
        store: wasmtime.Store,
        function: wasmtime.Func,
        params: Sequence[str],
        results: Sequence[str],
        *,
        on_fiber: bool = False,
    ) -> None:
        self.store = store
        self.function = function
        self.params = tuple(params)
        self.results = tuple(results)
        self.on_fiber = on_fiber
        self.call = cast("Callable[..., int | None]", _raw.entry(store, function, params, results, _PACK))


class Fiber:
    """One call of a core function on a separate stack. Call `poll` until it is done, then `result`."""

    __slots__ = ("_args", "_error", "_function", "_future", "_results", "_trap", "done")

    def __init__(self, function: CoreFunction, words: Sequence[int]) -> None:
        self._function = function
        self._args = (_value * max(1, len(words)))()
        for slot, word, kind in zip(self._args, words, function.params, strict=False):
            slot.kind = _KINDS[kind]
            if kind in _WIDE:
                slot.of.i64 = word
            else:
                slot.of.i32 = word
        self._results = (_value * max(1, len(function.results)))()
        self._trap = _trap_pointer()
        self._error = _error_pointer()
        self.done = False
        self._future: Pointer | None = _call_async(
            function.store._context(), ctypes.byref(function.function._func), self._args, len(words), self._results,
            len(function.results), ctypes.byref(self._trap), ctypes.byref(self._error),
        )  # fmt: skip

    def poll(self) -> bool:
        """Run until it finishes or waits; returns whether it has finished."""
        if not self.done and _poll(self._future):
            self.done = True
            self.drop()
        return self.done

    def result(self) -> int | None:
        """The word that it returned, or None. Raises `wasmtime.Trap` or `WasmtimeError`."""
        if self._error:
            error, self._error = self._error, _error_pointer()
            raise wasmtime.WasmtimeError._from_ptr(error)
        if self._trap:
            trap, self._trap = self._trap, _trap_pointer()
            raise wasmtime.Trap._from_ptr(trap)
        if not self._function.results:
            return None
        if self._function.results[0] in _WIDE:
            return int(self._results[0].of.i64) & 0xFFFFFFFFFFFFFFFF
        return int(self._results[0].of.i32) & 0xFFFFFFFF

    def drop(self) -> None:
        """Free its stack, unwinding any code still on it."""
        future, self._future = self._future, None
        if future is not None:
            _delete_future(future)


class Blocked:
    """Returned by a blocking function that has no answer yet.

    The fiber is then suspended. Once `released` is set, its next poll calls `finish()`, whose word goes to the guest.
    """

    __slots__ = ("_keep", "finish", "released")

    def __init__(self, finish: Callable[[], int | None]) -> None:
        self.finish = finish
        self.released = False
        self._keep: RetainedCallback | None = None


Target: TypeAlias = Callable[..., int | Blocked | None]
"""A host function of words; only a blocking one may return `Blocked`."""
Values: TypeAlias = "ctypes._Pointer[_bindings.wasmtime_val]"
TrapReturn: TypeAlias = "ctypes._Pointer[ctypes._Pointer[_bindings.wasm_trap_t]]"
Continuation: TypeAlias = "ctypes._Pointer[_bindings.wasmtime_async_continuation_t]"


class BlockingFunctions:
    """Makes the host functions of a store that may suspend the calling fiber.

    `failed(error)` gets an exception and makes the trap that ends the guest.
    """

    def __init__(self, store: wasmtime.Store, failed: Callable[[BaseException], int]) -> None:
        self._store = store
        self._linker: wasmtime.Linker | None = wasmtime.Linker(store.engine)
        self._failed = failed
        self._callbacks: list[RetainedCallback] = []

    def make(
        self, params: Sequence[str], results: Sequence[str], target: Target
    ) -> wasmtime.Func:
        """A `wasmtime.Func` that calls `target(*words)`, which returns a word, None or `Blocked`."""
        wide = [kind in _WIDE for kind in params]
        kind = results[0] if results else None
        failed = self._failed

        def put(slots: Values, word: int | None) -> None:
            if kind is not None and word is not None:
                slots[0].kind = _KINDS[kind]
                if kind in _WIDE:
                    slots[0].of.i64 = word
                else:
                    slots[0].of.i32 = word

        def trapped(error: BaseException, trap_return: TrapReturn) -> None:
            address = failed(error)
            trap_return[0] = ctypes.cast(address, _trap_pointer)

        def callback(
            env: object,
            caller: object,
            args: Values,
            nargs: int,
            slots: Values,
            nresults: int,
            trap_return: TrapReturn,
            then: Continuation,
        ) -> None:
            try:
                then[0].callback = _ready  # the continuation must always be set
                words = [
                    args[i].of.i64 & 0xFFFFFFFFFFFFFFFF if wide[i] else args[i].of.i32 & 0xFFFFFFFF
                    for i in range(nargs)
                ]
                answer = target(*words)
                if not isinstance(answer, Blocked):
                    put(slots, answer)
                    return
                blocked = answer

                def resume(env: object) -> bool:
                    if not blocked.released:
                        return False
                    try:
                        put(slots, blocked.finish())
                    except BaseException as error:  # noqa: BLE001  nothing may leave a callback
                        trapped(error, trap_return)
                    return True

                blocked._keep = then[0].callback = _continuation_callback(resume)
                then[0].env = None
            except BaseException as error:  # noqa: BLE001  nothing may leave a callback
                trapped(error, trap_return)

        linker = self._linker
        assert linker is not None, "not closed"
        made = _async_callback(callback)
        self._callbacks.append(made)
        name = str(len(self._callbacks))
        text = ctypes.create_string_buffer(name.encode())
        type_ = function_type(params, results)  # must live until the call is over
        error = _define_async(
            linker.ptr(), ctypes.create_string_buffer(b"h"), 1, text, len(name),
            type_.ptr(), made, None, _raw._NO_FINALIZER,
        )  # fmt: skip
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        function = linker.get(self._store, "h", name)
        assert isinstance(function, wasmtime.Func)
        return function

    def close(self) -> None:
        """Free the callbacks, once no guest runs any more."""
        self._callbacks.clear()
        self._linker = None


def instantiate_on_fiber(
    store: wasmtime.Store, compiled: wasmtime.Module, imports: Sequence[ExternItem]
) -> wasmtime.Instance:
    """Instantiate, on a fiber run to completion, a core module whose start function may reach blocking functions.

    Raises `wasmtime.Trap` or `WasmtimeError`.
    """
    linker = wasmtime.Linker(store.engine)
    linker.allow_shadowing = True
    for wanted, given in zip(compiled.imports, imports, strict=True):
        linker.define(store, wanted.module, wanted.name or "", given)
    made = _bindings.wasmtime_instance_t()
    trap, error = _trap_pointer(), _error_pointer()
    future = _instantiate_async(
        linker.ptr(), store._context(), compiled.ptr(), ctypes.byref(made), ctypes.byref(trap), ctypes.byref(error)
    )
    try:
        if not _poll(future):
            raise wasmtime.WasmtimeError("a start function cannot wait")
    finally:
        _delete_future(future)
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)
    if trap:
        raise wasmtime.Trap._from_ptr(trap)
    return wasmtime.Instance._from_raw(made)
