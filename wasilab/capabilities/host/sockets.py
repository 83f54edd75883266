"""Sockets of a guest: listening sockets that the grants preopen, and the connections accepted on them.

A preview1 guest cannot make a connection: there is no call for it. `listen("127.0.0.1:8080")` is the grant. An address
without a host (":8080") is reachable only from this machine; write "0.0.0.0:80" to be reachable from outside.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import TypeVar

from ..paths import fail
from ..protocols import BaseFile, Buffers, FileFlags, FileType, Stat
from ..uncopyable import Uncopyable
from ..waiting import Interrupt, wait_any
from .hostfile import host_stat, leave_some

T = TypeVar("T")
_BACKLOG = 128
_PIECE = 1 << 20
"""The maximum bytes received at a time."""


class BadAddress(ValueError):
    """An invalid address for listening; the message shows a valid form."""


class _Socket(Uncopyable, BaseFile):
    """The common parts of both kinds: the non-blocking socket, waiting, flags."""

    filetype = FileType.SOCKET_STREAM
    interrupt: Interrupt | None = None
    """Stops a wait; set by the run. The WASI host usually waits itself, on `fileno()`."""
    _nonblock = False

    def _open(self) -> socket.socket:
        raise fail(errno.EBADF)

    def _wait(self, attempt: Callable[[], T], nonblock: bool, writing: bool = False) -> T:
        """Retry while it fails with EAGAIN, waiting for the socket and the interrupt in between."""
        while True:
            try:
                return attempt()
            except BlockingIOError:
                if nonblock:
                    raise
            if self.interrupt is None:
                self.interrupt = Interrupt()
            fds = (self._open().fileno(),)
            wait_any(() if writing else fds, fds if writing else (), None, self.interrupt)

    def stat(self) -> Stat:
        if os.name == "nt":  # a socket is not a file there
            return Stat(0, 0, self.filetype, 1, 0, 0, 0, 0)
        return host_stat(os.fstat(self._open().fileno()))

    def flags(self) -> FileFlags:
        return FileFlags(nonblock=self._nonblock)

    def set_flags(self, flags: FileFlags) -> None:
        if flags != FileFlags(nonblock=flags.nonblock):
            raise fail(errno.ENOTSUP)
        self._nonblock = flags.nonblock

    def fileno(self) -> int | None:
        return self._open().fileno()


class ListenSocket(_Socket):
    """A TCP socket listening at `address`: "127.0.0.1:8080", "[::1]:80", ":8080" for this machine; port 0 is any free.

    The port is bound when it is first needed (`bind()`, or the first use), and kept as long as this object exists:
    `close()` by a guest does nothing, so a grant serves many runs. Equal when the addresses are. Raises `BadAddress`
    for an invalid address; `bind()` raises it if the port is not available.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        """The address as granted."""
        self._host, self._port = _parse(address)
        self._socket: socket.socket | None = None
        self._granted: ListenSocket | None = None  # the owner of the port, for a run's own socket

    @classmethod
    def of_descriptor(cls, address: str, descriptor: int) -> ListenSocket:
        """A socket that already listens at `address`; takes over its descriptor."""
        made = cls(address)
        made._socket = socket.socket(fileno=descriptor)
        made._socket.setblocking(False)
        return made

    def fresh(self, interrupt: Interrupt | None = None) -> ListenSocket:
        """This socket for one run, stopped by `interrupt`: the same port, but its own flags and interrupt, so that two
        concurrent runs can wait on it. It is bound now, so that an unavailable port is an error now.
        """
        self.bind()
        mine = ListenSocket(self.address)
        mine._granted = self if self._granted is None else self._granted
        mine.interrupt = interrupt
        return mine

    def bind(self) -> tuple[str, int]:
        """Bind the port, if not yet bound; return the (host, port) that a client connects to."""
        if self._granted is not None:
            return self._granted.bind()
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((self._host, self._port))
                made.listen(_BACKLOG)
                made.setblocking(False)
            except OSError as error:
                made.close()
                raise BadAddress(f"cannot listen on {self.address!r}: {error.strerror}; choose another port") from None
            self._socket = made
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def port(self) -> int:
        """The port on which it listens (bound now, if not yet)."""
        return self.bind()[1]

    def _open(self) -> socket.socket:
        if self._granted is not None:
            return self._granted._open()
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        return self._socket

    def accept(self, nonblock: bool = False) -> StreamSocket:
        """The next connection; EAGAIN if there is none and `nonblock` or its flag is set."""
        connection, _ = self._wait(self._open().accept, nonblock or self._nonblock)
        try:
            leave_some(connection.fileno())
        except OSError:
            connection.close()
            raise
        return StreamSocket(connection, self.interrupt)

    def release(self) -> None:
        """Free the port; the next use binds it again. Does nothing on a run's own socket (`fresh`)."""
        made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def close(self) -> None:
        return

    def __del__(self) -> None:
        if getattr(self, "_socket", None) is not None:
            self.release()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListenSocket) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"listen({self.address!r})"

    def _instead(self) -> str:
        return f"it may hold a port of this process; in the other process, create listen({self.address!r})"


class StreamSocket(_Socket):
    """A TCP connection; takes over `connection`. Reading is `recv` and writing `send`, as in POSIX."""

    def __init__(self, connection: socket.socket, interrupt: Interrupt | None = None) -> None:
        connection.setblocking(False)
        self._socket: socket.socket | None = connection
        self._held = bytearray()  # received by a waitall that is still waiting for the rest
        self.interrupt = interrupt

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise fail(errno.EBADF)
        return self._socket

    def address_of(self, *, remote: bool) -> tuple[object, ...]:
        """The local or remote address, in the form of the socket module."""
        made = self._open()
        return tuple(made.getpeername() if remote else made.getsockname())

    def recv(self, buffers: Buffers, peek: bool = False, waitall: bool = False) -> tuple[int, int]:
        """Receive into `buffers` without waiting (EAGAIN); return (bytes, WASI's roflags: 0, a stream cuts nothing).

        0 bytes: the other side has shut down. `peek` does not consume the bytes. With `waitall` it is EAGAIN until the
        buffers can be filled or the stream has ended; data received meanwhile is buffered here.
        """
        waitall = waitall and not self._nonblock  # as on Linux: a non-blocking receive gets what has arrived
        room = sum(map(len, buffers))
        if waitall or self._held:
            self._gather(room)
            data = bytes(self._held[:room])
            if not peek:
                del self._held[:room]
        else:
            data = self._open().recv(min(room, _PIECE), socket.MSG_PEEK if peek else 0)
        done = 0
        for buffer in buffers:
            piece = data[done : done + len(buffer)]
            buffer[: len(piece)] = piece
            done += len(piece)
        return done, 0

    def _gather(self, room: int) -> None:
        """Buffer `room` bytes, or all up to the end of the stream; EAGAIN until then."""
        while len(self._held) < room:
            piece = self._open().recv(min(room - len(self._held), _PIECE))
            if not piece:
                return
            self._held += piece

    def send(self, buffers: Buffers) -> int:
        """Send without waiting (EAGAIN); return the number of bytes accepted. EPIPE if the connection is closed."""
        filled = [buffer for buffer in buffers if len(buffer)]
        if not filled:
            return 0
        connection = self._open()
        if not hasattr(connection, "sendmsg"):  # Windows
            return connection.send(b"".join(filled))
        return connection.sendmsg(filled)

    def read(self, buffers: Buffers) -> int:
        return self._wait(lambda: self.recv(buffers)[0], self._nonblock)

    def write(self, buffers: Buffers) -> int:
        return self._wait(lambda: self.send(buffers), self._nonblock, writing=True)

    def shutdown(self, rd: bool, wr: bool) -> None:
        """Close the receiving direction, the sending one, or both."""
        if not (rd or wr):
            raise fail(errno.EINVAL)
        self._open().shutdown(socket.SHUT_RDWR if rd and wr else socket.SHUT_RD if rd else socket.SHUT_WR)

    def available(self) -> int:
        try:
            return len(self._held) + len(self._open().recv(1 << 16, socket.MSG_PEEK))
        except OSError:
            return len(self._held)

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def listen(address: str) -> ListenSocket:
    """A listening TCP socket to grant, as in `listen("127.0.0.1:0")`; see `ListenSocket`."""
    return ListenSocket(address)


def _parse(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadAddress(f"{address!r} is not an address to listen on: write HOST:PORT, as in 127.0.0.1:8080")
    if host in ("", "localhost"):
        return "127.0.0.1", int(port)
    try:
        return str(ipaddress.ip_address(host[1:-1] if host[0] + host[-1] == "[]" else host)), int(port)
    except ValueError:
        raise BadAddress(f"{address!r}: write an IP address, as in 127.0.0.1:{port} or [::1]:{port}") from None
