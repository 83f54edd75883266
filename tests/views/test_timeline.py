"""The static timeline: what is drawn is what happened, for any number of calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.engine.outcome import Outcome
from wasilab.trace.record.layout import DID_NOT_RETURN
from wasilab.views.plots.themed import png
from wasilab.views.subject import as_subject
from wasilab.views.timeline.columns import Columns, busy, counted_in_bins, merged
from wasilab.views.timeline.figure import figure
from wasilab.views.timeline.png import picture
from wasilab.views.timeline.scene import lanes, scene
from wasilab.views.timeline.svg import strip_html

from .conftest import copied, run_of


def by_name(run: Any, bins: int = 1200) -> dict[str, Any]:
    return {lane.name: lane for lane in lanes(Columns.of(run), bins)}


def test_a_lane_for_the_guest_and_for_each_family_that_made_a_call(copy_run: Any) -> None:
    drawn = lanes(Columns.of(copy_run))
    assert [lane.name for lane in drawn] == ["guest", "args", "clock", "random", "path", "fd", "proc"]
    assert sum(lane.calls for lane in drawn) == len(copy_run.trace)


def test_bars_are_the_calls_themselves_while_they_are_few(copy_run: Any) -> None:
    trace = copy_run.trace.filter("call=path")
    bars = by_name(copy_run)["path"].bars
    assert bars[:, 0].tolist() == trace["t_start"].tolist()
    assert (bars[:, 1] >= trace["t_end"]).all()
    assert (bars[:, 2] == 1).all()


def test_guest_time_is_what_lies_between_the_calls(copy_run: Any) -> None:
    columns = Columns.of(copy_run)
    starts, ends = columns.gaps()
    assert int((ends - starts).sum()) + columns.host_ns == columns.span
    assert by_name(copy_run)["guest"].busy_ns == int((ends - starts).sum())


def test_after_a_call_that_did_not_return_there_is_no_time_of_the_guest() -> None:
    book = copied()
    run = run_of(book, outcome=Outcome("exit", 0, seconds=book.now / 1e9 * 2))
    columns = Columns.of(run)
    assert columns.span == pytest.approx(book.now * 2, rel=1e-6)
    _, ends = columns.gaps()
    assert ends.max() == run.trace["t_start"][-1]
    assert by_name(run)["guest"].bars[:, 1].max() < book.now


def test_refusals_other_errnos_and_injected_calls_have_glyphs_of_their_own(copy_run: Any) -> None:
    drawn = by_name(copy_run)
    refused = copy_run.trace.filter("refused")["t_start"].tolist()
    assert drawn["path"].marks["refused"].tolist() == refused
    assert len(drawn["path"].marks["failed"]) == 1
    assert len(drawn["random"].marks["injected"]) == 1
    assert len(drawn["fd"].marks["refused"]) == 0


def test_many_calls_become_a_bounded_number_of_bars_that_keep_the_time(many_run: Any) -> None:
    run = many_run(50_000)
    columns = Columns.of(run)
    for lane in lanes(columns, 400):
        assert len(lane.bars) <= 400
    host = by_name(run, 400)["fd"]
    assert host.busy_ns == int(columns.dur[columns.families["fd"]].sum())


def test_a_call_that_took_no_time_is_visible(copy_run: Any) -> None:
    columns = Columns.of(copy_run)
    for lane in lanes(columns):
        assert ((lane.bars[:, 1] - lane.bars[:, 0]) >= columns.span / 1200 * 0.999).all()


@pytest.mark.parametrize("calls", [0, 1, 7, 30_000])
def test_any_number_of_calls_makes_a_picture(many_run: Any, calls: int) -> None:
    picture = png(figure(many_run(calls)))
    assert picture.startswith(b"\x89PNG")
    assert 3_000 < len(picture) < 200_000


def test_the_end_of_a_trap_is_marked(copy_run: Any) -> None:
    run = replace(copy_run, outcome=Outcome("trap", 134, "unreachable", seconds=0.001))
    words = [text.get_text() for text in figure(run).axes[0].texts]
    assert "trap" in words


def test_a_run_without_calls_says_so(empty_run: Any) -> None:
    assert "no WASI call was made" in [text.get_text() for text in figure(empty_run).axes[0].texts]


def test_the_title_is_text_and_never_mathematics(copy_run: Any) -> None:
    run = replace(copy_run, name="a$x^{2}$\x1b \U0001f980")
    title = figure(run).axes[0].get_title(loc="left")
    assert title.startswith(r"a\$x^{2}\$\x1b \u1f980: ")
    assert png(figure(run)).startswith(b"\x89PNG")


intervals = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 200)), max_size=40)


@given(intervals, st.integers(1, 30))
def test_busy_is_the_covered_part_of_each_bin(spans: list[tuple[int, int]], bins: int) -> None:
    spans.sort()
    start = np.array([s for s, _ in spans], np.int64)
    end = start + np.array([d for _, d in spans], np.int64)
    edges = np.linspace(0, 1300, bins + 1)
    fine = np.zeros(13_000)
    for a, b in zip(start, end, strict=True):
        fine[a * 10 : b * 10] = 1
    at = (np.arange(13_000) + 0.5) / 10
    expected = np.histogram(at, edges, weights=fine)[0] / 10
    assert np.allclose(busy(start, end, edges), expected, atol=0.11)


@given(intervals, st.integers(1, 30), st.booleans())
def test_the_guests_time_in_each_bin_is_that_of_the_gaps(
    spans: list[tuple[int, int]], bins: int, returns: bool
) -> None:
    spans.sort()
    start = np.array([s for s, _ in spans], np.int64)
    dur = np.array([d for _, d in spans], np.int64)
    errno = np.full(len(spans), 0 if returns else DID_NOT_RETURN, np.uint8)
    none = np.zeros(len(spans), np.uint8)
    columns = Columns(start, dur, none, errno, none, none.astype(np.uint16), none, none, ended=1250)  # type: ignore[arg-type]
    edges = np.linspace(0, 1300, bins + 1)
    starts, ends = columns.gaps()
    assert np.allclose(columns.guest_busy(edges), busy(starts, ends, edges), atol=1e-6)
    assert columns.guest_ns == int((ends - starts).sum())


@given(st.lists(st.integers(0, 999), max_size=60), st.integers(1, 40))
def test_starts_are_counted_in_the_bin_that_holds_them(times: list[int], bins: int) -> None:
    times.sort()
    expected = [sum(1 for time in times if time * bins // 1000 == part) for part in range(bins)]
    assert counted_in_bins(np.array(times, np.int64), 1000, bins).tolist() == expected


@pytest.mark.parametrize("calls", [0, 1, 7, 30_000])
def test_the_slowest_calls_are_found(many_run: Any, calls: int) -> None:
    columns = Columns.of(many_run(calls))
    rows = columns.slowest(20)
    assert len(set(rows)) == min(20, calls)
    assert sorted(columns.dur[rows].tolist()) == sorted(columns.dur.tolist())[-20:]


@given(intervals)
def test_merged_intervals_are_disjoint_and_cover_the_same(spans: list[tuple[int, int]]) -> None:
    spans.sort()
    start = np.array([s for s, _ in spans], np.int64)
    end = start + np.array([d for _, d in spans], np.int64)
    left, right = merged(start, end)
    assert (left[1:] > right[:-1]).all()
    covered = {t for a, b in zip(left, right, strict=True) for t in range(a, b)}
    assert covered == {t for a, b in zip(start, end, strict=True) for t in range(a, b)}


@pytest.mark.slow
def test_ten_million_calls_make_a_picture_and_a_small_saved_form(new_book: Any) -> None:
    from wasilab.trace.columns.records import records_of
    from wasilab.trace.record.recorder import CHUNK_RECORDS, Chunk
    from wasilab.views.interactive.feed import Feed

    book = new_book()
    for i in range(CHUNK_RECORDS):
        book.call("fd_read" if i % 3 else "path_open", 3, fd=3, errno=76 * (i % 997 == 0), by=int(i % 997 == 0))
    recorder = book.recorder
    model = records_of(recorder.chunks[0])
    recorder.chunks.clear()
    for i in range(10_000_000 // CHUNK_RECORDS + 1):
        chunk = Chunk(i * CHUNK_RECORDS)
        moved = model.copy()
        moved["t_start"] += i * book.now
        chunk.buf[:] = moved.tobytes()
        chunk.n = CHUNK_RECORDS
        recorder.chunks.append(chunk)
    recorder.chunk = recorder.chunks[-1]
    trace = book.trace()
    assert len(trace) > 10_000_000
    run = as_subject(trace)
    feed = Feed(run)
    assert feed.meta()["window"] == 1_000_000
    assert len(feed.snapshot()) < 200_000
    assert sum(lane.calls for lane in lanes(Columns.of(run))) == len(trace)
    assert png(figure(trace)).startswith(b"\x89PNG")


def test_notes_and_the_end_stand_in_every_back_end(new_book: Any) -> None:
    book = new_book()
    for _ in range(4):
        book.call("clock_time_get", 0, 1, 0, 0)
    run = run_of(book, outcome=Outcome("trap", 134, "unreachable", seconds=book.now / 1e9))
    plain = len(picture(scene(run)))
    run.trace.note(2, "look <here>")
    drawn = scene(run)
    assert [(text.words, text.x) for text in drawn.words("note")] == [("look <here>", run.trace["t_start"][2])]
    assert [line.role for line in drawn.lines if line.role != "tick"] == ["note", "ending"]
    words = [text.get_text() for text in figure(run).axes[0].texts]
    assert {"look <here>", "trap"} <= set(words)
    page = strip_html(drawn, "")
    assert 'title="look &lt;here&gt;"' in page
    assert "trap" in page
    assert len(picture(scene(run))) > plain, "the words are in the bitmap"
