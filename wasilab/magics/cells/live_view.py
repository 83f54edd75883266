"""The growing timeline of the run that a cell waits for, shown once the run has taken a while.

It is removed when the run ends, and replaced by the report with the same timeline, as the cell's value. Everything
here is called on the thread that executes the cell. The browser's questions are answered during the cell if the kernel
can do that, else afterwards.
"""

from __future__ import annotations

import time

from ... import views
from ...runs.run import Run

AFTER = 1.0
"""Seconds of running after which the timeline appears."""
SETTLE_SECONDS = 30.0
"""Seconds to wait for the end of a run to appear in the timeline."""


class LiveView:
    """Watches one run (`commands.line.frontend.Watching`)."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._due = 0.0
        self._shown: views.display.LiveDisplay | None = None

    def started(self, run: Run) -> None:
        """The run has started. The cell shows its output as it comes, so the timeline does not repeat it at the end."""
        run.streamed = True
        self._run, self._due = run, time.monotonic() + AFTER

    def tick(self) -> None:
        """Called many times a second: show the timeline once it is due."""
        run = self._run
        if run is None or self._shown is not None or time.monotonic() < self._due:
            return
        self._run = None  # only once, even if it fails
        if run.traced and run.running:
            self._shown = views.display.show_live(run)

    def close(self) -> None:
        """The run has ended: the report replaces the timeline."""
        if self._shown is not None:
            self._shown.close(SETTLE_SECONDS)
