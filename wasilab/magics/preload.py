"""Do in advance what the first cell would wait for: imports, starting Wasmtime, loading fonts.

After `%load_ext wasilab` in a notebook or an IPython terminal a thread waits a moment, imports what a cell needs and
runs a small program once. It shows nothing, makes no widget and writes only that program to the compile cache. The
first magic waits for the thread, so that the two do not import at the same time, or cancels it if it has not begun. At
its end it starts the build of the C library, if the C compiler must still do that; no magic waits for this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

PAUSE = 0.25
"""Seconds to wait after `%load_ext`, so that a cell that is already queued runs first."""


class Preload:
    """Background work that starts when the session is idle and is finished or cancelled before other work."""

    def __init__(self, work: Callable[[], object], pause: float = PAUSE) -> None:
        self._work = work
        self._pause = pause
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._begun = False

    def begin(self) -> None:
        """Start after the pause, on a daemon thread."""
        self._begun = True
        threading.Thread(target=self._go, name="wasilab-preload", daemon=True).start()

    def wait(self) -> None:
        """Cancel it, or wait for its end. Later calls return at once."""
        if self._begun:
            self._cancelled.set()
            self._over.wait()

    def _go(self) -> None:
        try:
            if not self._cancelled.wait(self._pause):
                self._work()
        except Exception:  # noqa: BLE001  (what is broken is reported by the cell that needs it)
            return
        finally:
            self._over.set()


def wanted(shell: object) -> bool:
    """Whether the session is interactive: a kernel, or IPython's terminal with its prompt."""
    return getattr(shell, "kernel", None) is not None or getattr(shell, "pt_app", None) is not None
