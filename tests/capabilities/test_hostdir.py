"""HostDir: what may be granted, what a guest gets of it, and what it never gets."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab.capabilities.host import features
from wasilab.capabilities.host import resolve as resolving
from wasilab.capabilities.host.folder import BadFolder
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.protocols import Directory, File, FileFlags, FileType, OpenHow
from wasilab.capabilities.refusal import DeniedBy, Refused

READ = OpenHow()
WRITE = OpenHow(write=True, create=True, truncate=True)
Held = Callable[[], set[int]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("inside")
    (tmp_path / "root" / "sub").mkdir()
    return tmp_path / "root"


@pytest.fixture(params=["openat2", "walk"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with openat2 and without."""
    if request.param == "walk":
        monkeypatch.setattr(features, "SYSCALL", None)
    return str(request.param)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Run as a user without root's powers, so that permissions count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def read(file: Any, size: int = 100) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: file.read([memoryview(buffer)])])


def write(place: Any, path: str, data: bytes) -> None:
    file = place.open(path, WRITE)
    file.write([memoryview(data)])
    file.close()


def refused(call: Callable[[], object], by: DeniedBy, number: int = errno.EPERM) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.by is by
    assert caught.value.errno == number
    return caught.value


def failed(call: Callable[[], object]) -> int:
    with pytest.raises(OSError) as caught:
        call()
    assert not isinstance(caught.value, Refused)
    return caught.value.errno or 0


# -- granting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "does not exist; create it first"),
        ("root/file", "is a file; grant the folder"),
        ("root/file/x", "is a file; grant the folder"),
        ("fifo", "is a file; grant the folder"),
        ("dangling", "does not exist"),
        ("nul\0", "null"),
        ("x" * 300, "too long"),
    ],
)
@pytest.mark.parametrize("mode", ["ro", "rw", "copy"])
def test_a_path_that_is_not_a_folder_is_refused_with_the_reason(
    root: Path, held: Held, name: str, why: str, mode: Any
) -> None:
    os.mkfifo(root.parent / "fifo")
    os.symlink("nowhere", root.parent / "dangling")
    before = held()
    with pytest.raises(BadFolder, match=why) as caught:
        HostDir(root.parent / name, mode)
    assert name.split("/")[-1].encode("unicode_escape").decode() in str(caught.value)
    assert not held() - before


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(BadFolder, match=r"mode 'write'.* use ro, rw or copy"):
        HostDir("/tmp", "write")  # type: ignore[arg-type]


def test_a_folder_that_you_may_not_use_cannot_be_granted(root: Path, nobody: None) -> None:
    locked = root.parent / "locked"
    if os.getuid() == 0:
        os.seteuid(0)
        for path in itertools.takewhile(lambda each: each != Path(tempfile.gettempdir()), root.parents):
            os.chmod(path, 0o755)
    locked.mkdir()
    os.chmod(locked, 0o000)
    visible = root.parent / "visible"
    visible.mkdir(mode=0o755)
    if os.getuid() == 0:
        os.seteuid(65534)
    else:
        os.chmod(visible, 0o555)
    with pytest.raises(BadFolder, match="you are not allowed to read it; ask its owner"):
        HostDir(locked)
    with pytest.raises(BadFolder, match="you may not write to it; grant it as ro or copy"):
        HostDir(visible, "rw")
    assert HostDir(visible, "ro").list() == []


@pytest.fixture(params=["new", "reused"])
def device_of_procfs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Device numbers are given out again: that of procfs may have been a harmless file system's before."""
    if request.param == "reused":
        known = {*resolving.plain_devices, os.stat("/proc").st_dev}
        monkeypatch.setattr(resolving, "plain_devices", known)


@pytest.mark.procfs
@pytest.mark.usefixtures("device_of_procfs")
@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/proc/self/fd", "/proc/1/.."])
def test_procfs_cannot_be_granted(path: str) -> None:
    with pytest.raises(BadFolder, match="procfs is never granted"):
        HostDir(path)


def test_a_link_is_followed_as_a_grant_and_shown_as_a_link_inside_one(root: Path) -> None:
    os.symlink(root, root.parent / "link")
    granted = HostDir(root.parent / "link")
    assert granted.real == str(root)
    assert granted.path == str(root.parent / "link")
    assert granted == HostDir(root)


def test_grants_are_equal_by_folder_and_mode(root: Path) -> None:
    assert HostDir(root) == HostDir(f"{root}/../root/")
    assert hash(HostDir(root)) == hash(HostDir(f"{root}/../root/"))
    assert HostDir(root) != HostDir(root, "rw")
    child = HostDir(root).open("sub", READ)
    assert child == child
    assert child != HostDir(root / "sub")
    assert repr(HostDir("/tmp", "rw")) == "HostDir('/tmp', mode='rw')"


def test_closing_a_grant_keeps_it_usable_and_deleting_it_closes_the_descriptor(root: Path, held: Held) -> None:
    before = held()
    granted = HostDir(root)
    granted.close()
    assert granted.stat_path("file", True).size == 6
    child = granted.open("sub", READ)
    child.close()
    child.close()
    assert failed(child.stat) == errno.EBADF
    assert granted.fresh() is granted.fresh()
    del granted
    assert not held() - before


# -- looking and changing ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("files_below_a_terabyte")
def test_a_file_is_read_and_written_by_scattered_buffers(root: Path, either_way: str) -> None:
    place = HostDir(root, "rw")
    assert isinstance(place, Directory)
    file = place.open("sub/new", OpenHow(write=True, create=True, exclusive=True))
    assert isinstance(file, File)
    assert file.filetype is FileType.REGULAR_FILE
    assert file.write([memoryview(b"one "), memoryview(b""), memoryview(b"two")]) == 7
    assert file.pwrite([memoryview(b"ONE")], 0) == 3
    assert file.tell() == 7
    assert file.seek(-3, os.SEEK_END) == 4
    assert file.available() == 3
    first, second = bytearray(2), bytearray(9)
    assert file.read([memoryview(first), memoryview(second)]) == 3
    assert bytes(first) + bytes(second[:1]) == b"two"
    assert file.pread([memoryview(first)], 1) == 2
    assert first == b"NE"
    for operation in (file.pread, file.pwrite):
        assert failed(lambda operation=operation: operation([memoryview(first)], -1)) == errno.EINVAL  # type: ignore[misc]
    file.set_size(2)
    file.sync()
    file.datasync()
    file.advise(0, 0, 3)
    assert failed(lambda: file.advise(0, 0, 6)) == errno.EINVAL
    assert failed(lambda: file.allocate(0, 10)) == errno.ENOTSUP
    assert failed(lambda: file.set_size(2**62)) == errno.EFBIG
    file.set_times(1000, None)
    stat = file.stat()
    assert (stat.size, stat.atim, stat.nlink) == (2, 1000, 1)
    assert file.fileno() is None
    file.close()
    file.close()
    assert failed(lambda: read(file)) == errno.EBADF
    assert (root / "sub" / "new").read_bytes() == b"ON"


def test_append_is_put_in_force_and_flags_that_cannot_change_say_so(root: Path) -> None:
    file = HostDir(root, "rw").open("file", OpenHow(write=True, append=True, nonblock=True))
    assert isinstance(file, File)
    assert file.flags() == FileFlags(append=True, nonblock=True)
    file.seek(0, os.SEEK_SET)
    file.write([memoryview(b"!")])
    file.set_flags(FileFlags())
    file.seek(0, os.SEEK_SET)
    file.write([memoryview(b"I")])
    assert failed(lambda: file.set_flags(FileFlags(sync=True))) == errno.ENOTSUP
    assert (root / "file").read_text() == "Inside!"
    synced = HostDir(root, "rw").open("file", OpenHow(write=True, dsync=True, sync=True, rsync=True))
    assert isinstance(synced, File)
    assert synced.flags() == FileFlags(dsync=True, sync=True, rsync=True)
    assert synced.write([memoryview(b"i")]) == 1


def test_every_way_to_change_a_read_only_grant_is_refused_by_the_grant(root: Path, either_way: str) -> None:
    place: Any = HostDir(root)
    other = HostDir(root.parent, "rw")
    file = place.open("file", READ)
    sub = place.open("sub", READ)
    before = sorted((path, path.stat().st_mtime_ns) for path in root.parent.rglob("*"))
    attempts: list[Callable[[], object]] = [
        lambda: place.open("file", OpenHow(write=True)),
        lambda: place.open("new", OpenHow(create=True)),
        lambda: place.open("file", OpenHow(truncate=True)),
        lambda: place.open("file", OpenHow(append=True)),
        lambda: sub.open("../sub/new", WRITE),
        lambda: place.mkdir("new"),
        lambda: sub.mkdir("new"),
        lambda: place.rmdir("sub"),
        lambda: place.unlink("file"),
        lambda: place.symlink("file", "new"),
        lambda: place.rename("file", place, "new"),
        lambda: place.rename("file", other, "new"),
        lambda: other.rename("secret", place, "new"),
        lambda: place.link("file", other, "new", False),
        lambda: other.link("secret", place, "new", False),
        lambda: other.link_from(place, "file", "new", False),
        lambda: other.rename_from(place, "file", "new"),
        lambda: place.set_times(1, 1),
        lambda: place.set_times_path("file", True, 1, 1),
        lambda: file.set_times(1, 1),
        lambda: file.set_size(0),
        lambda: file.allocate(0, 100),
    ]
    for attempt in attempts:
        assert "read-only" in refused(attempt, DeniedBy.GRANT).reason
    assert failed(lambda: file.write([memoryview(b"x")])) == errno.EBADF
    assert sorted((path, path.stat().st_mtime_ns) for path in root.parent.rglob("*")) == before


def test_every_operation_refuses_a_path_that_leads_out(root: Path, either_way: str, held: Held) -> None:
    os.symlink("../secret", root / "out")
    os.symlink("..", root / "up")
    os.symlink(str(root.parent / "secret"), root / "absolute")
    os.symlink("../secret/", root / "slashed")
    place: Any = HostDir(root, "rw")
    before = held()
    for path in ("../secret", "/etc/passwd", "up/secret", "sub/../../secret", "sub/../up/secret", ".//../secret"):
        attempts: list[Callable[[str], object]] = [
            lambda path: place.open(path, READ),
            lambda path: place.open(path, WRITE),
            lambda path: place.stat_path(path, False),
            lambda path: place.mkdir(path),
            lambda path: place.rmdir(path),
            lambda path: place.unlink(path),
            lambda path: place.symlink("x", path),
            lambda path: place.readlink(path),
            lambda path: place.rename(path, place, "x"),
            lambda path: place.rename("file", place, path),
            lambda path: place.link(path, place, "x", True),
            lambda path: place.link("file", place, path, False),
            lambda path: place.set_times_path(path, True, 1, 1),
        ]
        for attempt in attempts:
            assert "leaves the directory" in refused(lambda a=attempt, p=path: a(p), DeniedBy.PATH).reason  # type: ignore[misc]
    for path in ("out", "absolute", "slashed", "out/", "up/", "absolute/", "slashed/", "up/."):
        followed: list[Callable[[str], object]] = [
            lambda path: place.open(path, READ),
            lambda path: place.open(path, OpenHow(write=True)),
            lambda path: place.open(path, OpenHow(directory=True)),
            lambda path: place.stat_path(path, True),
            lambda path: place.set_times_path(path, True, 1, 1),
            lambda path: place.link(path, place, "x", True),
        ]
        for attempt in followed:
            refused(lambda a=attempt, p=path: a(p), DeniedBy.PATH)  # type: ignore[misc]
    assert not held() - before
    assert (root.parent / "secret").read_text() == "outside"
    assert sorted(os.listdir(root.parent)) == ["root", "secret"]


def test_links_out_can_be_seen_and_removed_but_not_followed(root: Path) -> None:
    os.symlink("../secret", root / "out")
    place = HostDir(root, "rw")
    assert place.stat_path("out", False).filetype is FileType.SYMBOLIC_LINK
    assert place.readlink("out") == "../secret"
    assert failed(lambda: place.open("out", OpenHow(follow=False))) == errno.ELOOP
    place.rename("out", place, "other")
    place.unlink("other")
    assert (root.parent / "secret").exists()


def test_an_absolute_link_is_neither_made_nor_read(root: Path) -> None:
    place = HostDir(root, "rw")
    assert "absolute" in refused(lambda: place.symlink("/etc/passwd", "l"), DeniedBy.PATH).reason
    os.symlink("/home/someone", root / "l")
    assert "someone" not in refused(lambda: place.readlink("l"), DeniedBy.PATH).reason
    os.symlink(b"\xff", os.fsencode(root) + b"/raw")
    assert failed(lambda: place.readlink("raw")) == errno.EILSEQ
    assert failed(lambda: place.readlink("file")) == errno.EINVAL
    assert failed(lambda: place.readlink("sub/")) == errno.EINVAL


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_a_special_file_is_refused_without_opening_it(root: Path, either_way: str, kind: str, held: Held) -> None:
    """A FIFO without a writer would hang whoever opens it."""
    listener = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(root / "it")
    elif kind == "socket":
        listener.bind(str(root / "it"))
    place: Any = HostDir(root, "rw") if kind != "device" else HostDir("/dev", "ro")
    name = "it" if kind != "device" else "null"
    before = held()
    hows = [READ, OpenHow(follow=False), OpenHow(nonblock=True)]
    if kind != "device":
        os.symlink("it", root / "link")
        hows += [OpenHow(write=True), OpenHow(read=False, write=True), WRITE]
        refused(lambda: place.open("link", READ), DeniedBy.POLICY)
    for how in hows:
        reason = refused(lambda how=how: place.open(name, how), DeniedBy.POLICY).reason  # type: ignore[misc]
        assert "only files and directories" in reason
    assert failed(lambda: place.open(f"{name}/", READ)) == errno.ENOTDIR
    assert place.stat_path(name, True).filetype is not FileType.REGULAR_FILE
    listener.close()
    assert not held() - before


@pytest.mark.usefixtures("device_of_procfs")
@pytest.mark.procfs
@pytest.mark.parametrize(
    "path", ["proc/self/root/etc/passwd", "proc/self/cwd", "proc/self/mem", "proc/self/fd/0", "proc"]
)
def test_nothing_of_procfs_is_opened_even_under_a_grant_of_everything(either_way: str, path: str, held: Held) -> None:
    place = HostDir("/")
    before = held()
    assert "procfs" in refused(lambda: place.open(path, READ), DeniedBy.POLICY).reason
    assert "procfs" in refused(lambda: place.stat_path(path, True), DeniedBy.POLICY).reason
    assert not held() - before


def test_names_that_no_wasi_program_could_use_are_left_out_of_a_listing(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe"))).write_text("")
    os.mkfifo(root / "fifo")
    os.symlink("x", root / "link")
    place = HostDir(root)
    entries = {entry.name: entry for entry in place.list()}
    assert {name: entry.filetype for name, entry in entries.items()} == {
        "file": FileType.REGULAR_FILE,
        "sub": FileType.DIRECTORY,
        "fifo": FileType.UNKNOWN,
        "link": FileType.SYMBOLIC_LINK,
    }
    assert place.hidden == 1
    assert entries["file"].ino == (root / "file").stat().st_ino


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", errno.ENOENT),
        ("a\0b", errno.EINVAL),
        ("x" * 256, errno.ENAMETOOLONG),
        ("x/" * 2048 + "x", errno.ENAMETOOLONG),
        ("\udc80", errno.EILSEQ),
        ("file/", errno.ENOTDIR),
        ("file/x", errno.ENOTDIR),
        ("file/..", errno.ENOTDIR),
        ("missing", errno.ENOENT),
        ("missing/", errno.ENOENT),
        ("loop", errno.ELOOP),
        ("loop/", errno.ELOOP),
    ],
)
def test_a_bad_path_has_its_errno_in_every_operation_that_looks(
    root: Path, either_way: str, path: str, number: int
) -> None:
    os.symlink("loop", root / "loop")
    place = HostDir(root, "rw")
    assert failed(lambda: place.open(path, READ)) == number
    assert failed(lambda: place.stat_path(path, True)) == number
    assert failed(lambda: place.set_times_path(path, True, 1, 1)) == number
    assert failed(lambda: place.link(path, place, "x", True)) == number


@pytest.mark.parametrize(
    ("how", "number"),
    [
        (OpenHow(directory=True, create=True), errno.EINVAL),
        (OpenHow(create=True, exclusive=True), errno.EEXIST),
        (OpenHow(directory=True), errno.ENOTDIR),
    ],
)
def test_opening_a_file_in_a_way_that_it_is_not_has_its_errno(root: Path, how: OpenHow, number: int) -> None:
    assert failed(lambda: HostDir(root, "rw").open("file", how)) == number


@pytest.mark.parametrize("path", ["sub", "sub/", ".", "sub/..", "sub/."])
def test_a_directory_cannot_be_opened_to_write_or_create(root: Path, path: str) -> None:
    place = HostDir(root, "rw")
    assert failed(lambda: place.open(path, OpenHow(write=True))) == errno.EISDIR
    assert failed(lambda: place.open(path, OpenHow(create=True))) == errno.EISDIR
    assert place.open(path, READ).filetype is FileType.DIRECTORY


def test_times_are_set_one_or_both_and_not_through_a_link_unless_followed(root: Path) -> None:
    os.symlink("file", root / "l")
    place = HostDir(root, "rw")
    place.set_times_path("l", True, 1_000, 2_000)
    place.set_times_path("l", False, None, 5_000)
    assert place.stat_path("file", True)[5:7] == (1_000, 2_000)
    assert place.stat_path("l", False).mtim == 5_000
    place.set_times(None, 7_000)
    assert place.stat().mtim == 7_000
    place.sync()


def test_files_move_and_are_linked_between_two_writable_grants_of_the_host(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    place, other = HostDir(root, "rw"), HostDir(tmp_path / "other", "rw")
    place.link("file", other, "second", False)
    assert other.stat_path("second", False).nlink == 2
    place.rename("file", other, "moved")
    assert sorted(entry.name for entry in other.list()) == ["moved", "second"]
    assert failed(lambda: place.stat_path("file", False)) == errno.ENOENT


def test_an_opened_directory_stays_what_it_was_when_its_name_moves_on(root: Path) -> None:
    place = HostDir(root)
    sub: Any = place.open("sub", READ)
    os.rename(root / "sub", root / "moved")
    os.symlink("..", root / "sub")
    (root / "moved" / "x").write_text("here")
    assert read(sub.open("x", READ)) == b"here"
    refused(lambda: place.open("sub/secret", READ), DeniedBy.PATH)


def test_descriptors_are_not_inherited(root: Path) -> None:
    place: Any = HostDir(root, "rw").fresh()
    for thing in (place, place.open("sub", READ), place.open("file", READ)):
        assert not os.get_inheritable(thing._fd)


def test_failing_opens_leak_no_descriptor(root: Path, either_way: str, held: Held) -> None:
    os.symlink("../secret", root / "out")
    os.mkfifo(root / "sub" / "fifo")
    place = HostDir(root)
    before = held()
    for path in ("sub/fifo", "sub/missing", "sub/../out", "sub/../../x", "sub/./file/x", "out/"):
        with pytest.raises(OSError):
            place.open(path, READ)
    assert not held() - before


# -- races ------------------------------------------------------------------------------------------------------------


def race_seconds() -> float:
    """`WASILAB_RACE_SECONDS=30` for the long form; a short one in every run."""
    return float(os.environ.get("WASILAB_RACE_SECONDS", "0.4"))


def test_a_directory_swapped_for_a_link_never_lets_the_guest_out(root: Path, either_way: str, held: Held) -> None:
    """One thread swaps `here/there` between a directory and a link out, and `here/f` between a file and a link out."""
    (root.parent / "there").mkdir()
    (root.parent / "there" / "f").write_text("outside")
    (root / "here" / "there").mkdir(parents=True)
    for path in ("here/there/f", "here/f"):
        (root / path).write_text("inside")
    os.symlink("../../there", root / "here" / "link")
    os.symlink("../../secret", root / "here" / "flink")
    stop = threading.Event()

    def swap() -> None:
        here = str(root / "here")
        while not stop.is_set():
            for name, link in (("there", "link"), ("f", "flink")):
                os.rename(f"{here}/{name}", f"{here}/aside")
                os.rename(f"{here}/{link}", f"{here}/{name}")
                os.rename(f"{here}/{name}", f"{here}/{link}")
                os.rename(f"{here}/aside", f"{here}/{name}")

    place: Any = HostDir(root, "rw")
    before = held()
    outcomes: dict[str, int] = {}
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        end = time.monotonic() + race_seconds()
        while time.monotonic() < end:
            for path in ("here/there/f", "here/f", "here/there/../there/f", "here/there/../f"):
                for how in (READ, OpenHow(write=True)):
                    try:
                        file = place.open(path, how)
                        outcome = read(file).decode()
                        file.close()
                    except OSError as error:
                        outcome = errno.errorcode[error.errno or 0]
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                try:
                    place.open(path + "-made", WRITE).close()
                except OSError as error:
                    assert error.errno in (errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENOTDIR)  # noqa: PT017
    finally:
        stop.set()
        thread.join()
    assert "outside" not in outcomes
    assert outcomes.get("inside", 0) > 0
    assert set(outcomes) <= {"inside", "EPERM", "ENOENT", "ELOOP", "ENOTDIR"}
    assert sorted(os.listdir(root.parent)) == ["root", "secret", "there"]
    assert os.listdir(root.parent / "there") == ["f"]
    assert not held() - before
