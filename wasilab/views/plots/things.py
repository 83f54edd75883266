"""Plots of the descriptors and paths that a program uses.

Each function computes plain arrays, draws them into `ax` (or a new figure) and returns the Figure. The list of
plots is in `plots.py`; plots of calls and time are in `by_call.py`.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...text.escape import visible
from ...text.numbers import counted, size, size_unit, time_unit
from ...trace.columns.merged import passed_on
from ...trace.record.recorder import Life
from ...trace.strace.lines import fd_text
from ...trace.trace import Trace
from ...wasi.operations import Operation
from ..subject import Subject, trace_of
from ..timeline.columns import COLOURS, Columns, Ints
from ..timeline.passed import COLOUR, forged_lanes, lane_name, lent_spans, passed_descriptors
from .figures import canvas
from .ink import LINES, bar_notes, finish, label, legend_beside, nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 16
FLOWS = 6
ARROWS = 200
"""Passed descriptors that are drawn."""
POINTS = 1000
_HEAT = ("#c98100", "#b6304a")
"""The colours of little and much."""
_READS = (Operation.READ, Operation.RECEIVE, Operation.LIST)
_WRITES = (Operation.WRITE, Operation.SEND)


@dataclass(frozen=True)
class Flow:
    """The bytes through one descriptor: `total` bytes moved until each of `times` (ns)."""

    name: str
    writes: bool
    times: Ints
    total: Ints


def flows(run: Subject) -> list[Flow]:
    """A flow for each descriptor and direction that moved bytes, the largest first."""
    columns, store = Columns.of(run), trace_of(run).store
    found = []
    operations = columns.functions.operations
    for writes, wanted in ((False, _READS), (True, _WRITES)):
        numbers = [number for number in columns.numbers if operations[number] in wanted]
        mask = np.isin(columns.call, numbers) & (columns.nbytes > 0)
        for handle in np.unique(columns.handle[mask]).tolist():
            rows = np.flatnonzero(mask & (columns.handle == handle))
            life = store.lives.get(handle)
            name = fd_text(life.fd, life.path) if life is not None else "unknown descriptor"
            total = np.cumsum(columns.nbytes[rows].astype(np.int64))
            found.append(Flow(name, writes, columns.end[rows], total))
    return sorted(found, key=lambda flow: -int(flow.total[-1]))


def moved(run: Subject, ax: Axes | None = None) -> Figure:
    """Cumulative bytes read (solid) and written (dashed) over time, one line per descriptor."""
    columns = Columns.of(run)
    lines = flows(run)
    fig, axes = canvas(ax, (6.4, 3.2))
    one, unit = time_unit(columns.span)
    most, bytes_unit = size_unit(max((int(flow.total[-1]) for flow in lines), default=0))
    if not lines:
        nothing(axes, "no bytes were read or written")
    for index, flow in enumerate(lines[:FLOWS]):
        keep = np.unique(np.linspace(0, len(flow.times) - 1, min(len(flow.times), POINTS)).astype(int))
        times = np.concatenate(([0], flow.times[keep], [columns.span])) / one
        total = np.concatenate(([0], flow.total[keep], flow.total[-1:])) / most
        way = "written" if flow.writes else "read"
        axes.step(times, total, where="post", linestyle="--" if flow.writes else "-", color=LINES[index], linewidth=1.6,
                  label=f"{label(flow.name, 24)}\n{way} {size(int(flow.total[-1]))}")  # fmt: skip
    if lines:
        legend_beside(axes)
        axes.set_xlim(0, columns.span / one)
        axes.set_ylim(bottom=0)
    more = f" (the {FLOWS} largest of {len(lines)})" if len(lines) > FLOWS else ""
    finish(axes, f"bytes moved{more}", f"time ({unit})", bytes_unit)
    return fig


def open_counts(run: Subject) -> tuple[Ints, Ints]:
    """(ns, descriptors open from then on), the start included."""
    trace, columns = trace_of(run), Columns.of(run)
    times, steps = [0], [0]
    for life in trace.store.lives.values():
        opened, closed = _span(trace, columns, life)
        times.append(opened)
        steps.append(1)
        if life.closed_seq >= 0:
            times.append(closed)
            steps.append(-1)
    order = np.argsort(np.array(times), kind="stable")
    return np.array(times)[order], np.cumsum(np.array(steps)[order])


def open_descriptors(run: Subject, ax: Axes | None = None) -> Figure:
    """The number of open descriptors over time, and how many are left open at the end."""
    columns = Columns.of(run)
    times, counts = open_counts(run)
    fig, axes = canvas(ax, (6.4, 2.6))
    one, unit = time_unit(columns.span)
    axes.step(np.append(times, columns.span) / one, np.append(counts, counts[-1]), where="post", color=COLOURS["fd"])
    axes.fill_between(np.append(times, columns.span) / one, np.append(counts, counts[-1]), step="post", alpha=0.2,
                      color=COLOURS["fd"])  # fmt: skip
    axes.set_ylim(0, 1.08 * max(int(counts.max()), 1))
    axes.set_xlim(0, columns.span / one)
    axes.yaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    leaked = len(trace_of(run).fds().leaked)
    more = f", {leaked} opened and never closed" if leaked else ""
    finish(axes, f"open descriptors: at most {int(counts.max())}{more}", f"time ({unit})", "open")
    return fig


def gantt(run: Subject, ax: Axes | None = None) -> Figure:
    """A bar for each descriptor from open to close, with its calls as ticks and a cross on those that were refused.

    In a trace of several instances each name begins with its instance's, and an arrow leads from a passed descriptor to
    the receiver's; a number that was refused has a lane of its own.
    """
    trace, columns = trace_of(run), Columns.of(run)
    store, lives = trace.store, list(trace.store.lives.values())
    passed = passed_descriptors(store, columns, ARROWS)
    shared = {life for each in passed for life in (each.data.sender_life, each.data.receiver_life)}
    busiest = np.bincount(columns.handle, minlength=max((life.life for life in lives), default=0) + 1)
    wanted = sorted(lives, key=lambda life: (life.life not in shared, -int(busiest[life.life])))[:MOST]
    chosen = sorted(wanted, key=lambda life: life.life)[::-1]
    forged = forged_lanes(passed)
    fig, axes = canvas(ax, (7, 1.2 + 0.26 * max(len(chosen) + len(forged), 3)))
    one, unit = time_unit(columns.span)
    if not chosen:
        nothing(axes, "no descriptor was open")
    lent, crosses = lent_spans(passed), 0
    for row, life in enumerate(chosen, len(forged)):
        opened, closed = lent.get(life.life) or _span(trace, columns, life)
        axes.barh(row, max(closed - opened, columns.span / 400) / one, left=opened / one, height=0.62,
                  color=(COLOURS["fd"], 0.25), edgecolor=COLOURS["fd"], linewidth=0.8)  # fmt: skip
        times = columns.start[columns.handle == life.life]
        if len(times) > POINTS:
            times = times[np.unique(times * POINTS // columns.span, return_index=True)[1]]
        axes.vlines(times / one, row - 0.31, row + 0.31, color=COLOURS["fd"], linewidth=1)
        no = columns.start[(columns.handle == life.life) & columns.refused][:POINTS] / one
        crosses += len(no)
        axes.plot(no, [row] * len(no), linestyle="none", marker="x", markersize=7, markeredgewidth=2,
                  color=COLOURS["refused"], zorder=5)  # fmt: skip
        if life.closed_seq < 0 and life.opened_seq >= 0 and life.life not in lent:
            axes.annotate("never closed", (columns.span / one, row), (4, 0), textcoords="offset points", ha="left",
                          va="center", fontsize=8, color=COLOURS["failed"])  # fmt: skip
    rows = {life.life: row for row, life in enumerate(chosen, len(forged))}
    for each in passed:
        at, giver, taker = each.data.at / one, rows.get(each.data.sender_life), rows.get(each.data.receiver_life)
        if each.receiver and giver is not None and taker is not None:
            axes.annotate("", (at, taker), (at, giver), zorder=5,
                          arrowprops={"arrowstyle": "-|>", "color": COLOUR, "linewidth": 1.4})  # fmt: skip
        elif not each.receiver and each.sender in forged:
            axes.plot(at, forged.index(each.sender), linestyle="none", marker="X", markersize=8,
                      color=COLOURS["refused"], zorder=5)  # fmt: skip
    if chosen:
        names = [label(f"{name}: not open, refused", 40) for name in forged]
        names += [label(lane_name(store, life), 40) for life in chosen]
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, columns.span / one)
    more = f" (the {MOST} busiest of {len(lives):,})" if len(lives) > MOST else ""
    count = sum(bool(each.receiver_life) for each in passed_on(store))
    passing = f", {counted(count, 'was passed on', 'were passed on')}" if passed else ""
    marked = f", {counted(crosses, 'refused call')} (×)" if crosses else ""
    finish(axes, f"descriptors{more}{passing}{marked}", f"time ({unit})")
    return fig


def directories(run: Subject, by: str = "calls") -> dict[str, int]:
    """Directory -> calls (or bytes) on it and on what lies in it, directly; directories above sum those below."""
    trace, columns = trace_of(run), Columns.of(run)
    ids = trace.target_ids if columns.order is None else trace.target_ids[columns.order]
    weights = np.ones(len(columns)) if by == "calls" else columns.nbytes.astype(float)
    totals = np.bincount(ids, weights=weights, minlength=len(trace.store.targets)) if len(ids) else np.zeros(0)
    known = {visible(life.path) for life in trace.store.lives.values() if life.kind == 3 or life.preopen}
    found: dict[str, int] = {}
    for (full, _), amount in zip(trace.store.targets, totals.tolist(), strict=False):
        if not full or not amount or full.startswith("<"):
            continue
        full = visible(full)
        folder = full if full in known else posixpath.dirname(full) or full
        while True:
            found[folder] = found.get(folder, 0) + int(amount)
            above = posixpath.dirname(folder)
            if above in (folder, ""):
                break
            folder = above
    return found


def branches(found: dict[str, int]) -> dict[str, int]:
    """`found` without directories that only contain one other (they would show the same figure twice)."""
    totals: dict[str, set[int]] = {}
    for path, amount in found.items():
        if path != "/":
            totals.setdefault(posixpath.dirname(path), set()).add(amount)
    return {path: amount for path, amount in found.items() if amount not in totals.get(path, ())}


def paths(run: Subject, ax: Axes | None = None, *, by: str = "calls") -> Figure:
    """The tree of directories with the calls (or `by="bytes"`) on each as heat; a directory includes those below."""
    if by not in ("calls", "bytes"):
        raise ValueError(f"paths are plotted by 'calls' or by 'bytes', not by {by!r}")
    found = branches(directories(run, by))
    kept = sorted(sorted(found, key=lambda path: -found[path])[:MOST])[::-1]
    fig, axes = canvas(ax, (6.4, 1.2 + 0.28 * max(len(kept), 2)))
    if not kept:
        nothing(axes, "no path was used")
    else:
        from matplotlib.colors import LinearSegmentedColormap

        most = max(found[path] for path in kept)
        heat = LinearSegmentedColormap.from_list("heat", _HEAT)
        values = [found[path] for path in kept]
        axes.barh(range(len(kept)), values, color=[heat(v / most) for v in values])
        axes.set_yticks(range(len(kept)), [label(path, 46) for path in kept])
        bar_notes(axes, values, [size(v) if by == "bytes" else counted(v, "call") for v in values])
    more = f" (the {MOST} hottest of {len(found):,})" if len(found) > MOST else ""
    finish(axes, f"{by} by directory{more}", by)
    return fig


def _span(trace: Trace, columns: Columns, life: Life) -> tuple[int, int]:
    """(ns opened, ns closed) of a descriptor; the run's start and end where the trace does not have them."""
    seqs, ends = trace.column("seq"), trace.column("t_end")
    first = int(seqs[0]) if len(seqs) else 0

    def at(seq: int, otherwise: int) -> int:
        return int(ends[seq - first]) if 0 <= seq - first < len(ends) else otherwise

    return at(life.opened_seq, 0), at(life.closed_seq, columns.span) if life.closed_seq >= 0 else columns.span
