"""What the first cell would wait for, done while the person types it: imports, Wasmtime's start, the fonts.

After `%load_ext wasilab` in a notebook or an IPython terminal a thread of its own waits a moment, imports what a cell
needs and runs a small program once. It shows nothing, makes no widget and writes nothing but its program in the compile
cache. The first magic waits for it rather than importing the same beside it, or calls it off when it has not begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PAUSE = 0.25
"""Seconds after `%load_ext` in which the next cell comes first, when one is already on its way."""


class Ahead:
    """Work that is begun when nothing else is asked for, and is over before anything is."""

    def __init__(self, work: Callable[[], object], pause: float = PAUSE) -> None:
        self._work = work
        self._pause = pause
        self._called_off = threading.Event()
        self._over = threading.Event()
        self._begun = False

    def begin(self) -> None:
        """Start after the pause, on a daemon thread."""
        self._begun = True
        threading.Thread(target=self._go, name="wasilab-ahead", daemon=True).start()

    def settle(self) -> None:
        """Call it off, or wait for its end; returns at once ever after."""
        if self._begun:
            self._called_off.set()
            self._over.wait()

    def _go(self) -> None:
        try:
            if not self._called_off.wait(self._pause):
                self._work()
        except Exception:  # noqa: BLE001  what is broken is told by the cell that needs it
            return
        finally:
            self._over.set()


def for_cells(widgets: bool) -> None:
    """Import what a cell needs and do once, unseen, what a cell does; `widgets`: what a front end needs, too."""
    from ..runs import runner
    from ..toolchains.registry import toolchain_for
    from . import cell

    assert cell is not None
    run = runner.run(runner.compile(toolchain_for("wat").template, "wat", name="ahead"), stacks=1)
    run._repr_mimebundle_()
    if widgets:
        from ..views import display

        assert display is not None


def wanted(shell: Any) -> bool:
    """Whether somebody sits there: in a kernel, or in IPython's terminal with its prompt."""
    return getattr(shell, "kernel", None) is not None or getattr(shell, "pt_app", None) is not None
