"""The Zig language, compiled by the same zig as C.

Debug mode through LLVM: zig's own WebAssembly back end is faster (0.2 s instead of 1 s) but writes no DWARF.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from ..base import Command, Job, Toolchain
from ..probe import Failure, Tool, remembered
from ..process import Cancelled, Progress
from .zig_tool import (
    INSTALL,
    build_once,
    find_zigs,
    is_warm,
    made_global_cache,
    reporting_link,
    without_link,
    zig_environment,
    zig_version,
)  # fmt: skip

TARGET = "wasm32-wasi"


class Zig(Toolchain):
    """Zig."""

    language = "zig"
    title = "Zig"
    suffixes = (".zig",)
    lexer = "zig"
    slow_first = True
    reports = True
    reactor_flags = ("-fno-entry", "-rdynamic")
    refused_flags = {  # noqa: RUF012
        "-o": "the module's place is set by wasilab",
        "-fno-emit-bin": "a compile makes a module",
        "--cache-dir": "the compile folder is wasilab's own",
    }

    @property
    def install(self) -> str:
        return INSTALL

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        found: list[Tool | Failure] = []
        for how, path in find_zigs():

            def probe(how: str = how, path: str = path) -> Tool:
                return Tool("zig", (path,), zig_version([path]), path, how)

            found.append(remembered(f"zig\0{how}", path, probe, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def command(self, tool: Tool, job: Job) -> Command:
        argv = [*tool.argv, "build-exe", "-target", TARGET, "--color", "off", *job.flags, job.file_name]
        argv += [f"-femit-bin={job.output_path}", "--name", Path(job.file_name).stem.replace(".", "_")]
        reports = job.reports and _links_libc(job.flags)
        if reports:
            argv.append(f"-femit-llvm-bc={_bitcode(job)}")
        return Command(tuple(argv), job.folder, zig_environment(job.folder, tell_link=reports))

    def link_again(self, tool: Tool, job: Job, output: str) -> Command | None:
        """Link the bitcode: zig deletes the object once it has linked it, and its linker compiles bitcode as well."""
        if not _links_libc(job.flags):
            return None
        level = "--lto-O0", "--lto-CGO0" if _is_debug(job.flags) else "--lto-CGO2"
        found = reporting_link(tool, job, self.command(tool, job), output)
        if found is None or not any(part.endswith("_zcu.o") for part in found.argv):
            return None
        argv = tuple(str(_bitcode(job)) if part.endswith("_zcu.o") else part for part in found.argv)
        return Command((*argv, *level), found.cwd, found.env)

    def clean(self, output: str, job: Job) -> str:
        return super().clean(without_link(output), job)

    def caches(self, tool: Tool) -> list[str]:
        return [str(made_global_cache())]

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        def build(job: Job, stop: Cancelled, tell: Progress | None) -> tuple[bytes, str, Command]:
            return super(Zig, self).build(tool, job, stop, tell)

        libraries = ("its C library", 60) if _links_libc(job.flags) else ("its runtime", 15)
        return build_once(tool, self._variant(job.flags), libraries, job, cancelled, on_progress, build)

    def _variant(self, flags: tuple[str, ...]) -> str:
        libc = ["-lc"] if _links_libc(flags) else []
        return " ".join(["zig", *libc, *(flag for flag in flags if flag.startswith("-O"))])

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        return job.first_build.sentence(elapsed) if job.first_build else super().sentence(tool, job, elapsed)

    def hints(self, output: str, job: Job) -> list[str]:
        if re.search(r"has no member named 'main'|missing struct field.*main", output):
            return [
                "a program needs `pub fn main`; a module of exported functions (a reactor): add -fno-entry -rdynamic"
            ]
        if found := re.search(r"unable to load '([^']+)'", output):
            return [f"put {found[1]} beside the source with a %%wasi_file {found[1]} cell"]
        return []

    def cold(self, tool: Tool) -> str | None:
        return None if is_warm(tool, "zig") else "the first compile builds zig's runtime, about 15 seconds, once"


def _links_libc(flags: tuple[str, ...]) -> bool:
    """Whether a program is linked with the C library; Zig's own asks the host about every path."""
    return "-lc" in flags or not {("-l", "c"), ("--library", "c")}.isdisjoint(pairwise(flags))


def _is_debug(flags: tuple[str, ...]) -> bool:
    """Whether a program is compiled without optimization, zig's default."""
    levels = [flag for flag in flags if flag.startswith("-O")]
    return not levels or levels[-1] in ("-O", "-ODebug")


def _bitcode(job: Job) -> Path:
    """Where zig writes the program as LLVM bitcode."""
    return job.folder / "program.bc"
