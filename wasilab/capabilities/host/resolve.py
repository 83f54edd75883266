"""From a guest's path to (the directory that holds it, its last name): the one way in for every `path_*` call.

Never by string: a path is walked one name at a time, holding the directories themselves (descriptors on the host,
nodes in memory), so that a directory swapped for a link in the meantime cannot lead out. Two ways, one contract:

- `walk`, the manual worklist, over anything that is a `Tree`: host descriptors (`HostTree`) or a `MemDir`'s nodes;
- `resolve`, for host descriptors, which lets Linux's openat2(2) walk the parent (RESOLVE_BENEATH) where it can, and
  falls back on `walk` for an exact answer about everything that the kernel declines.

The last name is never opened or created here; it is followed only if it is a link and the caller says so. What is
then done with (parent, name) must itself not follow links (O_NOFOLLOW, AT_SYMLINK_NOFOLLOW).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from ..refusal import DeniedBy, Need, NeedKind, Refused

MAX_LINKS = 40
"""Links followed in one resolution; one more is ELOOP (Linux's MAXSYMLINKS)."""
MAX_PATH = 4095
"""Bytes of a path without its NUL (POSIX PATH_MAX - 1)."""

Place = TypeVar("Place")


def fail(number: int) -> OSError:
    """The `OSError` for `number`, with the system's words."""
    return OSError(number, os.strerror(number))


def escape(path: str, how: str) -> Refused:
    """The refusal of a path that leaves its directory; `how` says by what step."""
    reason = f"{path!r} leaves the directory it was resolved in: {how}"
    return Refused(errno.EPERM, reason, DeniedBy.PATH, Need(NeedKind.DIRECTORY, path))


def check_path(path: str) -> None:
    """Refuse what is no relative path at all: empty, with a NUL, not UTF-8, too long, absolute."""
    if not path:
        raise fail(errno.ENOENT)
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path cannot hold a NUL")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise fail(errno.EILSEQ) from None
    if length > MAX_PATH:
        raise fail(errno.ENAMETOOLONG)
    if path[0] == "/":
        raise escape(path, "it is absolute")


def check_link_text(target: str) -> None:
    """Refuse what no link may hold: nothing, a NUL, too much, or an absolute path (`Refused`, by PATH)."""
    if target[:1] == "/":
        raise Refused(errno.EPERM, f"a link to {target!r} would leave its directory: it is absolute", DeniedBy.PATH)
    check_path(target)


class Resolved(Generic[Place]):
    """Where a path leads: `name` in the directory `parent`. Close it (or use `with`) when done with `parent`."""

    __slots__ = ("_tree", "dots", "must_be_dir", "name", "parent")

    def __init__(
        self, parent: Place, name: str, must_be_dir: bool, dots: str = "", tree: Tree[Place] | None = None
    ) -> None:
        self.parent = parent
        self.name = name
        """The last name, without slashes, never ".."; "." when the path is `parent` itself."""
        self.must_be_dir = must_be_dir
        """A slash followed the last name, or it was a dot: anything but a directory is ENOTDIR."""
        self.dots = dots
        """How the path ended if it ended in "." or ".." (creating, removing and renaming answer differently)."""
        self._tree = tree

    def close(self) -> None:
        """Let go of `parent`, if it was opened for this."""
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.leave(self.parent)

    def __enter__(self) -> Resolved[Place]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._tree is not None:
            self.close()


class Tree(Protocol[Place]):
    """What a walk needs of a tree of names; a place is an open directory in it."""

    most_open: int
    """How many places a walk may hold at once; of a deeper path the oldest are let go and re-entered by name."""

    def enter(self, place: Place, name: str) -> Place:
        """Open the directory `name` in `place`; ENOTDIR or ELOOP if it is anything else, a link included."""

    def read_link(self, place: Place, name: str) -> str | None:
        """The text of the link `name` in `place`; None if it is no link or not there."""

    def search(self, place: Place) -> None:
        """Raise EACCES unless names in `place` may be looked up."""

    def leave(self, place: Place) -> None:
        """Close what `enter` opened."""


def walk(tree: Tree[Place], root: Place, path: str, follow: bool) -> Resolved[Place]:
    """Resolve `path` beneath `root` one name at a time; a final link is followed only if `follow`.

    A slash after a final link does not follow it here, for that depends on what is to be done: looking at "link/" does
    (resolve again with `follow`), making or removing "link/" must not (`must_be_dir` says that the slash was there).

    Raises `Refused` (EPERM, by PATH) for what leads out: an absolute path, ".." above `root`, a link to either;
    ELOOP after 40 links; ENOENT, ENOTDIR, EACCES, ENAMETOOLONG as POSIX path resolution does.
    """
    check_path(path)
    todo = [name for name in reversed(path.split("/")) if name]  # the worklist; its end is what comes next
    must_be_dir = path[-1] == "/"
    above: list[Place | None] = []  # the places entered below root, ancestors of one another; ".." pops
    names: list[str] = []  # and their names, to re-enter one that was let go
    links = 0
    dots = ""
    try:
        while todo:
            name = todo.pop()
            here = root if not above else above[-1]
            if here is None:  # let go on the way down a very deep path
                here = above[-1] = _enter_again(tree, root, names)
            if name in (".", ".."):
                dots = name if not todo else ""
                tree.search(here)
                if name == "..":
                    if not above:
                        raise escape(path, "'..' above it")
                    names.pop()
                    above.pop()
                    tree.leave(here)
                continue
            if todo:
                try:
                    place = tree.enter(here, name)
                except OSError as error:
                    # POSIX leaves open which of the two a link gives with O_DIRECTORY | O_NOFOLLOW.
                    if isinstance(error, Refused) or error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    text = tree.read_link(here, name)
                    if text is None:
                        raise fail(errno.ENOTDIR) from None
                else:
                    names.append(name)
                    above.append(place)
                    if len(above) > tree.most_open:
                        _let_go(tree, above)
                    continue
            else:
                text = tree.read_link(here, name) if follow else None
                if text is None:
                    if above:
                        above.pop()
                        return Resolved(here, name, must_be_dir, "", tree)
                    return Resolved(here, name, must_be_dir)
            links += 1
            if links > MAX_LINKS:
                raise fail(errno.ELOOP)
            if text[:1] == "/":
                raise escape(path, "the target of a link on its way is absolute")
            if not todo:
                must_be_dir = must_be_dir or text[-1:] == "/"
            todo.extend(part for part in reversed(text.split("/")) if part)
        if not above:
            return Resolved(root, ".", True, dots)
        here = above[-1] if above[-1] is not None else _enter_again(tree, root, names)
        above.pop()
        return Resolved(here, ".", True, dots, tree)
    finally:
        for place_or_none in above:
            if place_or_none is not None:
                tree.leave(place_or_none)


def _let_go(tree: Tree[Place], above: list[Place | None]) -> None:
    index = len(above) - 1 - tree.most_open
    place = above[index]
    if place is not None:
        tree.leave(place)
        above[index] = None


def _enter_again(tree: Tree[Place], root: Place, names: list[str]) -> Place:
    """Re-enter a place that was let go, by its real names: no links are followed, so it is beneath `root` again."""
    here = root
    for depth, name in enumerate(names):
        try:
            place = tree.enter(here, name)
        finally:
            if depth:
                tree.leave(here)
        here = place
    return here


LINUX = sys.platform == "linux"
DIRECTORY_FLAGS = (
    os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | (getattr(os, "O_PATH", 0) or getattr(os, "O_SEARCH", os.O_RDONLY))
)
_LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None
_PROC_SUPER_MAGIC = 0x9FA0
_plain_devices: set[int] = set()


def refuse_procfs(device: int, fd: int) -> None:
    """Refuse a file of procfs, whose links and files reach into this very process (`Refused`, by POLICY).

    `device` is `fd`'s st_dev: each device is asked for its kind once. Nothing to refuse outside Linux.
    """
    if device in _plain_devices or _LIBC is None:
        return
    buffer = ctypes.create_string_buffer(512)  # larger than any struct statfs; its first word is f_type
    if _LIBC.fstatfs(fd, buffer) != 0:
        raise fail(ctypes.get_errno())
    if ctypes.c_long.from_buffer(buffer).value == _PROC_SUPER_MAGIC:
        raise Refused(errno.EPERM, "procfs is never granted: its files reach into this process", DeniedBy.POLICY)
    _plain_devices.add(device)


class HostTree:
    """The host's file system by descriptors, for `walk`."""

    most_open = 100

    def enter(self, place: int, name: str) -> int:
        fd = os.open(name, DIRECTORY_FLAGS, dir_fd=place)
        if LINUX:
            try:
                refuse_procfs(os.fstat(fd).st_dev, fd)
            except OSError:
                os.close(fd)
                raise
        return fd

    def read_link(self, place: int, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=place)
        except OSError:
            return None  # no link, or not there: what is then done with the name says so itself

    def search(self, place: int) -> None:
        os.stat(".", dir_fd=place)

    def leave(self, place: int) -> None:
        os.close(place)


HOST_TREE = HostTree()


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SYS_OPENAT2 = 437  # the same on every Linux architecture but alpha
_NO_XDEV, _NO_MAGICLINKS, _BENEATH = 0x01, 0x02, 0x08
# NO_XDEV: what crosses a mount is left to the walk, which asks each new device whether it is procfs.
_HOW = _OpenHow(DIRECTORY_FLAGS & ~os.O_NOFOLLOW, 0, _BENEATH | _NO_MAGICLINKS | _NO_XDEV)
_HOW_AT = ctypes.addressof(_HOW)
_HOW_SIZE = ctypes.sizeof(_HOW)
_syscall = None
if _LIBC is not None and os.uname().machine != "alpha":
    _syscall = _LIBC.syscall
    _syscall.restype = ctypes.c_long
    _syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]


def open_beneath(root: int, path: str) -> int:
    """Let the kernel open the directory `path` beneath `root` (an O_PATH descriptor); OSError with its errno.

    EXDEV: it leaves `root` or crosses a mount. ELOOP: too many links, or a magic one. ENOSYS: no openat2 here.
    """
    if _syscall is None:
        raise fail(errno.ENOSYS)
    name = os.fsencode(path)
    for _ in range(4):
        fd: int = _syscall(_SYS_OPENAT2, root, name, _HOW_AT, _HOW_SIZE)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed under the kernel's feet
            break
    raise fail(number)


_FINAL = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""The kernel's errors that the walk would give as well; all others are left to it to explain."""


def resolve(root: int, path: str, follow: bool) -> Resolved[int]:
    """`walk` over the host's descriptors beneath `root`, with the same answers, by openat2 where that works."""
    check_path(path)
    stripped = path.rstrip("/")
    prefix, _, name = stripped.rpartition("/")
    dots = name if name in (".", "..") else ""
    if dots:
        prefix, name = stripped, "."
    if prefix:
        try:
            parent = open_beneath(root, prefix)
        except OSError as error:
            if error.errno in _FINAL:
                raise
            return walk(HOST_TREE, root, path, follow)
        found = Resolved(parent, name, bool(dots) or stripped != path, dots, HOST_TREE)
    else:
        found = Resolved(root, name, stripped != path)
    if follow and not dots and HOST_TREE.read_link(found.parent, name) is not None:
        found.close()
        return walk(HOST_TREE, root, path, follow)
    return found
