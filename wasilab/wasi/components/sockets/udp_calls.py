"""UDP sockets of a component: `wasi:sockets/udp` and `udp-create-socket` 0.2, and `udp-socket` of 0.3."""

from __future__ import annotations

import ipaddress
import socket
from functools import partial

from ...errnos import Errno, WasiError
from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..resources import Pollable, wait_for
from ..waits import HostWait, Pending, Value
from .socket_common import (
    TYPES3,
    USED2,
    NoNetwork,
    both_versions,
    check_address,
    check_listen,
    code2,
    code3,
    in_version,
    invalid_state,
    network_of,
    socket_address,
    socket_value,
)  # fmt: skip

UDP2 = Interface(
    "wasi:sockets/udp", "0.2",
    types={
        **USED2,
        "incoming-datagram": "record { data: list<u8>, remote-address: ip-socket-address }",
        "outgoing-datagram": "record { data: list<u8>, remote-address: option<ip-socket-address> }",
    },
    resources={
        "udp-socket": lambda host, made: made.close(),
        "incoming-datagram-stream": lambda host, stream: None,
        "outgoing-datagram-stream": lambda host, stream: None,
    },
)  # fmt: skip
UDP_CREATE2 = Interface("wasi:sockets/udp-create-socket", "0.2", types={**USED2, "udp-socket": "use wasi:sockets/udp"})
_both_versions = partial(both_versions, UDP2, "udp-socket")


class UdpSocket:
    """A UDP socket."""

    def __init__(self, host: Host, *, ipv6: bool) -> None:
        host.fds.require_room()
        self.ipv6 = ipv6
        self.socket: socket.socket = network_of(host).datagrams(ipv6=ipv6)
        self.remote: tuple[str, int] | None = None
        self.bound = False
        self.options: dict[str, int] = {}
        self.path = "<udp socket>"

    def bind(self, host: Host, address: str, port: int) -> None:
        """Bind to a local address: any free port, or one that a granted listening socket names."""
        if self.bound:
            raise invalid_state("the socket is already bound")
        check_address(address, self.ipv6)
        if port:
            check_listen(host, address, port)
        self.socket.bind((address, port))
        self.bound = True

    def connect(self, host: Host, address: str, port: int) -> None:
        """Set the remote address."""
        check_address(address, self.ipv6)
        if port == 0 or ipaddress.ip_address(address).is_unspecified:
            raise WasiError(Errno.INVAL, "not an address to send to")
        host.network.check(address, port)
        self._bind_any()
        self.remote = (address, port)

    def _bind_any(self) -> None:
        if not self.bound:
            self.socket.bind(("::" if self.ipv6 else "0.0.0.0", 0))
            self.bound = True

    def send(self, host: Host, data: bytes | memoryview, remote: tuple[str, int] | None) -> None:
        """Send one datagram."""
        if self.remote is not None and remote is not None and remote != self.remote:
            raise WasiError(Errno.INVAL, "not the address that the socket is connected to")
        to = remote or self.remote
        if to is None:
            raise WasiError(Errno.INVAL, "a datagram without an address")
        check_address(to[0], self.ipv6)
        if to[1] == 0 or ipaddress.ip_address(to[0]).is_unspecified:
            raise WasiError(Errno.INVAL, "not an address to send to")
        host.network.check(*to)
        self._bind_any()
        self.socket.sendto(data, to)

    def receive(self, host: Host) -> tuple[bytes, Value]:
        """The next datagram, from the remote address if one is set, else from any address that may be connected to."""
        if not self.bound:
            raise invalid_state("the socket is not bound")
        while True:
            data, sender = self.socket.recvfrom(65536)
            if self.remote is not None and sender[:2] != self.remote:
                continue
            try:
                host.network.check(str(sender[0]), int(sender[1]))
            except OSError:
                continue  # from an address that is not granted
            return data, socket_value(sender)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


@UDP_CREATE2.function(
    "create-udp-socket", Op.OPEN, "(address-family: ip-address-family) -> result<own<udp-socket>, error-code>",
    errors=code2,
)  # fmt: skip
@TYPES3.function(
    "[static]udp-socket.create", Op.OPEN,
    "(address-family: ip-address-family) -> result<own<udp-socket>, error-code>", errors=code3,
)  # fmt: skip
def create_udp_socket(host: Host, family: str) -> UdpSocket:
    """Create an unbound socket."""
    return UdpSocket(host, ipv6=family == "ipv6")


@UDP2.function(
    "[method]udp-socket.start-bind", Op.CONFIGURE,
    "(self: borrow<udp-socket>, network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def udp_start_bind(host: Host, made: UdpSocket, network: NoNetwork, address: Value) -> None:
    """Bind to a local address."""
    made.bind(host, *socket_address(address))


@UDP2.function(
    "[method]udp-socket.finish-bind", Op.CONFIGURE, "(self: borrow<udp-socket>) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def udp_finish_bind(host: Host, made: UdpSocket) -> None:
    """Finish binding."""
    if not made.bound:
        raise ResultError("not-in-progress")


class Datagrams:
    """The streams of a UDP socket in 0.2."""

    def __init__(self, made: UdpSocket) -> None:
        self.made = made
        self.path = made.path


@UDP2.function(
    "[method]udp-socket.stream", Op.CONNECT,
    "(self: borrow<udp-socket>, remote-address: option<ip-socket-address>) -> "
    "result<tuple<own<incoming-datagram-stream>, own<outgoing-datagram-stream>>, error-code>", errors=code2,
)  # fmt: skip
def udp_stream(host: Host, made: UdpSocket, remote: Value) -> tuple[Datagrams, Datagrams]:
    """The streams, for one remote address or for all."""
    if remote is not None:
        host.network.check(*socket_address(remote))
    made.remote = None if remote is None else socket_address(remote)
    return Datagrams(made), Datagrams(made)


@_both_versions("local-address", "get-local-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def udp_local_address(host: Host, made: UdpSocket) -> Value:
    """The local address."""
    if not made.bound:
        raise WasiError(Errno.NOTCONN)
    own = made.socket.getsockname()
    if made.remote is not None and ipaddress.ip_address(own[0]).is_unspecified:
        with host.network.datagrams(ipv6=made.ipv6) as probe:  # finds the address that the system would send from
            probe.connect(made.remote)
            own = (probe.getsockname()[0], *own[1:])
    return socket_value(own)


@_both_versions("remote-address", "get-remote-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def udp_remote_address(host: Host, made: UdpSocket) -> Value:
    """The remote address."""
    if made.remote is None:
        raise WasiError(Errno.NOTCONN)
    return socket_value(made.remote)


@_both_versions("address-family", "get-address-family", Op.DESCRIBE, ") -> ip-address-family", fallible=False)
def udp_address_family(host: Host, made: UdpSocket) -> str:
    """The address family."""
    return "ipv6" if made.ipv6 else "ipv4"


def _udp_options() -> None:
    for name, type_, default in (
        ("unicast-hop-limit", "u8", 64), ("receive-buffer-size", "u64", 1 << 17), ("send-buffer-size", "u64", 1 << 16)
    ):  # fmt: skip

        def get(host: Host, made: UdpSocket, name: str = name, default: int = default) -> int:
            return made.options.get(name, default)

        def put(host: Host, made: UdpSocket, value: int, name: str = name) -> None:
            if value == 0:
                raise WasiError(Errno.INVAL, f"{name} cannot be 0")
            made.options[name] = value

        get.__doc__, put.__doc__ = f"{name} of the socket.", f"Set {name}."
        _both_versions(name, f"get-{name}", Op.DESCRIBE, f") -> result<{type_}, error-code>")(get)
        _both_versions(f"set-{name}", f"set-{name}", Op.CONFIGURE, f", value: {type_}) -> result<_, error-code>")(put)


_udp_options()


@UDP2.function("[method]udp-socket.subscribe", Op.POLL, "(self: borrow<udp-socket>) -> own<pollable>")
def udp_subscribe(host: Host, made: UdpSocket) -> Pollable:
    """Always ready."""
    return Pollable()


@UDP2.function(
    "[method]incoming-datagram-stream.receive", Op.RECEIVE,
    "(self: borrow<incoming-datagram-stream>, max-results: u64) -> result<list<incoming-datagram>, error-code>",
    errors=code2,
)  # fmt: skip
def datagrams_receive(host: Host, stream: Datagrams, most: int) -> list[Value]:
    """The datagrams received so far; an empty list if there are none."""
    found: list[Value] = []
    while len(found) < min(most, 64):
        try:
            found.append(stream.made.receive(host))
        except BlockingIOError:
            break
    return found


@UDP2.function(
    "[method]incoming-datagram-stream.subscribe",
    Op.POLL,
    "(self: borrow<incoming-datagram-stream>) -> own<pollable>",
)
def incoming_subscribe(host: Host, stream: Datagrams) -> Pollable:
    """Ready when a datagram can be received."""
    return Pollable(reader=stream.made.socket.fileno)


@UDP2.function(
    "[method]outgoing-datagram-stream.check-send", Op.POLL,
    "(self: borrow<outgoing-datagram-stream>) -> result<u64, error-code>", errors=code2,
)  # fmt: skip
def check_send(host: Host, stream: Datagrams) -> int:
    """How many datagrams can be sent now."""
    return 64 if wait_for(host, [Pollable(writer=stream.made.socket.fileno)], block=False) else 0


@UDP2.function(
    "[method]outgoing-datagram-stream.send", Op.SEND,
    "(self: borrow<outgoing-datagram-stream>, datagrams: list<outgoing-datagram>) -> result<u64, error-code>",
    errors=code2,
)  # fmt: skip
def datagrams_send(host: Host, stream: Datagrams, datagrams: list[Value]) -> int:
    """Send datagrams; returns how many were sent."""
    for number, (data, remote) in enumerate(datagrams):
        try:
            stream.made.send(host, data, None if remote is None else socket_address(remote))
        except OSError:
            if number == 0:
                raise
            return number
    return len(datagrams)


@UDP2.function(
    "[method]outgoing-datagram-stream.subscribe",
    Op.POLL,
    "(self: borrow<outgoing-datagram-stream>) -> own<pollable>",
)
def outgoing_subscribe(host: Host, stream: Datagrams) -> Pollable:
    """Ready when a datagram can be sent."""
    return Pollable(writer=stream.made.socket.fileno)


@TYPES3.function(
    "[method]udp-socket.bind", Op.CONFIGURE,
    "(self: borrow<udp-socket>, local-address: ip-socket-address) -> result<_, error-code>", errors=code3,
)  # fmt: skip
def udp_bind3(host: Host, made: UdpSocket, address: Value) -> None:
    """Bind to a local address."""
    in_version(made.bind, host, *socket_address(address))


@TYPES3.function(
    "[method]udp-socket.connect", Op.CONNECT,
    "(self: borrow<udp-socket>, remote-address: ip-socket-address) -> result<_, error-code>", errors=code3,
)  # fmt: skip
def udp_connect3(host: Host, made: UdpSocket, address: Value) -> None:
    """Set the remote address."""
    made.connect(host, *socket_address(address))


@TYPES3.function(
    "[method]udp-socket.disconnect", Op.CONNECT, "(self: borrow<udp-socket>) -> result<_, error-code>", errors=code3
)
def udp_disconnect3(host: Host, made: UdpSocket) -> None:
    """Remove the remote address."""
    if made.remote is None:
        raise WasiError(Errno.NOTCONN)
    made.remote = None


@TYPES3.function(
    "[method]udp-socket.send", Op.SEND,
    "async (self: borrow<udp-socket>, data: list<u8>, remote-address: option<ip-socket-address>) -> "
    "result<_, error-code>", errors=code3,
)  # fmt: skip
def udp_send3(host: Host, made: UdpSocket, data: bytes, remote: Value) -> None:
    """Send one datagram."""
    made.send(host, data, None if remote is None else socket_address(remote))


@TYPES3.function(
    "[method]udp-socket.receive", Op.RECEIVE,
    "async (self: borrow<udp-socket>) -> result<tuple<list<u8>, ip-socket-address>, error-code>", errors=code3,
)  # fmt: skip
def udp_receive3(host: Host, made: UdpSocket) -> Value:
    """Wait for one datagram."""
    try:
        return in_version(made.receive, host)
    except BlockingIOError:
        return Pending(HostWait(readers=(made.socket.fileno(),)), lambda: udp_receive3(host, made))
