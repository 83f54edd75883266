"""The static timeline as a matplotlib figure, to modify, print or combine with other plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...text.numbers import time_unit
from ...trace.trace import Trace
from ..plots.figures import canvas, new_figure
from ..plots.ink import DIM, GRID, label
from ..subject import Subject, as_subject
from .columns import COLOURS
from .passed import COLOUR
from .scene import SIGNS, Scene, note, scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(
    run: Subject | Trace, *, title: str | None = None, width: float = 9.0, ax: Axes | None = None
) -> Figure:
    """The timeline of a run or trace as a Figure, `width` inches wide.

    With `ax` it is drawn into those axes and their figure is returned. `title` defaults to the run's name, its
    calls and its time. The picture of an empty run says so.
    """
    drawn = scene(as_subject(run))
    fig, axes = _page(drawn, width) if ax is None else canvas(ax, (width, 1.0))
    words = title if title is not None else drawn.word("title")
    axes.set_title(label(words, 100), loc="left", fontsize=10, y=None if ax is not None else 1.0)
    _draw(axes, drawn)
    return fig


def _page(drawn: Scene, width: float) -> tuple[Figure, Axes]:
    """A figure and axes whose margins fit the lanes' names and notes.

    Margins, title and axis label are placed by computation here: matplotlib would measure every text to place them,
    which takes longer than drawing them.
    """
    height = 1.25 + 0.34 * drawn.rows
    fig = new_figure((width, height), layout=None)
    longest = max(len(note(drawn, row)) for row in range(drawn.rows))
    names = max(len(text.words) for text in drawn.words("lane"))
    left, right, bottom, top = max(0.75, 0.15 + 0.075 * names), 0.25 + 0.068 * longest, 0.5, 0.32
    inner = height - bottom - top
    axes = fig.add_axes((left / width, bottom / height, 1 - (left + right) / width, inner / height))
    axes.xaxis.set_label_coords(0.5, -0.25 / inner)
    return fig, axes


def _draw(axes: Axes, drawn: Scene) -> None:
    """Draw the scene into `axes`, with x in the most readable unit and y counting lanes from below."""
    from matplotlib.collections import PolyCollection
    from matplotlib.ticker import MaxNLocator

    one, unit = time_unit(drawn.span)

    def y_of(row: int) -> int:
        return drawn.rows - 1 - row

    for bars in drawn.bars:
        x0, x1, height = bars.spans[:, 0] / one, bars.spans[:, 1] / one, bars.spans[:, 2]
        low = np.full(len(height), y_of(bars.row) - 0.36)
        high = low + 0.72 * height
        corners = np.stack([np.stack([x0, low], 1), np.stack([x1, low], 1),
                            np.stack([x1, high], 1), np.stack([x0, high], 1)], axis=1)  # fmt: skip
        axes.add_collection(
            PolyCollection(list(corners), facecolors=COLOURS[bars.colour], edgecolors="none",
                           label=bars.lane),
            autolim=False,
        )  # fmt: skip
    for glyphs in drawn.glyphs:
        axes.plot(glyphs.times / one, np.full(len(glyphs.times), y_of(glyphs.row)), linestyle="none", clip_on=False,
                  zorder=5, markersize=9, **_marker(glyphs.verdict))  # fmt: skip
    for arrow in drawn.arrows:
        axes.annotate("", (arrow.x / one, y_of(arrow.to)), (arrow.x / one, y_of(arrow.row)), zorder=5,
                      arrowprops={"arrowstyle": "-|>", "color": COLOUR, "linewidth": 1.4})  # fmt: skip
    for line in drawn.lines:
        if line.role == "ending":
            axes.axvline(line.x / one, color=COLOURS["refused"], linewidth=2, zorder=6)
        elif line.role == "note":
            axes.axvline(line.x / one, color=DIM, linestyle=":", linewidth=1.2, zorder=4)
    for row in range(drawn.rows):
        axes.annotate(note(drawn, row), (1.0, y_of(row)), (6, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", va="center", fontsize=8, color=DIM)  # fmt: skip
    for text in drawn.words("ending"):
        axes.annotate(text.words, (text.x / one, 0.0), (-4, 3), xycoords=("data", "axes fraction"),
                      textcoords="offset points", ha="right", va="bottom", fontsize=8, color=COLOURS["refused"],
                      fontweight="bold")  # fmt: skip
    for text in drawn.words("note"):
        right = text.x > 0.7 * drawn.span
        axes.annotate(label(text.words, 32), (text.x / one, 1.0), (-3 if right else 3, -2),
                      xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if right else "left",
                      va="top", fontsize=8, color=DIM, style="italic")  # fmt: skip
    axes.set_xlim(0, drawn.span / one * 1.002)
    axes.set_ylim(-0.6, drawn.rows - 0.4)
    names = drawn.words("lane")
    axes.set_yticks([y_of(name.row) for name in names], [label(name.words, 40) for name in names], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    if drawn.words("tick"):
        axes.xaxis.set_major_locator(MaxNLocator(6))  # not the scene's ticks: the user may zoom into these axes
    else:
        axes.set_xticks([])
    axes.set_xlabel(f"time since the start of the run ({unit})", fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    if drawn.word("empty"):
        axes.text(0.5, 0.5, drawn.word("empty"), transform=axes.transAxes, ha="center", va="center", color=DIM)
    _legend(axes, drawn)


def _marker(verdict: str) -> dict[str, Any]:
    """The sign of a verdict as matplotlib's marker: its outline, y upwards."""
    outline = [(x, -y) for x, y in SIGNS[verdict].outline]
    return {"marker": outline, "color": COLOURS[verdict], "markeredgecolor": "white", "markeredgewidth": 0.6}


def _legend(axes: Axes, drawn: Scene) -> None:
    """Name the glyphs that occur, above the picture on the right."""
    from matplotlib.lines import Line2D

    if drawn.verdicts:
        axes.legend(
            handles=[Line2D([], [], linestyle="none", markersize=7, label=SIGNS[verdict].words,
                            **_marker(verdict)) for verdict in drawn.verdicts],
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(drawn.verdicts), frameon=False, fontsize=8,
            handletextpad=0.2, columnspacing=1.0, borderaxespad=0.1, labelcolor=axes.title.get_color(),
        )  # fmt: skip
