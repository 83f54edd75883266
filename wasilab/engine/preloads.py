"""WASI functions that an instance imports through another one, and the memory they use.

A WASI call in Wasmtime uses the memory of the calling instance, not of the one that imported the function. If a
preloaded module exports a WASI function that it imports, the importer gets its own function (`reexported`). If function
references can pass between instances, in a table, a global or an argument, the caller is not known in advance, so the
trampolines look up the memory at every call (`references_pass`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..module.binary import FuncType
from ..module.module import Module
from ..wasi.preview1.spec import MODULES

Origins = Mapping[tuple[str, str], tuple[str, str, FuncType]]
"""(preload's name, export) -> (WASI module, call, imported type)."""


def reexported(name: str, module: Module, provided: Mapping[str, Mapping[str, object]], known: Origins) -> Origins:
    """The exports of the preload `name` that are WASI functions it imports, directly or through another preload."""
    imported = [item for item in module.imports if isinstance(item.type, FuncType)]
    found = {}
    for export in module.exports:
        if export.kind != "func" or export.index >= len(imported):
            continue
        item = imported[export.index]
        origin = known.get((item.module, item.name))
        if origin is None and item.module in MODULES and item.name not in provided.get(item.module, {}):
            assert isinstance(item.type, FuncType)
            origin = item.module, item.name, item.type
        if origin is not None:
            found[name, export.name] = origin
    return found


def references_pass(modules: Sequence[Module], preloads: Mapping[str, Module]) -> bool:
    """Whether a function reference can pass between these instances."""
    return any(
        item.module in preloads and (_is_reference(item.type) if isinstance(item.type, FuncType | str) else False)
        for module in modules
        for item in module.imports
    )


def _is_reference(type_: FuncType | str) -> bool:
    kinds = (*type_.params, *type_.results) if isinstance(type_, FuncType) else (type_.split(" ", 1)[0], type_)
    return any(kind == "table" or "ref" in kind for kind in kinds)
