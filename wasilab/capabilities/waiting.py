"""Waiting that can be stopped: every blocking host call waits on an `Interrupt` beside the thing it waits for.

An epoch interrupts WebAssembly code but not a host call (measured: a host sleep of 3 s delays the interrupt by
3 s). So a host call that may block selects on its own descriptor *and* on `Interrupt.fileno()`.
"""

from __future__ import annotations

import os
import select
import threading
import time

from .uncopyable import Uncopyable


class Interrupted(Exception):
    """The run was interrupted while a host call waited."""


class Interrupt(Uncopyable):
    """A one-way switch that other threads set and blocking host calls wait on.

    It is backed by a pipe, so it can stand in a `select`/`poll` list beside sockets and pipes on every POSIX
    system. Once set it stays set: one run, one `Interrupt`.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
        self._lock = threading.Lock()
        self._set = False
        self._closed = False

    def set(self) -> None:
        """Interrupt: wakes every waiter, now and later. Safe from any thread, any number of times."""
        with self._lock:
            if not self._set:
                self._set = True
                if not self._closed:
                    os.write(self._write, b"!")

    def is_set(self) -> bool:
        """Whether the run has been interrupted."""
        return self._set

    def fileno(self) -> int:
        """A descriptor that turns readable, for good, once the interrupt is set."""
        return self._read

    def check(self) -> None:
        """Raise `Interrupted` if the interrupt is set."""
        if self._set:
            raise Interrupted

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep `timeout` seconds (`None`: without end) or until the interrupt is set; return whether it is."""
        wait_any((), (), timeout, self, check=False)
        return self._set

    def close(self) -> None:
        """Close the descriptors; a later `set` still marks the interrupt."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)

    def __del__(self) -> None:
        if hasattr(self, "_closed"):  # an interrupt whose pipe could not be made has nothing to close
            self.close()


def wait_any(
    readers: tuple[int, ...] | list[int],
    writers: tuple[int, ...] | list[int],
    timeout: float | None,
    interrupt: Interrupt,
    *,
    check: bool = True,
) -> tuple[list[int], list[int]]:
    """Wait until one of the OS descriptors is ready, `timeout` seconds pass or `interrupt` is set.

    Returns the readable and the writable descriptors (both empty after a timeout). Raises `Interrupted` when
    interrupted, unless `check` is false. Uses poll(2): no limit on descriptor numbers, no busy waiting. A
    timeout longer than poll can express is waited for in pieces.
    """
    poller = select.poll()
    masks: dict[int, int] = {interrupt.fileno(): select.POLLIN}
    for fd in readers:
        masks[fd] = masks.get(fd, 0) | select.POLLIN
    for fd in writers:
        masks[fd] = masks.get(fd, 0) | select.POLLOUT
    for fd, mask in masks.items():
        poller.register(fd, mask)
    deadline = None if timeout is None else time.monotonic() + max(0.0, timeout)
    while True:
        if interrupt.is_set():
            if check:
                raise Interrupted
            return [], []
        piece = 86_400.0 if deadline is None else min(86_400.0, max(0.0, deadline - time.monotonic()))
        # poll(2) counts whole milliseconds: round up, so that a wait never ends early.
        events = [e for e in poller.poll(-(-piece * 1000 // 1)) if e[0] != interrupt.fileno()]
        if events:
            ready_in = set(readers)
            ready_out = set(writers)
            bad = select.POLLERR | select.POLLHUP | select.POLLNVAL
            return (
                [fd for fd, ev in events if fd in ready_in and ev & (select.POLLIN | bad)],
                [fd for fd, ev in events if fd in ready_out and ev & (select.POLLOUT | bad)],
            )
        if deadline is not None and time.monotonic() >= deadline and not interrupt.is_set():
            return [], []
