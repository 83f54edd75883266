"""Host sockets within the rules of a `Network`: connecting, sending, looking up names.

Nothing here blocks: a socket is made non-blocking, a lookup runs on a thread and signals a pipe. The rules are checked
at every connection, also for an address to which a granted name resolved before.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Sequence

from ..paths import fail
from ..refusal import Refused
from ..uncopyable import Uncopyable
from .http_exchange import USUAL_SECONDS, BodySink, BodySource, Exchange, HttpRequest
from .network import Network
from .sockets import StreamSocket


class Lookup(Uncopyable):
    """A name lookup in progress. `fileno()` is readable once it is done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.addresses: list[str] | None = None
        self.error: OSError | None = None
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._work, name="wasilab lookup", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            found = socket.getaddrinfo(self.name, None, type=socket.SOCK_STREAM)
            self.addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        except OSError as error:
            self.error = error
        os.write(self._write, b"!")

    @property
    def done(self) -> bool:
        """Whether it is done."""
        return self.addresses is not None or self.error is not None

    def fileno(self) -> int:
        """A descriptor that is readable once it is done."""
        return self._read

    def close(self) -> None:
        """Close the descriptors, once the thread is done with them."""
        threading.Thread(target=self._finish, daemon=True).start()

    def _finish(self) -> None:
        self._thread.join()
        os.close(self._read)
        os.close(self._write)


class Internet(Uncopyable):
    """The network of one run."""

    sandboxed = False
    """Set in a process whose sandbox forbids to create sockets: then that is refused."""

    def __init__(self, rules: Network | None = None) -> None:
        self.rules = rules if rules is not None else Network()
        self._names: dict[str, frozenset[str]] = {}

    def look_up(self, name: str) -> Lookup | list[str]:
        """The addresses of a name, or a lookup in progress. An IP address needs no grant. Raises `Refused`."""
        bare = name[1:-1] if name[:1] == "[" and name[-1:] == "]" else name
        try:
            return [str(ipaddress.ip_address(bare))]
        except ValueError:
            pass
        return Lookup(self.rules.check_name(name))

    def resolved(self, name: str, addresses: list[str]) -> None:
        """Remember the addresses to which a granted name resolved: the name's grants apply to them."""
        for address in addresses:
            self._names[address] = self._names.get(address, frozenset()) | {name.lower().rstrip(".")}

    def check(self, address: str, port: int) -> None:
        """Raise `Refused` unless the address may be connected to."""
        self.rules.check_connect(address, port, self._names.get(address, frozenset()))

    def stream(self, *, ipv6: bool) -> socket.socket:
        """A TCP socket, not connected."""
        return self._made(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)

    def datagrams(self, *, ipv6: bool) -> socket.socket:
        """A UDP socket, not bound."""
        return self._made(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)

    @classmethod
    def _made(cls, family: int, kind: int) -> socket.socket:
        if cls.sandboxed:
            raise Refused(errno.EACCES, "an isolated run has no network")
        made = socket.socket(family, kind)
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return made

    def connect(self, made: socket.socket, address: str, port: int) -> bool:
        """Start connecting; returns whether it is already connected. Raises `Refused`, `OSError`."""
        self.check(address, port)
        code = made.connect_ex((address, port))
        if code in (0, errno.EISCONN):
            return True
        if code in (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK):
            return False
        raise fail(code)

    @staticmethod
    def request(
        scheme: str, host: str, port: int, method: str, target: bytes, fields: Sequence[tuple[str, bytes]], *,
        chunked: bool, seconds: Sequence[float | None],
    ) -> HttpRequest:  # fmt: skip
        """A request for `send`. `seconds`: timeouts of connecting, the first byte, and between bytes; None: the
        defaults."""
        limits = [USUAL_SECONDS if one is None else min(max(one, 0.001), USUAL_SECONDS) for one in seconds]
        return HttpRequest(scheme, host, port, method, target, tuple(fields), chunked, *limits)

    def send(
        self, request: HttpRequest, sending: BodySource | None, receiving: BodySink, failed: type[Exception]
    ) -> Exchange:
        """Send an HTTP request (`http_exchange.Exchange`). Raises `Refused` unless its origin is granted."""
        self.rules.check_origin(request.scheme, request.host, request.port)
        return Exchange(request, sending, receiving, failed)

    @staticmethod
    def wrap(made: socket.socket) -> StreamSocket:
        """A connected socket as the stream that a guest holds."""
        return StreamSocket(made)

    @staticmethod
    def connected(made: socket.socket) -> None:
        """Raise the error of a failed connection."""
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise fail(code)
