"""`compile`: a source file to a .wasm module on the disk."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ...engine import compiling
from ...engine.compiling import engines
from ...engine.compiling.costs import CompileLimitReached
from ...engine.compiling.engine_options import EngineOptions
from ...engine.compiling.wasm_features import features
from ...grants.forms.flags import add_compile_limits, compile_limits
from ...module.module import load
from ...module.precompiled import SUFFIX, is_precompiled
from ...text.numbers import size
from ...toolchains.registry import language_name, language_of_path
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, add_compile_options, file_argument
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..runner.engine_flags import add_code_options
from .compiling import compile_file, compiler_flags
from .program import absent


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s SOURCE [-o OUT] [--lang LANG] [-- COMPILER FLAGS]"
    parser.description = (
        "Compile SOURCE to a .wasm module or, with --component, a component; with --aot, to machine code, such as\n"
        "wasilab compile --aot copy.c -o copy.cwasm, and then wasilab run copy.cwasm.\n"
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
    add_compile_limits(add_compile_options(parser))
    group = parser.add_argument_group(
        "ahead of time", "A file of machine code starts without compiling. Only you can run it, on this machine."
    )
    group.add_argument(
        "--aot", action="store_true",
        help="write machine code, into SOURCE with .cwasm; SOURCE may also be a .wasm. Run it with the same options",
    )  # fmt: skip
    add_code_options(group)
    group.add_argument("--for-fuel", action="store_true", help="machine code that counts instructions, for run --fuel")
    group.add_argument(
        "--feature", dest="features", action="append", default=[], metavar="NAME[=off]",
        help="turn a WebAssembly feature on or off, as for run",
    )  # fmt: skip
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
    if is_precompiled(path):
        raise UsageProblem(f"{named!r} is machine code already: name the program that it was made of")
    if options.output == "":
        raise UsageProblem("-o: the name is empty; name a file")
    suffix = SUFFIX if options.aot else ".wasm"
    output = Path(options.output).expanduser() if options.output is not None else path.with_suffix(suffix)
    if output.is_dir():
        output = output / path.with_suffix(suffix).name
    if output.exists() and output.samefile(path):
        raise UsageProblem(f"{str(output)!r} is the program itself; name another file with -o")
    check_writable("-o", str(output))
    if options.aot:
        return _ahead_of_time(request, path, output, frontend)
    if named_too := _machine_options(options):
        raise UsageProblem(f"{named_too} is about machine code: write --aot too")
    language = language_name(options.lang) if options.lang is not None else language_of_path(str(path))
    flags = compiler_flags(options, language, request.rest)
    module = compile_file(
        path, frontend, lang=language, flags=flags, quiet=options.quiet, component=options.component,
        portable=not options.reports, limits=compile_limits(options),
    )  # fmt: skip
    if module.warnings:
        frontend.note(module.warnings)
    write_file("-o", str(output), lambda file: file.write_bytes(module.bytes))
    if not options.quiet:
        frontend.note(f"{output}: {size(len(module.bytes))}, {module.kind}")
    if getattr(options, "name", None):
        frontend.keep(options.name, module)
    return Done(0, module)


def _machine_options(options: argparse.Namespace) -> str:
    """An option that was given and is about machine code; "" if there is none."""
    given = {
        "--optimize": options.optimize != "speed", "--debug-info": options.debug_info,
        "--nan-canonical": options.nan_canonical, "--for-fuel": options.for_fuel, "--feature": bool(options.features),
    }  # fmt: skip
    return next((name for name, so in given.items() if so), "")


def _ahead_of_time(request: Request, path: Path, output: Path, frontend: Frontend) -> Done:
    """Compile to machine code, and write it with the module and a MAC."""
    options = request.options
    if options.component:
        raise UsageProblem("--aot is for core modules, and --component makes a component")
    limits = compile_limits(options)
    if options.lang is None and path.suffix == ".wasm":
        module = load(path)
    else:
        language = language_name(options.lang) if options.lang is not None else language_of_path(str(path))
        flags = compiler_flags(options, language, request.rest)
        module = compile_file(
            path, frontend, lang=language, flags=flags, quiet=options.quiet, portable=not options.reports, limits=limits
        )
    if module.is_component:
        raise UsageProblem(f"{module.name} is a component, and --aot is for core modules (its code is cached)")
    if module.warnings:
        frontend.note(module.warnings)
    chosen = features(options.features, foreign=not engines.made_here(module))
    engine = EngineOptions(
        optimize=options.optimize, debug_info=options.debug_info, nan_canonical=options.nan_canonical
    )
    how = engines.CompileRequest(
        chosen, engine, options.for_fuel,
        limits.compile_seconds, limits.compile_memory,
    )  # fmt: skip
    ahead = compiling.ahead_of_time
    try:
        with frontend.busy(f"Wasmtime compiles {module.name}", options.quiet):
            made = engines.precompile(module, how)
    except (engines.WasmtimeCompileError, CompileLimitReached) as error:
        raise UsageProblem(str(error)) from None
    data = ahead.sealed(module, made.code, made.settings, os.fspath(request.options.file))
    write_file("-o", str(output), lambda file: file.write_bytes(data))
    if not options.quiet:
        frontend.note(f"{output}: {size(len(data))}, machine code; only you can run it, on this machine")
    if getattr(options, "name", None):
        frontend.keep(options.name, module)
    return Done(0, module)
