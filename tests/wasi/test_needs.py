"""Tests of `Need`: every refusal that a grant could lift says, as a value, which grant that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir, Symlink
from wasilab.capabilities.patterns import attenuate, quota, read_only, revocable
from wasilab.capabilities.random import Random
from wasilab.capabilities.refusal import DeniedBy, Need, NeedKind
from wasilab.wasi.types import Errno, Oflags, Rights

READ, WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)
CREATE = int(Oflags.CREAT)


@pytest.fixture(params=["memory", "host"])
def looked_at(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A directory granted read-only that holds "file", of each kind."""
    (tmp_path / "file").write_text("text")
    return read_only(MemDir({"file": "text"})) if request.param == "memory" else HostDir(tmp_path)


@pytest.mark.parametrize("rights", ["strict", "compat"])
@pytest.mark.parametrize("guest", ["/data", "photos[1]", "N", "HOSTING", "a, b", "/"])
def test_a_read_only_folder_needs_to_be_writable_under_its_own_name(make_guest, looked_at, guest, rights) -> None:
    answer = make_guest({guest: looked_at}, rights=rights).call("path_open", 3, 0, "new", CREATE, WRITE, 0, 0)
    assert (answer.denied_by, answer.need) == (DeniedBy.GRANT, Need(NeedKind.WRITE, guest))


def test_an_open_file_names_the_folder_that_it_came_from(make_guest, looked_at) -> None:
    guest = make_guest({"/other": MemDir(), "/data": looked_at}, rights="compat")
    opened = guest.open("file", rights=READ, fd=4)
    answer = guest.call("fd_filestat_set_times", opened, 1, 0, 2)
    assert (answer.denied_by, answer.need) == (DeniedBy.GRANT, Need(NeedKind.WRITE, "/data"))


@pytest.mark.parametrize("rights", ["strict", "compat"])
@pytest.mark.parametrize("call", ["path_rename", "path_link"])
def test_of_two_directories_the_one_that_refused_is_named(make_guest, looked_at, rights, call) -> None:
    guest = make_guest({"/from": MemDir({"file": "text"}), "/to": looked_at}, rights=rights)
    middle = (0,) if call == "path_link" else ()
    for name in ("new", "file"):  # the same name on both sides as well
        answer = guest.call(call, 3, *middle, "file", 4, name)
        assert answer.need == Need(NeedKind.WRITE, "/to"), (name, answer)


@pytest.mark.parametrize(
    ("guest", "path", "needed"),
    [
        ("/data", "../secret/x", "/data/../secret/x"),
        ("/data", "a/../../secret", "/data/a/../../secret"),
        ("/", "../x", "/../x"),
        (".", "../x", "../x"),
    ],
)
def test_a_path_that_leaves_needs_a_folder_named_as_the_program_wrote(make_guest, guest, path, needed) -> None:
    answer = make_guest({guest: MemDir({"a": {}})}).call("path_open", 3, 0, path, 0, READ, 0, 0)
    assert (answer.denied_by, answer.need) == (DeniedBy.PATH, Need(NeedKind.DIRECTORY, needed))


def test_an_absolute_path_needs_nothing_that_could_be_granted(make_guest) -> None:
    answer = make_guest({"/etc": MemDir({"passwd": "x"})}).call("path_open", 3, 0, "/etc/passwd", 0, READ, 0, 0)
    assert (answer.denied_by, answer.need) == (DeniedBy.PATH, None)


def test_the_second_path_of_a_rename_is_taken_from_its_own_directory(make_guest, tmp_path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "other").mkdir()
    folders = {"/from": HostDir(tmp_path, mode="rw"), "/a/b": HostDir(tmp_path / "other", mode="rw")}
    answer = make_guest(folders).call("path_rename", 3, "file", 4, "../x")
    assert answer.need == Need(NeedKind.DIRECTORY, "/a/b/../x")


def test_a_link_that_leads_out_needs_a_folder_above(make_guest) -> None:
    answer = make_guest({"/data": MemDir({"up": Symlink("../x")})}).call("path_open", 3, 1, "up", 0, READ, 0, 0)
    assert (answer.denied_by, answer.need) == (DeniedBy.PATH, Need(NeedKind.ABOVE))


def test_a_withheld_right_is_named_and_nothing_of_the_guests_words(make_guest) -> None:
    names = Rights.PATH_UNLINK_FILE | Rights.FD_READDIR
    guest = make_guest({"/data": MemDir({"file": "text"})}, withheld={"/data": int(names)})
    answer = guest.call("path_unlink_file", 3, "the right fd_read, which its grant withholds")
    assert answer.need == Need(NeedKind.RIGHTS, "/data", ("path_unlink_file",))
    answer = guest.call("fd_fdstat_set_rights", 3, int(names), 0)
    assert answer.need == Need(NeedKind.RIGHTS, "/data", ("fd_readdir", "path_unlink_file"))


def test_a_revoked_right_has_no_need(make_guest) -> None:
    thing, switch = revocable(MemDir({"file": "text"}))
    guest = make_guest({"/data": thing})
    switch()
    answer = guest.call("path_unlink_file", 3, "file")
    assert (answer.denied_by, answer.need) == (DeniedBy.REVOKED, None)


def test_a_rule_of_a_pattern_is_not_lifted_by_a_writable_folder(make_guest) -> None:
    guest = make_guest({"/data": attenuate(MemDir({"file": "text"}), lambda operation, args: operation != "unlink")})
    assert guest.call("path_unlink_file", 3, "file").need is None
    guest = make_guest({"/data": read_only(MemDir({"file": "text"}))}, rights="compat")
    assert guest.call("path_unlink_file", 3, "file").need == Need(NeedKind.WRITE, "/data")


def test_a_right_that_was_not_asked_for_needs_the_other_rights_mode_only_where_that_helps(make_guest) -> None:
    for rights, need in (("strict", Need(NeedKind.COMPAT)), ("compat", None)):
        guest = make_guest({"/data": MemDir({"file": "text"})}, rights=rights)
        opened = guest.open("file", rights=READ, inheriting=0)
        answer = guest.call("fd_write", opened, [b"x"])
        assert (answer.denied_by, answer.need) == (DeniedBy.RIGHT, need)


def test_clocks_and_randomness_that_are_not_granted_are_named(make_guest) -> None:
    guest = make_guest(clocks=Clocks.nothing(), random=Random.nothing())
    assert guest.call("clock_time_get", 0, 0).need == Need(NeedKind.CLOCK)
    assert guest.call("random_get", bytearray(4)).need == Need(NeedKind.RANDOM)


def test_a_limit_is_named_as_the_field_of_limits(make_guest) -> None:
    guest = make_guest({"/data": MemDir({"file": ""})}, max_fds=1, max_bytes_written=2)
    assert guest.call("path_open", 3, 0, "file", 0, READ, 0, 0).need == Need(NeedKind.LIMIT, limit="fds")
    guest = make_guest({"/data": MemDir({"file": ""})}, max_bytes_written=2, max_names=0)
    opened = guest.open("file")
    guest.do("fd_write", opened, [b"xx"])
    answer = guest.call("fd_write", opened, [b"x"])
    assert (answer.errno, answer.need) == (Errno.NOSPC, Need(NeedKind.LIMIT, limit="bytes_written"))
    assert guest.call("path_create_directory", 3, "new").need == Need(NeedKind.LIMIT, limit="names")


def test_a_full_folder_names_its_own_bound_and_not_a_limit_of_the_run(make_guest) -> None:
    for folder, limit in ((MemDir(max_bytes=3), "max_bytes"), (quota(MemDir(), 3), "max_bytes")):
        guest = make_guest({"/tmp": folder})
        opened = guest.open("file", CREATE)
        answer = guest.call("fd_write", opened, [b"more than 3"])
        assert (answer.denied_by, answer.need) == (DeniedBy.QUOTA, Need(NeedKind.QUOTA, "/tmp", limit=limit)), answer
