"""Two runs on one axis: what is drawn, what a widget is told, what a page holds."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wasilab.cli import main
from wasilab.runs.run_diff import RunDiff
from wasilab.trace.answers.diff import ChangeKind
from wasilab.views.comparison.compared import MOST_MARKS, MOST_TIES, Compared, compare
from wasilab.views.comparison.pair_html import PAIRS_SHOWN, comparison_bundle, comparison_page
from wasilab.views.interactive.pair_widget import PairWidget

from .bare import BarePage
from .conftest import Book, copied, many, run_of
from .lab import shot


def other_copy() -> Book:
    """A program that opens what `copied` is refused, much later, and does little else."""
    book = Book()
    book.call("args_sizes_get", 1, 2, dur=900)
    book.call("fd_prestat_get", 3, 100, fd=3, aux=bytes(8), gap=90_000)
    book.call("path_open", 3, 1, 200, 6, 0, 64, 0, 64, 0, 0, 300, fd=3, path=b"passwd", result=9, line=4)
    for _ in range(3):
        book.call("sched_yield")
    book.call("proc_exit", 0, errno=255, dur=100)
    return book


@pytest.fixture
def two(evil_run: Any) -> Compared:
    return compare(evil_run, replace(run_of(other_copy()), name="other"))


def test_every_call_of_both_has_its_row_and_its_place(two: Compared) -> None:
    difference = two.difference
    for side, name in ((0, "left"), (1, "right")):
        rows, places = two.rows[side], two.places[side]
        assert sorted(rows.tolist()) == np.flatnonzero(getattr(difference, name) >= 0).tolist()
        assert [int(places[row]) for row in rows.tolist()] == list(range(len(two.columns[side])))
    assert {two.words(row) for row in two.differing(100)} >= {f"only in {name}" for name in two.names}


def test_calls_that_end_in_another_order_than_they_began_keep_their_rows() -> None:
    book = Book()
    for start, dur in ((0, 9000), (100, 200), (400, 100)):
        book.now = start
        book.call("sched_yield", gap=0, dur=dur)
    first = run_of(book.trace())
    assert compare(first, first).columns[0].order is None
    mixed = Book()
    for start in (5000, 100, 400):  # recorded as they ended, by several threads
        mixed.now = start
        mixed.call("sched_yield" if start != 100 else "args_sizes_get", gap=0)
    both = compare(run_of(mixed.trace()), first)
    order = both.columns[0].order
    assert order is not None
    for row in range(len(both.difference.kinds)):
        at = int(both.difference.left[row])
        if at >= 0:
            assert int(order[int(both.places[0][row])]) == at


def test_on_the_axis_of_calls_the_same_calls_stand_above_each_other(two: Compared) -> None:
    for lane in two.lanes("calls"):
        for left, right, _ in lane.ties:
            assert left == right
    by_time = {lane.name: lane for lane in two.lanes("time")}
    assert "guest" in by_time
    assert "guest" not in {lane.name for lane in two.lanes("calls")}
    marked = {mark.kind for lane in by_time.values() for mark in lane.marks}
    assert marked == {ChangeKind.REMOVED, ChangeKind.ADDED, ChangeKind.CHANGED}
    assert all((mark.kind is ChangeKind.ADDED) <= mark.second for lane in by_time.values() for mark in lane.marks)


def test_many_calls_are_drawn_with_bounds() -> None:
    both = compare(run_of(many(20_000)), run_of(many(20_000, seed=2)))
    for axis in ("time", "calls"):
        for lane in both.lanes(axis):
            assert max(len(each) for each in lane.bars) <= 1000
            assert len(lane.marks) <= 2 * (MOST_MARKS + 1)
            assert len(lane.ties) <= MOST_TIES + 1
    page = comparison_page(both)
    assert page.count("<li id=") == PAIRS_SHOWN
    assert len(page) < 1_000_000


def test_a_page_needs_nothing_and_its_marks_lead_to_the_pairs(two: Compared) -> None:
    page = comparison_page(two)
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    links, pairs = set(re.findall(r'href="#(pair-\d+)"', page)), re.findall(r'<li id="(pair-\d+)"', page)
    assert links
    assert links <= set(pairs)
    assert len(pairs) == len(set(pairs)) == len(two.difference)
    assert not re.search(r"(?:src|href)=.(?!#)", page)


def test_the_same_run_twice_says_so(copy_run: Any) -> None:
    page = comparison_page(compare(copy_run, copy_run))
    assert "the same 34 calls" in page
    assert "No difference." in page
    assert "pair-0" not in page


def test_runs_without_calls_have_a_page(empty_run: Any, copy_run: Any) -> None:
    for pair in ((empty_run, copy_run), (copy_run, empty_run), (empty_run, empty_run)):
        assert "Differences" in comparison_page(compare(*pair))
        PairWidget(compare(*pair)).close()


def test_the_widget_answers_and_says_what_is_wrong(two: Compared) -> None:
    widget, sent = PairWidget(two), list[Any]()
    widget.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]

    def ask(ask: str, **more: Any) -> Any:
        widget._answer(None, {"id": "1", "ask": ask, **more}, [])
        return sent.pop()

    content, buffers = ask("calls", side=1, first=0)
    assert content["count"] == len(two.columns[1])
    assert np.frombuffer(buffers[7], "<u4").tolist() == two.rows[1].tolist()
    assert np.frombuffer(buffers[8], "u1").tolist() == two.difference.kinds[two.rows[1]].tolist()
    first = two.differing(1)[0]
    assert ask("next", row=-1, by=1)[0]["row"] == first
    assert ask("next", row=first, by=-1)[0]["row"] == -1
    assert ask("pair", row=first)[0]["pair"]["words"] == two.words(first)
    for wrong in ({"ask": "pair", "row": 10**9}, {"ask": "pair", "row": -1}, {"ask": "nonsense"}, {"ask": "pair"}):
        assert ask(**wrong)[0]["error"]
    state = json.dumps(widget.get_state(), default=lambda data: data.hex())
    assert "\u001b" not in state
    widget.close()


@pytest.mark.parametrize("calls", [4_900, 30_000])
def test_what_a_notebook_saves_is_small(calls: int) -> None:
    widget = PairWidget(compare(run_of(many(calls)), run_of(many(calls, seed=2))))
    state = {key: value for key, value in widget.get_state().items() if key.startswith("_")}
    saved = json.dumps(state, default=lambda data: base64.b64encode(data).decode())
    size = len(saved) + len(json.dumps(comparison_bundle(widget.compared)))
    assert size < 1_000_000
    widget.close()


def test_where_no_widget_works_the_difference_is_a_page(copy_run: Any) -> None:
    found = RunDiff.from_runs(copy_run, run_of(other_copy()))
    with pytest.raises(NotImplementedError):
        found._ipython_display_()
    bundle = found._repr_mimebundle_()
    assert bundle == comparison_bundle(found.on_one_axis)
    assert bundle["text/plain"] == found.text()
    assert "srcdoc" in bundle["text/html"]


def test_a_run_is_compared_with_a_run_or_a_trace() -> None:
    import wasilab

    wat = """(module (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
      (memory (export "memory") 1) (func (export "_start") (drop (call $r (i32.const 0) (i32.const 4)))))"""
    module = wasilab.compile(wat, "wat", name="dice")
    first, second = wasilab.run(module, name="one"), wasilab.run(module, name="two")
    found = first.diff(second, ignore=["data"])
    assert found.same
    assert found.on_one_axis.names == ("one", "two")
    assert found.on_one_axis.first is first
    assert first.diff(second.trace).on_one_axis.second.name == ""


def test_a_difference_is_shown_with_the_runs_names(monkeypatch: pytest.MonkeyPatch, copy_run: Any) -> None:
    from wasilab.magics.cells import deferred

    shown: list[Compared] = []
    monkeypatch.setattr(deferred.views.display, "show_comparison", shown.append)
    other = replace(run_of(other_copy()), name="other")
    for difference in (RunDiff.from_runs(copy_run, other), copy_run.trace.diff(other.trace)):
        deferred.show_difference(difference)
    assert [compared.names for compared in shown] == [("copy.c", "other"), ("first", "second")]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    copied().trace().save("a.wtrace")
    other_copy().trace().save("b.wtrace")
    return tmp_path


def test_the_command_writes_a_page(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.wtrace", "b.wtrace", "-o", "page.html"]) == 1
    assert "page.html: 34 against" in capsys.readouterr().err
    assert "a.wtrace and b.wtrace: two runs" in (saved / "page.html").read_text()
    assert main(["diff", "a.wtrace", "a.wtrace", "-o", "page.html"]) == 0


@pytest.mark.parametrize(
    ("name", "words"), [("page.txt", "ends in .html"), ("no/page.html", "there is no folder"), ("", "ends in .html")]
)
def test_a_page_that_cannot_be_written_is_one_sentence(
    saved: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "a.wtrace", "b.wtrace", "-o", name]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def pair_page(page_of: Callable[..., BarePage]) -> Callable[..., BarePage]:
    return lambda compared, **options: page_of(PairWidget(compared), **options)


@pytest.mark.browser
@pytest.mark.slow
def test_a_click_or_a_key_leads_to_the_pair_of_calls(pair_page: Any, two: Compared) -> None:
    page = pair_page(two, width=420, dark=True)
    line, keys = page.line, page.page.keyboard
    rows = two.differing(1000)
    line.canvas.focus()
    keys.press("ArrowRight")
    line.until(f"view.row === {rows[0]}")
    keys.press("ArrowRight")
    line.until(f"view.row === {rows[1]}")
    cards = line.host.locator(".pair-cards")
    assert two.words(rows[1]) in cards.inner_text()
    assert cards.locator(".pair-card").count() == 2
    shot(page.page, "pair-narrow")
    keys.press("Escape")
    assert cards.is_hidden()

    line.host.locator("select[aria-label='Axis']").select_option("calls")
    assert line.js("view.painter.axis") == "calls"
    changed = next(row for row in rows if two.kind(row) is ChangeKind.CHANGED)
    x, y = line.js("""(() => {
      const [side] = view.sides, at = side.callOf(arg), { painter, navigator } = view;
      const top = painter.top(navigator.view, painter.lods[0].rowLane[at], 0);
      return [painter.x(navigator.view, side.store.start[at] + 40), top + 9];
    })()""", changed)  # fmt: skip
    box = line.canvas.bounding_box()
    page.page.mouse.click(box["x"] + x, box["y"] + y)
    line.until(f"view.row === {changed}")
    assert line.host.locator(".diff-row[aria-selected=true]").count() == 1
    assert line.host.locator("script").count() == 0

    line.host.locator(".diff-list").focus()
    keys.press("End")
    line.until(f"view.row === {rows[-1]}")
    shot(page.page, "pair-last")
    overflow = "view.root.scrollWidth <= view.root.clientWidth"
    assert line.js(overflow)


@pytest.mark.browser
@pytest.mark.slow
def test_two_large_runs_come_from_the_kernel_and_move_quickly(pair_page: Any) -> None:
    both = compare(run_of(many(60_000)), run_of(many(60_000, seed=2)))
    page = pair_page(both)
    page.line.until("view.sides.every((side) => side.length === 60000)")
    page.line.js("view.choose(view.list.rows[5][0])")
    page.line.until("!view.cards.hidden")
    shot(page.page, "pair-large")
