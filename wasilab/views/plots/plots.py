"""The plots of a run by name, and a page of the most useful ones.

`plot(run, "latency")` returns a matplotlib `Figure`; `kinds()` lists the names. What each plot shows is in
`by_call.py` (calls and time) and `things.py` (descriptors and paths); each is one function that draws into
the given axes or a new figure, and returns the Figure. A notebook displays a Figure as an image.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Unpack

from ...text.nearest import did_you_mean
from ...trace.trace import Trace
from ..subject import Subject, as_subject, snapshot, trace_of
from ..timeline.columns import Columns
from ..timeline.figure import figure
from ..timeline.scene import headline
from . import by_call, origin_graph
from . import things as plots_things
from .figures import new_figure
from .ink import INK, label
from .plot_options import PLOT_KINDS, PlotOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Plot = Callable[..., "Figure"]

_DRAW: dict[str, Plot] = {
    "timeline": figure,
    "counts": by_call.counts,
    "latency": by_call.latency,
    "box": by_call.box,
    "time": by_call.host_and_guest,
    "transitions": by_call.transitions,
    "refusals": by_call.refused,
    "compare": by_call.compare,
    "bytes": plots_things.moved,
    "fds": plots_things.open_descriptors,
    "gantt": plots_things.gantt,
    "paths": plots_things.paths,
    "capabilities": origin_graph.capabilities,
}
KINDS: dict[str, tuple[Plot, str]] = {name: (_DRAW[name], words) for name, words in PLOT_KINDS.items()}
"""Name -> (function, what it shows)."""

OVERVIEW = ("timeline", "counts", "latency", "gantt", "time", "paths", "bytes", "transitions")
"""Plots with a legend beside them, which are stacked in one column."""


class PlotError(ValueError):
    """A plot that cannot be drawn; the message says what to use instead."""


def kinds() -> dict[str, str]:
    """Every kind of plot and what it shows."""
    return {name: words for name, (_, words) in KINDS.items()}


def plot(
    run_or_trace: Subject | Trace, kind: str = "timeline", ax: Axes | None = None, **options: Unpack[PlotOptions]
) -> Figure:
    """Draw one plot of a run or trace and return its Figure; with `ax`, into those axes.

    `options` go to the plot's function (`other=` for "compare", `by="bytes"` for "paths"). Raises PlotError for a kind
    that does not exist, with the nearest name and the list of all, and for an option that the kind does not have.
    """
    if kind not in KINDS:
        raise PlotError(f"unknown plot {kind!r}{did_you_mean(kind, KINDS, ';')} the kinds are {', '.join(KINDS)}")
    draw = KINDS[kind][0]
    known = [name for name in signature(draw).parameters if name not in ("run", "ax")]
    wrong = [name for name in options if name not in known]
    if wrong:
        raise PlotError(f"the plot {kind!r} has no option {wrong[0]!r}; it has {', '.join(known) or 'none'}")
    return draw(snapshot(as_subject(run_or_trace)), ax=ax, **options)


def plots(run_or_trace: Subject | Trace) -> Figure:
    """A page with the most useful plots of a run."""
    run = snapshot(as_subject(run_or_trace))
    columns = Columns.of(run)
    calls, lives = min(len(columns.numbers), by_call.MOST), len(trace_of(run).store.lives)
    rows = (calls, min(lives, plots_things.MOST), plots_things.MOST // 2)
    heights = [0.9 + 0.34 * (1 + len(columns.families)), *(max(2.3, 0.8 + 0.17 * n) for n in rows), 1.6 + 0.22 * calls]
    fig = new_figure((12, sum(heights) + 0.4), dpi=100)
    fig.suptitle(label(headline(run, columns), 110), fontsize=12, x=0.01, ha="left", color=INK)
    grid = fig.add_gridspec(5, 2, height_ratios=heights)
    places = [grid[0, :], *(grid[row, column] for row in (1, 2, 3) for column in (0, 1)), grid[4, :]]
    for kind, place in zip(OVERVIEW, places, strict=True):
        plot(run, kind, fig.add_subplot(place))
    fig.axes[0].set_title("timeline", loc="left", fontsize=10)
    return fig
