"""`adapt`: a preview1 module to a component. In a file of its own, because a run of a .wasm needs no toolchain."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..module.module import Module, load
from ..toolchains.adapt import AdaptError, adapt_bytes


def adapt(
    program: Module | str | os.PathLike[str] | bytes,
    *,
    on_progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Module:
    """The component of WASI 0.2 that a preview1 module becomes: the same program, its calls translated by an adapter.

    A command (`_start`) becomes a component that exports `wasi:cli/run`. A reactor or library has to say in its own
    bytes which world it is of (a section `component-type`, as wit-bindgen writes it). What a component is made with is
    named by `wasilab doctor`. The names of functions and the lines of the source are kept.

    Raises `AdaptError` where a part is missing (with the line that installs it) or the module is none of these, and
    `ModuleError` for bytes that are no module.
    """
    module = program if isinstance(program, Module) else load(program)
    if module.is_component:
        raise AdaptError(f"{module.name} is a component already")
    module = module.portable()
    if any(item.module == "wasi_unstable" for item in module.imports):
        raise AdaptError(
            f"{module.name} imports wasi_unstable, the snapshot before preview1, which the adapter does not know: "
            "compile it with a compiler of today"
        )
    command = module.kind == "command"
    if not command and not any(name.startswith("component-type") for name in module.custom_sections):
        raise AdaptError(
            f"{module.name} is a {module.kind}, and says nothing of the types of its exports, so a component of it "
            "would export nothing: write the program with wit-bindgen, or give it a main"
        )
    if not any(export.kind == "memory" and export.name == "memory" for export in module.exports):
        raise AdaptError(f"{module.name} exports no memory under the name memory, which the adapter reads and writes")
    data = adapt_bytes(
        module.bytes, module.name, command=command, interrupt=cancelled or (lambda: False), on_progress=on_progress
    )
    made = Module(data, module.name, source=module.source, lang=module.lang, source_name=module.source_name)
    made.warnings = module.warnings
    return made
