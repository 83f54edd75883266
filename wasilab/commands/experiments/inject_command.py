"""`inject`: fail each call of a program in a run of its own, and show how the program reacts."""

from __future__ import annotations

from ...grants.faults import FaultError
from ...grants.forms.flags import add_options
from ...runs.experiments.injecting import MOST_RUNS, inject_each
from ...runs.prepare import RunOptions
from ...text.numbers import counted
from ..line.argument_types import count
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..programs.program import load_program
from ..programs.running import grants_of


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s --each [OPTION]... FILE [ARG]..."
    parser.description = (
        "Run FILE once for each WASI call that it makes, fail that call, and show how the program reacts:\n"
        "it recovers, reports by its exit status, silently loses data, or crashes. Safe and repeatable: folders\n"
        "are copied, clocks step, randomness is seeded. Exit status: 1 if something was lost or crashed, else 0.\n"
        "To put single faults into a run: run --inject CALLS:error=EIO:when=3."
    )
    file_argument(parser, "the program" + ("; or a name from --name" if kind == "notebook" else ""))
    parser.add_argument("--each", action="store_true", help="fail every call once, one run each")
    parser.add_argument("--error", default="EIO", metavar="ERRNO", help="the errno of each failure (default EIO)")
    parser.add_argument(
        "--calls", default="*", metavar="CALLS", help="only these: names, patterns, families, or operation=NAME,..."
    )
    parser.add_argument(
        "--runs", type=count, default=MOST_RUNS, metavar="N", help=f"the most runs to make (default {MOST_RUNS:,})"
    )
    parser.add_argument("--lang", metavar="LANG", help=f"the source's language: {LANGUAGE_HELP}")
    add_options(parser)


def execute(request: Request, frontend: Frontend) -> Done:
    """Fail each call once and show the table."""
    options = request.options
    if not options.each:
        raise UsageProblem("write inject --each FILE to fail each of its calls; for single faults: run --inject ...")
    module = load_program(options.file, frontend, lang=options.lang, quiet=False)
    grants = grants_of(options, frontend, attended=False)
    try:
        with frontend.busy("the run without a fault") as busy:
            found = inject_each(
                module, request.rest, grants, RunOptions(), error=options.error, calls=options.calls, most=options.runs,
                on_run=lambda number, call: busy.tick(f"run {number:,}: {call} fails"),
            )  # fmt: skip
    except FaultError as error:
        raise UsageProblem(str(error)) from None
    baseline = found.baseline
    if not found.rows:
        why = baseline.error or f"it makes {counted(len(baseline.trace), 'call')}, none of which can fail in this way"
        raise UsageProblem(f"{module.name}: no call to fail: {why}")
    frontend.say(str(found))
    bad = found.counts["loses"] + found.counts["crashes"]
    return Done(1 if bad else 0, None)
