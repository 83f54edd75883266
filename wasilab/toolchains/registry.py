"""The languages, by name, alias and file suffix. Each language's file is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import PurePath

from ..text.nearest import did_you_mean
from .base import Toolchain
from .diagnostics import ToolchainError

_HOME = {
    "c": ("c_family", "C"),
    "c++": ("c_family", "Cxx"),
    "zig": ("zig", "Zig"),
    "rust": ("rust", "Rust"),
    "go": ("go", "Go"),
    "assemblyscript": ("assemblyscript", "AssemblyScript"),
    "wat": ("wat", "Wat"),
}
_ALIASES = {
    "cpp": "c++", "cxx": "c++", "cc": "c++", "h": "c", "rs": "rust", "golang": "go",
    "as": "assemblyscript", "asc": "assemblyscript", "ts": "assemblyscript", "wast": "wat",
}  # fmt: skip
_NEAREST = {
    "typescript": "assemblyscript", "javascript": "assemblyscript", "js": "assemblyscript", "tinygo": "go",
    "clang": "c", "gcc": "c", "clang++": "c++", "g++": "c++", "cplusplus": "c++", "wasm": "wat", "webassembly": "wat",
    "rustc": "rust", "cargo": "rust",
}  # fmt: skip
"""What a person may mean who writes another name."""
LANGUAGES: tuple[str, ...] = tuple(_HOME)
"""The names of the languages, in the order in which they are listed."""
NAMES: tuple[str, ...] = (*_HOME, *_ALIASES)
"""Every name that `toolchain_for` knows."""


@cache
def _load(language: str) -> Toolchain:
    module, name = _HOME[language]
    made = getattr(import_module(f".languages.{module}", __package__), name)()
    assert isinstance(made, Toolchain)
    return made


def language_name(name: str) -> str:
    """The language's own name for a name, an alias or a suffix (with or without the dot), in any case.

    Raises `ToolchainError` that lists the languages and suggests the nearest.
    """
    plain = name.strip().lower().removeprefix(".")
    plain = _ALIASES.get(plain, plain)
    if plain in _HOME:
        return plain
    known = ", ".join(LANGUAGES)
    raise ToolchainError(f"unknown language {name!r}{did_you_mean(plain, NAMES, also=_NEAREST)} (known: {known})")


def toolchain_for(name: str) -> Toolchain:
    """The toolchain of a language; its compiler is not looked for yet. Raises as `language_name`."""
    return _load(language_name(name))


def language_of_path(path: str) -> str:
    """The language of a source file by its suffix. Raises `ToolchainError` for a suffix that none has."""
    suffix = PurePath(path).suffix.lower()
    if suffix == ".ts" or (suffix and _ALIASES.get(suffix[1:], suffix[1:]) in _HOME and suffix != ".h"):
        return language_name(suffix)
    known = ["c", "cc", "cpp", "cxx", "zig", "rs", "go", "ts", "wat"]
    raise ToolchainError(
        f"cannot tell the language of {path!r} by its suffix; give --lang, or a file ending in ." + ", .".join(known)
    )
