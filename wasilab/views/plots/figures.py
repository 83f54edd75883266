"""Our figures: new ones, or the axes that the user gives.

matplotlib's object-oriented `Figure` only (never pyplot: it is not thread-safe and leaks into the user's own figures).
A figure of ours is black on white whatever style the user has chosen for theirs, and fits its page in a notebook
(`themed.py`). What is drawn into the user's axes follows the user's style.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..ipython import shows_html
from .ink import INK
from .themed import bundle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def canvas(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The figure and axes to draw in: those of `ax`, or new ones of `size` inches."""
    if ax is not None:
        return ax.get_figure(root=True), ax  # type: ignore[return-value]
    fig = new_figure(size)
    return fig, fig.subplots()


def new_figure(size: tuple[float, float], dpi: int = 120, layout: str | None = "constrained") -> Figure:
    """A figure of `size` inches that is shown if it is the last value of a cell."""
    return _figure_class()(figsize=size, dpi=dpi, layout=layout, facecolor="white", edgecolor="white")  # type: ignore[arg-type]


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that needs neither pyplot nor a backend to be shown in a notebook."""

        def add_subplot(self, *args: Any, **options: Any) -> Axes:
            return _in_ink(super().add_subplot(*args, **options))

        def add_axes(self, *args: Any, **options: Any) -> Axes:
            return _in_ink(super().add_axes(*args, **options))

        def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
            return bundle(self) if shows_html() else {}  # a terminal would discard it

    return Picture


def _in_ink(axes: Axes) -> Axes:
    """Set the colours that would come from the user's style."""
    axes.set_facecolor("none")
    axes.tick_params(which="both", color=INK, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_edgecolor(INK)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
    for place in ("left", "right"):
        axes.set_title("", loc=place, color=INK)
    return axes
