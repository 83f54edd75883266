"""wasi:http: a component sends requests where a grant says so; servers are strangers."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest

import wasilab
from wasilab.capabilities.host.http_exchange import MAX_HEAD, HttpFailed, framing, read_fields, read_head
from wasilab.capabilities.refusal import DeniedBy
from wasilab.module.module import Module
from wasilab.wasi.components.http.byte_queue import CAPACITY, BodyFailed, ByteQueue
from wasilab.wasi.components.http.http_client import MAX_BODIES, new_body
from wasilab.wasi.components.http.http_fields import MAX_FIELD_BYTES, HttpError, HttpFields
from wasilab.wasi.components.http.http_messages import host_and_port
from wasilab.wasi.components.interfaces import ResultError
from wasilab.wasi.host import Host
from wasilab.wasi.operations import Operation
from wasilab.wasi.types import Trap

from .http_server import Answer, serving, speaking
from .making import command, requests


def sent(authority: str, path: str = "/", http: str | None = None) -> wasilab.Run:
    """A run of the program that sends one GET, with the origin granted unless `http` is ""."""
    granted = [f"http://{authority}"] if http is None else [http] if http else []
    module = Module(command(requests(authority, path=path)), "requests")
    return wasilab.run(module, grants=wasilab.Grants(http=granted))


def test_a_granted_origin_answers_and_another_is_refused() -> None:
    with serving({("GET", "/"): Answer(body=b"x" * 100_000), ("GET", "/c"): Answer(chunks=[b"a", b"b"])}) as authority:
        run = sent(authority)
        assert (run.exit_code, run.stdout) == (0, "x" * 100_000)
        assert sent(authority, "/c").stdout == "ab"
        refused = sent(authority, http="http://127.0.0.1:1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    (denial,) = refused.denied
    assert denial.denied_by is DeniedBy.GRANT
    assert denial.remedy == f"--http http://{authority}"
    assert sent(authority, http="").denied.entries[0].remedy == f"--http http://{authority}"
    (call,) = [event for event in run.trace if event.name == "handle"]
    assert {f.operation for f in run.trace.functions.further if f.name == "handle"} == {Operation.CONNECT}
    assert call.errno == 0
    assert wasilab.advise(run.trace).grants.http == (f"http://{authority}",)


def test_resources_of_a_request_have_lives_with_their_types() -> None:
    with serving({("GET", "/"): Answer(body=b"hello")}) as authority:
        trace = sent(authority).trace
    types = {life.type for life in trace.lives.values()}
    assert {"fields", "outgoing-request", "future-incoming-response", "incoming-response", "incoming-body"} <= types
    stream = next(life for life in trace.lives.values() if life.type == "input-stream")
    assert b"response" in stream.path


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad field\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_a_hostile_answer_is_an_error_for_the_guest(answer: bytes) -> None:
    with speaking(answer) as authority:
        run = sent(authority)
    assert (run.outcome.kind, run.exit_code) == ("exit", 1)
    assert not run.denied


def test_a_server_that_goes_away_or_is_not_there_is_an_error() -> None:
    with speaking(lambda connection: connection.close()) as authority:
        assert sent(authority).exit_code == 1
    assert sent("127.0.0.1:1").exit_code == 1


def test_an_interrupt_ends_a_request_that_nobody_answers() -> None:
    with speaking(lambda connection: connection.recv(1 << 20)) as authority:
        module = Module(command(requests(authority)), "requests")
        grants = wasilab.Grants(http=[f"http://{authority}"], limits=wasilab.Limits(seconds=0.5))
        run = wasilab.run(module, grants=grants)
    assert run.outcome.kind == "limit"


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_the_head_of_a_response_is_bounded() -> None:
    assert read_head(io.BytesIO(b"HTTP/1.1 204 No\r\nA: b \r\n\r\n")) == (204, [("a", b"b")])
    with pytest.raises(HttpFailed) as caught:
        read_fields(io.BytesIO(b"a: " + b"x" * MAX_HEAD + b"\r\n\r\n"))
    assert caught.value.code == "HTTP-response-header-section-size"
    with pytest.raises(HttpFailed):
        read_fields(io.BytesIO(b"a: b\0c\r\n\r\n"))
    assert framing([("transfer-encoding", b"chunked"), ("content-length", b"5")]) == (None, True)
    with pytest.raises(HttpFailed):
        framing([("content-length", b"-1")])


@pytest.mark.parametrize(
    ("authority", "found"),
    [
        ("example.org", ("example.org", 80)), ("user:pw@h:8080", ("h", 8080)), ("[::1]:9", ("::1", 9)),
        ("h:99999", None), ("h:", None), ("", None), ("a b", None), ("h\r\nx: y", None), ("@", None),
        ("h" * 9000, None),
    ],
)  # fmt: skip
def test_an_authority_is_read_strictly(authority: str, found: object) -> None:
    assert host_and_port(authority, 80) == found


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(ResultError) as caught:
        work()
    return str(caught.value.value[0])


def test_fields_refuse_what_would_smuggle_a_request() -> None:
    fields = HttpFields()
    assert refused(lambda: fields.add("a\r\nb", [b"x"], sized=True)) == "invalid-syntax"
    assert refused(lambda: fields.add("a", [b"x\r\nhost: other"], sized=True)) == "invalid-syntax"
    assert refused(lambda: fields.add("Transfer-Encoding", [b"chunked"], sized=True)) == "forbidden"
    assert refused(lambda: fields.add("Host", [b"other"], sized=True)) == "forbidden"
    assert refused(lambda: fields.add("a", [b"x" * MAX_FIELD_BYTES], sized=True)) == "size-exceeded"
    with pytest.raises(Trap, match="more than"):
        fields.add("a", [b"x" * MAX_FIELD_BYTES], sized=False)
    assert refused(lambda: fields.fixed().add("a", [b"x"], sized=True)) == "immutable"
    assert fields.entries == []


def test_a_queue_of_bytes_ends_once_and_says_how() -> None:
    queue = ByteQueue()
    assert queue.take(10) == b""
    queue.put(b"abc")
    assert (queue.take(2), queue.take(2)) == (b"ab", b"c")
    queue.put(b"x" * CAPACITY)
    assert not queue.has_room
    queue.end([("t", b"v")])
    assert (len(queue.take(1 << 30) or b""), queue.take(1), queue.trailers) == (CAPACITY, None, [("t", b"v")])
    with pytest.raises(BodyFailed):
        queue.put(b"late")
    queue.close()
    failing = ByteQueue()
    failing.put(b"lost")
    failing.fail(BodyFailed("connection-terminated"))
    for _ in range(2):
        with pytest.raises(BodyFailed):
            failing.take(1)
    failing.close()
    failing.close()
    assert (failing.readable_fileno(), failing.writable_fileno()) == (None, None)


def test_bodies_are_bounded_and_go_with_the_run() -> None:
    host = Host()
    held = [new_body(host) for _ in range(MAX_BODIES)]
    numbers = [queue.readable_fileno() for queue in held[:3]]
    with pytest.raises(HttpError, match="bodies of messages"):
        new_body(host)
    host.close()
    for number in numbers:
        assert number is not None
        with pytest.raises(OSError):
            os.fstat(number)
    assert new_body(Host()) is not None
