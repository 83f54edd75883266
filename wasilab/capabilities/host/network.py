"""The network access of a guest: rules that name hosts and ports; nothing by default.

`Network` is the value that grants hold. `connect` are "HOST:PORT" that sockets may connect to, `resolve` are names that
may be looked up, `http` are origins ("https://example.org") to which requests may be sent. A rule names one host: an IP
address, or a name, which then may also be looked up. The port may be "*".

This file has only the rules; `host/internet.py` opens sockets.
"""

from __future__ import annotations

import errno
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...text.escape import visible
from ..refusal import DeniedBy, Need, NeedKind, Refused

MAX_NAME = 253
"""Characters of a host name (RFC 1035)."""


class BadRule(ValueError):
    """An invalid rule; the message shows a valid form."""


def _host(text: str) -> str:
    """A host in its normal form: an IP address in its usual notation, a name in lower case without a final dot."""
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare.lower().rstrip(".")


def _name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and all(c.isalnum() or c in "-_." for c in text)


def read_connect(rule: str) -> tuple[str, str]:
    """(host, port or "*") of a rule of `connect`. Raises `BadRule`."""
    host, colon, port = rule.rpartition(":")
    number = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    found = _host(host)
    if not colon or not (number or port == "*") or not (_name(found) or ":" in found):
        raise BadRule(f"{rule!r} is not an address to connect to: write HOST:PORT, as in 127.0.0.1:8080")
    return found, str(int(port)) if number else port


def read_origin(rule: str) -> tuple[str, str, str]:
    """(scheme, host, port) of a rule of `http`. Raises `BadRule`."""
    try:
        parts = urlsplit(rule)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    beyond = parts.query or parts.fragment or parts.username is not None or parts.path not in ("", "/")
    if parts.scheme not in ("http", "https") or not parts.hostname or beyond:
        raise BadRule(f"{rule!r} is not an origin: write http://HOST[:PORT] or https://HOST[:PORT]")
    return parts.scheme, _host(parts.hostname), str(port or (443 if parts.scheme == "https" else 80))


def read_name(rule: str) -> str:
    """The name of a rule of `resolve`. Raises `BadRule`."""
    found = _host(rule)
    if not _name(found):
        raise BadRule(f"{rule!r} is not a host name: write NAME, as in example.org")
    return found


@dataclass(frozen=True)
class Network:
    """The rules. Raises `BadRule` for an invalid one."""

    connect: tuple[str, ...] = ()
    resolve: tuple[str, ...] = ()
    http: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.peers()
        self.names()
        self.origins()

    def peers(self) -> list[tuple[str, str]]:
        """(host, port) of each rule of `connect`."""
        return [read_connect(rule) for rule in self.connect]

    def names(self) -> list[str]:
        """The names that may be looked up: those of `resolve`, and those of `connect`."""
        return [*(read_name(rule) for rule in self.resolve), *(host for host, _ in self.peers())]

    def origins(self) -> list[tuple[str, str, str]]:
        """(scheme, host, port) of each rule of `http`."""
        return [read_origin(rule) for rule in self.http]

    def check_name(self, name: str) -> str:
        """`name` in its normal form, if it may be looked up; raises `Refused`."""
        wanted = _host(name)
        if wanted not in self.names():
            raise Refused(
                errno.EACCES, f"the name {visible(wanted)!r} may not be looked up: no grant names it",
                DeniedBy.GRANT, Need(NeedKind.RESOLVE, limit=wanted[:60]),
            )  # fmt: skip
        return wanted

    def check_connect(self, address: str, port: int, names: frozenset[str] = frozenset()) -> None:
        """Raise `Refused` unless `address`, which `names` resolved to, may be connected to at `port`."""
        hosts = {_host(address), *names}
        if not any(host in hosts and allowed in ("*", str(port)) for host, allowed in self.peers()):
            at = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            raise Refused(
                errno.EACCES, f"{at} may not be connected to: no grant names it", DeniedBy.GRANT,
                Need(NeedKind.CONNECT, limit=at),
            )  # fmt: skip

    def check_origin(self, scheme: str, host: str, port: int) -> None:
        """Raise `Refused` unless requests may be sent to that origin."""
        if (scheme, _host(host), str(port)) not in self.origins():
            usual = port == (443 if scheme == "https" else 80)
            origin = f"{scheme}://{visible(host)}" + ("" if usual else f":{port}")
            raise Refused(
                errno.EACCES, f"no request may be sent to {origin}: no grant names it", DeniedBy.GRANT,
                Need(NeedKind.HTTP, limit=origin[:60]),
            )  # fmt: skip
