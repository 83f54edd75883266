"""Path resolution: openat2, the manual walk and a brute-force model give the same answers, and none leads out."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.capabilities.host import features
from wasilab.capabilities.host.resolve import HOST_TREE, open_beneath, resolve
from wasilab.capabilities.paths import Resolved, walk
from wasilab.capabilities.refusal import DeniedBy, Refused

Tree: TypeAlias = dict[str, Union[str, "Tree", None]]
"""A directory: names to a file (None), a link (its text) or a directory."""

NAMES = st.sampled_from(["a", "b", "c"])
PARTS = st.sampled_from(["a", "b", "c", "a", "b", "c", ".", ".."])
TEXTS = st.builds(
    lambda root, parts, slash: ("/" if root else "") + "/".join(parts) + slash,
    st.integers(0, 9).map(lambda n: n == 0),
    st.lists(PARTS, min_size=1, max_size=5),
    st.sampled_from(["", "", "", "/", "//", "/."]),
)
TREES = st.recursive(
    st.none() | TEXTS | TEXTS | st.just({}),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
).map(lambda tree: tree if isinstance(tree, dict) else {"a": tree})


def build(root: Path, tree: Tree) -> None:
    for name, what in tree.items():
        if what is None:
            (root / name).write_text("")
        elif isinstance(what, str):
            os.symlink(what, root / name)
        else:
            (root / name).mkdir()
            build(root / name, what)


def outcome(found: Resolved[int] | OSError) -> object:
    """What two resolutions must agree in: the error, or which directory, name and demands."""
    if isinstance(found, OSError):
        return found.errno
    with found:
        place = os.fstat(found.parent)
        return place.st_ino, found.name, found.must_be_dir, found.dots


def attempt(how: object, root: int, path: str, follow: bool) -> Resolved[int] | OSError:
    try:
        if how is walk:
            return walk(HOST_TREE, root, path, follow)
        return resolve(root, path, follow)
    except OSError as error:
        return error


# -- the model: the same rules written as plainly as possible, by recursion over lists of names -----------------------


class Stop(Exception):
    def __init__(self, number: int) -> None:
        self.errno = number


def model(tree: Tree, path: str, follow: bool) -> int | tuple[tuple[str, ...], str, bool, str]:
    """errno, or (the real names of the parent, last name, must_be_dir, dots)."""
    links = [0]

    def node(names: list[str]) -> str | Tree | None:
        here: str | Tree | None = tree
        for name in names:
            assert isinstance(here, dict)
            if name not in here:
                raise Stop(errno.ENOENT)
            here = here[name]
        return here

    def directory(names: list[str], path: str) -> list[str]:
        """The real names of the directory that `path` leads to from the directory `names`."""
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if part == "..":
                if not names:
                    raise Stop(errno.EPERM)
                names = names[:-1]
                continue
            what = node([*names, part])
            if isinstance(what, str):
                links[0] += 1
                if links[0] > 40:
                    raise Stop(errno.ELOOP)
                if what.startswith("/"):
                    raise Stop(errno.EPERM)
                names = directory(names, what)
            elif what is None:
                raise Stop(errno.ENOTDIR)
            else:
                names = [*names, part]
        return names

    def last(names: list[str], path: str, must: bool) -> tuple[tuple[str, ...], str, bool, str]:
        if path.startswith("/"):
            raise Stop(errno.EPERM)
        bare = path.rstrip("/")
        must = must or bare != path
        front, _, name = bare.rpartition("/")
        names = directory(names, front)
        if name in (".", ".."):
            return tuple(directory(names, name)), ".", True, name
        here = node(names)
        assert isinstance(here, dict)
        what = here.get(name)
        if isinstance(what, str) and follow:
            links[0] += 1
            if links[0] > 40:
                raise Stop(errno.ELOOP)
            return last(names, what, must)
        return tuple(names), name, must, ""

    try:
        return last([], path, False)
    except Stop as stop:
        return stop.errno


class How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def kernel(root: int, path: str, follow: bool) -> tuple[int, int]:
    """(errno, inode) of what Linux itself finds: openat2 with RESOLVE_BENEATH over the whole path, nothing of ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    how = How(os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW), 0, 0x08 | 0x02)
    number = errno.EAGAIN
    while number == errno.EAGAIN:  # "..", and meanwhile something was renamed anywhere on the machine
        fd = libc.syscall(437, root, path.encode(), ctypes.byref(how), ctypes.sizeof(how))
        number = ctypes.get_errno() if fd < 0 else 0
    if fd < 0:
        return (errno.EPERM if number == errno.EXDEV else number), 0
    try:
        return 0, os.fstat(fd).st_ino
    finally:
        os.close(fd)


def found_inode(found: Resolved[int] | OSError) -> tuple[int, int]:
    """(errno, inode) of what a resolution leads to, looked at as every user of it must: without following."""
    if isinstance(found, OSError):
        return found.errno or 0, 0
    with found:
        try:
            there = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
        except OSError as error:
            return error.errno or 0, 0
        if found.must_be_dir and not stat.S_ISDIR(there.st_mode):
            return errno.ENOTDIR, 0
        return 0, there.st_ino


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(tree=TREES, paths=st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=12))
def test_openat2_the_walk_a_model_and_the_kernel_agree(
    held: Callable[[], set[int]], tree: Tree, paths: list[tuple[str, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        (outer / "a").write_text("outside")  # what a leak would find
        build_root = outer / "root"
        build_root.mkdir()
        build(build_root, tree)
        before = held()
        root = os.open(build_root, os.O_PATH | os.O_DIRECTORY)
        try:
            for path, followed in paths:
                follow = followed or path.endswith("/")  # as looking at it does
                by_kernel = outcome(attempt(resolve, root, path, follow))
                by_walk = outcome(attempt(walk, root, path, follow))
                assert by_kernel == by_walk
                expected = model(tree, path, follow)
                if isinstance(expected, tuple):
                    names, last, must, dots = expected
                    inode = os.stat(build_root.joinpath(*names), follow_symlinks=False).st_ino
                    assert by_walk == (inode, last, must, dots)
                else:
                    assert by_walk == expected
                assert found_inode(attempt(walk, root, path, follow)) == kernel(root, path, follow)
        finally:
            os.close(root)
        assert not held() - before


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


WAYS = pytest.mark.parametrize("way", [resolve, walk], ids=["openat2", "walk"])


@WAYS
@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", errno.ENOENT),
        ("a\0b", errno.EINVAL),
        ("\udcff", errno.EILSEQ),
        ("/etc/passwd", errno.EPERM),
        ("//etc", errno.EPERM),
        ("..", errno.EPERM),
        ("../", errno.EPERM),
        ("./../outside", errno.EPERM),
        ("d/../../outside", errno.EPERM),
        ("missing/../../outside", errno.ENOENT),
        ("file/../x", errno.ENOTDIR),
        ("a/" * 2048, errno.ENAMETOOLONG),
        ("x" * 256 + "/y", errno.ENAMETOOLONG),
        ("missing/" + "x" * 256, errno.ENOENT),
        ("out/x", errno.EPERM),
        ("up/x", errno.EPERM),
        ("loop/x", errno.ELOOP),
    ],
)
def test_a_path_that_leads_nowhere_or_out_has_its_errno(
    root: int, tmp_path: Path, way: object, path: str, number: int
) -> None:
    build(tmp_path / "root", {"d": {}, "file": None, "out": "/etc", "up": "d/../..", "loop": "loop"})
    found = attempt(way, root, path, False)
    assert isinstance(found, OSError)
    assert found.errno == number
    assert isinstance(found, Refused) == (number == errno.EPERM)
    if isinstance(found, Refused):
        assert found.by is DeniedBy.PATH
        assert repr(path) in found.reason


@WAYS
@pytest.mark.parametrize("text", ["/etc/passwd", "../outside", "../outside/", "d/../../outside", "/", "..", "mid"])
def test_a_final_link_out_is_refused_when_followed_and_only_then(
    root: int, tmp_path: Path, way: object, text: str
) -> None:
    build(tmp_path / "root", {"d": {}, "l": text, "mid": "/etc"})
    for path, follow in (("l", True), ("l/", True), ("l/.", False), ("l//./", False)):
        found = attempt(way, root, path, follow)
        assert isinstance(found, Refused), path
        assert found.by is DeniedBy.PATH
    assert outcome(attempt(way, root, "l", False)) == (os.fstat(root).st_ino, "l", False, "")
    assert outcome(attempt(way, root, "l/", False)) == (os.fstat(root).st_ino, "l", True, "")


@WAYS
def test_forty_links_are_followed_and_forty_one_are_not(root: int, tmp_path: Path, way: object) -> None:
    build(tmp_path / "root", {"l0": "d", "d": {"f": None}, **{f"l{n}": f"l{n - 1}" for n in range(1, 42)}})
    for path in ("l39", "l39/f"):
        assert not isinstance(outcome(attempt(way, root, path, True)), int), path
    for path in ("l40", "l40/f", "l19/../l20"):
        expected, _ = kernel(root, path, True)
        assert outcome(attempt(way, root, path, True)) == errno.ELOOP == expected


@WAYS
def test_a_path_deeper_than_the_descriptors_held_goes_down_and_back_up(
    held: Callable[[], set[int]], root: int, tmp_path: Path, way: object
) -> None:
    depth = HOST_TREE.most_open * 2 + 7
    down = "/".join(["d"] * depth)
    os.makedirs(tmp_path / "root" / down)
    (tmp_path / "root" / "top").write_text("")
    before = held()
    up = "/".join([".."] * depth)
    os.symlink(f"{down}/{up}/top", tmp_path / "root" / "there-and-back")
    assert outcome(attempt(way, root, f"{down}/{up}/top", False)) == (os.fstat(root).st_ino, "top", False, "")
    assert outcome(attempt(way, root, "there-and-back", True)) == (os.fstat(root).st_ino, "top", False, "")
    out = attempt(way, root, f"{down}/{up}/../outside", False)
    assert isinstance(out, Refused)
    assert not held() - before


def test_without_openat2_the_walk_answers(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "root", {"d": {"f": None}, "out": ".."})
    monkeypatch.setattr(features, "SYSCALL", None)
    with pytest.raises(OSError) as caught:
        open_beneath(root, "d")
    assert caught.value.errno == errno.ENOSYS
    assert found_inode(attempt(resolve, root, "d/f", False))[0] == 0
    assert isinstance(attempt(resolve, root, "out/outside", False), Refused)


@pytest.mark.procfs
@WAYS
@pytest.mark.parametrize("path", ["self", "self/root/etc", "self/cwd/x", "self/fd/0", "1/cwd/..", "self/mem"])
def test_nothing_of_procfs_is_reached(way: object, path: str) -> None:
    """Beneath "/" procfs is in the tree, but every path into it is refused."""
    slash = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        found = attempt(way, slash, f"proc/{path}", True)
        assert isinstance(found, Refused)
        assert found.by is DeniedBy.POLICY
        assert "procfs" in found.reason
    finally:
        os.close(slash)


@WAYS
def test_search_permission_is_needed_as_the_kernel_needs_it(root: int, tmp_path: Path, way: object) -> None:
    build(tmp_path / "root", {"d": {"e": {}, "f": None}})
    os.chmod(tmp_path / "root" / "d", 0o600)
    os.chmod(tmp_path, 0o755)
    as_root = os.geteuid() == 0
    if as_root:
        os.chown(tmp_path / "root" / "d", 65534, 65534)
        os.seteuid(65534)
    try:
        for path in ("d/f", "d/e/..", "d/.", "d/.."):
            expected, _ = kernel(root, path, False)
            assert expected == errno.EACCES
            assert found_inode(attempt(way, root, path, False))[0] == expected, path
    finally:
        if as_root:
            os.seteuid(0)
        os.chmod(tmp_path / "root" / "d", 0o700)
