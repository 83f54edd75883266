"""Guests that fail again and again: each failure is recorded with its own words, and what is kept is bounded."""

from __future__ import annotations

import pytest

import wasilab
from wasilab import Limits
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.refusal import DeniedBy, Need, NeedKind
from wasilab.trace.answers.event import CallEvent
from wasilab.trace.record.layout import CHUNK_RECORDS
from wasilab.wasi.preview1.spec import SNAPSHOT1
from wasilab.wasi.types import Errno

from .conftest import Yard
from .fuzz import resident
from .guests import OUT, TEXT, Guest, Text, i32, judged, program
from .test_resources import counted

RAW = pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
DIGITS = 5
"""Letters with which a path counts, a to p."""


def refused_paths(count: int, tail: str = "") -> str:
    """A guest that opens ../aaaaa, ../aaaab, ..., each with `tail`."""
    letters = ""
    for place in range(DIGITS):
        digit = f"(i32.and (i32.shr_u (local.get $i) (i32.const {4 * (DIGITS - 1 - place)})) (i32.const 15))"
        letters += f"(i32.store8 (i32.const {TEXT + 3 + place}) (i32.add (i32.const 97) {digit}))"
    size = 3 + DIGITS + len(tail)
    call = f"(call $path_open {i32(3, 0, TEXT, size, 0)} (i64.const 2) (i64.const 0) {i32(0, OUT)})"
    data = f'(data (i32.const {TEXT}) "../") (data (i32.const {TEXT + 3 + DIGITS}) "{tail}")'
    return program("path_open", counted(f"(block (result i32) {letters} {call})", count), extra=data)


def path_of(number: int, tail: str = "") -> str:
    letters = "".join("abcdefghijklmnop"[number >> 4 * (DIGITS - 1 - place) & 15] for place in range(DIGITS))
    return f"../{letters}{tail}"


@RAW
def test_ten_thousand_refusals_are_recorded_with_the_path_of_each(yard: Yard, raw: bool) -> None:
    """More than a chunk: a reason has a number of its chunk, which means another reason in the next."""
    count = 10_000
    assert count > CHUNK_RECORDS
    grants = wasilab.Grants(dirs={"/inside": wasilab.HostDir(str(yard.inside), "rw")})
    trace = judged(refused_paths(count), grants, raw=raw).run.trace
    assert len(trace) == count
    for number, event in enumerate(trace):
        path = path_of(number)
        assert event.path.endswith(path[3:])
        assert event.reason.startswith(f"'{path}' leaves the directory"), number
        assert trace.store.reason(number).need == Need(NeedKind.DIRECTORY, f"/inside/{path}")


@RAW
def test_the_same_failures_in_turn_keep_their_words_beyond_a_chunk(yard: Yard, raw: bool) -> None:
    """The chunk is full in the middle of a round, so at whichever call: each is recorded once, with its reason."""
    rounds = 2 * CHUNK_RECORDS // 5
    calls = (
        f"(call $fd_tell {i32(70, OUT)})",
        f"(call $fd_tell {i32(71, OUT)})",
        f"(call $fd_seek (i32.const 3) (i64.const 0) {i32(0, OUT)})",
        f"(call $path_filestat_get {i32(3, 0, TEXT, 4, OUT)})",
        f"(call $path_filestat_get {i32(3, 0, TEXT + 3, 1, OUT)})",
    )
    body = "(block (result i32) " + "".join(f"(drop {call})" for call in calls) + "(i32.const 0))"
    text = program(
        "fd_tell fd_seek path_filestat_get", counted(body, rounds), extra=f'(data (i32.const {TEXT}) "../x")'
    )
    grants = wasilab.Grants(dirs={"/inside": wasilab.HostDir(str(yard.inside), "rw")})
    run = judged(text, grants, raw=raw).run
    trace, recorder = run.trace, run.recorder
    assert len(trace) == 5 * rounds
    assert recorder is not None
    assert [recorder.has_call(SNAPSHOT1["fd_tell"].number, fd) for fd in (69, 70, 71)] == [False, True, True]
    said = [_said(event) for event in trace]
    assert said[:5] * rounds == said
    assert [reason for _, _, reason in said[:2]] == [f"descriptor {fd} is not open" for fd in (70, 71)]
    assert "lacks the right fd_tell" in said[2][2]
    assert said[3][:2] == (int(Errno.PERM), DeniedBy.PATH)
    assert said[4] == (int(Errno.NOENT), DeniedBy.NONE, "")


def _said(event: CallEvent) -> tuple[int, int, str]:
    return event.errno, event.denied_by, event.reason


@pytest.mark.parametrize("trace", [True, False], ids=["traced", "untraced"])
def test_refusals_of_long_paths_take_no_memory_when_they_are_over(yard: Yard, trace: bool) -> None:
    """The paths together have 40 MB, their sentences as much again."""
    tail = "x" * 4000
    limits = Limits(trace=4 << 20)
    grants = wasilab.Grants(dirs={"/inside": wasilab.HostDir(str(yard.inside), "rw")}, limits=limits)
    judged(refused_paths(500, tail), grants, trace=trace)
    before = resident()
    run = judged(refused_paths(10_000, tail), grants, trace=trace).run
    assert resident() - before < 32 << 20
    if trace:
        last = run.trace[len(run.trace) - 1]
        assert last.path.endswith(path_of(9_999, tail)[3:])
        assert last.reason.startswith(f"'{path_of(9_999)}")


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_odd_paths_fail_alike_with_the_library_and_in_python(yard: Yard, mode: str) -> None:
    """What the words of one failure contain belongs to it alone, whichever bytes these are."""
    odd = [
        b"..", b"../", b"../..", b"..x", b"...", b"../\x01", b"../\x1b[2J", b"../\n", b"../\\x01", b"../'\"",
        b"../\xff", b"\xff", b"\xc3\x28", b"../\xe2\x80\xae", b"../\xed\xa0\x80", b"a\0b", b"../\0", b"", b"/", b"//..",
        b"/etc/\x7f", b"missing\n", b"file.txt/", b"file.txt/x", b"x" * 255, b"x" * 256, b"../" + b"x" * 5000,
        "../\N{SNOWMAN}".encode(),
    ]  # fmt: skip
    seen = []
    for raw in (True, False):
        guest = Guest(yard, mode=mode, raw=raw, pages=4)
        for path in odd:
            guest.open(Text(path).data, follow=0)
            guest.call("path_filestat_get", 3, 0, Text(path), OUT)
            guest.call("path_unlink_file", 3, Text(path))
            guest.call("path_rename", 3, Text(path), 3, Text(path))
            guest.call("path_create_directory", 77, Text(path))
        run = guest.run()
        store = run.run.trace.store
        seen.append([(*_said(event), event.path, store.reason(row)) for row, event in enumerate(run.run.trace)])
        assert len(seen[-1]) == 5 * len(odd)
        assert all(reason.isprintable() for _, _, reason, *_ in seen[-1])
    assert seen[0] == seen[1]
    assert len({errno for errno, *_ in seen[0]}) > 6


@RAW
def test_that_a_name_is_missing_says_nothing_of_the_next(yard: Yard, raw: bool) -> None:
    """Each path after the missing one is there, and is one that another part of the host looks at."""
    (yard.inside / "naïve").write_bytes(b"not ASCII")
    (yard.inside / "link").symlink_to("file.txt")
    grants = wasilab.Grants(
        dirs={"/inside": wasilab.HostDir(str(yard.inside), "rw"), "/memory": MemDir({"in memory": b""})}
    )
    guest = Guest(grants=grants, raw=raw)
    there = [(3, 0, "naïve"), (3, 0, "./file.txt"), (3, 1, "link"), (3, 0, "link"), (4, 0, "in memory"), (3, 0, "sub/")]
    for fd, flags, path in there:
        for missing in ("missing", "sub/missing", "sub/deep/missing"):
            guest.call("path_filestat_get", 3, 0, missing, OUT).call("path_filestat_get", fd, flags, path, OUT)
    guest.call("path_filestat_get", 3, 0, "new", OUT).call("path_create_directory", 3, "new")
    guest.call("path_filestat_get", 3, 0, "new", OUT).call("path_remove_directory", 3, "new")
    guest.call("path_filestat_get", 3, 0, "new", OUT)
    guest.run().assert_answered(*["NOENT", "SUCCESS"] * (3 * len(there) + 1), "SUCCESS", "SUCCESS", "NOENT")
