"""`sql`: query a trace in SQL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeGuard

from ...text.escape import visible
from ...text.shell import quote
from ...trace.errors import QueryError, TraceError
from ...trace.sql.statements import SqlResult
from ...trace.trace import Trace
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.grammar import program_name
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import load_trace

STATEMENT = re.compile(r"(?:select|with|from|describe|show|summarize|pivot)\b", re.IGNORECASE)
"""The first words of a query."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    which = "the trace of the last run, or of the run or file TRACE," if kind == "notebook" else "a saved trace"
    parser.description = (
        f"Ask {which} in SQL (DuckDB). The views: calls, fds, paths, lines, output; times are ns.\n"
        "For example: 'select call, count(*) from calls group by call'"
    )
    trace = "[TRACE]" if kind == "notebook" else "TRACE"
    parser.usage = f"%(prog)s {trace} QUERY"
    parser.add_argument("words", nargs="+", metavar="TRACE, QUERY", help="the trace (a file or a run), and the query")
    if kind == "notebook":
        parser.add_argument("--of", metavar="TRACE", help="the trace (also as the first argument)")


def execute(request: Request, frontend: Frontend) -> Done:
    """Query a trace in SQL; a notebook shows the answer as a table."""
    name, query = _read(request, frontend)
    chosen = load_trace(name, frontend)
    with frontend.busy("asking"):
        found = answer(chosen, query, "")
    if frontend.kind == "notebook":
        return Done(0, found)
    frontend.say(visible(str(found), lines=True))
    return Done(0)


def _read(request: Request, frontend: Frontend) -> tuple[object, str]:
    """(trace, query) of the words. A query before its trace also works, with a hint."""
    options, prog = request.options, f"{program_name(frontend.kind)} sql"
    words: list[object] = options.words
    if frontend.kind == "notebook" and options.of is not None:
        frontend.note(f"hint: the trace comes first: {prog} {_shown(options.of)} 'select ...'")
        return options.of, " ".join(map(str, words))
    first, *rest = words
    if rest and _is_statement(first) and len(rest) == 1 and not _is_statement(rest[0]) and _is_trace(rest[0], frontend):
        frontend.note(f"hint: the trace comes first: {prog} {_shown(rest[0])} {quote(first)}")
        return rest[0], first
    if frontend.kind == "notebook" and (not rest or (_is_statement(first) and not _is_trace(first, frontend))):
        return None, " ".join(map(str, words))
    if not rest:
        raise UsageProblem(f"QUERY missing: {prog} {_shown(first)} 'select call, count(*) from calls group by call'")
    return first, " ".join(map(str, rest))


def _is_statement(word: object) -> TypeGuard[str]:
    return isinstance(word, str) and STATEMENT.match(word) is not None


def _is_trace(word: object, frontend: Frontend) -> bool:
    """Whether the word is a trace or a run, names a run, or is the path of a file."""
    if not isinstance(word, (str, os.PathLike)):
        return True
    return frontend.run_named(os.fspath(word)) is not None or Path(word).expanduser().is_file()


def _shown(word: object) -> str:
    return quote(word) if isinstance(word, str) else "{...}"


def answer(chosen: Trace, query: str, label: str) -> SqlResult:
    """The answer to a query; raises `UsageProblem` that begins with `label`."""
    try:
        return chosen.sql(query)
    except (ImportError, TraceError, QueryError) as error:
        raise UsageProblem(f"{label}{error}") from None
