"""`wasi:filesystem`: the attributes of files: flags, type, size, times, hashes, and sync."""

from __future__ import annotations

from ...errnos import Errno, WasiError
from ...fdtable import Descriptor
from ...host import Host
from ...operations import Operation as Op
from ...preview1 import fd, fdstat
from ...preview1 import path as paths
from ...types import Fdflags, Filestat, Fstflags
from ...types import Rights as R
from ..resources import need
from ..waits import Value
from .file_common import (
    DATA_SYNC,
    FILE_SYNC,
    FOLLOW,
    IS_DIRECTORY,
    MUTATE,
    MUTATE_ASKED,
    READ,
    REQUESTED_SYNC,
    TOP,
    TYPES2,
    TYPES3,
    WRITE,
    both_versions,
    code3_of,
    code_of,
    in_directory,
    type2,
    type3,
)

_FD_READ, _FD_WRITE = int(R.FD_READ), int(R.FD_WRITE)
_CREATES = int(R.PATH_CREATE_FILE) | int(R.PATH_CREATE_DIRECTORY)
_STAT, _STAT_PATH = int(R.FD_FILESTAT_GET), int(R.PATH_FILESTAT_GET)
_SYNC_FLAGS = (
    (int(Fdflags.SYNC), FILE_SYNC), (int(Fdflags.DSYNC), DATA_SYNC), (int(Fdflags.RSYNC), REQUESTED_SYNC),
)  # fmt: skip


@both_versions("get-flags", Op.DESCRIBE, ") -> result<descriptor-flags, error-code>")
def get_flags(host: Host, d: Descriptor) -> int:
    """The flags of the descriptor."""
    if d.filetype == IS_DIRECTORY:
        changes = d.allowed & _CREATES
        asked = d.preopen is not None or d.fdflags & MUTATE_ASKED
        return READ | (MUTATE if changes and asked else 0)
    found = (READ if d.allowed & _FD_READ else 0) | (WRITE if d.allowed & _FD_WRITE else 0)
    if d.fdflags:
        for flag, bit in _SYNC_FLAGS:
            if d.fdflags & flag:
                found |= bit
    return found


@TYPES2.function(
    "[method]descriptor.get-type", Op.DESCRIBE, "(self: borrow<descriptor>) -> result<descriptor-type, error-code>",
    errors=code_of,
)  # fmt: skip
def get_type2(host: Host, d: Descriptor) -> str:
    """The type of the file."""
    return type2(d.filetype)


@TYPES3.function(
    "[method]descriptor.get-type", Op.DESCRIBE,
    "async (self: borrow<descriptor>) -> result<descriptor-type, error-code>", errors=code3_of,
)  # fmt: skip
def get_type3(host: Host, d: Descriptor) -> tuple[str, None]:
    """The type of the file."""
    return type3(d.filetype)


def _time(ns: int) -> tuple[int, int]:
    return ns // 1_000_000_000, ns % 1_000_000_000


def _stat_value(stat: Filestat, type_: Value) -> tuple[Value, ...]:
    return (type_, stat.nlink, stat.size, _time(stat.atim), _time(stat.mtim), _time(stat.ctim))


def _stat(host: Host, d: Descriptor) -> Filestat:
    need(host, d, _STAT)
    return fdstat.fd_filestat_get(host, d)


def _stat_at(host: Host, d: Descriptor, path_flags: int, path: str) -> Filestat:
    in_directory(d)
    need(host, d, _STAT_PATH)
    return paths.path_filestat_get(host, d, path_flags & FOLLOW, path.encode())


@TYPES2.function(
    "[method]descriptor.stat", Op.STAT, "(self: borrow<descriptor>) -> result<descriptor-stat, error-code>",
    errors=code_of,
)  # fmt: skip
def stat2(host: Host, d: Descriptor) -> Value:
    """The attributes of the open file."""
    found = _stat(host, d)
    return _stat_value(found, type2(found.filetype))


@TYPES3.function(
    "[method]descriptor.stat", Op.STAT, "async (self: borrow<descriptor>) -> result<descriptor-stat, error-code>",
    errors=code3_of,
)  # fmt: skip
def stat3(host: Host, d: Descriptor) -> Value:
    """The attributes of the open file."""
    found = _stat(host, d)
    return _stat_value(found, type3(found.filetype))


_STAT_AT = "(self: borrow<descriptor>, path-flags: path-flags, path: string) -> result<descriptor-stat, error-code>"


@TYPES2.function("[method]descriptor.stat-at", Op.STAT, _STAT_AT, errors=code_of)
def stat_at2(host: Host, d: Descriptor, path_flags: int, path: str) -> Value:
    """The attributes of the file at a path."""
    found = _stat_at(host, d, path_flags, path)
    return _stat_value(found, type2(found.filetype))


@TYPES3.function("[method]descriptor.stat-at", Op.STAT, f"async {_STAT_AT}", errors=code3_of)
def stat_at3(host: Host, d: Descriptor, path_flags: int, path: str) -> Value:
    """The attributes of the file at a path."""
    found = _stat_at(host, d, path_flags, path)
    return _stat_value(found, type3(found.filetype))


@both_versions("set-size", Op.RESIZE, ", size: filesize) -> result<_, error-code>")
def set_size(host: Host, d: Descriptor, size: int) -> None:
    """Truncate or extend the file."""
    if d.filetype == IS_DIRECTORY:
        raise WasiError(Errno.ISDIR if host.strict else Errno.BADF)
    need(host, d, int(R.FD_WRITE))
    need(host, d, int(R.FD_FILESTAT_SET_SIZE))
    fdstat.fd_filestat_set_size(host, d, size)


def _new_time(value: tuple[str, tuple[int, int] | None], set_it: Fstflags, set_now: Fstflags) -> tuple[int, int]:
    """(ns, fstflags) of a `new-timestamp`."""
    case, time = value
    if case == "no-change":
        return 0, 0
    if case == "now" or time is None:
        return 0, int(set_now)
    seconds, nanoseconds = time
    if nanoseconds >= 1_000_000_000:
        raise WasiError(Errno.INVAL, f"{nanoseconds} nanoseconds: must be less than a second")
    ns = seconds * 1_000_000_000 + nanoseconds
    if not 0 <= ns < TOP:
        raise WasiError(Errno.INVAL, f"the time {seconds} s cannot be set")
    return ns, int(set_it)


def _times(access: Value, modified: Value) -> tuple[int, int, int]:
    atim, one = _new_time(access, Fstflags.ATIM, Fstflags.ATIM_NOW)
    mtim, other = _new_time(modified, Fstflags.MTIM, Fstflags.MTIM_NOW)
    return atim, mtim, one | other


_TWO_TIMES = ", data-access-timestamp: new-timestamp, data-modification-timestamp: new-timestamp) -> "


@both_versions("set-times", Op.SET_TIMES, f"{_TWO_TIMES}result<_, error-code>")
def set_times(host: Host, d: Descriptor, access: Value, modified: Value) -> None:
    """Set the times of the open file."""
    need(host, d, int(R.FD_FILESTAT_SET_TIMES))
    fdstat.fd_filestat_set_times(host, d, *_times(access, modified))


@both_versions("set-times-at", Op.SET_TIMES, f", path-flags: path-flags, path: string{_TWO_TIMES}result<_, error-code>")
def set_times_at(host: Host, d: Descriptor, path_flags: int, path: str, access: Value, modified: Value) -> None:
    """Set the times of the file at a path."""
    in_directory(d)
    need(host, d, int(R.PATH_FILESTAT_SET_TIMES))
    paths.path_filestat_set_times(host, d, path_flags & FOLLOW, path.encode(), *_times(access, modified))


def _hash(stat: Filestat) -> tuple[int, int]:
    """The file's inode number (the preview1 adapter uses the lower half) and its device."""
    return stat.ino & (1 << 64) - 1, stat.dev & (1 << 64) - 1


@both_versions("metadata-hash", Op.STAT, ") -> result<metadata-hash-value, error-code>")
def metadata_hash(host: Host, d: Descriptor) -> tuple[int, int]:
    """Two numbers that are equal for the same file."""
    return _hash(_stat(host, d))


@both_versions(
    "metadata-hash-at", Op.STAT, ", path-flags: path-flags, path: string) -> result<metadata-hash-value, error-code>"
)
def metadata_hash_at(host: Host, d: Descriptor, path_flags: int, path: str) -> tuple[int, int]:
    """The same for the file at a path."""
    return _hash(_stat_at(host, d, path_flags, path))


@TYPES2.function(
    "[method]descriptor.is-same-object", Op.STAT, "(self: borrow<descriptor>, other: borrow<descriptor>) -> bool"
)
@TYPES3.function(
    "[method]descriptor.is-same-object", Op.STAT, "async (self: borrow<descriptor>, other: borrow<descriptor>) -> bool"
)
def is_same_object(host: Host, d: Descriptor, other: Descriptor) -> bool:
    """Whether both are the same file."""
    return _hash(d.object.stat()) == _hash(other.object.stat())


@both_versions("advise", Op.ADVISE, ", offset: filesize, length: filesize, advice: advice) -> result<_, error-code>")
def advise(host: Host, d: Descriptor, offset: int, length: int, advice: str) -> None:
    """Declare how a range will be used."""
    if d.filetype == IS_DIRECTORY:
        raise WasiError(Errno.BADF)
    need(host, d, int(R.FD_ADVISE))
    number = ("normal", "sequential", "random", "will-need", "dont-need", "no-reuse").index(advice)
    fd.fd_advise(host, d, offset, length, number)


@both_versions("sync", Op.SYNC, ") -> result<_, error-code>")
def sync(host: Host, d: Descriptor) -> None:
    """Write data and attributes to storage."""
    fd.fd_sync(host, d)


@both_versions("sync-data", Op.SYNC, ") -> result<_, error-code>")
def sync_data(host: Host, d: Descriptor) -> None:
    """Write data to storage."""
    fd.fd_datasync(host, d)
