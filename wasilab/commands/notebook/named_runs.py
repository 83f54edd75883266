"""The run that a notebook command is about: the last one, a named one, or a `Run` value."""

from __future__ import annotations

from typing import Any

from ..line.frontend import Frontend
from ..line.parser import Parser
from ..line.usage import UsageProblem


def add_run_argument(parser: Parser) -> None:
    """The argument `of`: the name of a run, or a run in braces."""
    parser.description = "Of the last run, or of the one named NAME."
    parser.add_argument("of", nargs="?", metavar="NAME", help="the run's name")


def run_of(word: Any, frontend: Frontend) -> Any:
    """The run that `word` names (None: the last one), or `word` itself if it is a run. Raises `UsageProblem`."""
    run = word if hasattr(word, "trace") else frontend.run_named(word)
    if run is None:
        raise UsageProblem(
            f"no run is named {word!r}; %wasi list shows the names" if word else "nothing has run yet in this notebook"
        )
    return run
