"""Arrow, pandas, Parquet and SQL: checked by pyarrow and DuckDB themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wasilab.trace.errors import QueryError, TraceError
from wasilab.trace.sql import arrow as table
from wasilab.trace.trace import Trace

from .building import Builder, copying, many

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")


def test_arrow_has_one_row_a_call_and_names_instead_of_numbers() -> None:
    trace = many(3000)
    found = trace.to_arrow()
    assert found.num_rows == 3000
    assert tuple(found.column_names) == table.COLUMNS
    assert found["call"].to_pylist() == trace["name"].tolist()
    assert found["errno"].to_pylist() == trace["errno_name"].tolist()
    assert found["path"].to_pylist() == trace["full_path"].tolist()
    assert found["operation"].to_pylist() == trace["operation"].tolist()
    assert found["dur"].to_pylist() == trace["dur"].tolist()
    refused = found.filter(pa.compute.equal(found["denied_by"], "path"))
    assert refused.num_rows == len(trace.filter("refused"))
    assert set(refused["reason"].to_pylist()) == {"it leaves the directory"}


def test_a_trace_is_an_arrow_stream() -> None:
    trace = copying().trace()
    assert pa.table(trace)["call"].to_pylist() == trace["name"].tolist()


def test_pandas_has_the_same_columns() -> None:
    pytest.importorskip("pandas")
    trace = many(500)
    frame = trace.to_pandas()
    assert tuple(frame.columns) == table.COLUMNS
    assert frame["call"].tolist() == trace["name"].tolist()
    assert frame.groupby("call", observed=True)["dur"].sum()["fd_read"] == trace.summary()["fd_read"].total


def test_a_filtered_trace_gives_its_rows() -> None:
    trace = many(500).filter("call=fd_read")
    assert trace.to_arrow()["seq"].to_pylist() == trace.seq.tolist()


def test_parquet_is_readable_by_pyarrow_and_duckdb(tmp_path: Path) -> None:
    trace = many(5000)
    path = trace.save(tmp_path / "t.parquet")
    import pyarrow.parquet as pq

    read = pq.read_table(path)
    assert read.num_rows == 5000
    assert read["call"].to_pylist() == trace["name"].tolist()
    rows = duckdb.sql(f"select call, count(*), sum(dur) from '{path}' group by call order by call").fetchall()
    expected = sorted((row.call, row.calls, row.total) for row in trace.summary())
    assert [tuple(map(str, row)) for row in rows] == [tuple(map(str, row)) for row in expected]


def test_a_parquet_of_common_calls_takes_at_most_15_bytes_a_call(tmp_path: Path) -> None:
    trace = many(30_000)
    assert trace.save(tmp_path / "t.parquet").stat().st_size <= 15 * len(trace)


def test_a_foreign_parquet_is_one_clear_error(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(TraceError, match="not a wasilab trace"):
        Trace.load(tmp_path / "t.parquet")


LIES: dict[str, Any] = {
    "payload": lambda n: pa.array([b"abc"] * n, pa.binary()),
    "raw_call": lambda n: pa.array(["x"] * n),
    "w0": lambda n: pa.array([None] * n, pa.uint32()),
    "dur": lambda n: pa.array([1.5] * n),
}


@pytest.mark.parametrize("column", LIES)
def test_a_parquet_with_wrong_columns_is_one_clear_error(column: str, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = copying().trace().save(tmp_path / "t.parquet")
    good = pq.read_table(path)
    at = good.column_names.index(column)
    pq.write_table(good.set_column(at, column, LIES[column](good.num_rows)), path)
    with pytest.raises(TraceError):
        Trace.load(path)
    pq.write_table(good.drop_columns([column]), path)
    with pytest.raises(TraceError):
        Trace.load(path)


# -- SQL ---------------------------------------------------------------------------------------------------------


def test_sql_over_all_views() -> None:
    trace = copying().trace()
    assert trace.sql("select call, count(*) n from calls group by call order by n desc, call").rows[0] == ("fd_read", 2)
    assert trace.sql("select count(*) from trace").rows == [(6,)]
    assert trace.sql("select fd, path, bytes_read from fds where not leaked and fd = 4").rows == [(4, "/data/a.txt", 6)]
    assert trace.sql("select calls, bytes from paths where path = '/data/a.txt'").rows == [(4, 6)]
    assert trace.sql("select stream, text from output").rows == [("stdout", "hello\n")]
    assert trace.sql("select * from lines").columns[:3] == ["file", "line", "function"]
    assert trace.sql("select text from calls where call = 'fd_close'").rows == [("fd_close(fd=4</data/a.txt>) = 0",)]


def test_sql_agrees_with_numpy() -> None:
    trace = many(4000)
    rows = trace.sql("select call, median(dur) from calls where errno = '' group by call order by call").rows
    ok = trace.filter("ok")
    assert rows == [
        (name, float(np.median(ok["dur"][ok["name"] == name]))) for name in sorted(set(ok["name"].tolist()))
    ]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("select colour from calls", "colour"),
        ("select * from cals", "cals"),
        ("selct 1", "syntax error"),
    ],
)
def test_a_wrong_statement_names_it_and_shows_the_valid_ones(statement: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        copying().trace().sql(statement)
    assert says in str(caught.value)
    assert "calls, fds, paths, lines, output" in str(caught.value)
    assert "denied_by" in str(caught.value)


def test_a_result_shows_guest_text_safely() -> None:
    b = Builder()
    b.open(3, b"/\x1b[31m<script>", preopen="/")
    b.path_open(3, b"x", errno=44)
    result = b.trace().sql("select path from calls")
    assert "\x1b" not in str(result)
    assert "<script>" not in result._repr_html_()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = copying().trace()
    for name in ("pyarrow", "duckdb", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (
        trace.to_arrow, trace.to_pandas, lambda: trace.sql("select 1"), lambda: trace.save(tmp_path / "t.parquet")
    ):  # fmt: skip
        with pytest.raises(TraceError, match=r"^this needs \w+: install it with: pip install \w+"):
            use()
    assert not list(tmp_path.iterdir())


SQL_WRONG = {
    "select durr from calls": ('"durr"', '"dur"', "calls has seq, t_start, dur, call,"),
    "select fdd from fds": ('"fdd"', '"fd"', "fds has life, fd, generation, path,"),
    "select * from callz": ("unknown view 'callz'; did you mean 'calls'?", "the views are calls, fds, paths,"),
    "selec 1 from lines": ('"selec"', "lines has file, line, function,"),
    "select sum(call) from calls": ("sum(VARCHAR)", "calls has"),
    "select": ("the views are calls, fds, paths, lines, output",),
    "": ("only one SELECT statement can be run; this is nothing",),
    "select 1; select 2": ("only one SELECT statement can be run; this is 2 statements",),
    "drop table calls": ("a statement of the kind drop",),
    "select * from read_csv('pyproject.toml')": ("a statement can only query the trace",),
    "copy calls to 'out.csv'": ("a statement of the kind copy",),
    "attach 'new.db'": ("a statement of the kind attach",),
    "install httpfs": ("a statement of the kind load",),
    "set memory_limit = '1TB'": ("a statement of the kind set",),
    "pragma database_list": ("a statement of the kind pragma",),
    "create table x as select 1": ("a statement of the kind create",),
    "insert into calls select * from calls": ("a statement of the kind insert",),
}


@pytest.mark.parametrize("statement", SQL_WRONG)
def test_mistyped_sql_is_answered_with_the_right_one(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError) as caught:
        copying().trace().sql(statement)
    said = str(caught.value)
    assert all(part in said for part in SQL_WRONG[statement])
    assert said.isprintable()
    assert len(said) < 900
    assert not list(tmp_path.iterdir())


UNBOUNDED = {
    "select length(repeat('x', 4000000000))": "memory",
    "select list(range) from range(1000000000)": "memory",
    "select unnest(range(1000000000))": "memory",
    "select length(rpad('x', 2147483647, 'y'))": "seconds",
    "with recursive t(a) as (select 1 union all select a + 1 from t) select max(a) from t": "seconds",
    f"select {'(' * 100_000}1{')' * 100_000}": "depth limit",
    "select count(*) from range(1000000) a, range(1000000) b where a.range * b.range = 7": "seconds",
}


@pytest.mark.slow
@pytest.mark.parametrize("statement", UNBOUNDED, ids=range(len(UNBOUNDED)))
def test_no_statement_takes_the_process_its_memory_or_its_time(statement: str) -> None:
    # A slow machine may reach the limit of time first; whichever bound it is, the process goes on.
    with pytest.raises(QueryError, match=f"{UNBOUNDED[statement]}|more than 5 seconds|ended DuckDB"):
        copying().trace().sql(statement, seconds=5, memory=100 << 20)


def test_a_statement_is_bounded_in_time() -> None:
    counting = "with recursive t(a) as (select 1 union all select a + 1 from t) select max(a) from t"
    with pytest.raises(QueryError, match=r"the statement took more than 0\.5 seconds: query fewer calls"):
        copying().trace().sql(counting, seconds=0.5)


def test_a_long_cell_is_cut_where_it_is_printed_and_whole_in_the_result() -> None:
    result = copying().trace().sql("select repeat('x', 5000) a, range(100000) b, {'c': repeat('y', 5000)} d")
    assert (len(result.rows[0][0]), len(result.rows[0][1])) == (5000, 100_000)
    assert max(map(len, str(result).splitlines())) < 2500
    assert len(result._repr_html_()) < 4000


@pytest.mark.parametrize(
    "statement",
    ["from calls", "values (1)", "describe calls", "summarize calls", "show tables", "explain select 1",
     "pivot calls on call using count(*)", "with t as (select 1) select * from t"],
)  # fmt: skip
def test_every_kind_of_query_is_allowed(statement: str) -> None:
    assert len(copying().trace().sql(statement)) >= 1
