"""Resolves a guest's path beneath a host folder, with descriptors.

`resolve` has the contract of `paths.walk` and two implementations: Linux's openat2(2) walks to the parent
(RESOLVE_BENEATH) where possible, and the manual walk over `HostTree` handles everything that the kernel declines. On
other systems the manual walk does everything. The rules of paths are in `paths.py`.
"""

from __future__ import annotations

import ctypes
import errno
import os

from ..paths import Resolved, begins_above, check_path, fail, walk
from ..refusal import DeniedBy, Refused
from . import features
from .features import DIRECTORY_FLAGS, LINUX, O_NOFOLLOW, libc

_PROC_SUPER_MAGIC, _PROC_BLOCK = 0x9FA0, 1024
plain_devices: set[int] = set()
"""Devices (st_dev) that were not procfs when first seen."""


def refuse_procfs(st: os.stat_result, fd: int) -> None:
    """Refuse a file of procfs, whose links and files give access to this process (`Refused`, by POLICY).

    `st` is the result of fstat(2) for `fd`. Nothing is refused outside Linux.
    """
    if cannot_be_procfs(st) or libc is None:
        return
    buffer = ctypes.create_string_buffer(512)  # larger than any struct statfs; its first word is f_type
    if libc.fstatfs(fd, buffer) != 0:
        raise fail(ctypes.get_errno())
    if ctypes.c_long.from_buffer(buffer).value == _PROC_SUPER_MAGIC:
        raise Refused(errno.EPERM, "procfs is never granted: its files give access to this process", DeniedBy.POLICY)
    plain_devices.add(st.st_dev)


def cannot_be_procfs(st: os.stat_result) -> bool:
    """Whether a file is known to lie outside procfs, without a system call.

    Every file of procfs has blocks of 1024 bytes. The device number alone is not enough: it is reused for another file
    system after an unmount, so a device that was seen before may be procfs now.
    """
    return not LINUX or (st.st_blksize != _PROC_BLOCK and st.st_dev in plain_devices)


class HostTree:
    """The host's file system, accessed by descriptors, for `walk`."""

    most_open = 100

    def enter(self, place: int, name: str) -> int:
        fd = os.open(name, DIRECTORY_FLAGS, dir_fd=place)
        if LINUX:
            try:
                refuse_procfs(os.fstat(fd), fd)
            except OSError:
                os.close(fd)
                raise
        return fd

    def read_link(self, place: int, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=place)
        except OSError:
            return None  # not a link, or missing: the next operation reports it

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
# NO_XDEV: paths that cross a mount are left to the manual walk, which checks each new device for procfs.
_HOW = _OpenHow(DIRECTORY_FLAGS & ~O_NOFOLLOW, 0, _BENEATH | _NO_MAGICLINKS | _NO_XDEV)
_HOW_AT = ctypes.addressof(_HOW)
_HOW_SIZE = ctypes.sizeof(_HOW)


def open_beneath(root: int, path: str) -> int:
    """Open the directory `path` beneath `root` with openat2 (an O_PATH descriptor). Raises OSError with its errno.

    EXDEV: it leaves `root` or crosses a mount. ELOOP: too many links, or a magic one. ENOSYS: there is no openat2.
    """
    if features.SYSCALL is None:
        raise fail(errno.ENOSYS)
    name = os.fsencode(path)
    for _ in range(4):
        fd = features.SYSCALL(_SYS_OPENAT2, root, name, _HOW_AT, _HOW_SIZE)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed meanwhile
            break
    raise fail(number)


_FINAL = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""Kernel errors that the manual walk would give as well; after any other the manual walk finds the exact error."""


def resolve(root: int, path: str, follow: bool) -> Resolved[int]:
    """`walk` over the host's descriptors beneath `root`, by openat2 where that works, with the same results."""
    if features.SYSCALL is None or begins_above(path):  # which the kernel would refuse without the reason
        return walk(HOST_TREE, root, path, follow)
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


def rename_to_free_name(old: Resolved[int], new: Resolved[int]) -> None:
    """rename(2) that replaces nothing: EEXIST if the new name is taken.

    This is atomic if the system supports it (Linux's RENAME_NOREPLACE, macOS's RENAME_EXCL). Elsewhere the name is
    looked up first, and a file created between the lookup and the rename is replaced.
    """
    if features.RENAME is not None:
        names = os.fsencode(old.name), os.fsencode(new.name)
        if features.RENAME(old.parent, names[0], new.parent, names[1], features.NO_REPLACE) == 0:
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


def rename(old_parent: int, old_name: str, new_parent: int, new_name: str) -> bool:
    """rename(2). Returns whether it replaced a name; renaming one name of a file to another of the same does nothing.

    Most new names are free. Then the system says so in the same step, and nothing needs to be looked up.
    """
    if features.TRY_RENAME is not None:
        names = os.fsencode(old_name), os.fsencode(new_name)
        if features.TRY_RENAME(old_parent, names[0], new_parent, names[1], features.NO_REPLACE) == 0:
            return False
    return rename_over(old_parent, old_name, new_parent, new_name)


def rename_over(old_parent: int, old_name: str, new_parent: int, new_name: str) -> bool:
    """`rename` where the new name is probably taken."""
    try:
        there = os.stat(new_name, dir_fd=new_parent, follow_symlinks=False)
        replaces = not os.path.samestat(there, os.stat(old_name, dir_fd=old_parent, follow_symlinks=False))
    except OSError:
        replaces = False
    os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
    return replaces
