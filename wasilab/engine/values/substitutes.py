"""Empty memories, tables and globals for imports that nothing provides.

Used only if the user asked for them (`EngineOptions.unknown_imports`); functions are in `absent.py`.
"""

from __future__ import annotations

import wasmtime

from ...module.binary import FuncType, MemoryType
from ...module.module import Import
from ..stop import LinkError
from .wasmtime_objects import ExternItem, ExternType

_ZEROS: dict[str, int | float | None] = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "externref": None, "funcref": None}
"""Types that wasmtime-py supports in globals and tables; others abort the process."""


def kind_of(item: Import) -> str:
    """The kind of an import, in a word."""
    return "function" if isinstance(item.type, FuncType) else str(item.type).split(" ")[0]


def can_stand_in(item: Import) -> bool:
    """Whether `stand_in` supports its type."""
    if isinstance(item.type, MemoryType):
        return not item.type.shared
    words = str(item.type).split(" ")
    if words[0] == "table":
        return words[2] in ("funcref", "externref")
    return words[0] == "global" and words[-1] in _ZEROS


def stand_in(store: wasmtime.Store, item: Import, type_: ExternType) -> ExternItem:
    """A new memory, table or global of the import's type. Raises `LinkError` if that would exceed the limits."""
    try:
        if isinstance(type_, wasmtime.MemoryType):
            return wasmtime.Memory(store, type_)
        if isinstance(type_, wasmtime.TableType):
            return wasmtime.Table(store, type_, None)
        assert isinstance(type_, wasmtime.GlobalType), "can_stand_in"
        return wasmtime.Global(store, type_, _ZEROS[str(item.type).split(" ")[-1]])
    except wasmtime.WasmtimeError as error:
        raise LinkError(f"no {kind_of(item)} can be made for {item.module}.{item.name}: {error}") from None
