"""What the panel's tests share: waiting for a condition, the panel's run and chooser, and two guests."""

from __future__ import annotations

import time
from collections.abc import Callable

from wasilab import Run
from wasilab.panels.chooser import Chooser
from wasilab.panels.panel import Panel

from ..grants.guests import Guest, fd

READER = Guest().open("a.txt").read().write("hello\n", fd(1))
ENDLESS = Guest().again().open("a.txt").call("fd_close", "(local.get $fd)")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def going(it: Panel) -> Run:
    """The panel's run."""
    assert it.run is not None
    return it.run


def choose(it: Panel) -> Chooser:
    it.add.click()
    (chooser,) = it.chooser.children
    assert isinstance(chooser, Chooser)
    return chooser
