"""Semantics of sock_*: connections to listening sockets that the grants hold.

Waiting is done here, on the socket and the run's interrupt together; the capability is then asked not to block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..capabilities.protocols import FileType
from ..capabilities.waiting import wait_any
from . import rights as r
from .errnos import Errno, WasiError
from .fd import file_flags, readable, skip, writable
from .fdtable import Descriptor
from .types import Fdflags, Riflags, Sdflags

if TYPE_CHECKING:
    from .host import Host

T = TypeVar("T")
_NONBLOCK = int(Fdflags.NONBLOCK)
_PEEK, _WAITALL = int(Riflags.RECV_PEEK), int(Riflags.RECV_WAITALL)
_RD, _WR = int(Sdflags.RD), int(Sdflags.WR)
_SOCKETS = (FileType.SOCKET_STREAM, FileType.SOCKET_DGRAM)


def _socket(d: Descriptor) -> None:
    if d.filetype not in _SOCKETS:
        raise WasiError(Errno.NOTSOCK)


def _patient(host: Host, d: Descriptor, attempt: Callable[[], T], *, writing: bool = False) -> T:
    """Try, and unless the descriptor is non-blocking, wait and try again until it does not say EAGAIN."""
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


def sock_accept(host: Host, d: Descriptor, flags: int) -> int:
    """Take a connection; the number of the new descriptor."""
    if flags & ~31:
        raise WasiError(Errno.INVAL, f"undefined fdflags in {flags:#x}")
    if flags & ~_NONBLOCK:
        raise WasiError(Errno.NOTSUP, "a socket can have no flag but nonblock")
    _socket(d)
    if not hasattr(d.object, "accept"):
        raise WasiError(Errno.INVAL, f"{d.path!r} does not listen")
    host.fds.require_room()
    stream = _patient(host, d, lambda: d.object.accept(True))
    try:
        stream.interrupt = host.interrupt  # what stops fd_read and fd_write on it
        if flags:
            stream.set_flags(file_flags(flags))
        rights = r.SOCKET & d.inheriting if host.strict else r.SOCKET
        opened = Descriptor(stream, rights, 0, f"<connection to {d.path}>", strict=host.strict, fdflags=flags)
        return host.fds.open(opened).fd
    except BaseException:
        stream.close()
        raise


def sock_recv(host: Host, d: Descriptor, buffers: list[memoryview], flags: int) -> tuple[int, int]:
    """Receive; the bytes received and `Roflags`.

    With recv_waitall it goes on until the buffers are full, the peer has shut down or, on a non-blocking socket,
    nothing more is there. Together with recv_peek it has no effect (POSIX leaves that open).
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


def sock_send(host: Host, d: Descriptor, buffers: list[memoryview], flags: int) -> int:
    """Send; the bytes sent."""
    if flags:
        raise WasiError(Errno.INVAL, f"undefined siflags {flags:#x}")
    _socket(d)
    buffers = writable(host, buffers)
    count = _patient(host, d, lambda: d.object.send(buffers), writing=True)
    host.written += count
    return int(count)


def sock_shutdown(host: Host, d: Descriptor, how: int) -> None:
    """Close one direction or both."""
    _socket(d)
    if how & ~(_RD | _WR) or not how:
        raise WasiError(Errno.INVAL, f"how {how:#x} names no direction, or an undefined one")
    if hasattr(d.object, "accept"):  # compat rights let the call come this far
        raise WasiError(Errno.NOTCONN, f"{d.path!r} listens and is not connected")
    d.object.shutdown(bool(how & _RD), bool(how & _WR))
