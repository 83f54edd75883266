"""The grammar of the line of a `%%wasi` cell: `%%wasi [LANG] [OPTION]... [-- COMPILER FLAGS]`."""

from __future__ import annotations

from collections.abc import Sequence

from ...grants.forms.flags import add_options
from ..line.grammar import read_options, split_at_dashes
from ..line.options import LANGUAGE_HELP, add_cell_options, add_compile_options, add_run_options, add_view_options
from ..line.parser import Parser
from ..line.request import Request
from ..line.words import Values
from ..runner.engine_flags import add_engine_options
from ..runner.isolation import add_isolate_option


def build_cell(values: Values | None = None) -> Parser:
    """The parser of a `%%wasi` line, up to `--`."""
    parser = Parser("%%wasi", values or Values())
    parser.usage = "%%%%wasi [LANG] [--name NAME] [OPTION]... [-- COMPILER FLAGS]"
    parser.description = (
        "Compile the cell and run it under the given grants. LANG is " + LANGUAGE_HELP.split(" (")[0] + "."
    )
    parser.add_argument("lang", nargs="?", metavar="LANG", help="the language of the cell (default: c)")
    parser.add_argument(
        "--args", metavar="'ARG...'", help="the guest's arguments: one text, split as by a shell, or {a_list}"
    )
    parser.add_argument("--save", metavar="FILE", help="write the compiled module to FILE as well")
    parser.add_argument("--compile-only", action="store_true", help="compile and name it, do not run it")
    add_compile_options(parser)
    add_options(parser)
    add_run_options(parser)
    add_engine_options(parser)
    add_isolate_option(parser)
    add_view_options(parser, "notebook")
    add_cell_options(parser)
    return parser.expanding()


def parse_cell(words: Sequence[str], values: Values | None = None) -> Request:
    """The request that the words of a `%%wasi` line make. Raises `UsageProblem` or `HelpAsked`."""
    values = values or Values()
    ours, rest = split_at_dashes(words)
    parser = build_cell(values)
    options = read_options(parser, ours)
    return Request("cell", options, [values.text(word) for word in rest], values)
