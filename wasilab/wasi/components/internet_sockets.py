"""`wasi:sockets` 0.2 and 0.3: TCP, UDP, looking names up.

Nothing is reachable unless the grants name it. A socket may be made freely; connecting it, or sending a datagram, asks
the rules of `--connect`; listening needs a granted listening socket (`--listen`) of the same address; a lookup asks
`--resolve`. A connection is a descriptor of the host's own table, so the limits of descriptors and bytes count.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from ...capabilities.protocols import File
from ...capabilities.refusal import DeniedBy
from .. import rights as r
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import Host
from ..operations import Operation as Op
from .interfaces import Interface, ResultError
from .resources import PIECE, Closed, InputStream, OutputStream, Pollable, wait_for
from .waits import HostWait, Incoming, Pending, Promise, Source, Value

F = TypeVar("F", bound=Callable[..., object])

_CODES = {
    Errno.ACCES: "access-denied", Errno.PERM: "access-denied", Errno.NOTCAPABLE: "access-denied",
    Errno.NOTSUP: "not-supported", Errno.AFNOSUPPORT: "not-supported", Errno.NOPROTOOPT: "not-supported",
    Errno.INVAL: "invalid-argument", Errno.NOMEM: "out-of-memory", Errno.NOBUFS: "out-of-memory",
    Errno.TIMEDOUT: "timeout", Errno.AGAIN: "would-block", Errno.MFILE: "new-socket-limit",
    Errno.NFILE: "new-socket-limit", Errno.ADDRNOTAVAIL: "address-not-bindable", Errno.ADDRINUSE: "address-in-use",
    Errno.HOSTUNREACH: "remote-unreachable", Errno.NETUNREACH: "remote-unreachable",
    Errno.NETDOWN: "remote-unreachable", Errno.CONNREFUSED: "connection-refused", Errno.CONNRESET: "connection-reset",
    Errno.PIPE: "connection-reset", Errno.CONNABORTED: "connection-aborted", Errno.MSGSIZE: "datagram-too-large",
    Errno.NOTCONN: "invalid-state", Errno.ISCONN: "invalid-state", Errno.BADF: "invalid-state",
}  # fmt: skip
_NAMES3 = (
    "access-denied", "not-supported", "invalid-argument", "out-of-memory", "timeout", "invalid-state",
    "address-not-bindable", "address-in-use", "remote-unreachable", "connection-refused", "connection-broken",
    "connection-reset", "connection-aborted", "datagram-too-large",
)  # fmt: skip


def _code2(failure: WasiError) -> str:
    return _CODES.get(failure.errno, "unknown")


def _code3(failure: WasiError) -> tuple[str, None]:
    code = _CODES.get(failure.errno, "other")
    return ("out-of-memory" if code == "new-socket-limit" else code if code in _NAMES3 else "other", None)


_ADDRESS_TYPES = {
    "ip-address-family": "enum { ipv4, ipv6 }",
    "ipv4-address": "tuple<u8, u8, u8, u8>",
    "ipv6-address": "tuple<u16, u16, u16, u16, u16, u16, u16, u16>",
    "ip-address": "variant { ipv4(ipv4-address), ipv6(ipv6-address) }",
    "ipv4-socket-address": "record { port: u16, address: ipv4-address }",
    "ipv6-socket-address": "record { port: u16, flow-info: u32, address: ipv6-address, scope-id: u32 }",
    "ip-socket-address": "variant { ipv4(ipv4-socket-address), ipv6(ipv6-socket-address) }",
}


def _ip_value(address: str) -> Value:
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 4:
        return ("ipv4", tuple(found.packed))
    packed = found.packed
    return ("ipv6", tuple(packed[i] << 8 | packed[i + 1] for i in range(0, 16, 2)))


def _ip_text(case: str, parts: tuple[int, ...]) -> str:
    if case == "ipv4":
        return str(ipaddress.IPv4Address(bytes(parts)))
    return str(ipaddress.IPv6Address(b"".join(part.to_bytes(2, "big") for part in parts)))


def _socket_value(name: tuple[object, ...]) -> Value:
    case, parts = _ip_value(str(name[0]))
    if case == "ipv4":
        return case, (name[1], parts)
    return case, (name[1], name[2] if len(name) > 2 else 0, parts, name[3] if len(name) > 3 else 0)


def _socket_name(value: Value) -> tuple[str, int]:
    """(address, port) of an `ip-socket-address`."""
    case, fields = value
    return (_ip_text(case, fields[1]), fields[0]) if case == "ipv4" else (_ip_text(case, fields[2]), fields[0])


def _invalid_state(what: str) -> ResultError:
    return ResultError("invalid-state", WasiError(Errno.BADF, what))


class NoNetwork:
    """`network` of 0.2: the one there is; what it may be used for is a matter of the grants."""

    path = "<network>"


class TcpSocket:
    """A TCP socket, in whatever state it is."""

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
        """The socket of a connection that was accepted."""
        made = cls(host, ipv6=False)
        made.state = "connected"
        made._hold(host, connection)
        return made

    def _hold(self, host: Host, stream: File, path: str = "<connection>") -> None:
        host.fds.require_room()
        self.path = path
        self.descriptor = host.fds.open(Descriptor(stream, r.SOCKET, 0, path, strict=host.strict))

    def opened(self, host: Host) -> socket.socket:
        """The socket of the system, made at its first use."""
        if self.socket is None:
            host.fds.require_room()
            self.socket = _network(host).stream(ipv6=self.ipv6)
            for name, value in self.options.items():
                if name in _OPTIONS:
                    _set_option(self.socket, name, value)
        return self.socket

    def begin(self, host: Host, address: str, port: int) -> bool:
        """Begin to connect; whether it is done already."""
        if self.state not in ("unbound", "bound"):
            raise _invalid_state("the socket is in use")
        net = _network(host)
        _check_address(address, self.ipv6)
        if port == 0 or ipaddress.ip_address(address).is_unspecified:
            raise WasiError(Errno.INVAL, "an address that nothing can be connected to")
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
        """The connection stands: hold it. Raises `OSError` where it failed."""
        assert self.socket is not None
        try:
            _network(host).connected(self.socket)
        except OSError:
            self.state = "closed"
            raise
        self.state = "connected"
        self._hold(host, _network(host).wrap(self.socket), self.path)

    def connected(self) -> Descriptor:
        """Its descriptor. Raises where it is not connected."""
        if self.state != "connected" or self.descriptor is None:
            raise _invalid_state("the socket is not connected")
        return self.descriptor

    def name(self, *, remote: bool) -> Value:
        """Its own or the other side's address."""
        if self.descriptor is not None:
            return _socket_value(self.descriptor.object.address_of(remote=remote))
        if not remote and self.state in ("bound", "listening") and self.socket is not None:
            return _socket_value(self.socket.getsockname())
        raise _invalid_state("the socket has no such address")

    def close(self, host: Host) -> None:
        """Let go of it."""
        if self.descriptor is not None:
            if host.fds.entries.get(self.descriptor.fd) is self.descriptor:
                host.fds.close(self.descriptor)
        elif self.socket is not None:
            self.socket.close()

    def bind(self, host: Host, address: str, port: int) -> None:
        """Take a local address: any free port, or one that a granted listening socket names."""
        if self.state != "unbound":
            raise _invalid_state("the socket is bound already")
        _check_address(address, self.ipv6)
        if port:
            _check_listen(host, address, port)
        made = self.opened(host)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        self.state = "bound"

    def listen(self, host: Host) -> None:
        """Begin to accept connections."""
        if self.state == "unbound":
            self.bind(host, "::" if self.ipv6 else "0.0.0.0", 0)
        if self.state != "bound":
            raise _invalid_state("the socket is in use")
        made = self.opened(host)
        address = made.getsockname()
        _check_listen(host, str(address[0]), int(address[1]))
        made.listen(min(self.options.get("backlog", 128), 128))
        self.state = "listening"

    def accept(self, host: Host) -> TcpSocket:
        """The next connection. Raises `BlockingIOError` while there is none."""
        assert self.socket is not None
        connection, _ = self.socket.accept()
        made = TcpSocket.of(host, _network(host).wrap(connection))
        made.ipv6 = self.ipv6
        made.options = dict(self.options)
        return made

    def fileno(self) -> int:
        """The descriptor of the system."""
        assert self.socket is not None
        return self.socket.fileno()


def _check_address(address: str, ipv6: bool) -> None:
    found = ipaddress.ip_address(address)
    mapped = isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None
    if (found.version == 6) is not ipv6 or mapped:
        raise WasiError(Errno.INVAL, "an address of another family than the socket's")
    if found.is_multicast or str(found) == "255.255.255.255":
        raise WasiError(Errno.INVAL, "an address of many receivers")


def _check_listen(host: Host, address: str, port: int) -> None:
    """Raise `WasiError` unless a granted listening socket names the address, with this port or with port 0 (any)."""
    for descriptor in host.fds.entries.values():
        granted = getattr(descriptor.object, "address", None)
        if not isinstance(granted, str) or not hasattr(descriptor.object, "accept"):
            continue
        name, _, number = granted.rpartition(":")
        name = {"": "127.0.0.1", "localhost": "127.0.0.1"}.get(name, name.strip("[]"))
        if ipaddress.ip_address(name) == ipaddress.ip_address(address) and number in ("0", str(port)):
            return
    raise WasiError(
        Errno.ACCES, f"{address}:{port} may not be listened on: no listening socket is granted for it",
        DeniedBy.GRANT,
    )  # fmt: skip


def _network(host: Host) -> Any:
    if host.network is None:
        raise WasiError(Errno.ACCES, "no network is granted", DeniedBy.GRANT)
    return host.network


NETWORK2 = Interface(
    "wasi:sockets/network",
    "0.2",
    types={
        **_ADDRESS_TYPES,
        "error-code": "enum { unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, "
        "concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, "
        "address-in-use, remote-unreachable, connection-refused, connection-reset, connection-aborted, "
        "datagram-too-large, name-unresolvable, temporary-resolver-failure, permanent-resolver-failure }",
    },
    resources={"network": lambda host, network: None},
)
_USED2 = {
    "input-stream": "use wasi:io/streams", "output-stream": "use wasi:io/streams", "pollable": "use wasi:io/poll",
    "duration": "use wasi:clocks/monotonic-clock",
    **dict.fromkeys(
        ("network", "error-code", "ip-socket-address", "ip-address-family", "ip-address"), "use wasi:sockets/network"
    ),
}  # fmt: skip
INSTANCE2 = Interface("wasi:sockets/instance-network", "0.2", types={"network": "use wasi:sockets/network"})
LOOKUP2 = Interface(
    "wasi:sockets/ip-name-lookup", "0.2", types=_USED2,
    resources={"resolve-address-stream": lambda host, stream: stream.close()},
)  # fmt: skip
TCP2 = Interface(
    "wasi:sockets/tcp", "0.2", types={**_USED2, "shutdown-type": "enum { receive, send, both }"},
    resources={"tcp-socket": lambda host, made: made.close(host)},
)  # fmt: skip
TCP_CREATE2 = Interface("wasi:sockets/tcp-create-socket", "0.2", types={**_USED2, "tcp-socket": "use wasi:sockets/tcp"})
UDP2 = Interface(
    "wasi:sockets/udp", "0.2",
    types={
        **_USED2,
        "incoming-datagram": "record { data: list<u8>, remote-address: ip-socket-address }",
        "outgoing-datagram": "record { data: list<u8>, remote-address: option<ip-socket-address> }",
    },
    resources={
        "udp-socket": lambda host, made: made.close(),
        "incoming-datagram-stream": lambda host, stream: None,
        "outgoing-datagram-stream": lambda host, stream: None,
    },
)  # fmt: skip
UDP_CREATE2 = Interface("wasi:sockets/udp-create-socket", "0.2", types={**_USED2, "udp-socket": "use wasi:sockets/udp"})
TYPES3 = Interface(
    "wasi:sockets/types",
    "0.3",
    types={
        "duration": "use wasi:clocks/types",
        **_ADDRESS_TYPES,
        "error-code": f"variant {{ {', '.join(_NAMES3)}, other(option<string>) }}",
    },
    resources={
        "tcp-socket": lambda host, made: made.close(host),
        "udp-socket": lambda host, made: made.close(),
    },
)
LOOKUP3 = Interface(
    "wasi:sockets/ip-name-lookup",
    "0.3",
    types={
        "ip-address": "use wasi:sockets/types",
        "error-code": "variant { access-denied, invalid-argument, name-unresolvable, temporary-resolver-failure, "
        "permanent-resolver-failure, other(option<string>) }",
    },
)


@INSTANCE2.function("instance-network", Op.DESCRIBE, "() -> own<network>")
def instance_network(host: Host) -> NoNetwork:
    """The network. To hold it allows nothing: what may be reached is said by the grants."""
    return NoNetwork()


# -- names -------------------------------------------------------------------------------------------------------------


class Addresses:
    """`resolve-address-stream` of 0.2."""

    def __init__(self, host: Host, name: str) -> None:
        self.path = f"<lookup of {name}>"
        found = _network(host).look_up(name)
        self.lookup = None if isinstance(found, list) else found
        self.left = iter(found) if isinstance(found, list) else None

    def ready(self) -> bool:
        """Whether there is an answer."""
        return self.lookup is None or self.lookup.done

    def fileno(self) -> int | None:
        """What is readable once there is one."""
        return None if self.lookup is None else int(self.lookup.fileno())

    def next(self, host: Host) -> Value:
        """The next address; None at the end."""
        if self.left is None:
            assert self.lookup is not None
            if not self.lookup.done:
                raise WasiError(Errno.AGAIN)
            if self.lookup.error is not None:
                raise ResultError("name-unresolvable", WasiError(Errno.NOENT, str(self.lookup.error)))
            host.network.resolved(self.lookup.name, self.lookup.addresses)
            self.left = iter(self.lookup.addresses)
        address = next(self.left, None)
        return None if address is None else _ip_value(address)

    def close(self) -> None:
        """Let go of the lookup."""
        if self.lookup is not None:
            self.lookup.close()
            self.lookup = None


@LOOKUP2.function(
    "resolve-addresses", Op.CONNECT,
    "(network: borrow<network>, name: string) -> result<own<resolve-address-stream>, error-code>", errors=_code2,
)  # fmt: skip
def resolve_addresses2(host: Host, network: NoNetwork, name: str) -> Addresses:
    """Look a name up."""
    return Addresses(host, name)


@LOOKUP2.function(
    "[method]resolve-address-stream.resolve-next-address", Op.CONNECT,
    "(self: borrow<resolve-address-stream>) -> result<option<ip-address>, error-code>", errors=_code2,
)  # fmt: skip
def resolve_next_address(host: Host, stream: Addresses) -> Value:
    """The next address; none at the end, would-block while it is looked up."""
    return stream.next(host)


@LOOKUP2.function(
    "[method]resolve-address-stream.subscribe", Op.POLL, "(self: borrow<resolve-address-stream>) -> own<pollable>"
)
def resolve_subscribe(host: Host, stream: Addresses) -> Pollable:
    """Ready once there is an answer."""
    return Pollable(reader=stream.fileno, ready=stream.ready)


@LOOKUP3.function(
    "resolve-addresses", Op.CONNECT, "async (name: string) -> result<list<ip-address>, error-code>",
    errors=lambda failure: (
        ("access-denied", None) if failure.denied_by else ("name-unresolvable", None)
    ),
)  # fmt: skip
def resolve_addresses3(host: Host, name: str) -> Value:
    """Look a name up."""
    found = _network(host).look_up(name)
    if isinstance(found, list):
        return [_ip_value(address) for address in found]

    def finish() -> Value:
        addresses, error = found.addresses, found.error
        found.close()
        if error is not None or addresses is None:
            raise ResultError(("name-unresolvable", None), WasiError(Errno.NOENT, str(error)))
        host.network.resolved(found.name, addresses)
        return [_ip_value(address) for address in addresses]

    return Pending(HostWait(readers=(found.fileno(),)), finish, found.close)


# -- TCP ---------------------------------------------------------------------------------------------------------------


@TCP_CREATE2.function(
    "create-tcp-socket", Op.OPEN, "(address-family: ip-address-family) -> result<own<tcp-socket>, error-code>",
    errors=_code2,
)  # fmt: skip
@TYPES3.function(
    "[static]tcp-socket.create", Op.OPEN,
    "(address-family: ip-address-family) -> result<own<tcp-socket>, error-code>", errors=_code3,
)  # fmt: skip
def create_tcp_socket(host: Host, family: str) -> TcpSocket:
    """A socket that is not connected."""
    return TcpSocket(host, ipv6=family == "ipv6")


@TCP2.function(
    "[method]tcp-socket.start-bind", Op.CONFIGURE,
    "(self: borrow<tcp-socket>, network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def start_bind(host: Host, made: TcpSocket, network: NoNetwork, address: Value) -> None:
    """Take a local address."""
    made.bind(host, *_socket_name(address))
    made.options["bind"] = 1


@TCP2.function(
    "[method]tcp-socket.finish-bind", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def finish_bind(host: Host, made: TcpSocket) -> None:
    """It is taken."""
    if not made.options.pop("bind", 0):
        raise ResultError("not-in-progress")


@TCP2.function(
    "[method]tcp-socket.start-connect", Op.CONNECT,
    "(self: borrow<tcp-socket>, network: borrow<network>, remote-address: ip-socket-address) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def start_connect(host: Host, made: TcpSocket, network: NoNetwork, address: Value) -> None:
    """Begin to connect."""
    made.begin(host, *_socket_name(address))


@TCP2.function(
    "[method]tcp-socket.finish-connect", Op.CONNECT,
    "(self: borrow<tcp-socket>) -> result<tuple<own<input-stream>, own<output-stream>>, error-code>", errors=_code2,
)  # fmt: skip
def finish_connect(host: Host, made: TcpSocket) -> tuple[InputStream, OutputStream]:
    """The streams of the connection; would-block until it stands."""
    if made.state != "connecting" or made.socket is None:
        raise ResultError("not-in-progress")
    if not wait_for(host, [Pollable(writer=made.socket.fileno)], block=False):
        raise WasiError(Errno.AGAIN)
    made.finish(host)
    d = made.connected()
    return InputStream(d), OutputStream(d)


@TCP2.function(
    "[method]tcp-socket.start-listen", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def start_listen(host: Host, made: TcpSocket) -> None:
    """Begin to accept connections."""
    if made.state != "bound":
        raise _invalid_state("the socket is not bound")
    made.listen(host)
    made.options["listen"] = 1


@TCP2.function(
    "[method]tcp-socket.finish-listen", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def finish_listen(host: Host, made: TcpSocket) -> None:
    """They are accepted."""
    if not made.options.pop("listen", 0):
        raise ResultError("not-in-progress")


@TCP2.function(
    "[method]tcp-socket.accept", Op.ACCEPT,
    "(self: borrow<tcp-socket>) -> result<tuple<own<tcp-socket>, own<input-stream>, own<output-stream>>, error-code>",
    errors=_code2,
)  # fmt: skip
def accept(host: Host, made: TcpSocket) -> tuple[TcpSocket, InputStream, OutputStream]:
    """The next connection; would-block while there is none."""
    if made.state != "listening":
        raise _invalid_state("the socket does not listen")
    connection = made.accept(host)
    d = connection.connected()
    return connection, InputStream(d), OutputStream(d)


def _both_names(name2: str, name3: str, operation: Op, type_: str, *, fallible: bool = True) -> Callable[[F], F]:
    """Declare a method of tcp-socket that has one name in 0.2 and another in 0.3."""

    def declare(call: F) -> F:
        text = f"(self: borrow<tcp-socket>{type_}"
        TCP2.function(f"[method]tcp-socket.{name2}", operation, text, errors=_code2 if fallible else None)(call)
        TYPES3.function(f"[method]tcp-socket.{name3}", operation, text, errors=_code3 if fallible else None)(call)
        return call

    return declare


@_both_names("local-address", "get-local-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def local_address(host: Host, made: TcpSocket) -> Value:
    """Its own address."""
    return _in_version(made.name, remote=False)


@_both_names("remote-address", "get-remote-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def remote_address(host: Host, made: TcpSocket) -> Value:
    """The other side's address."""
    return _in_version(made.name, remote=True)


def _in_version(call: Callable[..., Value], **given: bool) -> Value:
    """`call`, with its own error as a failure, which each version words itself."""
    try:
        return call(**given)
    except ResultError as error:
        raise error.cause or error from None


@_both_names("is-listening", "get-is-listening", Op.DESCRIBE, ") -> bool", fallible=False)
def is_listening(host: Host, made: TcpSocket) -> bool:
    """Whether it accepts connections."""
    return made.state == "listening"


@_both_names("address-family", "get-address-family", Op.DESCRIBE, ") -> ip-address-family", fallible=False)
def address_family(host: Host, made: TcpSocket) -> str:
    """Its family."""
    return "ipv6" if made.ipv6 else "ipv4"


@_both_names(
    "set-listen-backlog-size", "set-listen-backlog-size", Op.CONFIGURE, ", value: u64) -> result<_, error-code>"
)
def set_listen_backlog_size(host: Host, made: TcpSocket, value: int) -> None:
    """How many connections may wait: a hint."""
    if value == 0:
        raise WasiError(Errno.INVAL, "a backlog of 0")
    made.options["backlog"] = min(value, 128)


_SECOND = 1_000_000_000
_OPTIONS: dict[str, tuple[str, int, int, int]] = {
    # name: (type, default, level, option)
    "keep-alive-enabled": ("bool", 0, socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "keep-alive-idle-time": ("duration", 7200 * _SECOND, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0)),
    "keep-alive-interval": ("duration", 75 * _SECOND, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0)),
    "keep-alive-count": ("u32", 9, socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0)),
    "hop-limit": ("u8", 64, socket.IPPROTO_IP, socket.IP_TTL),
    "receive-buffer-size": ("u64", 1 << 17, socket.SOL_SOCKET, socket.SO_RCVBUF),
    "send-buffer-size": ("u64", 1 << 16, socket.SOL_SOCKET, socket.SO_SNDBUF),
}


def _set_option(made: socket.socket, name: str, value: int) -> None:
    type_, _, level, option = _OPTIONS[name]
    if option:
        given = max(1, value // _SECOND) if type_ == "duration" else value
        made.setsockopt(level, option, min(given, (1 << 31) - 1))


def _options() -> None:
    """Declare the getter and the setter of every option: what was set is told again, and given to the system."""
    for name, (type_, default, _, _) in _OPTIONS.items():

        def get(host: Host, made: TcpSocket, name: str = name, type_: str = type_, default: int = default) -> Value:
            value = made.options.get(name, default)
            return bool(value) if type_ == "bool" else value

        def put(host: Host, made: TcpSocket, value: int, name: str = name, type_: str = type_) -> None:
            if value == 0 and type_ != "bool":
                raise WasiError(Errno.INVAL, f"{name} cannot be 0")
            made.options[name] = int(value)
            if made.socket is not None:
                _set_option(made.socket, name, int(value))

        get.__doc__, put.__doc__ = f"{name} of the socket.", f"Set {name}."
        _both_names(name, f"get-{name}", Op.DESCRIBE, f") -> result<{type_}, error-code>")(get)
        _both_names(f"set-{name}", f"set-{name}", Op.CONFIGURE, f", value: {type_}) -> result<_, error-code>")(put)


_options()


@TCP2.function("[method]tcp-socket.subscribe", Op.POLL, "(self: borrow<tcp-socket>) -> own<pollable>")
def tcp_subscribe(host: Host, made: TcpSocket) -> Pollable:
    """Ready when a connection stands, or one can be accepted."""
    if made.state == "connecting" and made.socket is not None:
        return Pollable(writer=made.socket.fileno)
    if made.state == "listening":
        return Pollable(reader=made.fileno)
    return Pollable()


@TCP2.function(
    "[method]tcp-socket.shutdown", Op.SHUTDOWN,
    "(self: borrow<tcp-socket>, shutdown-type: shutdown-type) -> result<_, error-code>", errors=_code2,
)  # fmt: skip
def shutdown(host: Host, made: TcpSocket, how: str) -> None:
    """Close one or both directions."""
    made.connected().object.shutdown(how != "send", how != "receive")


# ---- 0.3


@TYPES3.function(
    "[method]tcp-socket.bind", Op.CONFIGURE,
    "(self: borrow<tcp-socket>, local-address: ip-socket-address) -> result<_, error-code>", errors=_code3,
)  # fmt: skip
def bind3(host: Host, made: TcpSocket, address: Value) -> None:
    """Take a local address."""
    try:
        made.bind(host, *_socket_name(address))
    except ResultError as error:
        raise error.cause or error from None


@TYPES3.function(
    "[method]tcp-socket.connect", Op.CONNECT,
    "async (self: borrow<tcp-socket>, remote-address: ip-socket-address) -> result<_, error-code>", errors=_code3,
)  # fmt: skip
def connect3(host: Host, made: TcpSocket, address: Value) -> Value:
    """Connect."""
    try:
        done = made.begin(host, *_socket_name(address))
    except ResultError as error:
        raise error.cause or error from None
    assert made.socket is not None
    if done:
        made.finish(host)
        return None
    return Pending(HostWait(writers=(made.socket.fileno(),)), lambda: made.finish(host))


@TYPES3.function(
    "[method]tcp-socket.listen", Op.ACCEPT,
    "(self: borrow<tcp-socket>) -> result<stream<own<tcp-socket>>, error-code>", errors=_code3,
)  # fmt: skip
def listen3(host: Host, made: TcpSocket) -> Source:
    """The connections as they come."""
    try:
        made.listen(host)
    except ResultError as error:
        raise error.cause or error from None

    def pull(count: int) -> Value:
        try:
            return [made.accept(host)]
        except BlockingIOError:
            return HostWait(readers=(made.fileno(),))
        except OSError:
            return None

    return Source(pull)


@TYPES3.function(
    "[method]tcp-socket.receive",
    Op.RECEIVE,
    "(self: borrow<tcp-socket>) -> tuple<stream<u8>, future<result<_, error-code>>>",
)
def receive3(host: Host, made: TcpSocket) -> tuple[Source, Promise]:
    """What comes, and how it ended. Once a socket; who drops the stream shuts the direction down."""
    done = Promise()
    if made.descriptor is None or made.receiving:
        done.resolve(("error", _code3(WasiError(Errno.NOTCONN))))
        return Source(lambda count: None), done
    made.receiving = True
    connection = made.descriptor
    stream = InputStream(connection)

    def pull(count: int) -> Value:
        try:
            if not stream.is_ready(host):
                fd = stream.fileno()
                return HostWait(readers=() if fd is None else (fd,))
            return bytes(stream.read(host, min(count, PIECE), block=True))
        except Exception as error:  # noqa: BLE001  the end, or a failure
            done.resolve(("ok", None) if isinstance(error, Closed) else _answer(host, error))
            return None

    def close() -> None:
        with contextlib.suppress(OSError):  # the connection may be gone already
            connection.object.shutdown(True, False)
        done.resolve(("ok", None))

    return Source(pull, close), done


def _answer(host: Host, error: BaseException) -> tuple[str, Value]:
    failure = host.explain(error)
    if failure is None:
        raise error
    return ("error", _code3(failure))


class SocketSink:
    """Where the bytes go that a guest writes into a stream over a connection."""

    def __init__(self, host: Host, made: TcpSocket, done: Promise) -> None:
        self._host = host
        self._made = made
        self._done = done

    def put(self, data: bytes) -> None:
        """Send them."""
        OutputStream(self._made.connected()).write(self._host, data)

    def room(self) -> HostWait | None:
        """None while the connection takes more."""
        d = self._made.descriptor
        if d is None or wait_for(self._host, [Pollable(writer=d.object.fileno)], block=False):
            return None
        return HostWait(writers=(d.object.fileno(),))

    def end(self, error: BaseException | None) -> None:
        """Shut the sending direction down, and say how it ended."""
        d = self._made.descriptor
        if error is None and d is not None:
            try:
                d.object.shutdown(False, True)
            except OSError as failed:
                error = failed
        self._done.resolve(("ok", None) if error is None else _answer(self._host, error))


@TYPES3.function(
    "[method]tcp-socket.send",
    Op.SEND,
    "(self: borrow<tcp-socket>, data: stream<u8>) -> future<result<_, error-code>>",
)
def send3(host: Host, made: TcpSocket, data: Incoming) -> Promise:
    """Send what comes; how it ended. Once a socket."""
    done = Promise()
    if made.descriptor is None or made.sending:
        data.drop()
        done.resolve(("error", _code3(WasiError(Errno.NOTCONN))))
        return done
    made.sending = True
    data.consume(SocketSink(host, made, done))
    return done


# -- UDP ---------------------------------------------------------------------------------------------------------------


class UdpSocket:
    """A UDP socket."""

    def __init__(self, host: Host, *, ipv6: bool) -> None:
        host.fds.require_room()
        self.ipv6 = ipv6
        self.socket: socket.socket = _network(host).datagrams(ipv6=ipv6)
        self.remote: tuple[str, int] | None = None
        self.bound = False
        self.options: dict[str, int] = {}
        self.path = "<udp socket>"

    def bind(self, host: Host, address: str, port: int) -> None:
        """Take a local address: any free port, or one that a granted listening socket names."""
        if self.bound:
            raise _invalid_state("the socket is bound already")
        _check_address(address, self.ipv6)
        if port:
            _check_listen(host, address, port)
        self.socket.bind((address, port))
        self.bound = True

    def connect(self, host: Host, address: str, port: int) -> None:
        """Set the other side."""
        _check_address(address, self.ipv6)
        if port == 0 or ipaddress.ip_address(address).is_unspecified:
            raise WasiError(Errno.INVAL, "an address that nothing can be sent to")
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
            raise WasiError(Errno.INVAL, "another address than the one it is connected to")
        to = remote or self.remote
        if to is None:
            raise WasiError(Errno.INVAL, "a datagram without an address")
        _check_address(to[0], self.ipv6)
        if to[1] == 0 or ipaddress.ip_address(to[0]).is_unspecified:
            raise WasiError(Errno.INVAL, "an address that nothing can be sent to")
        host.network.check(*to)
        self._bind_any()
        self.socket.sendto(data, to)

    def receive(self, host: Host) -> tuple[bytes, Value]:
        """One datagram, from the other side where one is set; from others only who may be connected to."""
        if not self.bound:
            raise _invalid_state("the socket is not bound")
        while True:
            data, sender = self.socket.recvfrom(65536)
            if self.remote is not None and sender[:2] != self.remote:
                continue
            try:
                host.network.check(str(sender[0]), int(sender[1]))
            except OSError:
                continue  # nobody that this guest may talk to
            return data, _socket_value(sender)

    def close(self) -> None:
        """Let go of it."""
        self.socket.close()


@UDP_CREATE2.function(
    "create-udp-socket", Op.OPEN, "(address-family: ip-address-family) -> result<own<udp-socket>, error-code>",
    errors=_code2,
)  # fmt: skip
@TYPES3.function(
    "[static]udp-socket.create", Op.OPEN,
    "(address-family: ip-address-family) -> result<own<udp-socket>, error-code>", errors=_code3,
)  # fmt: skip
def create_udp_socket(host: Host, family: str) -> UdpSocket:
    """A socket that is not bound."""
    return UdpSocket(host, ipv6=family == "ipv6")


@UDP2.function(
    "[method]udp-socket.start-bind", Op.CONFIGURE,
    "(self: borrow<udp-socket>, network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def udp_start_bind(host: Host, made: UdpSocket, network: NoNetwork, address: Value) -> None:
    """Take a local address."""
    made.bind(host, *_socket_name(address))


@UDP2.function(
    "[method]udp-socket.finish-bind", Op.CONFIGURE, "(self: borrow<udp-socket>) -> result<_, error-code>",
    errors=_code2,
)  # fmt: skip
def udp_finish_bind(host: Host, made: UdpSocket) -> None:
    """It is taken."""
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
    "result<tuple<own<incoming-datagram-stream>, own<outgoing-datagram-stream>>, error-code>", errors=_code2,
)  # fmt: skip
def udp_stream(host: Host, made: UdpSocket, remote: Value) -> tuple[Datagrams, Datagrams]:
    """The streams, of one other side or of all."""
    if remote is not None:
        host.network.check(*_socket_name(remote))
    made.remote = None if remote is None else _socket_name(remote)
    return Datagrams(made), Datagrams(made)


def _udp_both(name2: str, name3: str, operation: Op, type_: str, *, fallible: bool = True) -> Callable[[F], F]:
    def declare(call: F) -> F:
        text = f"(self: borrow<udp-socket>{type_}"
        UDP2.function(f"[method]udp-socket.{name2}", operation, text, errors=_code2 if fallible else None)(call)
        TYPES3.function(f"[method]udp-socket.{name3}", operation, text, errors=_code3 if fallible else None)(call)
        return call

    return declare


@_udp_both("local-address", "get-local-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def udp_local_address(host: Host, made: UdpSocket) -> Value:
    """Its own address."""
    if not made.bound:
        raise WasiError(Errno.NOTCONN)
    own = made.socket.getsockname()
    if made.remote is not None and ipaddress.ip_address(own[0]).is_unspecified:
        with host.network.datagrams(ipv6=made.ipv6) as probe:  # what the system would send from
            probe.connect(made.remote)
            own = (probe.getsockname()[0], *own[1:])
    return _socket_value(own)


@_udp_both("remote-address", "get-remote-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def udp_remote_address(host: Host, made: UdpSocket) -> Value:
    """The other side's address."""
    if made.remote is None:
        raise WasiError(Errno.NOTCONN)
    return _socket_value(made.remote)


@_udp_both("address-family", "get-address-family", Op.DESCRIBE, ") -> ip-address-family", fallible=False)
def udp_address_family(host: Host, made: UdpSocket) -> str:
    """Its family."""
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
        _udp_both(name, f"get-{name}", Op.DESCRIBE, f") -> result<{type_}, error-code>")(get)
        _udp_both(f"set-{name}", f"set-{name}", Op.CONFIGURE, f", value: {type_}) -> result<_, error-code>")(put)


_udp_options()


@UDP2.function("[method]udp-socket.subscribe", Op.POLL, "(self: borrow<udp-socket>) -> own<pollable>")
def udp_subscribe(host: Host, made: UdpSocket) -> Pollable:
    """Ready at once."""
    return Pollable()


@UDP2.function(
    "[method]incoming-datagram-stream.receive", Op.RECEIVE,
    "(self: borrow<incoming-datagram-stream>, max-results: u64) -> result<list<incoming-datagram>, error-code>",
    errors=_code2,
)  # fmt: skip
def datagrams_receive(host: Host, stream: Datagrams, most: int) -> list[Value]:
    """The datagrams that have come, none when there are none."""
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
    """Ready when one has come."""
    return Pollable(reader=stream.made.socket.fileno)


@UDP2.function(
    "[method]outgoing-datagram-stream.check-send", Op.POLL,
    "(self: borrow<outgoing-datagram-stream>) -> result<u64, error-code>", errors=_code2,
)  # fmt: skip
def check_send(host: Host, stream: Datagrams) -> int:
    """How many may be sent now."""
    return 64 if wait_for(host, [Pollable(writer=stream.made.socket.fileno)], block=False) else 0


@UDP2.function(
    "[method]outgoing-datagram-stream.send", Op.SEND,
    "(self: borrow<outgoing-datagram-stream>, datagrams: list<outgoing-datagram>) -> result<u64, error-code>",
    errors=_code2,
)  # fmt: skip
def datagrams_send(host: Host, stream: Datagrams, datagrams: list[Value]) -> int:
    """Send; how many were."""
    for number, (data, remote) in enumerate(datagrams):
        try:
            stream.made.send(host, data, None if remote is None else _socket_name(remote))
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
    """Ready when one can be sent."""
    return Pollable(writer=stream.made.socket.fileno)


@TYPES3.function(
    "[method]udp-socket.bind", Op.CONFIGURE,
    "(self: borrow<udp-socket>, local-address: ip-socket-address) -> result<_, error-code>", errors=_code3,
)  # fmt: skip
def udp_bind3(host: Host, made: UdpSocket, address: Value) -> None:
    """Take a local address."""
    try:
        made.bind(host, *_socket_name(address))
    except ResultError as error:
        raise error.cause or error from None


@TYPES3.function(
    "[method]udp-socket.connect", Op.CONNECT,
    "(self: borrow<udp-socket>, remote-address: ip-socket-address) -> result<_, error-code>", errors=_code3,
)  # fmt: skip
def udp_connect3(host: Host, made: UdpSocket, address: Value) -> None:
    """Set the other side."""
    made.connect(host, *_socket_name(address))


@TYPES3.function(
    "[method]udp-socket.disconnect", Op.CONNECT, "(self: borrow<udp-socket>) -> result<_, error-code>", errors=_code3
)
def udp_disconnect3(host: Host, made: UdpSocket) -> None:
    """Forget the other side."""
    if made.remote is None:
        raise WasiError(Errno.NOTCONN)
    made.remote = None


@TYPES3.function(
    "[method]udp-socket.send", Op.SEND,
    "async (self: borrow<udp-socket>, data: list<u8>, remote-address: option<ip-socket-address>) -> "
    "result<_, error-code>", errors=_code3,
)  # fmt: skip
def udp_send3(host: Host, made: UdpSocket, data: bytes, remote: Value) -> None:
    """Send one datagram."""
    made.send(host, data, None if remote is None else _socket_name(remote))


@TYPES3.function(
    "[method]udp-socket.receive", Op.RECEIVE,
    "async (self: borrow<udp-socket>) -> result<tuple<list<u8>, ip-socket-address>, error-code>", errors=_code3,
)  # fmt: skip
def udp_receive3(host: Host, made: UdpSocket) -> Value:
    """One datagram, waiting for it."""
    try:
        return made.receive(host)
    except ResultError as error:
        raise error.cause or error from None
    except BlockingIOError:
        return Pending(HostWait(readers=(made.socket.fileno(),)), lambda: udp_receive3(host, made))
