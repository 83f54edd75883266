"""Rust by rustc: one crate and the standard library. A rustc is usable if it has the target and can link for it.

The target is wasm32-wasip1, or wasm32-wasi in compilers older than 1.78. Not here: cargo and crates from the net.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from ..base import Command, Job, Toolchain
from ..diagnostics import ToolchainError
from ..linking import library_lookup
from ..probe import Failure, Tool, executables, remembered
from ..process import ProcessBounds, run_group

TARGETS = ("wasm32-wasip1", "wasm32-wasi")
EDITION = "2021"
_TIMEOUT = 120.0


class Rust(Toolchain):
    """Rust."""

    language = "rust"
    title = "Rust"
    related = ("rustc", "cargo")
    suffixes = (".rs",)
    lexer = "rust"
    style = "rustc"
    reports = True
    reactor_flags = ("--crate-type=cdylib",)
    refused_flags: ClassVar[dict[str, str]] = {
        "-o": "the module's place is set by wasilab",
        "--out-dir": "the compile folder is wasilab's own",
        "--emit": "a compile makes one linked module",
        "--print": "it prints instead of compiling",
        "-": "a cell has no stdin; the source is the cell",
    }

    @property
    def install(self) -> str:
        if shutil.which("rustup"):
            return "rustup target add wasm32-wasip1"
        try:
            release = Path("/etc/os-release").read_text(encoding="utf-8")
        except OSError:
            release = ""
        if '\nVERSION_ID="12"' in release and "\nID=debian" in release:
            return "apt install rustc libstd-rust-dev-wasm32 lld-14"
        return "install rustup (https://rustup.rs), then: rustup target add wasm32-wasip1"

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        places = [("PATH", path) for path in executables(["rustc"], ["/usr/bin", str(Path.home() / ".cargo" / "bin")])]
        if own := os.environ.get("WASILAB_RUSTC", "").strip():
            places.insert(0, ("WASILAB_RUSTC", own))
        # A rustup proxy does not change with its toolchain; these files do.
        rustup = Path(os.environ.get("RUSTUP_HOME", "") or Path.home() / ".rustup")
        watch = [str(rustup / "settings.toml"), str(rustup / "toolchains"), str(rustup / "update-hashes")]
        watch += ["/usr/lib/rustlib", os.environ.get("RUSTUP_TOOLCHAIN", "")]
        found: list[Tool | Failure] = []
        for how, path in places:

            def probe(how: str = how, path: str = path) -> Tool:
                return _probe(path, how)

            found.append(remembered(f"rust\0{how}", path, probe, watch=watch, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def command(self, tool: Tool, job: Job) -> Command:
        crate = re.sub(r"\W", "_", Path(job.file_name).stem)
        crate = f"_{crate}" if crate[:1].isdigit() else crate
        argv = [*tool.argv, "--edition", EDITION, "-g", "-C", "opt-level=1", "--color", "never"]
        argv += ["--crate-name", crate, f"--remap-path-prefix={job.folder}=.", *job.flags]
        if job.reports:
            argv += ["-C", f"link-arg={library_lookup.WRAP}"]
            argv += ["-C", f"link-arg={library_lookup.write_object(job.folder)}"]
        argv += [f"--emit=link={job.output_path},dep-info={job.folder / 'deps.d'}", job.file_name]
        return Command(tuple(argv), job.folder)

    def installation(self, tool: Tool) -> list[str]:
        rustup = [os.environ.get("RUSTUP_HOME", "") or str(Path.home() / ".rustup")]
        cargo = os.environ.get("CARGO_HOME", "") or str(Path.home() / ".cargo")
        return [*super().installation(tool), *rustup, str(Path(cargo, "bin"))]

    def dependencies(self, job: Job) -> list[str]:
        found = super().dependencies(job)
        try:
            listed = (job.folder / "deps.d").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            listed = []
        found += [line[:-1] for line in listed if line.startswith("/") and line.endswith(":")]
        inside = str(job.folder) + os.sep
        return [path for path in dict.fromkeys(found) if not path.startswith(inside)]

    def hints(self, output: str, job: Job) -> list[str]:
        said = []
        if "`main` function not found" in output:
            said.append(
                "a program needs fn main(); a module of exported functions (a reactor): add --crate-type=cdylib"
            )
        crates = (
            r"use of undeclared (?:crate or module|type) `(\w+)`|unresolved import `(\w+)`|can't find crate for `(\w+)`"
        )
        for found in re.findall(crates, output):
            name = next(filter(None, found))
            if name.islower():
                said.append(
                    f"only the standard library is here: cells are compiled by rustc without the crate {name!r}"
                )
        for name in re.findall(r"file not found for module `(\w+)`", output):
            said.append(f"put {name}.rs beside the source with a %%wasi_file {name}.rs cell")
        return said


def _probe(path: str, how: str) -> Tool:
    stated = run_group([path, "--version"], bounds=ProcessBounds(_TIMEOUT))
    match = re.search(r"rustc (\d+[\w.-]*)", stated.output)
    if stated.status != 0 or match is None:
        raise ToolchainError(f"it does not answer --version: {stated.output.strip()[:200]}")
    why = f"rustc {match[1]} has no target {TARGETS[0]}"
    for target in TARGETS:
        where = run_group([path, "--print", "target-libdir", "--target", target], bounds=ProcessBounds(_TIMEOUT))
        if where.status == 0 and os.path.isdir(where.output.strip()):
            for linker in ((), *(("-C", f"linker={lld}") for lld in _linkers())):
                argv = (path, "--target", target, *linker)
                error = _link(argv)
                if error is None:
                    return Tool("rustc", argv, match[1], path, how, {"target": target})
                why = f"rustc {match[1]} does not link for {target}: {error}"
    raise ToolchainError(why)


def _linkers() -> list[str]:
    return executables(["rust-lld", "wasm-ld", *(f"wasm-ld-{n}" for n in range(40, 10, -1))])


def _link(argv: tuple[str, ...]) -> str | None:
    """Why a program does not link; None if it does."""
    with tempfile.TemporaryDirectory(prefix="wasilab-") as folder:
        Path(folder, "probe.rs").write_text('fn main() { println!("ok"); }\n')
        done = run_group([*argv, "probe.rs", "-o", "probe.wasm"], cwd=Path(folder), bounds=ProcessBounds(_TIMEOUT))
        if done.status == 0 and Path(folder, "probe.wasm").exists():
            return None
        return next((row for row in done.output.splitlines() if row.startswith("error")), done.output.strip()[:200])
