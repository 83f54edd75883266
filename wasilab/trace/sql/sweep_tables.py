"""The runs of a sweep and their calls as Arrow tables. The calls are streamed into a Parquet file, run by run.

A row of calls has no values that differ between two sweeps of the same runs (no times), so the same sweep gives the
same bytes. Needs pyarrow, and DuckDB for SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .. import extras
from .arrow_types import ArrowTable
from .statements import SqlResult, ask_tables


class SweptRun(Protocol):
    """The data of a run that is written."""

    @property
    def number(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def moved(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stdout_bytes(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def columns(self) -> Mapping[str, Sequence[object]] | None: ...


class CallsFile:
    """A Parquet file to which the calls of runs are appended. Raises TraceError if pyarrow is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pa = extras.pyarrow()
        pa = self._pa
        self._schema = pa.schema(
            [("run", pa.int64()), ("seq", pa.int64()), ("call", pa.string()), ("errno", pa.uint8()), ("fd", pa.int64()),
             ("path", pa.string()), ("bytes", pa.int64()), ("result", pa.uint64()), ("refused", pa.bool_()),
             ("injected", pa.bool_())]
        )  # fmt: skip
        self._writer = extras.parquet().ParquetWriter(path, self._schema, compression="zstd")

    def add(self, runs: Sequence[SweptRun]) -> None:
        """Append the calls of these runs."""
        columns: dict[str, list[object]] = {name: [] for name in self._schema.names}
        for run in runs:
            if run.columns is None:
                continue
            columns["run"] += [run.number] * len(run.columns["seq"])
            for name in self._schema.names[1:]:
                columns[name] += run.columns[name]
        if columns["run"]:
            self._writer.write_table(self._pa.table(columns, schema=self._schema))

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()

    def read(self) -> ArrowTable:
        """All of it as a pyarrow.Table."""
        found: ArrowTable = extras.parquet().read_table(self.path)
        return found


def runs_table(parameters: Sequence[Mapping[str, object]], runs: Sequence[SweptRun]) -> ArrowTable:
    """One row per run: its number, its parameters (prefixed "p."), and its result."""
    pa = extras.pyarrow()
    names = list(parameters[0]) if parameters else []
    columns: dict[str, Sequence[object]] = {"run": [run.number for run in runs]}
    for name in names:
        values = [row[name] for row in parameters]
        kinds = {type(value) for value in values if value is not None}
        columns[f"p.{name}"] = values if len(kinds) <= 1 or kinds == {int, float} else [str(value) for value in values]
    for field in ("kind", "exit_code", "message", "calls", "refused", "failed", "moved", "stdout_bytes"):
        columns["bytes" if field == "moved" else field] = [getattr(run, field) for run in runs]
    columns["stdout"] = [run.stdout.decode("utf-8", "backslashreplace") for run in runs]
    columns["seconds"] = [run.seconds for run in runs]
    table: ArrowTable = pa.table(columns)
    return table


def write_parquet(table: ArrowTable, path: Path) -> None:
    """Write a table to a file."""
    extras.parquet().write_table(table, path, compression="zstd")


def ask(statement: str, runs: ArrowTable, calls: CallsFile | None) -> SqlResult:
    """Query the views `runs` and, if they were kept, `calls`."""
    return ask_tables(statement, {"runs": runs} | ({} if calls is None else {"calls": calls.read()}))
