"""`wasi:sockets/ip-name-lookup` 0.2 and 0.3."""

from __future__ import annotations

from ...errnos import Errno, WasiError
from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..resources import Pollable
from ..waits import HostWait, Pending, Value
from .socket_common import USED2, NoNetwork, code2, ip_value, network_of

LOOKUP2 = Interface(
    "wasi:sockets/ip-name-lookup", "0.2", types=USED2,
    resources={"resolve-address-stream": lambda host, stream: stream.close()},
)  # fmt: skip
LOOKUP3 = Interface(
    "wasi:sockets/ip-name-lookup",
    "0.3",
    types={
        "ip-address": "use wasi:sockets/types",
        "error-code": "variant { access-denied, invalid-argument, name-unresolvable, temporary-resolver-failure, "
        "permanent-resolver-failure, other(option<string>) }",
    },
)


class Addresses:
    """`resolve-address-stream` of 0.2."""

    def __init__(self, host: Host, name: str) -> None:
        self.path = f"<lookup of {name}>"
        found = network_of(host).look_up(name)
        self.lookup = None if isinstance(found, list) else found
        self.left = iter(found) if isinstance(found, list) else None

    def ready(self) -> bool:
        """Whether the lookup is done."""
        return self.lookup is None or self.lookup.done

    def fileno(self) -> int | None:
        """A descriptor that is readable once it is done, or None."""
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
        return None if address is None else ip_value(address)

    def close(self) -> None:
        """Close the lookup."""
        if self.lookup is not None:
            self.lookup.close()
            self.lookup = None


@LOOKUP2.function(
    "resolve-addresses", Op.CONNECT,
    "(network: borrow<network>, name: string) -> result<own<resolve-address-stream>, error-code>", errors=code2,
)  # fmt: skip
def resolve_addresses2(host: Host, network: NoNetwork, name: str) -> Addresses:
    """Look up a name."""
    return Addresses(host, name)


@LOOKUP2.function(
    "[method]resolve-address-stream.resolve-next-address", Op.CONNECT,
    "(self: borrow<resolve-address-stream>) -> result<option<ip-address>, error-code>", errors=code2,
)  # fmt: skip
def resolve_next_address(host: Host, stream: Addresses) -> Value:
    """The next address; none at the end, would-block while the lookup is in progress."""
    return stream.next(host)


@LOOKUP2.function(
    "[method]resolve-address-stream.subscribe", Op.POLL, "(self: borrow<resolve-address-stream>) -> own<pollable>"
)
def resolve_subscribe(host: Host, stream: Addresses) -> Pollable:
    """Ready once the lookup is done."""
    return Pollable(reader=stream.fileno, ready=stream.ready)


@LOOKUP3.function(
    "resolve-addresses", Op.CONNECT, "async (name: string) -> result<list<ip-address>, error-code>",
    errors=lambda failure: (
        ("access-denied", None) if failure.denied_by else ("name-unresolvable", None)
    ),
)  # fmt: skip
def resolve_addresses3(host: Host, name: str) -> Value:
    """Look up a name."""
    found = network_of(host).look_up(name)
    if isinstance(found, list):
        return [ip_value(address) for address in found]

    def finish() -> Value:
        addresses, error = found.addresses, found.error
        found.close()
        if error is not None or addresses is None:
            raise ResultError(("name-unresolvable", None), WasiError(Errno.NOENT, str(error)))
        host.network.resolved(found.name, addresses)
        return [ip_value(address) for address in addresses]

    return Pending(HostWait(readers=(found.fileno(),)), finish, found.close)
