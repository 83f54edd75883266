"""`explore`: what does this module do? Its imports in plain words, and an isolated first run without grants."""

from __future__ import annotations

import os
from pathlib import Path

from ...runs import isolated
from ...runs.experiments.exploring import SECONDS, explore
from ..line.argument_types import seconds
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, file_argument
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..programs.program import load_program


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s [OPTION]... FILE [-- ARG...]"
    parser.description = (
        "What does this module do? What it can ask for and can never do, in plain words; what it looked for in a\n"
        "first run, which is isolated, short and without any grant; and the least grants to go on with.\n"
        "What follows -- are the module's own arguments.\n"
        "For example: explore unknown.wasm -o page.html"
    )
    file_argument(parser, "a .wasm, .wat or source file")
    parser.add_argument("-o", "--output", metavar="PAGE", help="write a page (.html) instead of text")
    parser.add_argument(
        "--timeout", type=seconds, default=SECONDS, metavar="SECONDS",
        help=f"how long the first run may take (default: {SECONDS:g})",
    )  # fmt: skip
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)


def execute(request: Request, frontend: Frontend) -> Done:
    """Explore a module; show the findings, or write them to a page."""
    options = request.options
    if options.output is not None:
        if Path(options.output).suffix.lower() != ".html":
            raise UsageProblem(f"-o {options.output}: the page is written to a file that ends in .html: -o page.html")
        check_writable("-o", options.output)
    isolated.outside.prepare(keep=False)
    module = load_program(options.file, frontend, lang=options.lang, portable=True)
    named = os.fspath(options.file) if isinstance(options.file, (str, os.PathLike)) else None
    with frontend.busy(f"exploring {module.name}"):
        found = explore(module, request.rest, seconds=options.timeout, file=named)
    if options.output is not None:
        write_file("-o", options.output, found.to_html)
        frontend.note(f"{options.output}: what {module.name} can ask for, and a first run of it")
    elif frontend.kind == "notebook":
        return Done(0, found)
    else:
        frontend.say(str(found))
    return Done()
