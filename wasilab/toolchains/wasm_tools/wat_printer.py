"""WebAssembly text of a binary, each line with its offset in the file: `wasm-tools print --print-offsets`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from ...capabilities.host.cache_folders import cache_folder
from ..cache import make_folder
from ..diagnostics import ToolchainError
from .wasm_tools_program import INSTALL_TOOLS, find_wasm_tools, run_wasm_tools

_OFFSET = re.compile(r"[ ]*\(;@([0-9a-f]{1,12})\s*;\)(.*)")
PRINT_BOUNDS = (60.0, 2 << 30)
"""Limits of printing: seconds, and bytes of memory."""
MOST_TEXT = 32 << 20
"""Bytes of text that are read."""


class WatLine(NamedTuple):
    """One line of WebAssembly text, and the offset in the file of what it shows; None for a line without one."""

    offset: int | None
    text: str


class NoPrinter(ToolchainError):
    """wasm-tools is missing; the message has the command that installs it."""


def print_offsets(wasm: bytes, name: str) -> list[WatLine]:
    """The text of a module. Raises `NoPrinter` where wasm-tools is missing, else `ToolchainError` with its message."""
    tools, _ = find_wasm_tools()
    if tools is None:
        raise NoPrinter(f"WebAssembly text needs wasm-tools; install with: {INSTALL_TOOLS}")
    with tempfile.TemporaryDirectory(prefix="wat-", dir=make_folder(cache_folder() / "work")) as folder:
        module, output = Path(folder, "module.wasm"), Path(folder, "module.wat")
        module.write_bytes(wasm)
        arguments = ["print", "--print-offsets", "--color", "never", str(module), "-o", str(output)]
        done = run_wasm_tools(tools, arguments, Path(folder), PRINT_BOUNDS)
        if done.status != 0 or not output.is_file():
            said = " ".join(done.output.replace(f"{folder}/", "").split())[:400]
            raise ToolchainError(f"{name} cannot be printed as text: {said or f'status {done.status}'}")
        with output.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MOST_TEXT)
    return [_read(line) for line in text.splitlines()]


def _read(line: str) -> WatLine:
    found = _OFFSET.fullmatch(line)
    return WatLine(None, line) if found is None else WatLine(int(found[1], 16), found[2])
