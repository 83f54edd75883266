"""`compile`: a source file to a .wasm module on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from ..text.numbers import size
from ..toolchains.registry import language_name, language_of_path
from .line.files import check_writable, write_file
from .line.frontend import Done, Door
from .line.grammar import Request
from .line.program import absent, compile_file, compiler_flags
from .line.usage import UsageProblem


def compile(request: Request, door: Door) -> Done:
    """Compile SOURCE, write OUT, pass the compiler's warnings on."""
    options = request.options
    named = os.fspath(options.file)
    path = Path(named).expanduser()
    if not named or path.is_dir():
        raise UsageProblem(f"{named!r} is a folder; name the source file in it" if named else "name a source file")
    if not path.exists():
        raise UsageProblem(absent(named, path, door))
    if options.output == "":
        raise UsageProblem("-o: the name is empty; name a file")
    output = Path(options.output).expanduser() if options.output is not None else path.with_suffix(".wasm")
    if output.exists() and output.samefile(path):
        raise UsageProblem(f"{str(output)!r} is the source itself; name another file with -o")
    if output.is_dir():
        output = output / path.with_suffix(".wasm").name
    check_writable("-o", str(output))
    language = language_name(options.lang) if options.lang is not None else language_of_path(str(path))
    flags = compiler_flags(options, language, request.rest)
    module = compile_file(path, door, lang=language, flags=flags, quiet=options.quiet)
    if module.warnings:
        door.note(module.warnings)
    write_file("-o", str(output), lambda file: file.write_bytes(module.bytes))
    if not options.quiet:
        door.note(f"{output}: {size(len(module.bytes))}, {module.kind}")
    if getattr(options, "name", None):
        door.keep(options.name, module)
    return Done(0, module)
