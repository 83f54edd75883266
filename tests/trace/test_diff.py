"""Comparing two runs, and the alignment underneath."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.trace.answers import align as aligning
from wasilab.trace.answers.align import align
from wasilab.trace.answers.diff import ChangeKind

from .building import Builder, copying, many


def longest(a: list[int], b: list[int]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b):
            above = row[j + 1]
            row[j + 1] = before + 1 if x == y else max(above, row[j])
            before = above
    return row[-1]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=40), st.lists(st.integers(0, 5), max_size=40), st.sampled_from([1, 4, 512]),
    st.sampled_from([3, 2048]),
)  # fmt: skip
def test_the_alignment_is_a_longest_common_subsequence(a: list[int], b: list[int], band: int, rows: int) -> None:
    kept = aligning._BAND, aligning._ROWS
    aligning._BAND, aligning._ROWS = band, rows
    try:
        i, j = align(np.array(a, "<i8"), np.array(b, "<i8"))
    finally:
        aligning._BAND, aligning._ROWS = kept
    assert [a[k] for k in i] == [b[k] for k in j]
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    assert len(i) == longest(a, b)


def check(a: np.ndarray, b: np.ndarray, at_least: float) -> None:
    i, j = align(a, b)
    assert (a[i] == b[j]).all()
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    assert len(i) >= at_least


def test_a_band_that_is_too_wide_is_not_widened_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligning, "CELLS", 1 << 10)
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 10, 5000), rng.integers(0, 10, 4000)
    check(a, b, 0.5 * len(b))
    check(b, a, 0.5 * len(b))


@pytest.mark.parametrize("limit", ["ANCHORED", "SLACK"])
def test_long_sequences_are_cut_where_both_agree(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligning, limit, 1 << 8)
    monkeypatch.setattr(aligning, "_PIECE", 64)
    rng = np.random.default_rng(1)
    a = rng.integers(0, 50, 6000)
    check(a, np.delete(a, rng.integers(0, 6000, 60)), 0.985 * len(a))
    moved = np.concatenate((a[:2000], rng.integers(50, 99, 700), a[2500:]))
    check(a, moved, 5490)
    check(moved, a, 5490)
    check(a, a[: 3000 if limit == "ANCHORED" else 5600], 3000)


def test_unlike_sequences_are_aligned_exactly_below_the_limit() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 10, 3000), rng.integers(0, 10, 2000)
    i, _ = align(a, b)
    assert len(i) == longest(a.tolist(), b.tolist())


def test_a_period_with_a_piece_taken_out_matches_all_that_is_left() -> None:
    a = np.tile(np.arange(100), 300)
    b = np.delete(a, np.r_[500:900, 12_345:12_350, 20_000:20_001])
    assert len(align(a, b)[0]) == len(b)
    assert len(align(b, a)[0]) == len(b)


def test_a_run_equals_itself() -> None:
    diff = many(2000).diff(many(2000))
    assert diff.same
    assert len(diff) == 0
    assert str(diff) == "the same 2,000 calls with the same outcomes"


def test_times_and_addresses_do_not_make_a_difference() -> None:
    a, b = Builder(), Builder()
    a.call("random_get", 16, 4, data=b"abcd", dur=10)
    b.call("random_get", 999, 4, data=b"wxyz", dur=99_999)
    assert a.trace().diff(b.trace()).same


def test_the_same_program_with_one_grant_removed() -> None:
    diff = copying().trace().diff(copying(granted=False).trace())
    (change,) = diff.changed
    assert (change.call, change.path, change.verdict, change.errno) == (
        "path_open", "/data/a.txt", (False, True), ("", "ENOTCAPABLE"),
    )  # fmt: skip
    assert str(change) == "now refused, success -> ENOTCAPABLE"
    assert diff.removed["name"].tolist() == ["fd_read", "fd_write", "fd_read", "fd_close"]
    assert diff.added["full_path"].tolist() == ["<stderr>"]
    assert not diff.same
    assert "1 more refused" in str(diff)


def test_the_two_columns_stand_side_by_side() -> None:
    text = copying().trace().diff(copying(granted=False).trace()).text(width=120)
    lines = text.splitlines()
    assert lines[0] == "6 against 3 calls: 1 added, 4 removed, 1 changed, 1 the same; 1 more refused"
    marks = [line[58 + 1] if len(line) > 59 else "" for line in lines[2:]]
    assert marks == ["|", "<", "<", "<", "<", ">", ""] or marks == ["|", "<", "<", "<", "<", ">", " "]
    assert all(len(line) <= 120 for line in lines)


def test_a_loop_that_ran_more_often_is_one_line() -> None:
    a, b = Builder(), Builder()
    for _ in range(40):
        a.call("sched_yield")
    b.call("sched_yield")
    lines = str(a.trace().diff(b.trace())).splitlines()
    assert len(lines) < 8
    assert any("... 38 more like it" in line for line in lines)
    assert not any("more differences" in line for line in lines)


def test_bytes_and_errno_that_differ_are_changes() -> None:
    a, b = Builder(), Builder()
    a.write_text(1, b"hello")
    b.write_text(1, b"hello!")
    a.open(3, "/d", preopen="/d")
    b.open(3, "/d", preopen="/d")
    a.path_open(3, b"x", errno=44)
    b.path_open(3, b"x", errno=2)
    changed = a.trace().diff(b.trace()).changed
    assert [(c.bytes, c.errno) for c in changed] == [((5, 6), None), (None, ("ENOENT", "EACCES"))]


def test_the_same_file_under_another_number_is_the_same_call() -> None:
    a, b = Builder(), Builder()
    a.open(4, "/data/x")
    b.open(9, "/data/x")
    a.read_text(4, b"abc")
    b.read_text(9, b"abc")
    assert a.trace().diff(b.trace()).same


def test_latency_is_compared_by_name() -> None:
    a, b = Builder(), Builder()
    for _ in range(20):
        a.call("sched_yield", dur=100)
        b.call("sched_yield", dur=900)
    diff = a.trace().diff(b.trace())
    assert diff.same
    assert diff.latency[0].ratio == 9
    assert "sched_yield: median time 100 ns -> 900 ns (20 calls)" in str(diff)


def test_rows_cover_both_traces_in_order() -> None:
    a, b = many(3000), many(3000, seed=2)
    diff = a.diff(b)
    assert diff.left[diff.left >= 0].tolist() == list(range(3000))
    assert diff.right[diff.right >= 0].tolist() == list(range(3000))
    lone = (diff.left < 0) | (diff.right < 0)
    assert ((diff.kinds >= ChangeKind.REMOVED) == lone).all()


def test_a_long_diff_is_shown_in_part_and_says_so() -> None:
    text = str(many(3000).diff(many(3000, seed=2)))
    assert len(text.splitlines()) < 1200
    assert "more differences" in text


def test_hostile_paths_are_escaped_in_both_columns() -> None:
    a, b = Builder(), Builder()
    for x in (a, b):
        x.open(3, "/d", preopen="/d")
    a.path_open(3, b"<img src=x>\x1b", errno=44)
    b.path_open(3, b"\xe2\x80\xae<script>", errno=44)
    diff = a.trace().diff(b.trace())
    assert all(line.isprintable() for line in str(diff).splitlines())
    assert "<img" not in diff._repr_html_()
    assert "<script" not in diff._repr_html_()
