"""What a host function returns to the engine if its result is not ready: waits, streams, futures.

Plain values and small protocols, so that the semantics and the engine do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = Any
"""A value of a component type, as the engine passes it: see `engine/components/abi/emitter.py`."""


class HostWait:
    """Something that the host waits for: OS descriptors, a time, or a condition that only a guest can fulfil.

    `deadline` is in ns of `time.monotonic_ns`; `jump`, for a virtual clock, moves that clock instead of waiting.
    `ready` is called if neither is given.
    """

    __slots__ = ("deadline", "jump", "readers", "ready", "writers")

    def __init__(
        self,
        *,
        readers: tuple[int, ...] = (),
        writers: tuple[int, ...] = (),
        deadline: int | None = None,
        ready: Callable[[], bool] | None = None,
        jump: Callable[[], None] | None = None,
    ) -> None:
        self.readers = readers
        self.writers = writers
        self.deadline = deadline
        self.ready = ready
        self.jump = jump


class Pending:
    """The result of an async function that has to wait.

    After `wait`, `finish()` returns the result (or raises, or returns another `Pending`). `cancel()` is called if the
    result is not needed any more.
    """

    __slots__ = ("cancel", "finish", "wait")

    def __init__(self, wait: HostWait, finish: Callable[[], Value], cancel: Callable[[], None] = lambda: None) -> None:
        self.wait = wait
        self.finish = finish
        self.cancel = cancel


class Source:
    """A stream from the host.

    `pull(count)` returns at most `count` elements (bytes for a stream of u8, else a list), a `HostWait` if there are
    none yet, or None at the end. It must not raise. `close()` is called once when the stream is not read any more.
    """

    __slots__ = ("close", "pull")

    def __init__(self, pull: Callable[[int], Value], close: Callable[[], None] = lambda: None) -> None:
        self.pull = pull
        self.close = close


class Promise:
    """A future that the host fulfils: `resolve(value)` once."""

    __slots__ = ("_listeners", "done", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: Value = None
        self._listeners: list[Callable[[], None]] = []

    def resolve(self, value: Value) -> None:
        """Set the value; ignored the second time."""
        if self.done:
            return
        self.done, self.value = True, value
        for listener in self._listeners:
            listener()
        self._listeners.clear()

    def then(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the value is set."""
        if self.done:
            listener()
        else:
            self._listeners.append(listener)


class Sink(Protocol):
    """The host's receiver of the elements that a guest writes to a stream."""

    def put(self, data: Value) -> None:
        """Accept elements (bytes for u8). Raises to end the stream."""

    def room(self) -> HostWait | None:
        """None if more can be accepted; else what to wait for."""

    def end(self, error: BaseException | None) -> None:
        """The stream has ended: the guest closed it (None), or `put` raised `error`."""


class Incoming(Protocol):
    """The readable end of a guest's stream or future, as passed to a host function."""

    def consume(self, sink: Sink) -> None:
        """Pass all elements to `sink`."""

    def drop(self) -> None:
        """Close it without reading."""
