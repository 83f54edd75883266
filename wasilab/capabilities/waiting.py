"""Interruptible waiting: every blocking host call also waits on an `Interrupt`.

An epoch interrupts WebAssembly code but not a host call (measured: a host sleep of 3 s delays the interrupt by 3 s). So
a host call that may block polls its own descriptor *and* `Interrupt.fileno()`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .uncopyable import Uncopyable

if TYPE_CHECKING:
    import socket

Descriptors = Sequence[int]
Ready = tuple[list[int], list[int]]
"""The readable and the writable descriptors."""


class Interrupted(Exception):
    """The run was interrupted while a host call waited."""


class Readiness:
    """A descriptor that is readable while something is ready, for `wait_any` together with sockets and pipes.

    A pipe; where only sockets can be polled (Windows), a pair of sockets. Not thread-safe: its owner has a lock.
    """

    def __init__(self) -> None:
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        if hasattr(os, "pipe2"):
            self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        elif hasattr(select, "poll"):
            self._read, self._write = os.pipe()
        else:
            import socket  # 3 ms of a start, for Windows only

            self._sockets = socket.socketpair()
            self._read, self._write = (each.fileno() for each in self._sockets)

    def set(self) -> None:
        """Make it readable; call at most once before each `clear`."""
        if self._sockets is None:
            os.write(self._write, b"!")
        else:
            self._sockets[1].send(b"!")

    def clear(self) -> None:
        """Make it not readable again, after one `set`."""
        if self._sockets is None:
            os.read(self._read, 1)
        else:
            self._sockets[0].recv(1)

    def fileno(self) -> int:
        """The descriptor."""
        return self._read

    def close(self) -> None:
        """Close it; no method may be called afterwards."""
        if self._sockets is None:
            os.close(self._read)
            os.close(self._write)
        else:
            for each in self._sockets:
                each.close()


class Interrupt(Uncopyable):
    """A one-way switch that other threads set and blocking host calls wait on.

    It has a descriptor, so it can be polled together with sockets and pipes. Once set it stays set: one run, one
    `Interrupt`.
    """

    def __init__(self) -> None:
        self._ready = Readiness()
        self._lock = threading.Lock()
        self._set = False
        self._closed = False

    def set(self) -> None:
        """Interrupt: wakes every waiter, now and later. Safe from any thread, any number of times."""
        with self._lock:
            if not self._set:
                self._set = True
                if not self._closed:
                    self._ready.set()

    def is_set(self) -> bool:
        """Whether the run has been interrupted."""
        return self._set

    def fileno(self) -> int:
        """A descriptor that becomes readable, permanently, when the interrupt is set."""
        return self._ready.fileno()

    def check(self) -> None:
        """Raise `Interrupted` if the interrupt is set."""
        if self._set:
            raise Interrupted

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep `timeout` seconds (`None`: forever) or until the interrupt is set; return whether it is set."""
        wait_any((), (), timeout, self, check=False)
        return self._set

    def close(self) -> None:
        """Close the descriptor; a later `set` still marks the interrupt."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._ready.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):  # without it, creating the descriptor failed
            self.close()


def wait_any(
    readers: Descriptors, writers: Descriptors, timeout: float | None, interrupt: Interrupt, *, check: bool = True
) -> Ready:
    """Wait until one of the OS descriptors is ready, `timeout` seconds pass or `interrupt` is set.

    Returns the readable and the writable descriptors (both empty after a timeout). Raises `Interrupted` when
    interrupted, unless `check` is false. It does not busy-wait. With poll(2) there is no limit on descriptor numbers;
    with only select(2), on Windows, only sockets can be polled. A timeout longer than the system can express is split.
    """
    way = _by_poll if hasattr(select, "poll") else _by_select
    wait = way(readers, writers, interrupt.fileno())
    deadline = None if timeout is None else time.monotonic() + max(0.0, timeout)
    while True:
        if interrupt.is_set():
            if check:
                raise Interrupted
            return [], []
        piece = 86_400.0 if deadline is None else min(86_400.0, max(0.0, deadline - time.monotonic()))
        ready = wait(piece)
        if ready[0] or ready[1]:
            return ready
        if deadline is not None and time.monotonic() >= deadline and not interrupt.is_set():
            return [], []


def hung_up(fd: int) -> bool:
    """Whether the peer of a connection has shut down or is gone; False if the system cannot tell."""
    if not hasattr(select, "poll"):
        return False
    gone = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
    poller = select.poll()
    poller.register(fd, select.POLLIN | getattr(select, "POLLRDHUP", 0))
    return any(events & gone for _, events in poller.poll(0))


def _by_poll(readers: Descriptors, writers: Descriptors, interrupt: int) -> Callable[[float], Ready]:
    """A function that waits by poll(2) for so many seconds."""
    poller = select.poll()
    masks: dict[int, int] = {interrupt: select.POLLIN}
    for fd in readers:
        masks[fd] = masks.get(fd, 0) | select.POLLIN
    for fd in writers:
        masks[fd] = masks.get(fd, 0) | select.POLLOUT
    for fd, mask in masks.items():
        poller.register(fd, mask)

    def wait(seconds: float) -> Ready:
        # poll(2) counts whole milliseconds: round up, so that a wait never ends early.
        events = [event for event in poller.poll(-(-seconds * 1000 // 1)) if event[0] != interrupt]
        if not events:
            return [], []
        ready_in, ready_out = set(readers), set(writers)
        bad = select.POLLERR | select.POLLHUP | select.POLLNVAL
        return (
            [fd for fd, found in events if fd in ready_in and found & (select.POLLIN | bad)],
            [fd for fd, found in events if fd in ready_out and found & (select.POLLOUT | bad)],
        )

    return wait


def _by_select(readers: Descriptors, writers: Descriptors, interrupt: int) -> Callable[[float], Ready]:
    """A function that waits by select(2) for so many seconds."""

    def wait(seconds: float) -> Ready:
        # Windows reports a failed connection only in the third list.
        can_read, can_write, failed = select.select([*readers, interrupt], writers, writers, seconds)
        return list({*can_read} - {interrupt}), list({*can_write, *failed})

    return wait
