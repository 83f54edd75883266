"""A table that an instance exports: function references in it, and Python functions put there for the guest to call.

A C function pointer is an index of the table `__indirect_function_table`, which the flags `-Wl,--export-table` and
`-Wl,--growable-table` export and let grow. A guest checks the type at each indirect call, so a Python function is put
there with a type, and only with one that the module knows. Source: WebAssembly core 3.0, 4.4.10 (call_indirect).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import suppress

import wasmtime

from ...module.binary import FuncType
from ...text.numbers import counted
from ..calls import raw as _raw
from ..entry import InvokeError
from ..instances import Live
from ..values.references import FunctionReference
from .python_functions import target_of

PASSES = {"i32": "i32", "i64": "i64", "f32": "f32", "f64": "f64", "externref": "externref"}
"""The value types of a Python function in a table."""
_TYPE = re.compile(r"\s*\(?([\w\s,]*)\)?\s*->\s*\(?([\w\s,]*)\)?\s*")


class TableError(TypeError):
    """A table, index or function type that does not fit; the message is one sentence for the user."""


def read_type(text: str) -> FuncType:
    """A function type as text: "i32, f64 -> i32", "(i32) -> ()". Raises `TableError`."""
    found = _TYPE.fullmatch(text)
    if found is None:
        raise TableError(f"{text!r} is not a function type: write for example 'i32, i32 -> i32' or 'i32 ->'")
    params, results = (tuple(part.replace(",", " ").split()) for part in found.groups())
    for kind in (*params, *results):
        if kind not in PASSES:
            raise TableError(f"{kind!r} is not a type that a Python function can have; use {', '.join(PASSES)}")
    return FuncType(params, results)


class LiveTable:
    """A table of function references of an instance that is kept alive."""

    def __init__(self, live: Live, name: str) -> None:
        self._live = live
        self._name = name

    def __len__(self) -> int:
        session = self._live.session
        return int(self._table().size(session.store))

    def __getitem__(self, index: int) -> FunctionReference | None:
        """The reference at `index`; None for an empty entry. Raises `IndexError`."""
        found: list[FunctionReference | None] = []

        def work() -> None:
            self._inside(index)
            value = self._table().get(self._live.session.store, index)
            found.append(FunctionReference(value._func) if isinstance(value, wasmtime.Func) else None)

        self._live.perform(work)
        return found[0]

    def put(self, function: Callable[..., object], type: str) -> int:
        """Put a Python function into a free entry, never entry 0, or a new one; returns its index: a function pointer.

        `type`: its WebAssembly type, such as "i32, i32 -> i32"; see `read_type`. It is kept as long as the instance.
        Raises `TableError` for a type that does not fit the function or that the module never calls, and where the
        table is full.
        """
        known = self._checked(function, type)
        placed: list[int] = []

        def work() -> None:
            store, table = self._live.session.store, self._table()
            size = int(table.size(store))
            empty = (at for at in range(1, size) if not isinstance(table.get(store, at), wasmtime.Func))
            free = next(empty, None)
            if free is None:
                try:
                    table.grow(store, 1 if size else 2, None)
                except wasmtime.WasmtimeError:
                    raise InvokeError(
                        f"the table {self._name!r} is full: it has {counted(size, 'entry', 'entries')} and cannot "
                        "grow; a C program is linked with -Wl,--growable-table for that"
                    ) from None
                free = max(size, 1)
            self._set(free, function, known)
            placed.append(free)

        self._perform(work)
        return placed[0]

    def set(self, index: int, function: Callable[..., object] | FunctionReference | None, type: str = "") -> None:
        """Put a Python function (with its `type`), a reference of the same store, or None into entry `index`.

        Raises `IndexError`, and `TableError` as `put` does and for a reference of another instance's store.
        """
        known = None if function is None or isinstance(function, FunctionReference) else self._checked(function, type)

        def work() -> None:
            self._inside(index)
            self._set(index, function, known)

        self._perform(work)

    def _perform(self, work: Callable[[], None]) -> None:
        try:
            self._live.perform(work)
        except TableError:
            raise
        except TypeError as error:
            raise TableError(str(error)) from None

    def _table(self) -> wasmtime.Table:
        found = self._live.session.exports.get(self._name)
        if not isinstance(found, wasmtime.Table):
            raise TableError(f"{self._live.session.module.name} exports no table {self._name!r}")
        return found

    def _inside(self, index: int) -> None:
        size = len(self)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < size:
            raise InvokeError(f"the table {self._name!r} has the entries 0 to {size - 1}, and no {index!r}")

    def _set(
        self, index: int, function: Callable[..., object] | FunctionReference | None, type_: FuncType | None
    ) -> None:
        session = self._live.session
        if function is None:
            self._table().set(session.store, index, None)
            return
        if isinstance(function, FunctionReference):
            try:
                self._table().set(session.store, index, wasmtime.Func._from_raw(function._func))
            except wasmtime.WasmtimeError:  # it compares the stores
                raise InvokeError("the reference to a function belongs to another instance's store") from None
            return
        assert type_ is not None, "checked before"
        name = getattr(function, "__name__", "function")
        kinds = [[getattr(wasmtime.ValType, kind)() for kind in part] for part in (type_.params, type_.results)]
        target = target_of(session, "table", str(name), type_, function)
        made, callback = _raw.function(session.store, wasmtime.FuncType(*kinds), target)
        session.keep.append(callback)
        self._table().set(session.store, index, made)

    def _checked(self, function: object, text: str) -> FuncType:
        """The type of a Python function. Raises `TableError` where it does not fit the function or the module."""
        if not callable(function):
            raise TableError(f"{function!r} is neither a function nor a reference to one")
        if not text:
            raise TableError("a Python function in a table needs a type, such as type='i32 -> i32'")
        wanted = read_type(text)
        with suppress(ValueError):  # a built-in function without a signature
            try:
                inspect.signature(function).bind(*wanted.params)
            except TypeError as error:
                name = getattr(function, "__name__", repr(function))
                raise TableError(f"{name} cannot be called as {wanted}: {error}") from None
        module = self._live.session.module
        if wanted not in module.types:
            known = ", ".join(dict.fromkeys(str(one) for one in module.types if one is not None)) or "none"
            raise TableError(f"{module.name} never calls a function of type {wanted}; its function types are {known}")
        return wanted


def table_of(live: Live, name: str | None) -> LiveTable:
    """The exported table of that name, or the only one. Raises `TableError`."""
    module = live.session.module
    names = [export.name for export in module.exports if export.kind == "table"]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        there = f"it exports {', '.join(names)}" if names else "it exports none (C: -Wl,--export-table)"
        wanted = "one table: name it" if name is None else f"table {name!r}"
        raise TableError(f"{module.name} has no exported {wanted}; {there}")
    return LiveTable(live, name)
