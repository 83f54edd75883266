"""The timeline of the run that a cell waits for: it appears when the run takes longer than a moment, and grows.

It goes when the run ends: then the report with the same timeline takes its place, as the cell's value. Everything
here is called on the thread that executes the cell. What a browser asks meanwhile is answered where the kernel can
answer during a cell, and else afterwards.
"""

from __future__ import annotations

import time

from ... import views
from ...runs.run import Run

AFTER = 1.0
"""Seconds of running after which the timeline appears."""
SETTLE_SECONDS = 30.0
"""Seconds that the end of a run is waited for to be in the timeline."""


class LiveView:
    """Watches one run (`commands.line.frontend.Watching`)."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._due = 0.0
        self._shown: views.display.LiveDisplay | None = None

    def started(self, run: Run) -> None:
        """The run has begun."""
        self._run, self._due = run, time.monotonic() + AFTER

    def tick(self) -> None:
        """Many times a second: show the timeline once it is time."""
        run = self._run
        if run is None or self._shown is not None or time.monotonic() < self._due:
            return
        self._run = None  # once, whatever comes of it
        if run.traced and run.running:
            self._shown = views.display.show_live(run)

    def close(self) -> None:
        """The run is over: what comes next shows it."""
        if self._shown is not None:
            self._shown.close(SETTLE_SECONDS)
