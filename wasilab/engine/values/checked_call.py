"""Calls of exports with vectors or references.

`calls/raw.py` is the fast path for numbers. Here each value has its kind (`wasmtime_val_t` of `wasmtime/val.h`), as in
wasmtime-py, which however aborts the process on a v128. Numbers keep all their bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import cast

import wasmtime

from . import references
from .texts import KINDS
from .vector import V128

try:
    from wasmtime import _bindings

    _call = _bindings._wasmtime_func_call
    _value = _bindings.wasmtime_val_t
    _trap_pointer = ctypes.POINTER(_bindings.wasm_trap_t)
    _unroot = _bindings._wasmtime_val_unroot
    _CODES = {"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4, "funcref": 5, "externref": 6}
    AVAILABLE = references.AVAILABLE and all(hasattr(wasmtime.Trap, name) for name in ("_consume", "_from_ptr"))
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the needed functions."""


def checked_entry(
    store: wasmtime.Store, function: wasmtime.Func, params: Sequence[str], results: Sequence[str]
) -> Callable[..., object] | None:
    """`function` (a `wasmtime.Func`) as a Python function of its values; None if it has a type that cannot leave
    WebAssembly.

    It returns None, a value or a list of values: ints (signed), floats, `V128`, any object for an external reference,
    `FunctionReference`. It raises `ForeignReference`, `wasmtime.Trap` or `WasmtimeError`. Do not call it with values of
    other kinds, or after the store is freed.
    """
    if not AVAILABLE or not {*params, *results} <= KINDS:
        return None
    context, address, home = store._context(), ctypes.byref(function._func), int(function._func.store_id)

    def enter(*values: object) -> object:
        given, gotten = (_value * len(params))(), (_value * len(results))()
        trap = _trap_pointer()
        try:
            for slot, kind, value in zip(given, params, values, strict=True):
                _put(store, slot, kind, value, home)
            error = _call(context, address, given, len(params), gotten, len(results), ctypes.byref(trap))
        finally:
            for slot in given:
                _unroot(ctypes.byref(slot))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        if trap:
            raise wasmtime.Trap._from_ptr(trap)
        found = [_take(store, slot, kind) for slot, kind in zip(gotten, results, strict=True)]
        for slot in gotten:
            _unroot(ctypes.byref(slot))
        return found[0] if len(found) == 1 else found or None

    return enter


def _put(store: wasmtime.Store, slot: _bindings.wasmtime_val_t, kind: str, value: object, home: int) -> None:
    """Put `value` into a slot; the slot's kind is set last, once the value is complete."""
    if kind == "v128":
        data = value.bytes if isinstance(value, V128) else bytes(cast(bytes, value))
        ctypes.memmove(slot.of.v128, V128(data).bytes, 16)
    elif kind == "externref":
        references.put_object(store, slot.of.externref, value)
    elif kind == "funcref":
        references.put_function(slot.of.funcref, cast("references.FunctionReference | None", value), home)
    else:
        setattr(slot.of, kind, value)
    slot.kind = _CODES[kind]  # type: ignore[assignment]  # ctypes takes an int for a c_ubyte


def _take(store: wasmtime.Store, slot: _bindings.wasmtime_val_t, kind: str) -> object:
    if kind == "v128":
        return V128(bytes(slot.of.v128))
    if kind == "externref":
        return references.take_object(store, slot.of.externref)
    if kind == "funcref":
        return references.take_function(slot.of.funcref)
    return getattr(slot.of, kind)
