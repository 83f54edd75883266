"""Confines compilers: a clean environment, limits, and the files that they can open.

Source code is untrusted input: `#include`, `.incbin`, `include_str!`, `@embedFile` and `env!` read the user's files and
variables. So a compiler gets only the variables it needs, and limits on time and memory. On a kernel with Landlock it
can open only its own installation, the system's programs and libraries, the work folder, its own cache, and the files
and folders named by the flags.

WASILAB_COMPILER_FOLDERS names more folders (separated as in PATH), such as the cache of a compiler wrapper.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..capabilities.host import landlock

FOLDERS_VARIABLE = "WASILAB_COMPILER_FOLDERS"
COMPILE_SECONDS = 900.0
"""Default wall-clock seconds of one compile: zig's first one builds a C library, which takes a minute or two on a slow
machine."""
COMPILE_MEMORY = 4 << 30
"""Bytes of data of each process of a compile."""

_VARIABLES = frozenset({
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "SYSTEMROOT", "COMSPEC", "PATHEXT", "XDG_CACHE_HOME", "SOURCE_DATE_EPOCH",
    "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "WASI_SDK_PATH",
    "ZIG_GLOBAL_CACHE_DIR", "ZIG_LIB_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME",
    "GOCACHE", "GOPATH", "GOROOT",
})  # fmt: skip
"""The environment variables passed to compilers."""
_PREFIXES = ("NIX_", "CCACHE_")
"""Variables read by compiler wrappers."""
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew",
    "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives", "/etc/ssl/openssl.cnf", "/etc/localtime",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm", "/proc/version_signature",
    "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm",
    "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""System programs, libraries and information; no user files."""
_DEVICES = ("/dev/null",)


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """Limits of one compile of source; None: unlimited. A person sets them with `Limits` (`runs/compiler.py`)."""

    seconds: float | None = COMPILE_SECONDS
    memory: int | None = COMPILE_MEMORY


def environment(changes: Mapping[str, str | None], folder: Path) -> dict[str, str]:
    """The environment of a compiler in `folder`: the variables it needs, then `changes` (None removes one)."""
    env = {name: value for name, value in os.environ.items() if name in _VARIABLES or name.startswith(_PREFIXES)}
    for name, value in {"NO_COLOR": "1", "TMPDIR": str(folder), **changes}.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def reach(read: Iterable[str], write: Iterable[str]) -> landlock.Reach:
    """The files that a compiler may open: these files and folders, and the system's."""
    further = [folder for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    return landlock.Reach((*_SYSTEM, *dict.fromkeys(read)), (*_DEVICES, *dict.fromkeys(write), *further))


def installation(path: str) -> list[str]:
    """The folder in which a program is installed: its prefix, or the folder with it and its libraries.

    For a program directly in a user's folder (~/bin/tool), only the file.
    """
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    if os.path.basename(folder) in ("bin", "sbin", "libexec"):
        folder = os.path.dirname(folder)
    home = os.path.realpath(os.path.expanduser("~"))
    holds_home = folder == os.sep or f"{home}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")
    return [real] if holds_home else [folder]


def refused_hint(output: str) -> str | None:
    """A hint if a compiler could not open a file because it is confined; None for other failures."""
    signs = ("ermission denied", "AccessDenied", "EACCES", "access denied")
    if not landlock.abi() or not any(sign in output for sign in signs):
        return None
    return (
        "a compiler can open its own installation, the files of the cell, and the files and folders that the flags "
        f"name (-I FOLDER); {FOLDERS_VARIABLE} names further folders"
    )
