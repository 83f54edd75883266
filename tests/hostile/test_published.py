"""Published attacks on other hosts, repeated here: escapes by slashes, dots and links that the guest makes itself.

=====================================================  ==========================================================
published as                                            the case here
=====================================================  ==========================================================
RUSTSEC-2026-0269 (cap-std: trailing slashes)           links whose texts end in slashes and dots, made by the guest
RUSTSEC-2026-0188 (Wasmtime: link out of read-only)     every way to carry a name from one grant to another
GHSA-2r75-cxrj-cmph (Wasmtime: truncation, read-only)   opening with any flags in a read-only grant changes nothing
Wasmer's path_symlink and path_open                     a link to the outside opened to create and write
CVE-2025-53901 (Wasmtime: fd_renumber)                  renumbering to and from everywhere, thousands of times
CVE-2024-51745 (cap-std: device names)                  names that are devices elsewhere are names
pywasm, wasmoon: paths as strings                       ".." after a link is the link's parent, not the path's
uvwasi: swapped between look and open                   a FIFO or link put in place of what was looked at
=====================================================  ==========================================================
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from typing import Any

import pytest

import wasilab
from wasilab.capabilities.host import folder
from wasilab.capabilities.protocols import OpenHow
from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.module.module import from_wat

from .conftest import SECRET, Yard, picture
from .guests import ALL, CREAT, DIRECTORY, EXCL, FOLLOW, OUT, READ, SEEK, TRUNC, WRITE, program
from .test_descriptors import BOTH_RIGHTS, granted
from .test_memory import BUFFER, IOVECS

KINDS = pytest.mark.parametrize("kind", ["rw", "memory", "copy"])
DIR_RIGHTS = ALL & ~WRITE
OUTSIDE = ("../outside", "sub/../../outside", "..", "./..", "sub/deep/../../..")
TAILS = ("/", "//", "/.", "/./", "/.//", "///.///")


@KINDS
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("target", OUTSIDE)
def test_a_guest_link_whose_text_ends_in_slashes_and_dots_leads_nowhere(
    yard: Yard, kind: str, target: str, tail: str
) -> None:
    guest = yard.guest(grants=granted(yard, kind)).call("path_symlink", target + tail, 3, "made")
    used = [f"made{end}{rest}" for end in ("", *TAILS) for rest in ("", "secret.txt", "outside/secret.txt", "new")]
    for path in used:
        guest.open(path).open(path, oflags=CREAT, rights=READ | WRITE).open(path, oflags=DIRECTORY, rights=DIR_RIGHTS)
        guest.call("path_filestat_get", 3, FOLLOW, path, BUFFER).call("path_create_directory", 3, path)
        guest.call("path_filestat_set_times", 3, FOLLOW, path, 5, 5, 5).call("path_rename", 3, "file.txt", 3, path)
        guest.call("path_link", 3, FOLLOW, path, 3, "mine").call("path_remove_directory", 3, path)
        if path != "made":
            guest.call("path_unlink_file", 3, path).call("path_symlink", "file.txt", 3, path)
    run = guest.run()
    names = [event.name for event in run.run.trace]
    won = {name for name, answer in zip(names[1:], run.errnos()[1:], strict=True) if answer == "SUCCESS"}
    # A rename over "made" replaces the link itself; a directory may then be made in its place. Nothing else succeeds.
    if "path_rename" not in won:
        assert won == set(), run.run.trace.text()
    assert not run.sees(SECRET)
    assert not (yard.outside / "new").exists()
    assert all(event.denied_by is not DeniedBy.HOST for event in run.run.trace)


@KINDS
def test_dots_after_a_link_are_those_of_where_it_leads(yard: Yard, kind: str) -> None:
    """By strings, "door/../file.txt" would be the root's file; it is the one beside what the link leads to."""
    guest = yard.guest(grants=granted(yard, kind)).iovec(IOVECS, (BUFFER, 20))
    guest.call("path_symlink", "sub/deep", 3, "door").open("door/../file.txt").call("fd_read", 4, IOVECS, 1, OUT)
    guest.open("door/../../file.txt").call("fd_read", 5, IOVECS, 1, OUT).open("door/../../../outside/secret.txt")
    guest.open("door/../../../inside/file.txt").call("path_create_directory", 3, "door/../../..")
    run = guest.run()
    assert run.errnos() == ["SUCCESS"] * 5 + ["PERM"] * 3
    assert (run[2].data, run[4].data) == (b"below\n", b"inside\n")


@KINDS
@pytest.mark.parametrize("name", [".", "./", "./.", "..", "../", "sub/..", "sub/../", "sub/deep/../.."])
def test_the_root_itself_is_not_moved_removed_or_replaced(yard: Yard, kind: str, name: str) -> None:
    guest = yard.guest(grants=granted(yard, kind))
    guest.call("path_rename", 3, name, 3, "moved").call("path_rename", 3, "sub", 3, name)
    guest.call("path_rename", 3, "file.txt", 3, name).call("path_remove_directory", 3, name)
    guest.call("path_unlink_file", 3, name).call("path_create_directory", 3, name)
    guest.call("path_symlink", "file.txt", 3, name).call("path_link", 3, 0, name, 3, "linked")
    guest.call("path_link", 3, 0, "file.txt", 3, name).open(name, oflags=CREAT | EXCL, rights=WRITE)
    guest.open(name, oflags=TRUNC, rights=WRITE).open(name, rights=READ | WRITE)
    before = picture(yard.inside)
    run = guest.run()
    assert "SUCCESS" not in run.errnos(), run.run.trace.text()
    assert picture(yard.inside) == before


@KINDS
def test_a_directory_is_not_moved_beneath_itself(yard: Yard, kind: str) -> None:
    guest = yard.guest(grants=granted(yard, kind))
    for target in ("sub/deep/sub", "sub/inner", "sub/", "sub/deep/../again", "sub/./x"):
        guest.call("path_rename", 3, "sub", 3, target)
    guest.call("path_rename", 3, "sub/deep", 3, "sub").call("path_rename", 3, "file.txt", 3, "sub")
    guest.open("sub", oflags=DIRECTORY, rights=DIR_RIGHTS, inheriting=ALL).call("path_rename", 3, "sub", 4, "x")
    run = guest.run()
    assert run.errnos() == ["INVAL", "INVAL", "SUCCESS", "INVAL", "INVAL", "NOTEMPTY", "ISDIR", "SUCCESS", "INVAL"]


@KINDS
def test_an_open_directory_stays_itself_when_it_is_removed_or_replaced(yard: Yard, kind: str) -> None:
    guest = yard.guest(grants=granted(yard, kind)).call("path_create_directory", 3, "d")
    guest.open("d", oflags=DIRECTORY, rights=DIR_RIGHTS, inheriting=ALL).call("path_remove_directory", 3, "d")
    guest.call("path_symlink", "../outside", 3, "d").call("fd_readdir", 4, BUFFER, 4096, 0, OUT)
    for name in ("secret.txt", "../outside/secret.txt", "new"):
        guest.open(name, fd=4).open(name, fd=4, oflags=CREAT, rights=READ | WRITE)
    guest.call("path_create_directory", 4, "x").call("path_filestat_get", 4, 0, ".", BUFFER)
    run = guest.run()
    assert run.errnos()[:4] == ["SUCCESS"] * 4
    assert "SUCCESS" not in run.errnos()[5:11]
    assert run.errnos()[11] == "NOENT"
    assert not run.sees(b"secret.txt")


def two_grants(yard: Yard, mode: str, rights: str = "strict") -> wasilab.Grants:
    """Descriptor 3 is `inside`, read-only or writable; 4 is `work`, writable, on the same file system."""
    (yard.base / "work").mkdir(exist_ok=True)
    source = wasilab.HostDir(str(yard.inside), mode)  # type: ignore[arg-type]
    dirs = {"/a": source, "/w": wasilab.HostDir(str(yard.base / "work"), "rw")}
    return wasilab.Grants(dirs=dirs, rights=rights)  # type: ignore[arg-type]


@BOTH_RIGHTS
def test_nothing_is_carried_out_of_a_read_only_grant(yard: Yard, rights: str) -> None:
    """Files, folders and links, by renaming and linking, by their names and through a folder opened beneath."""
    os.symlink("file.txt", yard.inside / "link")
    os.link(yard.inside / "file.txt", yard.inside / "second")
    guest = yard.guest(grants=two_grants(yard, "ro", rights)).iovec(IOVECS, (BUFFER, 5))
    guest.open("sub", oflags=DIRECTORY, rights=DIR_RIGHTS, inheriting=ALL)
    for fd, name in itertools.product((3, 5), ("file.txt", "second", "link", "sub", "deep", "../file.txt", "link/")):
        for follow in (0, 1):
            guest.call("path_link", fd, follow, name, 4, "carried")
        guest.call("path_rename", fd, name, 4, "carried").call("path_rename", 4, "carried", fd, name)
    guest.open("carried", fd=4, oflags=TRUNC, rights=READ | WRITE)
    before = picture(yard.inside)
    run = guest.run()
    assert "SUCCESS" not in run.errnos()[1:], run.run.trace.text()
    assert picture(yard.inside) == before
    assert not list((yard.base / "work").iterdir())


@BOTH_RIGHTS
def test_no_flags_of_opening_change_a_read_only_grant(yard: Yard, rights: str) -> None:
    """Every combination of creating, truncating, exclusive, append and the rights asked for."""
    guest = yard.guest(grants=granted(yard, "ro", rights=rights))
    for oflags, fdflags, wanted in itertools.product(range(16), (0, 1, 5, 16, 31), (0, READ, WRITE, READ | WRITE, ALL)):
        for name in ("file.txt", "sub/file.txt", "new"):
            guest.open(name, oflags=oflags, fdflags=fdflags, rights=wanted)
    before = picture(yard.inside)
    run = guest.run()
    assert picture(yard.inside) == before
    granted_to = [e for e in run.run.trace if e.errno == 0]
    assert granted_to
    assert not [e for e in granted_to if int(e.args["oflags"]) & (CREAT | TRUNC)], "a changing flag was taken"


@KINDS
@pytest.mark.parametrize("target", ["../outside/new", "../outside/secret.txt", "sub/../../x", "../outside/", "."])
def test_a_link_opened_to_create_and_write_makes_nothing(yard: Yard, kind: str, target: str) -> None:
    guest = yard.guest(grants=granted(yard, kind)).call("path_symlink", target, 3, "l")
    for follow, oflags in itertools.product((0, 1), (CREAT, CREAT | EXCL, CREAT | TRUNC, TRUNC)):
        guest.open("l", follow=follow, oflags=oflags, rights=ALL)
    run = guest.run()
    assert "SUCCESS" not in run.errnos()[1:], run.run.trace.text()


def test_descriptors_renumbered_thousands_of_times_neither_leak_nor_mix(yard: Yard) -> None:
    """To and from open, closed, huge and equal numbers, standard streams and preopens."""
    call = "(drop (call $fd_renumber {} {}))"
    numbers = ["(i32.const 0)", "(i32.const 3)", "(i32.const 4)", "(i32.const 5)", "(i32.const 250)", "(i32.const -1)"]
    moves = " ".join(call.format(a, b) for a, b in itertools.product(numbers, numbers))
    body = f"""(local $i i32)
      (loop $l
        (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 8) (i32.const 0) (i64.const 2)
          (i64.const 0) (i32.const 0) (i32.const 8)))
        {moves}
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))"""
    text = program("path_open fd_renumber", body, extra='(data (i32.const 32) "file.txt")')
    run = wasilab.run(from_wat(text), (), granted(yard, limits=wasilab.Limits(fds=20)))
    assert run.outcome.ok
    assert set(run.trace["errno"].tolist()) <= {0, 8, 33, 54, 76}
    assert len(run.trace) == 37_000


@KINDS
@pytest.mark.parametrize(
    "name",
    ["CON", "NUL", "COM1", "COM\u00b9", "LPT1.txt", "aux.", "...", ".. ", " ..", "..\\..", "%2e%2e", "\uff0e\uff0e",
     "~", "-", "a:b", "\t", "\n", "\u202e", "$HOME", "*", "|id", "\u2025", "e\u0301", "\u00e9", "file.txt::$DATA"],
)  # fmt: skip
def test_names_that_mean_something_elsewhere_are_names(yard: Yard, kind: str, name: str) -> None:
    before = picture(yard.inside)
    guest = yard.guest(grants=granted(yard, kind)).open(name).open(name, oflags=CREAT | EXCL, rights=WRITE)
    guest.call("path_filestat_get", 3, 0, name, BUFFER).call("path_unlink_file", 3, name).open(f"{name}/secret.txt")
    guest.run().assert_answered("NOENT", "SUCCESS", "SUCCESS", "SUCCESS", "NOENT")
    assert [entry[0] for entry in picture(yard.inside)] == [entry[0] for entry in before]


@pytest.mark.parametrize("what", ["fifo", "link", "link to a directory", "directory", "nothing"])
@pytest.mark.parametrize("rights", [READ, WRITE, READ | WRITE])
def test_a_file_replaced_between_look_and_open_is_not_opened(
    yard: Yard, what: str, rights: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regular file when it was looked at, something else when it is opened: no hang, nothing outside."""
    path = yard.inside / "file.txt"
    look = folder.HostFolder._look

    def looked(self: Any, name: str, follow: bool) -> Any:
        found = look(self, name, follow)
        if name == "file.txt" and path.is_file() and not path.is_symlink():
            path.unlink()
            if what == "fifo":
                os.mkfifo(path)
            elif what.startswith("link"):
                path.symlink_to("../outside" if what.endswith("directory") else "../outside/secret.txt")
            elif what == "directory":
                path.mkdir()
        return found

    monkeypatch.setattr(folder.HostFolder, "_look", looked)
    guest = yard.guest(limits=wasilab.Limits(seconds=20)).iovec(IOVECS, (BUFFER, 30))
    run = guest.open("file.txt", rights=rights).call("fd_read", 4, IOVECS, 1, OUT).run()
    assert run.run.outcome.kind == "exit"
    assert run.errnos()[1] == "BADF"
    assert not run.sees(SECRET)


def test_files_that_a_guest_makes_are_not_executable(yard: Yard) -> None:
    """Neither executable nor with set-user-id, whatever the process's umask lets through."""
    before = os.umask(0)
    try:
        guest = yard.guest().open("made", oflags=CREAT | EXCL, rights=ALL).call("path_create_directory", 3, "dir")
        guest.run().assert_answered("SUCCESS", "SUCCESS")
    finally:
        os.umask(before)
    assert (yard.inside / "made").stat().st_mode & 0o7111 == 0
    assert (yard.inside / "dir").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_result_over_the_path_is_written_after_the_path_was_read(yard: Yard, raw: bool) -> None:
    """The new descriptor's number lands on the name, a stat on its own path: both calls meant what was there before."""
    guest = yard.guest(raw=raw).put(8192, b"file.txt").put(16384, b"file.txt")
    guest.steps += [("path_open", [3, 1, 8192, 8, 0, READ, 0, 0, 8192]), ("path_filestat_get", [3, 0, 16384, 8, 16384])]
    guest.steps.append(("path_filestat_get", [3, 0, 16384, 8, 16384]))
    run = guest.run()
    assert run.errnos()[:2] == ["SUCCESS", "SUCCESS"]
    assert run.errnos()[2] in ("NOENT", "INVAL", "ILSEQ")
    assert [run[n].args["path"] for n in (0, 1)] == ["file.txt", "file.txt"]


@KINDS
def test_buffers_of_no_bytes(yard: Yard, kind: str) -> None:
    guest = yard.guest(grants=granted(yard, kind)).iovec(IOVECS, (BUFFER, 0)).call("path_symlink", "file.txt", 3, "l")
    end = 2 << 16
    guest.call("path_readlink", 3, "l", BUFFER, 0, OUT).call("fd_readdir", 3, BUFFER, 0, 0, OUT)
    guest.call("random_get", end, 0).call("path_readlink", 3, "l", end, 0, OUT)
    guest.open("file.txt", rights=READ | WRITE | SEEK)
    guest.call("fd_read", 4, IOVECS, 1, OUT).call("fd_write", 4, IOVECS, 1, OUT).call("fd_read", 4, IOVECS, 0, OUT)
    guest.call("fd_pread", 4, end, 0, 0, OUT).call("fd_prestat_dir_name", 3, BUFFER, 0)
    run = guest.run()
    assert run.errnos() == ["SUCCESS"] * 10 + ["NAMETOOLONG"]
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"


@KINDS
def test_paths_of_nothing_but_slashes_and_dots_at_the_length_limit(yard: Yard, kind: str) -> None:
    guest = yard.guest(grants=granted(yard, kind), pages=4)
    long = [b"./" * 2047, b"." + b"/" * 4094, b"sub/../" * 585, b"sub//" * 819, b"/" * 4095, b"../" * 1365]
    for path in long:
        guest.call("path_filestat_get", 3, 0, path, BUFFER)
    run = guest.run()
    assert run.errnos()[:3] == ["SUCCESS"] * 3
    assert run.errnos()[3:] == ["NOENT", "PERM", "PERM"]


def test_a_grant_taken_back_while_it_is_used_at_full_speed(yard: Yard) -> None:
    """Another thread revokes the folder in the middle of thousands of calls: from then on only refusals, no crash."""
    body = f"""(drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 8) (i32.const 0)
        (i64.const 6) (i64.const 0) (i32.const 0) (i32.const 8)))
      (i32.store (i32.const {IOVECS}) (i32.const {BUFFER})) (i32.store (i32.const {IOVECS + 4}) (i32.const 4))
      (loop $l
        (drop (call $fd_pread (i32.const 4) (i32.const {IOVECS}) (i32.const 1) (i64.const 0) (i32.const {OUT})))
        (drop (call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 8) (i32.const {BUFFER})))
        (drop (call $fd_readdir (i32.const 3) (i32.const {BUFFER}) (i32.const 500) (i64.const 0) (i32.const {OUT})))
        (br $l))"""
    text = program("path_open fd_pread path_filestat_get fd_readdir", body, extra='(data (i32.const 32) "file.txt")')
    run = wasilab.run(from_wat(text), (), granted(yard), detach=True)
    deadline = time.monotonic() + 20
    while len(run.trace) < 2000 and time.monotonic() < deadline:
        time.sleep(0.005)
    run.live.revoke("/d")
    revoked_at = len(run.trace)
    while len(run.trace) < revoked_at + 2000 and time.monotonic() < deadline:
        time.sleep(0.005)
    run.stop(10)
    assert run.outcome.kind == "interrupt"
    errnos = run.trace["errno"].tolist()
    assert set(errnos[:1000]) == {0}
    assert 0 not in errnos[revoked_at + 10 : -1]
    assert int(DeniedBy.REVOKED) in run.trace["denied_by"].tolist()


def test_a_folder_swapped_for_a_link_under_a_held_name(yard: Yard) -> None:
    """Not a race but its worst moment: the walk holds `sub` open while it becomes a link to the outside."""
    inside = wasilab.HostDir(str(yard.inside), "rw")
    held = inside.open("sub", OpenHow(directory=True))
    (yard.inside / "sub").rename(yard.inside / "was")
    (yard.inside / "sub").symlink_to("../outside")
    done = threading.Event()

    def use() -> None:
        for name in ("secret.txt", "../outside/secret.txt", "../../outside/secret.txt"):
            with pytest.raises(OSError) as caught:
                held.open(name, OpenHow())  # type: ignore[union-attr]
            assert caught.value.errno == errno.ENOENT or isinstance(caught.value, Refused)
        done.set()

    use()
    assert done.is_set()
    assert sorted(entry.name for entry in held.list()) == ["deep", "file.txt"]  # type: ignore[union-attr]
    held.close()
