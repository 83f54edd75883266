"""`template`: a small program to start from, in any of the languages."""

from __future__ import annotations

from ...toolchains.base import PROGRAMS
from ...toolchains.registry import language_name, toolchain_for
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP
from ..line.parser import Parser
from ..line.request import Request

OF_PROGRAM = {"hello": "", "words": " --name words --dir .::/data --args /data/FILE"}
"""The rest of the `%%wasi` line for each program, after the language."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    where = "as a new cell" if kind == "notebook" else "on stdout"
    parser.description = f"A small program to start from, {where}: hello prints a greeting, words counts words."
    parser.add_argument("lang", nargs="?", default="c", metavar="LANG", help=LANGUAGE_HELP.split(" (")[0])
    parser.add_argument("program", nargs="?", default="hello", choices=PROGRAMS, metavar="PROGRAM", help="hello, words")


def execute(request: Request, frontend: Frontend) -> Done:
    """Output a bundled program: as a new notebook cell, or on stdout."""
    options = request.options
    toolchain = toolchain_for(language_name(options.lang))
    source = toolchain.example(options.program)
    frontend.offer(f"%%wasi {toolchain.language}{OF_PROGRAM[options.program]}", source)
    return Done()
