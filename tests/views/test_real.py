"""Views of real runs: the pictures and the report show what the engine recorded."""

from __future__ import annotations

from typing import Any

import pytest

import wasilab
from wasilab.views.interactive.feed import Feed
from wasilab.views.report.verdict import verdict
from wasilab.views.timeline.columns import Columns

WAT = """(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\10\\00\\00\\00\\03\\00\\00\\00hi\\n")
  (func (export "_start")
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 64)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 96)))
    END))"""


def run_of(end: str, **options: Any) -> Any:
    return wasilab.run(wasilab.compile(WAT.replace("END", end), "wat", name="small"), **options)


def test_the_traces_time_counts_from_where_the_guest_is_entered() -> None:
    run = run_of("")
    columns = Columns.of(run)
    assert int(columns.end[-1]) <= run.outcome.seconds * 1e9 + 1_000_000


def test_a_trap_is_reported_with_what_came_before() -> None:
    run = run_of("(unreachable)")
    assert verdict(run).startswith("Trapped: ")
    assert "after 2 WASI calls" in verdict(run)
    assert Feed(run).meta()["ending"] == "trap"
    assert "hi" in repr(run)


def test_an_exit_status_is_reported() -> None:
    assert verdict(run_of("(call $exit (i32.const 3))")).startswith("Ended with exit status 3, after 3 WASI calls")


def test_a_run_without_a_trace_still_has_a_report() -> None:
    run = run_of("", trace=False)
    assert "its calls were not recorded" in repr(run)
    assert "its calls were not recorded" in run._repr_mimebundle_()["text/html"]


def test_output_reaches_the_timeline() -> None:
    assert [(stream, text) for _, _, stream, text in Feed(run_of("")).outputs()] == [("stdout", "hi")]


@pytest.mark.parametrize("kind", ["timeline", "counts", "time", "fds", "paths"])
def test_a_run_plots_itself(kind: str) -> None:
    assert run_of("").plot(kind).axes


def test_a_run_writes_its_page(tmp_path: Any) -> None:
    path = tmp_path / "run.html"
    run_of("").to_html(path)
    assert "small" in path.read_text(encoding="utf-8")
