"""A bounded byte queue for the body of a message, between a guest and the thread that does HTTP for it.

The guest's side never blocks here: it polls a descriptor together with its interrupt. The thread's side blocks.
"""

from __future__ import annotations

import threading
from collections import deque

from ....capabilities.uncopyable import Uncopyable
from ....capabilities.waiting import Readiness

CAPACITY = 1 << 20
"""Bytes in a queue above which a writer has to wait."""
Trailers = list[tuple[str, bytes]]


class BodyFailed(Exception):
    """The other side of a body failed. `code` is a name of `wasi:http`'s error-code."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(reason or code)
        self.code = code
        self.reason = reason


class ByteQueue(Uncopyable):
    """Bytes, then an end with trailers or a failure. Descriptors to wait on are created on access."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self.failure: BodyFailed | None = None
        self.trailers: Trailers | None = None
        self._readable: Readiness | None = None
        self._writable: Readiness | None = None
        self._is_readable, self._is_writable = False, True
        self.passed = 0
        """Total bytes put into it."""

    def _update(self) -> None:
        """Update the descriptors to the current state; the caller holds the lock."""
        if self._closed:
            return
        readable = bool(self._parts) or self._ended
        if readable is not self._is_readable:
            if self._readable is not None:
                (self._readable.set if readable else self._readable.clear)()
            self._is_readable = readable
        writable = self._size < CAPACITY or self._ended
        if writable is not self._is_writable:
            if self._writable is not None:
                (self._writable.set if writable else self._writable.clear)()
            self._is_writable = writable
        self._changed.notify_all()

    def readable_fileno(self) -> int | None:
        """A descriptor that is readable while a `take` would not wait; None if it never waits."""
        with self._changed:
            if self._closed:
                return None
            if self._readable is None:
                self._readable = Readiness()
                if self._is_readable:
                    self._readable.set()
            return self._readable.fileno()

    def writable_fileno(self) -> int | None:
        """A descriptor that is readable while there is room; None if there is always room."""
        with self._changed:
            if self._closed:
                return None
            if self._writable is None:
                self._writable = Readiness()
                if self._is_writable:
                    self._writable.set()
            return self._writable.fileno()

    # ---- the writing side

    @property
    def has_room(self) -> bool:
        """Whether there is room for more bytes."""
        with self._changed:
            return self._is_writable

    def put(self, data: bytes) -> None:
        """Add bytes, even if the queue is full. Raises `BodyFailed` if they will not be read."""
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self._closed or self._ended:
                raise BodyFailed("connection-terminated", "the reader of this body is closed")
            if data:
                self._parts.append(data)
                self._size += len(data)
                self.passed += len(data)
                self._update()

    def put_in_turn(self, data: bytes) -> None:
        """Wait for room and add bytes; for a thread. Raises `BodyFailed`."""
        with self._changed:
            self._changed.wait_for(lambda: self._size < CAPACITY or self._closed or self._ended)
        self.put(data)

    def end(self, trailers: Trailers | None = None) -> None:
        """End the body."""
        with self._changed:
            if not self._ended:
                self._ended, self.trailers = True, trailers
                self._update()

    def fail(self, failure: BodyFailed) -> None:
        """End the body prematurely; queued bytes are discarded."""
        with self._changed:
            if not self._ended:
                self._ended, self.failure = True, failure
                self._parts.clear()
                self._size = 0
                self._update()

    # ---- the reading side

    def take(self, most: int) -> bytes | None:
        """At most `most` bytes, b"" if there are none yet; None at the end. Raises `BodyFailed`."""
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if not self._parts:
                return None if self._ended else b""
            part = self._parts.popleft()
            if len(part) > most:
                self._parts.appendleft(part[most:])
                part = part[:most]
            self._size -= len(part)
            self._update()
            return part

    def take_in_turn(self) -> bytes | None:
        """Wait for the next bytes; for a thread. None at the end. Raises `BodyFailed`."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._parts) or self._ended or self._closed)
            if self._closed:
                raise self.failure or BodyFailed("connection-terminated")
        return self.take(CAPACITY)

    def close(self) -> None:
        """Close it: a waiting thread continues with an error."""
        with self._changed:
            if self._closed:
                return
            if not self._ended:
                self._ended, self.failure = True, BodyFailed("connection-terminated", "the body was dropped")
                self._parts.clear()
                self._size = 0
            self._closed = self._is_writable = True
            self._changed.notify_all()
            for readiness in (self._readable, self._writable):
                if readiness is not None:
                    readiness.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()
