"""The fast path between a guest and Python: unchecked callbacks and calls of Wasmtime's C API, through ctypes.

Uses `wasmtime._bindings`, a private Python module over the stable C API (`wasmtime/func.h`,
`wasmtime_func_new_unchecked`, `wasmtime_func_call_unchecked`). If it is missing or differs, `AVAILABLE` is False and
`link.py` uses wasmtime-py's public functions; a test checks that both give the same trace.

A callback gets the address of an array of 16-byte slots (`wasmtime_val_raw_t`): here as 32-bit words, so slot `i` is
at `v[4 * i]`, an i64 in two words, low one first. The result overwrites slot 0. It returns 0, or a trap whose
ownership passes to Wasmtime. An exception must never leave it.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence

import wasmtime

from ..values.wasmtime_objects import ExternItem, RetainedCallback

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint32), ctypes.c_size_t
)
"""size_t callback(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args_and_results, size_t length), with the
pointers as plain numbers: making ctypes pointer objects of them costs more than the rest of the call."""

_BY_ADDRESS = ctypes.CFUNCTYPE(*[ctypes.c_size_t] * 5)
"""The same with the slots' address as a plain number too: a `slots` view of it can be kept, a pointer object cannot."""
_slots: dict[int, memoryview] = {}
known_slots: Callable[[int], memoryview | None] = _slots.get
"""The view that `slots` made of an address."""
MOST_SLOTS = 32
_MOST_VIEWS = 256

_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))

try:
    from wasmtime import _bindings
    from wasmtime._extern import wrap_extern as _wrap_extern
    from wasmtime._func import Caller as _Caller

    _new_unchecked = _bindings.wasmtime_func_new_unchecked
    _callback_type = _bindings.wasmtime_func_unchecked_callback_t
    _func_type = _bindings.wasmtime_func_t
    _caller_pointer = ctypes.POINTER(_bindings.wasmtime_caller_t)
    _call_unchecked = _bindings._wasmtime_func_call_unchecked
    _slot = _bindings.wasmtime_val_raw_t
    _trap_pointer = ctypes.POINTER(_bindings.wasm_trap_t)
    _export_get = _bindings._wasmtime_instance_export_get
    _extern = _bindings.wasmtime_extern_t
    AVAILABLE = ctypes.sizeof(_bindings.wasmtime_val_raw_t) == 16 and all(
        hasattr(wasmtime.Trap, name) for name in ("_consume", "_from_ptr")
    )
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the fast path."""


def slots(address: int) -> memoryview:
    """The slots at an address, as `MOST_SLOTS` slots of four 32-bit words. Use as many as the function has.

    Calls at one depth of the guest's stack have their slots at one address, so the views are kept.
    """
    if len(_slots) >= _MOST_VIEWS:
        _slots.clear()
    made = memoryview((ctypes.c_uint32 * (4 * MOST_SLOTS)).from_address(address)).cast("B").cast("I")
    _slots[address] = made
    return made


def function(
    store: wasmtime.Store, type_: wasmtime.FuncType, target: Callable[..., int], *, by_address: bool = False
) -> tuple[wasmtime.Func, RetainedCallback]:
    """A `wasmtime.Func` that calls `target(env, caller, v, n)`, and the callback to keep alive beside the store.

    `by_address`: `v` is the address of the slots, for `slots`.
    """
    callback = (_BY_ADDRESS if by_address else _CALLBACK)(target)
    made = _func_type()
    _new_unchecked(
        store._context(), type_.ptr(), ctypes.cast(callback, _callback_type), None, _NO_FINALIZER, ctypes.byref(made)
    )
    return wasmtime.Func._from_raw(made), callback


def native_function(store: wasmtime.Store, type_: wasmtime.FuncType, address: int, env: int) -> wasmtime.Func:
    """A `wasmtime.Func` that calls the C function at `address` with `env`; keep what both point to beside the store."""
    made = _func_type()
    _new_unchecked(
        store._context(), type_.ptr(), ctypes.cast(address, _callback_type), env, _NO_FINALIZER, ctypes.byref(made)
    )
    return wasmtime.Func._from_raw(made)


def caller(address: int) -> wasmtime.Caller:
    """The `wasmtime.Caller` behind a callback's second argument; valid until the callback returns."""
    return _Caller(ctypes.cast(address, _caller_pointer))


def trap() -> int:
    """A new trap for a callback to return. It ends the guest, and Wasmtime takes ownership."""
    made = wasmtime.Trap("wasilab ended the guest")._consume()
    return ctypes.cast(made, ctypes.c_void_p).value or 0


_SLOTS = {"i32": "i12x", "i64": "q8x", "f32": "f12x", "f64": "d8x"}
"""The layout of a number in a 16-byte slot."""


def entry(
    store: wasmtime.Store,
    function: wasmtime.Func,
    params: Sequence[str],
    results: Sequence[str],
    layouts: Mapping[str, str] = _SLOTS,
) -> Callable[..., object] | None:
    """`function` (a `wasmtime.Func`) as a Python function of numbers; None if it has other types.

    It returns None, a number or a list of numbers, and raises `wasmtime.Trap` or `WasmtimeError`, as the public call
    does at ten times the cost. i32 and i64 are signed; other `layouts` of a slot may make them unsigned. It is not
    reentrant, and must not be called after the store is freed.
    """
    if not AVAILABLE or any(kind not in layouts for kind in (*params, *results)):
        return None
    given = struct.Struct("<" + "".join(layouts[kind] for kind in params))
    gotten = struct.Struct("<" + "".join(layouts[kind] for kind in results))
    count = max(len(params), len(results), 1)
    slots = (_slot * count)()
    context, address = store._context(), ctypes.byref(function._func)
    pack_into, unpack_from, call, single = given.pack_into, gotten.unpack_from, _call_unchecked, len(results) == 1

    def enter(*numbers: object) -> object:
        pack_into(slots, 0, *numbers)
        trap = _trap_pointer()
        error = call(context, address, slots, count, ctypes.byref(trap))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        if trap:
            raise wasmtime.Trap._from_ptr(trap)
        found = unpack_from(slots)
        return found[0] if single else list(found) or None

    return enter


def export(store: wasmtime.Store, instance: wasmtime.Instance, name: str) -> ExternItem | None:
    """The export `name` of an instance as a wasmtime object; None if there is none."""
    text, item = name.encode(), _extern()
    buffer = ctypes.create_string_buffer(text, len(text))
    if not _export_get(store._context(), ctypes.byref(instance._instance), buffer, len(text), ctypes.byref(item)):
        return None
    return _wrap_extern(item)
