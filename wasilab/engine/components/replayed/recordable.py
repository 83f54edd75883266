"""Says which components can be recorded for a replay: those of WASI 0.2 whose functions return before they go on."""

from __future__ import annotations

from ....module.binary import WasmFormatError
from ....module.module import Module
from ....wasi.components.interfaces import parts
from .. import component_binary as b
from ..instantiate import uses_waiting


def why_not_recordable(module: Module) -> str | None:
    """Why the calls of this component cannot be recorded for a replay, as the rest of a sentence; None if they can.

    A file that is not a valid component gives None: running it says what is wrong.
    """
    try:
        component = b.parse(module.bytes)
    except WasmFormatError:
        return None
    for definition in component.definitions:
        if not isinstance(definition, b.ImportDefinition):
            continue
        _, version = parts(definition.name)
        if version.startswith("0.3"):
            return f"imports {definition.name}: the streams and futures of WASI 0.3 can be traced but not replayed"
    if uses_waiting(component):
        return "has functions that wait while others run (async): they can be traced but not replayed"
    return None
