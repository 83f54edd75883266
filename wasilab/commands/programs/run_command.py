"""`run`: load or compile a program, run it under the grants that its options name."""

from __future__ import annotations

import time

from ...grants.forms.flags import add_options, compile_limits
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import (
    LANGUAGE_HELP,
    SOURCE_IS_UNTRUSTED,
    add_cell_options,
    add_run_options,
    add_view_options,
    file_argument,
)
from ..line.parser import Parser
from ..line.request import Request
from ..runner.engine_flags import add_engine_options
from ..runner.isolation import add_isolate_option, prepare
from .program import load_program
from .running import run_module


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s [OPTION]... FILE [ARG]..."
    parser.description = (
        "Run FILE (.wasm, .wat, or a source file, compiled first) under the given grants.\n"
        "Everything after FILE is the guest's own. Exit status: the guest's; 134 after a trap, 137 when a limit\n"
        "ended it, 130 when interrupted, 2 for a usage error."
    )
    parser.epilog = SOURCE_IS_UNTRUSTED
    what = "the program" + ("; or a name from --name" if kind == "notebook" else "")
    file_argument(parser, what)
    parser.add_argument("--lang", metavar="LANG", help=f"the source's language: {LANGUAGE_HELP}")
    add_options(parser)
    add_run_options(parser)
    add_engine_options(parser)
    add_isolate_option(parser)
    add_view_options(parser, kind)
    if kind == "notebook":
        add_cell_options(parser)


def execute(request: Request, frontend: Frontend) -> Done:
    """Load or compile FILE, run it, show what the options ask for. The exit status is the guest's."""
    options = request.options
    started = time.perf_counter()
    prepare(options, keep=frontend.kind == "notebook" or (options.repeat or 1) > 1)
    limits = compile_limits(options)
    module = load_program(options.file, frontend, lang=options.lang, quiet=options.quiet, limits=limits)
    return run_module(module, request.rest, options, frontend, compile_seconds=time.perf_counter() - started)
