"""A channel between two programs: two ends, bytes both ways, bounded by what the system buffers.

WASI has no UNIX-domain sockets; its rationale leaves open "a concept of a WASI-domain socket, for bidirectional
byte-oriented local communication". This is one: `Channel()` makes both ends, each is granted to one run as a
descriptor that is open from the start (`Grants(sockets=[channel.left])`) or used from Python. Possession is all: there
are no names to connect to, no users and no credentials. A reader waits until there are bytes, a writer while the other
side's buffer is full; an end that is closed, or whose run is over, is the end of the stream for the other.

Descriptors can be sent along with the bytes, in a queue of their own (`engine/lab/channel_calls.py`).
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
"""Descriptors on their way in one direction at most."""


class Carried:
    """The descriptors on their way between two ends: one queue for each direction. Safe from any thread."""

    def __init__(self) -> None:
        self._queues: tuple[deque[object], deque[object]] = (deque(), deque())
        self._lock = threading.Lock()

    def put(self, side: int, thing: object) -> bool:
        """Send from a side; False where too many are on their way."""
        with self._lock:
            queue = self._queues[1 - side]
            if len(queue) >= MAX_CARRIED:
                return False
            queue.append(thing)
            return True

    def take(self, side: int) -> object | None:
        """The next one for a side; None where there is none."""
        with self._lock:
            queue = self._queues[side]
            return queue.popleft() if queue else None


class ChannelSocket(StreamSocket):
    """An end of a channel in the hands of a run."""

    def __init__(self, connection: socket.socket, side: int, carried: Carried, interrupt: Interrupt | None) -> None:
        super().__init__(connection, interrupt)
        self.side = side
        self.carried = carried
        """The descriptors that go along with the bytes."""


class ChannelEnd(Uncopyable):
    """One end of a channel. Grant it to one run, or use it from Python: `send`, `receive`, `close`. Not both."""

    filetype = FileType.SOCKET_STREAM

    def __init__(self, made: socket.socket, name: str, side: int, carried: Carried) -> None:
        self.address = name
        """What it is called in a trace: "channel left"."""
        self._socket: socket.socket | None = made
        self._side = side
        self._carried = carried

    def fresh(self, interrupt: Interrupt | None = None) -> ChannelSocket:
        """The end for one run, which has it from now on. Raises `BadAddress` when it was given away or closed."""
        made, self._socket = self._socket, None
        if made is None:
            raise BadAddress(f"{self.address} was given to a run already, or closed: make a new Channel()")
        return ChannelSocket(made, self._side, self._carried, interrupt)

    def bind(self) -> tuple[str, int]:
        """As a listening socket has it: nothing is bound."""
        return self.address, 0

    def _mine(self) -> socket.socket:
        if self._socket is None:
            raise ValueError(f"{self.address} was given to a run, or closed")
        return self._socket

    def send(self, data: bytes, timeout: float | None = 10.0) -> None:
        """Send all of `data`. Raises `TimeoutError` while nobody reads for `timeout` seconds, `BrokenPipeError` when
        the other end is gone.
        """
        made = self._mine()
        made.settimeout(timeout)
        made.sendall(data)

    def receive(self, size: int = 65536, timeout: float | None = 10.0) -> bytes:
        """What has come, at most `size` bytes; b"" when the other end is closed. Raises `TimeoutError`."""
        made = self._mine()
        made.settimeout(timeout)
        return made.recv(size)

    def close(self) -> None:
        """Close it, if it is still yours. Closing twice does nothing."""
        made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def __del__(self) -> None:
        with suppress(AttributeError):
            self.close()

    def __repr__(self) -> str:
        return f"<{self.address}, {'free' if self._socket is not None else 'given away or closed'}>"

    def _instead(self) -> str:
        return "a channel joins two runs of one process"


class Channel:
    """Two ends of one channel: `left` and `right`. `capacity`: bytes that are buffered in each direction, roughly (the
    system rounds it; None: its default).
    """

    def __init__(self, name: str = "channel", capacity: int | None = None) -> None:
        if capacity is not None and (isinstance(capacity, bool) or not 1 <= capacity <= 1 << 26):
            raise ValueError(f"a channel buffers 1 byte to 64 MiB, not {capacity!r}")
        ends = socket.socketpair()
        carried = Carried()
        for end in ends:
            if capacity is not None:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, capacity)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, capacity)
        self.left = ChannelEnd(ends[0], f"{name} left", 0, carried)
        self.right = ChannelEnd(ends[1], f"{name} right", 1, carried)

    def close(self) -> None:
        """Close what is still here of it."""
        self.left.close()
        self.right.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Channel({self.left!r}, {self.right!r})"
