"""Machine code that belongs to a module: made ahead of time, and verified to come from this user and machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\0wasilab-aot-1\r\n"
"""The first bytes of a file of machine code (`engine/compiling/ahead_of_time.py`)."""
SUFFIX = ".cwasm"


@dataclass(frozen=True, slots=True)
class Precompiled:
    """Wasmtime's machine code of a module. Whoever makes one vouches for it: it is run as native code."""

    code: bytes
    settings: tuple[tuple[str, int], ...]
    """The engine's settings that it was made with, sorted by name."""
    recompile: str
    """The command that makes it again, without options for settings."""


def is_precompiled(path: Path) -> bool:
    """Whether a file is to be read as machine code: by its first bytes, or by its suffix if it is not a module."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        return False
    return head == MAGIC or (path.suffix == SUFFIX and head[:4] != b"\0asm")
