"""`wasi:filesystem`: reading and writing bytes, at an offset and through streams."""

from __future__ import annotations

from ...errnos import Errno, WasiError
from ...fdtable import Descriptor
from ...host import Host
from ...operations import Operation as Op
from ...preview1.fd import fd_pread, fd_pwrite
from ...types import Rights as R
from ..resources import PIECE, InputStream, IoError, OutputStream, need
from ..waits import Incoming, Promise, Source
from .file_common import (
    IS_DIRECTORY,
    TOP,
    TYPES2,
    TYPES3,
    code_of,
    explained,
    not_a_directory,
)

_FD_READ, _FD_WRITE = int(R.FD_READ), int(R.FD_WRITE)


@TYPES2.function(
    "[method]descriptor.read-via-stream", Op.READ,
    "(self: borrow<descriptor>, offset: filesize) -> result<own<input-stream>, error-code>", errors=code_of,
)  # fmt: skip
def read_via_stream2(host: Host, d: Descriptor, offset: int) -> InputStream:
    """A stream of the bytes from an offset on."""
    not_a_directory(d)
    need(host, d, _FD_READ)
    _check_offset(offset)
    return InputStream(d, offset)


@TYPES2.function(
    "[method]descriptor.write-via-stream", Op.WRITE,
    "(self: borrow<descriptor>, offset: filesize) -> result<own<output-stream>, error-code>", errors=code_of,
)  # fmt: skip
def write_via_stream2(host: Host, d: Descriptor, offset: int) -> OutputStream:
    """A stream that writes from an offset on."""
    not_a_directory(d)
    need(host, d, _FD_WRITE)
    _check_offset(offset)
    return OutputStream(d, offset)


@TYPES2.function(
    "[method]descriptor.append-via-stream", Op.WRITE,
    "(self: borrow<descriptor>) -> result<own<output-stream>, error-code>", errors=code_of,
)  # fmt: skip
def append_via_stream2(host: Host, d: Descriptor) -> OutputStream:
    """A stream that writes at the end."""
    not_a_directory(d)
    need(host, d, _FD_WRITE)
    return OutputStream(d, append=True)


def _check_offset(offset: int) -> None:
    if offset >= TOP:
        raise WasiError(Errno.INVAL, f"the offset {offset} is 2**63 or more")


@TYPES2.function(
    "[method]descriptor.read", Op.READ,
    "(self: borrow<descriptor>, length: filesize, offset: filesize) -> result<tuple<list<u8>, bool>, error-code>",
    errors=code_of,
)  # fmt: skip
def read2(host: Host, d: Descriptor, length: int, offset: int) -> tuple[memoryview, bool]:
    """Bytes at an offset, and whether the end is reached."""
    not_a_directory(d)
    need(host, d, _FD_READ)
    buffer = memoryview(bytearray(min(length, PIECE, host.max_io)))
    got = fd_pread(host, d, [buffer], offset)
    return buffer[:got], got == 0 and length > 0


@TYPES2.function(
    "[method]descriptor.write", Op.WRITE,
    "(self: borrow<descriptor>, buffer: list<u8>, offset: filesize) -> result<filesize, error-code>", errors=code_of,
)  # fmt: skip
def write2(host: Host, d: Descriptor, data: memoryview, offset: int) -> int:
    """Write at an offset; returns the number of bytes written."""
    if d.filetype == IS_DIRECTORY or not d.allowed & _FD_WRITE:
        not_a_directory(d)
        need(host, d, _FD_WRITE)
    return fd_pwrite(host, d, [data if len(data) <= host.max_io else data[: host.max_io]], offset)


@TYPES2.function("filesystem-error-code", Op.DESCRIBE, "(err: borrow<error>) -> option<error-code>")
def filesystem_error_code(host: Host, error: IoError) -> str | None:
    """The error code of a stream's failure."""
    return code_of(error.failure)


# ---- 0.3


@TYPES3.function(
    "[method]descriptor.read-via-stream",
    Op.READ,
    "(self: borrow<descriptor>, offset: filesize) -> tuple<stream<u8>, future<result<_, error-code>>>",
)
def read_via_stream3(host: Host, d: Descriptor, offset: int) -> tuple[Source, Promise]:
    """The bytes from an offset on, and how it ended."""
    done = Promise()
    at = offset

    def pull(count: int) -> bytes | None:
        nonlocal at
        try:
            not_a_directory(d)
            need(host, d, _FD_READ)
            buffer = memoryview(bytearray(min(count, PIECE, host.max_io)))
            got = fd_pread(host, d, [buffer], at)
        except Exception as error:  # noqa: BLE001  other exceptions are raised again
            done.resolve(explained(host, error, d))
            return None
        at += got
        if not got:
            done.resolve(("ok", None))
            return None
        return bytes(buffer[:got])

    return Source(pull, lambda: done.resolve(("ok", None))), done


class FileSink:
    """The receiver of the bytes that a guest writes to a stream of a file."""

    def __init__(self, host: Host, stream: OutputStream, done: Promise) -> None:
        self._host = host
        self._stream = stream
        self._done = done

    def put(self, data: bytes) -> None:
        """Write them."""
        d = self._stream.descriptor
        not_a_directory(d)
        if self._stream.offset is not None:
            _check_offset(self._stream.offset)
        self._stream.write(self._host, data)

    def room(self) -> None:
        """Always None: a file always accepts bytes."""
        return

    def end(self, error: BaseException | None) -> None:
        """Report how the stream ended."""
        ended = ("ok", None) if error is None else explained(self._host, error, self._stream.descriptor)
        self._done.resolve(ended)


@TYPES3.function(
    "[method]descriptor.write-via-stream",
    Op.WRITE,
    "(self: borrow<descriptor>, data: stream<u8>, offset: filesize) -> future<result<_, error-code>>",
)
def write_via_stream3(host: Host, d: Descriptor, data: Incoming, offset: int) -> Promise:
    """Write a stream of bytes from an offset on; returns how it ended."""
    done = Promise()
    data.consume(FileSink(host, OutputStream(d, offset), done))
    return done


@TYPES3.function(
    "[method]descriptor.append-via-stream",
    Op.WRITE,
    "(self: borrow<descriptor>, data: stream<u8>) -> future<result<_, error-code>>",
)
def append_via_stream3(host: Host, d: Descriptor, data: Incoming) -> Promise:
    """Write a stream of bytes at the end; returns how it ended."""
    done = Promise()
    data.consume(FileSink(host, OutputStream(d, append=True), done))
    return done
