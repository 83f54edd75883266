"""`wasi:filesystem` 0.2 and 0.3: descriptors, paths, directories.

A descriptor is one of the host's own table, so rights, limits and refusals are those of preview1, and most functions
here are the functions of preview1 with other words around them. Where the versions differ, both are said:

- errors and file types are enums in 0.2 and variants in 0.3, with the same names;
- times are `datetime` (unsigned) in 0.2 and `instant` (signed) in 0.3;
- 0.2 reads and writes at an offset or through the streams of `wasi:io`, 0.3 through `stream<u8>` with a future for
  how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ...capabilities.protocols import Entry, FileType
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import Host
from ..operations import Operation as Op
from ..preview1 import fd, fdstat
from ..preview1 import path as paths
from ..types import Fdflags, Filestat, Fstflags, Oflags
from ..types import Rights as R
from .error_names import word_of
from .interfaces import Interface
from .resources import PIECE, InputStream, IoError, OutputStream, need
from .waits import Incoming, Promise, Source, Value

F = TypeVar("F", bound=Callable[..., object])

READ, WRITE, FILE_SYNC, DATA_SYNC, REQUESTED_SYNC, MUTATE = (1 << bit for bit in range(6))
"""descriptor-flags."""
FOLLOW = 1
"""path-flags."""
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = (1 << bit for bit in range(4))
"""open-flags."""

_NAMES = (
    "access", "would-block", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist", "file-too-large",
    "illegal-byte-sequence", "in-progress", "interrupted", "invalid", "io", "is-directory", "loop", "too-many-links",
    "message-size", "name-too-long", "no-device", "no-entry", "no-lock", "insufficient-memory", "insufficient-space",
    "not-directory", "not-empty", "not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow",
    "not-permitted", "pipe", "read-only", "invalid-seek", "text-file-busy", "cross-device",
)  # fmt: skip
_TYPES = {
    FileType.BLOCK_DEVICE: "block-device", FileType.CHARACTER_DEVICE: "character-device",
    FileType.DIRECTORY: "directory", FileType.REGULAR_FILE: "regular-file", FileType.SOCKET_DGRAM: "socket",
    FileType.SOCKET_STREAM: "socket", FileType.SYMBOLIC_LINK: "symbolic-link",
}  # fmt: skip
_DIRECTORY = int(FileType.DIRECTORY)
_MUTATE_ASKED = 1 << 16
"""Beyond preview1's own fdflags: a directory was opened with `mutate-directory`."""
_TOP = 1 << 63
_S64 = (1 << 63) - 1


def code_of(failure: WasiError) -> str:
    """The error code of 0.2 for a failure."""
    return word_of(failure.errno)


def code3_of(failure: WasiError) -> tuple[str, None]:
    """The error code of 0.3 for a failure; it has no `would-block`."""
    code = code_of(failure)
    return ("busy" if code == "would-block" else code, None)


def _type2(filetype: int) -> str:
    return _TYPES.get(FileType(filetype), "unknown")


def _type3(filetype: int) -> tuple[str, None]:
    found = _TYPES.get(FileType(filetype))
    return ("other", None) if found is None else (found, None)


def _time(ns: int) -> tuple[int, int]:
    return ns // 1_000_000_000, ns % 1_000_000_000


_SHARED_TYPES = {
    "filesize": "u64",
    "descriptor-flags": "flags { read, write, file-integrity-sync, data-integrity-sync, requested-write-sync, "
    "mutate-directory }",
    "path-flags": "flags { symlink-follow }",
    "open-flags": "flags { create, directory, exclusive, truncate }",
    "link-count": "u64",
    "directory-entry": "record { type: descriptor-type, name: string }",
    "advice": "enum { normal, sequential, random, will-need, dont-need, no-reuse }",
    "metadata-hash-value": "record { lower: u64, upper: u64 }",
}


def _stat_type(time: str) -> str:
    return (
        "record { type: descriptor-type, link-count: link-count, size: filesize, "
        f"data-access-timestamp: option<{time}>, data-modification-timestamp: option<{time}>, "
        f"status-change-timestamp: option<{time}> }}"
    )


def _let_go(host: Host, descriptor: Descriptor) -> None:
    if descriptor.preopen is None and host.fds.entries.get(descriptor.fd) is descriptor:
        host.fds.close(descriptor)


TYPES2 = Interface(
    "wasi:filesystem/types",
    "0.2",
    types={
        "input-stream": "use wasi:io/streams",
        "output-stream": "use wasi:io/streams",
        "error": "use wasi:io/error",
        "datetime": "use wasi:clocks/wall-clock",
        **_SHARED_TYPES,
        "descriptor-type": "enum { unknown, block-device, character-device, directory, fifo, symbolic-link, "
        "regular-file, socket }",
        "descriptor-stat": _stat_type("datetime"),
        "new-timestamp": "variant { no-change, now, timestamp(datetime) }",
        "error-code": f"enum {{ {', '.join(_NAMES)} }}",
    },
    resources={"descriptor": _let_go, "directory-entry-stream": lambda host, stream: None},
)
TYPES3 = Interface(
    "wasi:filesystem/types",
    "0.3",
    types={
        "instant": "use wasi:clocks/system-clock",
        **_SHARED_TYPES,
        "descriptor-type": "variant { block-device, character-device, directory, fifo, symbolic-link, regular-file, "
        "socket, other(option<string>) }",
        "descriptor-stat": _stat_type("instant"),
        "new-timestamp": "variant { no-change, now, timestamp(instant) }",
        "error-code": f"variant {{ {', '.join(n for n in _NAMES if n != 'would-block')}, other(option<string>) }}",
    },
    resources={"descriptor": _let_go},
)
PREOPENS2 = Interface("wasi:filesystem/preopens", "0.2", types={"descriptor": "use wasi:filesystem/types"})
PREOPENS3 = Interface("wasi:filesystem/preopens", "0.3", types={"descriptor": "use wasi:filesystem/types"})


def _both(name: str, operation: Op, type_: str) -> Callable[[F], F]:
    """Declare a method of `descriptor` that both versions have; in 0.3 it is async."""

    def declare(call: F) -> F:
        full = f"[method]descriptor.{name}"
        text = f"(self: borrow<descriptor>{type_}"
        TYPES2.function(full, operation, text, errors=code_of)(call)
        TYPES3.function(full, operation, f"async {text}", errors=code3_of)(call)
        return call

    return declare


@PREOPENS2.function("get-directories", Op.PREOPENS, "() -> list<tuple<own<descriptor>, string>>")
@PREOPENS3.function("get-directories", Op.PREOPENS, "() -> list<tuple<own<descriptor>, string>>")
def get_directories(host: Host) -> list[tuple[Descriptor, str]]:
    """The granted directories and their names."""
    return [(d, d.preopen) for d in host.fds.entries.values() if d.preopen is not None]


# -- opening -----------------------------------------------------------------------------------------------------------


def _in_directory(d: Descriptor) -> None:
    if d.filetype != _DIRECTORY:
        raise WasiError(Errno.NOTDIR)


@_both(
    "open-at", Op.OPEN,
    ", path-flags: path-flags, path: string, open-flags: open-flags, flags: descriptor-flags) -> "
    "result<own<descriptor>, error-code>",
)  # fmt: skip
def open_at(host: Host, d: Descriptor, path_flags: int, path: str, open_flags: int, flags: int) -> Descriptor:
    """Open or create a file or directory beneath a directory, as preview1's path_open.

    To create or truncate asks for writing as well; nothing asked for at all asks for reading.
    """
    _in_directory(d)
    need(host, d, int(R.PATH_OPEN))
    wants = flags
    if not wants & (READ | WRITE):
        wants |= READ
    if open_flags & (CREATE | TRUNCATE) and not open_flags & DIRECTORY:
        wants |= WRITE
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
    base = d.inheriting & ~int(R.FD_READ | R.FD_WRITE)
    base |= (int(R.FD_READ) if wants & READ else 0) | (int(R.FD_WRITE) if wants & WRITE else 0)
    number = paths.path_open(
        host, d, FOLLOW if path_flags & FOLLOW else 0, path.encode(), int(oflags), base, d.inheriting, int(fdflags)
    )
    opened = host.fds.entries[number]
    if opened.filetype == _DIRECTORY and flags & MUTATE:
        opened.fdflags |= _MUTATE_ASKED
    return opened


@_both("get-flags", Op.DESCRIBE, ") -> result<descriptor-flags, error-code>")
def get_flags(host: Host, d: Descriptor) -> int:
    """What it may be used for."""
    if d.filetype == _DIRECTORY:
        changes = d.allowed & int(R.PATH_CREATE_FILE | R.PATH_CREATE_DIRECTORY)
        asked = d.preopen is not None or d.fdflags & _MUTATE_ASKED
        return READ | (MUTATE if changes and asked else 0)
    found = (READ if d.allowed & int(R.FD_READ) else 0) | (WRITE if d.allowed & int(R.FD_WRITE) else 0)
    for flag, bit in ((Fdflags.SYNC, FILE_SYNC), (Fdflags.DSYNC, DATA_SYNC), (Fdflags.RSYNC, REQUESTED_SYNC)):
        if d.fdflags & flag:
            found |= bit
    return found


@TYPES2.function(
    "[method]descriptor.get-type", Op.DESCRIBE, "(self: borrow<descriptor>) -> result<descriptor-type, error-code>",
    errors=code_of,
)  # fmt: skip
def get_type2(host: Host, d: Descriptor) -> str:
    """Its type."""
    return _type2(d.filetype)


@TYPES3.function(
    "[method]descriptor.get-type", Op.DESCRIBE,
    "async (self: borrow<descriptor>) -> result<descriptor-type, error-code>", errors=code3_of,
)  # fmt: skip
def get_type3(host: Host, d: Descriptor) -> tuple[str, None]:
    """Its type."""
    return _type3(d.filetype)


# -- attributes --------------------------------------------------------------------------------------------------------


def _stat_value(stat: Filestat, type_: Value) -> tuple[Value, ...]:
    return (type_, stat.nlink, stat.size, _time(stat.atim), _time(stat.mtim), _time(stat.ctim))


def _stat(host: Host, d: Descriptor) -> Filestat:
    need(host, d, int(R.FD_FILESTAT_GET))
    return fdstat.fd_filestat_get(host, d)


def _stat_at(host: Host, d: Descriptor, path_flags: int, path: str) -> Filestat:
    _in_directory(d)
    need(host, d, int(R.PATH_FILESTAT_GET))
    return paths.path_filestat_get(host, d, path_flags & FOLLOW, path.encode())


@TYPES2.function(
    "[method]descriptor.stat", Op.STAT, "(self: borrow<descriptor>) -> result<descriptor-stat, error-code>",
    errors=code_of,
)  # fmt: skip
def stat2(host: Host, d: Descriptor) -> Value:
    """The attributes of what is open."""
    found = _stat(host, d)
    return _stat_value(found, _type2(found.filetype))


@TYPES3.function(
    "[method]descriptor.stat", Op.STAT, "async (self: borrow<descriptor>) -> result<descriptor-stat, error-code>",
    errors=code3_of,
)  # fmt: skip
def stat3(host: Host, d: Descriptor) -> Value:
    """The attributes of what is open."""
    found = _stat(host, d)
    return _stat_value(found, _type3(found.filetype))


_STAT_AT = "(self: borrow<descriptor>, path-flags: path-flags, path: string) -> result<descriptor-stat, error-code>"


@TYPES2.function("[method]descriptor.stat-at", Op.STAT, _STAT_AT, errors=code_of)
def stat_at2(host: Host, d: Descriptor, path_flags: int, path: str) -> Value:
    """The attributes of what a path names."""
    found = _stat_at(host, d, path_flags, path)
    return _stat_value(found, _type2(found.filetype))


@TYPES3.function("[method]descriptor.stat-at", Op.STAT, f"async {_STAT_AT}", errors=code3_of)
def stat_at3(host: Host, d: Descriptor, path_flags: int, path: str) -> Value:
    """The attributes of what a path names."""
    found = _stat_at(host, d, path_flags, path)
    return _stat_value(found, _type3(found.filetype))


@_both("set-size", Op.RESIZE, ", size: filesize) -> result<_, error-code>")
def set_size(host: Host, d: Descriptor, size: int) -> None:
    """Cut or extend."""
    if d.filetype == _DIRECTORY:
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
        raise WasiError(Errno.INVAL, f"{nanoseconds} nanoseconds are a second or more")
    ns = seconds * 1_000_000_000 + nanoseconds
    if not 0 <= ns < _TOP:
        raise WasiError(Errno.INVAL, f"the time {seconds} s cannot be set")
    return ns, int(set_it)


def _times(access: Value, modified: Value) -> tuple[int, int, int]:
    atim, one = _new_time(access, Fstflags.ATIM, Fstflags.ATIM_NOW)
    mtim, other = _new_time(modified, Fstflags.MTIM, Fstflags.MTIM_NOW)
    return atim, mtim, one | other


_TWO_TIMES = ", data-access-timestamp: new-timestamp, data-modification-timestamp: new-timestamp) -> "


@_both("set-times", Op.SET_TIMES, f"{_TWO_TIMES}result<_, error-code>")
def set_times(host: Host, d: Descriptor, access: Value, modified: Value) -> None:
    """Set the times of what is open."""
    need(host, d, int(R.FD_FILESTAT_SET_TIMES))
    fdstat.fd_filestat_set_times(host, d, *_times(access, modified))


@_both("set-times-at", Op.SET_TIMES, f", path-flags: path-flags, path: string{_TWO_TIMES}result<_, error-code>")
def set_times_at(host: Host, d: Descriptor, path_flags: int, path: str, access: Value, modified: Value) -> None:
    """Set the times of what a path names."""
    _in_directory(d)
    need(host, d, int(R.PATH_FILESTAT_SET_TIMES))
    paths.path_filestat_set_times(host, d, path_flags & FOLLOW, path.encode(), *_times(access, modified))


def _hash(stat: Filestat) -> tuple[int, int]:
    """The file's serial number, which the preview1 adapter takes from the lower half, and its device."""
    return stat.ino & (1 << 64) - 1, stat.dev & (1 << 64) - 1


@_both("metadata-hash", Op.STAT, ") -> result<metadata-hash-value, error-code>")
def metadata_hash(host: Host, d: Descriptor) -> tuple[int, int]:
    """Two numbers that are the same for the same file."""
    return _hash(_stat(host, d))


@_both(
    "metadata-hash-at", Op.STAT, ", path-flags: path-flags, path: string) -> result<metadata-hash-value, error-code>"
)
def metadata_hash_at(host: Host, d: Descriptor, path_flags: int, path: str) -> tuple[int, int]:
    """The same of what a path names."""
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


@_both("advise", Op.ADVISE, ", offset: filesize, length: filesize, advice: advice) -> result<_, error-code>")
def advise(host: Host, d: Descriptor, offset: int, length: int, advice: str) -> None:
    """How a range will be used."""
    if d.filetype == _DIRECTORY:
        raise WasiError(Errno.BADF)
    need(host, d, int(R.FD_ADVISE))
    number = ("normal", "sequential", "random", "will-need", "dont-need", "no-reuse").index(advice)
    fd.fd_advise(host, d, offset, length, number)


@_both("sync", Op.SYNC, ") -> result<_, error-code>")
def sync(host: Host, d: Descriptor) -> None:
    """Data and attributes to the storage."""
    fd.fd_sync(host, d)


@_both("sync-data", Op.SYNC, ") -> result<_, error-code>")
def sync_data(host: Host, d: Descriptor) -> None:
    """Data to the storage."""
    fd.fd_datasync(host, d)


# -- names -------------------------------------------------------------------------------------------------------------


@_both("create-directory-at", Op.MAKE, ", path: string) -> result<_, error-code>")
def create_directory_at(host: Host, d: Descriptor, path: str) -> None:
    """Create a directory."""
    _in_directory(d)
    need(host, d, int(R.PATH_CREATE_DIRECTORY))
    paths.path_create_directory(host, d, path.encode())


@_both("remove-directory-at", Op.REMOVE, ", path: string) -> result<_, error-code>")
def remove_directory_at(host: Host, d: Descriptor, path: str) -> None:
    """Remove an empty directory. A name with "/" behind it is judged by where it leads."""
    _in_directory(d)
    need(host, d, int(R.PATH_REMOVE_DIRECTORY))
    if path.endswith("/") and path.strip("/"):
        d.object.stat_path(path, True)
    paths.path_remove_directory(host, d, path.encode())


@_both("unlink-file-at", Op.REMOVE, ", path: string) -> result<_, error-code>")
def unlink_file_at(host: Host, d: Descriptor, path: str) -> None:
    """Remove a name of a file or link."""
    _in_directory(d)
    need(host, d, int(R.PATH_UNLINK_FILE))
    paths.path_unlink_file(host, d, path.encode())


@_both(
    "rename-at", Op.RENAME,
    ", old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> result<_, error-code>",
)  # fmt: skip
def rename_at(host: Host, d: Descriptor, path: str, other: Descriptor, new_path: str) -> None:
    """Rename or move."""
    _in_directory(d)
    _in_directory(other)
    need(host, d, int(R.PATH_RENAME_SOURCE))
    need(host, other, int(R.PATH_RENAME_TARGET))
    paths.path_rename(host, d, path.encode(), other, new_path.encode())


@_both(
    "link-at", Op.LINK,
    ", old-path-flags: path-flags, old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> "
    "result<_, error-code>",
)  # fmt: skip
def link_at(host: Host, d: Descriptor, path_flags: int, path: str, other: Descriptor, new_path: str) -> None:
    """Give a file another name."""
    _in_directory(d)
    _in_directory(other)
    need(host, d, int(R.PATH_LINK_SOURCE))
    need(host, other, int(R.PATH_LINK_TARGET))
    paths.path_link(host, d, path_flags & FOLLOW, path.encode(), other, new_path.encode())


@_both("symlink-at", Op.SYMLINK, ", old-path: string, new-path: string) -> result<_, error-code>")
def symlink_at(host: Host, d: Descriptor, target: str, path: str) -> None:
    """Create a symbolic link."""
    _in_directory(d)
    need(host, d, int(R.PATH_SYMLINK))
    paths.path_symlink(host, target.encode(), d, path.encode())


@_both("readlink-at", Op.READ_LINK, ", path: string) -> result<string, error-code>")
def readlink_at(host: Host, d: Descriptor, path: str) -> str:
    """The text of a symbolic link."""
    _in_directory(d)
    need(host, d, int(R.PATH_READLINK))
    buffer = memoryview(bytearray(paths.MAX_PATH))
    size = paths.path_readlink(host, d, path.encode(), buffer)
    return bytes(buffer[:size]).decode()


def _entries(host: Host, d: Descriptor) -> Iterator[Entry]:
    """What is in a directory, without the names that are not UTF-8, which are noted."""
    _in_directory(d)
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
        host.note(f"read-directory of {d.path!r} left out {left_out} names that are not UTF-8")
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
    """The directory as it is now."""
    return DirectoryEntries(_entries(host, d), d.path)


@TYPES2.function(
    "[method]directory-entry-stream.read-directory-entry", Op.LIST,
    "(self: borrow<directory-entry-stream>) -> result<option<directory-entry>, error-code>", errors=code_of,
)  # fmt: skip
def read_directory_entry(host: Host, stream: DirectoryEntries) -> tuple[str, str] | None:
    """The next entry; none at the end."""
    entry = next(stream.entries, None)
    return None if entry is None else (_type2(int(entry.filetype)), entry.name)


# -- bytes: 0.2 --------------------------------------------------------------------------------------------------------


def _not_a_directory(d: Descriptor) -> None:
    if d.filetype == _DIRECTORY:
        raise WasiError(Errno.ISDIR)


@TYPES2.function(
    "[method]descriptor.read-via-stream", Op.READ,
    "(self: borrow<descriptor>, offset: filesize) -> result<own<input-stream>, error-code>", errors=code_of,
)  # fmt: skip
def read_via_stream2(host: Host, d: Descriptor, offset: int) -> InputStream:
    """A stream of the bytes from an offset on."""
    _not_a_directory(d)
    need(host, d, int(R.FD_READ))
    _check_offset(offset)
    return InputStream(d, offset)


@TYPES2.function(
    "[method]descriptor.write-via-stream", Op.WRITE,
    "(self: borrow<descriptor>, offset: filesize) -> result<own<output-stream>, error-code>", errors=code_of,
)  # fmt: skip
def write_via_stream2(host: Host, d: Descriptor, offset: int) -> OutputStream:
    """A stream that writes from an offset on."""
    _not_a_directory(d)
    need(host, d, int(R.FD_WRITE))
    _check_offset(offset)
    return OutputStream(d, offset)


@TYPES2.function(
    "[method]descriptor.append-via-stream", Op.WRITE,
    "(self: borrow<descriptor>) -> result<own<output-stream>, error-code>", errors=code_of,
)  # fmt: skip
def append_via_stream2(host: Host, d: Descriptor) -> OutputStream:
    """A stream that writes at the end."""
    _not_a_directory(d)
    need(host, d, int(R.FD_WRITE))
    return OutputStream(d, append=True)


def _check_offset(offset: int) -> None:
    if offset >= _TOP:
        raise WasiError(Errno.INVAL, f"the offset {offset} is 2**63 or more")


@TYPES2.function(
    "[method]descriptor.read", Op.READ,
    "(self: borrow<descriptor>, length: filesize, offset: filesize) -> result<tuple<list<u8>, bool>, error-code>",
    errors=code_of,
)  # fmt: skip
def read2(host: Host, d: Descriptor, length: int, offset: int) -> tuple[memoryview, bool]:
    """Bytes at an offset, and whether the end is reached."""
    _not_a_directory(d)
    need(host, d, int(R.FD_READ))
    buffer = memoryview(bytearray(min(length, PIECE, host.max_io)))
    got = fd.fd_pread(host, d, [buffer], offset)
    return buffer[:got], got == 0 and length > 0


@TYPES2.function(
    "[method]descriptor.write", Op.WRITE,
    "(self: borrow<descriptor>, buffer: list<u8>, offset: filesize) -> result<filesize, error-code>", errors=code_of,
)  # fmt: skip
def write2(host: Host, d: Descriptor, data: memoryview, offset: int) -> int:
    """Write at an offset; the bytes written."""
    _not_a_directory(d)
    need(host, d, int(R.FD_WRITE))
    return fd.fd_pwrite(host, d, [memoryview(data)[: host.max_io]], offset)


@TYPES2.function("filesystem-error-code", Op.DESCRIBE, "(err: borrow<error>) -> option<error-code>")
def filesystem_error_code(host: Host, error: IoError) -> str | None:
    """The error code behind the failure of a stream."""
    return code_of(error.failure)


# -- bytes: 0.3 --------------------------------------------------------------------------------------------------------


def explained(host: Host, error: BaseException, d: Descriptor) -> tuple[str, tuple[str, None]]:
    """The `error` of a future for what a stream ran into. Raises what is not a failure of the guest's."""
    failure = host.explain(error, d)
    if failure is None:
        raise error
    return ("error", code3_of(failure))


@TYPES3.function(
    "[method]descriptor.read-via-stream",
    Op.READ,
    "(self: borrow<descriptor>, offset: filesize) -> tuple<stream<u8>, future<result<_, error-code>>>",
)
def read_via_stream3(host: Host, d: Descriptor, offset: int) -> tuple[Source, Promise]:
    """The bytes from an offset on, and how it ended."""
    done = Promise()
    at = offset

    def pull(count: int) -> bytes | None:
        nonlocal at
        try:
            _not_a_directory(d)
            need(host, d, int(R.FD_READ))
            buffer = memoryview(bytearray(min(count, PIECE, host.max_io)))
            got = fd.fd_pread(host, d, [buffer], at)
        except Exception as error:  # noqa: BLE001  what is no failure is raised again
            done.resolve(explained(host, error, d))
            return None
        at += got
        if not got:
            done.resolve(("ok", None))
            return None
        return bytes(buffer[:got])

    return Source(pull, lambda: done.resolve(("ok", None))), done


class FileSink:
    """Where the bytes go that a guest writes into a stream over a file."""

    def __init__(self, host: Host, stream: OutputStream, done: Promise) -> None:
        self._host = host
        self._stream = stream
        self._done = done

    def put(self, data: bytes) -> None:
        """Write them."""
        d = self._stream.descriptor
        _not_a_directory(d)
        if self._stream.offset is not None:
            _check_offset(self._stream.offset)
        self._stream.write(self._host, data)

    def room(self) -> None:
        """Always."""
        return

    def end(self, error: BaseException | None) -> None:
        """Say how it ended."""
        ended = ("ok", None) if error is None else explained(self._host, error, self._stream.descriptor)
        self._done.resolve(ended)


@TYPES3.function(
    "[method]descriptor.write-via-stream",
    Op.WRITE,
    "(self: borrow<descriptor>, data: stream<u8>, offset: filesize) -> future<result<_, error-code>>",
)
def write_via_stream3(host: Host, d: Descriptor, data: Incoming, offset: int) -> Promise:
    """Write what comes, from an offset on; how it ended."""
    done = Promise()
    data.consume(FileSink(host, OutputStream(d, offset), done))
    return done


@TYPES3.function(
    "[method]descriptor.append-via-stream",
    Op.WRITE,
    "(self: borrow<descriptor>, data: stream<u8>) -> future<result<_, error-code>>",
)
def append_via_stream3(host: Host, d: Descriptor, data: Incoming) -> Promise:
    """Write what comes, at the end; how it ended."""
    done = Promise()
    data.consume(FileSink(host, OutputStream(d, append=True), done))
    return done


@TYPES3.function(
    "[method]descriptor.read-directory",
    Op.LIST,
    "(self: borrow<descriptor>) -> tuple<stream<directory-entry>, future<result<_, error-code>>>",
)
def read_directory3(host: Host, d: Descriptor) -> tuple[Source, Promise]:
    """The directory as it is when it is first read, and how it ended."""
    done = Promise()
    entries: Iterator[Entry] | None = None

    def pull(count: int) -> list[Value] | None:
        nonlocal entries
        try:
            if entries is None:
                entries = _entries(host, d)
        except Exception as error:  # noqa: BLE001  what is no failure is raised again
            done.resolve(explained(host, error, d))
            return None
        found = []
        for entry in entries:
            found.append((_type3(int(entry.filetype)), entry.name))
            if len(found) >= min(count, 1000):
                break
        if not found:
            done.resolve(("ok", None))
            return None
        return found

    return Source(pull, lambda: done.resolve(("ok", None))), done
