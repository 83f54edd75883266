"""The calls that read and write bytes of a descriptor, and those on the descriptor table.

The calls on attributes (`fd_fdstat_*`, `fd_filestat_*`) are in `fdstat.py`. The engine has looked the descriptor up and
checked the right in the declaration: a descriptor that arrives here has a type to which the call applies, unless the
function says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from ...capabilities.paths import is_utf8
from ...capabilities.protocols import Entry, FileType
from ...text.numbers import counted
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor, Listing
from ..host import MOST_WRITTEN, WRITTEN, Host
from ..operations import Operation as Op
from ..types import DIRENT, Fdflags, Prestat
from ..types import Rights as R
from . import signature as s
from .signature import Param, Result, call

MAX_BUFFERS = 1024
"""Maximum buffers of one call (POSIX IOV_MAX on Linux)."""

_TOP = 1 << 63
_DIRECTORY, _REGULAR = int(FileType.DIRECTORY), int(FileType.REGULAR_FILE)
_U64 = (1 << 64) - 1
_APPEND = int(Fdflags.APPEND)
_SEEK, _CUR = int(R.FD_SEEK), 1
_WHENCE_OF_UNSTABLE = (1, 2, 0)

_NO_RIGHT = {Errno.NOTCAPABLE: "the descriptor lacks the right (strict rights)"}
_READ_ERRORS = {
    Errno.NOTCAPABLE: "the right fd_read is missing (strict rights); a positioned read also needs fd_seek",
    Errno.BADF: "the descriptor is not open, or not for reading (compat rights)",
    Errno.ISDIR: "the descriptor is a directory (compat rights)",
    Errno.INVAL: "more than 1024 buffers",
    Errno.AGAIN: "the descriptor is non-blocking and there is nothing to read now",
}
_WRITE_ERRORS = {
    Errno.NOTCAPABLE: "the right fd_write is missing (strict rights); a positioned write also needs fd_seek",
    Errno.BADF: "the descriptor is not open, or not for writing (compat rights)",
    Errno.INVAL: "more than 1024 buffers",
    Errno.FBIG: "the file would grow beyond what its file system can hold",
    Errno.NOSPC: "the device or in-memory directory is full, or the limit of bytes written is used up",
}


# -- bytes -------------------------------------------------------------------------------------------------------------


@call(
    20, Op.READ, Param("fd", s.FD_ARGUMENT, R.FD_READ), Param("iovs", s.IOVEC_ARRAY),
    results=(Result("nread", s.SIZE),), errors=_READ_ERRORS,
)  # fmt: skip
def fd_read(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    """Read at the position and move it, as readv(2). All buffers are filled in one operation; 0 bytes read is the end
    of the file.

    Memory:
        reads iovs_len x 8 bytes at iovs, a list of buffers:
            0       4       8       12      16
            |ptr u32|len u32|ptr u32|len u32| ...
        writes the bytes read into the buffers in order, u32 at result.nread

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_read
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/readv.html
    """
    count: int = d.object.read(buffers if len(buffers) == 1 else readable(buffers))
    return count


@call(
    26, Op.WRITE, Param("fd", s.FD_ARGUMENT, R.FD_WRITE), Param("iovs", s.CIOVEC_ARRAY),
    results=(Result("nwritten", s.SIZE),), errors=_WRITE_ERRORS,
)  # fmt: skip
def fd_write(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    """Write at the position (at the end in append mode) and move it, as writev(2).

    Memory:
        reads iovs_len x 8 bytes at iovs, and the bytes of each buffer:
            0       4       8       12      16
            |ptr u32|len u32|ptr u32|len u32| ...
        writes u32 at result.nwritten

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_write
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/writev.html
    """
    meter = host.meter
    if d.reach.beyond:
        return _write_beyond(host, d, buffers)
    if len(buffers) != 1 or len(buffers[0]) > meter[MOST_WRITTEN] - meter[WRITTEN]:
        buffers = writable(host, buffers)
    count: int = d.object.write(buffers)
    meter[WRITTEN] += count
    return count


@call(
    16, Op.READ,
    Param("fd", s.FD_ARGUMENT, R.FD_READ | R.FD_SEEK), Param("iovs", s.IOVEC_ARRAY), Param("offset", s.FILESIZE),
    results=(Result("nread", s.SIZE),), errors=_READ_ERRORS,
)  # fmt: skip
def fd_pread(host: Host, d: Descriptor, buffers: list[memoryview], offset: int) -> int:
    """Read at an offset without moving the position, as preadv(2). All buffers are filled in one operation; 0 bytes
    read is the end of the file.

    Memory:
        reads iovs_len x 8 bytes at iovs, a list of buffers:
            0       4       8       12      16
            |ptr u32|len u32|ptr u32|len u32| ...
        writes the bytes read into the buffers in order, u32 at result.nread

    Errors:
        ESPIPE: the descriptor is a stream
        EINVAL: an offset of 2**63 or more; more than 1024 buffers

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_pread
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/pread.html
    """
    if offset >= _TOP:
        raise _bad_offset(offset)
    count: int = d.object.pread(readable(buffers), offset)
    return count


@call(
    19, Op.WRITE,
    Param("fd", s.FD_ARGUMENT, R.FD_WRITE | R.FD_SEEK), Param("iovs", s.CIOVEC_ARRAY), Param("offset", s.FILESIZE),
    results=(Result("nwritten", s.SIZE),), errors=_WRITE_ERRORS,
)  # fmt: skip
def fd_pwrite(host: Host, d: Descriptor, buffers: list[memoryview], offset: int) -> int:
    """Write at an offset without moving the position, as pwritev(2).

    Memory:
        reads iovs_len x 8 bytes at iovs, and the bytes of each buffer:
            0       4       8       12      16
            |ptr u32|len u32|ptr u32|len u32| ...
        writes u32 at result.nwritten

    Errors:
        ESPIPE: the descriptor is a stream
        EINVAL: an offset of 2**63 or more; more than 1024 buffers

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_pwrite
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/pwrite.html
    """
    if offset >= _TOP:
        raise _bad_offset(offset)
    meter, reach = host.meter, d.reach
    gap = _gap(d, offset) if offset > reach.known_end else 0
    if len(buffers) != 1 or len(buffers[0]) + gap > meter[MOST_WRITTEN] - meter[WRITTEN]:
        buffers = writable(host, buffers, gap)
    count: int = d.object.pwrite(buffers, offset)
    meter[WRITTEN] += count + gap
    if offset + count > reach.known_end:
        reach.known_end = offset + count
    return count


# -- position ----------------------------------------------------------------------------------------------------------


@call(
    23, Op.SEEK,
    Param("fd", s.FD_ARGUMENT, R.FD_TELL), Param("offset", s.FILEDELTA), Param("whence", s.WHENCE),
    results=(Result("newoffset", s.FILESIZE),),
)  # fmt: skip
def fd_seek(host: Host, d: Descriptor, offset: int, whence: int) -> int:
    """Move the position, as lseek(2). Moving by 0 from the current position needs only the right fd_tell, which fd_seek
    includes.

    `whence` is 0 SET, 1 CUR, 2 END, as in POSIX; in wasi_unstable 0 CUR, 1 END, 2 SET.

    Memory:
        writes u64 at result.newoffset

    Errors:
        ENOTCAPABLE: the right fd_seek is missing (strict rights)
        ESPIPE: the descriptor is a stream
        EINVAL: undefined whence, or a new offset below 0 or of 2**63 or more
        EBADF: the descriptor is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_seek
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/lseek.html
    """
    if whence > 2:
        raise WasiError(Errno.INVAL, f"unknown whence {whence}")
    if _SEEK & ~d.allowed and (offset or whence != _CUR):
        host.check(d, _SEEK)
    position: int = d.object.seek(offset, whence)
    if position > d.reach.known_end:
        d.reach.beyond = True
    return position


def fd_seek_unstable(host: Host, d: Descriptor, offset: int, whence: int) -> int:
    """`fd_seek` of `wasi_unstable`, whose whence is numbered CUR, END, SET."""
    return fd_seek(host, d, offset, _WHENCE_OF_UNSTABLE[whence] if whence < 3 else whence)


fd_seek_unstable.__doc__ = fd_seek.__doc__  # the documentation of the call covers both


@call(25, Op.SEEK, Param("fd", s.FD_ARGUMENT, R.FD_TELL), results=(Result("offset", s.FILESIZE),), errors=_NO_RIGHT)
def fd_tell(host: Host, d: Descriptor) -> int:
    """The position, as lseek(fd, 0, SEEK_CUR).

    Memory:
        writes u64 at result.offset

    Errors:
        ESPIPE: the descriptor is a stream
        EBADF: the descriptor is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_tell
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/lseek.html
    """
    position: int = d.object.tell()
    return position


# -- storage -----------------------------------------------------------------------------------------------------------


@call(24, Op.SYNC, Param("fd", s.FD_ARGUMENT, R.FD_SYNC), errors=_NO_RIGHT)
def fd_sync(host: Host, d: Descriptor) -> None:
    """Bring the file's data and attributes to the storage, as fsync(2).

    Errors:
        EINVAL: the descriptor is a stream

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_sync
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fsync.html
    """
    d.object.sync()


@call(9, Op.SYNC, Param("fd", s.FD_ARGUMENT, R.FD_DATASYNC), errors=_NO_RIGHT)
def fd_datasync(host: Host, d: Descriptor) -> None:
    """Bring the file's data to the storage, as fdatasync(2). For a directory the same as fd_sync.

    Errors:
        EINVAL: the descriptor is a stream

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_datasync
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fdatasync.html
    """
    if d.filetype == _DIRECTORY:
        d.object.sync()
    else:
        d.object.datasync()


@call(
    6, Op.ADVISE,
    Param("fd", s.FD_ARGUMENT, R.FD_ADVISE), Param("offset", s.FILESIZE), Param("len", s.FILESIZE),
    Param("advice", s.ADVICE), errors=_NO_RIGHT,
)  # fmt: skip
def fd_advise(host: Host, d: Descriptor, offset: int, length: int, advice: int) -> None:
    """Say how a range of the file will be used, as posix_fadvise(3). A length of 0 reaches to the end.

    Errors:
        EINVAL: undefined advice, or an offset or length of 2**63 or more
        ESPIPE: the descriptor is a stream
        EBADF: the descriptor is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_advise
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/posix_fadvise.html
    """
    if advice > 5:
        raise WasiError(Errno.INVAL, f"unknown advice {advice}")
    if offset >= _TOP or length >= _TOP:
        raise WasiError(Errno.INVAL, "the offset or the length is 2**63 or more")
    d.object.advise(offset, length, advice)


@call(
    7, Op.ALLOCATE, Param("fd", s.FD_ARGUMENT, R.FD_ALLOCATE), Param("offset", s.FILESIZE), Param("len", s.FILESIZE),
    errors=_NO_RIGHT,
)  # fmt: skip
def fd_allocate(host: Host, d: Descriptor, offset: int, length: int) -> None:
    """Make sure that a range of the file has room, as posix_fallocate(3). Files of the host do not support it; files in
    memory grow.

    Errors:
        ENOTSUP: the file lies on the host
        EINVAL: the length is 0, or the offset or length is 2**63 or more
        EFBIG: offset plus length is beyond 2**63 - 1
        ENOSPC: the in-memory directory is full, or the limit of bytes written is used up
        EBADF: the descriptor is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_allocate
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/posix_fallocate.html
    """
    if offset >= _TOP or length >= _TOP or length == 0:
        raise WasiError(Errno.INVAL, "the length is 0, or the offset or the length is 2**63 or more")
    if offset + length >= _TOP:
        raise WasiError(Errno.FBIG, "the range ends beyond 2**63 - 1")
    growth = max(0, offset + length - d.object.stat().size)
    host.require_bytes(growth, "the growth of the file")
    d.object.allocate(offset, length)
    host.written += growth


# -- the table of descriptors ------------------------------------------------------------------------------------------


@call(8, Op.CLOSE, Param("fd", s.FD_ARGUMENT))
def fd_close(host: Host, d: Descriptor) -> None:
    """Close a descriptor and free its number, as close(2). A preopened directory may be closed too.

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_close
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/close.html
    """
    host.fds.close(d)


@call(22, Op.RENUMBER, Param("fd", s.FD_ARGUMENT), Param("to", s.FD_ARGUMENT))
def fd_renumber(host: Host, source: Descriptor, target: Descriptor) -> None:
    """Give a descriptor another number and close what had it, as dup2(2) and close(2) in one.

    Errors:
        EBADF: one of the two is not open

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_renumber
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/dup2.html
    """
    host.fds.renumber(source, target)


@call(17, Op.PREOPENS, Param("fd", s.FD_ARGUMENT), results=(Result("prestat", s.PRESTAT),))
def fd_prestat_get(host: Host, d: Descriptor) -> Prestat:
    """Describe a preopened descriptor. A program asks 3, 4, 5 ... until EBADF and so finds what it was granted.

    Memory:
        writes 8 bytes at result.prestat:
            0     1       4           8
            |tag 0|       |name_len u32|     tag 0: a directory; name_len in bytes, without NUL

    Errors:
        EBADF: the descriptor is not open, or was not preopened

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_prestat_get
    """
    return Prestat(0, len(_preopened(d, Errno.BADF)))


@call(18, Op.PREOPENS, Param("fd", s.FD_ARGUMENT), Param("path", s.BUFFER))
def fd_prestat_dir_name(host: Host, d: Descriptor, buffer: memoryview) -> None:
    """The name under which a directory was preopened, without NUL.

    Memory:
        writes the name at path, at most path_len bytes

    Errors:
        ENOTDIR: the descriptor was not preopened
        ENAMETOOLONG: path_len is less than the name's length

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_prestat_dir_name
    """
    name = _preopened(d, Errno.NOTDIR)
    if len(buffer) < len(name):
        raise WasiError(Errno.NAMETOOLONG, f"the name takes {len(name)} bytes and the buffer has {len(buffer)}")
    buffer[: len(name)] = name


def _preopened(d: Descriptor, missing: Errno) -> bytes:
    if d.preopen is None:
        raise WasiError(missing, f"descriptor {d.fd} ({d.path!r}) was not preopened")
    return d.preopen.encode("utf-8", "surrogateescape")


# -- listing -----------------------------------------------------------------------------------------------------------


@call(
    21, Op.LIST, Param("fd", s.FD_ARGUMENT, R.FD_READDIR), Param("buf", s.BUFFER), Param("cookie", s.DIRCOOKIE),
    results=(Result("bufused", s.SIZE),), errors=_NO_RIGHT,
)  # fmt: skip
def fd_readdir(host: Host, d: Descriptor, buffer: memoryview, cookie: int) -> int:
    """List a directory, "." and ".." included, from the entry that the cookie names (0: the first). Fewer bytes than
    buf_len mean that the end was reached; otherwise the last entry may be cut short.

    The entries are those of the last call with cookie 0, so that the cookies of one pass agree with each other (unless
    the listing had to make room for those of other descriptors, see `FdTable.keep_listing`).

    Memory:
        writes at most buf_len bytes at buf, u32 at result.bufused; each entry:
            0          8         16        20    21      24
            |next u64  |ino u64  |namlen u32|type |       |name ...|      next: the cookie of the following entry

    Errors:
        ENOTDIR: the descriptor is not a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_readdir
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/readdir.html
    """
    listing = d.listing
    if listing is None or cookie == 0:
        listing = _listing(host, d)
        host.fds.keep_listing(d, listing)
    starts = listing.starts
    start = starts[cookie] if cookie < len(starts) else starts[-1]
    data = listing.data[start : start + len(buffer)]
    buffer[: len(data)] = data
    return len(data)


def _listing(host: Host, d: Descriptor) -> Listing:
    """List the directory; names that are not UTF-8 are left out and noted."""
    thing = d.object
    own = getattr(thing, "ino", None)  # an open folder of the host knows it
    if own is None:
        own = thing.stat().ino
    found = thing.list()
    left_out = getattr(thing, "hidden", 0)
    try:
        entries = _entries(own, found)
    except UnicodeEncodeError:
        named = [entry for entry in found if is_utf8(entry[0])]
        entries, left_out = _entries(own, named), left_out + len(found) - len(named)
    if left_out:
        host.note(f"fd_readdir({d.path!r}) left out {counted(left_out, 'name that is', 'names that are')} not UTF-8")
    return Listing(b"".join(entries), [0, *accumulate(map(len, entries))])


def _entries(own: int, found: Sequence[Entry]) -> list[bytes]:
    """The packed dirents of the directory itself and of what is in it. Raises `UnicodeEncodeError`."""
    pack = DIRENT.pack
    return [
        *_own_entries(own),
        *[
            pack(cookie, ino & _U64, len(raw := name.encode()), filetype) + raw
            for cookie, (name, ino, filetype) in enumerate(found, 3)
        ],
    ]


@lru_cache(256)  # a program lists few directories at a time
def _own_entries(own: int) -> tuple[bytes, bytes]:
    here, above = DIRENT.pack(1, own & _U64, 1, _DIRECTORY), DIRENT.pack(2, own & _U64, 2, _DIRECTORY)
    return here + b".", above + b".."


# -- buffers and offsets -----------------------------------------------------------------------------------------------


def readable(buffers: list[memoryview]) -> list[memoryview]:
    """The buffers of one reading call; INVAL for too many. (The engine bounds their bytes.)"""
    if len(buffers) > MAX_BUFFERS:
        raise _too_many()
    return buffers


def writable(host: Host, buffers: list[memoryview], gap: int = 0) -> list[memoryview]:
    """The buffers of one writing call, cut to the bytes that the run may still write; NOSPC if none.

    `gap` is the number of bytes by which the file grows before the written data: they count as well.
    """
    if len(buffers) > MAX_BUFFERS:
        raise _too_many()
    room = host.most_written - host.written - gap
    if sum(map(len, buffers)) > room:
        host.require_bytes(gap + 1, "the write" if gap else "this")
        return _cut(buffers, room)
    return buffers


def _write_beyond(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    """Write at a position that may be beyond the end of the file."""
    gap = _gap(d, d.object.tell())
    count: int = d.object.write(writable(host, buffers, gap))
    host.written += count + gap
    d.reach.beyond = False
    return count


def _gap(d: Descriptor, position: int) -> int:
    """The bytes from the end of a file to `position`, by which a write there extends it without contents."""
    if d.filetype != _REGULAR or d.fdflags & _APPEND:
        return 0
    end: int = d.object.stat().size
    d.reach.known_end = max(d.reach.known_end, end)
    return max(0, position - end)


def _too_many() -> WasiError:
    return WasiError(Errno.INVAL, f"more than {MAX_BUFFERS} buffers in one call")


def _cut(buffers: list[memoryview], limit: int) -> list[memoryview]:
    """The first `limit` bytes of a list of buffers."""
    kept = []
    for buffer in buffers:
        if limit <= 0:
            break
        kept.append(buffer[:limit])
        limit -= len(buffer)
    return kept


def skip(buffers: list[memoryview], count: int) -> list[memoryview]:
    """The rest of a list of buffers after `count` bytes."""
    rest = []
    for buffer in buffers:
        if count < len(buffer):
            rest.append(buffer[count:])
        count = max(0, count - len(buffer))
    return rest


def _bad_offset(offset: int) -> WasiError:
    return WasiError(Errno.INVAL, f"the offset {offset} is 2**63 or more")
