"""Plots of calls and time: counts, latencies, host against guest, transitions, refusals, two runs compared.

Each function computes plain arrays, draws them into `ax` (or a new figure) and returns the Figure. Times use the most
readable unit, named on the axis. The list of plots is in `plots.py`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...text.numbers import counted, duration, time_unit
from ...trace.answers.summary import CallSummary
from ...trace.record.functions import Functions
from ...trace.trace import Trace
from ..subject import Subject, as_subject, outcome_of, trace_of
from ..timeline.columns import COLOURS, Columns, Ints, busy, summary_rows
from ..timeline.scene import headline
from .figures import canvas
from .ink import (
    DIM,
    GRID,
    INK,
    LINES,
    bar_notes,
    finish,
    label,
    legend_above,
    legend_beside,
    log_axis,
    nothing,
    on_cell,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

MOST = 14
"""Rows (calls, descriptors, ...) that one plot shows; the rest is summed or said."""


def colour_of(call: str, functions: Functions) -> str:
    """The colour of the call's family."""
    return COLOURS[functions.families[functions.names.index(call)]] if call in functions.names else COLOURS["unknown"]


def counts(run: Subject, ax: Axes | None = None) -> Figure:
    """Bars of the number of calls by name: succeeded, other errno, refused."""
    rows = sorted(summary_rows(run), key=lambda row: row.calls)[-MOST:]
    functions = trace_of(run).functions
    fig, axes = canvas(ax, (6.4, 1.2 + 0.28 * max(len(rows), 3)))
    if not rows:
        nothing(axes, "no WASI call was made")
    at = np.arange(len(rows))
    left = np.zeros(len(rows))
    for words, values, colours, hatch in (
        (
            "succeeded", [r.calls - max(r.errors, r.refused) for r in rows],
            [colour_of(r.call, functions) for r in rows], None,
        ),
        ("other errno", [other_errors(r) for r in rows], COLOURS["failed"], "//"),
        ("refused", [r.refused for r in rows], COLOURS["refused"], "xx"),
    ):
        if any(values):
            axes.barh(at, values, left=left, color=colours, hatch=hatch, edgecolor="white", linewidth=0,
                      label=words if hatch else None)  # fmt: skip
            left += np.array(values)
    if rows:
        axes.set_yticks(at, [row.call for row in rows])
        bar_notes(axes, left, [counted_as(row) for row in rows])
        if any(row.errors or row.refused for row in rows):
            legend_above(axes)
    finish(axes, "calls by name", "calls")
    return fig


def counted_as(row: CallSummary) -> str:
    """How often a call was made, and how many were refused or failed, which may be too few to see in a bar."""
    others = other_errors(row)
    parts = [f"{row.refused:,} refused"] * bool(row.refused) + [f"{others:,} other errno"] * bool(others)
    return f"{row.calls:,}" + (f" ({', '.join(parts)})" if parts and row.calls > 1 else "")


def other_errors(row: CallSummary) -> int:
    """Calls that returned an errno without being refused."""
    return max(row.errors - row.refused, 0)


def latency(run: Subject, ax: Axes | None = None) -> Figure:
    """For each call the cumulative distribution of its latency (0 to 1); the time axis is logarithmic."""
    columns = Columns.of(run)
    rows: Sequence[CallSummary] = summary_rows(run)
    rows = ([row for row in rows if row.calls > 1] or rows)[:8]
    fig, axes = canvas(ax, (6.4, 3.4))
    if not rows:
        nothing(axes, "no WASI call was made")
    styles = ("-", "--", "-.", ":")
    for index, row in enumerate(rows):
        times, part = ecdf(columns, row.call)
        x, y = np.append(times[:1], times) / 1e3, np.append(0, part)
        # one colour per call, not per family: lines of one family cross
        axes.step(x, y, where="post", label=f"{row.call} ({row.calls:,})", linewidth=1.5, color=LINES[index],
                  linestyle=styles[index % 4])  # fmt: skip
    if rows:
        axes.set_xscale("log")
        log_axis(axes)
        axes.set_ylim(0, 1.02)
        legend_beside(axes)
        axes.grid(color=GRID, linewidth=0.5)
    finish(axes, "latency by call, cumulative", "time in the host (µs, log scale)", "part of the calls, at most")
    return fig


def ecdf(columns: Columns, name: str, points: int = 500) -> tuple[Floats, Floats]:
    """The empirical distribution of a call's latency: (ns ascending, part of the calls), at most `points` points.

    A latency of 0 ns (a clock too coarse to see it) is drawn as 1 ns: a logarithmic axis has no 0.
    """
    number = next(n for n in columns.numbers if columns.functions.names[n] == name)
    times = np.maximum(np.sort(columns.dur[columns.call == number]), 1)
    part = np.arange(1, len(times) + 1) / len(times)
    if len(times) > points:
        chosen = np.unique(np.concatenate((np.linspace(0, len(times) - 1, points).astype(int), [len(times) - 1])))
        times, part = times[chosen], part[chosen]
    return times, part


def box(run: Subject, ax: Axes | None = None) -> Figure:
    """One box per call: median, quartiles, whiskers at 1 % and 99 %, the longest as a point; logarithmic."""
    columns = Columns.of(run)
    rows = summary_rows(run)[:MOST][::-1]
    fig, axes = canvas(ax, (6.4, 1.2 + 0.3 * max(len(rows), 3)))
    if not rows:
        nothing(axes, "no WASI call was made")
    else:
        axes.set_xscale("log")
        boxes = [quartiles(columns, row.call) for row in rows]
        ink = {"color": INK}
        drawn = axes.bxp(
            boxes, orientation="horizontal", showfliers=True, patch_artist=True, widths=0.6,
            boxprops={"edgecolor": INK}, whiskerprops=ink, capprops=ink, medianprops={**ink, "linewidth": 1.6},
            flierprops={"marker": "o", "markersize": 3, "markeredgecolor": INK},
        )  # fmt: skip
        for patch, row in zip(drawn["boxes"], rows, strict=True):
            patch.set_facecolor(colour_of(row.call, columns.functions))
        log_axis(axes)
        axes.grid(axis="x", color=GRID, linewidth=0.5)
        axes.set_axisbelow(True)
    key = "box: quartiles, whiskers: 1 % and 99 %, point: longest"
    finish(axes, "latency by call, quartiles", f"time in the host (µs, log scale)\n{key}")
    return fig


def quartiles(columns: Columns, name: str) -> dict[str, object]:
    """The figures of one box, in µs, as `Axes.bxp` takes them."""
    number = next(n for n in columns.numbers if columns.functions.names[n] == name)
    times = np.maximum(columns.dur[columns.call == number], 1) / 1e3
    low, first, middle, third, high = np.percentile(times, (1, 25, 50, 75, 99))
    return {"label": name, "whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high,
            "fliers": [times.max()]}  # fmt: skip


def host_and_guest(run: Subject, ax: Axes | None = None, bins: int = 200) -> Figure:
    """The share of time spent in the host, by family, over the run; the rest is the guest's."""
    columns = Columns.of(run)
    fig, axes = canvas(ax, (6.4, 3.2))
    edges, layers = shares(columns, bins)
    one, unit = time_unit(columns.span)
    if not len(columns):
        nothing(axes, "no WASI call was made")
    else:
        axes.stackplot(edges[:-1] / one, list(layers.values()), step="post", linewidth=0,
                       labels=[f"{name} {duration(total(columns, name))}" for name in layers],
                       colors=[COLOURS[name] for name in layers])  # fmt: skip
        axes.set_ylim(0, 1)
        axes.set_xlim(0, edges[-1] / one)
        legend_beside(axes, reverse=True)
    guest = total(columns, "guest")
    finish(axes, f"host {duration(columns.host_ns)}, guest {duration(guest)}", f"time ({unit})", "part of the time")
    return fig


def shares(columns: Columns, bins: int) -> tuple[Floats, dict[str, Floats]]:
    """(edges in ns, family or "guest" -> part of each bin, 0..1)."""
    edges = np.linspace(0.0, float(columns.span), bins + 1)
    width = columns.span / bins
    families = columns.families.items()
    layers = {name: busy(columns.start[mask], columns.end[mask], edges) / width for name, mask in families}
    return edges, {**layers, "guest": busy(*columns.gaps(), edges) / width}


def total(columns: Columns, name: str) -> int:
    """ns spent in a family, or in the guest."""
    if name == "guest":
        starts, ends = columns.gaps()
        return int((ends - starts).sum())
    return int(columns.dur[columns.families[name]].sum())


def transitions(run: Subject, ax: Axes | None = None) -> Figure:
    """A matrix: how often the column's call followed the row's call, as a share of the row."""
    columns = Columns.of(run)
    names, matrix = following(columns)
    fig, axes = canvas(ax, (1.9 + 0.42 * max(len(names), 4), 1.5 + 0.36 * max(len(names), 3)))
    if not matrix.any():
        nothing(axes, "fewer than two calls")
    else:
        part = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        # Neither the palest nor the darkest blue, and no cell for what never happened: the page may be dark or light.
        image = axes.imshow(np.ma.masked_equal(part, 0), cmap="Blues", vmin=-0.5, vmax=1.5, aspect="auto")
        for row, column in np.argwhere(matrix > 0):
            axes.text(column, row, f"{100 * part[row, column]:.0f}", ha="center", va="center", fontsize=7.5,
                      color=on_cell(image.to_rgba(part[row, column])))  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
    finish(axes, "which call follows which (% of the row)", "next call" if names else "", "call" if names else "")
    return fig


def following(columns: Columns, most: int = MOST) -> tuple[list[str], Ints]:
    """(names, counts): counts[i, j] = how often j directly followed i, among the `most` most frequent calls."""
    frequent = sorted(columns.numbers, key=lambda n: -int((columns.call == n).sum()))[:most]
    place = np.full(256, -1)
    place[frequent] = np.arange(len(frequent))
    first, second = place[columns.call[:-1]], place[columns.call[1:]]
    both = (first >= 0) & (second >= 0)
    size = len(frequent)
    matrix = np.bincount(first[both] * size + second[both], minlength=size * size).reshape(size, size)
    return [columns.functions.names[n] for n in frequent], matrix


def refused(run: Subject, ax: Axes | None = None) -> Figure:
    """Bars of the refused calls by reason, in words."""
    entries = sorted(trace_of(run).denied, key=lambda entry: entry.count)[-MOST:]
    fig, axes = canvas(ax, (8, 1.2 + 0.42 * max(len(entries), 2)))
    if not entries:
        nothing(axes, "nothing was refused")
    else:
        amounts = [e.count for e in entries]
        axes.barh(range(len(entries)), amounts, height=0.6, color=COLOURS["refused"], hatch="xx",
                  edgecolor="white", linewidth=0)  # fmt: skip
        words = ["\n".join(textwrap.wrap(label(e.sentence, 170), 60, break_on_hyphens=False)) for e in entries]
        axes.set_yticks(range(len(entries)), words)
        bar_notes(axes, amounts, [f"{e.count:,}, by {e.denied_by.name.lower()}" for e in entries])
    finish(axes, f"refused: {counted(sum(e.count for e in entries), 'call')}", "calls")
    return fig


def compare(run: Subject, ax: Axes | None = None, *, other: Subject | Trace | None = None) -> Figure:
    """Calls by name of two runs side by side, noting the change in total time."""
    if other is None:
        raise ValueError("a comparison needs a second run: plot(run, 'compare', other=run2)")
    second = as_subject(other)
    left = {row.call: row for row in summary_rows(run)}
    right = {row.call: row for row in summary_rows(second)}
    most = {n: max(table[n].calls for table in (left, right) if n in table) for n in {*left, *right}}
    names = sorted(most, key=lambda n: (most[n], n))[-MOST:]
    fig, axes = canvas(ax, (7, 1.6 + 0.4 * max(len(names), 2)))
    if not names:
        nothing(axes, "neither run made a WASI call")
    from matplotlib.patches import Patch

    at, keys = np.arange(len(names)), []
    for offset, table, words, alpha in ((0.2, left, "first", 1.0), (-0.2, right, "second", 0.3)):
        values = [table[n].calls if n in table else 0 for n in names]
        no = [table[n].refused if n in table else 0 for n in names]
        functions = trace_of(run if words == "first" else second).functions
        colours = [colour_of(n, functions) for n in names]
        axes.barh(at + offset, values, 0.38, color=[(colour, alpha) for colour in colours], edgecolor=colours)
        which = run if words == "first" else second
        keys.append(Patch(facecolor=(DIM, alpha), edgecolor=DIM, label=_run_name(which, words)))
        if any(no):
            axes.barh(at + offset, no, 0.38, left=np.subtract(values, no), color=COLOURS["refused"], hatch="xx",
                      edgecolor="white", linewidth=0)  # fmt: skip
    if names:
        axes.set_yticks(at, names)
        bar_notes(axes, [most[n] for n in names], [_change(left.get(n), right.get(n)) for n in names])
    finish(axes, "two runs, calls by name (refused hatched)", "calls; noted: calls and total time, first → second")
    if names:
        inches = axes.get_figure(root=True).get_figheight()  # type: ignore[union-attr]
        axes.legend(handles=keys, fontsize=8, frameon=False, loc="upper left",
                    bbox_to_anchor=(0.0, -0.6 / inches), labelcolor=axes.title.get_color())  # fmt: skip
    return fig


def _run_name(run: Subject, words: str) -> str:
    columns = Columns.of(run)
    outcome = outcome_of(run)
    status = f", exit {outcome.exit_code}" if outcome is not None else ""
    return label(f"{words}: {headline(run, columns)}{status}", 60)


def _change(first: CallSummary | None, second: CallSummary | None) -> str:
    if first is None:
        return "" if second is None else f"only in the second: {second.calls:,}"
    if second is None:
        return f"only in the first: {first.calls:,}"
    return f"{first.calls:,} → {second.calls:,}, {duration(first.total)} → {duration(second.total)}"
