"""`timeline`: the live timeline of a run."""

from __future__ import annotations

from ...views.display import timeline
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from .named_runs import add_run_argument, run_of


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    add_run_argument(parser)


def execute(request: Request, frontend: Frontend) -> Done:
    """Show the timeline of the last run or of a named one."""
    return Done(0, timeline(run_of(request.options.of, frontend)))
