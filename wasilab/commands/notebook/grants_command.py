"""`grants`: a program's panel, with a switch for each grant."""

from __future__ import annotations

from ...panels.panel import panel
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..programs.program import load_program
from ..runner.isolation import by_settings
from .named_runs import add_run_argument


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    add_run_argument(parser)


def execute(request: Request, frontend: Frontend) -> Done:
    """Show what a program asks for, is granted and used: of a name, a file, a run in braces, or the last run."""
    name = request.options.of
    if hasattr(name, "trace"):
        program = name
    else:
        program = frontend.run_named(name) if name is None or isinstance(name, str) else None
        if program is None and name is not None:
            program = load_program(name, frontend)
    return Done(0, panel(program, isolate=by_settings() or None))
