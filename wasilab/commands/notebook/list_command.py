"""`list`: the modules and runs that a notebook has named."""

from __future__ import annotations

from ...runs.kept import KEPT
from ...text.numbers import size
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "The modules and runs named in this notebook."


def execute(request: Request, frontend: Frontend) -> Done:
    """Print the named modules and their last runs."""
    rows = frontend.rows()
    if not rows:
        frontend.say("nothing is named yet: %%wasi c --name hello names a cell's module and its runs")
    for name, module, run in rows:
        frontend.say(f"{name:20} {module:32} {run}")
    if KEPT.weight():
        frontend.say(f"all traces in memory: {size(KEPT.weight())} of a shared budget of {size(KEPT.budget)}")
    return Done(0)
