"""The languages by name, alias and file suffix, from their classes."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

from ..text.nearest import did_you_mean
from .base import Toolchain
from .diagnostics import ToolchainError
from .languages.assemblyscript import AssemblyScript
from .languages.c_family import C, Cxx
from .languages.go import Go
from .languages.javascript_component import JavaScript
from .languages.python_component import Python
from .languages.rust import Rust
from .languages.wat import Wat
from .languages.zig import Zig

_CLASSES: dict[str, type[Toolchain]] = {
    cls.language: cls for cls in (C, Cxx, Zig, Rust, Go, AssemblyScript, Wat, Python, JavaScript)
}
LANGUAGES: tuple[str, ...] = tuple(_CLASSES)
"""The names of the languages, in display order."""
SUFFIXES: dict[str, str] = {suffix: cls.language for cls in _CLASSES.values() for suffix in cls.suffixes}
"""File suffix with its dot -> language."""
_BY_NAME: dict[str, str] = {
    **{suffix[1:]: language for suffix, language in SUFFIXES.items()},
    **{alias: cls.language for cls in _CLASSES.values() for alias in cls.aliases},
    **{language: language for language in LANGUAGES},
}
NAMES: tuple[str, ...] = tuple(dict.fromkeys([*LANGUAGES, *_BY_NAME]))
"""Every name that `toolchain_for` accepts."""
COMPONENT_LANGUAGES: tuple[str, ...] = tuple(language for language, cls in _CLASSES.items() if cls.makes_component)
"""Languages that compile to WASI 0.2 components; the others compile to preview1 modules."""
SLOW_FIRST: tuple[str, ...] = tuple(language for language, cls in _CLASSES.items() if cls.slow_first)
"""Languages whose first compile builds libraries, for tens of seconds."""


@cache
def _make(language: str) -> Toolchain:
    return _CLASSES[language]()


def language_name(name: str) -> str:
    """The canonical language name for a name, an alias or a suffix (with or without the dot); case does not matter.

    Raises a `ToolchainError` that lists the languages and suggests the nearest.
    """
    plain = name.strip().lower().removeprefix(".")
    if plain in _BY_NAME:
        return _BY_NAME[plain]
    related = {word: cls.language for cls in _CLASSES.values() for word in cls.related}
    suggestion = did_you_mean(plain, NAMES, also=related)
    raise ToolchainError(f"unknown language {name!r}{suggestion} (known: {', '.join(LANGUAGES)})")


def toolchain_for(name: str) -> Toolchain:
    """The toolchain of a language, without looking for its compiler. Raises as `language_name`."""
    return _make(language_name(name))


def language_of_path(path: str) -> str:
    """The language of a source file, by its suffix. Raises `ToolchainError` for an unknown suffix."""
    found = SUFFIXES.get(PurePath(path).suffix.lower())
    if found is None:
        known = ", ".join(SUFFIXES)
        raise ToolchainError(f"cannot tell the language of {path!r} by its suffix; give --lang, or a file in {known}")
    return found
