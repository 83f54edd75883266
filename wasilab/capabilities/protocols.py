"""The protocols through which the WASI host uses directories, files and streams, and the values that they pass.

`wasi/` uses a guest's capabilities only through these protocols, so an attenuating wrapper (`patterns.py`) or a
notebook's own class works wherever `HostDir` or `MemDir` does. Subclass `BaseFile` or `BaseDirectory` and override the
operations that it supports; the others fail as POSIX says.

Paths are `str`, relative, "/"-separated, without NUL, and may contain "." and "..": an implementation resolves them
beneath itself and refuses (`Refused`, by `DeniedBy.PATH`) what would leave it. Times are integer nanoseconds since the
epoch; `None` leaves a time as it is. Errors are `OSError` with POSIX errno.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import NamedTuple, Protocol, runtime_checkable

Buffers = Sequence[memoryview]
"""Byte buffers of one scatter or gather operation, in order (POSIX readv/writev)."""


class FileType(IntEnum):
    """The type of a file; the numbers are WASI preview1's `filetype`."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class Stat(NamedTuple):
    """The attributes of a file (POSIX <sys/stat.h>); sizes in bytes, times in ns."""

    dev: int
    ino: int
    filetype: FileType
    nlink: int
    size: int
    atim: int
    mtim: int
    ctim: int


class Entry(NamedTuple):
    """One name in a directory listing."""

    name: str
    ino: int
    filetype: FileType


@dataclass(frozen=True, slots=True)
class FileFlags:
    """The flags of an open file that can change while it is open (fcntl F_SETFL)."""

    append: bool = False
    nonblock: bool = False
    dsync: bool = False
    rsync: bool = False
    sync: bool = False


@dataclass(frozen=True, slots=True)
class OpenHow:
    """How a file is opened: POSIX open(2)'s flags as names."""

    read: bool = True
    write: bool = False
    create: bool = False
    exclusive: bool = False
    truncate: bool = False
    directory: bool = False
    follow: bool = True
    append: bool = False
    nonblock: bool = False
    dsync: bool = False
    rsync: bool = False
    sync: bool = False
    flags: FileFlags = field(init=False, repr=False, compare=False)
    """Those of them that can change later. Like the next two made once, because many files are opened the same way."""
    changes: bool = field(init=False, repr=False, compare=False)
    """Whether opening this way may change something, or asks for a handle that can."""
    number: int = field(init=False, repr=False, compare=False)
    """All of them as one number, a key of tables: different ways have different numbers."""

    def __post_init__(self) -> None:
        flags = FileFlags(self.append, self.nonblock, self.dsync, self.rsync, self.sync)
        given = (getattr(self, each.name) for each in fields(self) if each.init)
        object.__setattr__(self, "flags", flags)
        object.__setattr__(self, "changes", self.write or self.create or self.truncate or self.append)
        object.__setattr__(self, "number", sum(1 << place for place, each in enumerate(given) if each))


@runtime_checkable
class File(Protocol):
    """An open file, stream or device.

    A file may also have `created: bool`, whether opening it created it. A file without it counts as created if it was
    opened to be created, in `Limits.names` and `Limits.bytes_written`.
    """

    filetype: FileType

    def read(self, buffers: Buffers) -> int:
        """Read at the file position into `buffers`; return the bytes read, 0 at the end."""

    def write(self, buffers: Buffers) -> int:
        """Write `buffers` at the file position; return the bytes written."""

    def pread(self, buffers: Buffers, offset: int) -> int:
        """Read at `offset` without moving the position."""

    def pwrite(self, buffers: Buffers, offset: int) -> int:
        """Write at `offset` without moving the position."""

    def seek(self, offset: int, whence: int) -> int:
        """Move the position (`os.SEEK_SET`, `SEEK_CUR`, `SEEK_END`); return the new one."""

    def tell(self) -> int:
        """The position."""

    def stat(self) -> Stat:
        """The file's attributes."""

    def set_size(self, size: int) -> None:
        """Truncate or extend with zeros (ftruncate)."""

    def allocate(self, offset: int, length: int) -> None:
        """Reserve space for the range (posix_fallocate)."""

    def advise(self, offset: int, length: int, advice: int) -> None:
        """A hint on how the range will be used (posix_fadvise); `advice` numbered as in WASI."""

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set the access and modification times (futimens)."""

    def sync(self) -> None:
        """Write data and attributes to storage (fsync)."""

    def datasync(self) -> None:
        """Write the data to storage (fdatasync)."""

    def flags(self) -> FileFlags:
        """The current flags."""

    def set_flags(self, flags: FileFlags) -> None:
        """Change the flags."""

    def fileno(self) -> int | None:
        """An OS descriptor to wait on, or None if the file never blocks."""

    def available(self) -> int:
        """Bytes that a read would get without waiting; 0 if unknown."""

    def close(self) -> None:
        """Close it; closing twice does nothing."""


class Listening(File, Protocol):
    """A listening socket."""

    @property
    def address(self) -> object: ...


@runtime_checkable
class Directory(Protocol):
    """An open directory: access to a tree of names.

    `rename` and `link` may name another directory. They are dispatched twice, `a.rename(p, b, q)` calling
    `b.rename_from(a, p, q)`, so that each of two wrappers checks its own side before the operation is done; two classes
    that cannot exchange files raise EXDEV.

    A directory may also have `hidden: int`, the names that its last `list()` left out; `lasting: bool`, whether what is
    left in it stays on the host (default False); `asks: bool`, whether accessing it asks the user; and
    `tells_replaced: bool`, whether its `rename` and `rename_from` return whether they replaced a name. With any other
    directory the target is looked up before, to count names.
    """

    filetype: FileType
    writable: bool

    def open(self, path: str, how: OpenHow) -> File | Directory:
        """Open or create what `path` names."""

    def stat_path(self, path: str, follow: bool) -> Stat:
        """The attributes of what `path` names; a final link is followed only if `follow`."""

    def stat(self) -> Stat:
        """The directory's own attributes."""

    def list(self) -> list[Entry]:
        """A snapshot of the names in it, without "." and ".."."""

    def mkdir(self, path: str) -> None:
        """Create a directory."""

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""

    def unlink(self, path: str) -> None:
        """Remove a name of a file or link."""

    def symlink(self, target: str, path: str) -> None:
        """Create a symbolic link at `path` with the text `target`."""

    def readlink(self, path: str) -> str:
        """The text of a symbolic link."""

    def rename(self, path: str, target: Directory, target_path: str) -> bool | None:
        """Rename `path` to `target_path` in `target`."""

    def rename_from(self, source: Directory, path: str, target_path: str) -> bool | None:
        """The second half of `rename`: `source` has agreed; `self` receives."""

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        """Give the file at `path` another name, `target_path` in `target`."""

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        """The second half of `link`."""

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set the directory's own times."""

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        """Set the times of what `path` names."""

    def sync(self) -> None:
        """Write the directory to storage (fsync)."""

    def close(self) -> None:
        """Close it; closing twice does nothing."""


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class BaseFile:
    """A file on which every operation fails: a base for your own file classes.

    Reading and writing raise EBADF, seeking ESPIPE, the rest EINVAL, as POSIX says for a stream.
    """

    filetype: FileType = FileType.CHARACTER_DEVICE

    def read(self, buffers: Buffers) -> int:
        raise _error(errno.EBADF)

    def write(self, buffers: Buffers) -> int:
        raise _error(errno.EBADF)

    def pread(self, buffers: Buffers, offset: int) -> int:
        raise _error(errno.ESPIPE)

    def pwrite(self, buffers: Buffers, offset: int) -> int:
        raise _error(errno.ESPIPE)

    def seek(self, offset: int, whence: int) -> int:
        raise _error(errno.ESPIPE)

    def tell(self) -> int:
        raise _error(errno.ESPIPE)

    def stat(self) -> Stat:
        return Stat(0, 0, self.filetype, 1, 0, 0, 0, 0)

    def set_size(self, size: int) -> None:
        raise _error(errno.EINVAL)

    def allocate(self, offset: int, length: int) -> None:
        raise _error(errno.ESPIPE)

    def advise(self, offset: int, length: int, advice: int) -> None:
        raise _error(errno.ESPIPE)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        raise _error(errno.EINVAL)

    def sync(self) -> None:
        raise _error(errno.EINVAL)

    def datasync(self) -> None:
        raise _error(errno.EINVAL)

    def flags(self) -> FileFlags:
        return FileFlags()

    def set_flags(self, flags: FileFlags) -> None:
        if flags != self.flags():
            raise _error(errno.EINVAL)

    def fileno(self) -> int | None:
        return None

    def available(self) -> int:
        return 0

    def close(self) -> None:
        return


class BaseDirectory:
    """An empty directory in which nothing can be created: a base for your own directory classes."""

    filetype: FileType = FileType.DIRECTORY
    writable: bool = False

    def open(self, path: str, how: OpenHow) -> File | Directory:
        if path.strip("/") == ".":
            return self
        raise _error(errno.EPERM if how.create else errno.ENOENT)

    def stat_path(self, path: str, follow: bool) -> Stat:
        if path.strip("/") == ".":
            return self.stat()
        raise _error(errno.ENOENT)

    def stat(self) -> Stat:
        return Stat(0, 0, FileType.DIRECTORY, 1, 0, 0, 0, 0)

    def list(self) -> list[Entry]:
        return []

    def mkdir(self, path: str) -> None:
        raise _error(errno.EPERM)

    def rmdir(self, path: str) -> None:
        raise _error(errno.EPERM)

    def unlink(self, path: str) -> None:
        raise _error(errno.EPERM)

    def symlink(self, target: str, path: str) -> None:
        raise _error(errno.EPERM)

    def readlink(self, path: str) -> str:
        raise _error(errno.ENOENT)

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        raise _error(errno.EPERM)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        raise _error(errno.EPERM)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        raise _error(errno.EPERM)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        raise _error(errno.EPERM)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        raise _error(errno.EPERM)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        raise _error(errno.EPERM)

    def sync(self) -> None:
        return

    def close(self) -> None:
        return
