"""The options for how Wasmtime compiles and links a program (`engine/compiling/engine_options.py`)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import get_args

from ...engine.compiling.engine_options import (
    DEFAULT_STACK,
    EngineOptionError,
    EngineOptions,
    Optimize,
    Profile,
    UnknownImports,
)
from ...grants.forms.flags import size
from ...runs.run import Run
from ...text.numbers import exact_size
from ...text.numbers import size as counted_size
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.usage import UsageProblem


def add_code_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that machine code depends on, besides features and fuel."""
    group.add_argument(
        "-O", "--optimize", choices=get_args(Optimize), default="speed",
        help="what its machine code is optimised for: none (compiles fastest), speed (the default), size",
    )  # fmt: skip
    group.add_argument(
        "--debug-info", action="store_true", help="machine code with DWARF, for a native debugger (gdb, lldb)"
    )
    group.add_argument(
        "--nan-canonical", action="store_true",
        help="computed NaNs have the same bits on every machine; slower floats",
    )  # fmt: skip


def add_engine_options(parser: Parser) -> None:
    """Add the options to a parser, in their own help group."""
    group = parser.add_argument_group("how Wasmtime compiles and links it")
    add_code_options(group)
    group.add_argument(
        "--cache", action=argparse.BooleanOptionalAction, default=True,
        help="keep compiled code for the next run (default: yes)",
    )  # fmt: skip
    group.add_argument(
        "--max-stack", type=size, default=DEFAULT_STACK, metavar="BYTES",
        help=f"stack for WebAssembly, 16k to 2m (default {exact_size(DEFAULT_STACK)})",
    )  # fmt: skip
    group.add_argument(
        "--unknown-imports", choices=get_args(UnknownImports),
        help="imports that nothing provides: trap when called; default (zeros, nulls, empty memories); error, also for "
        "names that are not in WASI. Without this option those answer ENOSYS and all others are an error",
    )  # fmt: skip
    group.add_argument(
        "--trap-on-grow-failure", action="store_true",
        help="end the program when its memory or a table cannot grow, instead of answering -1",
    )  # fmt: skip
    group.add_argument(
        "--coredump", metavar="FILE",
        help="on a trap or limit, save stack and memories as a WebAssembly core dump (for wasm-tools)",
    )  # fmt: skip
    group.add_argument(
        "--profile", type=profile, metavar="KIND[=FILE]",
        help="guest (samples of its stack for profiler.firefox.com, into FILE or profile.json), perfmap or jitdump "
        "(for Linux's perf)",
    )  # fmt: skip


def profile(text: str) -> tuple[str, str]:
    """`KIND[=FILE]` as (kind, file), for argparse."""
    kind, equals, file = text.partition("=")
    kinds = get_args(Profile)
    if kind not in kinds:
        raise argparse.ArgumentTypeError(f"{kind!r} is not a kind of profile: choose {', '.join(kinds)}")
    if equals and (not file or kind != "guest"):
        where = {"perfmap": "/tmp/perf-PID.map", "jitdump": "jit-PID.dump in the current folder"}
        why = f"it writes {where[kind]}" if file else "the file's name is empty"
        raise argparse.ArgumentTypeError(f"{text!r}: {why}; write --profile {kind}")
    return kind, file or ("profile.json" if kind == "guest" else "")


_ENDINGS = {"perfmap": ".map", "jitdump": ".dump"}


def check_engine_outputs(options: argparse.Namespace) -> None:
    """Fail before the run if a file for other tools cannot be written."""
    _, file = options.profile or ("", "")
    if options.coredump is not None:
        check_writable("--coredump", options.coredump)
    if file:
        check_writable("--profile", file)


def write_engine_outputs(run: Run, options: argparse.Namespace) -> Iterator[str]:
    """Write the core dump and the profile; yields a line about each."""
    if options.coredump is not None:
        if run.outcome.coredump:
            write_file("--coredump", options.coredump, lambda path: path.write_bytes(run.outcome.coredump))
            yield f"wasilab: core dump: {options.coredump}, {counted_size(len(run.outcome.coredump))} (wasm-tools dump)"
        else:
            yield "wasilab: no core dump: the program ended by itself"
    kind, file = options.profile or ("", "")
    if file and run.outcome.profile:
        write_file("--profile", file, lambda path: path.write_bytes(run.outcome.profile))
        yield f"wasilab: profile: {file} (open it in https://profiler.firefox.com)"
    elif file:
        yield "wasilab: no profile: the program did not start"
    elif kind:
        yield f"wasilab: names for perf: {'/tmp/perf-' if kind == 'perfmap' else 'jit-'}{os.getpid()}{_ENDINGS[kind]}"


def engine_options(options: argparse.Namespace) -> EngineOptions:
    """The engine options that a run's options mean. Raises `UsageProblem`."""
    try:
        return EngineOptions(
            optimize=options.optimize,
            debug_info=options.debug_info,
            cache=options.cache,
            nan_canonical=options.nan_canonical,
            max_stack=options.max_stack,
            unknown_imports=options.unknown_imports,
            trap_on_grow_failure=options.trap_on_grow_failure,
            coredump=options.coredump is not None,
            profile=options.profile[0] if options.profile else None,
        )
    except EngineOptionError as error:
        raise UsageProblem(f"--{str(error).replace('_', '-', 1)}") from None
