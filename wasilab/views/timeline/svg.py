"""The static timeline as HTML: the lanes of `timeline.py`, as wide as the page, with its words in the page's letters.

For the report's own page, light or dark, wide or narrow. A reader that strips all but the simplest tags gets the PNG
of `picture.py` instead. No script: the picture is SVG that stretches, with names, signs and times as text over it.
"""

from __future__ import annotations

import numpy as np

from ...text.escape import html_text
from ...text.numbers import counted, duration, time_unit
from ..subject import Subject
from .columns import COLOURS, Columns, Ints
from .figure import Lane, ending_of, lanes
from .png import MARK_WORDS, ticks

SIGNS = {"refused": "✖", "failed": "┃", "injected": "◆"}
"""Verdict -> its glyph, as in the interactive timeline."""
BINS, SIGNS_SHOWN, TICKS = 1000, 100, 5


def strip_html(run: Subject, columns: Columns, words: str) -> str:
    """The timeline as a fragment; `words` tell the same to those who cannot see it."""
    drawn = lanes(columns, BINS)
    ending = ending_of(run)
    rows = "".join(_row(lane, columns) for lane in drawn)
    met = [verdict for verdict in SIGNS if any(len(lane.marks.get(verdict, ())) for lane in drawn)]
    legend = "".join(f'<span class="sign-{v}">{SIGNS[v]} {MARK_WORDS[v]}</span> ' for v in met)
    stopped = f'<span class="sign-refused">┃ {html_text(ending)}</span>' if ending else ""
    key = f'<div class="lane-key">{legend}{stopped}</div>' if met or ending else ""
    return (
        f'{key}<div class="lanes{" ended" if ending else ""}" role="img" aria-label="{html_text(words)}">'
        f"{rows}{_axis(columns)}</div>"
    )


def _row(lane: Lane, columns: Columns) -> str:
    colour = "var(--guest)" if lane.name == "guest" else COLOURS[lane.name]
    # the stroke keeps a bar visible that is narrower than a pixel
    bars = (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path style="fill:{colour};stroke:{colour}" stroke-width="1" vector-effect="non-scaling-stroke" '
        f'd="{_path(lane, columns.span)}"/></svg>'
    )
    signs = "".join(
        f'<i class="sign-{verdict}" style="left:{100 * at / columns.span:.2f}%" '
        f'title="{MARK_WORDS[verdict]} at {duration(at)}">{SIGNS[verdict]}</i>'
        for verdict in SIGNS
        for at in _apart(lane.marks.get(verdict, np.zeros(0, np.int64)), columns.span)
    )
    calls = f'<span class="lane-calls">{counted(lane.calls, "call")}, </span>' if lane.calls else ""
    return (
        f'<span class="lane-name">{html_text(lane.name)}</span><span class="lane-track">{bars}{signs}</span>'
        f'<span class="lane-note">{calls}{duration(lane.busy_ns)}</span>'
    )


def _path(lane: Lane, span: int) -> str:
    """The bars as an SVG path; those that touch and are about as tall are one."""
    scale, joined = 1000 / span, list[list[float]]()
    for x0, x1, height in lane.bars.tolist():
        left, right, tall = round(x0 * scale, 1), round(min(x1 * scale, 1000), 1), round(height * 12) / 12
        if joined and left <= joined[-1][1] and tall == joined[-1][2]:
            joined[-1][1] = max(right, joined[-1][1])
        else:
            joined.append([left, right, tall])
    return "".join(f"M{x0:g} 100V{100 - 100 * tall:.0f}H{x1:g}V100z" for x0, x1, tall in joined)


def _apart(times: Ints, span: int) -> list[int]:
    """At most `SIGNS_SHOWN` of the times, far enough from each other to be told apart."""
    _, first = np.unique(times * SIGNS_SHOWN // max(span, 1), return_index=True)
    return [int(at) for at in times[first]]


def _axis(columns: Columns) -> str:
    if not len(columns) and not columns.ended:
        return '<span></span><span class="lane-note">no WASI call was made</span><span></span>'
    one, unit = time_unit(columns.span)
    span = columns.span / one
    values = ticks(span, TICKS)
    marks = "".join(
        f'<span style="left:{100 * at / span:.2f}%">{at:,.10g}{" " + unit if at == values[-1] else ""}</span>'
        for at in values
    )
    return f'<span></span><span class="lane-axis">{marks}</span><span></span>'
