"""`sql`: ask a trace in SQL."""

from __future__ import annotations

from typing import Any

from ...text.escape import visible
from ...trace.errors import QueryError, TraceError
from ...trace.trace import Trace
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    which = "the trace of the last run, or of the run or file TRACE," if kind == "notebook" else "a saved trace"
    parser.description = (
        f"Ask {which} in SQL (DuckDB). The views: calls, fds, paths, lines, output; times are ns."
    )
    if kind == "notebook":
        parser.usage = "%(prog)s [--of TRACE] QUERY"
        parser.add_argument("query", nargs="+", metavar="QUERY", help="select call, count(*) from calls group by call")
        parser.add_argument("--of", dest="file", metavar="TRACE", help="a run's name or a file (default: the last run)")
    else:
        file_argument(parser, "the trace")
        parser.add_argument("query", metavar="QUERY", help="'select call, count(*) from calls group by call'")


def execute(request: Request, frontend: Frontend) -> Done:
    """Ask a trace in SQL; a notebook shows the answer as a table."""
    options = request.options
    chosen = load_trace(options.file, frontend)
    query = options.query if isinstance(options.query, str) else " ".join(options.query)
    found = answer(chosen, query, "")
    if frontend.kind == "notebook":
        return Done(0, found)
    frontend.say(visible(str(found), lines=True))
    return Done(0)


def answer(chosen: Trace, query: str, label: str) -> Any:
    try:
        return chosen.sql(query)
    except (ImportError, TraceError, QueryError) as error:
        raise UsageProblem(f"{label}{error}") from None
