"""Semantics of fd_*: what can be done through an open descriptor.

The engine has looked the descriptor up and checked the right that the table names; a descriptor that arrives here is of
a type for which the call makes sense, unless a function says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..capabilities.protocols import FileFlags, FileType
from ..capabilities.refusal import DeniedBy, Need, NeedKind
from . import rights as r
from .errnos import Errno, WasiError
from .fdtable import Descriptor
from .types import DIRENT, Fdflags, Fdstat, Filestat, Fstflags, Prestat, Rights

if TYPE_CHECKING:
    from .host import Host

MAX_BUFFERS = 1024
"""Buffers that one call may name (POSIX IOV_MAX on Linux)."""

_TOP = 1 << 63
_DIRECTORY = int(FileType.DIRECTORY)
_SEEK, _CUR = int(Rights.FD_SEEK), 1
_ATIM, _ATIM_NOW, _MTIM, _MTIM_NOW = (int(f) for f in Fstflags)
_FDFLAGS = 31
_SYNC_FLAGS = int(Fdflags.DSYNC | Fdflags.RSYNC | Fdflags.SYNC)
_WHENCE_OF_UNSTABLE = (1, 2, 0)


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
    """What is left of a list of buffers after `count` bytes."""
    rest = []
    for buffer in buffers:
        if count < len(buffer):
            rest.append(buffer[count:])
        count = max(0, count - len(buffer))
    return rest


def _too_many() -> WasiError:
    return WasiError(Errno.INVAL, f"more than {MAX_BUFFERS} buffers in one call")


def readable(buffers: list[memoryview]) -> list[memoryview]:
    """The buffers of one reading call; INVAL for too many. (The engine bounds their bytes.)"""
    if len(buffers) > MAX_BUFFERS:
        raise _too_many()
    return buffers


def writable(host: Host, buffers: list[memoryview]) -> list[memoryview]:
    """The buffers of one writing call, within what the grants allow in all; NOSPC when that is used up."""
    if len(buffers) > MAX_BUFFERS:
        raise _too_many()
    room = host.most_written - host.written
    if sum(map(len, buffers)) > room:
        if room <= 0:
            raise WasiError(
                Errno.NOSPC,
                f"the limit of {host.most_written} bytes written is used up; raise limits.bytes_written",
                DeniedBy.QUOTA,
                Need(NeedKind.LIMIT, limit="bytes_written"),
            )
        return _cut(buffers, room)
    return buffers


def _position(offset: int) -> None:
    if offset >= _TOP:
        raise WasiError(Errno.INVAL, f"the offset {offset} is 2**63 or more")


def fd_read(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    """Read at the position; the bytes read."""
    count: int = d.object.read(buffers if len(buffers) == 1 else readable(buffers))
    return count


def fd_write(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    """Write at the position; the bytes written."""
    if len(buffers) != 1 or len(buffers[0]) > host.most_written - host.written:
        buffers = writable(host, buffers)
    count: int = d.object.write(buffers)
    host.written += count
    return count


def fd_pread(host: Host, d: Descriptor, buffers: list[memoryview], offset: int) -> int:
    """Read at an offset; the bytes read."""
    _position(offset)
    count: int = d.object.pread(readable(buffers), offset)
    return count


def fd_pwrite(host: Host, d: Descriptor, buffers: list[memoryview], offset: int) -> int:
    """Write at an offset; the bytes written."""
    _position(offset)
    count: int = d.object.pwrite(writable(host, buffers), offset)
    host.written += count
    return count


def fd_seek(host: Host, d: Descriptor, offset: int, whence: int) -> int:
    """Move the position; `whence` is numbered as POSIX does."""
    if whence > 2:
        raise WasiError(Errno.INVAL, f"there is no whence {whence}")
    if _SEEK & ~d.allowed and (offset or whence != _CUR):
        host.check(d, _SEEK)
    position: int = d.object.seek(offset, whence)
    return position


def fd_seek_unstable(host: Host, d: Descriptor, offset: int, whence: int) -> int:
    """`fd_seek` of `wasi_unstable`, whose whence is numbered CUR, END, SET."""
    return fd_seek(host, d, offset, _WHENCE_OF_UNSTABLE[whence] if whence < 3 else whence)


def fd_tell(host: Host, d: Descriptor) -> int:
    """The position."""
    position: int = d.object.tell()
    return position


def fd_close(host: Host, d: Descriptor) -> None:
    """Close."""
    host.fds.close(d)


def fd_renumber(host: Host, source: Descriptor, target: Descriptor) -> None:
    """Give `source` the number of `target`."""
    host.fds.renumber(source, target)


def fd_sync(host: Host, d: Descriptor) -> None:
    """Data and attributes to the storage."""
    d.object.sync()


def fd_datasync(host: Host, d: Descriptor) -> None:
    """Data to the storage; all of it for a directory."""
    if d.filetype == _DIRECTORY:
        d.object.sync()
    else:
        d.object.datasync()


def fd_advise(host: Host, d: Descriptor, offset: int, length: int, advice: int) -> None:
    """A hint; an undefined one is INVAL."""
    if advice > 5:
        raise WasiError(Errno.INVAL, f"there is no advice {advice}")
    if offset >= _TOP or length >= _TOP:
        raise WasiError(Errno.INVAL, "the offset or the length is 2**63 or more")
    d.object.advise(offset, length, advice)


def fd_allocate(host: Host, d: Descriptor, offset: int, length: int) -> None:
    """Make room; whether a file can is its own affair (NOTSUP for files of the host)."""
    if offset >= _TOP or length >= _TOP or length == 0:
        raise WasiError(Errno.INVAL, "the length is 0, or the offset or the length is 2**63 or more")
    if offset + length >= _TOP:
        raise WasiError(Errno.FBIG, "the range ends beyond 2**63 - 1")
    d.object.allocate(offset, length)


def fd_fdstat_get(host: Host, d: Descriptor) -> Fdstat:
    """Type, flags and rights."""
    return Fdstat(d.filetype, d.fdflags, d.rights, d.inheriting)


def file_flags(flags: int) -> FileFlags:
    """WASI's fdflags as a capability's."""
    return FileFlags(
        append=bool(flags & Fdflags.APPEND),
        nonblock=bool(flags & Fdflags.NONBLOCK),
        dsync=bool(flags & Fdflags.DSYNC),
        rsync=bool(flags & Fdflags.RSYNC),
        sync=bool(flags & Fdflags.SYNC),
    )


def fd_fdstat_set_flags(host: Host, d: Descriptor, flags: int) -> None:
    """Change the flags; the capability says which of them it can change."""
    if flags & ~_FDFLAGS:
        raise WasiError(Errno.INVAL, f"undefined fdflags in {flags:#x}")
    if (flags ^ d.fdflags) & _SYNC_FLAGS:
        raise WasiError(Errno.INVAL, "dsync, rsync and sync can only be given when a file is opened")
    if flags != d.fdflags:
        d.object.set_flags(file_flags(flags))
        d.fdflags = flags


def fd_fdstat_set_rights(host: Host, d: Descriptor, base: int, inheriting: int) -> None:
    """Give up rights. In compat mode NOTSUP, as Wasmtime has no rights to give up."""
    if not host.strict:
        raise WasiError(Errno.NOTSUP, "rights cannot be given up in compat mode")
    added = base & ~d.rights | inheriting & ~d.inheriting
    if added:
        raise WasiError(
            Errno.NOTCAPABLE,
            f"descriptor {d.fd} ({d.path!r}) cannot gain the rights {r.names(added) or hex(added)}: rights only shrink",
            *_of_the_grant(d, added),
        )
    d.limit(base, inheriting)


def _of_the_grant(d: Descriptor, added: int) -> tuple[DeniedBy, Need | None]:
    """Who refused rights that a descriptor cannot gain, and what would give them: its grant, or nothing."""
    if added & d.withheld.named:
        need = Need(NeedKind.RIGHTS, d.withheld.guest, tuple(r.listed(added & d.withheld.named)))
        return DeniedBy.GRANT, need
    if added & d.withheld.read_only:
        return DeniedBy.GRANT, Need(NeedKind.WRITE, d.withheld.guest)
    return DeniedBy.RIGHT, None


def filestat(stat: Filestat) -> Filestat:
    """A stat whose numbers all fit their fields: times before 1970 are 0 (the document allows it)."""
    if min(stat) < 0 or max(stat) >= 1 << 64:
        return Filestat(*(min(max(n, 0), (1 << 64) - 1) for n in stat))  # type: ignore[arg-type]
    return stat


def fd_filestat_get(host: Host, d: Descriptor) -> Filestat:
    """The attributes of the open file."""
    return filestat(d.object.stat())


def fd_filestat_set_size(host: Host, d: Descriptor, size: int) -> None:
    """Cut or extend."""
    if size >= _TOP:
        raise WasiError(Errno.INVAL, f"the size {size} is 2**63 or more")
    d.object.set_size(size)


def times(host: Host, atim: int, mtim: int, flags: int) -> tuple[int | None, int | None]:
    """The times to set, ns, None for one to be left; INVAL for undefined or contradictory flags."""
    if flags & ~15:
        raise WasiError(Errno.INVAL, f"undefined fstflags in {flags:#x}")
    if flags & 3 == 3 or flags & 12 == 12:
        raise WasiError(Errno.INVAL, "a time cannot be set both to a given one and to now")
    if (flags & _ATIM and atim >= _TOP) or (flags & _MTIM and mtim >= _TOP):
        raise WasiError(Errno.INVAL, "a time is 2**63 ns or more")
    now = host.clock_list[0].now() if flags & (_ATIM_NOW | _MTIM_NOW) else 0
    return (
        now if flags & _ATIM_NOW else atim if flags & _ATIM else None,
        now if flags & _MTIM_NOW else mtim if flags & _MTIM else None,
    )


def fd_filestat_set_times(host: Host, d: Descriptor, atim: int, mtim: int, flags: int) -> None:
    """Set the times of the open file."""
    d.object.set_times(*times(host, atim, mtim, flags))


def _preopened(d: Descriptor, missing: Errno) -> bytes:
    if d.preopen is None:
        raise WasiError(missing, f"descriptor {d.fd} ({d.path!r}) was not preopened")
    return d.preopen.encode("utf-8", "surrogateescape")


def fd_prestat_get(host: Host, d: Descriptor) -> Prestat:
    """What a granted directory is called, in bytes of length."""
    return Prestat(0, len(_preopened(d, Errno.BADF)))


def fd_prestat_dir_name(host: Host, d: Descriptor, buffer: memoryview) -> None:
    """The granted directory's name, without NUL."""
    name = _preopened(d, Errno.NOTDIR)
    if len(buffer) < len(name):
        raise WasiError(Errno.NAMETOOLONG, f"the name takes {len(name)} bytes and the buffer has {len(buffer)}")
    buffer[: len(name)] = name


def _listing(host: Host, d: Descriptor) -> list[bytes]:
    """The directory now, as packed dirents; names that are not UTF-8 are left out and noted."""
    own = d.object.stat()
    entries = [(b".", own.ino, _DIRECTORY), (b"..", own.ino, _DIRECTORY)]
    found = d.object.list()
    left_out = getattr(d.object, "hidden", 0)
    for name, ino, filetype in found:
        try:
            entries.append((name.encode(), ino, int(filetype)))
        except UnicodeEncodeError:
            left_out += 1
    if left_out:
        host.note(f"fd_readdir({d.path!r}) left out {left_out} names that are not UTF-8")
    return [
        DIRENT.pack(cookie, ino & 0xFFFFFFFFFFFFFFFF, len(name), filetype) + name
        for cookie, (name, ino, filetype) in enumerate(entries, 1)
    ]


def fd_readdir(host: Host, d: Descriptor, buffer: memoryview, cookie: int) -> int:
    """Fill the buffer with entries from the cookie on, cutting the last one; the bytes used.

    The listing is that of the last call with cookie 0, so the cookies of one walk agree with each other (unless it had
    to make room for those of other descriptors, see `FdTable.keep_listing`).
    """
    entries = d.entries
    if entries is None or cookie == 0:
        entries = _listing(host, d)
        host.fds.keep_listing(d, entries)
    used, size = 0, len(buffer)
    for entry in entries[cookie:] if cookie < len(entries) else ():
        piece = entry[: size - used]
        buffer[used : used + len(piece)] = piece
        used += len(piece)
        if used == size:
            break
    return used
