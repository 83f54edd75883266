"""Extreme runs: each view shows something sensible for each.

Ten million calls are in `test_timeline.py`; a call of 0 ns under the JavaScript's level of detail is in `test_js.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from wasilab.engine.outcome import Outcome
from wasilab.views.interactive.feed import Feed
from wasilab.views.plots.plots import KINDS, plot, plots
from wasilab.views.plots.themed import png
from wasilab.views.report import report
from wasilab.views.timeline.columns import Columns
from wasilab.views.timeline.figure import figure
from wasilab.views.timeline.scene import lanes

from .conftest import Book, run_of

TRAP = Outcome("trap", 134, "unreachable", seconds=0.0)


def empty() -> Any:
    return run_of(Book())


def one_call() -> Any:
    book = Book()
    book.call("clock_time_get", 0, 1)
    return run_of(book)


def trapped_at_once() -> Any:
    return run_of(Book(), outcome=TRAP)


def no_time() -> Any:
    book = Book()
    book.call("clock_time_get", 0, 1, gap=0, dur=0)
    book.call("path_open", 3, 1, 200, 6, fd=3, path=b"passwd", errno=76, by=1, gap=0, dur=0, reason="not granted")
    return run_of(book)


def long_path() -> Any:
    book = Book()
    book.call("path_open", 3, 1, 200, 4096, fd=3, path=b"p" * 4096, errno=76, by=1, reason="not granted")
    book.open(4, b"/data/" + b"q" * 4090)
    book.call("fd_read", 4, 64, 1, 80, fd=4, result=3, data=b"abc", path=b"q" * 4096)
    return run_of(book)


RUNS = pytest.mark.parametrize("make", [empty, one_call, trapped_at_once, no_time, long_path])


@RUNS
def test_the_report_is_short_and_says_how_it_ended(make: Any) -> None:
    run = make()
    text = report.text(run)
    assert ("Trapped" if run.outcome.exit_code else "Ended well") in text
    assert max(map(len, text.splitlines())) <= report.TEXT_WIDTH
    assert len(text) < 6_000
    for form in (report.html(run), report.page(run)):
        assert 3_000 < len(form) < 250_000


@RUNS
@pytest.mark.parametrize("kind", KINDS)
def test_every_plot_has_its_title_and_no_axis_without_width(make: Any, kind: str) -> None:
    run = make()
    axes = plot(run, kind, **({"other": run} if kind == "compare" else {})).axes[0]
    assert axes.get_title(loc="left")
    assert axes.get_xlim()[0] != axes.get_xlim()[1]
    assert all(len(text.get_text()) <= 180 for text in axes.get_yticklabels())


@RUNS
def test_the_overview_is_drawn(make: Any) -> None:
    assert len(png(plots(make()))) > 10_000


@RUNS
def test_the_timeline_draws_every_call_and_saves_little(make: Any) -> None:
    run = make()
    columns, feed = Columns.of(run), Feed(run)
    drawn = lanes(columns)
    assert sum(lane.calls for lane in drawn) == len(run.trace)
    assert all((lane.bars[:, 1] > lane.bars[:, 0]).all() for lane in drawn)
    assert png(figure(run)).startswith(b"\x89PNG")
    assert feed.meta()["span"] >= 1
    saved = len(json.dumps(feed.meta())) + len(feed.snapshot()) + len(json.dumps(feed.saved_details()))
    assert saved < 100_000


def test_a_trap_at_once_is_marked_though_it_made_no_call() -> None:
    run = trapped_at_once()
    assert Feed(run).meta()["ending"] == "trap"
    words = [text.get_text() for text in figure(run).axes[0].texts]
    assert {"trap", "no WASI call was made"} <= set(words)
