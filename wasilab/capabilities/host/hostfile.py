"""An open regular host file.

`HostFolder.open` makes these after it has checked that the descriptor is a regular file, never a FIFO, device or
socket. That class also decides where the file is and whether it may be opened this way.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable
from dataclasses import replace

from ..paths import fail
from ..protocols import Buffers, FileFlags, FileType, OpenHow, Stat
from ..refusal import DeniedBy, Need, NeedKind, Refused
from ..uncopyable import Uncopyable

try:
    import fcntl
    import resource
except ImportError:  # Windows: there, no guest holds a host file
    fcntl = resource = None  # type: ignore[assignment]

_TYPES = {
    modes.S_IFREG: FileType.REGULAR_FILE,
    modes.S_IFDIR: FileType.DIRECTORY,
    modes.S_IFLNK: FileType.SYMBOLIC_LINK,
    modes.S_IFCHR: FileType.CHARACTER_DEVICE,
    modes.S_IFBLK: FileType.BLOCK_DEVICE,
    modes.S_IFSOCK: FileType.SOCKET_STREAM,
}  # WASI has no number for a FIFO: UNKNOWN


def host_filetype(mode: int) -> FileType:
    """The file type in an st_mode."""
    return _TYPES.get(modes.S_IFMT(mode), FileType.UNKNOWN)


def host_stat(st: os.stat_result, _of: type[Stat] = Stat, _types: dict[int, FileType] = _TYPES) -> Stat:
    """The `Stat` of an `os.stat_result`."""
    return _of(
        st.st_dev,
        st.st_ino,
        _types.get(st.st_mode & 0o170000, FileType.UNKNOWN),
        st.st_nlink,
        st.st_size,
        st.st_atime_ns,
        st.st_mtime_ns,
        st.st_ctime_ns,
    )


def host_times(st: os.stat_result, atim: int | None, mtim: int | None) -> tuple[int, int]:
    """Both times for `os.utime(ns=)`, which cannot leave one of them unchanged (UTIME_OMIT)."""
    return (st.st_atime_ns if atim is None else atim, st.st_mtime_ns if mtim is None else mtim)


_ADVICE = tuple(
    getattr(os, name, 0)
    for name in (
        "POSIX_FADV_NORMAL",
        "POSIX_FADV_SEQUENTIAL",
        "POSIX_FADV_RANDOM",
        "POSIX_FADV_WILLNEED",
        "POSIX_FADV_DONTNEED",
        "POSIX_FADV_NOREUSE",
    )
)
"""POSIX's numbers in the order of WASI's `advice`."""


RESERVED = 64
"""Descriptors of this process reserved for Python, the notebook's sockets and the next run."""


def _ceiling() -> int:
    if resource is None:
        return 1 << 30
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 30 if limit == resource.RLIM_INFINITY else limit - min(RESERVED, limit // 2)


_known_ceiling = _ceiling()


def most_descriptors() -> int:
    """The first descriptor number that is reserved (see `leave_some`)."""
    return _known_ceiling


def leave_some(fd: int) -> None:
    """Close `fd` and raise EMFILE (`Refused`, by QUOTA) if it, opened for a guest, is a reserved number.

    The system allocates the lowest free number, so a high one means that few are left. Each run has its own limit, but
    all runs share that of the process.
    """
    global _known_ceiling
    if fd >= _known_ceiling:
        _known_ceiling = _ceiling()
        if fd >= _known_ceiling:
            raise Refused(
                errno.EMFILE,
                f"the process has opened all {_known_ceiling} descriptors available to guests; wait for other runs to "
                "end, or raise the system's limit (ulimit -n)",
                DeniedBy.QUOTA,
            )


class HostFile(Uncopyable):
    """An open regular host file; takes over `fd` and closes it on `close` or when the object is deleted.

    `writable` tells whether its directory may be changed: without it, changes of its size and times are refused even
    where the operating system would allow them through a descriptor.
    """

    filetype = FileType.REGULAR_FILE
    __slots__ = ("_fd", "_flags", "_how", "_writable", "before_close", "created")

    def __init__(self, fd: int, how: OpenHow, writable: bool, created: bool = False) -> None:
        self._fd = fd
        self.created = created
        """Whether opening it created it."""
        self._writable = writable
        self._how = how
        self._flags = how.flags
        self.before_close: Callable[[], object] | None = None
        """Called before the descriptor is closed, for code that uses the descriptor directly; must not raise."""

    @property
    def descriptor(self) -> int:
        """The descriptor of this process; -1 if closed. Its offset is the file's position."""
        return self._fd

    @property
    def how(self) -> OpenHow:
        """How it was opened."""
        return self._how

    def read(self, buffers: Buffers) -> int:
        return os.readv(self._fd, buffers)

    def write(self, buffers: Buffers) -> int:
        # One buffer is the common case, for which write(2) is faster.
        return os.write(self._fd, buffers[0]) if len(buffers) == 1 else os.writev(self._fd, buffers)

    def pread(self, buffers: Buffers, offset: int) -> int:
        if offset < 0:  # preadv2(2), which Python calls, treats -1 as "at the current position"
            raise fail(errno.EINVAL)
        return os.preadv(self._fd, buffers, offset)

    def pwrite(self, buffers: Buffers, offset: int) -> int:
        if offset < 0:
            raise fail(errno.EINVAL)
        return os.pwrite(self._fd, buffers[0], offset) if len(buffers) == 1 else os.pwritev(self._fd, buffers, offset)

    def read_bytes(self, limit: int) -> bytes:
        """At most `limit` bytes from the position on: for wasilab itself, not for a guest."""
        with open(self._fd, "rb", closefd=False) as file:
            return file.read(limit)

    def seek(self, offset: int, whence: int) -> int:
        return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def stat(self) -> Stat:
        return host_stat(os.fstat(self._fd))

    def set_size(self, size: int) -> None:
        if not self._writable:
            self._check_writable("size")
        os.ftruncate(self._fd, size)

    def allocate(self, offset: int, length: int) -> None:
        """Always ENOTSUP: few file systems support it, and WASI permits this answer."""
        self._check_writable("size")
        raise fail(errno.ENOTSUP)

    def advise(self, offset: int, length: int, advice: int) -> None:
        if not 0 <= advice < len(_ADVICE):
            raise fail(errno.EINVAL)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, offset, length, _ADVICE[advice])

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._check_writable("times")
        os.utime(self._fd, ns=host_times(os.fstat(self._fd), atim, mtim))

    def sync(self) -> None:
        os.fsync(self._fd)

    def datasync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def flags(self) -> FileFlags:
        return self._flags

    def set_flags(self, flags: FileFlags) -> None:
        """Only `append` and `nonblock` can change on an open file (Linux ignores the rest): ENOTSUP for the others."""
        now_set = self._flags
        if replace(flags, append=now_set.append, nonblock=now_set.nonblock) != now_set:
            raise fail(errno.ENOTSUP)
        now = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, now | os.O_APPEND if flags.append else now & ~os.O_APPEND)
        self._flags = flags

    def fileno(self) -> int | None:
        return None  # a regular file never blocks

    def available(self) -> int:
        return max(0, os.fstat(self._fd).st_size - self.tell())

    def close(self) -> None:
        if self.before_close is not None:
            self.before_close()
        fd = self._fd
        if fd >= 0:
            self._fd = -1
            os.close(fd)

    def _check_writable(self, what: str) -> None:
        if not self._writable:
            reason = f"the file's {what} cannot be changed: its folder is granted read-only"
            raise Refused(errno.EPERM, reason, need=Need(NeedKind.WRITE))

    def __del__(self) -> None:
        if self._fd >= 0:
            self.close()


def first_bytes(opened: object, limit: int) -> bytes:
    """The first `limit` bytes of what a folder's `open` returned; EISDIR if that is a folder."""
    if not isinstance(opened, HostFile):
        raise fail(errno.EISDIR)
    return opened.read_bytes(limit)
