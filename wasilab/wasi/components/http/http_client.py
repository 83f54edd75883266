"""Sends a request, for both versions of `wasi:http`: checks the grants, then a thread does the exchange."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from ....capabilities.refusal import DeniedBy, Need, NeedKind
from ....text.escape import visible
from ...errnos import Errno, WasiError
from ...host import Host
from ..waits import Value
from .byte_queue import BodyFailed, ByteQueue
from .http_fields import TIMEOUTS, HttpError, HttpFields, RequestOptions
from .http_messages import HttpRequestMessage, HttpResponseMessage, host_and_port

MAX_EXCHANGES = 32
"""Maximum concurrent requests of one run."""
MAX_BODIES = 100
"""Maximum bodies that one run holds: each may use descriptors of the host."""
_UNDER_WAY: WeakKeyDictionary[Host, list[SentRequest]] = WeakKeyDictionary()
_BODIES: WeakKeyDictionary[Host, WeakSet[ByteQueue]] = WeakKeyDictionary()


def new_body(host: Host) -> ByteQueue:
    """An empty body. Raises `HttpError` if there are too many. Bodies are closed with the run."""
    bodies = _BODIES.get(host)
    if bodies is None:
        bodies = _BODIES[host] = WeakSet()
        host.on_close.append(lambda: _close_all(host))
    if len(bodies) >= MAX_BODIES:
        raise HttpError("connection-limit-reached", f"there are already {MAX_BODIES} bodies of messages")
    made = ByteQueue()
    bodies.add(made)
    return made


def _close_all(host: Host) -> None:
    for sent in _UNDER_WAY.pop(host, ()):
        sent.close()
    for body in list(_BODIES.pop(host, ())):
        body.close()


class SentRequest:
    """A request in progress."""

    def __init__(self, exchange: Any, receiving: ByteQueue, path: str) -> None:
        self.exchange = exchange
        self.receiving = receiving
        self.path = path
        self.closed = self.taken = False

    @property
    def done(self) -> bool:
        """Whether there is a response, or a failure."""
        return bool(self.exchange.done)

    def fileno(self) -> int | None:
        """A descriptor that is readable once it is done; None if it is already done."""
        return None if self.closed else int(self.exchange.answered.fileno())

    def drop(self) -> None:
        """The response is not needed any more; a response that was already returned stays valid."""
        if not self.taken:
            self.close()

    def response(self) -> HttpResponseMessage:
        """The response. Raises `HttpError`."""
        failure = self.exchange.failure
        if failure is not None:
            self.close()
            raise HttpError(failure.code, failure.reason)
        made = HttpResponseMessage(HttpFields(self.exchange.fields), self.exchange.status)
        made.body.queue = self.receiving
        made.on_close = self.close
        return made

    def close(self) -> None:
        """Stop it and release it."""
        if not self.closed:
            self.closed = True
            self.exchange.close()
            self.receiving.close()


def send(host: Host, request: HttpRequestMessage, options: RequestOptions | None) -> SentRequest:
    """Send a request. Raises `HttpError`, and `Refused` or `WasiError` if its origin is not granted."""
    scheme = "https" if request.scheme is None else str(request.scheme[1] or request.scheme[0]).lower()
    if scheme not in ("http", "https"):
        raise HttpError("HTTP-protocol-error", f"the scheme {visible(scheme)!r} is neither http nor https")
    where = host_and_port(request.authority or "", 443 if scheme == "https" else 80)
    if where is None:
        raise HttpError("HTTP-request-URI-invalid", "the request has no authority")
    target = request.target or "/"
    if not target.startswith("/") and not (target == "*" and request.verb == "OPTIONS"):
        target = f"/{target}"
    if host.network is None:
        origin = f"{scheme}://{request.authority}"[:60]
        raise WasiError(
            Errno.ACCES, f"no request may be sent to {visible(origin)}: no network is granted", DeniedBy.GRANT,
            Need(NeedKind.HTTP, limit=origin),
        )  # fmt: skip
    under_way = [one for one in _UNDER_WAY.get(host, ()) if not one.closed]
    if len(under_way) >= MAX_EXCHANGES:
        raise HttpError("connection-limit-reached", f"{MAX_EXCHANGES} requests are already in progress")
    body = request.body.queue
    sized = bool(request.headers.values("content-length"))
    receiving = new_body(host)
    given = options.given if options is not None else {}
    fields = list(request.headers.entries)
    if body is None and request.verb in ("POST", "PUT", "PATCH") and not sized:
        fields.append(("content-length", b"0"))
    try:
        exchange = host.network.send(
            host.network.request(
                scheme, where[0], where[1], request.verb, target.encode("utf-8", "surrogateescape"), fields,
                chunked=body is not None and not sized,
                seconds=[given[name] / 1e9 if name in given else None for name in TIMEOUTS],
            ),
            body, receiving, BodyFailed,
        )  # fmt: skip
    except BaseException:
        receiving.close()
        raise
    sent = SentRequest(exchange, receiving, f"<response to {request.path[1:]}")
    _UNDER_WAY[host] = [*under_way, sent]
    return sent


def body_read(queue: ByteQueue | None, most: int) -> Value:
    """`ByteQueue.take`, with a failure as the error of the stream."""
    if queue is None:
        return None
    try:
        return queue.take(most)
    except BodyFailed as failure:
        raise HttpError(failure.code, failure.reason) from None
