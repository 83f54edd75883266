"""Parses WebAssembly's script language: `wasm-tools json-from-wast` writes the commands as JSON, and each module as a
file beside it."""

from __future__ import annotations

import re
from pathlib import Path

from ..diagnostics import CompileInterrupted, ToolchainError
from ..process import Cancelled, never
from .wasm_tools_program import INSTALL_TOOLS, find_wasm_tools, run_wasm_tools

PARSE_BOUNDS = (60.0, 2 << 30)
"""Limits of parsing one script: seconds, and bytes of memory."""
_SCRIPT = "script.wast"
_PLACE = re.compile(rf"--> .*{re.escape(_SCRIPT)}:(\d+):(\d+)")


class ScriptParseError(Exception):
    """A script that cannot be parsed: what the parser said, and where (0: it did not say)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class ScriptParserMissing(ToolchainError):
    """There is no wasm-tools; the message has the command that installs it."""


def parse_script(source: bytes, folder: Path, *, cancelled: Cancelled = never) -> None:
    """Write `script.json` and the modules of a script into `folder`, which is empty.

    Raises `ScriptParseError`, `ScriptParserMissing` and `CompileInterrupted`.
    """
    tools, failures = find_wasm_tools()
    if tools is None:
        tried = "".join(f"\n  tried {one.path}: {one.why}" for one in failures)
        raise ScriptParserMissing(f"scripts (.wast) are parsed by wasm-tools; install with: {INSTALL_TOOLS}{tried}")
    try:
        source.decode()
    except UnicodeDecodeError as error:
        raise ScriptParseError("it is not UTF-8 text", source.count(b"\n", 0, error.start) + 1) from None
    script = folder / _SCRIPT
    script.write_bytes(source)
    arguments = ["json-from-wast", str(script), "-o", str(folder / "script.json"), "--wasm-dir", str(folder)]
    try:
        done = run_wasm_tools(tools, arguments, folder, PARSE_BOUNDS, cancelled=cancelled)
    except CompileInterrupted:
        raise
    except ToolchainError as error:
        raise ScriptParseError(str(error)) from None
    if done.status == 0 and (folder / "script.json").is_file():
        return
    place = _PLACE.search(done.output)
    line, column = (int(place[1]), int(place[2])) if place is not None else (0, 0)
    raise ScriptParseError(_said(done.output) or f"the parser ended with status {done.status}", line, column)


def _said(output: str) -> str:
    """The parser's message without the picture of the line, as one line."""
    rows = [re.sub(r"^(error: |\d+: )", "", row.strip()) for row in output.splitlines()]
    rows = [row for row in rows if row and row != "Caused by:" and not re.match(r"-->|\||\d+ \|", row)]
    return "; ".join(rows[:3])[:600]
