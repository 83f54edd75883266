"""The common parts of `wasi:sockets`: error codes, addresses, the rules of the grants, and the shared interfaces.

A guest may create sockets freely, but nothing is reachable unless the grants name it. Connecting, or sending a
datagram, needs a rule of `--connect`; listening needs a granted listening socket (`--listen`) of the same address; a
lookup needs `--resolve`. A connection is a descriptor of the host's own table, so the limits on descriptors and bytes
apply.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ....capabilities.refusal import DeniedBy
from ...errnos import Errno, WasiError
from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..waits import Value

P = ParamSpec("P")
T = TypeVar("T")
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


def code2(failure: WasiError) -> str:
    return _CODES.get(failure.errno, "unknown")


def code3(failure: WasiError) -> tuple[str, None]:
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


def ip_value(address: str) -> Value:
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 4:
        return ("ipv4", tuple(found.packed))
    packed = found.packed
    return ("ipv6", tuple(packed[i] << 8 | packed[i + 1] for i in range(0, 16, 2)))


def ip_text(case: str, parts: tuple[int, ...]) -> str:
    if case == "ipv4":
        return str(ipaddress.IPv4Address(bytes(parts)))
    return str(ipaddress.IPv6Address(b"".join(part.to_bytes(2, "big") for part in parts)))


def socket_value(name: tuple[object, ...]) -> Value:
    case, parts = ip_value(str(name[0]))
    if case == "ipv4":
        return case, (name[1], parts)
    return case, (name[1], name[2] if len(name) > 2 else 0, parts, name[3] if len(name) > 3 else 0)


def socket_address(value: Value) -> tuple[str, int]:
    """(address, port) of an `ip-socket-address`."""
    case, fields = value
    return (ip_text(case, fields[1]), fields[0]) if case == "ipv4" else (ip_text(case, fields[2]), fields[0])


def invalid_state(what: str) -> ResultError:
    return ResultError("invalid-state", WasiError(Errno.BADF, what))


def in_version(call: Callable[P, T], *args: P.args, **given: P.kwargs) -> T:
    """Call `call`; a `ResultError` becomes its cause, which each version maps to its own error code."""
    try:
        return call(*args, **given)
    except ResultError as error:
        raise error.cause or error from None


def check_address(address: str, ipv6: bool) -> None:
    found = ipaddress.ip_address(address)
    mapped = isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None
    if (found.version == 6) is not ipv6 or mapped:
        raise WasiError(Errno.INVAL, "the address is of another family than the socket")
    if found.is_multicast or str(found) == "255.255.255.255":
        raise WasiError(Errno.INVAL, "a multicast or broadcast address")


def check_listen(host: Host, address: str, port: int) -> None:
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


def network_of(host: Host) -> Any:
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
USED2 = {
    "input-stream": "use wasi:io/streams", "output-stream": "use wasi:io/streams", "pollable": "use wasi:io/poll",
    "duration": "use wasi:clocks/monotonic-clock",
    **dict.fromkeys(
        ("network", "error-code", "ip-socket-address", "ip-address-family", "ip-address"), "use wasi:sockets/network"
    ),
}  # fmt: skip
INSTANCE2 = Interface("wasi:sockets/instance-network", "0.2", types={"network": "use wasi:sockets/network"})
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


def both_versions(
    interface2: Interface, resource: str, name2: str, name3: str, operation: Op, type_: str, *, fallible: bool = True
) -> Callable[[F], F]:
    """Declare a method of a socket that has one name in 0.2 (in `interface2`) and another in 0.3 (in `TYPES3`)."""

    def declare(call: F) -> F:
        text = f"(self: borrow<{resource}>{type_}"
        interface2.function(f"[method]{resource}.{name2}", operation, text, errors=code2 if fallible else None)(call)
        TYPES3.function(f"[method]{resource}.{name3}", operation, text, errors=code3 if fallible else None)(call)
        return call

    return declare


class NoNetwork:
    """The resource `network` of 0.2. There is one; the grants decide what it can reach."""

    path = "<network>"


@INSTANCE2.function("instance-network", Op.DESCRIBE, "() -> own<network>")
def instance_network(host: Host) -> NoNetwork:
    """The network. Holding it permits nothing: the grants decide what it can reach."""
    return NoNetwork()
