"""The capability graph as SVG, for the widget, for a page and as a file of its own. No script; every text is escaped.

Colours are CSS variables of the widget, with default values, light or dark, for a page without it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ...text.escape import html_text
from ...text.numbers import counted
from ..subject import Subject
from .arrange import BOX, Arranged, GraphBox, GraphEdge, arranged


@cache
def _style(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")



def graph_svg(run: Subject, *, page: bool = False) -> str:
    """The capability graph of a run. With `page` it is a separate file, light or dark as the reader's theme."""
    drawn = arranged(run)
    height = drawn.height + (18 if drawn.more else 0)
    parts = [_line(line) for line in drawn.lines] + [_box(box) for box in drawn.boxes]
    if drawn.more:
        parts.append(f'<text class="more" x="8" y="{height - 6:.0f}">{_more(drawn)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cap" role="group" aria-label="{html_text(drawn.words)}" '
        f'width="{drawn.width:.0f}" height="{height:.0f}" viewBox="0 0 {drawn.width:.0f} {height:.0f}">'
        f"<style>{_style('graph.css')}{_style('graph_page.css') if page else ''}</style>{''.join(parts)}</svg>"
    )


def _more(drawn: Arranged) -> str:
    return f"and {counted(drawn.more, 'more thing')} with fewer calls"


def _box(box: GraphBox) -> str:
    one = box.origin
    mark = "✖ " if one.kind == "refused" else ""
    act = f' tabindex="0" role="button" data-term="{html_text(one.term)}"' if one.term else ' role="img"'
    place = f'x="{box.x + 9:.1f}" y="{box.middle + 4:.1f}" direction="ltr" unicode-bidi="isolate"'
    return (
        f'<g class="box {one.kind}"{act} aria-label="{html_text(box.told)}"><title>{html_text(box.told)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{BOX}" rx="6"/>'
        f"<text {place}>{mark}{html_text(box.label)}</text></g>"
    )


def _line(line: GraphEdge) -> str:
    x0, y0, x1, y1 = line.start.x + line.start.width, line.start.middle, line.end.x, line.end.middle
    bend = min(46.0, (x1 - x0) / 2)
    words = f'<text x="{x1 - 6:.1f}" y="{y1 - 4:.1f}" text-anchor="end">{html_text(line.words)}</text>'
    bent = f"{x0 + bend:.1f} {y0:.1f} {x0 + bend / 3:.1f} {y1:.1f} {x0 + bend:.1f} {y1:.1f}"
    curve = f"M{x0:.1f} {y0:.1f}C{bent}H{x1:.1f}"
    return (
        f'<g class="edge{" refused" if line.refused else ""}" aria-hidden="true">'
        f'<path d="{curve}"/>'
        f"{words if line.words else ''}</g>"
    )
