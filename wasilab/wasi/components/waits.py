"""What a host function hands to the engine when it has no answer yet: things to wait for, streams, futures.

Plain values and small protocols, so that the semantics know nothing of the engine and the engine nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = Any
"""A value of a component type, as the engine passes it: see `engine/components/abi/emitter.py`."""


class HostWait:
    """Something that the host waits for: descriptors of the OS, a time, or a condition that only a guest can fulfil.

    `deadline` is in ns of `time.monotonic_ns`; `jump`, for a virtual clock, moves that clock instead of waiting.
    `ready` is asked where neither is given.
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
    """The answer of an async function that has to wait.

    Once `wait` is over, `finish()` gives the result (or raises, or gives another `Pending`). `cancel()` is called when
    nobody wants it any more.
    """

    __slots__ = ("cancel", "finish", "wait")

    def __init__(self, wait: HostWait, finish: Callable[[], Value], cancel: Callable[[], None] = lambda: None) -> None:
        self.wait = wait
        self.finish = finish
        self.cancel = cancel


class Source:
    """A stream that the host feeds.

    `pull(count)` gives at most `count` elements (bytes for a stream of u8, else a list), a `HostWait` when there are
    none yet, or None at the end. It raises nothing. `close()` is called once when nobody reads any more.
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
        """Give the value; the second time changes nothing."""
        if self.done:
            return
        self.done, self.value = True, value
        for listener in self._listeners:
            listener()
        self._listeners.clear()

    def then(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the value is there."""
        if self.done:
            listener()
        else:
            self._listeners.append(listener)


class Sink(Protocol):
    """Where the host puts what a guest writes into a stream."""

    def put(self, data: Value) -> None:
        """Take elements (bytes for u8). Raises to end the stream."""

    def room(self) -> HostWait | None:
        """None while more can be taken; else what to wait for."""

    def end(self, error: BaseException | None) -> None:
        """Nothing more comes: the guest closed it (None), or `put` raised `error`."""


class Incoming(Protocol):
    """The readable end of a stream or future that a guest gave away, as a host function gets it."""

    def consume(self, sink: Sink) -> None:
        """Let everything that comes go into `sink`."""

    def drop(self) -> None:
        """Read nothing of it."""
