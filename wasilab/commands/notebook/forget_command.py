"""`forget`: remove named modules and their runs."""

from __future__ import annotations

from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Remove the modules and runs of these names: their timelines show the saved report, and the memory of their "
        "traces is freed. The trace of a run that a variable still refers to moves to a file and is read back on use."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name, as %%wasi list shows it")
    parser.add_argument("--all", action="store_true", help="every name, and the last run")


def execute(request: Request, frontend: Frontend) -> Done:
    """Forget the names, or all of them."""
    names: list[str] = request.options.names
    if request.options.all == bool(names):
        raise UsageProblem("forget what? %wasi forget NAME..., or --all; %wasi list shows the names")
    for name in names:
        if frontend.find(name) is None:
            raise UsageProblem(f"nothing is named {name!r}; %wasi list shows the names")
    if request.options.all:
        frontend.forget(None)
    for name in names:
        frontend.forget(name)
    return Done(0)
