"""What compiling a module took before: a module that took little once is compiled in this process from then on.

Wasmtime's cache has its machine code then, most likely; if not, it takes about as long as it did. One small file for
each module and configuration, in wasilab's cache folder.
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
"""Files that are kept; above it the older half goes."""


class CompileLimitReached(Exception):
    """Compiling took more than it may; the message is for people."""


class Cost(NamedTuple):
    """What compiling a module took: seconds of processor time, and the most bytes of memory."""

    seconds: float
    memory: int


def _path(identity: str) -> Path:
    return cache_folder() / "compiled" / hashlib.sha256(identity.encode()).hexdigest()[:40]


LIBRARY: str | None = getattr(getattr(getattr(wasmtime, "_bindings", None), "dll", None), "_name", None)
"""The path of Wasmtime's own library; None where wasmtime-py does not tell it."""


def identity(sha256: str, settings: object) -> str:
    """A text that names a module, the Wasmtime that compiles it, and its configuration."""
    library = os.stat(LIBRARY) if LIBRARY is not None else None
    return f"{library and (library.st_mtime_ns, library.st_size)}\n{sha256}\n{settings}"


def known_cost(identity: str) -> Cost | None:
    """What it took before; None where that is not known."""
    if distrust(cache_folder()):
        return None
    try:
        seconds, memory = _path(identity).read_text("ascii").split()
        return Cost(float(seconds), int(memory))
    except (OSError, ValueError):
        return None


def remember(identity: str, cost: Cost) -> None:
    """Keep what it took; where the cache folder cannot be written, or is not ours alone, nothing is kept."""
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
