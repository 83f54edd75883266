"""The timeline picture of a report, drawn straight into a bitmap.

It shows what `timeline.figure` shows, from the same lanes. A cell draws one after every run, and a matplotlib figure
costs 45 ms each, and half a second of imports for the first one; this costs a few milliseconds. Whoever wants a figure
to change, to print or to put beside others takes `run.plot()`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...text.escape import shorten, visible
from ...text.numbers import time_unit
from ..plots.ink import DIM
from ..subject import Subject
from .columns import COLOURS, Columns
from .figure import Lane, ending_of, headline, lanes, note

WIDTH = 990
"""Pixels, as wide as the figure of nine inches."""
LEFT, TOP, BOTTOM, ROW = 84, 34, 54, 37
"""Pixels: room for the lanes' names, for the title, for the axis, and the height of a lane."""
INK, GRID, PALE = "#1a1d21", "#dedede", "#c7ccd1"
"""Text, the grid's lines, and the guest's own lane."""
MARK_WORDS = {"refused": "refused", "failed": "other errno", "injected": "injected"}
_SHAPES = {
    "refused": [(0, 25), (25, 0), (50, 25), (75, 0), (100, 25), (75, 50), (100, 75), (75, 100), (50, 75), (25, 100),
                (0, 75), (25, 50)],
    "failed": [(32, 0), (68, 0), (68, 100), (32, 100)],
    "injected": [(50, 0), (100, 50), (50, 100), (0, 50)],
}  # fmt: skip
"""The outline of each verdict's glyph in a square of 100."""


def picture(run: Subject) -> bytes:
    """The timeline of a run as a PNG file."""
    columns = Columns.of(run)
    drawn = lanes(columns)
    page = _Page(columns, drawn)
    page.axis()
    for row, lane in enumerate(drawn):
        page.lane(row, lane)
    page.title(drawable(headline(run, columns)), drawn)
    ending = ending_of(run)
    if ending:
        page.end(ending)
    if not len(columns):
        page.text(((page.left + page.right) / 2, page.middle(0)), "no WASI call was made", anchor="mm")
    out = io.BytesIO()
    # A hundred colours are all that is in it, smooth edges included: half the bytes, and quicker packed.
    few = page.image.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    paper = [(r, g, b) if min(r, g, b) < 250 else (255, 255, 255) for r, g, b in _colours(few.getpalette() or [])]
    few.putpalette([part for colour in paper for part in colour])
    few.save(out, "PNG", compress_level=4)
    return out.getvalue()


def _colours(palette: list[int]) -> Iterator[tuple[int, int, int]]:
    """The colours of a palette's list of numbers."""
    return zip(palette[0::3], palette[1::3], palette[2::3], strict=True)


class _Page:
    """The bitmap and where things stand in it."""

    def __init__(self, columns: Columns, drawn: list[Lane]) -> None:
        widest = max(_font(12).getlength(note(lane)) for lane in drawn)
        self.columns = columns
        self.left, self.right = LEFT, WIDTH - 14 - math.ceil(widest)
        self.bottom = TOP + 8 + ROW * len(drawn)
        self.image = Image.new("RGB", (WIDTH, self.bottom + BOTTOM), "white")
        self._draw = ImageDraw.Draw(self.image)

    def middle(self, row: int) -> float:
        """The height of the middle of a lane."""
        return TOP + 4 + ROW * (row + 0.5)

    def at(self, ns: float) -> float:
        """Where a time stands."""
        return self.left + ns / self.columns.span * (self.right - self.left - 1)

    def text(self, place: tuple[float, float], words: str, *, size: int = 12, anchor: str = "lm", colour: str = DIM,
             bold: bool = False) -> None:  # fmt: skip
        """Write `words`; `anchor` says which point of them stands at `place`, as Pillow has it."""
        self._draw.text(place, words, fill=colour, font=_font(size, bold), anchor=anchor)

    def axis(self) -> None:
        """The time axis with its unit, and a line up from each of its marks."""
        one, unit = time_unit(self.columns.span)
        for value in ticks(self.columns.span / one):
            x = round(self.at(value * one))
            self._draw.line((x, TOP, x, self.bottom), fill=GRID)
            self._draw.line((x, self.bottom, x, self.bottom + 5), fill=INK)
            self.text((x, self.bottom + 9), f"{value:g}", anchor="mt", colour=INK)
        self._draw.line((self.left, self.bottom, self.right, self.bottom), fill=INK)
        words = f"time since the start of the run ({unit})"
        self.text(((self.left + self.right) / 2, self.bottom + 33), words, anchor="mt", colour=INK)

    def lane(self, row: int, lane: Lane) -> None:
        """One lane: its name, its bars, its glyphs, its note."""
        y = self.middle(row)
        self.text((self.left - 8, y), lane.name, size=14, anchor="rm", colour=INK)
        self.text((self.right + 8, y), note(lane))
        colour = PALE if lane.name == "guest" else COLOURS[lane.name]
        scale = (self.right - self.left - 1) / self.columns.span
        low = round(y + 13)
        for start, end, height in lane.bars.tolist():
            x, beyond = self.left + round(start * scale), self.left + round(end * scale)
            self._draw.rectangle((x, low - round(26 * height), max(x, beyond - 1), low), colour)
        for verdict, times in lane.marks.items():
            for ns in times.tolist():
                self.glyph((self.at(ns), y), verdict)

    def glyph(self, place: tuple[float, float], verdict: str, size: int = 14) -> None:
        """The glyph of a verdict around `place`."""
        stamp = _glyph(verdict, size)
        x, y = round(place[0] - stamp.width / 2), round(place[1] - stamp.height / 2)
        self.image.paste(stamp, (x, y), stamp)

    def title(self, words: str, drawn: list[Lane]) -> None:
        """The line above, and on its right the names of the glyphs that occur."""
        x = float(self.right)
        for verdict in reversed(MARK_WORDS):
            if any(len(lane.marks.get(verdict, ())) for lane in drawn):
                x -= _font(12).getlength(MARK_WORDS[verdict])
                self.text((x, TOP / 2), MARK_WORDS[verdict], colour=INK)
                self.glyph((x - 12, TOP / 2), verdict, 12)
                x -= 34
        while _font(15).getlength(words) > x - self.left and len(words) > 10:
            words = words[:-2] + "…"
        self.text((self.left, TOP / 2), words, size=15, colour=INK)

    def end(self, word: str) -> None:
        """Mark the end of a run that a trap, a limit or a person ended: a line and its word."""
        red, x = COLOURS["refused"], round(self.at(self.columns.span))
        self._draw.line((x, TOP, x, self.bottom), fill=red, width=3)
        self.text((x - 6, self.bottom - 4), word, anchor="rb", colour=red, bold=True)


def drawable(text: str, limit: int = 100) -> str:
    """Guest text as one line, without a character that the font lacks."""
    shown = shorten(visible(text), limit)
    return "".join(c if c < "\u0180" or _has(c) else f"\\u{ord(c):04x}" for c in shown)


@cache
def _has(char: str) -> bool:
    """Whether the font has a character: what it lacks is drawn as the same box as one that cannot be."""
    font = _font(15)
    return bytes(font.getmask(char)) != bytes(font.getmask("\U0010ffff"))


def ticks(span: float, most: int = 6) -> list[float]:
    """Round values from 0 to `span`, at most `most` steps of 1, 2, 2.5 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * k for k in (1, 2, 2.5, 5, 10, 20) if span / (power * k) <= most)
    return [step * n for n in range(int(span / step * (1 + 1e-12)) + 1)]


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of matplotlib's pictures, found without importing it."""
    spec = find_spec("matplotlib")
    for home in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(home, "mpl-data", "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)


@cache
def _glyph(verdict: str, size: int) -> Image.Image:
    """A glyph in its colour with a white rim, smooth at its edges."""
    fine = 8 * size
    shape = [(fine * (0.1 + 0.008 * x), fine * (0.1 + 0.008 * y)) for x, y in _SHAPES[verdict]]
    large = Image.new("RGBA", (fine, fine), (255, 255, 255, 0))
    draw = ImageDraw.Draw(large)
    draw.polygon(shape, fill=COLOURS[verdict])
    draw.line([*shape, shape[0], shape[1]], fill="white", width=fine // 18, joint="curve")
    return large.resize((size + 2, size + 2), Image.Resampling.LANCZOS)
