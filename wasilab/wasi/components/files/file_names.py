"""`wasi:filesystem`: opening files, and creating, removing, renaming and listing names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ....capabilities.protocols import Entry
from ....text.numbers import counted
from ...fdtable import Descriptor
from ...host import Host
from ...operations import Operation as Op
from ...preview1 import path as paths
from ...types import Fdflags, Oflags
from ...types import Rights as R
from ..resources import need
from ..waits import Promise, Source, Value
from .file_common import (
    CREATE,
    DATA_SYNC,
    DIRECTORY,
    EXCLUSIVE,
    FILE_SYNC,
    FOLLOW,
    IS_DIRECTORY,
    MUTATE,
    MUTATE_ASKED,
    READ,
    REQUESTED_SYNC,
    TRUNCATE,
    TYPES2,
    TYPES3,
    WRITE,
    both_versions,
    code_of,
    explained,
    in_directory,
    type2,
    type3,
)

_PATH_OPEN = int(R.PATH_OPEN)
_FD_READ, _FD_WRITE = int(R.FD_READ), int(R.FD_WRITE)
_READ_OR_WRITE = _FD_READ | _FD_WRITE


@cache
def _asked(open_flags: int, flags: int) -> tuple[int, int, int]:
    """(oflags, fdflags, rights to read and write) of preview1's path_open for these flags, of 4 and 6 bits."""
    reads = flags & READ or not flags & WRITE
    writes = flags & WRITE or (open_flags & (CREATE | TRUNCATE) and not open_flags & DIRECTORY)
    oflags = (
        (Oflags.CREAT if open_flags & CREATE else 0)
        | (Oflags.DIRECTORY if open_flags & DIRECTORY else 0)
        | (Oflags.EXCL if open_flags & EXCLUSIVE and open_flags & CREATE else 0)
        | (Oflags.TRUNC if open_flags & TRUNCATE else 0)
    )
    fdflags = (
        (Fdflags.SYNC if flags & FILE_SYNC else 0)
        | (Fdflags.DSYNC if flags & DATA_SYNC else 0)
        | (Fdflags.RSYNC if flags & REQUESTED_SYNC else 0)
    )
    return int(oflags), int(fdflags), (_FD_READ if reads else 0) | (_FD_WRITE if writes else 0)


@both_versions(
    "open-at", Op.OPEN,
    ", path-flags: path-flags, path: string, open-flags: open-flags, flags: descriptor-flags) -> "
    "result<own<descriptor>, error-code>",
)  # fmt: skip
def open_at(host: Host, d: Descriptor, path_flags: int, path: str, open_flags: int, flags: int) -> Descriptor:
    """Open or create a file or directory beneath a directory, as preview1's path_open.

    Creating or truncating implies writing; without any flag the file is opened for reading.
    """
    in_directory(d)
    need(host, d, _PATH_OPEN)
    oflags, fdflags, rights = _asked(open_flags, flags)
    inheriting = d.inheriting
    number = paths.path_open(
        host, d, path_flags & FOLLOW, path.encode(), oflags, inheriting & ~_READ_OR_WRITE | rights, inheriting, fdflags
    )
    opened = host.fds.entries[number]
    if opened.filetype == IS_DIRECTORY and flags & MUTATE:
        opened.fdflags |= MUTATE_ASKED
    return opened


@both_versions("create-directory-at", Op.MAKE, ", path: string) -> result<_, error-code>")
def create_directory_at(host: Host, d: Descriptor, path: str) -> None:
    """Create a directory."""
    in_directory(d)
    need(host, d, int(R.PATH_CREATE_DIRECTORY))
    paths.path_create_directory(host, d, path.encode())


@both_versions("remove-directory-at", Op.REMOVE, ", path: string) -> result<_, error-code>")
def remove_directory_at(host: Host, d: Descriptor, path: str) -> None:
    """Remove an empty directory. If the name ends with "/", a link is followed first."""
    in_directory(d)
    need(host, d, int(R.PATH_REMOVE_DIRECTORY))
    if path.endswith("/") and path.strip("/"):
        d.object.stat_path(path, True)
    paths.path_remove_directory(host, d, path.encode())


@both_versions("unlink-file-at", Op.REMOVE, ", path: string) -> result<_, error-code>")
def unlink_file_at(host: Host, d: Descriptor, path: str) -> None:
    """Remove a name of a file or link."""
    in_directory(d)
    need(host, d, int(R.PATH_UNLINK_FILE))
    paths.path_unlink_file(host, d, path.encode())


@both_versions(
    "rename-at", Op.RENAME,
    ", old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> result<_, error-code>",
)  # fmt: skip
def rename_at(host: Host, d: Descriptor, path: str, other: Descriptor, new_path: str) -> None:
    """Rename or move."""
    in_directory(d)
    in_directory(other)
    need(host, d, int(R.PATH_RENAME_SOURCE))
    need(host, other, int(R.PATH_RENAME_TARGET))
    paths.path_rename(host, d, path.encode(), other, new_path.encode())


@both_versions(
    "link-at", Op.LINK,
    ", old-path-flags: path-flags, old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> "
    "result<_, error-code>",
)  # fmt: skip
def link_at(host: Host, d: Descriptor, path_flags: int, path: str, other: Descriptor, new_path: str) -> None:
    """Give a file another name."""
    in_directory(d)
    in_directory(other)
    need(host, d, int(R.PATH_LINK_SOURCE))
    need(host, other, int(R.PATH_LINK_TARGET))
    paths.path_link(host, d, path_flags & FOLLOW, path.encode(), other, new_path.encode())


@both_versions("symlink-at", Op.SYMLINK, ", old-path: string, new-path: string) -> result<_, error-code>")
def symlink_at(host: Host, d: Descriptor, target: str, path: str) -> None:
    """Create a symbolic link."""
    in_directory(d)
    need(host, d, int(R.PATH_SYMLINK))
    paths.path_symlink(host, target.encode(), d, path.encode())


@both_versions("readlink-at", Op.READ_LINK, ", path: string) -> result<string, error-code>")
def readlink_at(host: Host, d: Descriptor, path: str) -> str:
    """The text of a symbolic link."""
    in_directory(d)
    need(host, d, int(R.PATH_READLINK))
    buffer = memoryview(bytearray(paths.MAX_PATH))
    size = paths.path_readlink(host, d, path.encode(), buffer)
    return bytes(buffer[:size]).decode()


def _entries(host: Host, d: Descriptor) -> Iterator[Entry]:
    """The entries of a directory. Names that are not UTF-8 are left out and noted."""
    in_directory(d)
    need(host, d, int(R.FD_READDIR))
    found = d.object.list()
    left_out = getattr(d.object, "hidden", 0)
    kept = []
    for entry in found:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            left_out += 1
        else:
            kept.append(entry)
    if left_out:
        names = counted(left_out, "name that is", "names that are")
        host.note(f"read-directory of {d.path!r} left out {names} not UTF-8")
    return iter(kept)


class DirectoryEntries:
    """`directory-entry-stream` of 0.2."""

    def __init__(self, entries: Iterator[Entry], path: str) -> None:
        self.entries = entries
        self.path = path


@TYPES2.function(
    "[method]descriptor.read-directory", Op.LIST,
    "(self: borrow<descriptor>) -> result<own<directory-entry-stream>, error-code>", errors=code_of,
)  # fmt: skip
def read_directory2(host: Host, d: Descriptor) -> DirectoryEntries:
    """A snapshot of the directory."""
    return DirectoryEntries(_entries(host, d), d.path)


@TYPES2.function(
    "[method]directory-entry-stream.read-directory-entry", Op.LIST,
    "(self: borrow<directory-entry-stream>) -> result<option<directory-entry>, error-code>", errors=code_of,
)  # fmt: skip
def read_directory_entry(host: Host, stream: DirectoryEntries) -> tuple[str, str] | None:
    """The next entry; none at the end."""
    entry = next(stream.entries, None)
    return None if entry is None else (type2(int(entry.filetype)), entry.name)


@TYPES3.function(
    "[method]descriptor.read-directory",
    Op.LIST,
    "(self: borrow<descriptor>) -> tuple<stream<directory-entry>, future<result<_, error-code>>>",
)
def read_directory3(host: Host, d: Descriptor) -> tuple[Source, Promise]:
    """The directory at the first read, and how the stream ended."""
    done = Promise()
    entries: Iterator[Entry] | None = None

    def pull(count: int) -> list[Value] | None:
        nonlocal entries
        try:
            if entries is None:
                entries = _entries(host, d)
        except Exception as error:  # noqa: BLE001  other exceptions are raised again
            done.resolve(explained(host, error, d))
            return None
        found = []
        for entry in entries:
            found.append((type3(int(entry.filetype)), entry.name))
            if len(found) >= min(count, 1000):
                break
        if not found:
            done.resolve(("ok", None))
            return None
        return found

    return Source(pull, lambda: done.resolve(("ok", None))), done
