"""The recorder: complete, compact, bounded, readable while it grows."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from wasilab.trace.columns.records import RECORD
from wasilab.trace.record.layout import CHUNK_RECORDS, MAX_MOVES, Flag
from wasilab.trace.record.recorder import Recorder, pack_payload
from wasilab.trace.trace import Trace

from .building import Builder, copying


def test_a_record_is_64_bytes_without_padding() -> None:
    assert RECORD.itemsize == 64
    assert sum(RECORD[name].itemsize for name in RECORD.names or ()) == 64


def test_a_sixteen_byte_write_with_its_payload_takes_at_most_100_bytes() -> None:
    b = Builder()
    for _ in range(CHUNK_RECORDS):
        b.write_text(1, b"0123456789abcdef")
    assert 64 + len(b.recorder.chunks[0].arena) / CHUNK_RECORDS <= 100


def test_every_column_comes_back_as_it_was_written() -> None:
    recorder = Recorder()
    top = (1 << 32) - 1
    recorder.make_writer(instance=7, tid=9)(
        recorder.origin_ns + 5, 6, (1 << 64) - 1, top, b"p", None, 45, 254, 8, 0xFFFF, top, 1, 2, top, top
    )
    row = Trace.from_recorder(recorder).records[0]
    assert row["t_start"] == 5
    assert row["dur"] == 6
    assert row["result"] == (1 << 64) - 1
    assert (row["handle"], row["path"], row["stack"], row["payload"]) == (top, 1, top, 0)
    assert (row["call"], row["errno"], row["denied_by"], row["instance"]) == (45, 254, 8, 7)
    assert (row["flags"], row["tid"]) == (0xFFFF, 9)
    assert row["args"].tolist() == [top, 1, 2, top]


@pytest.mark.parametrize("length", range(9))
def test_payloads_are_padded_to_four_bytes(length: int) -> None:
    assert len(pack_payload(b"", b"x" * length)) % 4 == 0
    assert pack_payload(b"ab", b"c", (1,), 5)[:15] == b"\5\0\2\0\1\0\0\0\1\0\0\0abc"


@pytest.mark.parametrize("packed", [False, True])
def test_a_call_is_found_without_a_trace(packed: bool) -> None:
    """By its number and first word: not by the same byte elsewhere, in whichever chunk."""
    recorder = Recorder()
    write = recorder.record
    for number in range(3 * CHUNK_RECORDS):
        write(recorder.origin_ns, 20, 20, 20, b"p", None, 25, 20, 0, 0, number, 20, 0, 0)
    write(recorder.origin_ns, 0, 0, 0, None, None, 20, 0, 0, 0, 1 << 24, 0, 0, 0)
    if packed:
        for chunk in recorder.chunks[:-1]:
            chunk.pack()
    assert recorder.has_call(25, 0)
    assert recorder.has_call(25, 3 * CHUNK_RECORDS - 1)
    assert not recorder.has_call(25, 3 * CHUNK_RECORDS)
    assert recorder.has_call(20, 1 << 24)
    assert not recorder.has_call(20, 1)
    assert not recorder.has_call(20, 0)
    assert not Recorder().has_call(0, 0)


def test_over_the_budget_the_oldest_calls_are_dropped_and_counted() -> None:
    b = Builder(budget=4 * 64 * CHUNK_RECORDS)
    n = 10 * CHUNK_RECORDS + 17
    for i in range(n):
        b.call("sched_yield", dur=i)
    trace = b.trace()
    assert trace.dropped > 0
    assert trace.dropped + len(trace) == n
    assert b.recorder.nbytes() <= 4 * 64 * CHUNK_RECORDS
    assert trace[0].seq == trace.dropped
    assert trace.column("dur").tolist() == list(range(trace.dropped, n))
    assert "dropped" in repr(trace)


def test_a_budget_of_zero_still_holds_the_newest_calls() -> None:
    b = Builder(budget=0)
    for _ in range(3):
        b.call("sched_yield")
    assert len(b.trace()) == 3


def test_paths_and_reasons_are_dropped_with_their_chunk() -> None:
    b = Builder(budget=0)
    b.open(3, "/data", preopen="/data")
    for i in range(3 * CHUNK_RECORDS):
        b.path_open(3, b"f%d" % (i // CHUNK_RECORDS), errno=44)
    assert set(b.trace().count("path")) <= {"/data/f1", "/data/f2"}


def test_a_flood_of_different_paths_closes_the_chunk_early() -> None:
    b = Builder(budget=16 << 20)
    b.open(3, "/data", preopen="/data")
    for i in range(2 * CHUNK_RECORDS):
        b.path_open(3, b"%d" % i * 200, errno=44)
    assert b.recorder.nbytes() <= 16 << 20
    assert all(chunk.side < 5 << 20 for chunk in b.recorder.chunks)
    assert b.trace().dropped > 0


def test_a_path_longer_than_path_max_is_cut_and_flagged() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    b.path_open(3, b"x" * 5000, errno=37)
    event = b.trace()[0]
    assert len(event.args["path"]) == 4096
    assert event.flags & Flag.TRUNCATED
    assert b.trace().truncated == 1


def test_a_reason_belongs_to_the_next_record_even_at_a_chunk_boundary() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    for i in range(CHUNK_RECORDS - 1):
        b.call("sched_yield", dur=i)
    b.path_open(3, b"a", errno=76, denied=1, reason="first")
    b.path_open(3, b"b", errno=76, denied=1, reason="second")
    assert [event.reason for event in b.trace().filter("refused")] == ["first", "second"]


def test_stacks_are_kept_once_and_bounded() -> None:
    recorder = Recorder(stacks=True)
    frames = (("f", 10), ("main", 20))
    assert recorder.intern_stack(frames) == recorder.intern_stack(list(frames)) == 1
    for i in range(70_000):
        recorder.intern_stack((("f", i),))
    assert len(recorder.stack_table) == 1 << 16
    assert recorder.stacks_dropped > 0
    assert len(recorder.stack_table[recorder.intern_stack([("g", i) for i in range(1000)]) - 1]) <= 256


def test_a_reused_number_is_another_generation() -> None:
    b = copying()
    b.open(4, "/data/b.txt")
    lives = [life for life in b.trace().lives.values() if life.fd == 4]
    assert [(life.generation, life.path) for life in lives] == [(1, b"/data/a.txt"), (2, b"/data/b.txt")]


def test_a_life_knows_the_calls_that_opened_and_closed_it() -> None:
    trace = copying().trace()
    life = next(life for life in trace.lives.values() if life.fd == 4)
    assert trace[life.opened_seq].name == "path_open"
    assert trace[life.closed_seq].name == "fd_close"


def test_what_the_host_closes_after_the_last_call_counts_as_open() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    b.path_open(3, b"a", opened=4)
    b.close(4)
    assert [life.closed_seq for life in b.trace().lives.values() if life.fd == 4] == [-1]


def renumbered() -> Builder:
    """/x is opened as 5 and moved to 9, which was /y: dup2 of a shell's redirection."""
    b = Builder()
    b.open(3, "/d", preopen="/d", filetype=3)
    b.path_open(3, b"y", opened=9)
    b.path_open(3, b"x", opened=5)
    b.write_text(9, b"to y")
    b.write_text(5, b"to x")
    b.close(9)
    b.fds[9] = b.fds.pop(5)
    b.fds[9].fd = 9
    b.recorder.on_open(b.fds[9])
    b.call("fd_renumber", 5, 9, handle=b.fds[9].life)
    b.write_text(9, b"to x by 9")
    b.path_open(3, b"z", opened=5)
    b.call("path_rename", 5, 16, 1, 9, 32, 1, path=b"a", aux=b"b")
    return b


def test_a_renumbered_descriptor_keeps_its_life_and_all_its_numbers(tmp_path: Path) -> None:
    trace = renumbered().trace()
    for suffix in ("", ".wtrace", ".jsonl", ".parquet"):
        again = Trace.load(trace.save(tmp_path / f"t{suffix}")) if suffix else trace
        y, x, z = (row for row in again.fds() if row.opened_by >= 0)
        assert (x.path, x.fd, x.last_fd, x.moved, x.closed_by) == ("/d/x", 5, 9, "5 -> 9", -1)
        assert (y.fd, y.last_fd, y.closed_by, z.fd, z.generation) == (9, 9, 4, 5, 2)
        assert "5 -> 9" in str(again.fds())
        assert again["full_path"][[2, 3, 5]].tolist() == ["/d/y", "/d/x", "/d/x"]
        identities = list(zip(again["fd"].tolist(), again["generation"].tolist(), strict=True))
        assert identities[2:6] == [(9, 1), (5, 1), (5, 1), (9, 2)]
        assert "fd_renumber(fd=5</d/x>, to=9</d/y>) = 0" in again.text()
        assert "path_rename(fd=5</d/z>, old_path=\"a\", new_fd=9</d/x>" in again.text()


def test_a_descriptor_that_is_moved_often_takes_bounded_memory() -> None:
    b = Builder()
    life = b.open(5, "/x")
    descriptor = b.fds[5]
    for i in range(10_000):
        descriptor.fd = 5 + i % 2
        b.recorder.on_open(descriptor)
        b.call("fd_renumber", 6 - i % 2, 5 + i % 2, handle=life)
    moves = b.trace().lives[life].moves
    assert (len(moves), moves[-1]) == (MAX_MOVES, (9999, 6, 5000))


def test_a_snapshot_taken_while_the_guest_runs_is_whole() -> None:
    b = Builder(budget=8 << 20)
    b.open(3, "/data", preopen="/data")
    stop = threading.Event()

    def guest() -> None:
        i = 0
        while not stop.is_set():
            b.path_open(3, b"f%d" % (i % 100), errno=44)
            b.write_text(1, b"%016d" % i)
            i += 1

    thread = threading.Thread(target=guest)
    thread.start()
    try:
        for _ in range(15):
            trace = b.trace()
            text = trace[-200:].text()
            assert text.count("\n") == len(trace[-200:])
            assert "=?" not in text
            assert np.all(np.diff(trace.seq) == 1)
    finally:
        stop.set()
        thread.join()


def test_beyond_the_budget_calls_are_spooled_and_none_is_lost(tmp_path: Path) -> None:
    spool = tmp_path / "run.wtrace"
    b = Builder(budget=1 << 20, spool=spool)
    b.open(3, "/data", preopen="/data")
    n = 6 * CHUNK_RECORDS + 5
    for i in range(n):
        b.write_text(1, b"%016d" % i) if i % 2 else b.path_open(3, b"f%d" % (i // CHUNK_RECORDS), errno=44)
    live = b.trace()
    assert (len(live), live.dropped) == (n, 0)
    assert b.recorder.nbytes() <= 1 << 20
    b.recorder.close()
    b.recorder.close()
    loaded = Trace.load(spool)
    assert (len(loaded), loaded.dropped) == (n, 0)
    assert loaded.text() == live.text()
    assert loaded.lives == live.lives


def test_a_recording_within_its_budget_writes_no_spool(tmp_path: Path) -> None:
    b = Builder(spool=tmp_path / "run.wtrace")
    b.call("sched_yield")
    b.recorder.close()
    assert not (tmp_path / "run.wtrace").exists() or len(Trace.load(tmp_path / "run.wtrace")) == 1


def test_a_spool_that_cannot_be_written_drops_instead_and_says_so(tmp_path: Path) -> None:
    b = Builder(budget=1 << 20, spool=tmp_path / "no" / "such" / "folder.wtrace")
    for _ in range(4 * CHUNK_RECORDS):
        b.call("sched_yield")
    b.recorder.close()
    assert b.recorder.spool_error is not None
    assert "folder.wtrace" in b.recorder.spool_error
    trace = b.trace()
    assert trace.dropped + len(trace) == 4 * CHUNK_RECORDS
    assert trace.meta["spool_error"] == b.recorder.spool_error


def test_bad_settings_are_refused_with_the_value_named() -> None:
    with pytest.raises(ValueError, match="-1"):
        Recorder(-1)
    with pytest.raises(ValueError, match="snaplen"):
        Recorder(snaplen=-5)
