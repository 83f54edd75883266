"""A MemDir answers as a HostDir does: random sequences of operations on both, compared at every step."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import Directory, File, FileFlags, FileType, OpenHow
from wasilab.capabilities.refusal import Refused

NAMES = ["a", "b", "c", "d"]
PATHS = st.builds(
    lambda parts, slash: "/".join(parts) + slash,
    st.lists(st.sampled_from([*NAMES, *NAMES, *NAMES, ".", ".."]), min_size=1, max_size=3),
    st.sampled_from(["", "", "", "", "", "/"]),
) | st.sampled_from(["", "a", "b", "/a", "a" * 256, "a\0", "\udcff", "é"])
HOWS = st.builds(
    OpenHow,
    read=st.booleans(),
    write=st.booleans(),
    create=st.booleans(),
    exclusive=st.booleans(),
    truncate=st.booleans(),
    directory=st.integers(0, 5).map(lambda n: n == 0),
    follow=st.booleans(),
    append=st.booleans(),
).map(lambda how: how if how.write or not how.truncate else OpenHow(follow=how.follow))
TEXTS = st.sampled_from(["a", "b", "c/d", "../a", "a/..", ".", "../..", "b/", "/a", "", "x" * 4096])
WHICH = st.integers(0, 3)
TIMES = st.none() | st.integers(0, 2**33).map(lambda n: n * 1000)
OFFSETS = st.sampled_from([0, 1, 5, 9, 100, -1, 2**63 - 1])

STEPS = st.one_of(
    st.tuples(st.just("open"), WHICH, PATHS, HOWS),
    st.tuples(st.just("mkdir"), WHICH, PATHS),
    st.tuples(st.just("mkdir"), WHICH, PATHS),
    st.tuples(st.just("symlink"), WHICH, TEXTS, PATHS),
    st.tuples(st.just("rmdir"), WHICH, PATHS),
    st.tuples(st.just("unlink"), WHICH, PATHS),
    st.tuples(st.just("readlink"), WHICH, PATHS),
    st.tuples(st.just("rename"), WHICH, PATHS, WHICH, PATHS),
    st.tuples(st.just("rename"), WHICH, PATHS, WHICH, PATHS),
    st.tuples(st.just("link"), WHICH, PATHS, WHICH, PATHS, st.booleans()),
    st.tuples(st.just("stat_path"), WHICH, PATHS, st.booleans()),
    st.tuples(st.just("set_times_path"), WHICH, PATHS, st.booleans(), TIMES, TIMES),
    st.tuples(st.just("list"), WHICH),
    st.tuples(st.just("write"), WHICH, st.binary(max_size=8)),
    st.tuples(st.just("read"), WHICH, st.integers(0, 8)),
    st.tuples(st.just("pwrite"), WHICH, st.binary(max_size=8), st.sampled_from([0, 1, 5, 30, -1])),
    st.tuples(st.just("pread"), WHICH, st.integers(0, 8), OFFSETS),
    st.tuples(st.just("seek"), WHICH, st.sampled_from([0, 1, 5, 9, 40, -1]), st.integers(0, 2)),
    st.tuples(st.just("set_size"), WHICH, st.sampled_from([0, 1, 5, 30])),
    st.tuples(st.just("append"), WHICH, st.booleans()),
    st.tuples(st.just("stat"), WHICH),
)


@dataclass
class Side:
    """One of the two worlds: the directories and files that the steps have opened in it, by order of opening."""

    directories: list[Directory]
    files: list[File] = field(default_factory=list)

    def answer(self, step: tuple[Any, ...]) -> object:
        """Take one step; what came of it, in a form that can be compared."""
        try:
            return self._take(*step)
        except Refused as error:
            return "refused", error.errno, error.by
        except OSError as error:
            return "error", errno.errorcode[error.errno or 0]

    def _take(self, operation: str, which: int, *args: Any) -> object:
        if operation in ("write", "read", "pwrite", "pread", "seek", "set_size", "append", "stat"):
            if not self.files:
                return "no file"
            return self._on_file(self.files[which % len(self.files)], operation, *args)
        place = self.directories[which % len(self.directories)]
        if operation == "open":
            opened = place.open(*args)
            (self.directories if opened.filetype is FileType.DIRECTORY else self.files).append(opened)  # type: ignore[arg-type]
            return opened.filetype
        if operation in ("rename", "link"):
            args = (args[0], self.directories[args[1] % len(self.directories)], *args[2:])
        if operation == "list":
            return sorted((entry.name, entry.filetype) for entry in place.list())
        result = getattr(place, operation)(*args)
        if operation == "rename":
            return None  # a directory need not tell whether it replaced a name
        return comparable(result) if operation == "stat_path" else result

    def _on_file(self, file: File, operation: str, *args: Any) -> object:
        if operation in ("write", "pwrite"):
            half = len(args[0]) // 2
            return getattr(file, operation)([memoryview(args[0][:half]), memoryview(args[0][half:])], *args[1:])
        if operation in ("read", "pread"):
            buffer = bytearray(args[0])
            views = [memoryview(buffer)[:1], memoryview(buffer)[1:]]
            return bytes(buffer[: getattr(file, operation)(views, *args[1:])])
        if operation == "append":
            return file.set_flags(FileFlags(append=args[0]))  # type: ignore[func-returns-value]
        if operation == "stat":
            return comparable(file.stat()), file.tell(), file.available(), file.flags()
        return getattr(file, operation)(*args)

    def everything(self) -> object:
        """The whole tree: types, contents, link texts, link counts, and which names are one file."""
        seen: dict[int, str] = {}
        lines = []

        def look(place: Directory, prefix: str) -> None:
            for entry in sorted(place.list()):
                path = prefix + entry.name
                stat = place.stat_path(entry.name, False)
                assert (stat.ino, stat.filetype) == (entry.ino, entry.filetype)
                same = seen.setdefault(stat.ino, path)
                lines.append((path, same, comparable(stat)))
                if stat.filetype is FileType.DIRECTORY:
                    inner = place.open(entry.name, OpenHow(directory=True))
                    assert isinstance(inner, Directory)
                    look(inner, path + "/")
                    inner.close()
                elif stat.filetype is FileType.REGULAR_FILE:
                    file = place.open(entry.name, OpenHow())
                    assert isinstance(file, File)
                    buffer = bytearray(stat.size)
                    lines.append((path, bytes(buffer[: file.read([memoryview(buffer)])]), None))
                    file.close()
                else:
                    lines.append((path, place.readlink(entry.name), None))

        look(self.directories[0], "")
        return lines


def comparable(stat: Any) -> object:
    """A Stat without what two file systems may choose: device, inode, a directory's size, the times of change."""
    size = None if stat.filetype is FileType.DIRECTORY else stat.size
    known = tuple(time if time < 2**33 * 1000 and time % 1000 == 0 else "now" for time in (stat.atim, stat.mtim))
    return stat.filetype, stat.nlink, size, known[1]


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps=st.lists(STEPS, min_size=4, max_size=40))
def test_every_step_has_the_same_outcome_and_leaves_the_same_tree(
    held: Callable[[], set[int]], steps: list[tuple[Any, ...]]
) -> None:
    before = held()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "root").mkdir()
        host = Side([HostDir(Path(name) / "root", "rw")])
        memory = Side([MemDir()])
        for step in steps:
            assert memory.answer(step) == host.answer(step), step
        assert memory.everything() == host.everything()
        for thing in (*host.files, *host.directories, *memory.files, *memory.directories):
            thing.close()
        del host
    assert not held() - before


@pytest.fixture(params=["host", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    return HostDir(tmp_path, "rw") if request.param == "host" else MemDir()


def write(place: Directory, path: str, data: bytes = b"") -> None:
    file = place.open(path, OpenHow(write=True, create=True, truncate=True))
    assert isinstance(file, File)
    file.write([memoryview(data)])
    file.close()


def number(call: Callable[[], object]) -> int:
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno is not None
    return caught.value.errno


def test_an_unlinked_file_lives_while_it_is_open(place: Directory) -> None:
    write(place, "f", b"data")
    file = place.open("f", OpenHow(write=True))
    assert isinstance(file, File)
    place.unlink("f")
    buffer = bytearray(4)
    assert file.read([memoryview(buffer)]) == 4
    assert bytes(buffer) == b"data"
    assert file.stat().nlink == 0
    file.write([memoryview(b"more")])
    assert file.stat().size == 8
    assert place.list() == []


def test_nothing_can_be_made_in_a_removed_directory(place: Directory) -> None:
    place.mkdir("d")
    inner = place.open("d", OpenHow(directory=True))
    assert isinstance(inner, Directory)
    place.rmdir("d")
    assert number(lambda: inner.mkdir("x")) == errno.ENOENT
    assert number(lambda: write(inner, "x")) == errno.ENOENT
    assert inner.list() == []


def test_a_directory_opened_beneath_is_a_root_of_its_own(place: Directory) -> None:
    place.mkdir("d")
    write(place, "secret")
    inner = place.open("d", OpenHow(directory=True))
    assert isinstance(inner, Directory)
    place.symlink("../secret", "d/link")
    for path in ("..", "../secret", "link"):
        with pytest.raises(Refused):
            inner.stat_path(path, True)
    assert place.stat_path("d/link", True).filetype is FileType.REGULAR_FILE


def test_names_change_their_directories_times_and_link_counts(place: Directory) -> None:
    place.mkdir("d")
    place.set_times_path("d", False, 5, 7)
    stat = place.stat_path("d", False)
    assert (stat.atim, stat.mtim, stat.nlink) == (5, 7, 2)
    write(place, "d/f")
    assert place.stat_path("d", False).mtim > 7
    place.mkdir("d/e")
    assert place.stat_path("d", False).nlink == 3
    place.set_times_path("d", False, None, 9)
    place.rename("d/e", place, "e")
    stat = place.stat_path("d", False)
    assert (stat.nlink, stat.atim) == (2, 5)
    assert stat.mtim > 9


def test_a_link_text_that_is_too_long_is_refused_before_the_name_is_looked_for(place: Directory) -> None:
    for path in ("new", "missing/new"):
        with pytest.raises(OSError) as refused:
            place.symlink("x" * 4096, path)
        assert refused.value.errno == errno.ENAMETOOLONG
    place.symlink("x" * 4095, "new")
    assert place.readlink("new") == "x" * 4095


def test_a_dangling_link_is_created_through_when_followed_and_not_otherwise(place: Directory) -> None:
    place.symlink("target", "l")
    create = OpenHow(write=True, create=True, follow=False)
    assert number(lambda: place.open("l", create)) == errno.ELOOP
    exclusive = OpenHow(write=True, create=True, exclusive=True)
    assert number(lambda: place.open("l", exclusive)) == errno.EEXIST
    assert number(lambda: place.mkdir("l/")) == errno.EEXIST
    write(place, "l", b"x")
    assert place.stat_path("target", False).size == 1
