"""Asking a trace in SQL, through DuckDB (extra `arrow`).

    trace.sql("select call, count(*), sum(dur) from calls where errno <> '' group by call order by 3 desc")

The views: `calls` (one row a call; also called `trace`), `fds`, `paths`, `lines`, `output`. Times are ns.
`calls.text`, the call as strace shows it, is there when the statement names it. Not for: quick
choices (`Trace.filter`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...text.escape import visible
from ...text.nearest import did_you_mean
from .. import extras
from ..calls import Calls
from ..errors import QueryError
from . import arrow as table
from .tabular import table_html

_VIEWS = {
    "calls": table.to_arrow, "fds": table.fds_table, "paths": table.paths_table, "lines": table.lines_table,
    "output": table.output_table,
}  # fmt: skip
MESSAGE = 300
"""Characters of DuckDB's complaint that are shown."""
SHOWN = 100
"""Rows of a result that are printed."""


@dataclass(frozen=True)
class SqlResult:
    """The answer to a query. `arrow` is a pyarrow.Table."""

    arrow: Any

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.arrow.column_names)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of Python values."""
        return list(zip(*(column.to_pylist() for column in self.arrow.columns), strict=True))

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __iter__(self) -> Any:
        return iter(self.rows)

    def to_arrow(self) -> Any:
        """The pyarrow.Table."""
        return self.arrow

    def to_pandas(self) -> Any:
        """A pandas.DataFrame."""
        return self.arrow.to_pandas()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def _shown(self) -> list[list[str]]:
        head = self.arrow.slice(0, SHOWN)
        columns = [[_cell(value) for value in column.to_pylist()] for column in head.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def __str__(self) -> str:
        rows = [[visible(name) for name in self.columns], *self._shown()]
        widths = [min(max(map(len, column)), 80) for column in zip(*rows, strict=True)]
        numbers = [_is_number(kind) for kind in self.arrow.schema.types]
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, numbers, strict=True)
            ).rstrip()
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        if len(self) > SHOWN:
            lines.append(f"... {len(self) - SHOWN:,} more rows")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        more = f"<p>… {len(self) - SHOWN:,} more rows</p>" if len(self) > SHOWN else ""
        return table_html([visible(name) for name in self.columns], self._shown()) + more


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return visible(str(value))


def _is_number(kind: Any) -> bool:
    pa = extras.pyarrow()
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def sql(trace: Calls, statement: str) -> SqlResult:
    """Run one statement; QueryError says what is wrong and which columns there are, TraceError which extra is missing.
    """
    duckdb = extras.duckdb()
    words = set(re.findall(r"\w+", statement.lower()))
    # The statement asks of the trace: it reads and writes no file and fetches no extension.
    connection = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    shown: dict[str, list[str]] = {}
    try:
        for name, make in _VIEWS.items():
            if name in words or (name == "calls" and "trace" in words):
                found = table.to_arrow(trace, text="text" in words) if name == "calls" else make(trace)
                connection.register(name, found)
                shown[name] = [*found.column_names, *(["text"] if name == "calls" and "text" not in words else [])]
                if name == "calls":
                    connection.execute("create view trace as select * from calls")
        relation = connection.sql(statement)
        if relation is None:
            raise QueryError("the statement gives no rows: ask with select")
        return SqlResult(relation.to_arrow_table())
    except duckdb.Error as error:
        raise QueryError(_explained(str(error), shown)) from None
    finally:
        connection.close()


def _explained(message: str, shown: dict[str, list[str]]) -> str:
    """DuckDB's complaint in one sentence, and the views and the columns of those that the statement names."""
    if "file system operations are disabled" in message or "disabled by configuration" in message:
        return "a statement asks of the trace only: it reads and writes no other file"
    said = " ".join(re.split(r"\n\n|Candidate functions:", message)[0].split())
    first = visible(re.sub(r"^(Parser|Binder|Catalog) Error: ", "", said))[:MESSAGE]
    missing = re.search(r"Table with name (\S+) does not exist", first)
    if missing:
        first = f"there is no view {missing[1]!r}{did_you_mean(missing[1], _VIEWS)}"
    named = shown or {"calls": [*table.COLUMNS, "text"]}
    columns = "".join(f"; {name} has {', '.join(names)}" for name, names in named.items())
    return f"{first} (the views are {', '.join(_VIEWS)}{columns})"
