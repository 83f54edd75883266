"""What a cell shows of a guest's output: whole characters, and no more than a page can bear."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.magics.cells.cell_output import CellStream, Progress
from wasilab.magics.cells.failures import LINES_SHOWN, CompileFailed


def shown(*pieces: bytes, lines: int = 10, characters: int = 10_000) -> str:
    page = io.StringIO()
    stream = CellStream("stdout", page, lines, characters)
    for piece in pieces:
        stream(piece)
    stream.close()
    return page.getvalue()


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_the_cuts_between_writes_do_not_change_what_is_shown(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert shown(*pieces, lines=100) == data.decode("utf-8", "replace")


def test_a_flood_is_cut_with_a_count_and_its_last_lines() -> None:
    page = shown(*(f"line {n}\n".encode() for n in range(1_000)))
    rows = page.split("\n")
    assert rows[:10] == [f"line {n}" for n in range(10)]
    assert rows[10] == "[... 985 more lines not shown; all of it is in run.stdout]"
    assert rows[11:16] == [f"line {n}" for n in range(995, 1_000)]


def test_a_flood_in_one_write_is_cut_the_same_way() -> None:
    data = b"".join(f"line {n}\n".encode() for n in range(1_000))
    assert shown(data) == shown(*data.splitlines(keepends=True))


def test_a_line_without_end_is_cut_too() -> None:
    page = shown(*[b"x" * 1_000] * 100, characters=5_000)
    assert len(page) < 7_000
    assert "in run.stdout" in page


def test_a_million_lines_cost_little() -> None:
    page = io.StringIO()
    stream = CellStream("stdout", page)
    block = b"y\n" * 10_000
    for _ in range(100):
        stream(block)
    stream.close()
    assert len(page.getvalue()) < 10_000
    assert "997,995 more lines" in page.getvalue()


def test_progress_is_silent_for_quick_work(capsys: pytest.CaptureFixture[str]) -> None:
    with_ticks = Progress("compiling")
    for _ in range(5):
        with_ticks.tick()
    with_ticks.close()
    assert capsys.readouterr().err == ""


def test_progress_shows_elapsed_time_and_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    line = Progress("compiling cell.c", after=0.0)
    line.tick("building the C library")
    line.close()
    written = capsys.readouterr().err
    assert "building the C library ... 0 s" in written
    assert written.endswith("\r\x1b[K")


def test_a_compiler_error_has_no_traceback_of_ours_and_no_live_escape() -> None:
    failure = CompileFailed("cell.c:3:5: error: bad \x1b]8;;http://x\x07name\n    x = 1;\n    ^")
    rows = failure._render_traceback_()
    assert len(rows) == 3
    assert "\x1b]" not in rows[0]
    assert "error:" in rows[0]
    assert "cell.c:3:5" in rows[0]


def test_a_thousand_lines_of_a_compiler_are_cut_and_the_hints_stay() -> None:
    text = "\n".join(f"cell.cpp:2:{n}: note: candidate {n}" for n in range(1000))
    failure = CompileFailed(text, [(7, 2)], ["do this"])
    rows = failure._render_traceback_()
    assert len(rows) == LINES_SHOWN + 3
    assert "880 more lines" in rows[-3]
    assert rows[-2].endswith("do this")
    assert "Cell In[7], line 2" in rows[-1]
    assert "candidate 999" in str(failure)
