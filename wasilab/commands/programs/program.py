"""Find the `Module` that an argument names: a module, a name in the notebook, a .wasm or a source file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ...engine import compiling
from ...engine.limits import Limits
from ...module.module import Module, is_module, load
from ...module.precompiled import is_precompiled
from ...text.nearest import did_you_mean
from ...text.numbers import with_article
from ...text.shell import quote
from .. import programs
from ..line.frontend import Frontend
from ..line.usage import UsageProblem


def load_program(
    word: object, frontend: Frontend, *, lang: str | None = None, flags: Sequence[str] = (), quiet: bool = False,
    portable: bool = False, limits: Limits | None = None,
) -> Module:  # fmt: skip
    """The module that `word` names; a source is compiled, `portable` or so that it reports what its library refuses.

    Raises `UsageProblem`, `ModuleError` or a `ToolchainError`."""
    if isinstance(word, Module):
        return word
    if isinstance(word, bytes):
        return load(word)
    if not isinstance(word, (str, os.PathLike)):
        raise UsageProblem(
            f"{with_article(type(word).__name__)} is not a program: give a file, a Module, or its bytes"
        )
    text = os.fspath(word)
    named = frontend.find(text)
    if named is not None:
        return named
    if not text:
        raise UsageProblem("the program's name is empty; name a .wasm, .wat or source file")
    path = Path(text).expanduser()
    if not path.exists():
        raise UsageProblem(absent(text, path, frontend))
    if path.is_dir():
        raise UsageProblem(f"{text!r} is a folder; name the program in it")
    if lang is None and path.suffix == ".wast":
        command = f"{'wasilab' if frontend.kind == 'cli' else '%wasi'} wast {quote(text)}"
        raise UsageProblem(f"{text!r} is a test script, not a program: {command}")
    if lang is None and path.suffix == ".wtrace":
        ours = "wasilab" if frontend.kind == "cli" else "%wasi"
        raise UsageProblem(
            f"{text!r} is a trace, not a program: {ours} trace shows it, {ours} replay runs a recording again"
        )
    if lang is None and is_precompiled(path):
        return compiling.ahead_of_time.load_machine_code(path)
    if lang is None and (path.suffix in (".wasm", "") or is_module(path)):
        return load(path)
    return programs.compiling.compile_file(
        path, frontend, lang=lang, flags=flags, quiet=quiet, portable=portable, limits=limits
    )


def name_to_keep(options: argparse.Namespace, module: Module, frontend: Frontend) -> str | None:
    """The name under which the notebook keeps this run: that of `--name`, or the one by which `module` was found."""
    given: str | None = getattr(options, "name", None)
    word = getattr(options, "file", None)
    return given or (word if isinstance(word, str) and frontend.find(word) is module else None)


def absent(text: str, path: Path, frontend: Frontend) -> str:
    """The message for a missing file, with the nearest existing name."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()][:1000] if folder.is_dir() else []
    names += [name for name, _, _ in frontend.rows()]
    guess = did_you_mean(path.name, names)
    what = f"there is no file {text!r}"
    if not folder.is_dir():
        what += f" (no folder {str(folder)!r} either)"
    if frontend.kind == "notebook" and "." not in text and "/" not in text:
        what += " and nothing has that name (%%wasi --name NAME names a cell)"
    return what + guess
