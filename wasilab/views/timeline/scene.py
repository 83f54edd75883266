"""The static timeline as shapes: what is drawn and where, for every back end.

`scene` turns a run into bars, glyphs, texts and lines: x in ns since the run's start, y in lanes from the top. The back
ends place them: `svg.py` in a page, `png.py` in a bitmap, `figure.py` in a matplotlib figure. Any number of calls
becomes at most `bins` bars per lane, so the work of drawing is bounded. The interactive timeline is in `interactive/`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...text.escape import shorten
from ...text.numbers import counted, duration, time_unit
from ...trace.columns.store import Store
from ..endings import mark_of
from ..subject import Subject, trace_of
from .columns import Columns, Cover, Ints, Mask, Spans, counted_in_bins
from .passed import PassedArrow, forged_lanes, lane_name, passed_descriptors

MOST_NOTES = 12
"""The most user notes marked in the picture."""
MOST_PASSED, MOST_HOLDERS = 1000, 12
"""Passed descriptors that are looked at, and lanes of those that were passed."""
ARROWS = 60
"""The most arrows between the same two lanes."""


@dataclass(frozen=True, slots=True)
class Sign:
    """How a verdict on a call is shown: a shape as well as a colour, for colour-blind readers."""

    words: str
    char: str
    """The glyph as a character, for pages; the interactive timeline writes the same."""
    outline: tuple[tuple[float, float], ...]
    """The glyph as a polygon in the square from -1 to 1, y downwards."""


SIGNS: Mapping[str, Sign] = {
    "refused": Sign("refused", "✖", (
        (-1, -.5), (-.5, -1), (0, -.5), (.5, -1), (1, -.5), (.5, 0), (1, .5), (.5, 1), (0, .5), (-.5, 1), (-1, .5),
        (-.5, 0),
    )),
    "failed": Sign("other errno", "┃", ((-.3, -1), (.3, -1), (.3, 1), (-.3, 1))),
    "injected": Sign("injected", "◆", ((0, -1), (1, 0), (0, 1), (-1, 0))),
}  # fmt: skip
"""Verdict -> its sign, the most important first."""


@dataclass(frozen=True)
class Lane:
    """One lane of calls, or the guest's own."""

    name: str
    """The family, "guest" for the time between calls, or a descriptor that an instance passed or received."""
    colour: str
    """The key of its colour in `COLOURS`."""
    calls: int
    busy_ns: int
    bars: Spans
    """(k, 3): start ns, end ns, height 0..1 (the part of that time in which the lane was busy)."""
    marks: dict[str, Ints]
    """Verdict -> ns at which to put its glyph."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of one lane, standing on the lane's floor."""

    row: int
    lane: str
    """The lane's name."""
    colour: str
    """The key of its colour in `COLOURS`."""
    spans: Spans
    """(k, 3): start ns, end ns, height 0..1."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The glyphs of one verdict in one lane, in the middle of the lane's height."""

    row: int
    verdict: str
    times: Ints
    """ns."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """A descriptor that was passed from the lane `row` to the lane `to`."""

    row: int
    to: int
    x: float
    """ns."""
    words: str
    """Who passed which number to whom."""


Role = Literal["title", "lane", "calls", "time", "tick", "axis", "ending", "note", "empty"]


@dataclass(frozen=True, slots=True)
class Label:
    """A text and its role, which determines its place.

    "title" above the picture; "lane" left of a row, "calls" and "time" right of it; "tick" at `x` under the axis,
    "axis" below it; "ending" and "note" at their lines; "empty" in the middle of a picture without calls. A title or
    note may hold text from a guest or the user: the back end makes it visible.
    """

    role: Role
    words: str
    row: int = 0
    x: float = 0.0
    """ns."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A vertical line through all lanes: a tick of the axis, the end that a run came to, or a user's note."""

    role: Literal["tick", "ending", "note"]
    x: float
    """ns."""


@dataclass(frozen=True)
class Scene:
    """Everything that a static timeline shows."""

    span: int
    """ns from left to right."""
    rows: int
    bars: tuple[Bars, ...]
    glyphs: tuple[Glyphs, ...]
    texts: tuple[Label, ...]
    lines: tuple[Rule, ...]
    arrows: tuple[Arrow, ...] = ()

    @property
    def verdicts(self) -> list[str]:
        """The verdicts that occur, for the legend, in the order of `SIGNS`."""
        met = {each.verdict for each in self.glyphs}
        return [verdict for verdict in SIGNS if verdict in met]

    def words(self, role: Role) -> list[Label]:
        """The texts of one role."""
        return [text for text in self.texts if text.role == role]

    def word(self, role: Role) -> str:
        """The text of a role that occurs once, "" where it does not."""
        return next((text.words for text in self.texts if text.role == role), "")


def scene(run: Subject, *, bins: int = 1200) -> Scene:
    """The timeline of a run: `bins` bars a lane at most."""
    columns = Columns.of(run)
    passed = passed_descriptors(trace_of(run).store, columns, MOST_PASSED)
    families = lanes(columns, bins)
    held, places = holders(trace_of(run).store, columns, passed, bins)
    drawn = families + held
    texts = [Label("title", headline(run, columns))]
    for row, lane in enumerate(drawn):
        texts.append(Label("lane", lane.name, row))
        if lane.calls or row < len(families):
            texts.append(Label("time", duration(lane.busy_ns), row))
        if lane.calls:
            texts.append(Label("calls", counted(lane.calls, "call"), row))
    lines = []
    if len(columns) or columns.ended:
        for tick in tick_labels(columns.span):
            lines.append(Rule("tick", tick.x))
            texts.append(tick)
    texts.append(Label("axis", time_unit(columns.span)[1]))
    if not len(columns):
        texts.append(Label("empty", "no WASI call was made"))
    for at, words in _notes(run):
        lines.append(Rule("note", at))
        texts.append(Label("note", words, x=at))
    ending = mark_of(run)
    if ending:
        lines.append(Rule("ending", columns.span))
        texts.append(Label("ending", ending, x=columns.span))
    return Scene(
        columns.span,
        len(drawn),
        tuple(Bars(row, lane.name, lane.colour, lane.bars) for row, lane in enumerate(drawn)),
        tuple(
            Glyphs(row, verdict, times)
            for row, lane in enumerate(drawn)
            for verdict, times in lane.marks.items()
            if len(times)
        ),
        tuple(texts),
        tuple(lines),
        tuple(_arrows(passed, places, len(families), columns.span)),
    )


def note(scene: Scene, row: int) -> str:
    """The text at the right end of a lane: "12 calls, 3.1 ms"."""
    return ", ".join(text.words for role in ("calls", "time") for text in scene.words(role) if text.row == row)


def lanes(columns: Columns, bins: int = 1200) -> list[Lane]:
    """The lanes of a run: the guest's own time, then each family that made a call.

    Up to `bins` calls per lane are drawn individually; more are binned.
    """
    found = [Lane("guest", "guest", 0, columns.guest_ns, _guest_bars(columns, bins), {})]
    flagged = {"failed": columns.failed, "injected": columns.injected, "refused": columns.refused}
    for family, calls in columns.by_family.items():
        mask = columns.families[family]
        marks = {v: _thinned(columns.start, mask & flags, columns.span, bins // 4) for v, flags in flagged.items()}
        drawn = bars(calls.start, calls.end, columns.span, bins, calls.cover)
        found.append(Lane(family, family, len(calls), calls.total, drawn, marks))
    return found


def holders(
    store: Store, columns: Columns, passed: list[PassedArrow], bins: int = 1200
) -> tuple[list[Lane], dict[int, int]]:
    """The lanes of the first descriptors that were passed, with their calls, and of numbers that were refused; and the
    lane of each life among them.
    """
    ends = dict.fromkeys(
        life for each in passed if each.receiver for life in (each.data.sender_life, each.data.receiver_life)
    )
    known = [store.lives[life] for life in ends if life in store.lives][:MOST_HOLDERS]
    found = []
    for name in forged_lanes(passed):
        times = np.array([each.data.at for each in passed if not each.receiver and each.sender == name], np.int64)
        marks = {"refused": _thinned(times, np.ones(len(times), bool), columns.span, bins // 4)}
        found.append(Lane(f"{name}: not open", "refused", 0, 0, np.zeros((0, 3)), marks))
    places = {}
    for life in sorted(known, key=lambda life: life.life):
        places[life.life] = len(found)
        mask = columns.handle == life.life
        start, end = columns.start[mask], columns.end[mask]
        total, name = int(columns.dur[mask].sum()), shorten(lane_name(store, life), 40)
        found.append(Lane(name, "fd", int(mask.sum()), total, bars(start, end, columns.span, bins), {}))
    return found, places


def _arrows(passed: list[PassedArrow], places: Mapping[int, int], first: int, span: int) -> Iterator[Arrow]:
    """An arrow for each passed descriptor whose ends have lanes, from the row `first` on; no two in the same place."""
    seen = set()
    for each in passed:
        row, to = places.get(each.data.sender_life), places.get(each.data.receiver_life)
        key = (row, to, each.data.at * ARROWS // span)
        if row is None or to is None or not each.receiver or key in seen:
            continue
        seen.add(key)
        yield Arrow(first + row, first + to, each.data.at, f"{each.sender} → {each.receiver}")


def bars(start: Ints, end: Ints, span: int, bins: int, cover: Cover | None = None) -> Spans:
    """At most `bins` bars for these intervals; a bar is at least 1/bins of the width, so that it is visible.

    `start` ascends; `cover` is the union of the intervals, if it is already known.
    """
    if len(start) <= bins:
        least = span / bins
        right = np.maximum(end, start + least)
        return np.stack([start.astype(float), right, np.ones(len(start))], axis=1)
    edges = np.linspace(0.0, float(span), bins + 1)
    covered = (cover or Cover.of(start, end)).busy(edges)
    return _binned(covered, counted_in_bins(start, span, bins) > 0, edges)


def _guest_bars(columns: Columns, bins: int) -> Spans:
    """`bars` of the guest's own time, without a list of a million gaps."""
    if len(columns.host.left) <= bins + 1:
        return bars(*columns.gaps(), columns.span, bins)
    edges = np.linspace(0.0, float(columns.span), bins + 1)
    covered = columns.guest_busy(edges)
    return _binned(covered, covered > 0, edges)


def _binned(covered: Spans, met: Mask, edges: Spans) -> Spans:
    """A bar for each bin that is covered in part, or in which an interval begins (`met`)."""
    part = np.clip(covered / np.diff(edges), 0.0, 1.0)
    height = np.where(met | (part > 0), np.maximum(part, 0.25), 0.0)
    seen = height > 0
    return np.stack([edges[:-1][seen], edges[1:][seen], height[seen]], axis=1)


def _thinned(start: Ints, mask: Mask, span: int, bins: int) -> Ints:
    """The starts of the masked calls, at most one in each of `bins` equal parts of the span."""
    times = start[mask]
    if len(times) <= 1:
        return times
    part = times * bins // span
    return times[np.concatenate(([True], part[1:] != part[:-1]))]


def _notes(run: Subject) -> list[tuple[float, str]]:
    """(ns, text) of the user's first notes, each at its first call."""
    trace = trace_of(run)
    found: list[tuple[float, str]] = []
    for first, last, text in trace.notes[:MOST_NOTES]:
        row = int(np.searchsorted(trace.seq, first))
        if row < len(trace) and trace.seq[row] <= last:
            found.append((float(trace.column("t_start")[row]), text))
    return found


def headline(run: Subject, columns: Columns) -> str:
    """The line above the picture: name, calls, time, and what was refused or dropped."""
    return f"{run.name}: {figures(run, columns)}" if run.name else figures(run, columns)


def figures(run: Subject, columns: Columns) -> str:
    """`headline` without the name, which the guest's author chose."""
    if run.running:
        text = f"{counted(len(columns), 'call')}, still running"
    else:
        span = f" in {duration(columns.span)}" if len(columns) or columns.ended else ""
        text = f"{counted(len(columns), 'call')}{span}"
    refused = int(columns.refused.sum())
    if refused:
        text += f", {refused:,} refused"
    if columns.dropped:
        text += f" (the first {counted(columns.dropped, 'call')} not kept)"
    return text


def tick_labels(span: int, most: int = 6) -> list[Label]:
    """The labels of the axis: round values from 0 to `span` ns, at most `most` steps apart, in the unit of the axis."""
    one, _ = time_unit(span)
    return [Label("tick", f"{value:,.10g}", x=value * one) for value in tick_values(span / one, most)]


def tick_values(span: float, most: int = 6) -> list[float]:
    """Round values from 0 to `span`, at most `most` steps of 1, 2, 2.5 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * k for k in (1, 2, 2.5, 5, 10, 20) if span / (power * k) <= most)
    return [step * n for n in range(int(span / step * (1 + 1e-12)) + 1)]
