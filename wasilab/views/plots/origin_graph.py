"""The capability graph as a matplotlib figure: the same picture as the widget's and the SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...text.numbers import counted
from ..maps.arrange import BOX, arranged
from ..subject import Subject
from ..timeline.columns import COLOURS
from .figures import canvas
from .ink import DIM, INK, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PROGRAM = "#5b6b7d"
"""The program's box, with white words."""


def capabilities(run: Subject, ax: Axes | None = None) -> Figure:
    """What came from what: the program, its grants, what it opened through them, and what it was refused."""
    from matplotlib.patches import FancyBboxPatch

    drawn = arranged(run)
    fig, axes = canvas(ax, (max(4.0, drawn.width / 92), max(1.2, drawn.height / 92)))
    bad = COLOURS["refused"]
    for line in drawn.lines:
        x0, y0, x1, y1 = line.start.x + line.start.width, line.start.middle, line.end.x, line.end.middle
        bend = min(46.0, (x1 - x0) / 2)
        colour, style = (bad, "--") if line.refused else (DIM, "-")
        axes.plot([x0, x0 + bend, x1], [y0, y1, y1], color=colour, linestyle=style, linewidth=1, zorder=1)
        if line.words:
            axes.text(x1 - 5, y1 - 3, label(line.words), ha="right", va="bottom", fontsize=7, color=colour)
    for box in drawn.boxes:
        kind = box.origin.kind
        edge = {"refused": bad, "grant": COLOURS["fd"], "program": _PROGRAM}.get(kind, DIM)
        axes.add_patch(FancyBboxPatch(
            (box.x, box.y), box.width, BOX, boxstyle="round,pad=0,rounding_size=6",
            linewidth=1.6 if kind == "grant" else 1, facecolor=_PROGRAM if kind == "program" else "#88888822",
            edgecolor=edge, zorder=2, linestyle="--" if kind == "refused" else "-",
        ))  # fmt: skip
        ink = "white" if kind == "program" else bad if kind == "refused" else INK
        axes.text(box.x + 9, box.middle, label(box.label), va="center", fontsize=7.5, color=ink, zorder=3)
    more = f"; {counted(drawn.more, 'more thing')} with fewer calls" if drawn.more else ""
    axes.set_title(label(drawn.words, 110) + more, loc="left", fontsize=10.5)
    axes.set_xlim(0, drawn.width)
    axes.set_ylim(drawn.height, 0)
    axes.set_aspect("equal")
    axes.set_xlabel("what came from what: from the program to the right", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return fig
