"""`compile`: a source file to a .wasm module on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from ...text.numbers import size
from ...toolchains.registry import language_name, language_of_path
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, add_compile_options, file_argument
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .compiling import compile_file, compiler_flags
from .program import absent


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s SOURCE [-o OUT] [--lang LANG] [-- COMPILER FLAGS]"
    parser.description = (
        "Compile SOURCE to a .wasm module or, with --component, a component.\n"
        "Everything after -- goes to the compiler unchanged."
    )
    file_argument(parser, "the source file", metavar="SOURCE")
    parser.add_argument("-o", "--output", metavar="OUT", help="the module (default: SOURCE with .wasm)")
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)
    parser.add_argument("--quiet", action="store_true", help="no progress; compiler messages only")
    parser.add_argument(
        "--reports", action="store_true",
        help="let a C, C++, Zig or Rust program report what its own C library refuses; it then runs only in wasilab",
    )  # fmt: skip
    add_compile_options(parser)
    if kind == "notebook":
        parser.add_argument("--name", help="keep the module under this name")


def execute(request: Request, frontend: Frontend) -> Done:
    """Compile SOURCE, write OUT, pass the compiler's warnings on."""
    options = request.options
    named = os.fspath(options.file)
    path = Path(named).expanduser()
    if not named or path.is_dir():
        raise UsageProblem(f"{named!r} is a folder; name the source file in it" if named else "name a source file")
    if not path.exists():
        raise UsageProblem(absent(named, path, frontend))
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
    module = compile_file(
        path, frontend, lang=language, flags=flags, quiet=options.quiet, component=options.component,
        portable=not options.reports,
    )  # fmt: skip
    if module.warnings:
        frontend.note(module.warnings)
    write_file("-o", str(output), lambda file: file.write_bytes(module.bytes))
    if not options.quiet:
        frontend.note(f"{output}: {size(len(module.bytes))}, {module.kind}")
    if getattr(options, "name", None):
        frontend.keep(options.name, module)
    return Done(0, module)
