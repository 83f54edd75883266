"""A plot in a notebook: an inline SVG without a background, whose ink is the page's own text colour.

A picture file cannot know whether the page around it is light or dark. A white background is too bright for a dark
notebook, and without one no single grey is readable on both pages. An inline SVG takes its colours from the page, also
when the theme changes.

Pure black ink becomes `currentColor`, `DIM` the same colour fainter, and words in a warning colour get the page's. All
other colours are data: they stay, and have contrast on both pages (`tests/views/test_plots_themes.py` measures it).
A file that `savefig` writes is not touched: it is on white.
"""

from __future__ import annotations

import base64
import io
import re
import secrets
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ...text.escape import html_text
from ..report.page import DARK_PAGES
from ..timeline.columns import COLOURS
from .ink import DIM, INK

if TYPE_CHECKING:
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure

MOST_SHAPES = 2000
"""Shapes of a plot that become elements of the page; collections of a plot with more are drawn as pixels."""
LEAST_SCALE = 0.7
"""A plot shrinks with its page to this part of its size, where its smallest words have 9 pixels; then it scrolls."""
_JOINS = "stroke-linejoin: round; stroke-linecap: butt"
"""What the style sheet of matplotlib's SVG sets."""
_FAINT = 0.7
"""The opacity of notes in the page's text colour."""
_WORDS = {COLOURS["refused"]: "var(--wasilab-bad)", COLOURS["failed"]: "var(--wasilab-warn)"}
"""Colours of shapes that are too dark or too pale for words."""
_DARK = ", ".join(f"{page} .wasilab-plot" for page in DARK_PAGES)
_SHEET = (
    "<style>.wasilab-plot > img { display: none }\n"
    ".wasilab-plot { --wasilab-bad: #c01f35; --wasilab-warn: #8a5800; background: none; overflow-x: auto }\n"
    f"{_DARK} {{ --wasilab-bad: #ff6b7d; --wasilab-warn: #e2a336 }}</style>"
)
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_ID = re.compile(r"url\(#([^)]*)\)")


def bundle(figure: Figure) -> dict[str, object]:
    """What IPython displays: the plot as HTML, and as a PNG on white for readers without HTML.

    A reader that strips SVG and styles (GitHub, an untrusted notebook) is left with the same PNG in the HTML. A
    background that the user gave the figure is kept: then there is only the PNG.
    """
    picture = png(figure)
    if _has_background(figure):
        return {"image/png": picture}
    words = html_text("; ".join(titles(figure)) or "plot")
    fallback = f'<img alt="{words}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
    return {"text/html": f'{_SHEET}<div class="wasilab-plot">{svg(figure)}{fallback}</div>', "image/png": picture}


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, on its own background: white (a transparent one is unreadable on a dark page)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    before = figure.canvas
    try:
        FigureCanvasAgg(figure).print_png(out)  # type: ignore[no-untyped-call]  # `savefig` draws everything twice
    finally:
        figure.set_canvas(before)
    return out.getvalue()


def titles(figure: Figure) -> list[str]:
    """The titles of a figure and its axes: a description for readers who do not see it."""
    whole = figure.get_suptitle()
    parts = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center", "right")]
    return [words.replace(r"\$", "$") for words in (whole, *parts) if words]


def _has_background(figure: Figure) -> bool:
    return tuple(figure.get_facecolor()) != (1.0, 1.0, 1.0, 1.0)


def svg(figure: Figure) -> str:
    """The figure as an SVG element for a page, without a background, in the page's ink."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    before, paper, dpi, many = figure.canvas, figure.get_facecolor(), figure.dpi, _many_shapes(figure)
    width, height = (round(inches * dpi) for inches in figure.get_size_inches().tolist())
    try:
        figure.set_facecolor("none")
        for collection in many:
            collection.set_rasterized(True)
        with rc_context({"svg.fonttype": "path"}):
            FigureCanvasSVG(figure).print_svg(out)  # type: ignore[no-untyped-call]
    finally:
        for collection in many:
            collection.set_rasterized(False)
        figure.set_facecolor(paper)
        figure.dpi = dpi  # writing an SVG sets it to 72
        figure.set_canvas(before)
    root = ElementTree.fromstring(out.getvalue())
    _adapt(root, f"w{secrets.token_hex(5)}-")
    root.attrib = {
        "viewBox": root.attrib["viewBox"], "width": str(width), "height": str(height), "role": "img",
        "aria-label": "; ".join(titles(figure)) or "plot", "fill": "currentColor",
        "style": f"max-width: 100%; min-width: {round(LEAST_SCALE * width)}px; height: auto; {_JOINS}",
    }  # fmt: skip
    return ElementTree.tostring(root, encoding="unicode")


def _many_shapes(figure: Figure) -> list[Collection]:
    """The collections that have too many shapes for elements of a page; they are drawn as transparent pixels."""
    from matplotlib.collections import Collection

    found = [each for axes in figure.axes for each in axes.collections if isinstance(each, Collection)]
    heavy = [each for each in found if len(each.get_paths()) > MOST_SHAPES // 20 and not each.get_rasterized()]
    return heavy if sum(len(each.get_paths()) for each in found) > MOST_SHAPES else []


def _adapt(root: ElementTree.Element, prefix: str) -> None:
    """Make the elements fit into a page: own ids, the page's ink, no style sheet (it would apply to the whole page)."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    _adapt_element(root, prefix, words=False)


def _adapt_element(element: ElementTree.Element, prefix: str, *, words: bool) -> None:
    element.tag = element.tag.rpartition("}")[2]
    words = words or element.attrib.get("id", "").startswith("text_")
    adapted = {}
    for name, value in element.attrib.items():
        name = name.rpartition("}")[2]
        if name == "id":
            value = prefix + value
        elif name == "href" and value.startswith("#"):
            value = f"#{prefix}{value[1:]}"
        elif name == "style":
            value = _ink(value, words)
        elif name == "d":
            value = _DECIMALS.sub(r"\1", value)
        adapted[name] = _ID.sub(rf"url(#{prefix}\1)", value)
    element.attrib = adapted
    for child in element:
        _adapt_element(child, prefix, words=words)


def _ink(style: str, words: bool) -> str:
    """A style attribute with the page's colours."""
    kept = []
    for part in style.split(";"):
        name, _, value = (each.strip() for each in part.partition(":"))
        if name in ("fill", "stroke"):
            if value == INK:
                value = "currentColor"
            elif value == DIM:
                kept.append(f"{name}-opacity: {_FAINT}")
                value = "currentColor"
            elif words:
                value = _WORDS.get(value, value)
        kept.append(f"{name}: {value}")
    return "; ".join(part for part in kept if part != ": ")
