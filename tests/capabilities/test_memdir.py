"""MemDir: what it has beyond HostDir. That both answer alike is tested in test_memdir_like_hostdir.py."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from wasilab.capabilities.memory.memdir import MemDir, Symlink
from wasilab.capabilities.memory.memtree import MAX_DEPTH, MAX_FILE
from wasilab.capabilities.protocols import Directory, File, FileFlags, FileType, OpenHow
from wasilab.capabilities.refusal import DeniedBy, Refused

WRITE = OpenHow(write=True, create=True)


def write(place: Any, path: str, data: bytes) -> None:
    file = place.open(path, WRITE)
    file.write([memoryview(data)])
    file.close()


def refused(call: Callable[[], object], by: DeniedBy) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.by is by
    return caught.value


def failed(call: Callable[[], object]) -> int:
    with pytest.raises(OSError) as caught:
        call()
    assert not isinstance(caught.value, Refused)
    return caught.value.errno or 0


def test_it_is_made_from_nested_mappings_and_tells_its_contents() -> None:
    place = MemDir({"a.txt": "café", "sub": {"b": b"\0", "deep/er": ""}, "sub/c": "c", "l": Symlink("a.txt"), "e": {}})
    assert isinstance(place, Directory)
    files = place.files()
    assert files == {"a.txt": "café".encode(), "l": "a.txt", "e": {}, "sub/b": b"\0", "sub/c": b"c", "sub/deep/er": b""}
    assert isinstance(files["l"], Symlink)
    assert MemDir(files).files() == files  # type: ignore[arg-type]
    assert place.read_bytes("l") == "café".encode()
    assert place.used_bytes == len("café".encode()) + 2 + len("a.txt")
    assert MemDir().files() == {}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"": "x"}, "is not a valid file name"),
        ({"..": "x"}, "is not a valid file name"),
        ({"/a": "x"}, "is not a valid file name"),
        ({"a//b": "x"}, "is not a valid file name"),
        ({"a\0": "x"}, "is not a valid file name"),
        ({"x" * 256: "x"}, "is not a valid file name"),
        ({"a": "x", "a/b": "y"}, "both as a file and as a folder"),
        ({"a/b": "x", "a": {"b": "y"}}, "named twice"),
    ],
)
def test_invalid_names_raise_one_clear_error(files: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MemDir(files)


def test_contents_beyond_the_quota_raise_one_clear_error() -> None:
    with pytest.raises(ValueError, match="max_bytes=3"):
        MemDir({"a": "four"}, max_bytes=3)
    with pytest.raises(ValueError, match="max_names=1"):
        MemDir({"a": "", "b": ""}, max_names=1)
    with pytest.raises(ValueError, match="use ro or rw"):
        MemDir(mode="copy")  # type: ignore[arg-type]


def test_writing_beyond_the_quota_is_refused_and_freeing_gives_room_again() -> None:
    place = MemDir({"a": b"x" * 60}, max_bytes=100)
    write(place, "b", b"y" * 40)
    file: Any = place.open("b", WRITE)
    for grow in (
        lambda: file.pwrite([memoryview(b"z")], 40),
        lambda: file.set_size(41),
        lambda: file.allocate(0, 41),
        lambda: file.pwrite([memoryview(b"z")], 10**9),
        lambda: place.symlink("text", "l"),
    ):
        error = refused(grow, DeniedBy.QUOTA)
        assert error.errno == errno.ENOSPC
        assert "limit of 100" in error.reason
    assert file.pwrite([memoryview(b"Y" * 40)], 0) == 40  # what is there can be written over
    assert place.files() == {"a": b"x" * 60, "b": b"Y" * 40}
    place.unlink("a")
    assert place.used_bytes == 40
    file.set_size(100)
    place.unlink("b")
    assert place.used_bytes == 100  # open: still there
    file.close()
    file.close()
    assert place.used_bytes == 0
    place.symlink("text", "l")
    place.unlink("l")
    assert place.used_bytes == 0


def test_truncating_and_renaming_over_give_their_bytes_back() -> None:
    place = MemDir({"a": b"x" * 60, "b": b"y" * 30}, max_bytes=100)
    place.rename("b", place, "a")
    assert place.used_bytes == 30
    place.link("a", place, "c", False)
    place.unlink("a")
    assert place.used_bytes == 30
    truncated = place.open("c", OpenHow(write=True, truncate=True))
    assert place.used_bytes == 0
    truncated.close()


def test_a_moved_directory_is_counted_in_its_new_parent() -> None:
    place = MemDir({"a": {"inner": {"deep": {}}, "f": "x"}, "b": {}})

    def links() -> list[int]:
        return [place.stat_path(name, False).nlink for name in (".", "a", "b")]

    assert links() == [4, 3, 2]
    before = place.stat_path("a/inner", False)
    ticks = iter(range(10, 20))
    place.make_repeatable(lambda: next(ticks), 1)
    place.rename("a/inner", place, "b/moved")
    assert (links(), place.stat_path("b/moved", False).nlink) == ([4, 2, 3], before.nlink)
    assert [place.stat_path(name, False).mtim for name in (".", "a", "b", "b/moved")] == [10, 11, 11, 10]
    assert place.has_name("b/moved/../moved/deep")
    place.rename("a/f", place, "f")
    assert [place.stat_path(name, False).ctim for name in (".", "a", "f")] == [12, 12, 12]
    assert not place.has_name("a/f")


@pytest.mark.parametrize(
    ("path", "there"),
    [("a", True), ("d/", True), ("d/b", True), ("l", True), ("dangling", True), ("d/../a", True), (".", True),
     ("n", False), ("a/", True), ("d/n", False), ("n/b", False), ("a/b", False), ("x" * 300, False), ("../a", False),
     ("/a", False), ("up/b", True)],
)  # fmt: skip
def test_it_knows_its_names_without_following_the_last(path: str, there: bool) -> None:
    place = MemDir({"a": "", "d": {"b": ""}, "l": Symlink("a"), "dangling": Symlink("none"), "up": Symlink("d")})
    assert place.has_name(path) is there


def test_the_number_of_names_is_bounded_and_removing_frees_one() -> None:
    place = MemDir({"a": "", "b": {}}, max_names=3)
    place.symlink("a", "b/l")
    for make in (
        lambda: place.mkdir("d"),
        lambda: place.open("f", WRITE),
        lambda: place.symlink("x", "l"),
        lambda: place.link("a", place, "c", False),
    ):
        assert "limit of 3 names" in refused(make, DeniedBy.QUOTA).reason
    place.rename("a", place, "c")
    place.unlink("b/l")
    place.mkdir("d")
    assert place.used_bytes == 0


def test_how_deep_directories_nest_is_bounded_however_the_tower_is_built() -> None:
    place: Any = MemDir()
    here = place
    for _ in range(MAX_DEPTH - 1):
        here.mkdir("d")
        here = here.open("d", OpenHow(directory=True))
    assert "nests at most" in refused(lambda: here.mkdir("d"), DeniedBy.QUOTA).reason
    place.mkdir("other")
    refused(lambda: place.rename("d", place, "other/d"), DeniedBy.QUOTA)
    assert [entry.name for entry in place.list()] == ["d", "other"]  # the refused rename left it where it was
    assert place.open("d", OpenHow(directory=True)).list()[0].name == "d"
    assert len(place.files()) == 2


def test_a_read_only_memdir_refuses_every_change_by_the_grant() -> None:
    place: Any = MemDir({"a": "x", "d": {}}, mode="ro")
    file = place.open("a", OpenHow())
    for change in (
        lambda: place.open("a", OpenHow(write=True)),
        lambda: place.open("n", OpenHow(create=True)),
        lambda: place.open("d", OpenHow()).mkdir("x"),
        lambda: place.mkdir("n"),
        lambda: place.rmdir("d"),
        lambda: place.unlink("a"),
        lambda: place.symlink("a", "n"),
        lambda: place.rename("a", place, "n"),
        lambda: place.link("a", place, "n", False),
        lambda: place.set_times(1, 1),
        lambda: place.set_times_path("a", True, 1, 1),
        lambda: file.set_times(1, 1),
        lambda: file.set_size(0),
        lambda: file.allocate(0, 1),
    ):
        refused(change, DeniedBy.GRANT)
    assert failed(lambda: file.write([memoryview(b"x")])) == errno.EBADF
    assert place.files() == {"a": b"x", "d": {}}


def test_two_trees_cannot_exchange_files() -> None:
    first, second = MemDir({"a": "x"}), MemDir()
    assert failed(lambda: first.rename("a", second, "a")) == errno.EXDEV
    assert failed(lambda: first.link("a", second, "a", False)) == errno.EXDEV
    assert first.stat().dev != second.stat().dev


def test_allocating_extends_with_zeros_and_never_cuts() -> None:
    place = MemDir({"a": "text"})
    file = place.open("a", OpenHow(write=True))
    assert isinstance(file, File)
    file.allocate(0, 2)
    assert place.read_bytes("a") == b"text"
    file.allocate(6, 2)
    assert place.read_bytes("a") == b"text\0\0\0\0"
    assert failed(lambda: file.allocate(-1, 2)) == errno.EINVAL
    assert failed(lambda: file.allocate(0, 0)) == errno.EINVAL


def test_numbers_at_the_extremes_have_errnos() -> None:
    file: Any = MemDir({"a": "text"}).open("a", OpenHow(write=True))
    one = [memoryview(bytearray(1))]
    assert failed(lambda: file.set_size(2**62)) == errno.EFBIG
    assert failed(lambda: file.set_size(-1)) == errno.EINVAL
    assert failed(lambda: file.pwrite(one, MAX_FILE)) == errno.EFBIG
    assert failed(lambda: file.pwrite(one, 2**63 - 1)) == errno.EINVAL
    assert failed(lambda: file.pread(one, 2**64)) == errno.EINVAL
    assert file.pread(one, MAX_FILE) == 0
    assert failed(lambda: file.seek(2**63 - 1, 2)) == errno.EINVAL
    assert failed(lambda: file.seek(0, 3)) == errno.EINVAL
    assert failed(lambda: file.seek(-5, 2)) == errno.EINVAL
    assert file.seek(2**63 - 1, 0) == 2**63 - 1
    assert failed(lambda: file.write(one)) == errno.EINVAL
    assert failed(lambda: file.advise(0, 0, 6)) == errno.EINVAL


def test_flags_are_kept_and_append_holds_from_then_on() -> None:
    place = MemDir({"a": "text"})
    file = place.open("a", OpenHow(write=True))
    assert isinstance(file, File)
    file.set_flags(FileFlags(append=True, sync=True))
    assert file.flags() == FileFlags(append=True, sync=True)
    file.write([memoryview(b"!")])
    assert place.read_bytes("a") == b"text!"
    assert file.tell() == 5
    assert file.fileno() is None
    file.sync()
    file.datasync()


def test_a_closed_file_is_ebadf() -> None:
    file: Any = MemDir({"a": "text"}).open("a", OpenHow(write=True))
    file.close()
    one = [memoryview(bytearray(1))]
    for use in (lambda: file.read(one), lambda: file.write(one), file.stat, file.tell, lambda: file.set_size(0)):
        assert failed(use) == errno.EBADF


def test_a_repeatable_tree_shows_nothing_of_the_outside() -> None:
    def run() -> list[object]:
        place = MemDir({"a": "x", "d": {"b": ""}})
        ticks = iter(range(1000, 2000))
        place.make_repeatable(lambda: next(ticks), device=7)
        write(place, "d/new", b"data")
        return [place.stat_path(path, True) for path in (".", "a", "d", "d/b", "d/new")]

    assert run() == run()
    first = run()[0]
    assert first.dev == 7  # type: ignore[attr-defined]
    assert first.mtim == 1000  # type: ignore[attr-defined]


def test_the_tree_outlives_close_and_shows_what_a_run_left() -> None:
    place = MemDir()
    write(place, "left", b"here")
    place.close()
    assert place.files() == {"left": b"here"}
    assert place.open("left", OpenHow()).filetype is FileType.REGULAR_FILE
    assert failed(lambda: place.read_bytes(".")) == errno.EISDIR
    assert failed(lambda: place.read_bytes("missing")) == errno.ENOENT


def test_a_write_of_no_bytes_leaves_the_position_also_in_append_mode() -> None:
    folder = MemDir({"a": b"0123456789"})
    file = folder.open("a", OpenHow(write=True, append=True))
    assert file.write([memoryview(b"")]) == 0
    assert file.tell() == 0, "POSIX write: no other results"
    file.write([memoryview(b"x")])
    assert file.tell() == 11


def test_a_file_grows_while_another_thread_writes_into_it() -> None:
    """Two guests may share a folder in memory. A view that a write keeps for a moment would forbid the file to grow."""
    folder = MemDir({"f": "x" * 64})
    inside = cast(File, folder.open("f", OpenHow(write=True)))
    behind = cast(File, folder.open("f", OpenHow(write=True, append=True)))
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            inside.pwrite([memoryview(b"y" * 32)], 0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20_000):
            behind.write([memoryview(b"z")])
    finally:
        ended.set()
        writer.join()
        sys.setswitchinterval(interval)
    assert cast(File, folder.open("f", OpenHow())).stat().size == 64 + 20_000
