"""The calls on sockets. A guest cannot create one: listening sockets are preopened by the grants.

Waiting is done here, on the socket and the run's interrupt together; the capability is then called without blocking.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from ...capabilities.protocols import FileType
from ...capabilities.waiting import wait_any
from .. import rights as r
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import WRITTEN, Host
from ..operations import Operation as Op
from ..types import Fdflags, Riflags, Sdflags
from ..types import Rights as R
from . import signature as s
from .fd import readable, skip, writable
from .fdstat import file_flags
from .signature import Param, Result, call

T = TypeVar("T")
_NONBLOCK = int(Fdflags.NONBLOCK)
_PEEK, _WAITALL = int(Riflags.RECV_PEEK), int(Riflags.RECV_WAITALL)
_RD, _WR = int(Sdflags.RD), int(Sdflags.WR)
_SOCKETS = (FileType.SOCKET_STREAM, FileType.SOCKET_DGRAM)

_SOCKET_ERRORS = {
    Errno.NOTSOCK: "the descriptor is not a socket",
    Errno.NOTCAPABLE: "the descriptor lacks the right (strict rights)",
}
_CONNECTION_ERRORS = {**_SOCKET_ERRORS, Errno.NOTCONN: "the socket is not connected, or not any more"}


@call(
    42, Op.ACCEPT, Param("fd", s.FD_ARGUMENT, R.SOCK_ACCEPT), Param("flags", s.FDFLAGS),
    results=(Result("result_fd", s.FD_RESULT),), errors=_SOCKET_ERRORS,
)  # fmt: skip
def sock_accept(host: Host, d: Descriptor, flags: int) -> int:
    """Take the next connection of a listening socket, as accept4(2); waits unless the listening socket is non-blocking.
    The flags (only nonblock) are the new socket's.

    Memory:
        writes u32 at result.result_fd

    Errors:
        EINVAL: the socket does not listen, or an undefined flag
        ENOTSUP: a flag other than nonblock
        EAGAIN: no connection waits and the listening socket is non-blocking
        EMFILE: the grant's limit of open descriptors is reached

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_accept
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/accept.html
    """
    if flags & ~31:
        raise WasiError(Errno.INVAL, f"undefined fdflags in {flags:#x}")
    if flags & ~_NONBLOCK:
        raise WasiError(Errno.NOTSUP, "the only flag of a socket is nonblock")
    _socket(d)
    if not hasattr(d.object, "accept"):
        raise WasiError(Errno.INVAL, f"{d.path!r} does not listen")
    host.fds.require_room()
    stream = _patient(host, d, lambda: d.object.accept(True))
    try:
        stream.interrupt = host.interrupt  # stops fd_read and fd_write on it
        if flags:
            stream.set_flags(file_flags(flags))
        rights = r.SOCKET & d.inheriting if host.strict else r.SOCKET
        opened = Descriptor(stream, rights, 0, f"<connection to {d.path}>", strict=host.strict, fdflags=flags)
        return host.fds.open(opened).fd
    except BaseException:
        stream.close()
        raise


@call(
    43, Op.RECEIVE,
    Param("fd", s.FD_ARGUMENT, R.FD_READ), Param("ri_data", s.IOVEC_ARRAY), Param("ri_flags", s.RIFLAGS),
    results=(Result("ro_datalen", s.SIZE), Result("ro_flags", s.ROFLAGS)), errors=_CONNECTION_ERRORS,
)  # fmt: skip
def sock_recv(host: Host, d: Descriptor, buffers: list[memoryview], flags: int) -> tuple[int, int]:
    """Receive from a connected socket, as recvmsg(2); 0 bytes mean that the peer has shut down.

    With recv_waitall it receives until the buffers are full, the peer has shut down or, on a non-blocking socket,
    nothing more has arrived. Together with recv_peek it has no effect (POSIX leaves that open).

    Memory:
        reads ri_data_len x 8 bytes at ri_data, a list of buffers:
            0       4       8
            |ptr u32|len u32| ...
        writes the bytes received into them in order, u32 at result.ro_datalen, u16 at result.ro_flags

    Errors:
        EINVAL: an undefined flag, more than 1024 buffers
        EAGAIN: the socket is non-blocking and nothing has arrived

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_recv
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/recvmsg.html
    """
    if flags & ~(_PEEK | _WAITALL):
        raise WasiError(Errno.INVAL, f"undefined riflags in {flags:#x}")
    _socket(d)
    buffers = readable(buffers)
    peek = bool(flags & _PEEK)
    count, out = _patient(host, d, lambda: d.object.recv(buffers, peek, False))
    if flags & _WAITALL and not peek and count:
        count += _receive_rest(host, d, skip(buffers, count))
    return count, out


def _receive_rest(host: Host, d: Descriptor, buffers: list[memoryview]) -> int:
    done = 0
    while buffers:
        rest = buffers
        try:
            count, _ = _patient(host, d, lambda: d.object.recv(rest, False, False))  # noqa: B023  called at once
        except BlockingIOError:
            break
        if not count:
            break
        done += count
        buffers = skip(rest, count)
    return done


@call(
    44, Op.SEND,
    Param("fd", s.FD_ARGUMENT, R.FD_WRITE), Param("si_data", s.CIOVEC_ARRAY), Param("si_flags", s.SIFLAGS),
    results=(Result("so_datalen", s.SIZE),), errors=_CONNECTION_ERRORS,
)  # fmt: skip
def sock_send(host: Host, d: Descriptor, buffers: list[memoryview], flags: int) -> int:
    """Send on a connected socket, as sendmsg(2).

    Memory:
        reads si_data_len x 8 bytes at si_data, and the bytes of each buffer:
            0       4       8
            |ptr u32|len u32| ...
        writes u32 at result.so_datalen

    Errors:
        EINVAL: a flag, more than 1024 buffers
        EPIPE: the peer has closed
        EAGAIN: the socket is non-blocking and its buffers are full
        ENOSPC: the limit of bytes written is used up

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_send
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/sendmsg.html
    """
    if flags:
        raise WasiError(Errno.INVAL, f"undefined siflags {flags:#x}")
    _socket(d)
    buffers = writable(host, buffers)
    count = _patient(host, d, lambda: d.object.send(buffers), writing=True)
    host.meter[WRITTEN] += count
    return int(count)


@call(
    45, Op.SHUTDOWN, Param("fd", s.FD_ARGUMENT, R.SOCK_SHUTDOWN), Param("how", s.SDFLAGS), errors=_CONNECTION_ERRORS
)
def sock_shutdown(host: Host, d: Descriptor, how: int) -> None:
    """Close the receiving side, the sending side or both, as shutdown(2).

    Errors:
        EINVAL: an undefined flag, or none

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_shutdown
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/shutdown.html
    """
    _socket(d)
    if how & ~(_RD | _WR) or not how:
        raise WasiError(Errno.INVAL, f"how {how:#x} has no direction, or an undefined one")
    if hasattr(d.object, "accept"):  # possible with compat rights
        raise WasiError(Errno.NOTCONN, f"{d.path!r} listens and is not connected")
    d.object.shutdown(bool(how & _RD), bool(how & _WR))


def _socket(d: Descriptor) -> None:
    if d.filetype not in _SOCKETS:
        raise WasiError(Errno.NOTSOCK)


def _patient(host: Host, d: Descriptor, attempt: Callable[[], T], *, writing: bool = False) -> T:
    """Retry on EAGAIN after waiting, unless the descriptor is non-blocking."""
    while True:
        try:
            return attempt()
        except BlockingIOError:
            if d.fdflags & _NONBLOCK:
                raise
        fileno = d.object.fileno()
        if fileno is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        wait_any(() if writing else (fileno,), (fileno,) if writing else (), None, host.interrupt)
