"""The threads of a run: started with a deep stack, kept for many calls, and ended in time.

Starting a thread costs more than calling a short function of a guest, so an instance that is kept alive has one
`Worker` for all its calls, and one `TimeLimit` that sleeps through the short ones. What is run on them, and who waits
for it, is `worker.py`'s.
"""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue

STACK_BYTES = 16 << 20
"""Stack of the guest's thread: Wasmtime takes up to 512 KiB of it, Python's host calls stand on top."""

_stack_size_lock = threading.Lock()

Task = Callable[[], object]


def spawn(target: Task, name: str) -> None:
    """Start a daemon thread with a deep stack, in a copy of this thread's context (so output finds its cell)."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(target), name=name, daemon=True)
    with _stack_size_lock:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(before)


class Worker:
    """A thread that performs tasks one after another, from the first one until `end()` or until it is forgotten.

    Each task runs in a copy of the context of the thread that gave it. A task must not raise: it has nobody to tell.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._begun = False
        # The thread knows the queue and not this object, so a worker that nobody holds any more ends by itself.
        self._finalizer = weakref.finalize(self, self._tasks.put, None)
        self._finalizer.atexit = False

    def do(self, task: Task) -> None:
        """Perform `task` on the thread, after those given before; return at once."""
        context = contextvars.copy_context()
        self._tasks.put(lambda: context.run(task))
        if not self._begun:
            self._begun = True
            tasks = self._tasks
            spawn(lambda: _perform(tasks), self._name)

    def end(self) -> None:
        """Let the thread end once it has performed what it was given. Ending twice does nothing."""
        self._finalizer()


def _perform(tasks: SimpleQueue[Task | None]) -> None:
    while True:
        task = tasks.get()
        if task is None:
            return
        task()
        task = None  # while it waits for the next one, the thread holds nothing of the last


class TimeLimit:
    """Calls a function when its time is over, unless disarmed before; `seconds` counts from each `arm`, by `now`.

    One thread serves any number of short calls: it is not woken by arming and disarming, but looks again when the
    earliest time that it knew of has come, and ends when nothing is armed then.
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
        """Call `over` from another thread in `seconds` from now; whatever was armed before is forgotten."""
        with self._lock:
            self._over = over
            self._deadline = self._now() + self._seconds
            if self._watched or self._bell.is_set():
                return
            self._watched = True
        spawn(self._watch, "wasilab time limit")

    def disarm(self) -> None:
        """It was over in time."""
        self._over = None

    def close(self) -> None:
        """Disarm, and let the thread end now."""
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
                # Where `now` stands still for a while, the last moment is looked at again and again: not too often.
                self._bell.wait(min(max(left, 0.01), threading.TIMEOUT_MAX))
