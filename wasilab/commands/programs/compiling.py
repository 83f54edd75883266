"""Compile a source file or a text for a command, with progress.

The compiler's output is passed on unchanged. Errors found before it is called (a file that is not text, an option that
the language lacks) raise `UsageProblem`, which names the file and the remedy.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...engine.limits import Limits
from ...module.module import Module
from ...runs import compiler
from ...toolchains.languages.c_family import emulation_flags
from ...toolchains.registry import language_name, language_of_path, toolchain_for
from ..line.frontend import Frontend
from ..line.usage import UsageProblem

NEIGHBOUR_BYTES = 2_000_000
"""The most bytes of neighbouring sources that a compile includes."""


def compile_file(
    path: Path, frontend: Frontend, *, lang: str | None = None, flags: Sequence[str] = (), quiet: bool = False,
    component: bool = False, portable: bool = False, limits: Limits | None = None,
) -> Module:  # fmt: skip
    """Compile a source file; the sources beside it can be included."""
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
        source, language, frontend, name=path.name, flags=[*extra, *flags], files=files, first_line=1, quiet=quiet,
        component=component, portable=portable, limits=limits,
    )  # fmt: skip


def compiler_flags(options: argparse.Namespace, language: str, flags: Sequence[str]) -> list[str]:
    """The flags of `--reactor` and `--emulate` for the compiler of `language`, then the user's own flags."""
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
    frontend: Frontend,
    *,
    name: str,
    flags: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    first_line: int = 1,
    quiet: bool = False,
    component: bool = False,
    portable: bool = False,
    limits: Limits | None = None,
) -> Module:
    """Compile a text with progress; on success the compiler's warnings are passed on.

    With `portable` the module also runs without wasilab (see `runs.compiler.compile`).
    """
    with frontend.busy(f"compiling {name}", quiet, ticking=True) as busy:
        module = compiler.compile(
            source,
            language,
            flags=flags,
            name=name,
            files=files,
            first_line=first_line,
            component=component,
            portable=portable,
            limits=limits,
            on_progress=lambda seconds, sentence: busy.tick(sentence),
        )
    return module


def _neighbours(path: Path) -> dict[str, str]:
    """The other sources in the folder with the same suffix, if they are small."""
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
