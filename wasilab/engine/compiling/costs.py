"""Remembers what compiling a module cost: a module that was cheap once is compiled in this process from then on.

Its machine code is then probably in Wasmtime's cache; if not, it takes about as long as before. There is one small file
for each module and configuration in wasilab's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import wasmtime

from ...capabilities.host.cache_folders import cache_folder, distrust

_MOST = 4096
"""Maximum number of files; above it the older half is deleted."""


class CompileLimitReached(Exception):
    """Compiling exceeded a limit; the message is for the user."""


class Cost(NamedTuple):
    """The cost of compiling a module: seconds of processor time, and peak memory in bytes."""

    seconds: float
    memory: int


def _path(identity: str) -> Path:
    return cache_folder() / "compiled" / hashlib.sha256(identity.encode()).hexdigest()[:40]


LIBRARY: str | None = getattr(getattr(getattr(wasmtime, "_bindings", None), "dll", None), "_name", None)
"""The path of Wasmtime's library; None if wasmtime-py does not tell."""


def identity(sha256: str, settings: object) -> str:
    """A key for a module, the Wasmtime that compiles it, and its configuration."""
    library = os.stat(LIBRARY) if LIBRARY is not None else None
    return f"{library and (library.st_mtime_ns, library.st_size)}\n{sha256}\n{settings}"


def known_cost(identity: str) -> Cost | None:
    """The recorded cost; None if unknown."""
    if distrust(cache_folder()):
        return None
    try:
        seconds, memory = _path(identity).read_text("ascii").split()
        return Cost(float(seconds), int(memory))
    except (OSError, ValueError):
        return None


def remember(identity: str, cost: Cost) -> None:
    """Record the cost. Does nothing if the cache folder is not writable or other users can write to it."""
    if distrust(cache_folder()):
        return
    path = _path(identity)
    new = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new.write_text(f"{cost.seconds:.3f} {cost.memory}\n", "ascii")
        os.replace(new, path)
        names = os.listdir(path.parent)
        if len(names) > _MOST:
            files = sorted((path.parent / name for name in names), key=lambda file: file.stat().st_mtime_ns)
            for file in files[: _MOST // 2]:
                file.unlink()
