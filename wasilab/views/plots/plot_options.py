"""The options of the plots by name, for the signatures of `plot` and `Run.plot`. Light: nothing is drawn here."""

from __future__ import annotations

from typing import Literal, TypedDict

from ...trace.trace import Trace
from ..subject import Subject


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
