"""The rights model of preview1: which rights a descriptor gets, and the effect of a missing one.

Two modes, one check. In `strict` mode the rights of a descriptor come from the grant and from the rights requested at
`path_open`, limited by the directory's inheriting set, and can only shrink. In `compat` mode, Wasmtime's current
behaviour, requests matter only for reading and writing, and the rights shown are those of the type. In both modes
`Descriptor.allowed` has the effective rights, so that a call checks one integer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..capabilities.protocols import FileType
from .types import Rights as R

ALL = (1 << 30) - 1
"""Every right that preview1 defines."""

FILE = int(
    R.FD_DATASYNC | R.FD_READ | R.FD_SEEK | R.FD_FDSTAT_SET_FLAGS | R.FD_SYNC | R.FD_TELL | R.FD_WRITE | R.FD_ADVISE
    | R.FD_ALLOCATE | R.FD_FILESTAT_GET | R.FD_FILESTAT_SET_SIZE | R.FD_FILESTAT_SET_TIMES | R.POLL_FD_READWRITE
)  # fmt: skip
"""The rights that apply to a regular file."""

DIRECTORY = int(
    R.FD_DATASYNC | R.FD_SYNC | R.PATH_CREATE_DIRECTORY | R.PATH_CREATE_FILE | R.PATH_LINK_SOURCE
    | R.PATH_LINK_TARGET | R.PATH_OPEN | R.FD_READDIR | R.PATH_READLINK | R.PATH_RENAME_SOURCE | R.PATH_RENAME_TARGET
    | R.PATH_FILESTAT_GET | R.PATH_FILESTAT_SET_SIZE | R.PATH_FILESTAT_SET_TIMES | R.FD_FILESTAT_GET
    | R.FD_FILESTAT_SET_TIMES | R.PATH_SYMLINK | R.PATH_REMOVE_DIRECTORY | R.PATH_UNLINK_FILE | R.POLL_FD_READWRITE
)  # fmt: skip
"""The rights that apply to a directory itself."""

STREAM = int(
    R.FD_READ | R.FD_FDSTAT_SET_FLAGS | R.FD_WRITE | R.FD_FILESTAT_GET | R.POLL_FD_READWRITE
)  # fmt: skip
"""The rights that apply to a stream. Without fd_seek and fd_tell, by which wasi-libc's `isatty` detects a terminal."""

SOCKET = STREAM | int(R.SOCK_SHUTDOWN)
"""The rights that apply to a connected socket."""

LISTENER = int(R.FD_FDSTAT_SET_FLAGS | R.FD_FILESTAT_GET | R.POLL_FD_READWRITE | R.SOCK_ACCEPT)
"""The rights that apply to a listening socket; it passes `SOCKET` on."""

INHERITING = FILE | DIRECTORY
"""The inheriting rights of a granted directory."""

CHANGES = int(
    R.PATH_CREATE_DIRECTORY | R.PATH_CREATE_FILE | R.PATH_LINK_SOURCE | R.PATH_LINK_TARGET | R.PATH_RENAME_SOURCE
    | R.PATH_RENAME_TARGET | R.PATH_FILESTAT_SET_SIZE | R.PATH_FILESTAT_SET_TIMES | R.FD_FILESTAT_SET_TIMES
    | R.PATH_SYMLINK | R.PATH_REMOVE_DIRECTORY | R.PATH_UNLINK_FILE
)  # fmt: skip
"""The rights that a read-only grant withholds. Its inheriting set keeps fd_write and its like: wasi-libc asks only for
rights in that set, so that a program that opens a file for writing would otherwise get one that it cannot write to, and
learn it late; this way the opening itself is refused, with the reason."""

WRITING = int(R.FD_WRITE | R.FD_ALLOCATE | R.FD_FILESTAT_SET_SIZE)
"""Rights that apply only to a file that is open for writing."""

ONLY_DIRECTORY = int(
    R.PATH_CREATE_DIRECTORY | R.PATH_CREATE_FILE | R.PATH_LINK_SOURCE | R.PATH_LINK_TARGET | R.PATH_OPEN | R.FD_READDIR
    | R.PATH_READLINK | R.PATH_RENAME_SOURCE | R.PATH_RENAME_TARGET | R.PATH_FILESTAT_GET | R.PATH_FILESTAT_SET_SIZE
    | R.PATH_FILESTAT_SET_TIMES | R.PATH_SYMLINK | R.PATH_REMOVE_DIRECTORY | R.PATH_UNLINK_FILE
)  # fmt: skip
ONLY_SOCKET = int(R.SOCK_SHUTDOWN | R.SOCK_ACCEPT)
NEVER_DIRECTORY = int(R.FD_READ | R.FD_WRITE | R.FD_SEEK | R.FD_TELL | R.FD_ADVISE | R.FD_FDSTAT_SET_FLAGS) | WRITING
NEVER_STREAM = int(R.FD_DATASYNC | R.FD_SYNC | R.FD_ADVISE | R.FD_FILESTAT_SET_TIMES) | WRITING & ~int(R.FD_WRITE)

_READ, _WRITE, _SEEK, _TELL = int(R.FD_READ), int(R.FD_WRITE), int(R.FD_SEEK), int(R.FD_TELL)
_SOCKETS = (FileType.SOCKET_STREAM, FileType.SOCKET_DGRAM)
_OF_TYPE = {
    int(FileType.DIRECTORY): DIRECTORY, int(FileType.REGULAR_FILE): FILE,
    int(FileType.SOCKET_STREAM): SOCKET, int(FileType.SOCKET_DGRAM): SOCKET,
}  # fmt: skip


def of_read_only() -> int:
    """The rights without effect in a directory that is granted read-only."""
    return CHANGES | WRITING


def of_type(filetype: int) -> int:
    """The rights that apply to a file type."""
    return _OF_TYPE.get(filetype, STREAM)


def allowed(rights: int, filetype: int, strict: bool) -> int:
    """The effective rights of a descriptor that has `rights`."""
    if strict:
        return rights | _TELL if rights & _SEEK else rights
    inapplicable = NEVER_DIRECTORY if filetype == FileType.DIRECTORY else ONLY_DIRECTORY
    if filetype not in (FileType.DIRECTORY, FileType.REGULAR_FILE):
        inapplicable |= NEVER_STREAM
    if filetype not in _SOCKETS:
        inapplicable |= ONLY_SOCKET
    return ALL & ~inapplicable & ~((_READ | _WRITE) & ~rights)


def of_directories() -> dict[str, int]:
    """The rights that a granted directory, or a file opened beneath it, can have, by name, in the order of their bits:
    those that a grant can withhold."""
    return {name: int(right) for right in R if int(right) & INHERITING and (name := (right.name or "").lower())}


def bits(given: Iterable[str]) -> int:
    """Rights from their names. Raises `KeyError` for a name that is not a right of a directory."""
    known = of_directories()
    return sum(known[name] for name in set(given))


_NAMES = tuple((int(right), (right.name or "").lower()) for right in R)


def listed(rights: int) -> list[str]:
    """The names of the rights, in the order of their bits."""
    return [name for right, name in _NAMES if right & rights]


@lru_cache(256)  # a program may be refused the same in a loop; the numbers are its own, so the cache is bounded
def in_words(rights: int) -> str:
    """The rights with their article, such as "the right fd_read" or "the rights fd_read and fd_seek"."""
    *others, last = listed(rights)
    return f"the rights {', '.join(others)} and {last}" if others else f"the right {last}"


def names(rights: int) -> str:
    """The rights as text, such as "fd_read, fd_seek"."""
    return ", ".join(listed(rights))
