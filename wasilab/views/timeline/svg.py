"""The static timeline as HTML: lanes as wide as the page, bars as stretching SVG, text in the page's font.

For the report's own page, light or dark, wide or narrow. A reader that strips all but the simplest tags gets the PNG
of `png.py` instead. No script.
"""

from __future__ import annotations

import numpy as np

from ...text.escape import html_text, shorten
from ...text.numbers import duration
from .columns import COLOURS, Ints, Spans
from .scene import SIGNS, Arrow, Bars, Glyphs, Scene, tick_labels

SIGNS_SHOWN, TICKS = 100, 5


def strip_html(drawn: Scene, alternative: str) -> str:
    """The timeline as a fragment; `alternative` is its description for screen readers."""
    legend = "".join(f'<span class="sign-{v}">{SIGNS[v].char} {SIGNS[v].words}</span> ' for v in drawn.verdicts)
    ending = drawn.word("ending")
    stopped = f'<span class="sign-refused">┃ {html_text(ending)}</span>' if ending else ""
    passed = '<span class="sign-passed">⤵ descriptor passed on</span>' if drawn.arrows else ""
    key = f'<div class="lane-key">{legend}{passed}{stopped}</div>' if legend or passed or stopped else ""
    rows = "".join(_row(drawn, bars) for bars in drawn.bars)
    return (
        f'{key}<div class="lanes{" ended" if ending else ""}" role="img" aria-label="{html_text(alternative)}">'
        f"{rows}{_axis(drawn)}</div>"
    )


def _row(drawn: Scene, bars: Bars) -> str:
    colour = "var(--guest)" if bars.lane == "guest" else COLOURS[bars.colour]
    # the stroke keeps a bar visible that is narrower than a pixel
    shapes = (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path style="fill:{colour};stroke:{colour}" stroke-width="1" vector-effect="non-scaling-stroke" '
        f'd="{bars_path(bars.spans, drawn.span)}"/></svg>'
    )
    notes = "".join(
        f'<b style="left:{100 * text.x / drawn.span:.2f}%" title="{html_text(shorten(text.words, 300))}"></b>'
        for text in drawn.words("note")
    )
    signs = "".join(_signs(each, drawn.span) for each in drawn.glyphs if each.row == bars.row)
    arrows = "".join(_arrow(each, drawn.span) for each in drawn.arrows if each.row == bars.row)
    calls = next((text.words for text in drawn.words("calls") if text.row == bars.row), "")
    time = next((text.words for text in drawn.words("time") if text.row == bars.row), "")
    return (
        f'<span class="lane-name" title="{html_text(bars.lane)}">{html_text(bars.lane)}</span>'
        f'<span class="lane-track">{shapes}{notes}{signs}{arrows}</span>'
        f'<span class="lane-note">{f"<span class=lane-calls>{calls}, </span>" if calls else ""}{time}</span>'
    )


def _arrow(arrow: Arrow, span: int) -> str:
    """An arrow from the middle of its lane to that of another: a box as high as the lanes between, drawn by CSS."""
    edge, way = ("top", "down") if arrow.to > arrow.row else ("bottom", "up")
    return (
        f'<em class="flow {way}" style="left:{100 * arrow.x / span:.2f}%;{edge}:50%;'
        f'height:calc((100% + 1px) * {abs(arrow.to - arrow.row)})" '
        f'title="{html_text(shorten(arrow.words, 300))} at {duration(int(arrow.x))}"></em>'
    )


def bars_path(spans: Spans, length: float) -> str:
    """Bars on an axis of that length as an SVG path; those that touch and are about as tall are one."""
    scale, joined = 1000 / length, list[list[float]]()
    for x0, x1, height in spans.tolist():
        left, right, tall = round(x0 * scale, 1), round(min(x1 * scale, 1000), 1), round(height * 12) / 12
        if joined and left <= joined[-1][1] and tall == joined[-1][2]:
            joined[-1][1] = max(right, joined[-1][1])
        else:
            joined.append([left, right, tall])
    return "".join(f"M{x0:g} 100V{100 - 100 * tall:.0f}H{x1:g}V100z" for x0, x1, tall in joined)


def _signs(glyphs: Glyphs, span: int) -> str:
    sign = SIGNS[glyphs.verdict]
    return "".join(
        f'<i class="sign-{glyphs.verdict}" style="left:{100 * at / span:.2f}%" '
        f'title="{sign.words} at {duration(at)}">{sign.char}</i>'
        for at in _apart(glyphs.times, span)
    )


def _apart(times: Ints, span: int) -> list[int]:
    """At most `SIGNS_SHOWN` of the times, far enough apart to be distinguishable."""
    _, first = np.unique(times * SIGNS_SHOWN // max(span, 1), return_index=True)
    return [int(at) for at in times[first]]


def _axis(drawn: Scene) -> str:
    if not drawn.words("tick"):
        return f'<span></span><span class="lane-note">{drawn.word("empty")}</span><span></span>'
    ticks = tick_labels(drawn.span, TICKS)
    marks = "".join(
        f'<span style="left:{100 * tick.x / drawn.span:.2f}%">{tick.words}'
        f"{' ' + drawn.word('axis') if tick is ticks[-1] else ''}</span>"
        for tick in ticks
    )
    return f'<span></span><span class="lane-axis">{marks}</span><span></span>'
