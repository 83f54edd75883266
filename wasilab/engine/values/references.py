"""Python objects as a guest's external references, and references to a guest's functions.

A guest can hold an external reference, pass it on and return it; it can neither make one nor look into it. The
reference carries an index into a table of this process that only the host reads. Wasmtime collects references and calls
`_gone`, on any thread; `_gone` must not take a lock. Source: WebAssembly core 3.0, 2.3.4 (reference types);
`wasmtime/val.h` (`wasmtime_externref_new`).
"""

from __future__ import annotations

import ctypes
import itertools

import wasmtime

try:
    from wasmtime import _bindings

    _new, _data = _bindings._wasmtime_externref_new, _bindings._wasmtime_externref_data
    AVAILABLE = True
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the needed functions."""

_objects: dict[int, object] = {}
_numbers = itertools.count(1 << 40)
"""A range that wasmtime-py's own reference table does not reach, so that numbers cannot clash."""


def _forget(number: int | None) -> None:
    _objects.pop(number or 0, None)


_gone = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_forget)
"""Called by Wasmtime when no reference to an object is left; it must live as long as the process."""


def put_object(store: wasmtime.Store, reference: _bindings.wasmtime_externref_t, value: object) -> None:
    """Make `reference` (a `wasmtime_externref_t`) refer to `value`; null for None. Raises `MemoryError` if the store
    has no room for it.
    """
    if value is None:
        reference.store_id = 0
        return
    number = next(_numbers)
    _objects[number] = value
    if not _new(store._context(), number, _gone, ctypes.byref(reference)):
        _objects.pop(number, None)
        raise MemoryError("the store has no room for another external reference")


def take_object(store: wasmtime.Store, reference: _bindings.wasmtime_externref_t) -> object:
    """The object of `reference`; None for a null reference."""
    if not reference.store_id:
        return None
    number = _data(store._context(), ctypes.byref(reference))
    return _objects.get(number or 0)


def held_objects() -> int:
    """Number of objects that guests of this process hold references to, including those not yet collected."""
    return len(_objects)


class ForeignReference(TypeError):
    """A reference was passed to an instance that it does not belong to."""


class FunctionReference:
    """A function reference returned by a guest. It can be passed only to the same store."""

    __slots__ = ("_func",)

    def __init__(self, func: _bindings.wasmtime_func_t) -> None:
        self._func = func

    def __repr__(self) -> str:
        return "<reference to a function>"


def put_function(reference: _bindings.wasmtime_func_t, value: FunctionReference | None, store_id: int) -> None:
    """Make `reference` (a `wasmtime_func_t`) the function of `value`. Raises `ForeignReference` for a function of
    another store, on which Wasmtime would abort the process.
    """
    if value is None:
        reference.store_id = 0
        return
    func = value._func
    if func.store_id != store_id:
        raise ForeignReference("the reference to a function belongs to another instance's store")
    ctypes.memmove(ctypes.byref(reference), ctypes.byref(func), ctypes.sizeof(func))


def take_function(reference: _bindings.wasmtime_func_t) -> FunctionReference | None:
    """The function of `reference`; None for a null reference."""
    if not reference.store_id:
        return None
    copy = type(reference)()
    ctypes.memmove(ctypes.byref(copy), ctypes.byref(reference), ctypes.sizeof(copy))
    return FunctionReference(copy)
