"""AssemblyScript by asc under Node.js, with the package that gives it WASI (@assemblyscript/wasi-shim).

The two npm packages are looked for together in WASILAB_ASC (a folder, or asc itself), beside the `asc` on PATH, in
./node_modules, in wasilab's own data folder and in npm's global folder. asc writes no DWARF; the name section
names the functions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from platformdirs import user_data_path

from ..base import Command, Job, Toolchain
from ..diagnostics import ToolchainError
from ..probe import Failure, Tool, executables, remembered
from ..process import ProcessBounds, run_group

SHIM = Path("@assemblyscript", "wasi-shim")
ASC = Path("assemblyscript", "bin", "asc.js")
ALIASES = ("abort", "trace", "seed", "console", "crypto", "performance", "process", "Date")
"""Globals of AssemblyScript that the shim implements over WASI."""


def own_folder() -> Path:
    """Where the install line puts the packages: it needs no rights and is always found."""
    return user_data_path("wasilab")


class AssemblyScript(Toolchain):
    """AssemblyScript."""

    language = "assemblyscript"
    title = "AssemblyScript"
    aliases = ("as", "asc")
    related = ("typescript", "javascript", "js")
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
        folder = str(own_folder())
        home = str(Path.home())
        shown = "~" + folder[len(home) :] if folder.startswith(home + os.sep) else folder
        return f"npm install --prefix {shown} assemblyscript @assemblyscript/wasi-shim  # Node.js 20 or later"

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        nodes = executables(["node", "nodejs"])
        if not nodes:
            return []
        found: list[Tool | Failure] = []
        for how, modules in _places(nodes[0]):
            asc = modules / ASC
            if not asc.is_file():
                if how == "WASILAB_ASC":
                    found.append(Failure(str(modules), "there is no assemblyscript package there"))
                continue

            def probe(how: str = how, modules: Path = modules) -> Tool:
                return _probe(nodes[0], modules, how)

            watch = [str(modules / "assemblyscript" / "package.json"), str(modules / SHIM / "package.json"), nodes[0]]
            found.append(remembered(f"asc\0{how}\0{nodes[0]}", str(asc), probe, watch=watch, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def command(self, tool: Tool, job: Job) -> Command:
        # asc takes a library folder by relative path only, and reads entry files as relative to the folder it runs in.
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
        # asc imports further packages that npm put beside it.
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


def _places(node: str) -> Iterator[tuple[str, Path]]:
    """How found and a node_modules folder, in order."""
    if own := os.environ.get("WASILAB_ASC", "").strip():
        path = Path(os.path.realpath(own))
        if path.is_dir():
            yield "WASILAB_ASC", path if path.name == "node_modules" else path / "node_modules"
        else:
            yield "WASILAB_ASC", path.parent.parent.parent
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "node_modules" / ASC).is_file():
            yield "node_modules", folder / "node_modules"
            break
    for asc in executables(["asc"]):
        yield "PATH", Path(os.path.realpath(asc)).parent.parent.parent
    yield "wasilab's data folder", own_folder() / "node_modules"
    prefix = Path(os.path.realpath(node)).parent.parent
    for base in dict.fromkeys((prefix, Path("/usr/local"), Path("/usr"), Path.home() / ".npm-global")):
        yield "npm global", base / "lib" / "node_modules"


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
