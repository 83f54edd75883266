"""Messages between a confined process and its parent: kind, length, bytes, over a stream socket.

The parent trusts no message: the guest may have taken over the process. `MessageChannel.receive` checks the length
before it reads and accepts no descriptors; `record_of` and the readers in `outcomes.py` and `trace_mirror.py` check
every type and size. Nothing is ever unpickled.
"""

from __future__ import annotations

import array
import json
import socket
import struct
import threading
from collections.abc import Sequence
from enum import Enum
from typing import Any

Record = dict[str, Any]
"""A JSON value."""
_HEAD = struct.Struct("<BI")
MOST_BYTES = 192 << 20
"""Maximum bytes of a message: a chunk of a trace with the data of one large call."""
MOST_RECORD_BYTES = 8 << 20
"""Maximum bytes of a JSON message."""
_DESCRIPTORS_TOGETHER = 200
_PIECE = 1 << 20


class MessageKind(Enum):
    """The kinds of messages. The first group goes to the process, the second comes from it."""

    JOB = 1
    INPUT = 2
    END_OF_INPUT = 3
    INTERRUPT = 4
    SWITCH = 5
    VALUES = 6
    ANSWER = 7
    RENEW_INPUT = 8

    READY = 32
    LAYERS = 33
    RUNNING = 34
    STDOUT = 35
    STDERR = 36
    WANTS_INPUT = 37
    CALLS = 38
    LIVES = 39
    TABLES = 40
    CODE = 41
    FOLDER = 42
    OUTCOME = 43
    FILE = 44
    REQUEST = 45


class BadMessage(Exception):
    """A received message is invalid; the text says why."""


class MessageChannel:
    """One end of the socket. Sending is safe from any thread; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._lock = threading.Lock()

    def send(self, kind: MessageKind, *parts: bytes | bytearray | memoryview, descriptors: Sequence[int] = ()) -> None:
        """Send a message with the body `parts`; raises `OSError` if the other end is closed."""
        head = _HEAD.pack(kind.value, sum(map(len, parts)))
        with self._lock:
            if not descriptors:
                self._socket.sendall(head)
            else:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
                sent = self._socket.sendmsg([head], rights)
                self._socket.sendall(head[sent:])
            for part in parts:
                self._socket.sendall(part)

    def send_record(self, kind: MessageKind, record: Record, descriptors: Sequence[int] = ()) -> None:
        """Send a JSON value."""
        self.send(kind, json.dumps(record, ensure_ascii=True).encode(), descriptors=descriptors)

    def receive(self) -> tuple[MessageKind, bytearray] | None:
        """The next message; None at the end. Raises `BadMessage`, and `OSError` from the socket."""
        head = self._exactly(_HEAD.size)
        return None if head is None else self._body(head)

    def receive_with_descriptors(self) -> tuple[MessageKind, bytearray, list[int]] | None:
        """The same with the attached descriptors. Only for the process, which trusts its parent."""
        head, passed = bytearray(), array.array("i")
        while len(head) < _HEAD.size:
            room = socket.CMSG_SPACE(_DESCRIPTORS_TOGETHER * passed.itemsize)
            data, further, _, _ = self._socket.recvmsg(_HEAD.size - len(head), room)
            if not data:
                return None
            head += data
            for level, kind, content in further:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    passed.frombytes(content[: len(content) - len(content) % passed.itemsize])
        kind_of, body = self._body(head)
        return kind_of, body, list(passed)

    def _body(self, head: bytes | bytearray) -> tuple[MessageKind, bytearray]:
        number, size = _HEAD.unpack(head)
        try:
            kind = MessageKind(number)
        except ValueError:
            raise BadMessage(f"a message of the unknown kind {number}") from None
        if size > MOST_BYTES:
            raise BadMessage(f"a message of {size:,} bytes")
        body = self._exactly(size)
        if body is None:
            raise BadMessage("a message that was cut short")
        return kind, body

    def _exactly(self, size: int) -> bytearray | None:
        """Read exactly `size` bytes; None if the stream ends first. Memory grows with the bytes received, not with the
        claimed size."""
        found = bytearray()
        while len(found) < size:
            data = self._socket.recv(min(size - len(found), _PIECE))
            if not data:
                return None
            found += data
        return found

    def fileno(self) -> int:
        """The descriptor of the socket, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def record_of(body: bytes | bytearray, most: int = MOST_RECORD_BYTES) -> Record:
    """Parse `body`, of at most `most` bytes, as a JSON object. Raises `BadMessage`."""
    if len(body) > most:
        raise BadMessage(f"a record of {len(body):,} bytes")
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise BadMessage("a record that is not JSON") from None
    if not isinstance(found, dict):
        raise BadMessage("a record that is not an object")
    return found
