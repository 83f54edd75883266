"""A run that goes on, held still: the parts of one report or page of plots then tell of the same calls.

A run that has ended never changes and stands for itself. What grows with a run is `live.py`.
"""

from __future__ import annotations

from typing import Any


class Moment:
    """What a running run was at one moment; everything that does not grow is the run's own."""

    running = True

    def __init__(self, run: Any) -> None:
        self._run = run
        self.seconds = run.seconds
        if getattr(run, "traced", True):
            self.trace = run.trace
            self.denied = self.trace.denied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def settled(run: Any) -> Any:
    """The run, or a `Moment` of one that goes on."""
    return Moment(run) if getattr(run, "running", False) and hasattr(run, "seconds") else run
