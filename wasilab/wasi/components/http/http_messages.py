"""`wasi:http` requests and responses, 0.2 and 0.3. Not here: the contents of bodies, and sending."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..waits import Promise, Value
from .byte_queue import ByteQueue
from .http_fields import TOKEN, TYPES2, TYPES3, HttpFields, RequestOptions

_METHODS = ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PATH = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:@/?\x80-\U0010ffff]*")
_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9\-._~%!$&'()*+,;=:]+@)?([A-Za-z0-9\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
)
MAX_URI = 8192
"""Maximum characters of a path with its query, or of an authority."""


def host_and_port(authority: str, usual: int) -> tuple[str, int] | None:
    """The host and the port of an authority; None if it is invalid."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or len(authority) > MAX_URI:
        return None
    port = int(found[2]) if found[2] else usual
    return (found[1].strip("[]"), port) if port < 65536 else None


class Body:
    """The body of a message. `queue` is None if there is no body."""

    def __init__(self, queue: ByteQueue | None = None) -> None:
        self.queue = queue
        self.taken = False

    def close(self) -> None:
        """It is not needed any more."""
        if self.queue is not None:
            self.queue.close()


class HttpMessage:
    """A request or a response."""

    path = ""

    def __init__(self, headers: HttpFields) -> None:
        self.headers = headers.fixed()
        self.body = Body()
        self.on_close: Callable[[], None] = lambda: None
        """The exchange of a response."""
        self.sent: Promise | None = None
        """The result of sending, for a message of 0.3 made by the guest."""
        self.passed_on = False
        """Whether its body was moved elsewhere."""

    def close(self) -> None:
        """Close it, unless its body was taken."""
        if not self.passed_on:
            self.body.close()
            self.on_close()


class HttpRequestMessage(HttpMessage):
    """A request."""

    def __init__(self, headers: HttpFields, options: RequestOptions | None = None) -> None:
        super().__init__(headers)
        self.method: Value = ("get", None)
        self.target: str | None = None
        self.scheme: Value = None
        self.authority: str | None = None
        self.options = options

    @property
    def path(self) -> str:  # type: ignore[override]
        """For display."""
        scheme = "https" if self.scheme is None else str(self.scheme[1] or self.scheme[0]).lower()
        return f"<{self.verb} {scheme}://{self.authority or ''}{self.target or '/'}>"[:200]

    @property
    def verb(self) -> str:
        """The method as sent."""
        case, other = self.method
        return str(other) if case == "other" else str(case).upper()


class HttpResponseMessage(HttpMessage):
    """A response."""

    def __init__(self, headers: HttpFields, status: int = 200) -> None:
        super().__init__(headers)
        self.status = status

    @property
    def path(self) -> str:  # type: ignore[override]
        """For display."""
        return f"<response {self.status}>"


def _refuse() -> ResultError:
    return ResultError(None)


def _attribute(
    name: str, type_: str, get: Callable[[Host, Value], Value], put: Callable[[Host, Value, Value], None] | None = None
) -> None:
    """Declare a getter and a setter of requests: of outgoing and incoming ones in 0.2, of all in 0.3."""
    for resource in ("outgoing-request", "incoming-request"):
        TYPES2.function(f"[method]{resource}.{name}", Op.DESCRIBE, f"(self: borrow<{resource}>) -> {type_}")(get)
    TYPES3.function(f"[method]request.get-{name}", Op.DESCRIBE, f"(self: borrow<request>) -> {type_}")(get)
    if put is not None:
        for interface, resource in ((TYPES2, "outgoing-request"), (TYPES3, "request")):
            text = f"(self: borrow<{resource}>, {name}: {type_}) -> result"
            interface.function(f"[method]{resource}.set-{name}", Op.CONFIGURE, text)(put)


def set_method(host: Host, request: HttpRequestMessage, method: Value) -> None:
    """Set the method: a token."""
    case, other = method
    if case == "other":
        if other.lower() in _METHODS and other == other.upper():
            method = (other.lower(), None)
        elif not TOKEN.fullmatch(other) or len(other) > 64:
            raise _refuse()
    request.method = method


def set_target(host: Host, request: HttpRequestMessage, path: str | None) -> None:
    """Set the path; "" means "/"."""
    if path is not None and (not _PATH.fullmatch(path) or len(path) > MAX_URI):
        raise _refuse()
    request.target = path or "/" if path is not None else None


def set_scheme(host: Host, request: HttpRequestMessage, scheme: Value) -> None:
    """Set it."""
    if scheme is not None and scheme[0] == "other":
        other = scheme[1]
        if other.lower() in ("http", "https"):
            scheme = (other.upper(), None)
        elif not _SCHEME.fullmatch(other) or len(other) > 64:
            raise _refuse()
    request.scheme = scheme


def set_authority(host: Host, request: HttpRequestMessage, authority: str | None) -> None:
    """Set it."""
    if authority is not None and host_and_port(authority, 80) is None:
        raise _refuse()
    request.authority = authority


_attribute("method", "method", lambda host, request: request.method, set_method)
_attribute("path-with-query", "option<string>", lambda host, request: request.target, set_target)
_attribute("scheme", "option<scheme>", lambda host, request: request.scheme, set_scheme)
_attribute("authority", "option<string>", lambda host, request: request.authority, set_authority)
_attribute("headers", "own<fields>", lambda host, request: request.headers)


@TYPES3.function("[method]request.get-options", Op.DESCRIBE, "(self: borrow<request>) -> option<own<request-options>>")
def get_options(host: Host, request: HttpRequestMessage) -> RequestOptions | None:
    """The options of the request."""
    return None if request.options is None else request.options.fixed()


@TYPES2.function("[constructor]outgoing-request", Op.OPEN, "(headers: own<fields>) -> own<outgoing-request>")
def new_request2(host: Host, headers: HttpFields) -> HttpRequestMessage:
    """A request with these fields."""
    return HttpRequestMessage(headers)


@TYPES2.function("[constructor]outgoing-response", Op.OPEN, "(headers: own<fields>) -> own<outgoing-response>")
def new_response2(host: Host, headers: HttpFields) -> HttpResponseMessage:
    """A response with these fields."""
    return HttpResponseMessage(headers)


def set_status(host: Host, response: HttpResponseMessage, status: int) -> None:
    """Set it."""
    if not 100 <= status <= 599:
        raise _refuse()
    response.status = status


def _status(interface: Interface, resource: str, get: str, put: str = "") -> None:
    interface.function(f"[method]{resource}.{get}", Op.DESCRIBE, f"(self: borrow<{resource}>) -> status-code")(
        lambda host, response: response.status
    )
    if put:
        text = f"(self: borrow<{resource}>, status-code: status-code) -> result"
        interface.function(f"[method]{resource}.{put}", Op.CONFIGURE, text)(set_status)


_status(TYPES2, "incoming-response", "status")
_status(TYPES2, "outgoing-response", "status-code", "set-status-code")
_status(TYPES3, "response", "get-status-code", "set-status-code")
for _interface, _resource, _name in (
    (TYPES2, "incoming-response", "headers"), (TYPES2, "outgoing-response", "headers"),
    (TYPES3, "response", "get-headers"),
):  # fmt: skip
    _interface.function(f"[method]{_resource}.{_name}", Op.DESCRIBE, f"(self: borrow<{_resource}>) -> own<fields>")(
        lambda host, message: message.headers
    )
