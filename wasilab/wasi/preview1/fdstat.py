"""The calls on the attributes of a descriptor (`fd_fdstat_*`) and of its file (`fd_filestat_*`)."""

from __future__ import annotations

from ...capabilities.protocols import FileFlags
from ...capabilities.refusal import DeniedBy, Need, NeedKind
from .. import rights as r
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import MOST_WRITTEN, NOT_CUT, WRITTEN, Host
from ..operations import Operation as Op
from ..types import Fdflags, Fdstat, Filestat, Fstflags
from ..types import Rights as R
from . import signature as s
from .signature import Param, Result, call

_TOP = 1 << 63
_FDFLAGS = 31
_SYNC_FLAGS = int(Fdflags.DSYNC | Fdflags.RSYNC | Fdflags.SYNC)
_ATIM, _ATIM_NOW, _MTIM, _MTIM_NOW = (int(f) for f in Fstflags)

_NO_RIGHT = {Errno.NOTCAPABLE: "the descriptor lacks the right (strict rights)"}


@call(10, Op.DESCRIBE, Param("fd", s.FD_ARGUMENT), results=(Result("fdstat", s.FDSTAT),))
def fd_fdstat_get(host: Host, d: Descriptor) -> Fdstat:
    """The descriptor's file type, flags and rights, as fcntl(F_GETFL).

    Memory:
        writes 24 bytes at result.fdstat:
            0        1      2         4        8                16               24
            |filetype|      |flags u16|        |rights_base u64 |inheriting u64  |

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html
    """
    return Fdstat(d.filetype, d.fdflags, d.rights, d.inheriting)


@call(
    11, Op.CONFIGURE, Param("fd", s.FD_ARGUMENT, R.FD_FDSTAT_SET_FLAGS), Param("flags", s.FDFLAGS), errors=_NO_RIGHT
)
def fd_fdstat_set_flags(host: Host, d: Descriptor, flags: int) -> None:
    """Change the flags of an open descriptor, as fcntl(F_SETFL): append and nonblock.

    Errors:
        EINVAL: an undefined flag, or a change of dsync, rsync or sync

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_set_flags
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html
    """
    if flags & ~_FDFLAGS:
        raise WasiError(Errno.INVAL, f"undefined fdflags in {flags:#x}")
    if (flags ^ d.fdflags) & _SYNC_FLAGS:
        raise WasiError(Errno.INVAL, "dsync, rsync and sync can only be given when a file is opened")
    if flags != d.fdflags:
        d.object.set_flags(file_flags(flags))
        d.set_fdflags(flags)


@call(
    12, Op.REDUCE_RIGHTS,
    Param("fd", s.FD_ARGUMENT), Param("fs_rights_base", s.RIGHTS), Param("fs_rights_inheriting", s.RIGHTS),
)  # fmt: skip
def fd_fdstat_set_rights(host: Host, d: Descriptor, base: int, inheriting: int) -> None:
    """Give up rights, for good. Rights can only shrink.

    Errors:
        ENOTCAPABLE: a right is asked for that the descriptor does not have
        ENOTSUP: the rights mode is compat: Wasmtime has no rights to give up

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_set_rights
    """
    if not host.strict:
        raise WasiError(Errno.NOTSUP, "rights cannot be given up in compat mode")
    added = base & ~d.rights | inheriting & ~d.inheriting
    if added:
        raise WasiError(
            Errno.NOTCAPABLE,
            f"descriptor {d.fd} ({d.path!r}) cannot gain the rights {r.names(added) or hex(added)}: rights only shrink",
            *_of_the_grant(d, added),
        )
    d.reduce_rights(base, inheriting)


def _of_the_grant(d: Descriptor, added: int) -> tuple[DeniedBy, Need | None]:
    """What refused the rights that a descriptor cannot gain, and the need that would give them, or None."""
    if added & d.withheld.named:
        need = Need(NeedKind.RIGHTS, d.withheld.guest, tuple(r.listed(added & d.withheld.named)))
        return DeniedBy.GRANT, need
    if added & d.withheld.read_only:
        return DeniedBy.GRANT, Need(NeedKind.WRITE, d.withheld.guest)
    return DeniedBy.RIGHT, None


@call(
    13, Op.STAT, Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_GET), results=(Result("filestat", s.FILESTAT),),
    errors=_NO_RIGHT,
)  # fmt: skip
def fd_filestat_get(host: Host, d: Descriptor) -> Filestat:
    """The attributes of the open file, as fstat(2).

    Memory:
        writes 64 bytes at result.filestat (in wasi_unstable 56: nlink is a u32 at 20, size follows at 24):
            0      8      16       17     24        32       40       48       56       64
            |dev   |ino   |filetype|      |nlink    |size    |atim ns |mtim ns |ctim ns |

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fstat.html
    """
    return filestat(d.object.stat())


@call(
    14, Op.RESIZE, Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_SET_SIZE), Param("size", s.FILESIZE), errors=_NO_RIGHT
)
def fd_filestat_set_size(host: Host, d: Descriptor, size: int) -> None:
    """Cut the file, or extend it with zeros, as ftruncate(2).

    Errors:
        EINVAL: a size of 2**63 or more, or a file that is not open for writing
        EFBIG: the size is beyond what the file system can hold
        ENOSPC: the in-memory directory is full, or the limit of bytes written is used up
        EBADF: the descriptor is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_set_size
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/ftruncate.html
    """
    if size >= _TOP:
        raise WasiError(Errno.INVAL, f"the size {size} is 2**63 or more")
    (life, lives, least), meter = host.cut, host.meter
    growth = 0
    if size > least or life != d.life or lives != host.fds.lives or meter[WRITTEN] > meter[MOST_WRITTEN]:
        growth = max(0, size - d.object.stat().size)
        host.require_bytes(growth, "the growth of the file")
    host.cut = NOT_CUT
    d.object.set_size(size)
    host.cut = d.life, host.fds.lives, size
    if growth:
        meter[WRITTEN] += growth


@call(
    15, Op.SET_TIMES,
    Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_SET_TIMES), Param("atim", s.TIMESTAMP), Param("mtim", s.TIMESTAMP),
    Param("fst_flags", s.FSTFLAGS), errors=_NO_RIGHT,
)  # fmt: skip
def fd_filestat_set_times(host: Host, d: Descriptor, atim: int, mtim: int, flags: int) -> None:
    """Set the times of the open file, each to a given one or to now, as futimens(2). Now is the granted realtime
    clock's.

    Errors:
        EINVAL: an undefined flag, or a time both given and now

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_set_times
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/futimens.html
    """
    d.object.set_times(*times(host, atim, mtim, flags))


# -- values that other families use ------------------------------------------------------------------------------------


def file_flags(flags: int) -> FileFlags:
    """WASI's fdflags as flags of a capability."""
    return FileFlags(
        append=bool(flags & Fdflags.APPEND),
        nonblock=bool(flags & Fdflags.NONBLOCK),
        dsync=bool(flags & Fdflags.DSYNC),
        rsync=bool(flags & Fdflags.RSYNC),
        sync=bool(flags & Fdflags.SYNC),
    )


def filestat(stat: Filestat) -> Filestat:
    """A stat whose numbers fit their fields: times before 1970 become 0 (permitted by the specification)."""
    if min(stat) < 0 or max(stat) >= 1 << 64:
        return Filestat(*(min(max(n, 0), (1 << 64) - 1) for n in stat))  # type: ignore[arg-type]
    return stat


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
