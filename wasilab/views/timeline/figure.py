"""The static timeline: one picture of a run, a lane per family, that shows wherever a notebook is read.

What is drawn is computed first, by `lanes`, as plain arrays: any number of calls becomes at most
`bins` bars a lane. The interactive timeline is `widget.py`; other plots are in `plots.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...text.numbers import counted, duration, time_unit
from ...trace.trace import Trace
from ..plots.ink import DIM, canvas, label, new_figure, png
from ..subject import Subject, as_subject, outcome_of, trace_of
from .columns import COLOURS, Columns, Ints, Mask, busy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Bars = npt.NDArray[np.float64]

__all__ = ["ENDINGS", "GLYPHS", "Lane", "draw", "figure", "headline", "lanes", "note", "png"]

GLYPHS = {"refused": "X", "failed": "|", "injected": "D"}
"""The marker of each verdict: a shape beside the colour, for those who cannot tell the colours apart."""

ENDINGS = {"trap": "trap", "limit": "limit", "interrupt": "stopped"}
"""The word beside the mark at the end of a run that did not end by itself."""


def ending_of(run: Subject) -> str:
    """That word for a run, "" for one that ended by itself, still runs, or whose end is not known."""
    outcome = outcome_of(run)
    return ENDINGS.get(outcome.kind, "") if outcome is not None else ""


MOST_NOTES = 12
"""Notes that are marked in the picture."""


@dataclass(frozen=True)
class Lane:
    """One lane as it is drawn."""

    name: str
    """The family, or "guest" for the time between calls."""
    calls: int
    busy_ns: int
    bars: Bars
    """(k, 3): start ns, end ns, height 0..1 (the part of that time in which the lane was busy)."""
    marks: dict[str, Ints]
    """Verdict ("refused", "failed", "injected") -> ns at which to put its glyph."""


def lanes(columns: Columns, bins: int = 1200) -> list[Lane]:
    """The lanes of a run: the guest's own time, then each family that made a call.

    Up to `bins` calls a lane are drawn as they are; more are binned, so the work of drawing has a bound.
    """
    starts, ends = columns.gaps()
    found = [Lane("guest", 0, int((ends - starts).sum()), _bars(starts, ends, columns.span, bins), {})]
    for family, mask in columns.families.items():
        start, end = columns.start[mask], columns.end[mask]
        marks = {
            verdict: _thinned(columns.start, mask & flagged, columns.span, bins // 4)
            for verdict, flagged in (
                ("failed", columns.failed), ("injected", columns.injected), ("refused", columns.refused),
            )
        }  # fmt: skip
        total = int(columns.dur[mask].sum())
        found.append(Lane(family, int(mask.sum()), total, _bars(start, end, columns.span, bins), marks))
    return found


def _bars(start: Ints, end: Ints, span: int, bins: int) -> Bars:
    """At most `bins` bars for these intervals; a bar is at least a 1/bins of the width, so that it can be seen."""
    if len(start) <= bins:
        least = span / bins
        right = np.maximum(end, start + least)
        return np.stack([start.astype(float), right, np.ones(len(start))], axis=1)
    edges = np.linspace(0.0, float(span), bins + 1)
    part = np.clip(busy(start, end, edges) / np.diff(edges), 0.0, 1.0)
    met = np.bincount(np.minimum(start * bins // max(span, 1), bins - 1), minlength=bins) > 0
    height = np.where(met | (part > 0), np.maximum(part, 0.25), 0.0)
    seen = height > 0
    return np.stack([edges[:-1][seen], edges[1:][seen], height[seen]], axis=1)


def _thinned(start: Ints, mask: Mask, span: int, bins: int) -> Ints:
    """The starts of the masked calls, at most one in each of `bins` equal parts of the span."""
    times = start[mask]
    if len(times) <= 1:
        return times
    _, first = np.unique(times * bins // max(span, 1), return_index=True)
    return times[first]


def figure(
    run: Subject | Trace, *, title: str | None = None, width: float = 9.0, ax: Axes | None = None
) -> Figure:
    """The timeline of a run or trace as a Figure, `width` inches wide.

    With `ax` it is drawn into those axes and their figure is returned. `title` defaults to the run's name, its
    calls and its time. An empty run gives a picture that says so.
    """
    run = as_subject(run)
    columns = Columns.of(run)
    drawn = lanes(columns)
    fig, axes = _page(drawn, width) if ax is None else canvas(ax, (width, 1.0))
    words = title if title is not None else headline(run, columns)
    axes.set_title(label(words, 100), loc="left", fontsize=10, y=None if ax is not None else 1.0)
    draw(axes, columns, drawn)
    mark_notes(axes, columns, trace_of(run))
    ending = ending_of(run)
    if ending:
        mark_end(axes, columns, ending)
    return fig


def _page(drawn: list[Lane], width: float) -> tuple[Figure, Axes]:
    """A figure and axes whose margins fit the lanes' names and notes.

    Margins, title and axis label stand where they are reckoned here: to place them, matplotlib would measure every
    text, which takes longer than drawing them.
    """
    height = 1.25 + 0.34 * len(drawn)
    fig = new_figure((width, height), layout=None)
    left, right, bottom, top = 0.75, 0.25 + 0.068 * max(len(note(lane)) for lane in drawn), 0.5, 0.32
    inner = height - bottom - top
    axes = fig.add_axes((left / width, bottom / height, 1 - (left + right) / width, inner / height))
    axes.xaxis.set_label_coords(0.5, -0.25 / inner)
    return fig, axes


def note(lane: Lane) -> str:
    """What stands at the right end of a lane."""
    busy_time = duration(lane.busy_ns)
    return f"{counted(lane.calls, 'call')}, {busy_time}" if lane.calls else busy_time


def headline(run: Subject, columns: Columns) -> str:
    """The line above the picture: name, calls, time, and what was refused or dropped."""
    text = f"{run.name}: " if run.name else ""
    if run.running:
        text += f"{counted(len(columns), 'call')}, still running"
    else:
        span = f" in {duration(columns.span)}" if len(columns) or columns.ended else ""
        text += f"{counted(len(columns), 'call')}{span}"
    refused = int(columns.refused.sum())
    if refused:
        text += f", {refused:,} refused"
    if columns.dropped:
        text += f" (the first {counted(columns.dropped, 'call')} not kept)"
    return text


def draw(axes: Axes, columns: Columns, drawn: list[Lane]) -> None:
    """Draw lanes into `axes`: bars, glyphs, names left, counts right, a time axis with its unit."""
    from matplotlib.collections import PolyCollection
    from matplotlib.ticker import MaxNLocator

    one, unit = time_unit(columns.span)
    width = columns.span / one
    for row, lane in enumerate(drawn):
        y = len(drawn) - 1 - row
        x0, x1, height = lane.bars[:, 0] / one, lane.bars[:, 1] / one, lane.bars[:, 2]
        low, high = np.full(len(height), y - 0.36), y - 0.36 + 0.72 * height
        corners = np.stack([np.stack([x0, low], 1), np.stack([x1, low], 1),
                            np.stack([x1, high], 1), np.stack([x0, high], 1)], axis=1)  # fmt: skip
        axes.add_collection(
            PolyCollection(list(corners), facecolors=COLOURS[lane.name], edgecolors="none",
                           alpha=0.55 if lane.name == "guest" else 1.0, label=lane.name),
            autolim=False,
        )  # fmt: skip
        axes.annotate(note(lane), (1.0, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      va="center", fontsize=8, color=DIM)  # fmt: skip
        for verdict, times in lane.marks.items():
            if len(times):
                axes.plot(times / one, np.full(len(times), y), linestyle="none", marker=GLYPHS[verdict],
                          color=COLOURS[verdict], markeredgecolor="white" if verdict != "failed" else COLOURS[verdict],
                          markeredgewidth=0.6 if verdict != "failed" else 2.0,
                          markersize=9 if verdict != "failed" else 11, clip_on=False, zorder=5)  # fmt: skip
    axes.set_xlim(0, width * 1.002)
    axes.set_ylim(-0.6, len(drawn) - 0.4)
    axes.set_yticks([len(drawn) - 1 - row for row in range(len(drawn))], [lane.name for lane in drawn], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6))  # each tick costs a millisecond
    axes.set_xlabel(f"time since the start of the run ({unit})", fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#8884", linewidth=0.6)
    axes.set_axisbelow(True)
    if not len(columns):
        if not columns.ended:
            axes.set_xticks([])
        axes.text(0.5, 0.5, "no WASI call was made", transform=axes.transAxes, ha="center", va="center", color=DIM)
    _legend(axes, drawn)


def mark_end(axes: Axes, columns: Columns, word: str) -> None:
    """Mark the end of a run that a trap, a limit or a person ended: a line and its word."""
    end = columns.span / time_unit(columns.span)[0]
    axes.axvline(end, color=COLOURS["refused"], linewidth=2, zorder=6)
    axes.annotate(word, (end, 0.0), (-4, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="right",
                  va="bottom", fontsize=8, color=COLOURS["refused"], fontweight="bold")  # fmt: skip


def mark_notes(axes: Axes, columns: Columns, trace: Trace) -> None:
    """A dotted line at each call that a person noted (the first of a span), with the note's beginning."""
    one, _ = time_unit(columns.span)
    seqs, starts = trace.seq, trace.column("t_start")
    for first, last, text in trace.notes[:MOST_NOTES]:
        row = int(np.searchsorted(seqs, first))
        if row < len(seqs) and seqs[row] <= last:
            at = int(starts[row]) / one
            axes.axvline(at, color=DIM, linestyle=":", linewidth=1.2, zorder=4)
            right = at > 0.7 * columns.span / one
            axes.annotate(label(text, 32), (at, 1.0), (-3 if right else 3, -2), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="right" if right else "left", va="top", fontsize=8,
                          color=DIM, style="italic")  # fmt: skip


def _legend(axes: Axes, drawn: list[Lane]) -> None:
    """Name the glyphs that occur, above the picture on the right."""
    from matplotlib.lines import Line2D

    words = {"refused": "refused", "failed": "other errno", "injected": "injected"}
    used = [verdict for verdict in words if any(len(lane.marks.get(verdict, ())) for lane in drawn)]
    if used:
        axes.legend(
            handles=[Line2D([], [], linestyle="none", marker=GLYPHS[v], color=COLOURS[v], markersize=7, label=words[v],
                            markeredgewidth=2.0 if v == "failed" else 0.5)
                     for v in used],
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(used), frameon=False, fontsize=8,
            handletextpad=0.2, columnspacing=1.0, borderaxespad=0.1,
        )  # fmt: skip
