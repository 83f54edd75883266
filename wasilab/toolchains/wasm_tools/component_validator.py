"""Validates a component with wasm-tools: for features that Wasmtime's C API cannot switch on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..diagnostics import CompileInterrupted, ToolchainError
from ..process import Cancelled, never
from .wasm_tools_program import find_wasm_tools, run_wasm_tools

_ERROR = re.compile(r"^error: (.*\(at offset 0x[0-9a-f]+\))$", re.MULTILINE)
VALIDATE_BOUNDS = (30.0, 1 << 30)
"""Limits of validating one component: seconds, and bytes of memory."""


def validate_component(file: Path, features: Sequence[str], *, cancelled: Cancelled = never) -> str | None:
    """Why the component in `file` is not valid with these features, named as wasm-tools does; "" if it is.

    None if that cannot be said: there is no wasm-tools, it does not know the features, or it did not end in time.
    Raises `CompileInterrupted`.
    """
    tools, _ = find_wasm_tools()
    if tools is None:
        return None
    arguments = ["validate", f"--features={','.join(features)}", str(file)]
    try:
        done = run_wasm_tools(tools, arguments, file.parent, VALIDATE_BOUNDS, cancelled=cancelled)
    except CompileInterrupted:
        raise
    except ToolchainError:
        return None
    if done.status == 0:
        return ""
    found = _ERROR.search(done.output)
    return found[1][:600] if found is not None else None
