"""`wasi:io` 0.2: errors, pollables, streams."""

from __future__ import annotations

from ..errnos import WasiError
from ..host import Host
from ..operations import Operation as Op
from ..types import Trap
from .interfaces import Interface
from .resources import PIECE, Closed, InputStream, IoError, OutputStream, Pollable, wait_for
from .waits import Value

MAX_BLOCKING_WRITE = 4096
"""Maximum bytes of a `blocking-write-and-flush` (from the specification)."""


def _stream_error(failure: WasiError) -> Value:
    return ("last-operation-failed", IoError(failure))


def _let_go(host: Host, stream: InputStream | OutputStream) -> None:
    if stream.owned and host.fds.entries.get(stream.descriptor.fd) is stream.descriptor:
        host.fds.close(stream.descriptor)


ERROR = Interface("wasi:io/error", "0.2", resources={"error": lambda host, error: None})
POLL = Interface("wasi:io/poll", "0.2", resources={"pollable": lambda host, pollable: None})
STREAMS = Interface(
    "wasi:io/streams",
    "0.2",
    types={
        "error": "use wasi:io/error",
        "pollable": "use wasi:io/poll",
        "stream-error": "variant { last-operation-failed(own<error>), closed }",
    },
    resources={"input-stream": _let_go, "output-stream": _let_go},
)


@ERROR.function("[method]error.to-debug-string", Op.DESCRIBE, "(self: borrow<error>) -> string")
def to_debug_string(host: Host, error: IoError) -> str:
    """The failure as text."""
    return str(error)


# -- waiting -----------------------------------------------------------------------------------------------------------


@POLL.function("[method]pollable.ready", Op.POLL, "(self: borrow<pollable>) -> bool")
def ready(host: Host, pollable: Pollable) -> bool:
    """Whether it is ready, without waiting."""
    return bool(wait_for(host, [pollable], block=False))


@POLL.function("[method]pollable.block", Op.POLL, "(self: borrow<pollable>)")
def block(host: Host, pollable: Pollable) -> None:
    """Wait until it is ready."""
    wait_for(host, [pollable])


@POLL.function("poll", Op.POLL, "(in: list<borrow<pollable>>) -> list<u32>")
def poll(host: Host, pollables: list[Pollable]) -> list[int]:
    """Wait until one of them is ready; returns the indices of all that are. By the specification, an empty list
    traps."""
    if not pollables:
        raise Trap("poll: the list of pollables is empty")
    return wait_for(host, pollables)


# -- input -------------------------------------------------------------------------------------------------------------


def _read(host: Host, stream: InputStream, count: int, *, block: bool) -> bytes | memoryview:
    if stream.over is not None:
        raise Closed
    return stream.read(host, count, block=block)


@STREAMS.function(
    "[method]input-stream.read", Op.READ,
    "(self: borrow<input-stream>, len: u64) -> result<list<u8>, stream-error>", errors=_stream_error,
)  # fmt: skip
def read(host: Host, stream: InputStream, count: int) -> bytes | memoryview:
    """At most `count` bytes, possibly none; `closed` at the end."""
    return _read(host, stream, count, block=False)


@STREAMS.function(
    "[method]input-stream.blocking-read", Op.READ,
    "(self: borrow<input-stream>, len: u64) -> result<list<u8>, stream-error>", errors=_stream_error,
)  # fmt: skip
def blocking_read(host: Host, stream: InputStream, count: int) -> bytes | memoryview:
    """At least one byte and at most `count`; `closed` at the end."""
    return _read(host, stream, count, block=True)


@STREAMS.function(
    "[method]input-stream.skip", Op.READ,
    "(self: borrow<input-stream>, len: u64) -> result<u64, stream-error>", errors=_stream_error,
)  # fmt: skip
def skip(host: Host, stream: InputStream, count: int) -> int:
    """Read and discard bytes."""
    return len(_read(host, stream, count, block=False))


@STREAMS.function(
    "[method]input-stream.blocking-skip", Op.READ,
    "(self: borrow<input-stream>, len: u64) -> result<u64, stream-error>", errors=_stream_error,
)  # fmt: skip
def blocking_skip(host: Host, stream: InputStream, count: int) -> int:
    """Read and discard at least one byte."""
    return len(_read(host, stream, count, block=True))


@STREAMS.function("[method]input-stream.subscribe", Op.POLL, "(self: borrow<input-stream>) -> own<pollable>")
def input_subscribe(host: Host, stream: InputStream) -> Pollable:
    """Ready when there is something to read, or at the end."""
    return stream.pollable(host)


# -- output ------------------------------------------------------------------------------------------------------------


@STREAMS.function(
    "[method]output-stream.check-write", Op.POLL, "(self: borrow<output-stream>) -> result<u64, stream-error>",
    errors=_stream_error,
)  # fmt: skip
def check_write(host: Host, stream: OutputStream) -> int:
    """The number of bytes permitted for the next write."""
    fd = stream.fileno()
    ready_now = fd is None or bool(wait_for(host, [stream.pollable(host)], block=False))
    stream.permit = PIECE if ready_now else 0
    return stream.permit


@STREAMS.function(
    "[method]output-stream.write", Op.WRITE,
    "(self: borrow<output-stream>, contents: list<u8>) -> result<_, stream-error>", errors=_stream_error,
)  # fmt: skip
def write(host: Host, stream: OutputStream, contents: bytes | memoryview) -> None:
    """Write. By the specification, writing more than `check-write` permitted ends the guest."""
    _use(stream, len(contents))
    stream.write(host, contents)


def _use(stream: OutputStream, count: int) -> None:
    if count > stream.permit:
        raise Trap(f"output-stream.write: {count:,} bytes, but check-write permitted {stream.permit:,}")
    stream.permit -= count


@STREAMS.function(
    "[method]output-stream.blocking-write-and-flush", Op.WRITE,
    "(self: borrow<output-stream>, contents: list<u8>) -> result<_, stream-error>", errors=_stream_error,
)  # fmt: skip
def blocking_write_and_flush(host: Host, stream: OutputStream, contents: bytes | memoryview) -> None:
    """Write at most 4096 bytes and wait until they are written. By the specification, more ends the guest."""
    if len(contents) > MAX_BLOCKING_WRITE:
        raise Trap(f"blocking-write-and-flush: {len(contents):,} bytes are too many; at most {MAX_BLOCKING_WRITE:,}")
    stream.write(host, contents)


@STREAMS.function(
    "[method]output-stream.write-zeroes", Op.WRITE,
    "(self: borrow<output-stream>, len: u64) -> result<_, stream-error>", errors=_stream_error,
)  # fmt: skip
def write_zeroes(host: Host, stream: OutputStream, count: int) -> None:
    """Write zeros."""
    _use(stream, count)
    stream.write(host, bytes(count))


@STREAMS.function(
    "[method]output-stream.blocking-write-zeroes-and-flush", Op.WRITE,
    "(self: borrow<output-stream>, len: u64) -> result<_, stream-error>", errors=_stream_error,
)  # fmt: skip
def blocking_write_zeroes_and_flush(host: Host, stream: OutputStream, count: int) -> None:
    """Write at most 4096 zeros and wait until they are written."""
    if count > MAX_BLOCKING_WRITE:
        raise Trap(f"blocking-write-zeroes-and-flush: {count:,} bytes are too many; at most {MAX_BLOCKING_WRITE:,}")
    stream.write(host, bytes(count))


@STREAMS.function(
    "[method]output-stream.flush", Op.SYNC, "(self: borrow<output-stream>) -> result<_, stream-error>",
    errors=_stream_error,
)  # fmt: skip
@STREAMS.function(
    "[method]output-stream.blocking-flush", Op.SYNC, "(self: borrow<output-stream>) -> result<_, stream-error>",
    errors=_stream_error,
)  # fmt: skip
def flush(host: Host, stream: OutputStream) -> None:
    """Does nothing: writes are not buffered."""


@STREAMS.function("[method]output-stream.subscribe", Op.POLL, "(self: borrow<output-stream>) -> own<pollable>")
def output_subscribe(host: Host, stream: OutputStream) -> Pollable:
    """Ready when a write is possible."""
    return stream.pollable(host)


@STREAMS.function(
    "[method]output-stream.splice", Op.WRITE,
    "(self: borrow<output-stream>, src: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
    errors=_stream_error,
)  # fmt: skip
def splice(host: Host, stream: OutputStream, source: InputStream, count: int) -> int:
    """Move the available bytes from one stream to the other."""
    data = _read(host, source, min(count, PIECE), block=False)
    stream.write(host, data)
    return len(data)


@STREAMS.function(
    "[method]output-stream.blocking-splice", Op.WRITE,
    "(self: borrow<output-stream>, src: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
    errors=_stream_error,
)  # fmt: skip
def blocking_splice(host: Host, stream: OutputStream, source: InputStream, count: int) -> int:
    """Move at least one byte from one stream to the other."""
    data = _read(host, source, min(count, PIECE), block=True)
    stream.write(host, data)
    return len(data)
