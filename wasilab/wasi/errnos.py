"""WASI's error codes, and the mapping of errors of the host or of a capability to them.

The numbers are the same in both snapshots. This file maps errors; which call raises which error is defined in
`preview1/`.
"""

from __future__ import annotations

import errno as _posix
from enum import IntEnum

from ..capabilities.refusal import DeniedBy, Need, Refused


class Errno(IntEnum):
    """`errno` of the WASI document; `.text` is the sentence strace would print, `.symbol` the C name.

    `TOOBIG` is the document's `2big`, which is not a valid Python name.
    """

    text: str

    def __new__(cls, value: int, text: str) -> Errno:
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    SUCCESS = 0, "Success"
    TOOBIG = 1, "Argument list too long"
    ACCES = 2, "Permission denied"
    ADDRINUSE = 3, "Address already in use"
    ADDRNOTAVAIL = 4, "Address not available"
    AFNOSUPPORT = 5, "Address family not supported"
    AGAIN = 6, "Resource temporarily unavailable"
    ALREADY = 7, "Operation already in progress"
    BADF = 8, "Bad file descriptor"
    BADMSG = 9, "Bad message"
    BUSY = 10, "Device or resource busy"
    CANCELED = 11, "Operation canceled"
    CHILD = 12, "No child processes"
    CONNABORTED = 13, "Connection aborted"
    CONNREFUSED = 14, "Connection refused"
    CONNRESET = 15, "Connection reset by peer"
    DEADLK = 16, "Resource deadlock would occur"
    DESTADDRREQ = 17, "Destination address required"
    DOM = 18, "Argument outside the domain of the function"
    DQUOT = 19, "Disk quota exceeded"
    EXIST = 20, "File exists"
    FAULT = 21, "Bad address"
    FBIG = 22, "File too large"
    HOSTUNREACH = 23, "Host is unreachable"
    IDRM = 24, "Identifier removed"
    ILSEQ = 25, "Illegal byte sequence"
    INPROGRESS = 26, "Operation in progress"
    INTR = 27, "Interrupted function"
    INVAL = 28, "Invalid argument"
    IO = 29, "Input/output error"
    ISCONN = 30, "Socket is connected"
    ISDIR = 31, "Is a directory"
    LOOP = 32, "Too many levels of symbolic links"
    MFILE = 33, "Too many open files"
    MLINK = 34, "Too many links"
    MSGSIZE = 35, "Message too large"
    MULTIHOP = 36, "Multihop attempted"
    NAMETOOLONG = 37, "File name too long"
    NETDOWN = 38, "Network is down"
    NETRESET = 39, "Connection reset by network"
    NETUNREACH = 40, "Network is unreachable"
    NFILE = 41, "Too many files open in system"
    NOBUFS = 42, "No buffer space available"
    NODEV = 43, "No such device"
    NOENT = 44, "No such file or directory"
    NOEXEC = 45, "Executable file format error"
    NOLCK = 46, "No locks available"
    NOLINK = 47, "Link has been severed"
    NOMEM = 48, "Out of memory"
    NOMSG = 49, "No message of the desired type"
    NOPROTOOPT = 50, "Protocol not available"
    NOSPC = 51, "No space left on device"
    NOSYS = 52, "Function not supported"
    NOTCONN = 53, "Socket is not connected"
    NOTDIR = 54, "Not a directory"
    NOTEMPTY = 55, "Directory not empty"
    NOTRECOVERABLE = 56, "State not recoverable"
    NOTSOCK = 57, "Not a socket"
    NOTSUP = 58, "Operation not supported"
    NOTTY = 59, "Inappropriate I/O control operation"
    NXIO = 60, "No such device or address"
    OVERFLOW = 61, "Value too large for its data type"
    OWNERDEAD = 62, "Previous owner died"
    PERM = 63, "Operation not permitted"
    PIPE = 64, "Broken pipe"
    PROTO = 65, "Protocol error"
    PROTONOSUPPORT = 66, "Protocol not supported"
    PROTOTYPE = 67, "Protocol wrong type for socket"
    RANGE = 68, "Result too large"
    ROFS = 69, "Read-only file system"
    SPIPE = 70, "Illegal seek"
    SRCH = 71, "No such process"
    STALE = 72, "Stale file handle"
    TIMEDOUT = 73, "Connection timed out"
    TXTBSY = 74, "Text file busy"
    XDEV = 75, "Cross-device link"
    NOTCAPABLE = 76, "Capabilities insufficient"

    @property
    def symbol(self) -> str:
        """The C name: `ENOENT`, `E2BIG`, or `SUCCESS`."""
        if self is Errno.SUCCESS:
            return "SUCCESS"
        return "E2BIG" if self is Errno.TOOBIG else f"E{self.name}"


class WasiError(Exception):
    """A call's failure: the errno for the guest, and for the user the reason and which part refused.

    `reason` is one sentence with all guest text escaped, or empty if the errno says everything. `need` is what would
    have allowed the call, with full guest paths; None if no grant would have.
    """

    __slots__ = ("denied_by", "errno", "need", "reason")  # cheaper than a dict: programs fail in loops

    def __init__(
        self, errno: Errno, reason: str = "", denied_by: DeniedBy = DeniedBy.NONE, need: Need | None = None
    ) -> None:
        # `Exception` has kept the arguments already; calling its `__init__` would take longer than all of this.
        self.errno = errno
        self.reason = reason
        self.denied_by = denied_by
        self.need = need

    def __str__(self) -> str:
        return f"{self.errno.symbol} ({self.errno.text})" + (f": {self.reason}" if self.reason else "")


def _posix_table() -> dict[int, Errno]:
    """POSIX number -> WASI errno, for every name in this platform's `errno` module."""
    table = {}
    for member in Errno:
        number = getattr(_posix, member.symbol, None)
        if number is not None:
            table[number] = member
    # Names that WASI spells differently, merges, or does not have.
    for name, member in {
        "EDQUOT": Errno.DQUOT,
        "EOPNOTSUPP": Errno.NOTSUP,
        "ENOTSUP": Errno.NOTSUP,
        "EWOULDBLOCK": Errno.AGAIN,
        "EDEADLOCK": Errno.DEADLK,
        "ESHUTDOWN": Errno.PIPE,
        "EMEDIUMTYPE": Errno.IO,
        "ENOTBLK": Errno.INVAL,
        "EUSERS": Errno.MFILE,
    }.items():
        number = getattr(_posix, name, None)
        if number is not None:
            table[number] = member
    return table


POSIX_TO_WASI = _posix_table()
"""POSIX errno (of this platform) -> WASI errno; other numbers become `Errno.IO`."""


def errno_of(error: OSError) -> Errno:
    """The WASI errno of an `OSError`, including `Refused`."""
    if isinstance(error, Refused) and error.notcapable:
        return Errno.NOTCAPABLE
    number = error.errno
    if number is None:
        return Errno.INVAL if isinstance(error, ValueError) else Errno.IO
    return POSIX_TO_WASI.get(number, Errno.IO)


_HOST_SAYS_NO = {_posix.EACCES, _posix.EPERM, _posix.EROFS}


def code_of(error: BaseException) -> Errno | None:
    """The errno that a guest sees for an exception, or None if it is not the failure of a call.

    `OSError` keeps its errno. `UnicodeError` is ILSEQ (a path is not UTF-8), `ValueError` and `OverflowError` are
    INVAL, `MemoryError` is NOMEM. Anything else (an exit, a trap, an interrupt, a bug) is not mapped.
    """
    if isinstance(error, WasiError):
        return error.errno
    if isinstance(error, OSError):
        return errno_of(error)
    if isinstance(error, UnicodeError):
        return Errno.ILSEQ
    if isinstance(error, (ValueError, OverflowError)):
        return Errno.INVAL
    return Errno.NOMEM if isinstance(error, MemoryError) else None


def explain(error: BaseException) -> WasiError | None:
    """The failure that a guest sees for an exception: its errno (`code_of`), reason and need. None if it has none.

    EACCES, EPERM and EROFS of the operating system are refusals by `DeniedBy.HOST`.
    """
    if isinstance(error, WasiError):
        return error
    if isinstance(error, Refused):
        return WasiError(errno_of(error), error.reason, error.by, error.need)
    if isinstance(error, OSError):
        code = errno_of(error)
        if error.errno in _HOST_SAYS_NO:
            return WasiError(code, f"the host's operating system says: {code.text.lower()}", DeniedBy.HOST)
        return WasiError(code)
    other = code_of(error)
    if other is None:
        return None
    return WasiError(other, "a name or path is not valid UTF-8" if isinstance(error, UnicodeError) else "")
