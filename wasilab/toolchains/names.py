"""Checks names given by the user: the cell, other files, compiler flags. Each error is one clear sentence.

Names become file names in the work folder, so they must stay within it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ..text.portable_names import file_name
from .diagnostics import ToolchainError

MAX_NAME = 100
"""Maximum bytes of a cell's name in its file name."""
RESERVED = (
    "out.wasm", "deps.d", "world.wit", "wasilab_program.py", "wasilab_program.mjs", "wasilab_driver.mjs", "wasilab_js",
)  # fmt: skip
"""Names in the work folder reserved for the compile."""


def source_file_name(name: str, suffixes: tuple[str, ...]) -> str:
    """The file name for a cell or file called `name`: its last part, with one of the suffixes."""
    base = file_name(name.replace("\\", "/").rsplit("/", 1)[-1], MAX_NAME)
    if base and not base.lower().endswith(suffixes):
        base += suffixes[0]
    if not base or base in suffixes:
        base = "cell" + suffixes[0]
    return base


def check_files(files: Mapping[str, str], source_name: str) -> dict[str, str]:
    """Check the other files of a compile: relative names that stay in the work folder, and text contents.

    Raises `ToolchainError` naming the file.
    """
    checked: dict[str, str] = {}
    for name, text in files.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ToolchainError(f"files maps names to text; {name!r} is not a pair of str")
        parts = name.split("/")
        if not name or name.startswith("/") or "\\" in name or ":" in name or any(p in ("", ".", "..") for p in parts):
            raise ToolchainError(
                f"the file name {name!r} does not stay in the compile folder; give a plain relative name such as util.h"
            )
        if not name.isprintable() or len(name.encode("utf-8", "replace")) > 200:
            raise ToolchainError(f"the file name {name!r} is too long or has unprintable characters")
        if name == source_name or name in RESERVED or parts[0] in RESERVED:
            raise ToolchainError(f"the file name {name!r} is taken by the compile itself; rename the file")
        checked[name] = text
    for name in checked:
        for parent in PurePosixPath(name).parents:
            if str(parent) in checked or str(parent) == source_name:
                raise ToolchainError(f"{str(parent)!r} cannot be both a file and the folder of {name!r}")
    return checked


def check_flags(flags: Sequence[str], refused: Mapping[str, str], title: str) -> tuple[str, ...]:
    """Check the compiler flags. Raises `ToolchainError` for an invalid flag, or one that would break the compile."""
    if isinstance(flags, str):
        raise ToolchainError(f"flags is a list of words, not one text: write {flags.split()!r}")
    for flag in flags:
        if not isinstance(flag, str) or "\0" in flag:
            raise ToolchainError(f"the compiler flag {flag!r} is not a text without NUL characters")
        for bad, why in refused.items():
            if flag == bad or (bad.startswith("--") and flag.startswith(bad + "=")):
                raise ToolchainError(f"the {title} flag {flag!r} is not usable here: {why}")
    return tuple(flags)
