"""Objects of Python as external references of a guest, and references to a guest's functions.

A guest can hold an external reference, pass it and hand it back; it can neither make one nor look into one. What it
carries is a number of one table of this process, which only the host reads. Wasmtime collects references by itself and
tells `_gone`, on any thread; it must take no lock. Source: WebAssembly core 3.0, 2.3.4 (reference types);
`wasmtime/val.h` (`wasmtime_externref_new`).
"""

from __future__ import annotations

import ctypes
import itertools

from .wasmtime_objects import WasmtimeObject

try:
    from wasmtime import _bindings

    _new, _data = _bindings._wasmtime_externref_new, _bindings._wasmtime_externref_data
    AVAILABLE = True
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py offers what is needed."""

_objects: dict[int, object] = {}
_numbers = itertools.count(1 << 40)
"""Numbers that wasmtime-py's own table of references does not come to: neither takes an object for another."""


def _forget(number: int | None) -> None:
    _objects.pop(number or 0, None)


_gone = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_forget)
"""Called by Wasmtime when nothing refers to an object any more; it lives as long as the process."""


def put_object(store: WasmtimeObject, reference: WasmtimeObject, value: object) -> None:
    """Make `reference` (a `wasmtime_externref_t`) one to `value`, a null reference for None. Raises `MemoryError` where
    the store has no room for it.
    """
    if value is None:
        reference.store_id = 0
        return
    number = next(_numbers)
    _objects[number] = value
    if not _new(store._context(), number, _gone, ctypes.byref(reference)):
        _objects.pop(number, None)
        raise MemoryError("the store has no room for another external reference")


def take_object(store: WasmtimeObject, reference: WasmtimeObject) -> object:
    """The object that `reference` carries, None for a null reference."""
    if not reference.store_id:
        return None
    number = _data(store._context(), ctypes.byref(reference))
    return _objects.get(number or 0)


def held_objects() -> int:
    """How many objects the guests of this process hold references to, those included that wait to be collected."""
    return len(_objects)


class ForeignReference(TypeError):
    """A reference was given to an instance that it does not belong to."""


class FunctionReference:
    """A reference to a function that a guest returned. It can be given back to the same store, and to no other."""

    __slots__ = ("_func",)

    def __init__(self, func: WasmtimeObject) -> None:
        self._func = func

    def __repr__(self) -> str:
        return "<reference to a function>"


def put_function(reference: WasmtimeObject, value: FunctionReference | None, store_id: int) -> None:
    """Make `reference` (a `wasmtime_func_t`) the function of `value`. Raises `ForeignReference` for one of another
    store: Wasmtime would end the process.
    """
    if value is None:
        reference.store_id = 0
        return
    func = value._func
    if func.store_id != store_id:
        raise ForeignReference("the reference to a function belongs to another instance's store")
    ctypes.memmove(ctypes.byref(reference), ctypes.byref(func), ctypes.sizeof(func))


def take_function(reference: WasmtimeObject) -> FunctionReference | None:
    """The function that `reference` refers to, None for a null reference."""
    if not reference.store_id:
        return None
    copy = type(reference)()
    ctypes.memmove(ctypes.byref(copy), ctypes.byref(reference), ctypes.sizeof(copy))
    return FunctionReference(copy)
