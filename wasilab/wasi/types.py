"""The types of WASI: enums, flags, rights, the tuples that calls take and return, and their memory layout.

Names are those of the witx documents, written as Python names. Two snapshots exist: `wasi_snapshot_preview1` and the
older `wasi_unstable` (snapshot 0), which differ in the layout of `filestat` and `subscription`, in the order of
`whence` and in `sock_accept`, which the older one does not have. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from ..capabilities.protocols import FileType as Filetype
from ..capabilities.protocols import Stat as Filestat
from ..capabilities.refusal import DeniedBy
from .errnos import Errno, WasiError, errno_of, explain

__all__ = [
    "Advice", "ClockId", "DeniedBy", "Dirent", "Errno", "Event", "Eventrwflags", "Eventtype", "Fdflags", "Fdstat",
    "Filestat", "Filetype", "Fstflags", "Lookupflags", "Oflags", "Preopentype", "Prestat", "ProcExit", "Riflags",
    "Rights", "Roflags", "Sdflags", "Signal", "Siflags", "Subclockflags", "Subscription", "Trap", "WasiError",
    "Whence", "WhenceUnstable", "decode_subscriptions", "encode_events", "errno_of", "explain",
]  # fmt: skip


class Rights(IntFlag):
    """The rights of a descriptor. The semantics compare plain integers; this class names them."""

    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29


class Fdflags(IntFlag):
    """How a descriptor behaves."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class Oflags(IntFlag):
    """How `path_open` opens."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class Lookupflags(IntFlag):
    """How a path's last component is resolved."""

    SYMLINK_FOLLOW = 1


class Fstflags(IntFlag):
    """Which times to set, to a given time or to now."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class Whence(IntEnum):
    """What a seek is relative to. (The same numbers as POSIX `SEEK_SET`, `SEEK_CUR`, `SEEK_END`.)"""

    SET = 0
    CUR = 1
    END = 2


class WhenceUnstable(IntEnum):
    """What a seek is relative to, in the order of `wasi_unstable`."""

    CUR = 0
    END = 1
    SET = 2


class Advice(IntEnum):
    """How a range of a file will be used."""

    NORMAL = 0
    SEQUENTIAL = 1
    RANDOM = 2
    WILLNEED = 3
    DONTNEED = 4
    NOREUSE = 5


class ClockId(IntEnum):
    """The four clocks."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME_ID = 2
    THREAD_CPUTIME_ID = 3


class Eventtype(IntEnum):
    """What a poll subscription waits for."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


class Eventrwflags(IntFlag):
    """State of a descriptor that a poll reported."""

    FD_READWRITE_HANGUP = 1


class Subclockflags(IntFlag):
    """Whether a clock subscription's timeout is a time of that clock or a duration."""

    SUBSCRIPTION_CLOCK_ABSTIME = 1


class Riflags(IntFlag):
    """How `sock_recv` receives."""

    RECV_PEEK = 1
    RECV_WAITALL = 2


class Roflags(IntFlag):
    """Flags of the message received by `sock_recv`."""

    RECV_DATA_TRUNCATED = 1


class Siflags(IntFlag):
    """How `sock_send` sends: no flag is defined."""


class Sdflags(IntFlag):
    """Which directions `sock_shutdown` closes."""

    RD = 1
    WR = 2


class Preopentype(IntEnum):
    """What was opened before the program started."""

    DIR = 0


class Signal(IntEnum):
    """Signals of `proc_raise`."""

    NONE = 0
    HUP = 1
    INT = 2
    QUIT = 3
    ILL = 4
    TRAP = 5
    ABRT = 6
    BUS = 7
    FPE = 8
    KILL = 9
    USR1 = 10
    SEGV = 11
    USR2 = 12
    PIPE = 13
    ALRM = 14
    TERM = 15
    CHLD = 16
    CONT = 17
    STOP = 18
    TSTP = 19
    TTIN = 20
    TTOU = 21
    URG = 22
    XCPU = 23
    XFSZ = 24
    VTALRM = 25
    PROF = 26
    WINCH = 27
    POLL = 28
    PWR = 29
    SYS = 30


class Fdstat(NamedTuple):
    """`fdstat`: the attributes of a descriptor."""

    filetype: int
    flags: int
    rights_base: int
    rights_inheriting: int


class Prestat(NamedTuple):
    """`prestat`: what a preopened descriptor is; `name_len` in bytes, without a NUL."""

    tag: int
    name_len: int


class Dirent(NamedTuple):
    """`dirent`, without the name that follows it: `next` is the cookie of the entry after this one."""

    next: int
    ino: int
    namlen: int
    filetype: int


class Subscription(NamedTuple):
    """One entry of `poll_oneoff`'s input, of either snapshot; fields that its type does not have are 0.

    `type` may be a number that is not in `Eventtype`, since a guest wrote it. Times are nanoseconds.
    """

    userdata: int
    type: int
    clock: int = 0
    timeout: int = 0
    precision: int = 0
    flags: int = 0
    fd: int = 0


class Event(NamedTuple):
    """One entry of `poll_oneoff`'s output. `nbytes` and `flags` are 0 for a clock."""

    userdata: int
    errno: int
    type: int
    nbytes: int = 0
    flags: int = 0


class ProcExit(Exception):
    """The guest called `proc_exit`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Trap(Exception):
    """The host ends the guest with a trap; the message is for the user."""


U8 = struct.Struct("<B")
U16 = struct.Struct("<H")
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")

FDSTAT = struct.Struct("<BxHxxxxQQ")
"""`fdstat`, 24 bytes: filetype u8 @0, flags u16 @2, rights_base u64 @8, rights_inheriting u64 @16."""

PRESTAT = struct.Struct("<BxxxI")
"""`prestat`, 8 bytes: tag u8 @0, name_len u32 @4."""

FILESTAT = struct.Struct("<QQBxxxxxxxQQQQQ")
"""`filestat`, 64 bytes: dev @0, ino @8, filetype u8 @16, nlink u64 @24, size @32, atim @40, mtim @48, ctim @56."""

FILESTAT_UNSTABLE = struct.Struct("<QQBxxxIQQQQ")
"""`filestat` of `wasi_unstable`, 56 bytes: nlink is a u32 @20, size @24, atim @32, mtim @40, ctim @48."""

DIRENT = struct.Struct("<QQIBxxx")
"""`dirent`, 24 bytes: next u64 @0, ino u64 @8, namlen u32 @16, type u8 @20; the name follows."""

EVENT = struct.Struct("<QHBxxxxxQHxxxxxx")
"""`event`, 32 bytes: userdata u64 @0, error u16 @8, type u8 @10, nbytes u64 @16, flags u16 @24."""

SUBSCRIPTION = struct.Struct("<QBxxxxxxxIxxxxQQHxxxxxx")
"""`subscription`, 48 bytes: userdata u64 @0, tag u8 @8, then for a clock id u32 @16, timeout u64 @24,
precision u64 @32, flags u16 @40; for a descriptor, fd u32 @16."""

SUBSCRIPTION_UNSTABLE = struct.Struct("<QBxxxxxxxQIxxxxQQHxxxxxx")
"""`subscription` of `wasi_unstable`, 56 bytes: a clock begins with an identifier u64 @16 (unused), then
id u32 @24, timeout @32, precision @40, flags u16 @48; for a descriptor, fd u32 @16."""


def decode_subscriptions(data: bytes | memoryview, *, unstable: bool = False) -> list[Subscription]:
    """Subscriptions from guest memory; the length of `data` is a multiple of the layout's size."""
    found = []
    if unstable:
        for userdata, tag, identifier, clock, timeout, precision, flags in SUBSCRIPTION_UNSTABLE.iter_unpack(data):
            if tag == 0:
                found.append(Subscription(userdata, tag, clock, timeout, precision, flags))
            else:
                found.append(Subscription(userdata, tag, fd=identifier & 0xFFFFFFFF))
        return found
    for userdata, tag, first, timeout, precision, flags in SUBSCRIPTION.iter_unpack(data):
        if tag == 0:
            found.append(Subscription(userdata, tag, first, timeout, precision, flags))
        else:
            found.append(Subscription(userdata, tag, fd=first))
    return found


def encode_events(events: list[Event]) -> bytes:
    """Events in the layout of guest memory, one `EVENT` each (the same in both snapshots)."""
    return b"".join([EVENT.pack(*event) for event in events])
