"""Tests of fd_*, on directories in memory and of the host alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import BaseDirectory, Entry, FileType
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.streams import BytesInput, CallbackOutput
from wasilab.wasi.types import DIRENT, Errno, Fstflags, Rights

TOP = 1 << 63


def read(guest, fd: int, size: int = 100) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: guest.do("fd_read", fd, [buffer])])


def entries(guest, fd: int, size: int = 4096, cookie: int = 0) -> list[tuple[int, int, str]]:
    """(next, type, name) of the whole entries of one fd_readdir."""
    buffer = bytearray(size)
    used = guest.do("fd_readdir", fd, buffer, cookie)
    found, at = [], 0
    while at + DIRENT.size <= used:
        following, _, length, filetype = DIRENT.unpack_from(buffer, at)
        name = bytes(buffer[at + DIRENT.size : at + DIRENT.size + length])
        if at + DIRENT.size + length > used:
            break
        found.append((following, filetype, name.decode()))
        at += DIRENT.size + length
    return found


def test_several_buffers_are_moved_in_one_call(guest) -> None:
    fd = guest.open("a", 1)
    assert guest.do("fd_write", fd, [b"one", b"", b"two"]) == 6
    assert guest.do("fd_seek", fd, 0, 0) == 0
    first, second = bytearray(4), bytearray(4)
    assert guest.do("fd_read", fd, [first, second]) == 6
    assert (bytes(first), bytes(second)) == (b"onet", b"wo\0\0")
    assert read(guest, fd) == b""


def test_positioned_reads_and_writes_leave_the_position(guest) -> None:
    fd = guest.open("a", 1)
    guest.do("fd_write", fd, [b"abcdef"])
    assert guest.do("fd_pwrite", fd, [b"XY"], 1) == 2
    buffer = bytearray(3)
    assert guest.do("fd_pread", fd, [buffer], 0) == 3
    assert bytes(buffer) == b"aXY"
    assert guest.do("fd_tell", fd) == 6


@pytest.mark.parametrize(
    ("offset", "whence", "code", "position"),
    [
        (2, 0, 0, 2), (1, 1, 0, 7), (-1, 2, 0, 5), (100, 2, 0, 106), (-1, 0, Errno.INVAL, None),
        (-7, 2, Errno.INVAL, None), (0, 3, Errno.INVAL, None), (TOP - 1, 1, Errno.INVAL, None),
        (-TOP, 0, Errno.INVAL, None), (0, 2**32 - 1, Errno.INVAL, None),
    ],
)  # fmt: skip
def test_seek(guest, offset: int, whence: int, code: int, position: int | None) -> None:
    guest.put("a", b"abcdef")
    fd = guest.open("a")
    guest.do("fd_seek", fd, 0, 2)
    answer = guest.call("fd_seek", fd, offset, whence)
    assert answer.errno in (code, Errno.OVERFLOW if code else code)
    assert answer.value == position


def test_whence_of_unstable_has_another_order(guest) -> None:
    guest.put("a", b"abcdef")
    fd = guest.open("a")
    assert guest.do("fd_seek", fd, 2, 2, unstable=True) == 2, "2 is SET"
    assert guest.do("fd_seek", fd, 1, 0, unstable=True) == 3, "0 is CUR"
    assert guest.do("fd_seek", fd, -1, 1, unstable=True) == 5, "1 is END"
    assert guest.call("fd_seek", fd, 0, 3, unstable=True).errno == Errno.INVAL


@pytest.mark.parametrize(
    ("call", "args"),
    [
        ("fd_pread", ([bytearray(1)], TOP)), ("fd_pwrite", ([b"x"], 2**64 - 1)), ("fd_advise", (TOP, 0, 0)),
        ("fd_advise", (0, TOP, 0)), ("fd_advise", (0, 0, 6)), ("fd_allocate", (TOP, 1)), ("fd_allocate", (0, 0)),
        ("fd_filestat_set_size", (TOP,)), ("fd_filestat_set_times", (0, 0, 16)), ("fd_filestat_set_times", (0, 0, 3)),
        ("fd_filestat_set_times", (0, 0, 12)), ("fd_filestat_set_times", (2**64 - 1, 0, 1)),
        ("fd_fdstat_set_flags", (32,)), ("fd_read", ([bytearray(1)] * 1025,)), ("fd_write", ([b"x"] * 1025,)),
    ],
)  # fmt: skip
def test_numbers_and_flags_out_of_range_are_inval(guest, call: str, args: tuple[object, ...]) -> None:
    fd = guest.open("a", 1)
    assert guest.call(call, fd, *args).errno == Errno.INVAL


@pytest.mark.usefixtures("files_below_a_terabyte")
def test_a_size_beyond_the_file_system_is_fbig_or_nospc_and_the_guest_lives(guest) -> None:
    fd = guest.open("a", 1)
    assert guest.call("fd_filestat_set_size", fd, 2**62).errno in (Errno.FBIG, Errno.INVAL, Errno.NOSPC)
    assert guest.call("fd_pwrite", fd, [b"x"], TOP - 1).errno in (Errno.FBIG, Errno.INVAL, Errno.NOSPC)
    assert guest.call("fd_allocate", fd, TOP - 1, 2).errno == Errno.FBIG
    assert guest.do("fd_filestat_get", fd).size == 0


def test_append_is_a_flag_that_can_be_given_and_taken(guest) -> None:
    fd = guest.open("a", 1, fdflags=1)
    guest.do("fd_write", fd, [b"one"])
    guest.do("fd_seek", fd, 0, 0)
    guest.do("fd_write", fd, [b"two"])
    assert guest.do("fd_fdstat_get", fd).flags == 1
    guest.do("fd_fdstat_set_flags", fd, 0)
    assert guest.do("fd_fdstat_get", fd).flags == 0
    guest.do("fd_seek", fd, 0, 0)
    guest.do("fd_write", fd, [b"X"])
    assert guest.get("a") == b"Xnetwo"


def test_size_and_times_of_an_open_file(guest) -> None:
    fd = guest.open("a", 1)
    guest.do("fd_filestat_set_size", fd, 10)
    guest.do("fd_filestat_set_times", fd, 5_000, 7_000, Fstflags.ATIM | Fstflags.MTIM)
    stat = guest.do("fd_filestat_get", fd)
    assert (stat.size, stat.atim, stat.mtim, stat.filetype) == (10, 5_000, 7_000, FileType.REGULAR_FILE)
    guest.do("fd_filestat_set_times", fd, 0, 0, Fstflags.MTIM_NOW)
    stat = guest.do("fd_filestat_get", fd)
    assert (stat.atim, stat.mtim) == (5_000, 1_000_000_000), "now is the granted clock's, the other is left"


def test_times_before_1970_and_other_odd_numbers_are_clamped(make_guest, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"")
    os.utime(tmp_path / "old", ns=(-5_000_000_000, -1))
    guest = make_guest({"/": HostDir(tmp_path)})
    stat = guest.do("path_filestat_get", 3, 0, "old")
    assert (stat.atim, stat.mtim) == (0, 0)


def test_allocate_grows_in_memory_and_is_notsup_on_the_host(make_guest, tmp_path: Path) -> None:
    memory, host = make_guest({"/": MemDir()}), make_guest({"/": HostDir(tmp_path, "rw")})
    fd = memory.open("a", 1)
    memory.do("fd_allocate", fd, 10, 10)
    assert memory.do("fd_filestat_get", fd).size == 20
    assert host.call("fd_allocate", host.open("a", 1), 0, 10).errno == Errno.NOTSUP


def test_sync_and_advise_work_on_files_and_sync_on_directories(guest) -> None:
    fd = guest.open("a", 1)
    for call in (("fd_sync", fd), ("fd_datasync", fd), ("fd_advise", fd, 0, 0, 3), ("fd_sync", 3), ("fd_datasync", 3)):
        assert guest.do(*call) is None


def test_renumber_and_close(guest) -> None:
    guest.put("a", b"A")
    guest.put("b", b"B")
    a, b = guest.open("a"), guest.open("b")
    guest.do("fd_renumber", a, b)
    assert read(guest, b) == b"A"
    assert guest.call("fd_tell", a).errno == Errno.BADF
    guest.do("fd_renumber", b, b)
    for pair in ((a, b), (b, a), (b, 2**31), (99, 99)):
        assert guest.call("fd_renumber", *pair).errno == Errno.BADF
    guest.do("fd_close", b)
    assert guest.call("fd_close", b).errno == Errno.BADF


def test_a_preopen_tells_its_name_and_can_be_closed_and_overwritten(make_guest, folder) -> None:
    guest = make_guest({"/data": folder, "/tmp": MemDir({"t": "T"})})
    assert guest.do("fd_prestat_get", 3) == (0, 5)
    buffer = bytearray(b"#" * 8)
    guest.do("fd_prestat_dir_name", 3, buffer)
    assert bytes(buffer) == b"/data###"
    assert guest.call("fd_prestat_dir_name", 3, bytearray(4)).errno == Errno.NAMETOOLONG
    guest.do("fd_renumber", 4, 3)
    guest.do("fd_prestat_dir_name", 3, buffer)
    assert bytes(buffer[:4]) == b"/tmp"
    assert guest.get("t") == b"T"
    guest.do("fd_close", 3)
    assert guest.call("fd_prestat_get", 3).errno == Errno.BADF
    assert folder.list() == [], "what was granted is not closed with the descriptor: other runs may hold it"


def test_only_preopens_have_a_prestat(guest) -> None:
    assert guest.call("fd_prestat_get", guest.open("a", 1)).errno == Errno.BADF
    assert guest.call("fd_prestat_get", guest.mkdir("d")).errno == Errno.BADF


def test_readdir_lists_dots_and_names_with_advancing_cookies(guest) -> None:
    names = [f"file-{i}" for i in range(20)]
    for name in names:
        guest.put(name, b"")
    guest.do("path_create_directory", 3, "dir")
    listed = entries(guest, 3)
    assert [entry[0] for entry in listed] == list(range(1, len(listed) + 1))
    assert {(kind, name) for _, kind, name in listed} == {
        (3, "."), (3, ".."), (3, "dir"), *((4, name) for name in names),
    }  # fmt: skip
    walked, cookie = [], 0
    while batch := entries(guest, 3, size=100, cookie=cookie):
        walked += batch
        cookie = batch[-1][0]
    assert walked == listed


def test_readdir_fills_the_buffer_with_a_cut_entry_unless_it_is_the_end(guest) -> None:
    guest.put("long-name", b"")
    for size in (0, 1, 24, 25, 30, 60):
        buffer = bytearray(size)
        assert guest.do("fd_readdir", 3, buffer, 0) == size
    assert guest.do("fd_readdir", 3, bytearray(4096), 0) < 4096


@pytest.mark.parametrize("cookie", [3, 4, 2**63, 2**64 - 1])
def test_readdir_from_beyond_the_end_is_empty(guest, cookie: int) -> None:
    guest.put("a", b"")
    assert entries(guest, 3, cookie=cookie) == []


def test_readdir_walks_a_snapshot_and_cookie_0_takes_a_new_one(guest) -> None:
    for name in "abc":
        guest.put(name, b"")
    before = [name for _, _, name in entries(guest, 3)]
    guest.put("d", b"")
    guest.do("path_unlink_file", 3, "a")
    assert [name for _, _, name in entries(guest, 3, cookie=2)] == before[2:]
    assert {name for _, _, name in entries(guest, 3)} == {".", "..", "b", "c", "d"}


def test_readdir_leaves_out_names_that_are_not_utf8_and_says_so(make_guest) -> None:
    class Odd(BaseDirectory):
        def list(self) -> list[Entry]:
            return [Entry("ok", 1, FileType.REGULAR_FILE), Entry("\udcff", 2, FileType.REGULAR_FILE)]

    guest = make_guest({"/": Odd()})
    assert [name for _, _, name in entries(guest, 3)] == [".", "..", "ok"]
    assert guest.host.notes == ["fd_readdir('/') left out 1 name that is not UTF-8"]


def test_the_limit_of_bytes_written_cuts_then_refuses(make_guest) -> None:
    out: list[bytes] = []
    guest = make_guest({"/": MemDir({"a": ""})}, stdout=CallbackOutput(out.append), max_bytes_written=10)
    fd = guest.open("a")
    assert guest.do("fd_write", fd, [b"1234", b"5678"]) == 8
    assert guest.do("fd_write", 1, [b"9", b"abc"]) == 2
    for answer in (guest.call("fd_write", fd, [b"x"]), guest.call("fd_pwrite", fd, [b"x"], 0)):
        assert (answer.errno, answer.denied_by) == (Errno.NOSPC, DeniedBy.QUOTA)
        assert "limit of 10 bytes" in answer.reason
    assert out == [b"9a"]
    assert guest.do("fd_write", fd, []) == 0


def test_the_standard_streams_are_the_given_ones(make_guest) -> None:
    out: list[bytes] = []
    guest = make_guest(stdin=BytesInput(b"hello"), stdout=CallbackOutput(out.append))
    assert read(guest, 0) == b"hello"
    assert read(guest, 0) == b""
    guest.do("fd_write", 1, [b"x", b"y"])
    assert out == [b"xy"]
    assert guest.call("fd_write", 2, [b"x"]).errno == Errno.BADF, "stderr was not given"
    for fd in (0, 1):
        stat = guest.do("fd_fdstat_get", fd)
        assert stat.filetype == FileType.CHARACTER_DEVICE
        assert not stat.rights_base & (Rights.FD_SEEK | Rights.FD_TELL), "isatty of wasi-libc looks at these"
