"""Questions in SQL from the widget's box: the answer as text, and for each row the calls that it leads to.

The statement is one SELECT, run by `trace/sql/statements.py` in a process of its own with bounds of time and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from ...text.escape import shorten, visible
from ...trace.columns.decode import ERRNO_NAMES
from ...trace.filter.by_example import call_term, errno_term, function_term, path_term
from ...trace.sql.statements import SqlResult
from ...trace.trace import Trace

SECONDS = 20.0
"""How long a statement may take."""
MOST_ROWS, MOST_COLUMNS, CELL = 200, 30, 200
STATEMENT = 20_000
"""Characters of a statement."""

EXAMPLES = (
    ("time by call", "select call, count(*) calls, sum(dur) ns from calls group by call order by ns desc"),
    ("slowest calls", "select seq, call, path, dur from calls order by dur desc limit 20"),
    ("refused calls", "select seq, call, path, reason from calls where denied_by <> '' order by seq"),
    ("errnos", "select errno, call, count(*) calls from calls where errno <> '' group by all order by calls desc"),
    ("bytes by path", "select path, sum(nbytes) bytes, count(*) calls from calls group by path order by bytes desc"),
    ("descriptors", "select life, fd, path, calls, bytes_read, bytes_written, leaked from fds"),
    ("calls in SQL's words", "select seq, text from calls order by seq limit 100"),
)
"""(name, statement) to begin with."""


def answer_sql(trace: Trace, statement: str, row_of: Callable[[int], int | None]) -> dict[str, object]:
    """The answer as the widget takes it (the typedef `Answer` of js/onward/sql.js). `row_of`: the row of a `seq`.

    Raises a ValueError (`QueryError`, `TraceError`) with a message for people.
    """
    if len(statement) > STATEMENT:
        raise ValueError(f"the statement has more than {STATEMENT:,} characters")
    found = trace.sql(statement, seconds=SECONDS)
    columns = found.columns[:MOST_COLUMNS]
    rows = [dict(zip(columns, row, strict=False)) for row in _first(found)]
    return {
        "columns": [shorten(visible(name), 60) for name in columns],
        "rows": [[_shown(row[name]) for name in columns] for row in rows],
        "numbers": [all(isinstance(row[name], (int, float, Decimal, type(None))) for row in rows) for name in columns],
        "leads": [_lead(row, row_of) for row in rows],
        "total": len(found),
    }


def _first(found: SqlResult) -> list[tuple[object, ...]]:
    return list(SqlResult(found.arrow.slice(0, MOST_ROWS)))


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, Decimal) and value == value.to_integral_value()):
        return f"{int(value):,}"
    return shorten(visible(f"{value:.6g}" if isinstance(value, float) else str(value)), CELL)


def _lead(row: Mapping[str, object], row_of: Callable[[int], int | None]) -> int | str:
    """Where a row of an answer leads: a row of the trace, or a filter; "" for nowhere."""
    seq = row.get("seq")
    if isinstance(seq, int) and 0 <= seq < 1 << 62:
        found = row_of(seq)
        if found is not None:
            return found
    terms = []
    for name, term in _TERMS.items():
        value = row.get(name)
        if isinstance(value, str) and value:
            terms.append(term(value))
        elif name == "errno" and value == "":
            terms.append("ok")
    life = row.get("life")
    if isinstance(life, int) and life > 0:
        terms = [f"handle={life}"]
    return " ".join(term for term in terms if term)


def _errno(name: str) -> str:
    return errno_term(ERRNO_NAMES.index(name)) if name in ERRNO_NAMES else ""


_TERMS: dict[str, Callable[[str], str]] = {
    "call": call_term, "path": path_term, "errno": _errno, "function": function_term,
}  # fmt: skip
