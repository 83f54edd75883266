"""What the panel's tests share: waiting for a condition, the panel's run and chooser, and two guests."""

from __future__ import annotations

from wasilab import Run
from wasilab.panels.chooser import Chooser
from wasilab.panels.panel import Panel

from ..grants.guests import Guest, fd
from ..waiting import until as until

READER = Guest().open("a.txt").read().write("hello\n", fd(1))
ENDLESS = Guest().again().open("a.txt").call("fd_close", "(local.get $fd)")


def going(it: Panel) -> Run:
    """The panel's run."""
    assert it.run is not None
    return it.run


def choose(it: Panel) -> Chooser:
    it.add.click()
    (chooser,) = it.chooser.children
    assert isinstance(chooser, Chooser)
    return chooser
