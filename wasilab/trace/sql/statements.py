"""SQL queries over a trace, with DuckDB (extra `arrow`).

    trace.sql("select call, count(*), sum(dur) from calls where errno <> '' group by call order by 3 desc")

The views: `calls` (one row per call; also called `trace`), `fds`, `paths`, `lines`, `output`. Times are ns.
`calls.text`, the call as strace shows it, exists if the statement names it. A statement is one SELECT, runs in a
separate process (`duckdb_process.py`), and has limits of time and memory. Not for: simple filters (`Trace.filter`).
"""

from __future__ import annotations

import json
import re
import reprlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...text.escape import shorten, visible
from ...text.nearest import did_you_mean
from ...text.numbers import counted, size
from .. import extras
from ..answers.tabular import table_html, text_table
from ..calls import Calls
from ..errors import QueryError
from . import arrow as table
from .arrow_types import ArrowTable

_VIEWS = {
    "calls": table.to_arrow, "fds": table.fds_table, "paths": table.paths_table, "lines": table.lines_table,
    "output": table.output_table,
}  # fmt: skip
SECONDS = 60.0
"""The time limit of a statement."""
MEMORY = 1 << 30
"""The memory limit of a statement in bytes."""
MESSAGE = 300
"""Maximum characters shown of DuckDB's message."""
SHOWN = 100
"""Maximum rows printed."""
CELL = 1000
"""Maximum characters printed of a cell."""
_PROCESS = Path(__file__).with_name("duckdb_process.py")


@dataclass(frozen=True)
class SqlResult:
    """The result of a statement. `arrow` is a pyarrow.Table. Printing shows the first 100 rows, with long cells cut."""

    arrow: ArrowTable

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.arrow.column_names)

    @property
    def rows(self) -> list[tuple[object, ...]]:
        """The rows as tuples of Python values."""
        return list(zip(*(column.to_pylist() for column in self.arrow.columns), strict=True))

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return iter(self.rows)

    def to_arrow(self) -> Any:
        """The pyarrow.Table."""
        return self.arrow

    def to_pandas(self) -> Any:
        """A pandas.DataFrame."""
        return self.arrow.to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def _shown(self) -> list[list[str]]:
        head = self.arrow.slice(0, SHOWN)
        columns = [[_cell(value) for value in column.to_pylist()] for column in head.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def __str__(self) -> str:
        head = [visible(name) for name in self.columns]
        texts = {i for i, kind in enumerate(self.arrow.schema.types) if not _is_number(kind)}
        lines = text_table([head, *self._shown()], texts)
        widths = [max(map(len, column)) for column in zip(head, *self._shown(), strict=True)]
        lines.insert(1, "  ".join("-" * width for width in widths))
        if len(self) > SHOWN:
            lines.append(f"... {counted(len(self) - SHOWN, 'more row')}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        more = f"<p>… {counted(len(self) - SHOWN, 'more row')}</p>" if len(self) > SHOWN else ""
        return table_html([visible(name) for name in self.columns], self._shown()) + more


_nested = reprlib.Repr()
_nested.maxlist = _nested.maxdict = _nested.maxtuple = _nested.maxlevel = 10
_nested.maxstring = _nested.maxother = CELL


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return visible(shorten(value, CELL))
    return visible(shorten(_nested.repr(value) if isinstance(value, (list, dict, bytes)) else str(value), CELL))


def _is_number(kind: object) -> bool:
    pa = extras.pyarrow()
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def sql(trace: Calls, statement: str, *, seconds: float = SECONDS, memory: int = MEMORY) -> SqlResult:
    """Run one SELECT, for at most `seconds` and in about `memory` bytes.

    QueryError says what is wrong and lists the columns, or that a limit was reached; TraceError names a missing extra.
    """
    return _ask(statement, lambda: _views(trace, statement), seconds, memory)


def ask_tables(
    statement: str, tables: Mapping[str, ArrowTable], *, seconds: float = SECONDS, memory: int = MEMORY
) -> SqlResult:
    """The same for some Arrow tables, by name."""
    return _ask(statement, lambda: dict(tables), seconds, memory)


def _ask(statement: str, make: Callable[[], dict[str, ArrowTable]], seconds: float, memory: int) -> SqlResult:
    extras.need_duckdb()
    command = [sys.executable, "-P", str(_PROCESS)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        views = make()  # in parallel with the start of the process
        columns = {name: list(made.column_names) for name, made in views.items()}
        streams = {name: _stream(made) for name, made in views.items()}
        request = {
            "statement": statement, "memory": memory, "views": [(name, len(data)) for name, data in streams.items()],
        }  # fmt: skip
        answer, _ = process.communicate(json.dumps(request).encode() + b"\n" + b"".join(streams.values()), seconds)
    except subprocess.TimeoutExpired:
        raise QueryError(f"the statement took more than {seconds:g} seconds: query fewer calls") from None
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    head, _, body = answer.partition(b"\n")
    try:
        said: dict[str, str] = json.loads(head)
    except ValueError:
        died = signal.strsignal(-process.returncode) if process.returncode < 0 else f"status {process.returncode}"
        raise QueryError(
            f"the statement ended DuckDB ({died}): it needs more than {size(memory)} of memory, or there is a bug in "
            "DuckDB"
        ) from None
    if "refused" in said:
        kind = said["refused"]
        given = f"{kind} statements" if kind.isdigit() else f"a statement of the kind {kind}"
        raise QueryError(f"only one SELECT statement can be run; this is {'nothing' if kind == '0' else given}")
    if "error" in said:
        raise QueryError(_explained(said["error"], columns, memory))
    if not body:
        raise QueryError("the statement returns no rows: use SELECT")
    return SqlResult(extras.pyarrow().ipc.open_stream(body).read_all())


def _views(trace: Calls, statement: str) -> dict[str, ArrowTable]:
    """The views that the statement names; all if it lists them."""
    words = set(re.findall(r"\w+", statement.lower()))
    if words & {"show", "information_schema"}:
        words |= _VIEWS.keys()
    views = {}
    for name, make in _VIEWS.items():
        if name in words or (name == "calls" and "trace" in words):
            views[name] = table.to_arrow(trace, text="text" in words) if name == "calls" else make(trace)
    return views


def _stream(made: ArrowTable) -> bytes:
    pa = extras.pyarrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return bytes(sink.getvalue())


def _explained(message: str, columns: dict[str, list[str]], memory: int) -> str:
    """DuckDB's message in one sentence, followed by the views and the columns of those that the statement names."""
    if "file system operations are disabled" in message or "disabled by configuration" in message:
        return "a statement can only query the trace: it cannot read or write files"
    if message.startswith("Out of Memory Error"):
        return f"the statement needs more than {size(memory)} of memory: query fewer calls or columns"
    said = " ".join(re.split(r"\n\n|Candidate functions:", message)[0].split())
    first = visible(re.sub(r"^(Parser|Binder|Catalog) Error: ", "", said))[:MESSAGE]
    missing = re.search(r"Table with name (\S+) does not exist", first)
    if missing:
        first = f"unknown view {missing[1]!r}{did_you_mean(missing[1], _VIEWS)}"
    if "calls" in columns and "text" not in columns["calls"]:
        columns["calls"].append("text")
    named = columns or {"calls": [*table.COLUMNS, "text"]}
    listed = "".join(f"; {name} has {', '.join(names)}" for name, names in named.items())
    return f"{first} (the views are {', '.join(_VIEWS)}{listed})"
