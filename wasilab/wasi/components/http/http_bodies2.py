"""`wasi:http` 0.2: bodies as streams, and `outgoing-handler`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..resources import PIECE, Closed, InputStream, OutputStream, Pollable, wait_for
from ..waits import Value
from .byte_queue import BodyFailed, ByteQueue, Trailers
from .http_client import SentRequest, body_read, new_body, send
from .http_fields import TYPES2, HttpError, HttpFields, RequestOptions, code_value, error_code, http_result
from .http_messages import HttpMessage, HttpRequestMessage, HttpResponseMessage

HANDLER2 = Interface(
    "wasi:http/outgoing-handler",
    "0.2",
    types=dict.fromkeys(
        ("outgoing-request", "request-options", "future-incoming-response", "error-code"), "use wasi:http/types"
    ),
)


class BodyInput(InputStream):
    """The input stream of an incoming body. Its parent in the trace is the body."""

    def __init__(self, body: IncomingBody) -> None:
        self.descriptor = body  # type: ignore[assignment]
        self.offset = None
        self.owned = False
        self.over = None
        self.queue = body.queue

    def read(self, host: Host, count: int, *, block: bool) -> bytes:
        """As in `InputStream`."""
        size = min(count, PIECE, host.max_io)
        while True:
            found = body_read(self.queue, size) if size else b""
            if found is None:
                raise Closed
            if found or not block or not size:
                return bytes(found)
            wait_for(host, [self.pollable(host)])

    def is_ready(self, host: Host) -> bool:
        """Whether a read would not wait."""
        return self.queue is None or bool(wait_for(host, [self.pollable(host)], block=False))

    def fileno(self) -> int | None:
        """A descriptor that is readable when a read would not wait."""
        return None if self.queue is None else self.queue.readable_fileno()


class BodyOutput(OutputStream):
    """The output stream of an outgoing body. Its parent in the trace is the body."""

    def __init__(self, body: OutgoingBody) -> None:
        super().__init__(body)  # type: ignore[arg-type]
        self.queue = body.queue

    def write(self, host: Host, data: bytes | memoryview) -> None:
        """Write all bytes, which count towards the limit of bytes written."""
        host.require_bytes(len(data))
        while not self.queue.has_room:
            wait_for(host, [self.pollable(host)])
        try:
            self.queue.put(bytes(data))
        except BodyFailed as failure:
            raise HttpError(failure.code, failure.reason) from None
        host.written += len(data)

    def fileno(self) -> int | None:
        """A descriptor that is readable when a write would not wait."""
        return self.queue.writable_fileno()

    def pollable(self, host: Host) -> Pollable:
        """Ready when something can be written."""
        return Pollable(reader=self.fileno)


class IncomingBody:
    """The body of a response."""

    def __init__(self, message: HttpMessage) -> None:
        self.path = message.path
        self.queue = message.body.queue
        self.on_close = message.on_close
        self.given = False

    def close(self) -> None:
        """Stop reading the body."""
        if self.queue is not None:
            self.queue.close()
        self.on_close()


class OutgoingBody:
    """The body of a request, while it is written."""

    def __init__(self, message: HttpMessage, queue: ByteQueue) -> None:
        self.path = message.path
        self.queue = queue
        self.given = self.finished = False
        lengths = message.headers.values("content-length")
        self.length = int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() else None

    def close(self) -> None:
        """Dropped before its end: the request is incomplete."""
        if not self.finished:
            self.queue.fail(BodyFailed("internal-error", "the body of the request was dropped before its end"))


class FutureTrailers:
    """The trailers of a body that was read to its end, or discarded."""

    path = "<trailers>"

    def __init__(self, body: IncomingBody) -> None:
        self.queue = body.queue
        self.taken = False
        self.on_close = body.on_close

    def close(self) -> None:
        """They are not needed any more."""
        self.on_close()

    def look(self) -> Value:
        """("ok", trailers or None), ("error", error-code), or None before the end of the body, whose rest is
        discarded."""
        try:
            while (found := body_read(self.queue, PIECE)) is not None:
                if not found:
                    return None
        except HttpError as error:
            self.on_close()
            return ("error", error.value)
        trailers: Trailers | None = None if self.queue is None else self.queue.trailers
        self.on_close()
        return ("ok", None if trailers is None else HttpFields(trailers, mutable=False))


def _once(thing: Value, attribute: str) -> None:
    """Raise `ResultError` if this is the second time."""
    if getattr(thing, attribute):
        raise ResultError(None)
    setattr(thing, attribute, True)


# -- incoming messages -------------------------------------------------------------------------------------------------


def consume(host: Host, message: HttpMessage) -> IncomingBody:
    """Get the body; only once."""
    _once(message, "passed_on")
    return IncomingBody(message)


for _resource in ("incoming-request", "incoming-response"):
    TYPES2.function(
        f"[method]{_resource}.consume", Op.READ, f"(self: borrow<{_resource}>) -> result<own<incoming-body>>"
    )(consume)


@TYPES2.function(
    "[method]incoming-body.stream", Op.READ, "(self: borrow<incoming-body>) -> result<own<input-stream>>"
)
def incoming_stream(host: Host, body: IncomingBody) -> BodyInput:
    """Get the stream of its bytes; only once."""
    _once(body, "given")
    return BodyInput(body)


@TYPES2.function("[static]incoming-body.finish", Op.CLOSE, "(this: own<incoming-body>) -> own<future-trailers>")
def finish_incoming(host: Host, body: IncomingBody) -> FutureTrailers:
    """Get its trailers, after its end."""
    return FutureTrailers(body)


@TYPES2.function("[method]future-trailers.subscribe", Op.POLL, "(self: borrow<future-trailers>) -> own<pollable>")
def trailers_subscribe(host: Host, future: FutureTrailers) -> Pollable:
    """Ready once the trailers are available."""
    queue = future.queue
    return Pollable() if queue is None or future.taken else Pollable(reader=queue.readable_fileno)


@TYPES2.function(
    "[method]future-trailers.get", Op.READ,
    "(self: borrow<future-trailers>) -> option<result<result<option<own<fields>>, error-code>>>",
)  # fmt: skip
def trailers_get(host: Host, future: FutureTrailers) -> Value:
    """The trailers; an error the second time."""
    if future.taken:
        return ("error", None)
    found = future.look()
    if found is None:
        return None
    future.taken = True
    return ("ok", found)


# -- outgoing messages -------------------------------------------------------------------------------------------------


def outgoing_body(host: Host, message: HttpMessage) -> OutgoingBody:
    """Get the body; only once."""
    _once(message.body, "taken")
    try:
        message.body.queue = new_body(host)
    except HttpError:
        raise ResultError(None) from None
    return OutgoingBody(message, message.body.queue)


for _resource in ("outgoing-request", "outgoing-response"):
    TYPES2.function(
        f"[method]{_resource}.body", Op.WRITE, f"(self: borrow<{_resource}>) -> result<own<outgoing-body>>"
    )(outgoing_body)


@TYPES2.function(
    "[method]outgoing-body.write", Op.WRITE, "(self: borrow<outgoing-body>) -> result<own<output-stream>>"
)
def body_write(host: Host, body: OutgoingBody) -> BodyOutput:
    """Get the stream for its bytes; only once."""
    _once(body, "given")
    return BodyOutput(body)


@TYPES2.function(
    "[static]outgoing-body.finish", Op.CLOSE,
    "(this: own<outgoing-body>, trailers: option<own<fields>>) -> result<_, error-code>",
)  # fmt: skip
def finish_outgoing(host: Host, body: OutgoingBody, trailers: HttpFields | None) -> None:
    """Complete the body."""
    body.finished = True
    if body.length is not None and body.length != body.queue.passed:
        failure = BodyFailed("HTTP-request-body-size", "the body does not have the length of content-length")
        body.queue.fail(failure)
        raise ResultError(("HTTP-request-body-size", body.queue.passed), HttpError(failure.code, failure.reason))
    body.queue.end(None if trailers is None else trailers.entries)


@HANDLER2.function(
    "handle", Op.CONNECT,
    "(request: own<outgoing-request>, options: option<own<request-options>>) "
    "-> result<own<future-incoming-response>, error-code>",
    errors=error_code,
)  # fmt: skip
def handle(host: Host, request: HttpRequestMessage, options: RequestOptions | None) -> SentRequest:
    """Send the request."""
    try:
        return send(host, request, options)
    except HttpError as error:
        request.close()
        raise http_result(error) from None
    except Exception:
        request.close()
        raise


@TYPES2.function(
    "[method]future-incoming-response.subscribe", Op.POLL, "(self: borrow<future-incoming-response>) -> own<pollable>"
)
def response_subscribe(host: Host, sent: SentRequest) -> Pollable:
    """Ready once there is a response, or a failure."""
    return Pollable(reader=sent.fileno, ready=lambda: sent.done)


@TYPES2.function(
    "[method]future-incoming-response.get", Op.RECEIVE,
    "(self: borrow<future-incoming-response>) -> option<result<result<own<incoming-response>, error-code>>>",
)  # fmt: skip
def response_get(host: Host, sent: SentRequest) -> Value:
    """The response; an error the second time."""
    if sent.taken:
        return ("error", None)
    if not sent.done:
        return None
    sent.taken = True
    try:
        return ("ok", ("ok", sent.response()))
    except HttpError as error:
        return ("ok", ("error", error.value))


# -- handlers of requests: there is no server --------------------------------------------------------------------------


def _no_server(host: Host, *given: object) -> NoReturn:
    raise ResultError(code_value("internal-error", "there is no server"))


def _set_response(host: Host, param: object, response: Value) -> None:
    """Ignored: there is no server."""
    if response[0] == "ok":
        response[1].close()


def _declare(name: str, type_: str, call: Callable[..., object]) -> None:
    TYPES2.function(name, Op.SEND, type_)(call)


_declare(
    "[static]response-outparam.set",
    "(param: own<response-outparam>, response: result<own<outgoing-response>, error-code>)", _set_response,
)  # fmt: skip
_declare(
    "[method]response-outparam.send-informational",
    "(self: borrow<response-outparam>, status: u16, headers: own<fields>) -> result<_, error-code>", _no_server,
)  # fmt: skip


def response_of(sent: SentRequest) -> HttpResponseMessage:
    """The response of a finished request. Raises `ResultError`."""
    try:
        return sent.response()
    except HttpError as error:
        raise http_result(error) from None
