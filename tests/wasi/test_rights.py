"""Tests of the rights model, strict and compat."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.streams import BytesInput, CallbackOutput
from wasilab.wasi import rights as r
from wasilab.wasi.types import Errno, Oflags, Rights

READ, WRITE, SEEK, TELL = (int(x) for x in (Rights.FD_READ, Rights.FD_WRITE, Rights.FD_SEEK, Rights.FD_TELL))
EVERYTHING = 2**64 - 1

# Each right of a file with a call that it allows.
FILE_CALLS = {
    Rights.FD_READ: ("fd_read", [bytearray(1)]),
    Rights.FD_WRITE: ("fd_write", [b"x"]),
    Rights.FD_SEEK: ("fd_seek", 1, 0),
    Rights.FD_TELL: ("fd_tell",),
    Rights.FD_SYNC: ("fd_sync",),
    Rights.FD_DATASYNC: ("fd_datasync",),
    Rights.FD_ADVISE: ("fd_advise", 0, 0, 0),
    Rights.FD_ALLOCATE: ("fd_allocate", 0, 1),
    Rights.FD_FILESTAT_GET: ("fd_filestat_get",),
    Rights.FD_FILESTAT_SET_SIZE: ("fd_filestat_set_size", 0),
    Rights.FD_FILESTAT_SET_TIMES: ("fd_filestat_set_times", 0, 0, 1),
    Rights.FD_FDSTAT_SET_FLAGS: ("fd_fdstat_set_flags", 1),
}
DIRECTORY_CALLS = {
    Rights.PATH_CREATE_DIRECTORY: ("path_create_directory", "new"),
    Rights.PATH_OPEN: ("path_open", 0, "file", 0, 0, 0, 0),
    Rights.FD_READDIR: ("fd_readdir", bytearray(100), 0),
    Rights.PATH_READLINK: ("path_readlink", "link", bytearray(9)),
    Rights.PATH_FILESTAT_GET: ("path_filestat_get", 0, "file"),
    Rights.PATH_FILESTAT_SET_TIMES: ("path_filestat_set_times", 0, "file", 0, 0, 1),
    Rights.PATH_REMOVE_DIRECTORY: ("path_remove_directory", "dir"),
    Rights.PATH_UNLINK_FILE: ("path_unlink_file", "link"),
    Rights.FD_FILESTAT_GET: ("fd_filestat_get",),
    Rights.FD_FILESTAT_SET_TIMES: ("fd_filestat_set_times", 0, 0, 1),
    Rights.FD_SYNC: ("fd_sync",),
}


def folder() -> MemDir:
    directory = MemDir({"file": "bytes", "dir": {}})
    directory.symlink("file", "link")
    return directory


@pytest.mark.parametrize("right", FILE_CALLS, ids=lambda right: right.name.lower())
def test_a_file_needs_exactly_its_right(make_guest, right: Rights) -> None:
    guest = make_guest({"/": folder()})
    name, *args = FILE_CALLS[right]
    needed = int(right) | (WRITE if right & r.WRITING else 0)
    assert guest.call(name, guest.open("file", rights=needed), *args).errno == Errno.SUCCESS
    answer = guest.call(name, guest.open("file", rights=r.FILE & ~int(right) & ~(SEEK if right == TELL else 0)), *args)
    assert (answer.errno, answer.denied_by) == (Errno.NOTCAPABLE, DeniedBy.RIGHT)
    assert right.name.lower() in answer.reason
    assert "'/file'" in answer.reason


@pytest.mark.parametrize("right", DIRECTORY_CALLS, ids=lambda right: right.name.lower())
def test_a_directory_needs_exactly_its_right(make_guest, right: Rights) -> None:
    guest = make_guest({"/": folder()})
    name, *args = DIRECTORY_CALLS[right]
    assert guest.call(name, guest.open(".", rights=r.DIRECTORY & ~int(right)), *args).errno == Errno.NOTCAPABLE
    assert guest.call(name, guest.open(".", rights=int(right)), *args).errno == Errno.SUCCESS


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [(True, True, Errno.SUCCESS), (False, True, Errno.NOTCAPABLE), (True, False, Errno.NOTCAPABLE)],
)
@pytest.mark.parametrize("what", ["link", "rename"])
def test_link_and_rename_need_one_right_on_each_side(make_guest, what, source, target, code) -> None:
    guest = make_guest({"/": folder()})
    first, second = Rights[f"PATH_{what.upper()}_SOURCE"], Rights[f"PATH_{what.upper()}_TARGET"]
    old = guest.open(".", rights=r.DIRECTORY & ~(0 if source else int(first)))
    new = guest.open(".", rights=r.DIRECTORY & ~(0 if target else int(second)))
    flags = (0,) if what == "link" else ()
    assert guest.call(f"path_{what}", old, *flags, "file", new, "moved").errno == code


def test_seek_implies_tell_and_tell_allows_seeking_by_nothing(make_guest) -> None:
    guest = make_guest({"/": folder()})
    seeker, teller = guest.open("file", rights=SEEK), guest.open("file", rights=TELL)
    assert guest.do("fd_tell", seeker) == 0
    assert guest.do("fd_seek", teller, 0, 1) == 0
    for offset, whence in ((1, 1), (0, 0), (0, 2)):
        assert guest.call("fd_seek", teller, offset, whence).errno == Errno.NOTCAPABLE


def test_positioned_reads_and_writes_also_need_seek(make_guest) -> None:
    guest = make_guest({"/": folder()})
    fd = guest.open("file", rights=READ | WRITE)
    assert guest.call("fd_pread", fd, [bytearray(1)], 0).errno == Errno.NOTCAPABLE
    assert guest.call("fd_pwrite", fd, [b"x"], 0).errno == Errno.NOTCAPABLE
    assert guest.do("fd_pread", guest.open("file", rights=READ | SEEK), [bytearray(1)], 0) == 1


def test_creating_and_truncating_need_a_right_on_the_directory(make_guest) -> None:
    guest = make_guest({"/": folder()})
    create, size = int(Rights.PATH_CREATE_FILE), int(Rights.PATH_FILESTAT_SET_SIZE)
    without = guest.open(".", rights=r.DIRECTORY & ~create & ~size)
    for oflags, name in ((Oflags.CREAT, "path_create_file"), (Oflags.TRUNC, "path_filestat_set_size")):
        answer = guest.call("path_open", without, 0, "file", oflags, 0, 0, 0)
        assert answer.errno == Errno.NOTCAPABLE
        assert name in answer.reason


def test_an_opened_file_has_the_requested_rights_masked_by_the_inheriting_set(make_guest) -> None:
    guest = make_guest({"/": folder()})
    limited = guest.open(".", rights=r.DIRECTORY, inheriting=READ | SEEK | int(Rights.FD_READDIR | Rights.PATH_OPEN))
    fd = guest.open("file", rights=EVERYTHING, inheriting=EVERYTHING, fd=limited)
    stat = guest.do("fd_fdstat_get", fd)
    assert stat.rights_base == READ | SEEK
    sub = guest.open("dir", rights=EVERYTHING, inheriting=EVERYTHING, fd=limited)
    stat = guest.do("fd_fdstat_get", sub)
    assert stat.rights_base == Rights.FD_READDIR | Rights.PATH_OPEN
    assert stat.rights_inheriting == READ | SEEK | Rights.FD_READDIR | Rights.PATH_OPEN


def test_rights_only_shrink(make_guest) -> None:
    guest = make_guest({"/": folder()})
    fd = guest.open("file", rights=READ | WRITE | SEEK, inheriting=READ)
    guest.do("fd_fdstat_set_rights", fd, READ, 0)
    assert guest.do("fd_fdstat_get", fd)[2:] == (READ, 0)
    assert guest.call("fd_write", fd, [b"x"]).errno == Errno.NOTCAPABLE
    assert guest.call("fd_tell", fd).errno == Errno.NOTCAPABLE
    for base, inheriting in ((READ | WRITE, 0), (READ, READ), (1 << 40 | READ, 0)):
        answer = guest.call("fd_fdstat_set_rights", fd, base, inheriting)
        assert (answer.errno, answer.denied_by) == (Errno.NOTCAPABLE, DeniedBy.RIGHT)
    guest.do("fd_fdstat_set_rights", fd, READ, 0)


@pytest.mark.parametrize("kind", ["memory", "host"])
@pytest.mark.parametrize(("rights", "code"), [("strict", Errno.NOTCAPABLE), ("compat", Errno.PERM)])
def test_a_read_only_grant_refuses_every_change_and_says_it_is_the_grant(
    make_guest, tmp_path: Path, kind, rights, code
):
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to("file")
    read_only = HostDir(tmp_path) if kind == "host" else MemDir({"file": "bytes", "dir": {}}, mode="ro")
    guest = make_guest({"/data": read_only, "/out": MemDir()}, rights=rights)
    changes = [
        ("path_open", 3, 0, "file", 0, WRITE, 0, 0),
        ("path_open", 3, 0, "file", Oflags.TRUNC, READ, 0, 0),
        ("path_open", 3, 0, "new", Oflags.CREAT, READ, 0, 0),
        ("path_create_directory", 3, "new"),
        ("path_remove_directory", 3, "dir"),
        ("path_unlink_file", 3, "file"),
        ("path_symlink", "file", 3, "new"),
        ("path_link", 3, 0, "file", 3, "new"),
        ("path_link", 3, 0, "file", 4, "new"),
        ("path_rename", 3, "file", 3, "new"),
        ("path_rename", 3, "file", 4, "new"),
        ("path_filestat_set_times", 3, 0, "file", 0, 0, 1),
        ("fd_filestat_set_times", 3, 0, 0, 1),
    ]
    for change in changes:
        answer = guest.call(*change)
        assert (answer.errno, answer.denied_by) == (code, DeniedBy.GRANT), change
        assert "read-only" in answer.reason, change
    assert sorted(entry.name for entry in read_only.list()) in (["dir", "file"], ["dir", "file", "link"])
    assert guest.get("file") == b"bytes"


def test_opening_for_writing_in_a_read_only_grant_is_refused_with_the_reason(make_guest) -> None:
    """wasi-libc masks its request by the inheriting set: the write must still be visible in it, to be refused."""
    guest = make_guest({"/data": MemDir({"file": "x"}, mode="ro")})
    inheriting = guest.do("fd_fdstat_get", 3).rights_inheriting
    wanted = (READ | WRITE | SEEK) & inheriting
    answer = guest.call("path_open", 3, 0, "file", 0, wanted, inheriting, 0)
    assert answer.errno == Errno.NOTCAPABLE
    assert "opened for writing" in answer.reason


def test_a_sub_directory_of_a_read_only_grant_is_read_only(make_guest) -> None:
    guest = make_guest({"/data": MemDir({"dir": {"file": "x"}}, mode="ro")})
    sub = guest.open("dir", Oflags.DIRECTORY, rights=EVERYTHING & ~WRITE)
    for change in (("path_unlink_file", sub, "file"), ("path_open", sub, 0, "file", 0, WRITE, 0, 0)):
        answer = guest.call(*change)
        assert (answer.errno, answer.denied_by) == (Errno.NOTCAPABLE, DeniedBy.GRANT)


@pytest.mark.parametrize("rights", ["strict", "compat"])
def test_a_call_that_makes_no_sense_for_the_type_has_the_errno_of_the_type(make_guest, rights: str) -> None:
    guest = make_guest({"/": folder()}, stdout=CallbackOutput(lambda data: None), rights=rights)
    fd = guest.open("file", rights=READ)
    for call in (
        ("path_open", fd, 0, "x", 0, 0, 0, 0),
        ("fd_readdir", fd, bytearray(9), 0),
        ("path_unlink_file", fd, "x"),
    ):
        assert guest.call(*call).errno == Errno.NOTDIR, call
    for other in (fd, 3, 1):
        for call in (("sock_shutdown", other, 1), ("sock_accept", other, 0)):
            assert guest.call(*call).errno == Errno.NOTSOCK, call


@pytest.mark.parametrize(("rights", "code"), [("strict", Errno.NOTCAPABLE), ("compat", Errno.BADF)])
def test_a_directory_cannot_be_read_or_written(make_guest, rights: str, code: Errno) -> None:
    guest = make_guest({"/": folder()}, rights=rights)
    for name, *args in (FILE_CALLS[x] for x in (Rights.FD_READ, Rights.FD_WRITE, Rights.FD_SEEK, Rights.FD_TELL)):
        assert guest.call(name, 3, *args).errno == code


def test_compat_counts_only_reading_and_writing(make_guest) -> None:
    guest = make_guest({"/": folder()}, rights="compat")
    fd = guest.open("file", rights=READ, inheriting=0)
    assert guest.do("fd_seek", fd, 1, 0) == 1
    assert guest.do("fd_filestat_get", fd).size == 5
    assert guest.call("fd_write", fd, [b"x"]).errno == Errno.BADF
    writer = guest.open("file", rights=WRITE)
    assert guest.call("fd_read", writer, [bytearray(1)]).errno == Errno.BADF
    sub = guest.open("dir", rights=0, inheriting=0)
    guest.put("made", b"1", fd=sub)
    assert guest.get("made", fd=sub) == b"1"
    assert guest.call("fd_fdstat_set_rights", fd, 0, 0).errno == Errno.NOTSUP


def test_a_stream_has_the_direction_it_was_given_for(make_guest) -> None:
    out: list[bytes] = []
    for rights, code in (("strict", Errno.NOTCAPABLE), ("compat", Errno.BADF)):
        guest = make_guest(stdin=BytesInput(b"x"), stdout=CallbackOutput(out.append), rights=rights)
        assert guest.call("fd_write", 0, [b"x"]).errno == code
        assert guest.call("fd_read", 1, [bytearray(1)]).errno == code
    assert guest.call("fd_tell", 0).errno == Errno.SPIPE, "compat: the stream itself says it"


def test_the_allowed_rights_of_each_mode() -> None:
    assert r.allowed(SEEK, 4, strict=True) == SEEK | TELL
    assert r.allowed(0, 4, strict=True) == 0
    assert not r.allowed(READ, 4, strict=False) & WRITE
    assert not r.allowed(READ | WRITE, 3, strict=False) & (READ | WRITE | SEEK)
    assert r.names(READ | SEEK) == "fd_read, fd_seek"


def test_a_right_that_no_grant_could_give_is_not_a_refusal() -> None:
    from wasilab.capabilities.refusal import DeniedBy
    from wasilab.capabilities.streams import EmptyInput
    from wasilab.wasi.errnos import Errno, WasiError
    from wasilab.wasi.host import Host
    from wasilab.wasi.types import Rights

    host = Host(stdin=EmptyInput())
    with pytest.raises(WasiError) as caught:
        host.check(host.fds.entries[0], int(Rights.FD_SEEK))
    assert (caught.value.errno, caught.value.denied_by) == (Errno.NOTCAPABLE, DeniedBy.NONE)
    assert "which a stream never has" in caught.value.reason
