"""Tests of path_*, on directories in memory and of the host alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import BaseDirectory, BaseFile, FileType, OpenHow
from wasilab.capabilities.refusal import DeniedBy
from wasilab.wasi.types import Errno, Fstflags, Oflags, Rights

CREAT, DIRECTORY, EXCL, TRUNC = Oflags.CREAT, Oflags.DIRECTORY, Oflags.EXCL, Oflags.TRUNC
READ, WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)


@pytest.fixture
def tree(guest):
    """file (5 bytes), dir/inner, link -> file, dirlink -> dir, dangling -> nowhere."""
    guest.put("file", b"bytes")
    guest.do("path_create_directory", 3, "dir")
    guest.put("dir/inner", b"inner")
    guest.do("path_symlink", "file", 3, "link")
    guest.do("path_symlink", "dir", 3, "dirlink")
    guest.do("path_symlink", "nowhere", 3, "dangling")
    return guest


@pytest.mark.parametrize(
    ("path", "oflags", "rights", "follow", "code"),
    [
        ("file", 0, READ, 0, Errno.SUCCESS),
        ("./dir/../dir//inner", 0, READ, 0, Errno.SUCCESS),
        ("new", 0, READ, 0, Errno.NOENT),
        ("new", CREAT, WRITE, 0, Errno.SUCCESS),
        ("file", CREAT | EXCL, WRITE, 0, Errno.EXIST),
        ("dangling", CREAT | EXCL, WRITE, 1, Errno.EXIST),
        ("link", 0, READ, 0, Errno.LOOP),
        ("link", 0, READ, 1, Errno.SUCCESS),
        ("dangling", 0, READ, 1, Errno.NOENT),
        ("dir", 0, READ, 0, Errno.SUCCESS),
        ("dir", DIRECTORY, READ, 0, Errno.SUCCESS),
        ("dir/", 0, 0, 0, Errno.SUCCESS),
        (".", 0, 0, 0, Errno.SUCCESS),
        ("dir", 0, WRITE, 0, Errno.ISDIR),
        ("dir", DIRECTORY, READ | WRITE, 0, Errno.ISDIR),
        ("file", DIRECTORY, READ, 0, Errno.NOTDIR),
        ("file/", 0, READ, 0, Errno.NOTDIR),
        ("file/x", 0, READ, 0, Errno.NOTDIR),
        ("dirlink/inner", 0, READ, 0, Errno.SUCCESS),
        ("new", CREAT | DIRECTORY, READ, 0, Errno.INVAL),
        ("dir", DIRECTORY | TRUNC, READ, 0, Errno.INVAL),
        ("file", 16, READ, 0, Errno.INVAL),
        ("file", 0, READ, 2, Errno.INVAL),
        ("", 0, READ, 0, Errno.NOENT),
        ("a\0b", 0, READ, 0, Errno.INVAL),
        (b"\xff", 0, READ, 0, Errno.ILSEQ),
        ("n" * 256, 0, READ, 0, Errno.NAMETOOLONG),
        ("n/" * 2049, 0, READ, 0, Errno.NAMETOOLONG),
        ("..", 0, READ, 0, Errno.PERM),
        ("dir/../../file", 0, READ, 0, Errno.PERM),
        ("/file", 0, READ, 0, Errno.PERM),
    ],
)
def test_path_open(tree, path: str | bytes, oflags: int, rights: int, follow: int, code: Errno) -> None:
    answer = tree.call("path_open", 3, follow, path, oflags, rights, 0, 0)
    assert answer.errno == code
    if code == Errno.PERM:
        assert answer.denied_by == DeniedBy.PATH
        assert answer.reason
    if code == Errno.SUCCESS:
        assert answer.value == 4, "the smallest free number"
    else:
        assert set(tree.host.fds.entries) == {3}


def test_open_can_truncate_and_create_only_what_is_new(tree) -> None:
    tree.do("fd_close", tree.open("file", TRUNC, rights=WRITE))
    assert tree.get("file") == b""
    tree.do("fd_close", tree.open("fresh", CREAT | EXCL))
    assert tree.get("fresh") == b""


def test_an_opened_descriptor_knows_its_path_for_people(tree) -> None:
    tree.open("dir/../dir/./inner")
    assert tree.host.fds.entries[4].path == "/data/dir/inner"


@pytest.mark.parametrize(("path", "follow", "filetype", "size"), [
    ("file", 0, FileType.REGULAR_FILE, 5), ("link", 0, FileType.SYMBOLIC_LINK, 4),
    ("link", 1, FileType.REGULAR_FILE, 5), ("dir", 0, FileType.DIRECTORY, None),
    ("dirlink/", 0, FileType.DIRECTORY, None),
])  # fmt: skip
def test_filestat(tree, path: str, follow: int, filetype: FileType, size: int | None) -> None:
    stat = tree.do("path_filestat_get", 3, follow, path)
    assert stat.filetype == filetype
    assert size is None or stat.size == size
    assert stat.nlink >= 1


def test_set_times_of_a_file_and_of_a_link_itself(tree) -> None:
    both = Fstflags.ATIM | Fstflags.MTIM
    tree.do("path_filestat_set_times", 3, 0, "link", 1_000, 2_000, both)
    tree.do("path_filestat_set_times", 3, 1, "link", 3_000, 4_000, both)
    link, file = (tree.do("path_filestat_get", 3, follow, "link") for follow in (0, 1))
    assert (link.mtim, file.mtim) == (2_000, 4_000)
    assert tree.call("path_filestat_set_times", 3, 0, "file", 0, 0, 12).errno == Errno.INVAL
    assert tree.call("path_filestat_set_times", 3, 2, "file", 0, 0, 1).errno == Errno.INVAL


def test_a_hard_link_is_the_same_file(tree) -> None:
    tree.do("path_link", 3, 0, "file", 3, "dir/second")
    tree.put("dir/second", b"changed")
    assert tree.get("file") == b"changed"
    assert tree.do("path_filestat_get", 3, 0, "file").nlink == 2
    tree.do("path_unlink_file", 3, "file")
    assert tree.get("dir/second") == b"changed"


@pytest.mark.parametrize(
    ("old", "flags", "new", "code"),
    [
        ("file", 0, "dir", Errno.EXIST), ("dir", 0, "x", Errno.PERM), ("none", 0, "x", Errno.NOENT),
        ("file", 0, "x/", Errno.NOENT), ("file", 2, "x", Errno.INVAL), ("dangling", 1, "x", Errno.NOENT),
        ("file", 0, "../x", Errno.PERM), ("../file", 0, "x", Errno.PERM), ("dangling", 0, "x", Errno.SUCCESS),
        ("link", 1, "x", Errno.SUCCESS),
    ],
)  # fmt: skip
def test_path_link(tree, old: str, flags: int, new: str, code: Errno) -> None:
    assert tree.call("path_link", 3, flags, old, 3, new).errno == code


def test_path_link_follows_only_when_asked(tree) -> None:
    tree.do("path_link", 3, 0, "link", 3, "plain")
    tree.do("path_link", 3, 1, "link", 3, "followed")
    kinds = [tree.do("path_filestat_get", 3, 0, name).filetype for name in ("plain", "followed")]
    assert kinds == [FileType.SYMBOLIC_LINK, FileType.REGULAR_FILE]


def test_readlink_is_cut_to_the_buffer(tree) -> None:
    buffer = bytearray(b"........")
    assert tree.do("path_readlink", 3, "dangling", buffer) == 7
    assert bytes(buffer) == b"nowhere."
    short = bytearray(3)
    assert tree.do("path_readlink", 3, "dangling", short) == 3
    assert bytes(short) == b"now"
    assert tree.do("path_readlink", 3, "dangling", bytearray()) == 0
    assert tree.call("path_readlink", 3, "file", buffer).errno == Errno.INVAL
    assert tree.call("path_readlink", 3, "none", buffer).errno == Errno.NOENT


@pytest.mark.parametrize(
    ("target", "path", "code", "denied"),
    [
        ("/etc/passwd", "s", Errno.PERM, DeniedBy.PATH), ("x", "../s", Errno.PERM, DeniedBy.PATH),
        ("x", "file", Errno.EXIST, DeniedBy.NONE), ("x", "s/", Errno.NOENT, DeniedBy.NONE),
        ("", "s", Errno.NOENT, DeniedBy.NONE), ("a\0b", "s", Errno.INVAL, DeniedBy.NONE),
        (b"\xff", "s", Errno.ILSEQ, DeniedBy.NONE),
    ],
)  # fmt: skip
def test_path_symlink(tree, target: str, path: str, code: Errno, denied: DeniedBy) -> None:
    answer = tree.call("path_symlink", target, 3, path)
    assert (answer.errno, answer.denied_by) == (code, denied)


def test_a_link_that_leads_out_is_made_but_not_followed(tree) -> None:
    tree.do("path_symlink", "../outside", 3, "out")
    for call in (("path_open", 3, 1, "out", 0, READ, 0, 0), ("path_filestat_get", 3, 1, "out")):
        answer = tree.call(*call)
        assert (answer.errno, answer.denied_by) == (Errno.PERM, DeniedBy.PATH)


def test_rename_moves_and_replaces(tree) -> None:
    tree.do("path_rename", 3, "file", 3, "dir/inner")
    assert tree.get("dir/inner") == b"bytes"
    assert tree.call("path_filestat_get", 3, 0, "file").errno == Errno.NOENT
    sub = tree.open("dir", DIRECTORY, rights=(1 << 30) - 1 & ~WRITE)
    tree.do("path_rename", sub, "inner", 3, "back")
    assert tree.get("back") == b"bytes"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("none", "x", Errno.NOENT), ("file", "dir", Errno.ISDIR), ("dir", "file", Errno.NOTDIR),
        ("dir", "dir/sub", Errno.INVAL), (".", "x", Errno.BUSY), ("file", "../x", Errno.PERM),
        ("file", "x/", Errno.NOTDIR), ("empty", "dir", Errno.NOTEMPTY), ("empty", "other", Errno.SUCCESS),
    ],
)  # fmt: skip
def test_path_rename(tree, old: str, new: str, code: Errno) -> None:
    tree.do("path_create_directory", 3, "empty")
    assert tree.call("path_rename", 3, old, 3, new).errno == code


@pytest.mark.parametrize(
    ("call", "path", "code"),
    [
        ("path_create_directory", "file", Errno.EXIST), ("path_create_directory", "a/b", Errno.NOENT),
        ("path_create_directory", "new/", Errno.SUCCESS), ("path_remove_directory", "dir", Errno.NOTEMPTY),
        ("path_remove_directory", "file", Errno.NOTDIR), ("path_remove_directory", "dirlink", Errno.NOTDIR),
        ("path_remove_directory", "none", Errno.NOENT), ("path_unlink_file", "dir", Errno.ISDIR),
        ("path_unlink_file", "none", Errno.NOENT), ("path_unlink_file", "link", Errno.SUCCESS),
        ("path_unlink_file", "file/", Errno.NOTDIR), ("path_unlink_file", "../x", Errno.PERM),
    ],
)  # fmt: skip
def test_names_are_made_and_removed(tree, call: str, path: str, code: Errno) -> None:
    assert tree.call(call, 3, path).errno == code
    if path == "link":
        assert tree.get("file") == b"bytes", "the link goes, not what it names"


def test_rename_and_link_between_two_kinds_is_xdev(make_guest, tmp_path: Path) -> None:
    guest = make_guest({"/mem": MemDir({"a": "A"}), "/host": HostDir(tmp_path, "rw")})
    assert guest.call("path_rename", 3, "a", 4, "a").errno == Errno.XDEV
    assert guest.call("path_link", 3, 0, "a", 4, "a").errno == Errno.XDEV
    assert os.listdir(tmp_path) == []


def test_nothing_is_created_when_the_table_is_full(make_guest) -> None:
    folder = MemDir()
    guest = make_guest({"/": folder}, max_fds=1)
    answer = guest.call("path_open", 3, 0, "new", CREAT, WRITE, 0, 0)
    assert (answer.errno, answer.denied_by) == (Errno.MFILE, DeniedBy.QUOTA)
    assert folder.list() == []


def test_a_late_failure_of_opening_closes_what_was_opened(make_guest) -> None:
    closed = []

    class Odd(BaseFile):
        filetype = FileType.DIRECTORY  # a "directory" that lets itself be opened for writing

        def close(self) -> None:
            closed.append(self)

    class Folder(BaseDirectory):
        writable = True

        def open(self, path: str, how: OpenHow) -> Odd:  # type: ignore[override]
            return Odd()

    guest = make_guest({"/": Folder()})
    assert guest.call("path_open", 3, 0, "x", 0, WRITE, 0, 0).errno == Errno.ISDIR
    assert len(closed) == 1


def test_the_flags_of_an_opening_reach_the_directory(make_guest) -> None:
    asked: list[OpenHow] = []

    class Folder(BaseDirectory):
        writable = True

        def open(self, path: str, how: OpenHow) -> BaseFile:
            asked.append(how)
            return BaseFile()

    guest = make_guest({"/": Folder()})
    fd = guest.open("x", CREAT | EXCL | TRUNC, rights=READ | WRITE, fdflags=31, follow=1)
    assert asked == [
        OpenHow(
            True, True, True, True, True, False, True, append=True, nonblock=True, dsync=True, rsync=True, sync=True
        )
    ]
    assert guest.do("fd_fdstat_get", fd).flags == 31
