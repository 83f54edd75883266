"""Resolving a guest's path beneath a folder of the host, by descriptors.

`resolve` has the contract of `paths.walk` and two ways to keep it: Linux's openat2(2) walks to the parent
(RESOLVE_BENEATH) where it can, and the manual walk over `HostTree` answers exactly about everything that the kernel
declines. Elsewhere the manual walk does it all. The rules of paths themselves are in `paths.py`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from ..paths import Resolved, check_path, fail, walk
from ..refusal import DeniedBy, Refused

LINUX = sys.platform == "linux"
DIRECTORY_FLAGS = (
    os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | (getattr(os, "O_PATH", 0) or getattr(os, "O_SEARCH", os.O_RDONLY))
)
_LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None
_PROC_SUPER_MAGIC = 0x9FA0
_plain_devices: set[int] = set()


def refuse_procfs(device: int, fd: int) -> None:
    """Refuse a file of procfs, whose links and files reach into this process (`Refused`, by POLICY).

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
            return None  # not a link, or not there: the operation that follows reports it

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
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed meanwhile
            break
    raise fail(number)


_FINAL = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""The kernel's errors that the walk would give as well; after any other the walk finds the exact error."""


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


_RENAME_NOREPLACE, _RENAME_EXCL = 1, 4  # of Linux's renameat2(2) and of macOS's renameatx_np(2)
_rename = None
if LINUX:
    _rename, _no_replace = getattr(_LIBC, "renameat2", None), _RENAME_NOREPLACE
elif sys.platform == "darwin":
    _rename, _no_replace = getattr(ctypes.CDLL(None, use_errno=True), "renameatx_np", None), _RENAME_EXCL
if _rename is not None:
    _rename.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


def rename_to_free_name(old: Resolved[int], new: Resolved[int]) -> None:
    """rename(2) that replaces nothing: EEXIST if the new name is taken.

    This is one step where the system offers it (Linux's RENAME_NOREPLACE, macOS's RENAME_EXCL). Elsewhere the name is
    looked up first, and one that is created between the look-up and the rename is replaced.
    """
    if _rename is not None:
        names = os.fsencode(old.name), os.fsencode(new.name)
        if _rename(old.parent, names[0], new.parent, names[1], _no_replace) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):  # EINVAL: the file system cannot do it
            raise fail(number)
    try:
        os.stat(new.name, dir_fd=new.parent, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old.name, new.name, src_dir_fd=old.parent, dst_dir_fd=new.parent)
        return
    raise fail(errno.EEXIST)
