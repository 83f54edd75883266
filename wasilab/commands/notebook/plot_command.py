"""`plot`: one plot of a run, or of two runs beside each other."""

from __future__ import annotations

from ...views.plots import plots
from ...views.plots.plot_options import PlotOptions
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .named_runs import add_run_argument, run_of


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.add_argument("kind", nargs="?", default="timeline", metavar="KIND")
    add_run_argument(parser)
    parser.add_argument("other", nargs="?", metavar="OTHER", help="the second run of `plot compare NAME OTHER`")


def execute(request: Request, frontend: Frontend) -> Done:
    """Draw one plot of a run, or of two beside each other (`plot compare NAME OTHER`)."""
    kind, run = request.options.kind, run_of(request.options.of, frontend)
    if (kind == "compare") != (request.options.other is not None):
        raise UsageProblem("the plot compare, and no other, needs two runs: %wasi plot compare NAME OTHER")
    options: PlotOptions = {}
    if request.options.other is not None:
        options = {"other": run_of(request.options.other, frontend)}
    try:
        return Done(0, plots.plot(run, kind, **options))
    except plots.PlotError as error:
        raise UsageProblem(str(error)) from None
