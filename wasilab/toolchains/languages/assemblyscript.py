"""AssemblyScript by asc under Node.js, with the package that provides WASI (@assemblyscript/wasi-shim).

The two npm packages are looked for together in WASILAB_ASC (a folder, or asc itself), beside the `asc` on PATH, in
./node_modules, in wasilab's own data folder and in npm's global folder. asc writes no DWARF; the name section
names the functions.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import ClassVar

from ..base import Command, Job, Toolchain
from ..diagnostics import ToolchainError
from ..probe import Failure, Tool, remembered
from ..process import ProcessBounds, run_group
from .npm_packages import install_line, nodes, package_folders

SHIM = Path("@assemblyscript", "wasi-shim")
ASC = Path("assemblyscript", "bin", "asc.js")
ALIASES = ("abort", "trace", "seed", "console", "crypto", "performance", "process", "Date")
"""AssemblyScript globals that the shim implements with WASI."""


class AssemblyScript(Toolchain):
    """AssemblyScript."""

    language = "assemblyscript"
    title = "AssemblyScript"
    aliases = ("as", "asc")
    related = ("typescript",)
    suffixes = (".ts",)
    lexer = "typescript"
    style = "asc"
    reactor_flags = ("--exportStart", "_initialize")
    refused_flags: ClassVar[dict[str, str]] = {
        "-o": "the module's place is set by wasilab",
        "--outFile": "the module's place is set by wasilab",
        "--baseDir": "the compile folder is wasilab's own",
        "--config": "the settings for WASI are wasilab's own",
        "--noEmit": "a compile makes a module",
        "--help": "it prints instead of compiling",
        "--version": "it prints instead of compiling",
    }

    @property
    def install(self) -> str:
        return install_line("assemblyscript", "@assemblyscript/wasi-shim")

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        found_nodes = nodes()
        if not found_nodes:
            return []
        node = found_nodes[0]
        found: list[Tool | Failure] = []
        for how, modules in package_folders("WASILAB_ASC", ASC, ["asc"]):
            asc = modules / ASC
            if not asc.is_file():
                if how == "WASILAB_ASC":
                    found.append(Failure(str(modules), "there is no assemblyscript package there"))
                continue

            def probe(how: str = how, modules: Path = modules) -> Tool:
                return _probe(node, modules, how)

            watch = [str(modules / "assemblyscript" / "package.json"), str(modules / SHIM / "package.json"), node]
            found.append(remembered(f"asc\0{how}\0{node}", str(asc), probe, watch=watch, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def command(self, tool: Tool, job: Job) -> Command:
        # asc accepts a library folder only as a relative path, and resolves entry files against its current folder.
        folder = os.path.realpath(job.folder)
        library = os.path.relpath(os.path.realpath(tool.extra["shim"]), folder)
        argv = [*tool.argv, job.file_name, "--lib", os.path.join(library, "assembly"), "--use", "ASC_WASI=1"]
        for name in ALIASES:
            argv += ["--use", f"{name}=wasi_{name}"]
        if "--exportStart" not in job.flags:
            argv += ["--exportStart", "_start"]
        further = [flag for flag in job.flags if flag in job.files]
        flags = [flag for flag in job.flags if flag not in job.files]
        argv += ["--noColors", "--debug", *flags, *further, "--outFile", job.output_path.name]
        return Command(tuple(argv), Path(folder), {"NODE_OPTIONS": None})

    def installation(self, tool: Tool) -> list[str]:
        # asc imports other packages that npm installed beside it.
        return [*super().installation(tool), str(Path(tool.extra["shim"]).parent.parent)]

    def clean(self, output: str, job: Job) -> str:
        return re.sub(r"\n{3,}", "\n\n", super().clean(output, job)).strip("\n") + "\n" if output.strip() else ""

    def hints(self, output: str, job: Job) -> list[str]:
        said = []
        if "TS6054: File" in output and "not found" in output:
            said.append("put an imported file beside the source with a %%wasi_file cell")
        if "is not assignable to type '~lib/string/String'" in output:
            said.append("console.log takes a string: write value.toString()")
        return said


def _probe(node: str, modules: Path, how: str) -> Tool:
    shim = modules / SHIM
    if not (shim / "assembly" / "wasi_console.ts").is_file():
        raise ToolchainError("the npm package @assemblyscript/wasi-shim is not beside it; install both together")
    try:
        package = json.loads((modules / "assemblyscript" / "package.json").read_text(encoding="utf-8"))
        shim_version = json.loads((shim / "package.json").read_text(encoding="utf-8"))["version"]
        version, wanted = package["version"], package.get("engines", {}).get("node", "")
    except (OSError, ValueError, KeyError) as error:
        raise ToolchainError(f"its package.json cannot be read: {error}") from error
    stated = run_group([node, str(modules / ASC), "--version"], bounds=ProcessBounds(60))
    if stated.status != 0 or version not in stated.output:
        raise ToolchainError(
            f"it does not run under {node} (it wants Node.js {wanted}): {stated.output.strip()[:200] or 'no output'}"
        )
    how = f"{how}, wasi-shim {shim_version}"
    return Tool("asc", (node, str(modules / ASC)), version, str(modules / ASC), how, {"shim": str(shim)})
