"""Streams and futures: the shared state of the two ends, the ends that guests hold, and the buffers between them.

A read waits for a write, or the reverse; the second one copies directly between the two buffers. The host can be at
either end with the same protocol: a `Source` is a stream whose reads the host answers, a `Sink` is a host buffer that
receives a guest's writes.

Source: component-model, `design/mvp/CanonicalABI.md`, "Buffer State", "Stream State", "Future State".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from ....capabilities.waiting import Interrupted
from ....wasi.components.value_types import NUMBERS, PrimitiveType, ValueType, layout
from ....wasi.components.waits import HostWait, Promise, Sink, Source, Value
from ....wasi.types import Trap
from .tasks import ComponentInstance, Waitable

COMPLETED, DROPPED, CANCELLED = range(3)
"""How a copy ended."""
MAX_LENGTH = (1 << 28) - 1

OnCopy = Callable[[Callable[[], None]], None]
OnDone = Callable[[int], None]


class Buffer(Protocol):
    """A source or target of copied elements."""

    @property
    def remaining(self) -> int:
        """Number of elements still to copy."""

    @property
    def is_empty(self) -> bool:
        """Whether it was made for zero elements."""


class ReadBuffer(Buffer, Protocol):
    """Elements to be read."""

    def read(self, count: int) -> Value:
        """The next elements: bytes for u8, a list for other types, a count if there is no element type."""


class WriteBuffer(Buffer, Protocol):
    """Room to be written to."""

    def write(self, values: Value) -> None:
        """Put elements."""


class GuestBuffer:
    """Elements in a guest's memory at `pointer`."""

    def __init__(self, element: ValueType | None, context: Value, pointer: int, length: int) -> None:
        if length > MAX_LENGTH:
            raise Trap(f"stream read/write count too large: {length:,} elements")
        self._element = element
        self._context = context
        self._pointer = pointer
        self._size = 0
        if element is not None:
            self._size, alignment = layout(element)
            if length:
                if pointer & (alignment - 1):
                    raise Trap(f"read/write pointer not aligned: 0x{pointer:x} to {alignment} bytes")
                context.memory.check(pointer, length * self._size, alignment)
        self.length = length
        self.progress = 0

    @property
    def remaining(self) -> int:
        return self.length - self.progress

    @property
    def is_empty(self) -> bool:
        return self.length == 0

    def read(self, count: int) -> Value:
        """Lift elements."""
        found: Value = [None] * count
        if self._element is not None:
            found = self._context.load_elements(self._element, self._pointer, count)
            self._pointer += count * self._size
        self.progress += count
        return found

    def write(self, values: Value) -> None:
        """Lower elements."""
        count = len(values)
        if self._element is not None:
            self._context.store_elements(self._element, values, self._pointer)
            self._pointer += count * self._size
        self.progress += count


class Shared:
    """The shared state of both ends of a stream or future."""

    def __init__(self, element: ValueType | None) -> None:
        self.element = element
        self.dropped = False
        self.life = 0
        """Its number in the trace."""

    def cancel(self) -> None:
        """Cancel the waiting copy."""
        raise NotImplementedError

    def drop(self) -> None:
        """One end is gone."""
        raise NotImplementedError

    def read(self, instance: ComponentInstance | None, to: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        """Copy into a buffer, now or later."""
        raise NotImplementedError


class Rendezvous(Shared):
    """Both ends are guests' or one is: the first of a read and a write waits here for the other."""

    def __init__(self, element: ValueType | None) -> None:
        super().__init__(element)
        self._forget()

    def _forget(self) -> None:
        self._instance: ComponentInstance | None = None
        self._buffer: Value = None
        self._on_copy: OnCopy | None = None
        self._on_done: OnDone | None = None

    def _end_pending(self, result: int) -> None:
        done = self._on_done
        self._forget()
        assert done is not None
        done(result)

    def cancel(self) -> None:
        self._end_pending(CANCELLED)

    def drop(self) -> None:
        if not self.dropped:
            self.dropped = True
            if self._buffer is not None:
                self._end_pending(DROPPED)


class SharedStream(Rendezvous):
    """A stream between two guests, or from a guest to the host."""

    def _remember(self, instance: ComponentInstance | None, buffer: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        self._instance, self._buffer, self._on_copy, self._on_done = instance, buffer, on_copy, on_done

    def read(self, instance: ComponentInstance | None, to: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        if self.dropped:
            on_done(DROPPED)
        elif self._buffer is None:
            self._remember(instance, to, on_copy, on_done)
        else:
            _check_between(self.element, instance, self._instance)
            given = self._buffer
            if given.remaining > 0:
                if to.remaining > 0:
                    to.write(given.read(min(to.remaining, given.remaining)))
                    assert self._on_copy is not None
                    self._on_copy(self._forget)
                on_done(COMPLETED)
            else:
                self._end_pending(COMPLETED)
                self._remember(instance, to, on_copy, on_done)

    def write(self, instance: ComponentInstance | None, given: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        """Copy out of a buffer, now or later."""
        if self.dropped:
            on_done(DROPPED)
        elif self._buffer is None:
            self._remember(instance, given, on_copy, on_done)
        else:
            _check_between(self.element, instance, self._instance)
            to = self._buffer
            if to.remaining > 0:
                if given.remaining > 0:
                    to.write(given.read(min(to.remaining, given.remaining)))
                    if self.dropped:  # by the host, which failed to use what it got
                        on_done(DROPPED)
                        return
                    assert self._on_copy is not None
                    self._on_copy(self._forget)
                on_done(COMPLETED)
            elif given.is_empty and to.is_empty:
                on_done(COMPLETED)
            else:
                self._end_pending(COMPLETED)
                self._remember(instance, given, on_copy, on_done)


class SharedFuture(Rendezvous):
    """A future: one value, once."""

    def read(self, instance: ComponentInstance | None, to: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        if self._buffer is None:
            self._instance, self._buffer, self._on_done = instance, to, on_done
            return
        _check_between(self.element, instance, self._instance)
        to.write(self._buffer.read(1))
        self._end_pending(COMPLETED)
        on_done(COMPLETED)

    def write(self, instance: ComponentInstance | None, given: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        """Provide the value, now or when it is read."""
        if self.dropped:
            on_done(DROPPED)
        elif self._buffer is None:
            self._instance, self._buffer, self._on_done = instance, given, on_done
        else:
            _check_between(self.element, instance, self._instance)
            self._buffer.write(given.read(1))
            if not self.dropped:  # by the host, which failed to use what it got
                self._end_pending(COMPLETED)
            on_done(COMPLETED)


def _check_between(element: ValueType | None, one: ComponentInstance | None, other: ComponentInstance | None) -> None:
    """Trap if an instance copies non-numeric elements to itself, which the specification forbids for now."""
    if one is not None and one is other and not _none_or_number(element):
        raise Trap("cannot read from and write to intra-component stream or future with non-numeric payload")


def _none_or_number(element: ValueType | None) -> bool:
    return element is None or (isinstance(element, PrimitiveType) and element.name in NUMBERS)


class CopyState(IntEnum):
    """The state of an end."""

    IDLE = 1
    COPYING = 2
    CANCELLING = 3
    DONE = 4


class CopyEnd(Waitable):
    """One end of a stream or future, in a handle table."""

    def __init__(self, shared: Value, *, readable: bool, future: bool) -> None:
        super().__init__()
        self.shared = shared
        self.readable = readable
        self.future = future
        self.state = CopyState.IDLE

    @property
    def copying(self) -> bool:
        """Whether a copy is in progress."""
        return self.state in (CopyState.COPYING, CopyState.CANCELLING)

    def copy(self, instance: ComponentInstance, buffer: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        """Read or write, depending on the end."""
        (self.shared.read if self.readable else self.shared.write)(instance, buffer, on_copy, on_done)

    def leave(self) -> None:
        if self.copying:
            raise Trap("cannot drop busy stream or future: a copy is in progress")
        if self.future and not self.readable and self.state is not CopyState.DONE:
            raise Trap("cannot drop future write end without first writing a value")
        self.shared.drop()
        super().leave()


# ---- the host's side


Waits = Callable[[HostWait, Callable[[], None]], Callable[[], None]]
"""waits(what, then) -> stop: call `then()` when `what` is over; `stop()` forgets it."""


class HostStream(Shared):
    """A stream fed by the host (`Source`)."""

    def __init__(self, element: ValueType | None, source: Source, waits: Waits) -> None:
        super().__init__(element)
        self._source = source
        self._waits = waits
        self._pending: tuple[Value, OnDone, Callable[[], None]] | None = None

    def read(self, instance: ComponentInstance | None, to: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        if self.dropped:
            on_done(DROPPED)
        elif not to.remaining:
            on_done(COMPLETED)
        else:
            self._try(to, on_done)

    def _try(self, to: Value, on_done: OnDone) -> None:
        found = self._source.pull(to.remaining)
        if found is None:
            on_done(DROPPED)
        elif isinstance(found, HostWait):
            self._pending = (to, on_done, self._waits(found, self._again))
        else:
            to.write(found)
            on_done(COMPLETED)

    def _again(self) -> None:
        assert self._pending is not None
        (to, on_done, _), self._pending = self._pending, None
        self._try(to, on_done)

    def cancel(self) -> None:
        assert self._pending is not None
        (_, on_done, stop), self._pending = self._pending, None
        stop()
        on_done(CANCELLED)

    def drop(self) -> None:
        if not self.dropped:
            self.dropped = True
            self._source.close()


class HostFuture(Shared):
    """A future fulfilled by the host (`Promise`)."""

    def __init__(self, element: ValueType | None, promise: Promise) -> None:
        super().__init__(element)
        self._promise = promise
        self._pending: tuple[Value, OnDone] | None = None
        promise.then(self._fulfilled)

    def _fulfilled(self) -> None:
        if self._pending is not None:
            (to, on_done), self._pending = self._pending, None
            to.write([self._promise.value])
            on_done(COMPLETED)

    def read(self, instance: ComponentInstance | None, to: Value, on_copy: OnCopy, on_done: OnDone) -> None:
        self._pending = (to, on_done)
        if self._promise.done:
            self._fulfilled()

    def cancel(self) -> None:
        assert self._pending is not None
        (_, on_done), self._pending = self._pending, None
        on_done(CANCELLED)

    def drop(self) -> None:
        self.dropped = True


class HostBuffer:
    """A buffer over a host sink, for at most `most` elements at a time."""

    is_empty = False

    def __init__(self, put: Callable[[Value], None], most: int) -> None:
        self._put = put
        self.remaining = most

    def write(self, values: Value) -> None:
        """Pass elements to the sink."""
        self._put(values)


class GuestStream:
    """A stream or future whose readable end a guest passed to the host (see `wasi.components.waits.Incoming`)."""

    def __init__(self, shared: Value, waits: Waits, *, future: bool = False, most: int = 1 << 20) -> None:
        self.shared = shared
        self._waits = waits
        self._most = 1 if future else most
        self._future = future
        self._sink: Sink | None = None
        self._ended = False

    def consume(self, sink: Sink) -> None:
        """Copy everything that arrives into `sink`."""
        self._sink = sink
        self._arm()

    def drop(self) -> None:
        """Drop it unread."""
        self.shared.drop()

    def _arm(self) -> None:
        """Start the next read, unless the stream has ended or the sink is not ready."""
        assert self._sink is not None
        while not self._ended:
            wait = self._sink.room()
            if wait is not None:
                self._waits(wait, self._arm)
                return
            answered: list[int] = []
            deferred = [False]

            def on_done(result: int, answered: list[int] = answered, deferred: list[bool] = deferred) -> None:
                answered.append(result)
                if deferred[0]:
                    self._done(result)

            self.shared.read(None, HostBuffer(self._put, self._most), self._copied, on_done)
            if not answered:
                deferred[0] = True
                return
            if answered[0] != COMPLETED or self._future:
                self._end(None)

    def _copied(self, reclaim: Callable[[], None]) -> None:
        reclaim()
        self._arm()

    def _done(self, result: int) -> None:
        if result != COMPLETED or self._future:
            self._end(None)
        else:
            self._arm()

    def _put(self, values: Value) -> None:
        assert self._sink is not None
        if self._ended:
            return
        try:
            self._sink.put(values)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001  it becomes the stream's result
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if not self._ended:
            self._ended = True
            assert self._sink is not None
            self._sink.end(error)
            self.shared.drop()
