"""`diff`: two traces compared, call by call."""

from __future__ import annotations

from ...text.shell import quote
from ...trace.answers.diff import CONTENTS
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.grammar import program_name
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "Compare two saved traces call by call. Exit status 0 when they do the same, 1 when not."
    parser.add_argument("first", metavar="A", help="a trace")
    parser.add_argument("second", metavar="B", nargs="?", help="another trace")
    parser.add_argument(
        "--ignore", metavar="WHAT", action="append", default=[], choices=CONTENTS,
        help="do not compare arguments, data or results of the calls (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=("call", "operation"),
        help="what makes two calls equal: their name, or their operation, which two versions of WASI share "
        "(default: by operation where the traces have no call in common)",
    )  # fmt: skip


def execute(request: Request, frontend: Frontend) -> Done:
    """Compare two traces; the status says whether they do the same."""
    options = request.options
    if options.second is None:
        command = f"{program_name(frontend.kind)} diff"
        raise UsageProblem(_how_to_give_two(options.first, frontend.kind), command=command)
    first = load_trace(options.first, frontend)
    second = load_trace(options.second, frontend)
    with frontend.busy("comparing"):
        found = first.diff(second, ignore=options.ignore, by=options.by)
        text = found.text(frontend.columns, palette=frontend.out)
    frontend.say(text)
    return Done(0 if found.same else 1, None)


def _how_to_give_two(first: object, kind: FrontendKind) -> str:
    """The message for one trace where two are needed."""
    one = quote(first) if isinstance(first, str) else "A"
    if kind == "notebook":
        return f"diff needs two traces, each a file or the name of a run: %wasi diff {one} OTHER"
    return (
        f"diff needs two traces: wasilab diff {one} OTHER (wasilab run --trace OTHER.wtrace PROGRAM records another)"
    )
