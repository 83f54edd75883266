"""`adapt`: converts a preview1 module to a component. A separate file, because running a .wasm needs no toolchain."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..module.module import Module, load
from ..toolchains.wasm_tools.adapt import AdaptError, adapt_bytes


def adapt(
    program: Module | str | os.PathLike[str] | bytes,
    *,
    on_progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Module:
    """Convert a preview1 module to a WASI 0.2 component: the same program, with its calls translated by an adapter.

    A command (`_start`) becomes a component that exports `wasi:cli/run`. A reactor or library must name its world in a
    section `component-type`, as written by wit-bindgen. `wasilab doctor` lists the tools used. Function names and
    source lines are kept.

    Raises `AdaptError` if a tool is missing (with the install command) or the module is none of these, and
    `ModuleError` for bytes that are not a WebAssembly module.
    """
    module = program if isinstance(program, Module) else load(program)
    if module.is_component:
        raise AdaptError(f"{module.name} is already a component")
    module = module.portable()
    if any(item.module == "wasi_unstable" for item in module.imports):
        raise AdaptError(
            f"{module.name} imports wasi_unstable, the snapshot before preview1, which the adapter does not support: "
            "compile it with a current compiler"
        )
    command = module.kind == "command"
    if not command and not any(name.startswith("component-type") for name in module.custom_sections):
        raise AdaptError(
            f"{module.name} is a {module.kind} that does not declare the types of its exports, so its component "
            "would export nothing: use wit-bindgen, or give the program a main function"
        )
    if not any(export.kind == "memory" and export.name == "memory" for export in module.exports):
        raise AdaptError(f"{module.name} does not export its memory as \"memory\", which the adapter needs")
    data = adapt_bytes(
        module.bytes, module.name, command=command, interrupt=cancelled or (lambda: False), on_progress=on_progress
    )
    made = Module(data, module.name, source=module.source, lang=module.lang, source_name=module.source_name)
    made.warnings = module.warnings
    return made
