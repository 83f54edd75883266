"""`diff`: two traces compared, call by call."""

from __future__ import annotations

from ...trace.answers.diff import CONTENTS
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from .saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "Compare two saved traces call by call. Exit status 0 when they do the same, 1 when not."
    parser.add_argument("first", metavar="A", help="a trace")
    parser.add_argument("second", metavar="B", help="another trace")
    parser.add_argument(
        "--ignore", metavar="WHAT", action="append", default=[], choices=CONTENTS,
        help="do not compare arguments, data or results of the calls (repeatable)",
    )  # fmt: skip


def execute(request: Request, frontend: Frontend) -> Done:
    """Compare two traces; the status says whether they do the same."""
    first = load_trace(request.options.first, frontend)
    second = load_trace(request.options.second, frontend)
    found = first.diff(second, ignore=request.options.ignore)
    frontend.say(str(found))
    return Done(0 if found.same else 1, None)
