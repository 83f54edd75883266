"""Finding zig and keeping account of what it has built; used for C, C++ and the Zig language.

Zig builds libc, libc++ and its runtime from source at the first use of a set of flags. Its own cache
(ZIG_GLOBAL_CACHE_DIR, else in the user's cache folder) keeps them; here is only a mark that says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from ...capabilities.host.cache_folders import cache_folder
from ..base import Command, Job
from ..cache import trusted_cache_folder, write_atomic
from ..diagnostics import ToolchainError
from ..linking import library_lookup
from ..probe import Tool, executables
from ..process import ProcessBounds, run_group

INSTALL = "pip install ziglang"
"""The one line that installs zig."""


def find_zigs() -> Iterator[tuple[str, str]]:
    """How found and executable, in order: WASILAB_ZIG, PATH, the PyPI package ziglang beside this Python."""
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
    """The version of a zig. Raises `ToolchainError` if it is none."""
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
    return cache_folder() / "zig"  # without a HOME zig itself gives up


def made_global_cache() -> Path:
    """Zig's cache folder, made if it is not there yet: only what is there can be opened to a confined compiler."""
    folder = global_cache()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def zig_environment(folder: Path, *, tell_link: bool = False) -> dict[str, str]:
    """Variables for a compile in `folder`: libraries go to the shared cache, the cell's objects do not.

    With `tell_link` zig writes the command of its linker, which `reporting_link` reads.
    """
    found = {"ZIG_GLOBAL_CACHE_DIR": str(global_cache()), "ZIG_LOCAL_CACHE_DIR": str(folder / ".zig-cache")}
    return {**found, "ZIG_VERBOSE_LINK": "1"} if tell_link else found


_LINK = re.compile(r"^wasm-ld --.*\n?|^ar rcs .*\n?", re.MULTILINE)
"""What zig writes when it is to tell the commands of its linker and archiver."""


def without_link(output: str) -> str:
    """What zig wrote, without the commands of its linker."""
    return _LINK.sub("", output)


def reporting_link(tool: Tool, job: Job, command: Command, output: str) -> Command | None:
    """The link of a program once more, so that it reports what its library refuses.

    `zig cc` drops the flag that it takes, zig's own linker has it. Zig writes paths as they are: with a space in one
    this link fails, and the program stays as it was.
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
    """Whether `mark` was called for this compiler, variant and cache place."""
    return _place(tool, variant, where).exists()


def mark(tool: Tool, variant: str, where: str) -> None:
    """Note that a compile of this variant succeeded, so that its libraries are built."""
    path = _place(tool, variant, where)
    if not path.exists():
        with contextlib.suppress(OSError, ToolchainError):
            write_atomic(path, variant.encode())


def is_warm(tool: Tool, variant: str) -> bool:
    """Whether zig has built what this variant needs (and its cache is still there)."""
    return is_marked(tool, variant, str(global_cache())) and global_cache().is_dir()


def mark_warm(tool: Tool, variant: str) -> None:
    """Note that zig has built what this variant needs."""
    mark(tool, variant, str(global_cache()))
