"""Shared by all plots: our figure class, text that the font can draw, axes with units, the PNG.

matplotlib's object-oriented `Figure` only (never pyplot: it is not thread-safe and leaks into the user's own figures).
The other files of this folder and `timeline/figure.py` decide what is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from ...text.escape import shorten, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIM = "#667080"
"""The colour of notes and grid labels."""


def canvas(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The figure and axes to draw in: those of `ax`, or new ones of `size` inches."""
    if ax is not None:
        return ax.get_figure(root=True), ax  # type: ignore[return-value]
    fig = new_figure(size)
    return fig, fig.subplots()


def new_figure(size: tuple[float, float], dpi: int = 120, layout: str | None = "constrained") -> Figure:
    """A figure of `size` inches that is shown as a PNG if it is the last value of a cell."""
    return _figure_class()(figsize=size, dpi=dpi, layout=layout)  # type: ignore[arg-type]


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that needs neither pyplot nor a backend to be shown in a notebook."""

        def _repr_png_(self) -> bytes:
            return png(self)

    return Picture


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
                handletextpad=0.4, columnspacing=1.2)  # fmt: skip


def legend_beside(axes: Axes, *, reverse: bool = False) -> None:
    """The legend right of the axes, where no line can cross it."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, reverse=reverse)


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


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, on white (a transparent one is unreadable on a dark page)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    figure.set_facecolor("white")
    before = figure.canvas
    try:
        FigureCanvasAgg(figure).print_png(out)  # type: ignore[no-untyped-call]  # `savefig` draws everything twice
    finally:
        figure.set_canvas(before)
    return out.getvalue()
