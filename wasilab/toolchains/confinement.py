"""What a compiler gets of this machine: a scrubbed environment, bounds, and the files that it can open.

Source code is input from a stranger: `#include`, `.incbin`, `include_str!`, `@embedFile` and `env!` read files and
variables of the person who compiles it. So a compiler is started with the variables that it needs and no others, with
a limit of time and memory, and, where the kernel has Landlock, so that it can open only its own installation, the
system's programs and libraries, the work folder, its own cache, and the files and folders that the flags name.

WASILAB_COMPILER_FOLDERS names further folders (separated as in PATH) for a compiler that needs more, such as the cache
of a wrapper.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..capabilities.host import landlock

FOLDERS_VARIABLE = "WASILAB_COMPILER_FOLDERS"
COMPILE_SECONDS = 900.0
"""Wall-clock seconds of one compile: zig's first one builds a C library, a minute or two on a slow machine."""
COMPILE_MEMORY = 4 << 30
"""Bytes of data of each process of a compile."""

_VARIABLES = frozenset({
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "SYSTEMROOT", "COMSPEC", "PATHEXT", "XDG_CACHE_HOME", "SOURCE_DATE_EPOCH",
    "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "WASI_SDK_PATH",
    "ZIG_GLOBAL_CACHE_DIR", "ZIG_LIB_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME",
    "GOCACHE", "GOPATH", "GOROOT",
})  # fmt: skip
"""The variables that a compiler sees, if they are set."""
_PREFIXES = ("NIX_", "CCACHE_")
"""What the wrappers of compilers read."""
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew",
    "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives", "/etc/ssl/openssl.cnf", "/etc/localtime",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm", "/proc/version_signature",
    "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm",
    "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""Programs, libraries and facts of the system; nothing of a person's."""
_DEVICES = ("/dev/null",)


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What one compile of a source may take; None: without bound."""

    seconds: float | None = COMPILE_SECONDS
    memory: int | None = COMPILE_MEMORY


def environment(changes: Mapping[str, str | None], folder: Path) -> dict[str, str]:
    """The environment of a compiler that works in `folder`: the variables it needs, then `changes` (None removes)."""
    env = {name: value for name, value in os.environ.items() if name in _VARIABLES or name.startswith(_PREFIXES)}
    for name, value in {"NO_COLOR": "1", "TMPDIR": str(folder), **changes}.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def reach(read: Iterable[str], write: Iterable[str]) -> landlock.Reach:
    """What a compiler can open that needs these files and folders beside the system's."""
    further = [folder for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    return landlock.Reach((*_SYSTEM, *dict.fromkeys(read)), (*_DEVICES, *dict.fromkeys(write), *further))


def installation(path: str) -> list[str]:
    """The folder in which a program is installed: its prefix, or the folder that holds it and its libraries.

    Of a program that lies in the person's own folders without one of its own (~/bin/tool), the file alone.
    """
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    if os.path.basename(folder) in ("bin", "sbin", "libexec"):
        folder = os.path.dirname(folder)
    home = os.path.realpath(os.path.expanduser("~"))
    holds_home = folder == os.sep or f"{home}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")
    return [real] if holds_home else [folder]


def refused_hint(output: str) -> str | None:
    """A sentence for a compiler that could not open a file because it is confined; None for any other failure."""
    signs = ("ermission denied", "AccessDenied", "EACCES", "access denied")
    if not landlock.abi() or not any(sign in output for sign in signs):
        return None
    return (
        "a compiler can open its own installation, the files of the cell, and the files and folders that the flags "
        f"name (-I FOLDER); {FOLDERS_VARIABLE} names further folders"
    )
