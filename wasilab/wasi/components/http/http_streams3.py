"""`wasi:http` 0.3: messages with streams and futures for bodies and trailers, and `client`."""

from __future__ import annotations

from collections.abc import Callable

from ...errnos import WasiError
from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface
from ..waits import HostWait, Incoming, Pending, Promise, Source, Value
from .byte_queue import BodyFailed, ByteQueue
from .http_bodies2 import response_of
from .http_client import body_read, new_body, send
from .http_fields import TYPES3, HttpError, HttpFields, RequestOptions, error_code, http_result
from .http_messages import HttpMessage, HttpRequestMessage, HttpResponseMessage

CLIENT3 = Interface(
    "wasi:http/client", "0.3", types=dict.fromkeys(("request", "response", "error-code"), "use wasi:http/types")
)
_RESULT = "future<result<_, error-code>>"
_TRAILERS = "future<result<option<own<fields>>, error-code>>"


class _Contents:
    """Puts the bytes of a body that a guest writes into a queue."""

    def __init__(self, host: Host, queue: ByteQueue, over: Callable[[], None]) -> None:
        self._host = host
        self._queue = queue
        self._over = over

    def put(self, data: bytes) -> None:
        """Accept bytes, which count towards the limit of bytes written."""
        self._host.require_bytes(len(data))
        self._queue.put(bytes(data))
        self._host.written += len(data)

    def room(self) -> HostWait | None:
        """What to wait for while the queue is full."""
        fd = None if self._queue.has_room else self._queue.writable_fileno()
        return None if fd is None else HostWait(readers=(fd,))

    def end(self, error: BaseException | None) -> None:
        """The stream has ended."""
        if error is not None:
            code = error.code if isinstance(error, BodyFailed) else "internal-error"
            self._queue.fail(BodyFailed(code, str(error)))
        self._over()


class _Outcome:
    """The future of the trailers from the guest, which also tells whether the message is complete."""

    def __init__(self, told: Callable[[Value], None]) -> None:
        self._told = told
        self._value: Value = None

    def put(self, values: Value) -> None:
        """Accept the value."""
        self._value = values[0]

    def room(self) -> None:
        """Always."""
        return

    def end(self, error: BaseException | None) -> None:
        """The future has its value, or was dropped."""
        self._told(self._value if self._value is not None else ("error", ("internal-error", "no trailers came")))


def _begin(
    host: Host, message: HttpMessage, contents: Incoming | None, trailers: Incoming
) -> Promise:
    """Put the body and the trailers of a guest's message into its queue; returns the result of sending."""
    sent = Promise()
    queue = new_body(host) if contents is not None else None
    message.body.queue = queue
    ended: list[bool] = [contents is None]
    outcome: list[Value] = []

    def settle() -> None:
        if not (ended[0] and outcome):
            return
        case, value = outcome[0]
        if case == "ok" and queue is not None:
            queue.end(None if value is None else value.entries)
        elif queue is not None:
            queue.fail(BodyFailed(str(value[0]), "the guest abandoned the message"))
        if case != "ok":
            sent.resolve(("error", value))

    def over() -> None:
        ended[0] = True
        settle()

    def told(value: Value) -> None:
        outcome.append(value)
        settle()

    if contents is not None:
        assert queue is not None
        contents.consume(_Contents(host, queue, over))
    trailers.consume(_Outcome(told))
    message.sent = sent
    return sent


@TYPES3.function(
    "[static]request.new", Op.OPEN,
    f"(headers: own<fields>, contents: option<stream<u8>>, trailers: {_TRAILERS}, "
    f"options: option<own<request-options>>) -> tuple<own<request>, {_RESULT}>",
)  # fmt: skip
def new_request3(
    host: Host, headers: HttpFields, contents: Incoming | None, trailers: Incoming, options: RequestOptions | None
) -> tuple[HttpRequestMessage, Promise]:
    """Create a request; also returns the result of sending."""
    made = HttpRequestMessage(headers, options)
    return made, _begin(host, made, contents, trailers)


@TYPES3.function(
    "[static]response.new", Op.OPEN,
    f"(headers: own<fields>, contents: option<stream<u8>>, trailers: {_TRAILERS}) -> tuple<own<response>, {_RESULT}>",
)  # fmt: skip
def new_response3(
    host: Host, headers: HttpFields, contents: Incoming | None, trailers: Incoming
) -> tuple[HttpResponseMessage, Promise]:
    """Create a response; also returns the result of sending."""
    made = HttpResponseMessage(headers)
    return made, _begin(host, made, contents, trailers)


class _Ignored:
    """A future of the guest with its result of reading a body, which is ignored."""

    def put(self, values: Value) -> None:
        """Ignore the value."""

    def room(self) -> None:
        """Always."""
        return

    def end(self, error: BaseException | None) -> None:
        """Do nothing."""


def consume_body(host: Host, message: HttpMessage, how: Incoming) -> tuple[Source, Promise]:
    """The bytes of a body, and the trailers after its end."""
    message.passed_on = True
    how.consume(_Ignored())
    queue, trailers = message.body.queue, Promise()

    def over(value: Value) -> None:
        trailers.resolve(value)
        message.on_close()

    def pull(count: int) -> bytes | HostWait | None:
        try:
            found = body_read(queue, min(count, host.max_io))
        except HttpError as error:
            over(("error", error.value))
            return None
        if found is None:
            given = None if queue is None else queue.trailers
            over(("ok", None if given is None else HttpFields(given, mutable=False)))
            return None
        assert queue is not None
        if found:
            return bytes(found)
        fd = queue.readable_fileno()
        return HostWait(readers=() if fd is None else (fd,), ready=lambda: fd is None)

    def close() -> None:
        if queue is not None and not trailers.done:
            over(("error", ("connection-terminated", None)))
            queue.close()

    if queue is None:
        over(("ok", None))
    return Source(pull, close), trailers


for _resource in ("request", "response"):
    TYPES3.function(
        f"[static]{_resource}.consume-body", Op.READ,
        f"(this: own<{_resource}>, res: {_RESULT}) -> tuple<stream<u8>, {_TRAILERS}>",
    )(consume_body)  # fmt: skip


@CLIENT3.function("send", Op.CONNECT, "async (request: own<request>) -> result<own<response>, error-code>",
                  errors=error_code)  # fmt: skip
def send3(host: Host, request: HttpRequestMessage) -> Pending:
    """Send a request; returns the response."""
    told = request.sent

    def failed(error: WasiError) -> None:
        if told is not None:
            told.resolve(("error", error_code(error)))

    try:
        sent = send(host, request, request.options)
    except HttpError as error:
        failed(error)
        request.close()
        raise http_result(error) from None
    except Exception as error:
        failure = host.explain(error)
        if failure is not None:
            failed(failure)
        request.close()
        raise
    request.passed_on = True

    def finish() -> HttpResponseMessage:
        failure = sent.exchange.failure
        if failure is not None:
            failed(HttpError(failure.code, failure.reason))
        elif told is not None:
            told.resolve(("ok", None))
        return response_of(sent)

    fd = sent.fileno()
    assert fd is not None
    return Pending(HostWait(readers=(fd,)), finish, sent.close)
