"""Finds zig and remembers what it has built; used for C, C++ and Zig.

Zig builds libc, libc++ and its runtime from source when a set of flags is first used. Its own cache
(ZIG_GLOBAL_CACHE_DIR, or in the user's cache folder) keeps them; we only store a mark that they are built, and let one
compile at a time build them (`libraries/first_build.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ...capabilities.host.cache_folders import cache_folder
from ..base import Command, Job
from ..cache import trusted_cache_folder, write_atomic
from ..diagnostics import ToolchainError
from ..libraries.first_build import reporting, taking_turns, under_way
from ..linking import library_lookup
from ..probe import Tool, executables
from ..process import Cancelled, ProcessBounds, Progress, run_group

Build = Callable[[Job, Cancelled, Progress | None], tuple[bytes, str, Command]]
"""`Toolchain.build` for one compiler."""
INSTALL = "pip install ziglang"
"""The command that installs zig."""


def find_zigs() -> Iterator[tuple[str, str]]:
    """(how found, executable), in order: WASILAB_ZIG, PATH, the PyPI package ziglang beside this Python."""
    if own := os.environ.get("WASILAB_ZIG", "").strip():
        yield "WASILAB_ZIG", own
    for path in executables(["zig"]):
        yield "PATH", path
    try:
        spec = find_spec("ziglang")
    except (ImportError, ValueError):
        spec = None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("zig", "zig.exe"):
            if os.path.isfile(path := os.path.join(place, name)):
                yield "PyPI ziglang", path


def zig_version(argv: Sequence[str]) -> str:
    """The version of a zig. Raises `ToolchainError` if the program is not zig."""
    done = run_group([*argv, "version"], bounds=ProcessBounds(60))
    version = done.output.strip()
    if done.status != 0 or not version[:1].isdigit():
        raise ToolchainError(f"it does not answer `zig version`: {version[:100] or 'no output'}")
    return version


def global_cache() -> Path:
    """Zig's own cache folder, by its rules."""
    if own := os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "zig"
    if home := os.environ.get("HOME"):
        return Path(home) / ".cache" / "zig"
    return cache_folder() / "zig"  # without HOME zig itself fails


def made_global_cache() -> Path:
    """Zig's cache folder, created if missing: a confined compiler can be given only existing folders."""
    folder = global_cache()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def zig_environment(folder: Path, *, tell_link: bool = False) -> dict[str, str]:
    """Environment variables for a compile in `folder`: libraries go to the shared cache, the cell's objects do not.

    With `tell_link` zig prints its linker command, which `reporting_link` reads.
    """
    found = {"ZIG_GLOBAL_CACHE_DIR": str(global_cache()), "ZIG_LOCAL_CACHE_DIR": str(folder / ".zig-cache")}
    return {**found, "ZIG_VERBOSE_LINK": "1"} if tell_link else found


_LINK = re.compile(r"^wasm-ld --.*\n?|^ar rcs .*\n?", re.MULTILINE)
"""The linker and archiver commands that zig prints on request."""


def without_link(output: str) -> str:
    """Zig's output without its linker commands."""
    return _LINK.sub("", output)


def reporting_link(tool: Tool, job: Job, command: Command, output: str) -> Command | None:
    """The command to link a program again, so that it reports what its library refuses.

    `zig cc` drops the needed flag, but zig's linker has it. Zig prints paths unquoted: if one has a space, this link
    fails and the program is left unchanged.
    """
    lines = [line.split() for line in output.splitlines() if line.startswith("wasm-ld --")]
    if not lines or "-o" not in lines[-1][:-1]:
        return None
    argv = lines[-1][1:]
    argv[argv.index("-o") + 1] = str(job.folder / "reports.wasm")
    argv += [library_lookup.WRAP, str(library_lookup.write_object(job.folder))]
    return Command((tool.path, "wasm-ld", *argv), command.cwd, command.env)


def _place(tool: Tool, variant: str, where: str) -> Path:
    identity = f"{tool.path}\n{tool.version}\n{where}\n{variant}"
    return trusted_cache_folder() / "probes" / f"warm-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def is_marked(tool: Tool, variant: str, where: str) -> bool:
    """Whether `mark` was called for this compiler, variant and cache folder."""
    return _place(tool, variant, where).exists()


def mark(tool: Tool, variant: str, where: str) -> None:
    """Record that a compile of this variant succeeded, so its libraries are built."""
    path = _place(tool, variant, where)
    if not path.exists():
        with contextlib.suppress(OSError, ToolchainError):
            write_atomic(path, variant.encode())


def is_warm(tool: Tool, variant: str) -> bool:
    """Whether zig has built this variant's libraries (and its cache still exists)."""
    return is_marked(tool, variant, str(global_cache())) and global_cache().is_dir()


def mark_warm(tool: Tool, variant: str) -> None:
    """Record that zig has built this variant's libraries."""
    mark(tool, variant, str(global_cache()))


def build_once(
    tool: Tool, variant: str, libraries: tuple[str, int], job: Job, cancelled: Cancelled,
    on_progress: Progress | None, build: Build,
) -> tuple[bytes, str, Command]:  # fmt: skip
    """Compile with zig; if that first builds the libraries of a variant, one compile at a time does so.

    `libraries` are their name and how many seconds building them usually takes. Raises as `build`.
    """
    if job.first_build is None and not is_warm(tool, variant):
        turn = taking_turns(
            _identity(tool, variant), lambda: is_warm(tool, variant), cancelled, on_progress, background=job.background
        )
        with turn as taken:
            if taken is not None:
                stop, publish = taken

                def tell(seconds: float, sentence: str) -> None:
                    publish(sentence)
                    if on_progress is not None:
                        on_progress(seconds, sentence)

                with reporting(*libraries, tool.path) as first:
                    result = build(replace(job, first_build=first), stop, tell)
                mark_warm(tool, variant)
                return result
    return build(job, cancelled, on_progress)


def being_built(tool: Tool, variant: str) -> str:
    """How far a running build of a variant's libraries is; "" if there is none."""
    return under_way(_identity(tool, variant))


def _identity(tool: Tool, variant: str) -> str:
    return "\n".join([tool.path, tool.version, variant, str(global_cache())])
