"""What wasilab can be told to do, the same through both doors: one grammar, one function a command (floor 5).

`grammar.parse` makes a `Request` of words, `execute` carries it out through a `Door`. Each command's file is
imported when it is first asked for, so that `wasilab --help` does not wait for an engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .line.frontend import Done, Door
    from .line.grammar import Request

_HOME = {
    "run": "running",
    "compile": "compiling",
    "inspect": "inspecting",
    "trace": "tracing",
    "sql": "tracing",
    "diff": "tracing",
    "advise": "advising",
    "demo": "demonstrating",
    "template": "templating",
    "doctor": "doctoring",
    "cache": "doctoring",
    "list": "showing",
    "grants": "showing",
    "timeline": "showing",
    "plot": "showing",
}


def execute(request: Request, door: Door) -> Done:
    """Carry out a request. Raises `UsageProblem`, `GrantError`, `ModuleError` or a `ToolchainError`."""
    home = import_module(f".{_HOME[request.command]}", __name__)
    done: Done = getattr(home, request.command)(request, door)
    return done
