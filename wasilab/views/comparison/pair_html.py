"""Two runs on one axis as HTML without a script: the lanes, the marks that lead to the pairs of calls, and the pairs.

The lanes are as wide as the page, with stretching SVG, as those of `timeline/svg.py`; a mark is a link to its row in
the list of differences. Every text of a guest is escaped.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path

from ...text.escape import html_text, shorten
from ...text.numbers import counted, duration, time_unit
from ...trace.answers.diff import ChangeKind
from ..report.page import document, embedded
from ..timeline.columns import COLOURS
from ..timeline.scene import figures, tick_values
from ..timeline.svg import bars_path
from .compared import AXES, SIGN, Axis, Compared, Mark, PairLane

PAIRS_SHOWN, PAIRS_SAVED = 400, 120
"""The most differences listed in a page, and in a notebook, which has to stay small."""
TICKS = 5
CALL_LETTERS = 400
NONE = "no such call"
_AXIS_WORDS: dict[Axis, str] = {
    "time": "On one axis of time, from the start of each run",
    "calls": "Call by call: calls that are the same stand one above the other",
}


@cache
def pair_css() -> str:
    """The style sheet of the lanes and pairs, for a page and for the widget."""
    return files(__package__).joinpath("pair.css").read_text(encoding="utf-8")


def lanes_html(compared: Compared, axis: Axis, *, links: frozenset[int] = frozenset()) -> str:
    """The lanes of both runs as a fragment. A mark of a row in `links` is a link to `#pair-ROW`."""
    length = compared.length(axis)
    names = compared.names
    shown = "".join(_lane(lane, length, compared, links) for lane in compared.lanes(axis))
    label = f"{_AXIS_WORDS[axis]}. {names[0]} above, {names[1]} below. {compared.difference.headline()}"
    ticks = _time_axis(length) if axis == "time" else _call_axis(length)
    return (
        f'<div class="pair-lanes" role="group" aria-label="{html_text(label)}">{shown}<span></span>'
        f'<span class="lane-axis">{ticks}</span><span></span></div>'
    )


def legend_html(compared: Compared) -> str:
    """The signs and what they mean, and which run stands above."""
    first, second = (html_text(name) for name in compared.names)
    words = ((ChangeKind.CHANGED, "differs"), (ChangeKind.REMOVED, f"only in {first}"),
             (ChangeKind.ADDED, f"only in {second}"))  # fmt: skip
    keys = "".join(
        f'<span class="pair-key"><b class="{kind.name.lower()}" aria-hidden="true">{SIGN[kind]}</b> {text}</span>'
        for kind, text in words
    )
    return f'<p class="pair-legend">above: <bdi>{first}</bdi>, below: <bdi>{second}</bdi>{keys}</p>'


def pairs_html(compared: Compared, rows: list[int]) -> str:
    """The differences as a list, each with both calls."""
    if not rows:
        return '<p class="dim">No difference.</p>'
    first, second = (html_text(name) for name in compared.names)
    items = "".join(
        _pair(compared, row, one, two)
        for row, (_, one, two) in zip(rows, compared.difference.lines(rows), strict=True)
    )
    left = len(compared.difference) - len(rows)
    more = f'<p class="dim">… {counted(left, "more difference")}</p>' if left else ""
    head = f'<span></span><span class="dim"><bdi>{first}</bdi></span><span class="dim"><bdi>{second}</bdi></span>'
    return f'<div class="pair-head">{head}</div><ol class="pairs">{items}</ol>{more}'


def _pair(compared: Compared, row: int, first: str, second: str) -> str:
    kind = compared.kind(row)
    halves = []
    for side, text in enumerate((first, second)):
        whose = f'<span class="whose"><bdi>{html_text(compared.names[side])}</bdi></span>'
        call = f"{_when(compared, side, row)}<code>{html_text(shorten(text, CALL_LETTERS))}</code>" if text else NONE
        halves.append(f'<span class="half{"" if text else " none"}" dir="ltr">{whose}{call}</span>')
    what = f'<b aria-hidden="true">{SIGN[kind]}</b> {html_text(compared.words(row))}'
    head = f'<li id="pair-{row}" class="{kind.name.lower()}"><span class="pair-what">{what}</span>'
    return f"{head}{''.join(halves)}</li>"


def _when(compared: Compared, side: int, row: int) -> str:
    at = int(compared.places[side][row])
    columns = compared.columns[side]
    call = int((compared.difference.left, compared.difference.right)[side][row])
    return (
        f'<span class="dim">call {call + columns.dropped:,} at {duration(int(columns.start[at]))}, '
        f"{duration(int(columns.dur[at]))}</span> "
    )


def _lane(lane: PairLane, length: float, compared: Compared, links: frozenset[int]) -> str:
    colour = f"var(--guest, {COLOURS['guest']})" if lane.name == "guest" else COLOURS[lane.name]
    halves = "".join(
        f'<svg class="half-{half}" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path style="fill:{colour};stroke:{colour}" stroke-width="1" vector-effect="non-scaling-stroke" '
        f'd="{bars_path(spans, length)}"/></svg>'
        for half, spans in zip("ab", lane.bars, strict=True)
    )
    scale = 1000 / length
    ties = "".join(
        f'<path class="{kind.name.lower()}" d="M{left * scale:.1f} 0L{right * scale:.1f} 100"/>'
        for left, right, kind in lane.ties
    )
    if ties:
        ties = f'<svg class="ties" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{ties}</svg>'
    marks = "".join(_mark(mark, length, compared, links) for mark in lane.marks)
    calls = "" if lane.name == "guest" else f"{lane.calls[0]:,} | {lane.calls[1]:,}"
    return (
        f'<span class="lane-name">{html_text(lane.name)}</span><span class="pair-track">{halves}{ties}{marks}</span>'
        f'<span class="lane-note">{calls}</span>'
    )


def _mark(mark: Mark, length: float, compared: Compared, links: frozenset[int]) -> str:
    words = html_text(f"{compared.names[int(mark.second)]}: {compared.words(mark.row)}")
    half = "b" if mark.second else "a"
    head = f'class="{mark.kind.name.lower()} half-{half}" style="left:{100 * mark.x / length:.2f}%"'
    if mark.row in links:
        return f'<a {head} href="#pair-{mark.row}" title="{words}" aria-label="{words}">{SIGN[mark.kind]}</a>'
    return f'<i {head} title="{words}">{SIGN[mark.kind]}</i>'


def _time_axis(length: float) -> str:
    one, unit = time_unit(int(length))
    return _ticks([(value * one, f"{value:,.10g}") for value in tick_values(length / one, TICKS)], length, unit)


def _call_axis(length: float) -> str:
    values = [value for value in tick_values(length, TICKS) if value == int(value)]
    return _ticks([(value, f"{value:,.0f}") for value in values], length, "calls")


def _ticks(places: list[tuple[float, str]], length: float, unit: str) -> str:
    return "".join(
        f'<span style="left:{100 * at / length:.2f}%">{words}{f" {unit}" if at == places[-1][0] else ""}</span>'
        for at, words in places
    )


def comparison_body(compared: Compared, most: int = PAIRS_SHOWN) -> str:
    """The whole comparison as an HTML fragment, with at most so many differences listed."""
    rows = compared.differing(most)
    links = frozenset(rows)
    difference = compared.difference
    tone = "good" if difference.same else "warn"
    sides = "".join(
        f"<li><bdi>{html_text(name)}</bdi>: {html_text(figures(side, columns))}</li>"
        for name, side, columns in zip(
            compared.names, (compared.first, compared.second), compared.columns, strict=True
        )
    )
    charts = "".join(
        f"<h2>{_AXIS_WORDS[axis]}</h2>{lanes_html(compared, axis, links=links)}" for axis in AXES
    )
    remarks = "".join(f"<p class=dim>{html_text(line)}</p>" for line in difference.remarks())
    return (
        f'<div class="verdict {tone}" role="status">{html_text(difference.headline())}</div><ul>{sides}</ul>'
        f"{legend_html(compared)}{charts}<h2>Differences</h2>{pairs_html(compared, rows)}{remarks}"
    )


def comparison_title(compared: Compared) -> str:
    """The page's title, as HTML text."""
    first, second = compared.names
    return f"{html_text(first)} and {html_text(second)}: two runs"


def comparison_page(compared: Compared) -> str:
    """The comparison as one HTML file: self-contained, without scripts; light and dark."""
    return document(comparison_title(compared), f"<style>{pair_css()}</style>{comparison_body(compared)}")


def write_comparison(compared: Compared, path: str | PathLike[str]) -> None:
    """Write `comparison_page(compared)` to a file."""
    Path(path).write_text(comparison_page(compared), encoding="utf-8")


def comparison_bundle(compared: Compared) -> dict[str, str]:
    """What IPython displays where there is no widget: text, and the page in a frame with the table as plain form."""
    lanes = 2 + 2 * len(compared.families)
    height = min(260 + 50 * lanes + 60 * min(len(compared.difference), 12), 900)
    body = f"<style>{pair_css()}</style>{comparison_body(compared, PAIRS_SAVED)}"
    text = compared.difference.text(limit=2 * PAIRS_SAVED)
    plain = f"<pre>{html_text(text, lines=True)}</pre>"
    return {
        "text/plain": text,
        "text/html": embedded(comparison_title(compared), body, plain, height),
    }

