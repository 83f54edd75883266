"""The threads of a run, with deep stacks: a reusable worker, and a time limit.

Starting a thread costs more than calling a short guest function, so a live instance has one `Worker` for all its calls,
and one `TimeLimit` that short calls do not wake. The tasks and the waiting are in `worker.py`.
"""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue

STACK_BYTES = 16 << 20
"""Stack of the guest's thread: Wasmtime uses up to 512 KiB, and Python's host calls run on top of it."""

_stack_size_lock = threading.Lock()

Task = Callable[[], object]


def spawn(target: Task, name: str) -> None:
    """Start a daemon thread with a deep stack, in a copy of this thread's context (so that output goes to its cell)."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(target), name=name, daemon=True)
    with _stack_size_lock:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(before)


class Worker:
    """A thread that performs tasks in order, from the first one until `end()` or until the object is garbage-collected.

    Each task runs in a copy of the submitting thread's context. A task must not raise: nothing would handle the
    exception.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._begun = False
        # The thread refers to the queue, not to this object, so an unreferenced worker ends by itself.
        self._finalizer = weakref.finalize(self, self._tasks.put, None)
        self._finalizer.atexit = False

    def do(self, task: Task) -> None:
        """Queue `task` for the thread; returns at once."""
        context = contextvars.copy_context()
        self._tasks.put(lambda: context.run(task))
        if not self._begun:
            self._begun = True
            tasks = self._tasks
            spawn(lambda: _perform(tasks), self._name)

    def end(self) -> None:
        """End the thread after its queued tasks. Ending twice does nothing."""
        self._finalizer()


def _perform(tasks: SimpleQueue[Task | None]) -> None:
    while True:
        task = tasks.get()
        if task is None:
            return
        task()
        task = None  # while the thread waits, it must not hold references to the last task


class TimeLimit:
    """Calls a function when its time is up, unless disarmed before; `seconds` counts from each `arm`, by `now`.

    One thread serves any number of short calls. Arming and disarming do not wake it: it checks again at the earliest
    deadline it knew of, and ends if nothing is armed then.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._over: Task | None = None
        self._deadline = 0.0
        self._watched = False

    def arm(self, over: Task) -> None:
        """Call `over` from another thread `seconds` from now; this replaces an earlier deadline."""
        with self._lock:
            self._over = over
            self._deadline = self._now() + self._seconds
            if self._watched or self._bell.is_set():
                return
            self._watched = True
        spawn(self._watch, "wasilab time limit")

    def disarm(self) -> None:
        """Cancel the deadline: the call ended in time."""
        self._over = None

    def close(self) -> None:
        """Disarm, and end the thread now."""
        self.disarm()
        self._bell.set()

    def _watch(self) -> None:
        while True:
            with self._lock:
                over, left = self._over, self._deadline - self._now()
                if over is None or self._bell.is_set():
                    self._watched = False
                    return
                if left <= 0:
                    self._over = None
            if left <= 0:
                over()
            else:
                over = None
                # While `now` is paused, the deadline stays near: limit how often it is checked.
                self._bell.wait(min(max(left, 0.01), threading.TIMEOUT_MAX))
