"""The options that say how Wasmtime compiles and links a program (`engine/compiling/engine_options.py`)."""

from __future__ import annotations

import argparse
from typing import get_args

from ...engine.compiling.engine_options import (
    DEFAULT_STACK,
    EngineOptionError,
    EngineOptions,
    Optimize,
    UnknownImports,
)
from ...grants.forms.flags import size
from ...text.numbers import exact_size
from ..line.parser import Parser
from ..line.usage import UsageProblem


def add_engine_options(parser: Parser) -> None:
    """Put the options on a parser, in a group of its help."""
    group = parser.add_argument_group("how Wasmtime compiles and links it")
    group.add_argument(
        "-O", "--optimize", choices=get_args(Optimize), default="speed",
        help="what its machine code is optimised for: none (compiles fastest), speed (the default), size",
    )  # fmt: skip
    group.add_argument(
        "--debug-info", action="store_true", help="machine code with DWARF, for a native debugger (gdb, lldb)"
    )
    group.add_argument(
        "--cache", action=argparse.BooleanOptionalAction, default=True,
        help="whether compiled code is kept for the next run (default: it is)",
    )  # fmt: skip
    group.add_argument(
        "--nan-canonical", action="store_true",
        help="every NaN that is computed has the same bits, on every machine; slower floats",
    )  # fmt: skip
    group.add_argument(
        "--max-stack", type=size, default=DEFAULT_STACK, metavar="BYTES",
        help=f"stack for WebAssembly, 16k to 2m (default {exact_size(DEFAULT_STACK)})",
    )  # fmt: skip
    group.add_argument(
        "--unknown-imports", choices=get_args(UnknownImports),
        help="imports that nothing provides: trap when called; default (zeros, nulls, empty memories); error, also for "
        "names that WASI does not have. Unless said, those answer ENOSYS and all others are an error",
    )  # fmt: skip


def engine_options(options: argparse.Namespace) -> EngineOptions:
    """What the options of a run mean. Raises `UsageProblem`."""
    try:
        return EngineOptions(
            optimize=options.optimize,
            debug_info=options.debug_info,
            cache=options.cache,
            nan_canonical=options.nan_canonical,
            max_stack=options.max_stack,
            unknown_imports=options.unknown_imports,
        )
    except EngineOptionError as error:
        raise UsageProblem(f"--{str(error).replace('_', '-', 1)}") from None
