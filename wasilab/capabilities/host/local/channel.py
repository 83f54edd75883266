"""A bidirectional byte channel between two programs, with the system's buffer as its bound.

WASI has no UNIX-domain sockets; its rationale leaves open "a concept of a WASI-domain socket, for bidirectional
byte-oriented local communication". This is one: `Channel()` makes both ends, each is granted to one run as a preopened
descriptor (`Grants(sockets=[channel.left])`) or used from Python. Holding an end is the only permission: there are no
names, users or credentials. A reader waits until there are bytes, a writer while the other side's buffer is full. When
one end is closed or its run has ended, the other end reaches end of stream.

Descriptors can be sent in addition to the bytes, in a separate queue (`engine/lab/channel_calls.py`).
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Self

from ...protocols import FileType
from ...uncopyable import Uncopyable
from ...waiting import Interrupt
from ..sockets import BadAddress, StreamSocket

MAX_CARRIED = 16
"""The maximum number of descriptors in transit in one direction."""


class Carried:
    """The descriptors in transit between two ends: one queue for each direction. Thread-safe."""

    def __init__(self) -> None:
        self._queues: tuple[deque[object], deque[object]] = (deque(), deque())
        self._lock = threading.Lock()

    def put(self, side: int, thing: object) -> bool:
        """Send from a side; False if too many are in transit."""
        with self._lock:
            queue = self._queues[1 - side]
            if len(queue) >= MAX_CARRIED:
                return False
            queue.append(thing)
            return True

    def take(self, side: int) -> object | None:
        """The next one for a side, or None."""
        with self._lock:
            queue = self._queues[side]
            return queue.popleft() if queue else None


class ChannelSocket(StreamSocket):
    """An end of a channel, held by a run."""

    def __init__(self, connection: socket.socket, side: int, carried: Carried, interrupt: Interrupt | None) -> None:
        super().__init__(connection, interrupt)
        self.side = side
        self.carried = carried
        """The descriptors in transit."""


class ChannelEnd(Uncopyable):
    """One end of a channel. Grant it to one run, or use it from Python: `send`, `receive`, `close`. Not both."""

    filetype = FileType.SOCKET_STREAM

    def __init__(self, made: socket.socket, name: str, side: int, carried: Carried) -> None:
        self.address = name
        """Its name in a trace: "channel left"."""
        self._socket: socket.socket | None = made
        self._side = side
        self._carried = carried

    def fresh(self, interrupt: Interrupt | None = None) -> ChannelSocket:
        """Give the end to one run. Raises `BadAddress` if it was already given to a run or closed."""
        made, self._socket = self._socket, None
        if made is None:
            raise BadAddress(f"{self.address} was already given to a run, or closed: make a new Channel()")
        return ChannelSocket(made, self._side, self._carried, interrupt)

    def bind(self) -> tuple[str, int]:
        """As in a listening socket; nothing is bound."""
        return self.address, 0

    def _mine(self) -> socket.socket:
        if self._socket is None:
            raise ValueError(f"{self.address} was already given to a run, or closed")
        return self._socket

    def send(self, data: bytes, timeout: float | None = 10.0) -> None:
        """Send all of `data`. Raises `TimeoutError` if nothing is read for `timeout` seconds, `BrokenPipeError` if the
        other end is closed.
        """
        made = self._mine()
        made.settimeout(timeout)
        made.sendall(data)

    def receive(self, size: int = 65536, timeout: float | None = 10.0) -> bytes:
        """Receive at most `size` bytes; b"" if the other end is closed. Raises `TimeoutError`."""
        made = self._mine()
        made.settimeout(timeout)
        return made.recv(size)

    def close(self) -> None:
        """Close it, unless a run has it. Closing twice does nothing."""
        made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def __del__(self) -> None:
        with suppress(AttributeError):
            self.close()

    def __repr__(self) -> str:
        return f"<{self.address}, {'free' if self._socket is not None else 'given away or closed'}>"

    def _instead(self) -> str:
        return "a channel connects two runs of one process"


class Channel:
    """Two ends of one channel: `left` and `right`. `capacity`: approximate bytes buffered in each direction (the system
    rounds it; None: its default).
    """

    def __init__(self, name: str = "channel", capacity: int | None = None) -> None:
        if capacity is not None and (isinstance(capacity, bool) or not 1 <= capacity <= 1 << 26):
            raise ValueError(f"the capacity of a channel is 1 byte to 64 MiB, not {capacity!r}")
        ends = socket.socketpair()
        carried = Carried()
        for end in ends:
            if capacity is not None:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, capacity)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, capacity)
        self.left = ChannelEnd(ends[0], f"{name} left", 0, carried)
        self.right = ChannelEnd(ends[1], f"{name} right", 1, carried)

    def close(self) -> None:
        """Close the ends that no run has."""
        self.left.close()
        self.right.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Channel({self.left!r}, {self.right!r})"
