"""From what a person names as the program to a `Module`: a module, a name of the notebook, a .wasm, a source file.

A source is compiled first, with progress. What the compiler says is passed on as it is; what goes wrong before it is
asked (no such file, no known suffix) is a `UsageProblem` that names the file and the remedy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...module.module import Module, ModuleError, load
from ...runs import runner
from ...text.nearest import did_you_mean
from ...toolchains.diagnostics import ToolchainError
from ...toolchains.languages.c_family import emulation_flags
from ...toolchains.registry import language_name, language_of_path, toolchain_for
from .frontend import Door
from .usage import UsageProblem

NEIGHBOUR_BYTES = 2_000_000
"""Neighbouring sources that a compile takes along, in bytes altogether."""


def load_program(
    word: object, door: Door, *, lang: str | None = None, flags: Sequence[str] = (), quiet: bool = False
) -> Module:
    """The module that `word` names. Raises `UsageProblem`, `ModuleError` or a `ToolchainError`."""
    if isinstance(word, Module):
        return word
    if isinstance(word, bytes):
        return load(word)
    if not isinstance(word, (str, os.PathLike)):
        raise UsageProblem(f"a {type(word).__name__} is no program: give a file, a Module, or the bytes of one")
    text = os.fspath(word)
    named = door.find(text)
    if named is not None:
        return named
    if not text:
        raise UsageProblem("the program's name is empty; name a .wasm, .wat or source file")
    path = Path(text).expanduser()
    if not path.exists():
        raise UsageProblem(absent(text, path, door))
    if path.is_dir():
        raise UsageProblem(f"{text!r} is a folder; name the program in it")
    if lang is None and (path.suffix in (".wasm", "") or _is_module(path)):
        return load(path)
    return compile_file(path, door, lang=lang, flags=flags, quiet=quiet)


def compile_file(
    path: Path, door: Door, *, lang: str | None = None, flags: Sequence[str] = (), quiet: bool = False
) -> Module:
    """Compile a source file of the disk; the sources beside it can be included."""
    language = language_name(lang) if lang is not None else language_of_path(str(path))
    try:
        source = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageProblem(f"{str(path)!r} is not UTF-8 text: is it {language} source?") from None
    except OSError as error:
        raise UsageProblem(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    extra: list[str] = []
    files: dict[str, str] = {}
    if language in ("c", "c++"):
        extra = [f"-I{path.resolve().parent}"]
    elif language in ("zig", "rust"):
        files = _neighbours(path)
    return compile_text(
        source, language, door, name=path.name, flags=[*extra, *flags], files=files, first_line=1, quiet=quiet
    )


def compiler_flags(options: argparse.Namespace, language: str, flags: Sequence[str]) -> list[str]:
    """What `--reactor` and `--emulate` mean to the compiler of `language`, and then the person's own flags."""
    found: list[str] = []
    if options.reactor:
        found += toolchain_for(language).reactor_flags
    if options.emulate:
        if language not in ("c", "c++"):
            raise UsageProblem(f"--emulate is for C and C++, which have wasi-libc; this is {language}")
        found += emulation_flags(*options.emulate)
    return [*found, *flags]


def compile_text(
    source: str,
    language: str,
    door: Door,
    *,
    name: str,
    flags: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    first_line: int = 1,
    quiet: bool = False,
) -> Module:
    """Compile a text with progress; on success the compiler's warnings are passed on."""
    with door.busy(f"compiling {name}", quiet) as busy:
        module = runner.compile(
            source,
            language,
            flags=flags,
            name=name,
            files=files,
            first_line=first_line,
            on_progress=lambda seconds, sentence: busy.tick(sentence),
        )
    return module


def _neighbours(path: Path) -> dict[str, str]:
    """The other sources of the same suffix in the folder, as long as they are small."""
    files: dict[str, str] = {}
    left = NEIGHBOUR_BYTES
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        if other.name == path.name or not other.is_file() or other.is_symlink():
            continue
        left -= other.stat().st_size
        if left < 0:
            break
        try:
            files[other.name] = other.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return files


def _is_module(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\0asm"
    except OSError:
        return False


def absent(text: str, path: Path, door: Door) -> str:
    """The sentence for a file that is not there, with the nearest that is."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()][:1000] if folder.is_dir() else []
    guess = did_you_mean(path.name, names)
    what = f"there is no file {text!r}"
    if not folder.is_dir():
        what += f" (no folder {str(folder)!r} either)"
    if door.kind == "notebook" and "." not in text and "/" not in text:
        what += " and nothing is named so (%%wasi --name NAME names a cell)"
    return what + guess


__all__ = ["ModuleError", "ToolchainError", "compile_file", "compile_text", "compiler_flags", "load_program"]
