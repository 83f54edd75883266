"""One HTTP/1.1 request and its response, over a host socket, on threads, so that it does not block the guest.

The server is not trusted: its status line, fields, chunks and trailers are bounded and checked, and every violation is
an error with the name that `wasi:http` has for it. Which origins may be accessed is checked before this (`network.py`).
The bodies are queues of the caller.

Source: RFC 9112.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Protocol, cast

from ..uncopyable import Uncopyable
from ..waiting import Readiness

MAX_HEAD = 64 << 10
"""Bytes of a response's status line and fields, or of its trailers."""
MAX_FIELDS = 256
MAX_INTERIM = 10
"""Maximum number of 1xx responses before the final one."""
USUAL_SECONDS = 600.0
"""Default timeouts in seconds of the connection, the first byte, and between bytes."""
_PIECE = 64 << 10
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |$)")

Fields = list[tuple[str, bytes]]


class HttpFailed(Exception):
    """The exchange failed. `code` is a name of `wasi:http`'s error-code."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(reason or code)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to send. `target` and `fields` contain no line breaks. `chunked`: the body's length is unknown."""

    scheme: str
    host: str
    port: int
    method: str
    target: bytes
    fields: Sequence[tuple[str, bytes]]
    chunked: bool = False
    connect_seconds: float = USUAL_SECONDS
    first_byte_seconds: float = USUAL_SECONDS
    between_seconds: float = USUAL_SECONDS

    def head(self) -> bytes:
        """The request line and the fields."""
        usual = self.port == (443 if self.scheme == "https" else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [
            self.method.encode("ascii") + b" " + self.target + b" HTTP/1.1",
            b"host: " + (host if usual else f"{host}:{self.port}").encode("ascii"),
            *(name.encode("ascii") + b": " + value for name, value in self.fields),
        ]
        if self.chunked:
            lines.append(b"transfer-encoding: chunked")
        return b"\r\n".join([*lines, b"connection: close", b"", b""])


class BodySource(Protocol):
    """The body of a request, which the guest writes."""

    @property
    def trailers(self) -> Iterable[tuple[str, bytes]] | None: ...
    def take_in_turn(self) -> bytes | None:
        """The next bytes, None at the end. Blocks until there are some."""
        ...

    def close(self) -> None: ...


class BodySink(Protocol):
    """The body of a response, which the guest reads."""

    def put_in_turn(self, data: bytes, /) -> None:
        """Append bytes. Blocks until there is room."""
        ...

    def end(self, trailers: Fields | None = None, /) -> None: ...
    def fail(self, failure: Any, /) -> None: ...


class Exchange(Uncopyable):
    """A request in progress and its response. `answered` is readable once there is a response head, or an error.

    The request's body is read from `sending` (None: no body), the response's body is put into `receiving`: queues with
    the methods of `wasi/components/http/byte_queue.py`.
    """

    def __init__(
        self, request: HttpRequest, sending: BodySource | None, receiving: BodySink, failed: type[Exception]
    ) -> None:
        self.status = 0
        self.fields: Fields = []
        self.failure: HttpFailed | None = None
        self.done = False
        self.answered = Readiness()
        self._request = request
        self._sending = sending
        self._receiving = receiving
        self._failed = failed
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        threading.Thread(target=self._work, name="wasilab http", daemon=True).start()

    def close(self) -> None:
        """Stop it: the threads end at their next step."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.answered.close()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if self._sending is not None:
            self._sending.close()

    # ---- on threads

    def _answer(self, failure: HttpFailed | None) -> None:
        with self._lock:
            if not self.done:
                self.done, self.failure = True, failure
                if not self._closed:
                    self.answered.set()

    def _work(self) -> None:
        made: socket.socket | None = None
        try:
            made = self._connected()
            made.sendall(self._request.head())
            if self._sending is None or self._request.scheme == "https":  # one TLS connection serves one thread
                self._send_body(made)
            else:
                threading.Thread(target=self._send_beside, args=(made,), name="wasilab http", daemon=True).start()
            self._receive(made)
        except BaseException as error:  # noqa: BLE001  reported to the guest
            failure = named(error, connected=made is not None)
            self._answer(failure)
            self._receiving.fail(self._failed(failure.code, failure.reason))
        finally:
            with self._lock:
                self._socket = None
            if made is not None:
                made.close()

    def _connected(self) -> socket.socket:
        request = self._request
        made = socket.create_connection((request.host, request.port), timeout=request.connect_seconds)
        with self._lock:
            if self._closed:
                made.close()
                raise HttpFailed("connection-terminated", "the request was dropped")
            self._socket = made
        if request.scheme == "https":
            secured = ssl.create_default_context().wrap_socket(made, server_hostname=request.host)
            with self._lock:
                self._socket = secured
            return secured
        return made

    def _send_body(self, made: socket.socket) -> None:
        if self._sending is None:
            return
        while (part := self._sending.take_in_turn()) is not None:
            made.sendall(b"%x\r\n%b\r\n" % (len(part), part) if self._request.chunked else part)
        if self._request.chunked:
            trailers = b"".join(name.encode("ascii") + b": " + v + b"\r\n" for name, v in self._sending.trailers or ())
            made.sendall(b"0\r\n" + trailers + b"\r\n")

    def _send_beside(self, made: socket.socket) -> None:
        try:
            self._send_body(made)
        except BaseException as error:  # noqa: BLE001  reported to the guest
            if isinstance(error, self._failed):  # the guest abandoned the body: the request is incomplete
                self._answer(named(error, connected=True))
                with contextlib.suppress(OSError):
                    made.shutdown(socket.SHUT_RDWR)

    def _receive(self, made: socket.socket) -> None:
        request = self._request
        made.settimeout(request.first_byte_seconds)
        with cast(BufferedReader, made.makefile("rb", _PIECE)) as file:
            for _ in range(MAX_INTERIM):
                status, fields = read_head(file)
                if status >= 200 or status == 101:
                    break
            else:
                raise HttpFailed("HTTP-protocol-error", "the server sends only interim responses")
            made.settimeout(request.between_seconds)
            empty = request.method == "HEAD" or status in (204, 304) or status == 101
            length, chunked = framing(fields)
            self.status, self.fields = status, fields
            self._answer(None)
            if empty:
                self._receiving.end()
            elif chunked:
                self._receiving.end(self._chunks(file))
            else:
                self._plain(file, length)
                self._receiving.end()

    def _plain(self, file: BufferedReader, length: int | None) -> None:
        left = length
        while left is None or left > 0:
            part = file.read1(_PIECE if left is None else min(left, _PIECE))
            if not part:
                if left is None:
                    return
                raise HttpFailed("HTTP-response-incomplete", f"the response ended {left:,} bytes too early")
            if left is not None:
                left -= len(part)
            self._receiving.put_in_turn(part)

    def _chunks(self, file: BufferedReader) -> Fields | None:
        while True:
            line = file.readline(1024)
            size = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n", line)
            if size is None:
                raise HttpFailed("HTTP-response-transfer-coding" if line else "HTTP-response-incomplete")
            left = int(size[1], 16)
            if left == 0:
                return read_fields(file) or None
            self._plain(file, left)
            if file.readline(3) not in (b"\r\n", b"\n"):
                raise HttpFailed("HTTP-response-transfer-coding", "a chunk is longer than it says")


def read_head(file: BufferedReader) -> tuple[int, Fields]:
    """The status and the fields of a response. Raises `HttpFailed`."""
    line = file.readline(MAX_HEAD)
    found = _STATUS.match(line.rstrip(b"\r\n"))
    if found is None:
        if not line:
            raise HttpFailed("HTTP-response-incomplete", "the server closed the connection without a response")
        raise HttpFailed("HTTP-protocol-error", "the server's response is not HTTP/1.1")
    return int(found[1]), read_fields(file)


def read_fields(file: BufferedReader) -> Fields:
    """The fields up to an empty line, names in lower case. Raises `HttpFailed`."""
    fields: Fields = []
    left = MAX_HEAD
    while True:
        line = file.readline(left + 1)
        left -= len(line)
        if line in (b"\r\n", b"\n"):
            return fields
        if not line.endswith(b"\n"):
            if left < 0:
                raise HttpFailed("HTTP-response-header-section-size", f"the fields have more than {MAX_HEAD:,} bytes")
            raise HttpFailed("HTTP-response-incomplete", "the response ended within its fields")
        name, colon, value = line.rstrip(b"\r\n").partition(b":")
        value = value.strip(b" \t")
        if not colon or not _NAME.fullmatch(name) or re.search(rb"[\0-\x08\x0a-\x1f\x7f]", value):
            raise HttpFailed("HTTP-protocol-error", "a field of the response is malformed")
        fields.append((name.decode("ascii").lower(), value))
        if len(fields) > MAX_FIELDS:
            raise HttpFailed("HTTP-response-header-section-size", f"the response has more than {MAX_FIELDS} fields")


def framing(fields: Fields) -> tuple[int | None, bool]:
    """(length or None, whether it is chunked) of a body, by its fields. Raises `HttpFailed`."""
    codings = [value.strip().lower() for name, v in fields if name == "transfer-encoding" for value in v.split(b",")]
    if codings:
        if codings != [b"chunked"]:
            raise HttpFailed("HTTP-response-transfer-coding", "the response has an unknown transfer coding")
        return None, True
    lengths = {value.strip() for name, v in fields if name == "content-length" for value in v.split(b",")}
    if not lengths:
        return None, False
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", next(iter(lengths))):
        raise HttpFailed("HTTP-protocol-error", "the response has no single length")
    return int(lengths.pop()), False


def named(error: BaseException, *, connected: bool) -> HttpFailed:
    """The error of `wasi:http` for an exception."""
    if isinstance(error, HttpFailed):
        return error
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return HttpFailed(code, str(error))
    if isinstance(error, socket.gaierror):
        return HttpFailed("DNS-error", "the host name cannot be resolved")
    if isinstance(error, ssl.SSLCertVerificationError):
        return HttpFailed("TLS-certificate-error", str(error.verify_message))
    if isinstance(error, ssl.SSLError):
        return HttpFailed("TLS-protocol-error", str(error.reason))
    if isinstance(error, TimeoutError):
        return HttpFailed("connection-read-timeout" if connected else "connection-timeout")
    if isinstance(error, OSError):
        by_errno = {
            errno.ECONNREFUSED: "connection-refused", errno.EHOSTUNREACH: "destination-IP-unroutable",
            errno.ENETUNREACH: "destination-IP-unroutable",
        }  # fmt: skip
        return HttpFailed(by_errno.get(error.errno or 0, "connection-terminated"), error.strerror or str(error))
    return HttpFailed("internal-error", f"{type(error).__name__}: {error}")
