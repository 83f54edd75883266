"""The kinds of plots and their options, for help texts, Tab and signatures. Nothing is drawn here."""

from __future__ import annotations

from typing import Literal, TypedDict

from ...trace.trace import Trace
from ..subject import Subject

PLOT_KINDS = {
    "timeline": "what the program did when, one lane per family",
    "counts": "how often each call was made, and how it ended",
    "latency": "how long calls took: cumulative distribution (log scale)",
    "box": "how long calls took: median, quartiles and extremes by call",
    "time": "time in the host against time in the guest, over the run",
    "transitions": "which call follows which",
    "refusals": "refused calls by reason",
    "compare": "two runs beside each other, call by call",
    "bytes": "bytes read and written over time, by descriptor",
    "fds": "open descriptors over time",
    "gantt": "the lifetime of each descriptor, and its calls",
    "paths": "calls or bytes by directory",
    "capabilities": "what was opened through which grant, and what was refused",
}
"""Name -> description."""


class PlotOptions(TypedDict, total=False):
    """The options of the plots, beside the kind."""

    other: Subject | Trace
    """A second run or trace ("compare")."""
    by: Literal["calls", "bytes"]
    """What is counted ("paths")."""
    bins: int
    """Columns of the picture ("time")."""
    title: str | None
    """The title ("timeline"; default: how the run ended)."""
    width: float
    """Inches ("timeline")."""
