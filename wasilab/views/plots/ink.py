"""Shared by all plots: colours, text that the font can draw, axes with units.

The figures themselves are made in `figures.py`; the other files of this folder and `timeline/figure.py` decide what is
drawn. A shape's colour has a contrast of at least 3 to a white page and to a dark one, because it is the same on both.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from ...text.escape import shorten, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#000000"
"""Text, ticks and frames: in a notebook the page's text colour (`themed.py`)."""
ON_PALE = "#010101"
"""Black on a pale cell: this black stays black on a dark page."""
DIM = "#667080"
"""Notes and frames of lesser things: in a notebook the page's text colour, fainter."""
GRID = "#88888899"
LINES = ("#1f77b4", "#d06a00", "#2a9d3a", "#d62728", "#9467bd", "#8c564b", "#c45aa8", "#17919e")
"""The colours of lines that have none of their own."""


def label(text: str | bytes, limit: int = 60) -> str:
    """Guest text as one line that matplotlib draws literally: no mathematics, no character that the font lacks."""
    shown = shorten(visible(text), limit)
    if any(ord(c) > 0x17F for c in shown if c != "…"):  # all our fonts have the Latin letters and the µ of "µs"
        known = _characters()
        shown = "".join(c if ord(c) in known else f"\\u{ord(c):04x}" for c in shown)
    return shown.replace("$", r"\$")


@cache
def _characters() -> frozenset[int]:
    """The characters of the font that pictures are drawn with."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def on_cell(colour: Any) -> str:
    """The colour of words on a cell of that colour (red, green, blue; 0 to 1): whichever has more contrast."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return ON_PALE if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 else "white"


def finish(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Title, axis labels and the plain frame that all plots share."""
    axes.set_title(title, loc="left", fontsize=10.5)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def nothing(axes: Axes, words: str) -> None:
    """Write in the middle of empty axes why there is nothing to draw."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=DIM, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def bar_notes(axes: Axes, values: Iterable[float], words: list[str]) -> None:
    """Write a note at the end of each horizontal bar, and make room for it."""
    for row, (value, text) in enumerate(zip(values, words, strict=True)):
        axes.annotate(text, (float(value), row), (4, 0), textcoords="offset points", va="center", fontsize=8, color=DIM)
    axes.margins(x=0.18)
    axes.set_ylim(min(-0.6, len(words) / 2 - 1.6), max(len(words) - 0.4, len(words) / 2 + 0.6))  # keep few bars slim
    count_axis(axes)


def legend_above(axes: Axes) -> None:
    """The legend in one row above the axes on the right, beside the title: no bar can lie under it."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, fontsize=8, frameon=False, borderaxespad=0.2,
                handletextpad=0.4, columnspacing=1.2, labelcolor=axes.title.get_color())  # fmt: skip


def legend_beside(axes: Axes, *, reverse: bool = False) -> None:
    """The legend right of the axes, where no line can cross it."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, reverse=reverse,
                labelcolor=axes.title.get_color())  # fmt: skip


def count_axis(axes: Axes) -> None:
    """A horizontal axis of whole numbers: few ticks, thousands separated."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def log_axis(axes: Axes) -> None:
    """A logarithmic horizontal axis in plain numbers ("0.5", "20", "1,000"), also within one decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high / low < 3e3 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
