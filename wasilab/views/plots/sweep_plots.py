"""The plots of a sweep: a value of its runs over one or two parameters, as a heat map, lines or boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...text.nearest import did_you_mean
from ...text.numbers import counted
from .figures import canvas
from .ink import DIM, INK, LINES, finish, label, legend_beside, nothing, on_cell
from .plots import PlotError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SWEEP_PLOTS = {
    "heat": "a value over two parameters: the mean of the runs of each pair",
    "lines": "a value over a parameter: mean, least and most; a line for each value of another parameter",
    "box": "how a value is distributed: median, quartiles and extremes for each value of a parameter",
}
"""Name -> description."""
VALUES = {
    "ok": "share of runs that ended with status 0", "exit_code": "exit status", "calls": "calls",
    "refused": "refused calls", "failed": "failed calls", "bytes": "bytes moved", "stdout_bytes": "bytes of stdout",
    "seconds": "seconds",
}  # fmt: skip
"""What may be drawn of the runs."""
MOST_VALUES = 60
"""Values of a parameter that an axis has room for; further ones are left out, and the title says so."""
MOST_LINES = 8
_WITH_NUMBERS = 300
"""Cells of a heat map that have their number written in them."""
_LONGEST = 24
Cell = object
Groups = Mapping[tuple[Cell, ...], list[float]]


def sweep_plot(
    kind: str, columns: Mapping[str, Sequence[Cell]], parameters: Sequence[str], *, x: str | None = None,
    y: str | None = None, by: str | None = None, value: str | None = None, ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw one plot of a sweep's table.

    `columns`: the table; those of parameters begin with "p.". `x`, `y` ("heat") and `by` ("lines") are parameters; if
    they are not given, those with the most values are taken. `value`: see `VALUES`. Raises PlotError.
    """
    if kind not in SWEEP_PLOTS:
        raise PlotError(f"unknown plot {kind!r}{did_you_mean(kind, SWEEP_PLOTS, ';')} the kinds are heat, lines, box")
    value = value or ("ok" if kind == "heat" else "calls")
    if value not in VALUES:
        raise PlotError(f"the runs have no {value!r}{did_you_mean(value, VALUES, ';')} there are {', '.join(VALUES)}")
    for name, given, of in (("y", y, "heat"), ("by", by, "lines")):
        if given is not None and kind != of:
            raise PlotError(f"the plot {kind!r} has no option {name!r}: it is for {of!r}")
    for given in (x, y, by):
        if given is not None and given not in parameters:
            known = ", ".join(parameters) or "none"
            close = did_you_mean(given, parameters, ";")
            raise PlotError(f"no parameter {given!r} was swept{close} there are: {known}")
    return _DRAW[kind](_Table(columns, parameters, value), x, y if kind == "heat" else by, ax)


class _Table:
    def __init__(self, columns: Mapping[str, Sequence[Cell]], parameters: Sequence[str], value: str) -> None:
        self.value = value
        self._columns = {name: [_plain(each) for each in columns[f"p.{name}"]] for name in parameters}
        self.values = {name: _ordered(column) for name, column in self._columns.items()}
        """The values of each parameter, in order."""
        self.numbers = _numbers(columns, value)
        self.runs = len(self.numbers)

    def choose(self, given: str | None, *but: str | None) -> str | None:
        """`given`, or the parameter with the most values that is not one of `but`; None if there is none."""
        left = [name for name in self.values if name not in but]
        return given or max(left, key=lambda name: len(self.values[name]), default=None)

    def groups(self, *names: str | None) -> Groups:
        """The numbers of the runs by the values of some parameters; those of lost runs are left out."""
        columns = [self._columns[name] if name is not None else [""] * self.runs for name in names]
        found: dict[tuple[Cell, ...], list[float]] = {}
        for key, number in zip(zip(*columns, strict=True), self.numbers, strict=True):
            if not np.isnan(number):
                found.setdefault(key, []).append(number)
        return found

    def axis(self, name: str | None) -> list[Cell]:
        """The values of a parameter that are drawn; one nameless value for no parameter."""
        return self.values[name][:MOST_VALUES] if name is not None else [""]

    def finish(self, axes: Axes, x: str, y: str, *drawn: str | None) -> None:
        """Title and axis labels; `drawn` are the parameters along the axes."""
        cut = [name for name in drawn if name is not None and len(self.values[name]) > MOST_VALUES]
        note = f"; the first {MOST_VALUES} values of {label(cut[0])}" if cut else ""
        finish(axes, f"{VALUES[self.value]}, {counted(self.runs, 'run')}{note}", label(x), label(y))


def _plain(value: Cell) -> Cell:
    return value if isinstance(value, int | float | str) else str(value)


def _ordered(column: Sequence[Cell]) -> list[Cell]:
    """The different values: numbers by size, others as they come."""
    found = list(dict.fromkeys(column))
    numbers = [value for value in found if isinstance(value, int | float)]
    return [*sorted(numbers)] if len(numbers) == len(found) else found


def _numbers(columns: Mapping[str, Sequence[Cell]], value: str) -> list[float]:
    lost = [kind == "lost" for kind in columns["kind"]]
    if value == "ok":
        pairs = zip(columns["kind"], columns["exit_code"], strict=True)
        found = [float(kind == "exit" and code == 0) for kind, code in pairs]
    else:
        found = [float(each) if isinstance(each, int | float) else float("nan") for each in columns[value]]
    return [float("nan") if gone else number for gone, number in zip(lost, found, strict=True)]


def _ticks(values: Sequence[Cell]) -> list[str]:
    return [label(str(value) or "none", _LONGEST) for value in values]


def _are_tight(names: Sequence[str], inches: float) -> bool:
    """Whether names do not fit beside each other."""
    return sum(len(name) + 2 for name in names) > 11 * inches or max(map(len, names)) * len(names) > 13 * inches


def _name_ticks(axes: Axes, values: Sequence[Cell], inches: float) -> None:
    """Name the places 0, 1, ... of the horizontal axis; slanting where the names do not fit."""
    names = _ticks(values)
    tight = _are_tight(names, inches)
    axes.set_xticks(range(len(names)), names, rotation=40 if tight else 0, ha="right" if tight else "center")


def _heat(table: _Table, x: str | None, y: str | None, ax: Axes | None) -> Figure:
    x = table.choose(x, y)
    y = table.choose(y, x)
    across, down = table.axis(x), table.axis(y)
    width = max(4.5, min(14.0, 2.9 + 0.42 * len(across)))
    slanting = 1.2 if _are_tight(_ticks(across), 0.42 * len(across)) else 0.0
    figure, axes = canvas(ax, (width, max(2.2, min(12.0, 1.5 + 0.34 * len(down))) + slanting))
    groups = table.groups(x, y)
    means = np.array([[_mean(groups.get((a, d))) for a in across] for d in down])
    if np.isnan(means).all():
        nothing(axes, "no run ended")
        return figure
    image = axes.imshow(means, aspect="auto", cmap="cividis", vmin=0 if table.value == "ok" else None,
                        vmax=1 if table.value == "ok" else None)  # fmt: skip
    _name_ticks(axes, across, 0.42 * len(across))
    axes.set_yticks(range(len(down)), _ticks(down))
    if means.size <= _WITH_NUMBERS:
        for (row, column), mean in np.ndenumerate(means):
            if not np.isnan(mean):
                axes.text(column, row, f"{mean:.3g}", ha="center", va="center", fontsize=8,
                          color=on_cell(image.to_rgba(mean)))  # fmt: skip
    figure.colorbar(image, ax=axes).ax.tick_params(labelsize=8)
    table.finish(axes, x or "", y or "", x, y)
    return figure


def _mean(numbers: list[float] | None) -> float:
    return float(np.mean(numbers)) if numbers else float("nan")


def _lines(table: _Table, x: str | None, by: str | None, ax: Axes | None) -> Figure:
    x = table.choose(x, by)
    figure, axes = canvas(ax, (7.5, 3.6))
    across = table.axis(x)
    groups = table.groups(x, by)
    numeric = all(isinstance(value, int | float) for value in across)
    drawn = table.axis(by)[:MOST_LINES]
    for value in drawn:
        there = [(place, groups[at, value]) for place, at in enumerate(across) if (at, value) in groups]
        if not there:
            continue
        places = [float(str(across[place])) if numeric else float(place) for place, _ in there]
        means = [_mean(numbers) for _, numbers in there]
        colour = LINES[len(axes.lines)]
        axes.plot(places, means, marker="o", markersize=4, color=colour, label=label(str(value) or "none", _LONGEST))
        least, most = [min(numbers) for _, numbers in there], [max(numbers) for _, numbers in there]
        axes.fill_between(places, least, most, alpha=0.15, color=colour, linewidth=0)
    if not axes.lines:
        nothing(axes, "no run ended")
        return figure
    if not numeric:
        _name_ticks(axes, across, 6.0)
    if by is not None:
        legend_beside(axes)
    table.finish(axes, x or "", VALUES[table.value], x)
    left_out = len(table.axis(by)) - len(drawn)
    if left_out:
        words = f"{left_out:,} more values of {label(by or '')} are not drawn"
        axes.set_title(words, loc="right", fontsize=8, color=DIM)
    return figure


def _box(table: _Table, x: str | None, _: str | None, ax: Axes | None) -> Figure:
    x = table.choose(x)
    across = table.axis(x)
    figure, axes = canvas(ax, (7.5, max(2.0, min(12.0, 1.3 + 0.3 * len(across)))))
    groups = table.groups(x)
    there = [value for value in across if (value,) in groups]
    if not there:
        nothing(axes, "no run ended")
        return figure
    ink = {"color": INK}
    axes.boxplot([groups[value,] for value in there], orientation="horizontal", widths=0.55, whis=(0, 100),
                 boxprops=ink, whiskerprops=ink, capprops=ink,
                 medianprops={"color": "#c4501b", "linewidth": 1.6})  # fmt: skip
    axes.set_yticks(range(1, len(there) + 1), _ticks(there))
    axes.invert_yaxis()
    table.finish(axes, VALUES[table.value], x or "", x)
    return figure


_DRAW: dict[str, Callable[[_Table, str | None, str | None, Axes | None], Figure]] = {
    "heat": _heat, "lines": _lines, "box": _box,
}  # fmt: skip
