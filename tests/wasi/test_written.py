"""What counts as written: contents, names, the text of links, and growth without contents; and the bound on names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.refusal import DeniedBy, Need, NeedKind
from wasilab.wasi.host import NAME_COST
from wasilab.wasi.types import Errno, Rights

from .conftest import ALL_RIGHTS, FILE_RIGHTS, Guest, MakeGuest

CREATE, EXCLUSIVE, TRUNCATE = 1, 4, 8

MAKE: dict[str, tuple[Callable[[Guest, str], Any], int]] = {
    "a file": (lambda guest, name: guest.call("path_open", 3, 0, name, CREATE, FILE_RIGHTS, 0, 0), 0),
    "a file, exclusively": (
        lambda guest, name: guest.call("path_open", 3, 0, name, CREATE | EXCLUSIVE, FILE_RIGHTS, 0, 0), 0
    ),
    "a directory": (lambda guest, name: guest.call("path_create_directory", 3, name), 0),
    "a symbolic link": (lambda guest, name: guest.call("path_symlink", "t" * 100, 3, name), 100),
    "a hard link": (lambda guest, name: guest.call("path_link", 3, 0, "here", 3, name), 0),
}  # fmt: skip


@pytest.mark.parametrize("what", list(MAKE))
def test_a_name_counts_its_bytes_and_an_inode(guest: Guest, what: str) -> None:
    make, text = MAKE[what]
    guest.put("here", b"")
    before, names = guest.host.written, guest.host.names
    assert make(guest, "sub-name").errno == 0
    assert guest.host.written - before == NAME_COST + len("sub-name") + text
    assert guest.host.names - names == 1
    assert make(guest, "missing/x").errno == Errno.NOENT
    if what != "a file":
        assert make(guest, "sub-name").errno == Errno.EXIST
    assert guest.host.names - names == 1, "what fails is not counted"


@pytest.mark.parametrize("what", list(MAKE))
def test_names_beyond_the_limit_are_refused(make_guest: MakeGuest, folder: Any, what: str) -> None:
    make, _ = MAKE[what]
    guest = make_guest({"/data": folder}, max_names=3)
    guest.put("here", b"")
    for number in range(2):
        assert make(guest, f"n{number}").errno == 0
    answer = make(guest, "n2")
    assert (answer.errno, answer.denied_by) == (Errno.NOSPC, DeniedBy.QUOTA)
    assert answer.reason == "the limit of 3 new names is used up; raise limits.names"
    assert answer.need == Need(NeedKind.LIMIT, limit="names")
    assert sorted(entry.name for entry in folder.list()) == ["here", "n0", "n1"]
    guest.do("path_remove_directory" if what == "a directory" else "path_unlink_file", 3, "n0")
    assert make(guest, "n2").errno == 0, "a removed name makes room for another"


@pytest.mark.parametrize("what", list(MAKE))
def test_names_beyond_the_bytes_left_are_refused(make_guest: MakeGuest, what: str) -> None:
    make, text = MAKE[what]
    guest = make_guest({"/data": MemDir({"here": ""})}, max_bytes_written=2 * (NAME_COST + 2 + text) + 10)
    assert [make(guest, name).errno for name in ("n0", "n1", "n2")] == [0, 0, Errno.NOSPC]
    assert make(guest, "n3").reason == (
        f"a new name counts as {NAME_COST + 2 + text} bytes and 10 are left of the limit of "
        f"{guest.host.most_written} bytes written; raise limits.bytes_written"
    )


def test_opening_what_exists_adds_no_name(guest: Guest) -> None:
    guest.put("file", b"")
    guest.do("path_symlink", "file", 3, "link")
    guest.do("path_symlink", "new", 3, "dangling")
    names = guest.host.names
    for path in ("file", "link"):
        guest.do("path_open", 3, 1, path, CREATE | TRUNCATE, FILE_RIGHTS, 0, 0)
    assert guest.host.names == names
    guest.do("path_open", 3, 1, "dangling", CREATE, FILE_RIGHTS, 0, 0)
    assert guest.host.names == names + 1


def test_saving_by_renaming_over_a_file_adds_no_name(make_guest: MakeGuest, folder: Any) -> None:
    guest = make_guest({"/data": folder}, max_names=2)
    for _ in range(5):
        guest.put("file~", b"new")
        guest.do("path_rename", 3, "file~", 3, "file")
    assert guest.host.names == 1


def test_renaming_to_another_name_of_the_same_file_takes_no_name_off(make_guest: MakeGuest, folder: Any) -> None:
    """Else a program that renames a file to itself could make any number of names."""
    guest = make_guest({"/data": folder}, max_names=3)
    guest.put("file", b"")
    guest.do("path_link", 3, 0, "file", 3, "second")
    for old, new in (("file", "file"), ("file", "second"), ("second", "file"), ("./file", "file")):
        guest.do("path_rename", 3, old, 3, new)
    assert (guest.host.names, sorted(entry.name for entry in folder.list())) == (2, ["file", "second"])
    guest.do("path_create_directory", 3, "last")
    assert guest.call("path_create_directory", 3, "more").errno == Errno.NOSPC


def test_growth_without_contents_counts(guest: Guest) -> None:
    fd = guest.open("file", CREATE)
    start = guest.host.written

    def grown() -> int:
        return guest.host.written - start

    guest.do("fd_filestat_set_size", fd, 1000)
    assert grown() == 1000
    guest.do("fd_filestat_set_size", fd, 10)
    assert grown() == 1000, "cutting gives nothing back"
    guest.do("fd_pwrite", fd, [b"x"], 100)
    assert grown() == 1000 + 91
    guest.do("fd_pwrite", fd, [b"xy"], 50)
    assert grown() == 1000 + 93
    guest.do("fd_seek", fd, 201, 0)
    guest.do("fd_write", fd, [b"x"])
    assert grown() == 1000 + 93 + 101
    guest.do("fd_write", fd, [b"x"])
    guest.do("fd_seek", fd, 0, 2)
    guest.do("fd_write", fd, [b"x"])
    assert grown() == 1000 + 93 + 101 + 2
    assert guest.do("fd_filestat_get", fd).size == 204


def test_growth_beyond_the_limit_is_refused_before_it_happens(make_guest: MakeGuest, folder: Any) -> None:
    guest = make_guest({"/data": folder}, max_bytes_written=NAME_COST + 1000)
    fd = guest.open("file", CREATE)
    guest.do("fd_seek", fd, 2000, 0)
    attempts = [
        ("fd_filestat_set_size", fd, 2000), ("fd_pwrite", fd, [b"x"], 2000), ("fd_write", fd, [b"x"]),
        ("fd_pwrite", fd, [b"x", b"y"], 996),
    ]  # fmt: skip
    for name, *words in attempts:
        answer = guest.call(name, *words)
        assert (answer.errno, answer.denied_by) == (Errno.NOSPC, DeniedBy.QUOTA), name
        assert answer.need == Need(NeedKind.LIMIT, limit="bytes_written")
    assert guest.do("fd_filestat_get", fd).size == 0
    assert guest.do("fd_pwrite", fd, [b"abc"], 994) == 2, "what fits is written"


def test_allocated_room_counts_in_memory(make_guest: MakeGuest) -> None:
    guest = make_guest({"/data": MemDir({"file": "1234"})}, max_bytes_written=100)
    fd = guest.open("file")
    guest.do("fd_allocate", fd, 0, 50)
    assert guest.host.written == 46
    assert guest.call("fd_allocate", fd, 0, 200).need == Need(NeedKind.LIMIT, limit="bytes_written")


def test_appending_leaves_no_gap(guest: Guest) -> None:
    fd = guest.do("path_open", 3, 0, "log", CREATE, FILE_RIGHTS, 0, 1)
    start = guest.host.written
    guest.do("fd_seek", fd, 1 << 40, 0)
    guest.do("fd_write", fd, [b"x"])
    guest.do("fd_pwrite", fd, [b"x"], 1 << 40)
    assert guest.host.written - start == 2
    assert guest.do("fd_filestat_get", fd).size == 2


def test_a_descriptor_without_the_right_to_look_still_counts(make_guest: MakeGuest, folder: Any) -> None:
    """What counts does not depend on rights that the guest can give up."""
    guest = make_guest({"/data": folder}, max_bytes_written=NAME_COST + 1000)
    fd = guest.open("file", CREATE, rights=int(Rights.FD_WRITE | Rights.FD_SEEK), inheriting=ALL_RIGHTS)
    assert guest.call("fd_filestat_get", fd).errno == Errno.NOTCAPABLE
    assert guest.call("fd_pwrite", fd, [b"x"], 5000).errno == Errno.NOSPC
