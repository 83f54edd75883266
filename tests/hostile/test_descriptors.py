"""The descriptor table: full, renumbered, closed, guessed; rights that would grow; cookies that were never given.

=====================================  =====================================================================
case                                   answer
=====================================  =====================================================================
one more than `Limits.fds`             MFILE, denied by quota, the process's descriptors untouched
use after close or renumber            BADF; a number that was freed is the new file's only
standard streams closed or renumbered  the guest's alone: the process's stay
a right that was not passed on         NOTCAPABLE, however many levels down (strict); BADF (compat)
read-only                              stays so after renumbering, reopening and changing rights
any cookie                             entries of this directory or none, always to an end
a directory as a file and vice versa   an errno
=====================================  =====================================================================
"""

from __future__ import annotations

import gc
import os
import random

import pytest

import wasilab
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.streams import QueueInput
from wasilab.wasi.preview1.spec import MODULES

from .conftest import Yard, descriptors, picture
from .guests import ALL, CREAT, DIRECTORY, OUT, READ, SEEK, TRUNC, WRITE, Guest
from .test_memory import BUFFER, IOVECS

BOTH_RIGHTS = pytest.mark.parametrize("rights", ["strict", "compat"])
RAW = pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
KINDS = pytest.mark.parametrize("kind", ["rw", "ro", "memory", "copy"])
READDIR, PATH_OPEN = 1 << 14, 1 << 13


def granted(yard: Yard, kind: str = "rw", **options: object) -> wasilab.Grants:
    """One directory of a kind as descriptor 3."""
    directory = (
        wasilab.MemDir({"file.txt": "inside\n", "sub": {"deep": {}, "file.txt": "below\n"}})
        if kind == "memory"
        else wasilab.HostDir(str(yard.inside), kind)  # type: ignore[arg-type]
    )
    return wasilab.Grants(dirs={"/d": directory}, **options)  # type: ignore[arg-type]


def buffered(yard: Yard, kind: str = "rw", raw: bool = True, **options: object) -> Guest:
    """A guest with that directory and one buffer of ten bytes."""
    return yard.guest(grants=granted(yard, kind, **options), raw=raw).iovec(IOVECS, (BUFFER, 10))


@KINDS
@RAW
def test_a_full_table_is_mfile_and_the_process_keeps_its_own(yard: Yard, kind: str, raw: bool) -> None:
    gc.collect()  # what an earlier test left may hold a descriptor, which must not be closed in between
    before = descriptors()
    guest = buffered(yard, kind, raw, limits=wasilab.Limits(fds=8))
    for _ in range(40):
        guest.open("file.txt")
    run = guest.run()
    assert run.errnos() == ["SUCCESS"] * 4 + ["MFILE"] * 36
    run.assert_refused(DeniedBy.QUOTA, "the limit of 8 open descriptors is reached")
    assert set(before) <= set(descriptors())


def test_a_full_table_creates_and_truncates_nothing(yard: Yard) -> None:
    guest = buffered(yard, limits=wasilab.Limits(fds=4)).open("new.txt", oflags=CREAT, rights=ALL)
    guest.open("file.txt", oflags=TRUNC, rights=ALL).run().assert_answered("MFILE", "MFILE")
    assert not (yard.inside / "new.txt").exists()
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"


def test_a_freed_number_is_given_again(yard: Yard) -> None:
    guest = buffered(yard, limits=wasilab.Limits(fds=6))
    for _ in range(30):
        guest.open("file.txt").open("sub/file.txt").open("file.txt").call("fd_close", 4).call("fd_close", 5)
    run = guest.run()
    assert set(run.errnos()[::5]) == {"SUCCESS"}
    assert set(run.errnos()[2::5]) == {"MFILE"}


def test_thousands_of_descriptors_within_the_limit(yard: Yard) -> None:
    """More than the process may open is its own errno, and the kernel's descriptors stay."""
    guest = buffered(yard, "memory", limits=wasilab.Limits(fds=1_000_000))
    for _ in range(3000):
        guest.open("file.txt")
    assert set(guest.run().errnos()) == {"SUCCESS"}


@RAW
def test_renumbering(yard: Yard, raw: bool) -> None:
    guest = buffered(yard, raw=raw).open("file.txt").open("sub/file.txt")
    guest.call("fd_renumber", 4, 4).call("fd_renumber", 4, 9).call("fd_renumber", 9, 4).call("fd_renumber", 4, 5)
    guest.call("fd_read", 4, IOVECS, 1, OUT).call("fd_read", 5, IOVECS, 1, OUT).call("fd_renumber", 4, 5)
    run = guest.run()
    run.assert_answered("SUCCESS", "SUCCESS", "SUCCESS", "BADF", "BADF", "SUCCESS", "BADF", "SUCCESS", "BADF")
    assert run[7].data == b"inside\n"


def test_renumbering_over_a_preopen_and_of_one(yard: Yard) -> None:
    guest = buffered(yard).open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL).call("fd_renumber", 4, 3)
    guest.call("fd_prestat_get", 3, OUT).open("../file.txt").open("file.txt").call("fd_read", 4, IOVECS, 1, OUT)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", "SUCCESS", "BADF", "PERM", "SUCCESS", "SUCCESS"]
    assert run[5].data == b"below\n"


@pytest.mark.parametrize("target", [0, 1, 2])
def test_renumbering_over_a_standard_stream_does_not_touch_the_process(yard: Yard, target: int) -> None:
    before = {n: os.fstat(n) for n in (0, 1, 2)}
    guest = buffered(yard).open("file.txt", rights=ALL).call("fd_renumber", 4, target)
    guest.call("fd_write", target, IOVECS, 1, OUT).call("fd_close", target).call("fd_write", target, IOVECS, 1, OUT)
    run = guest.run().assert_answered("SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "BADF")
    assert (run.run.stdout, run.run.stderr) == ("", "")
    assert {n: os.fstat(n)[:6] for n in (0, 1, 2)} == {n: st[:6] for n, st in before.items()}


def test_closed_standard_streams_are_the_guests_alone(yard: Yard) -> None:
    guest = buffered(yard)
    for number in (0, 1, 2):
        guest.call("fd_close", number).call("fd_write", number, IOVECS, 1, OUT).call("fd_close", number)
    for _ in range(3):
        guest.open("file.txt")
    run = guest.run()
    assert run.errnos() == ["SUCCESS", "BADF", "BADF"] * 3 + ["SUCCESS"] * 3
    os.fstat(0), os.fstat(1), os.fstat(2)
    assert wasilab.run(run.run.module, (), granted(yard)).exit_code == 0


def test_standard_streams_that_were_not_granted_are_not_the_process_s() -> None:
    guest = Guest(grants=wasilab.Grants.nothing()).iovec(IOVECS, (BUFFER, 4))
    for number in range(64):
        guest.call("fd_write", number, IOVECS, 1, OUT).call("fd_read", number, IOVECS, 1, OUT).call("fd_close", number)
    assert set(guest.run().errnos()) == {"BADF"}


def test_guest_numbers_are_never_the_process_s(yard: Yard) -> None:
    """Whatever is open in the process, numbers that the table does not hold are closed for the guest."""
    secret = os.open(yard.outside / "secret.txt", os.O_RDONLY)
    try:
        guest = buffered(yard)
        for number in range(4, 200):
            guest.call("fd_read", number, IOVECS, 1, OUT)
        assert set(guest.run().errnos()) == {"BADF"}
    finally:
        os.close(secret)


def test_descriptors_left_open_are_closed_at_the_end() -> None:
    """Inputs, interrupts, hosts and folders that were made and forgotten: a notebook makes many."""
    from wasilab.capabilities.streams import DescriptorInput
    from wasilab.capabilities.waiting import Interrupt
    from wasilab.wasi.host import Host

    before = len(descriptors())
    for _ in range(50):
        made = [
            Interrupt(),
            QueueInput(),
            Host(stdin=QueueInput()),
            wasilab.HostDir("."),
            DescriptorInput(0, Interrupt()),
        ]
        assert len(made) == 5
    del made
    gc.collect()
    assert len(descriptors()) <= before


@KINDS
def test_use_after_close(yard: Yard, kind: str) -> None:
    guest = buffered(yard, kind).open("file.txt").call("fd_close", 4)
    for name in ("fd_read", "fd_write"):
        guest.call(name, 4, IOVECS, 1, OUT)
    guest.call("fd_close", 4).call("fd_tell", 4, OUT).call("fd_sync", 4).call("fd_filestat_get", 4, OUT)
    guest.call("fd_close", 3).open("file.txt").call("fd_readdir", 3, BUFFER, 100, 0, OUT).call("fd_prestat_get", 3, OUT)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", "SUCCESS", *["BADF"] * 6, "SUCCESS", "BADF", "BADF", "BADF"]


def test_a_directory_outlives_the_preopen_that_it_came_from(yard: Yard) -> None:
    guest = buffered(yard).open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL).call("fd_close", 3)
    run = guest.open("file.txt", fd=4).open("../file.txt", fd=4).run()
    run.assert_answered("SUCCESS", "SUCCESS", "SUCCESS", "PERM")


@RAW
def test_rights_only_shrink(yard: Yard, raw: bool) -> None:
    guest = buffered(yard, raw=raw).open("file.txt", rights=READ)
    guest.call("fd_fdstat_set_rights", 4, READ | WRITE, 0).call("fd_fdstat_set_rights", 4, READ, READ)
    guest.call("fd_fdstat_set_rights", 4, 0, 0).call("fd_fdstat_set_rights", 4, READ, 0).call(
        "fd_read", 4, IOVECS, 1, OUT
    )
    run = guest.run()
    run.assert_answered("SUCCESS", "NOTCAPABLE", "NOTCAPABLE", "SUCCESS", "NOTCAPABLE", "NOTCAPABLE")
    run.assert_refused(DeniedBy.RIGHT, "rights only shrink", call=1).assert_refused(DeniedBy.RIGHT, "fd_read")


def test_a_child_of_a_child_has_no_right_that_was_not_passed_on(yard: Yard) -> None:
    guest = buffered(yard).open("sub", oflags=DIRECTORY, rights=PATH_OPEN | READDIR, inheriting=READ | PATH_OPEN)
    guest.open("deep", fd=4, oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    guest.open("file.txt", fd=4, rights=READ | WRITE | SEEK).call("fd_write", 6, IOVECS, 1, OUT)
    guest.call("fd_seek", 6, 1, 0, OUT).call("fd_read", 6, IOVECS, 1, OUT).open("new", fd=4, oflags=CREAT, rights=READ)
    guest.call("path_create_directory", 5, "new").call("fd_readdir", 5, BUFFER, 100, 0, OUT)
    guest.call("path_create_directory", 4, "new").call("path_unlink_file", 4, "file.txt")
    before = picture(yard.inside)
    run = guest.run()
    assert run.errnos()[3:5] == ["NOTCAPABLE"] * 2
    assert run.errnos()[5] == "SUCCESS"
    assert run.errnos()[6:] == ["NOTCAPABLE"] * 5
    assert picture(yard.inside) == before


def test_rights_given_up_by_a_directory_are_lost_to_its_children(yard: Yard) -> None:
    guest = buffered(yard).call("fd_fdstat_set_rights", 3, PATH_OPEN, READ).open("file.txt", rights=READ | WRITE)
    guest.call("fd_write", 4, IOVECS, 1, OUT).open("new", oflags=CREAT, rights=READ).call(
        "path_unlink_file", 3, "file.txt"
    )
    run = guest.run()
    assert run.errnos()[2:] == ["NOTCAPABLE"] * 3
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"


@BOTH_RIGHTS
def test_read_only_stays_read_only(yard: Yard, rights: str) -> None:
    """After renumbering, through a directory opened beneath, after asking for rights, by every way of writing."""
    guest = buffered(yard, "ro", rights=rights)
    guest.open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL).call("fd_renumber", 4, 3)
    guest.open("file.txt", rights=READ).call("fd_fdstat_set_rights", 4, ALL, ALL).call("fd_renumber", 4, 1)
    guest.call("fd_write", 1, IOVECS, 1, OUT).call("fd_pwrite", 1, IOVECS, 1, 0, OUT).call("fd_filestat_set_size", 1, 0)
    guest.call("fd_allocate", 1, 0, 100).call("fd_filestat_set_times", 1, 5, 5, 5).open("file.txt", rights=READ | WRITE)
    guest.open("new", oflags=CREAT, rights=READ).open("file.txt", oflags=TRUNC, rights=READ)
    guest.call("path_create_directory", 3, "new").call("path_unlink_file", 3, "file.txt")
    guest.call("path_remove_directory", 3, "deep").call("path_rename", 3, "file.txt", 3, "new")
    guest.call("path_link", 3, 0, "file.txt", 3, "new").call("path_symlink", "file.txt", 3, "new")
    guest.call("path_filestat_set_times", 3, 1, "file.txt", 5, 5, 5)
    before = picture(yard.inside)
    run = guest.run()
    assert run.errnos()[:3] == ["SUCCESS"] * 3
    assert run.errnos()[4] == "SUCCESS"
    assert not {"SUCCESS"} & {*run.errnos()[5:]}, run.run.trace.text()
    assert picture(yard.inside) == before
    assert all(run.run.trace["denied_by"][9:])


@KINDS
@pytest.mark.parametrize("size", [1, 23, 24, 25, 26, 4096])
def test_any_cookie_of_a_listing_comes_to_an_end(yard: Yard, kind: str, size: int) -> None:
    rng = random.Random(size)
    guest = buffered(yard, kind).open("file.txt")
    for cookie in (
        *range(7),
        1 << 31,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        (1 << 64) - 1,
        *(rng.getrandbits(64) for _ in range(20)),
    ):
        guest.call("fd_readdir", 3, BUFFER, size, cookie, OUT)
    run = guest.run()
    assert set(run.errnos()) == {"SUCCESS"}
    used = [int(run[n].result["bufused"]) for n in range(1, len(run.run.trace))]
    assert max(used) <= size
    assert used[:2] == [min(size, used[0])] * 2 or size == 4096
    assert set(used[7:]) == {0}


def test_a_listing_while_the_directory_changes_still_ends(yard: Yard) -> None:
    guest = buffered(yard)
    for number in range(20):
        guest.call("fd_readdir", 3, BUFFER, 60, number, OUT)
        guest.open(f"new{number}", oflags=CREAT, rights=WRITE).call(
            "path_unlink_file", 3, f"new{number - 1}" if number else "x"
        )
    run = guest.run()
    assert set(run.errnos()[::3]) == {"SUCCESS"}
    assert int(run[57].result["bufused"]) == 0


@KINDS
@BOTH_RIGHTS
def test_files_and_directories_are_not_interchangeable(yard: Yard, kind: str, rights: str) -> None:
    guest = buffered(yard, kind, rights=rights).open("file.txt").open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE)
    for name in ("fd_read", "fd_write"):
        guest.call(name, 3, IOVECS, 1, OUT).call(name, 5, IOVECS, 1, OUT)
    guest.call("fd_seek", 3, 0, 0, OUT).call("fd_allocate", 3, 0, 1).call("fd_filestat_set_size", 3, 0)
    guest.call("fd_pread", 3, IOVECS, 1, 0, OUT).call("fd_readdir", 4, BUFFER, 100, 0, OUT).open("x", fd=4)
    guest.call("path_create_directory", 4, "x").call("path_filestat_get", 4, 0, ".", OUT).open(
        "file.txt", oflags=DIRECTORY
    )
    guest.call("path_rename", 4, "a", 3, "b").call("path_link", 3, 0, "a", 4, "b").call("sock_accept", 4, 0, OUT)
    guest.call("sock_recv", 3, IOVECS, 1, 0, OUT, OUT + 8).call("sock_shutdown", 3, 1).open("sub", rights=READ | WRITE)
    guest.call("path_unlink_file", 3, "sub").call("path_remove_directory", 3, "file.txt").open(
        "sub", oflags=TRUNC, rights=READ
    )
    before = picture(yard.inside)
    run = guest.run()
    assert run.errnos()[:2] == ["SUCCESS"] * 2
    assert "SUCCESS" not in run.errnos()[2:], run.run.trace.text()
    assert picture(yard.inside) == before


@pytest.mark.parametrize("module", sorted(MODULES))
def test_prestat_of_what_was_not_preopened(yard: Yard, module: str) -> None:
    guest = yard.guest(grants=granted(yard), module=module).open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE)
    for number in (0, 1, 2, 4, 5):
        guest.call("fd_prestat_get", number, OUT).call("fd_prestat_dir_name", number, BUFFER, 64)
    guest.call("fd_prestat_dir_name", 3, BUFFER, 1).call("fd_prestat_dir_name", 3, BUFFER, 2)
    run = guest.run()
    assert "SUCCESS" not in run.errnos()[1:11]
    assert run.errnos()[11:] == ["NAMETOOLONG", "SUCCESS"]
