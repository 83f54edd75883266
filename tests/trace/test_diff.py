"""Comparing two runs, and the alignment underneath."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.trace.answers import align as aligning
from wasilab.trace.answers.align import align
from wasilab.trace.answers.diff import ChangeKind
from wasilab.wasi import types as t

from .building import Builder, copying, many


def longest(a: list[int], b: list[int]) -> int:
    """The length of a longest common subsequence, a row of the table at a time: a bit is 0 where the row steps up."""
    places: dict[int, int] = {}
    for j, y in enumerate(b):
        places[y] = places.get(y, 0) | 1 << j
    row = (1 << len(b)) - 1
    for x in a:
        found = row & places.get(x, 0)
        row = (row + found | row - found) & (1 << len(b)) - 1
    return len(b) - row.bit_count()


def test_the_longest_common_subsequence_is_that_of_the_definition() -> None:
    def by_definition(a: list[int], b: list[int]) -> int:
        if not a or not b:
            return 0
        if a[0] == b[0]:
            return 1 + by_definition(a[1:], b[1:])
        return max(by_definition(a[1:], b), by_definition(a, b[1:]))

    rng = np.random.default_rng(3)
    for _ in range(50):
        a, b = (rng.integers(0, 3, rng.integers(0, 8)).tolist() for _ in range(2))
        assert longest(a, b) == by_definition(a, b)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=40), st.lists(st.integers(0, 5), max_size=40), st.sampled_from([1, 4, 512]),
    st.sampled_from([3, 2048]),
)  # fmt: skip
def test_the_alignment_is_a_longest_common_subsequence(a: list[int], b: list[int], band: int, rows: int) -> None:
    kept = aligning.BAND, aligning.ROWS
    aligning.BAND, aligning.ROWS = band, rows
    try:
        i, j = align(np.array(a, "<i8"), np.array(b, "<i8"))
    finally:
        aligning.BAND, aligning.ROWS = kept
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
    assert str(diff).splitlines() == [
        "the same 2,000 calls with the same outcomes, arguments, data and results",
        "compared: path, outcome, bytes moved, arguments, data and results; not compared: times, addresses, descriptor "
        "and inode numbers",
    ]


def test_times_and_addresses_do_not_make_a_difference() -> None:
    a, b = Builder(), Builder()
    a.call("random_get", 16, 4, data=b"abcd", dur=10)
    b.call("random_get", 999, 4, data=b"abcd", dur=99_999)
    assert a.trace().diff(b.trace()).same


def test_the_same_program_with_one_grant_removed() -> None:
    diff = copying().trace().diff(copying(granted=False).trace())
    change, ending = diff.changed
    assert (change.call, change.path, change.verdict, change.errno) == (
        "path_open", "/data/a.txt", (False, True), ("", "ENOTCAPABLE"),
    )  # fmt: skip
    assert str(change) == "now refused, success -> ENOTCAPABLE"
    assert (ending.call, ending.contents, str(ending)) == ("proc_exit", ("arguments",), "other arguments")
    assert diff.removed["name"].tolist() == ["fd_read", "fd_write", "fd_read", "fd_close"]
    assert diff.added["full_path"].tolist() == ["<stderr>"]
    assert not diff.same
    assert "1 more refused" in str(diff)


def test_the_two_columns_stand_side_by_side() -> None:
    text = copying().trace().diff(copying(granted=False).trace()).text(width=120)
    lines = text.splitlines()
    assert lines[0] == (
        "6 against 3 calls: 1 added, 4 removed, 2 changed (1 in outcome, 1 in arguments), 0 the same; 1 more refused"
    )
    assert [line[59] for line in lines[2:-1]] == ["|", "<", "<", "<", "<", ">", "|"]
    assert all(len(line) <= 120 for line in lines[:-1])


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


def two() -> tuple[Builder, Builder]:
    """Two runs in which /d/x is open."""
    builders = Builder(), Builder()
    for b in builders:
        b.open(3, "/d", preopen="/d", filetype=3)
        b.open(4, "/d/x")
    return builders


def test_other_text_is_a_change_and_can_be_ignored() -> None:
    a, b = two()
    a.write_text(1, b"hello")
    b.write_text(1, b"hullo")
    diff = a.trace().diff(b.trace())
    assert (diff.same, [change.contents for change in diff.changed]) == (False, [("data",)])
    assert str(diff).splitlines()[0] == "1 against 1 call: 1 changed (1 in data), 0 the same"
    ignoring = a.trace().diff(b.trace(), ignore=["data"])
    assert ignoring.same
    assert ignoring.headline() == "the same 1 call with the same outcomes, arguments and results"
    assert "not compared: data, times" in str(ignoring)


def test_another_answer_of_the_clock_is_a_change_and_can_be_ignored() -> None:
    a, b = two()
    a.call("clock_time_get", 1, 1000, 0, 256, result=1)
    b.call("clock_time_get", 1, 1000, 0, 256, result=2)
    assert [change.contents for change in a.trace().diff(b.trace()).changed] == [("results",)]
    assert a.trace().diff(b.trace(), ignore=("results", "data", "arguments")).same


def test_other_arguments_are_a_change_and_those_of_a_library_are_not() -> None:
    a, b = two()
    for offset, builder in enumerate((a, b)):
        builder.call("fd_seek", 4, offset, 0, 0, 64, result=0)
        builder.call("clock_time_get", 1, 1000 * offset, 0, 256, result=1)
        builder.call("path_rename", 3, 64, 1, 3, 80, 1, path=b"a", aux=b"b%d" % offset)
    changed = a.trace().diff(b.trace()).changed
    assert [(change.call, change.contents) for change in changed] == [
        ("fd_seek", ("arguments",)), ("path_rename", ("arguments",)),
    ]  # fmt: skip


def test_what_differs_in_every_run_does_not_make_a_difference() -> None:
    a, b = two()
    for seed, builder in enumerate((a, b)):
        stat = t.FILESTAT.pack(seed, 99 + seed, 4, 1 + seed, 100, 10**18 + seed, seed, seed)
        builder.call("path_filestat_get", 3, 1, 64, 1, 80, path=b"x", aux=stat)
        entry = t.DIRENT.pack(1 + seed, 77 + seed, 1, 4) + b"x"
        builder.call("fd_readdir", 3, 64, 4096, 0, 0, 80, data=entry, result=len(entry))
    assert a.trace().diff(b.trace()).same
    c, _ = two()
    c.call("path_filestat_get", 3, 1, 64, 1, 80, path=b"x", aux=t.FILESTAT.pack(0, 99, 4, 1, 101, 0, 0, 0))
    c.call("fd_readdir", 3, 64, 4096, 0, 0, 80, data=t.DIRENT.pack(1, 77, 1, 4) + b"y", result=25)
    assert [x.contents for x in a.trace().diff(c.trace()).changed] == [("results",), ("data",)]


def test_data_is_compared_as_far_as_both_traces_kept_it() -> None:
    a, b = two()
    a.call("fd_write", 1, 64, 1, 80, aux=struct.pack("<II", 128, 100), data=b"a" * 64, result=100, flags=2)
    b.call("fd_write", 1, 64, 1, 80, aux=struct.pack("<II", 128, 100), data=b"a" * 100, result=100)
    diff = a.trace().diff(b.trace())
    assert diff.same
    assert "of long data the bytes that both traces kept" in str(diff)
    b.write_text(1, b"more")
    a.call("fd_write", 1, 64, 1, 80, aux=struct.pack("<II", 128, 4), data=b"mo", result=4, flags=2)
    assert a.trace().diff(b.trace()).same


def test_a_difference_beyond_the_shown_part_of_a_line_is_reported() -> None:
    a, b = two()
    a.write_text(1, b"a" * 50 + b"1")
    b.write_text(1, b"a" * 50 + b"2")
    text = a.trace().diff(b.trace()).text(width=400)
    assert '(from byte 50: "1")' in text
    assert '(from byte 50: "2")' in text


def test_what_cannot_be_ignored_is_named() -> None:
    with pytest.raises(ValueError, match=r"ignore='times' is not valid: use arguments, data, results"):
        many(5).diff(many(5), ignore=["times"])


def test_only_the_words_that_differ_are_marked() -> None:
    a, b = two()
    a.write_text(1, b"hello <b>")
    b.write_text(1, b"hullo <b>")
    shown = a.trace().diff(b.trace())._repr_html_()
    assert [re.sub("<.*?>", "", word) for word in re.findall(r"<b style=.*?</b>", shown)] == ["hello", "hullo"]
    assert "<b>" not in shown


def test_long_lines_are_cut_where_both_are_alike() -> None:
    a, b = two()
    a.path_open(3, b"x" * 100, errno=44)
    b.path_open(3, b"x" * 100, errno=2)
    line = a.trace().diff(b.trace()).text(width=160).splitlines()[2]
    assert len(line) <= 160
    assert "= -1 ENOENT (No such file" in line
    assert "= -1 EACCES (Permission" in line
