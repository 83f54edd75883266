"""Paths that try to leave the grant: every one refused, with the reason in the trace and the outside untouched."""

from __future__ import annotations

import os
import socket

import pytest

from wasilab.capabilities.refusal import DeniedBy

from .conftest import SECRET, Yard
from .guests import ALL, CREAT, DIRECTORY, FOLLOW, OUT, READ, TRUNC, WRITE

BUFFER = 2048

ESCAPES = [
    "..",
    "../outside/secret.txt",
    "sub/../../outside/secret.txt",
    "sub/deep/../../../outside/secret.txt",
    "./../outside/secret.txt",
    "sub//..//..//outside/secret.txt",
    "../inside/file.txt",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "/inside/file.txt",
    "/proc/self/root/etc/passwd",
]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_opening_a_path_that_leaves_the_directory_is_refused(yard: Yard, path: str, raw: bool) -> None:
    guest = yard.guest(raw=raw).open(path)
    guest.run().assert_answered("PERM").assert_refused(DeniedBy.PATH, repr(path)[1:8])


@pytest.mark.parametrize("path", ["../outside/secret.txt", "/etc/passwd", "sub/../../outside/x"])
@pytest.mark.parametrize(
    "call",
    [
        "stat",
        "times",
        "mkdir",
        "rmdir",
        "unlink",
        "readlink",
        "symlink",
        "rename from",
        "rename to",
        "link from",
        "link to",
    ],
)
def test_every_path_call_refuses_a_path_that_leaves_the_directory(yard: Yard, call: str, path: str) -> None:
    guest = yard.guest()
    if call == "stat":
        guest.call("path_filestat_get", 3, FOLLOW, path, BUFFER)
    elif call == "times":
        guest.call("path_filestat_set_times", 3, FOLLOW, path, 1, 1, 5)
    elif call in ("mkdir", "rmdir", "unlink"):
        name = {"mkdir": "path_create_directory", "rmdir": "path_remove_directory", "unlink": "path_unlink_file"}[call]
        guest.call(name, 3, path)
    elif call == "readlink":
        guest.call("path_readlink", 3, path, BUFFER, 100, OUT)
    elif call == "symlink":
        guest.call("path_symlink", "file.txt", 3, path)
    elif call == "rename from":
        guest.call("path_rename", 3, path, 3, "mine.txt")
    elif call == "rename to":
        guest.call("path_rename", 3, "file.txt", 3, path)
    elif call == "link from":
        guest.call("path_link", 3, 0, path, 3, "mine.txt")
    else:
        guest.call("path_link", 3, 0, "file.txt", 3, path)
    guest.run().assert_answered("PERM").assert_refused(DeniedBy.PATH, "")
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"
    assert not (yard.inside / "mine.txt").exists()


LINKS = {
    "to the file": "../outside/secret.txt",
    "to its folder": "../outside",
    "absolute": "/etc",
    "through proc": "/proc/self/root",
    "to the parent": "..",
    "with a slash": "../outside/",
    "by a chain": "step",
    "of dots": "sub/../../outside",
}


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("tail", ["", "/", "/.", "/secret.txt", "/../outside/secret.txt"])
def test_a_link_on_the_host_that_leaves_the_directory_is_not_followed(yard: Yard, kind: str, tail: str) -> None:
    os.symlink("../outside", yard.inside / "step")
    os.symlink(LINKS[kind], yard.inside / "link")
    guest = yard.guest()
    for rights in (READ, READ | WRITE):
        guest.open("link" + tail, rights=rights)
    guest.call("fd_read", 4, 64, 1, OUT).iovec(64, (BUFFER, 100))
    judged = guest.run()
    assert set(judged.errnos()[:2]) <= {"PERM", "NOTDIR", "LOOP", "NOENT"}, judged.run.trace.text()
    assert judged.errnos()[2] == "BADF"
    assert not judged.sees(SECRET)


@pytest.mark.parametrize("oflags", [CREAT, CREAT | TRUNC, TRUNC])
def test_creating_through_a_dangling_link_makes_nothing_outside(yard: Yard, oflags: int) -> None:
    os.symlink("../outside/new.txt", yard.inside / "dangling")
    guest = yard.guest().open("dangling", oflags=oflags, rights=READ | WRITE)
    guest.run().assert_answered("PERM").assert_refused(DeniedBy.PATH, "dangling")


@pytest.mark.parametrize("call", ["path_create_directory", "path_remove_directory", "path_unlink_file"])
@pytest.mark.parametrize("path", ["link/", "link/new", "link/folder"])
def test_changing_things_through_a_link_that_leaves_is_refused(yard: Yard, call: str, path: str) -> None:
    os.symlink("../outside", yard.inside / "link")
    judged = yard.guest().call(call, 3, path).run()
    assert judged.errnos()[0] in ("PERM", "NOTDIR", "EXIST", "ISDIR", "LOOP")


def test_a_link_made_by_the_guest_must_stay_relative(yard: Yard) -> None:
    guest = yard.guest().call("path_symlink", "/etc/passwd", 3, "absolute")
    guest.run().assert_answered("PERM").assert_refused(DeniedBy.PATH, "/etc/passwd")
    assert not (yard.inside / "absolute").is_symlink()


def test_a_link_that_the_guest_makes_to_the_outside_leads_nowhere(yard: Yard) -> None:
    guest = yard.guest().call("path_symlink", "../outside/secret.txt", 3, "made").open("made")
    judged = guest.run()
    assert judged.errnos()[-1] == "PERM"
    judged.assert_refused(DeniedBy.PATH, "")


def test_the_text_of_an_absolute_link_is_refused(yard: Yard) -> None:
    os.symlink(str(yard.outside), yard.inside / "absolute")
    guest = yard.guest().call("path_readlink", 3, "absolute", BUFFER, 500, OUT)
    judged = guest.run().assert_answered("PERM").assert_refused(DeniedBy.PATH, "absolute")
    assert not judged.sees(b"outside")


def test_endless_links_end(yard: Yard) -> None:
    os.symlink("b", yard.inside / "a")
    os.symlink("a", yard.inside / "b")
    for depth in range(45):
        os.symlink(f"chain{depth + 1}" if depth < 44 else "file.txt", yard.inside / f"chain{depth}")
    yard.guest().open("a").open("a/x").open("chain0").run().assert_answered("LOOP", "LOOP", "LOOP")


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        (b"a\0b", "INVAL"),
        (b"\0", "INVAL"),
        (b"\xff\xfe", "ILSEQ"),
        (b"\xed\xa0\x80", "ILSEQ"),
        (b"\xc0\xae\xc0\xae/outside", "ILSEQ"),
        (b"n" * 256, "NAMETOOLONG"),
        (b"d/" * 2100, "NAMETOOLONG"),
        (b"", "NOENT"),
    ],
    ids=["nul", "only nul", "no utf-8", "surrogate", "overlong dots", "long name", "long path", "empty"],
)
def test_a_name_that_cannot_be_one_is_refused(yard: Yard, path: bytes, errno: str) -> None:
    yard.guest().open(path).call("path_create_directory", 3, path).run().assert_answered(errno, errno)


def test_a_backslash_and_a_colon_are_letters(yard: Yard) -> None:
    run = yard.guest().open("..\\outside\\secret.txt").open("C:\\x").open("file.txt:stream").run()
    run.assert_answered(*["NOENT"] * 3)


def test_a_trailing_slash_does_not_follow_a_link_to_a_file(yard: Yard) -> None:
    os.symlink("file.txt", yard.inside / "link")
    judged = yard.guest().open("link/").open("link/", follow=0).open("file.txt/").run()
    assert judged.errnos() == ["NOTDIR"] * 3


def test_a_final_link_is_not_followed_unless_asked(yard: Yard) -> None:
    os.symlink("file.txt", yard.inside / "link")
    yard.guest().open("link", follow=0).open("link").run().assert_answered("LOOP", "SUCCESS")


@pytest.mark.parametrize("how", ["unlink", "rename", "rename over"])
def test_acting_on_a_link_acts_on_the_link_and_not_its_target(yard: Yard, how: str) -> None:
    os.symlink("../outside/secret.txt", yard.inside / "link")
    guest = yard.guest()
    if how == "unlink":
        guest.call("path_unlink_file", 3, "link")
    elif how == "rename":
        guest.call("path_rename", 3, "link", 3, "elsewhere")
    else:
        guest.call("path_rename", 3, "file.txt", 3, "link")
    guest.run().assert_answered("SUCCESS")
    assert not (yard.inside / "link").is_symlink()


def test_a_file_cannot_be_carried_from_a_read_only_grant_into_a_writable_one(yard: Yard) -> None:
    import wasilab

    (yard.base / "work").mkdir()
    grants = wasilab.Grants(
        dirs={
            "/ro": wasilab.HostDir(str(yard.outside)),
            "/rw": wasilab.HostDir(str(yard.inside), "rw"),
        }
    )
    guest = yard.guest(grants=grants)
    guest.call("path_link", 3, 0, "secret.txt", 4, "linked").call("path_rename", 3, "secret.txt", 4, "moved")
    guest.call("path_rename", 4, "file.txt", 3, "moved")
    judged = guest.run()
    assert set(judged.errnos()) <= {"NOTCAPABLE", "PERM"}
    assert not (yard.inside / "linked").exists()
    assert (yard.inside / "file.txt").exists()


@pytest.mark.parametrize("mode", ["strict", "compat"])
@pytest.mark.parametrize(
    "call", ["create", "truncate", "write", "mkdir", "unlink", "times", "symlink", "rename", "link"]
)
def test_a_read_only_grant_stays_as_it_is(yard: Yard, call: str, mode: str) -> None:
    import wasilab

    from .conftest import picture

    grants = wasilab.Grants(dirs={"/in": wasilab.HostDir(str(yard.inside))}, rights=mode)  # type: ignore[arg-type]
    guest = yard.guest(grants=grants)
    if call == "create":
        guest.open("new.txt", oflags=CREAT, rights=ALL)
    elif call == "truncate":
        guest.open("file.txt", oflags=TRUNC, rights=ALL)
    elif call == "write":
        guest.open("file.txt", rights=READ | WRITE).call("fd_write", 4, 64, 1, OUT).iovec(64, (BUFFER, 10))
    elif call == "mkdir":
        guest.call("path_create_directory", 3, "new")
    elif call == "unlink":
        guest.call("path_unlink_file", 3, "file.txt")
    elif call == "times":
        guest.call("path_filestat_set_times", 3, FOLLOW, "file.txt", 1, 1, 5)
    elif call == "symlink":
        guest.call("path_symlink", "file.txt", 3, "link")
    elif call == "rename":
        guest.call("path_rename", 3, "file.txt", 3, "other.txt")
    else:
        guest.call("path_link", 3, 0, "file.txt", 3, "other.txt")
    before = picture(yard.inside)
    judged = guest.run()
    assert judged.errnos()[-1] in ("NOTCAPABLE", "PERM", "BADF", "ROFS"), judged.run.trace.text()
    assert any(judged.run.trace["denied_by"])
    assert picture(yard.inside) == before


@pytest.mark.parametrize("kind", ["fifo", "socket", "device by link", "tty by link"])
def test_a_special_file_is_refused_without_being_opened(yard: Yard, kind: str) -> None:
    path = yard.inside / "special"
    listening = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(yard.inside)  # a socket's path has at most 108 bytes
        try:
            listening.bind("special")
        finally:
            os.chdir(here)
    else:
        os.symlink("/dev/zero" if kind.startswith("device") else "/dev/tty", path)
    guest = yard.guest(limits=__import__("wasilab").Limits(seconds=20))
    for rights in (READ, WRITE, READ | WRITE):
        guest.open("special", rights=rights)
    judged = guest.run()
    listening.close()
    assert judged.run.outcome.kind == "exit", judged.run.outcome
    assert "SUCCESS" not in judged.errnos()
    assert all(judged.run.trace["denied_by"])


def test_a_device_node_in_the_grant_is_refused(yard: Yard) -> None:
    try:
        os.mknod(yard.inside / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        os.symlink("/dev/null", yard.inside / "null")
    judged = yard.guest().open("null", rights=READ | WRITE).open("null", oflags=DIRECTORY).run()
    assert "SUCCESS" not in judged.errnos()


@pytest.mark.procfs
def test_a_grant_of_proc_is_refused_when_it_is_made() -> None:
    import wasilab

    with pytest.raises(ValueError, match="/proc"):
        wasilab.HostDir("/proc/self")


def test_a_granted_folder_that_is_replaced_by_a_link_is_not_left(yard: Yard) -> None:
    """Names are changed in the folder that was granted, wherever it is now, and not in what its path leads to."""
    guest = yard.guest().open("new", oflags=CREAT, rights=ALL).call("path_create_directory", 3, "folder")
    guest.call("path_symlink", "new", 3, "link").call("path_rename", 3, "new", 3, "renamed")
    guest.call("path_rename", 3, "renamed", 3, "file.txt").call("path_unlink_file", 3, "link")
    guest.call("path_create_directory", 3, "gone").call("path_remove_directory", 3, "gone")
    guest.call("fd_filestat_set_size", 4, 3).call("path_filestat_get", 3, 0, "file.txt", OUT)
    moved = yard.base / "moved"
    yard.inside.rename(moved)
    os.symlink(yard.outside, yard.inside)
    try:
        guest.run().assert_answered(*["SUCCESS"] * 10)
        assert {"folder", "file.txt"} <= set(os.listdir(moved))
        assert not {"new", "link", "renamed", "gone"} & set(os.listdir(moved))
        assert (moved / "file.txt").stat().st_size == 3
    finally:
        yard.inside.unlink()
        moved.rename(yard.inside)
