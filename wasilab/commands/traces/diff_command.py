"""`diff`: two traces compared, call by call."""

from __future__ import annotations

import os
from pathlib import Path

from ...runs.run import Run
from ...runs.run_diff import RunDiff
from ...text.shell import quote
from ...trace.answers.diff import CONTENTS
from ...views.subject import Subject, TraceSubject, as_subject
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.grammar import program_name
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    which = "runs or traces" if kind == "notebook" else "saved traces"
    parser.description = (
        f"Compare two {which} call by call. Exit status 0 when they do the same, 1 when not.\n"
        "For example, as a page with both on one axis: diff before.wtrace after.wtrace -o diff.html"
    )
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
    parser.add_argument(
        "-o", "--output", metavar="PAGE", help="write a page (.html): both on one axis, the differences marked"
    )


def execute(request: Request, frontend: Frontend) -> Done:
    """Compare two traces; the status says whether they do the same."""
    options = request.options
    if options.second is None:
        command = f"{program_name(frontend.kind)} diff"
        raise UsageProblem(_how_to_give_two(options.first, frontend.kind), command=command)
    if options.output is not None:
        if Path(options.output).suffix.lower() != ".html":
            raise UsageProblem(f"-o {options.output}: the page is written to a file that ends in .html: -o diff.html")
        check_writable("-o", options.output)
    first, second = _side(options.first, frontend), _side(options.second, frontend)
    with frontend.busy("comparing"):
        found = RunDiff.from_runs(first, second, options.ignore, options.by)
    if options.output is not None:
        write_file("-o", options.output, found.to_html)
        frontend.note(f"{options.output}: {found.headline()}")
    elif frontend.kind == "notebook":
        return Done(0 if found.same else 1, found)
    else:
        frontend.say(found.text(frontend.columns, palette=frontend.out))
    return Done(0 if found.same else 1, None)


def _side(word: object, frontend: Frontend) -> Subject:
    """The run or trace that a word names, with its name."""
    trace = load_trace(word, frontend)
    run = frontend.run_named(word) if isinstance(word, str) else word
    if isinstance(run, Run):
        return run
    name = Path(word).name if isinstance(word, (str, os.PathLike)) else ""
    return TraceSubject(trace, as_subject(trace).outcome, name)


def _how_to_give_two(first: object, kind: FrontendKind) -> str:
    """The message for one trace where two are needed."""
    one = quote(first) if isinstance(first, str) else "A"
    if kind == "notebook":
        return f"diff needs two traces, each a file or the name of a run: %wasi diff {one} OTHER"
    return (
        f"diff needs two traces: wasilab diff {one} OTHER (wasilab run --trace OTHER.wtrace PROGRAM records another)"
    )
