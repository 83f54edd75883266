"""A TCP socket of a component: its states, connecting, listening, and its options."""

from __future__ import annotations

import ipaddress
import socket

from ....capabilities.protocols import File
from ... import rights as r
from ...errnos import Errno, WasiError
from ...fdtable import Descriptor
from ...host import Host
from ..waits import Value
from .socket_common import check_address, check_listen, invalid_state, network_of, socket_value

_SECOND = 1_000_000_000
OPTIONS: dict[str, tuple[str, int, int, int]] = {
    # name: (type, default, level, option)
    "keep-alive-enabled": ("bool", 0, socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "keep-alive-idle-time": ("duration", 7200 * _SECOND, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0)),
    "keep-alive-interval": ("duration", 75 * _SECOND, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0)),
    "keep-alive-count": ("u32", 9, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0)),
    "hop-limit": ("u8", 64, socket.IPPROTO_IP, socket.IP_TTL),
    "receive-buffer-size": ("u64", 1 << 17, socket.SOL_SOCKET, socket.SO_RCVBUF),
    "send-buffer-size": ("u64", 1 << 16, socket.SOL_SOCKET, socket.SO_SNDBUF),
}


def set_option(made: socket.socket, name: str, value: int) -> None:
    type_, _, level, option = OPTIONS[name]
    if option:
        given = max(1, value // _SECOND) if type_ == "duration" else value
        made.setsockopt(level, option, min(given, (1 << 31) - 1))


class TcpSocket:
    """A TCP socket in any state."""

    def __init__(self, host: Host, *, ipv6: bool) -> None:
        self.ipv6 = ipv6
        self.socket: socket.socket | None = None
        self.state = "unbound"
        self.descriptor: Descriptor | None = None
        self.options: dict[str, int] = {}
        self.receiving = self.sending = False
        self.path = "<tcp socket>"

    @classmethod
    def of(cls, host: Host, connection: File) -> TcpSocket:
        """The socket of an accepted connection."""
        made = cls(host, ipv6=False)
        made.state = "connected"
        made._hold(host, connection)
        return made

    def _hold(self, host: Host, stream: File, path: str = "<connection>") -> None:
        host.fds.require_room()
        self.path = path
        self.descriptor = host.fds.open(Descriptor(stream, r.SOCKET, 0, path, strict=host.strict))

    def opened(self, host: Host) -> socket.socket:
        """The system's socket, created at the first use."""
        if self.socket is None:
            host.fds.require_room()
            self.socket = network_of(host).stream(ipv6=self.ipv6)
            for name, value in self.options.items():
                if name in OPTIONS:
                    set_option(self.socket, name, value)
        return self.socket

    def begin(self, host: Host, address: str, port: int) -> bool:
        """Start connecting; returns whether it is already connected."""
        if self.state not in ("unbound", "bound"):
            raise invalid_state("the socket is in use")
        net = network_of(host)
        check_address(address, self.ipv6)
        if port == 0 or ipaddress.ip_address(address).is_unspecified:
            raise WasiError(Errno.INVAL, "not an address to connect to")
        net.check(address, port)
        made = self.opened(host)
        self.state = "connecting"
        self.path = f"<[{address}]:{port}>" if self.ipv6 else f"<{address}:{port}>"
        try:
            return bool(net.connect(made, address, port))
        except OSError:
            self.state = "closed"
            raise

    def finish(self, host: Host) -> None:
        """Finish connecting. Raises `OSError` if it failed."""
        assert self.socket is not None
        try:
            network_of(host).connected(self.socket)
        except OSError:
            self.state = "closed"
            raise
        self.state = "connected"
        self._hold(host, network_of(host).wrap(self.socket), self.path)

    def connected(self) -> Descriptor:
        """Its descriptor. Raises `ResultError` if it is not connected."""
        if self.state != "connected" or self.descriptor is None:
            raise invalid_state("the socket is not connected")
        return self.descriptor

    def name(self, *, remote: bool) -> Value:
        """The local or the remote address."""
        if self.descriptor is not None:
            return socket_value(self.descriptor.object.address_of(remote=remote))
        if not remote and self.state in ("bound", "listening") and self.socket is not None:
            return socket_value(self.socket.getsockname())
        raise invalid_state("the socket has no such address")

    def close(self, host: Host) -> None:
        """Close the socket."""
        if self.descriptor is not None:
            if host.fds.entries.get(self.descriptor.fd) is self.descriptor:
                host.fds.close(self.descriptor)
        elif self.socket is not None:
            self.socket.close()

    def bind(self, host: Host, address: str, port: int) -> None:
        """Bind to a local address: any free port, or one that a granted listening socket names."""
        if self.state != "unbound":
            raise invalid_state("the socket is already bound")
        check_address(address, self.ipv6)
        if port:
            check_listen(host, address, port)
        made = self.opened(host)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        self.state = "bound"

    def listen(self, host: Host) -> None:
        """Start accepting connections."""
        if self.state == "unbound":
            self.bind(host, "::" if self.ipv6 else "0.0.0.0", 0)
        if self.state != "bound":
            raise invalid_state("the socket is in use")
        made = self.opened(host)
        address = made.getsockname()
        check_listen(host, str(address[0]), int(address[1]))
        made.listen(min(self.options.get("backlog", 128), 128))
        self.state = "listening"

    def accept(self, host: Host) -> TcpSocket:
        """The next connection. Raises `BlockingIOError` while there is none."""
        assert self.socket is not None
        connection, _ = self.socket.accept()
        made = TcpSocket.of(host, network_of(host).wrap(connection))
        made.ipv6 = self.ipv6
        made.options = dict(self.options)
        return made

    def fileno(self) -> int:
        """The system's descriptor."""
        assert self.socket is not None
        return self.socket.fileno()
