"""The static timeline as a PNG, drawn directly into a bitmap, for readers that strip everything but images.

A cell draws one after every run: a matplotlib figure costs 45 ms each, and half a second of imports for the first one;
this costs a few milliseconds. For a figure to modify, print or combine, use `run.plot()`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

from PIL import Image, ImageDraw, ImageFont

from ...text.escape import shorten, visible
from ..plots.ink import DIM
from .columns import COLOURS
from .passed import COLOUR
from .scene import SIGNS, Arrow, Bars, Scene, note

WIDTH = 990
"""Pixels, as wide as the figure of nine inches."""
LEFT, TOP, BOTTOM, ROW = 84, 34, 54, 37
"""Pixels: room for the lanes' names, for the title, for the axis, and the height of a lane."""
INK, GRID, PALE = "#1a1d21", "#dedede", "#c7ccd1"
"""Text, the grid's lines, and the guest's own lane."""


def picture(drawn: Scene) -> bytes:
    """The timeline as a PNG file."""
    page = _Page(drawn)
    page.draw()
    out = io.BytesIO()
    # It has at most a hundred colours, antialiasing included: half the bytes, and faster to compress.
    few = page.image.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    paper = [(r, g, b) if min(r, g, b) < 250 else (255, 255, 255) for r, g, b in _colours(few.getpalette() or [])]
    few.putpalette([part for colour in paper for part in colour])
    few.save(out, "PNG", compress_level=4)
    return out.getvalue()


def _colours(palette: list[int]) -> Iterator[tuple[int, int, int]]:
    """The colours of a palette's list of numbers."""
    return zip(palette[0::3], palette[1::3], palette[2::3], strict=True)


class _Page:
    """The bitmap and the positions in it."""

    def __init__(self, drawn: Scene) -> None:
        widest = max(_font(12).getlength(note(drawn, row)) for row in range(drawn.rows))
        self.scene = drawn
        names = [drawable(text.words, 40) for text in drawn.words("lane")]
        self.left = max(LEFT, 20 + math.ceil(max(_font(14).getlength(name) for name in names)))
        self.right = WIDTH - 14 - math.ceil(widest)
        self.bottom = TOP + 8 + ROW * drawn.rows
        self.image = Image.new("RGB", (WIDTH, self.bottom + BOTTOM), "white")
        self._draw = ImageDraw.Draw(self.image)

    def draw(self) -> None:
        """Draw the whole scene, from the back to the front."""
        for line in self.scene.lines:
            if line.role == "tick":
                x = round(self.at(line.x))
                self._draw.line((x, TOP, x, self.bottom), fill=GRID)
                self._draw.line((x, self.bottom, x, self.bottom + 5), fill=INK)
        for bars in self.scene.bars:
            self.bars(bars)
        self._draw.line((self.left, self.bottom, self.right, self.bottom), fill=INK)
        for line in self.scene.lines:
            x = round(self.at(line.x))
            if line.role == "note":
                for y in range(TOP, self.bottom, 4):
                    self._draw.line((x, y, x, y + 1), fill=DIM)
            elif line.role == "ending":
                self._draw.line((x, TOP, x, self.bottom), fill=COLOURS["refused"], width=3)
        for arrow in self.scene.arrows:
            self.arrow(arrow)
        for glyphs in self.scene.glyphs:
            for ns in glyphs.times.tolist():
                self.glyph((self.at(ns), self.middle(glyphs.row)), glyphs.verdict)
        self.words()
        self.title(drawable(self.scene.word("title")))

    def middle(self, row: int) -> float:
        """The height of the middle of a lane."""
        return TOP + 4 + ROW * (row + 0.5)

    def at(self, ns: float) -> float:
        """The x position of a time."""
        return self.left + ns / self.scene.span * (self.right - self.left - 1)

    def text(self, place: tuple[float, float], words: str, *, size: int = 12, anchor: str = "lm", colour: str = DIM,
             bold: bool = False) -> None:  # fmt: skip
        """Write `words`; `anchor` says which point of them stands at `place`, as Pillow has it."""
        self._draw.text(place, words, fill=colour, font=_font(size, bold), anchor=anchor)

    def words(self) -> None:
        """Every text but the title."""
        middle = (self.left + self.right) / 2
        for text in self.scene.texts:
            match text.role:
                case "lane":
                    self.text((self.left - 8, self.middle(text.row)), drawable(text.words, 40), size=14,
                              anchor="rm", colour=INK)  # fmt: skip
                case "time":
                    self.text((self.right + 8, self.middle(text.row)), note(self.scene, text.row))
                case "tick":
                    self.text((round(self.at(text.x)), self.bottom + 9), text.words, anchor="mt", colour=INK)
                case "axis":
                    words = f"time since the start of the run ({text.words})"
                    self.text((middle, self.bottom + 33), words, anchor="mt", colour=INK)
                case "empty":
                    self.text((middle, self.middle(0)), text.words, anchor="mm")
                case "note":
                    right = text.x > 0.7 * self.scene.span
                    x = self.at(text.x) + (-4 if right else 4)
                    self.text((x, TOP + 2), drawable(text.words, 32), size=11, anchor="rt" if right else "lt")
                case "ending":
                    x, red = self.at(text.x) - 6, COLOURS["refused"]
                    self.text((x, self.bottom - 4), text.words, anchor="rb", colour=red, bold=True)

    def bars(self, bars: Bars) -> None:
        """The bars of a lane."""
        colour = PALE if bars.lane == "guest" else COLOURS[bars.colour]
        scale = (self.right - self.left - 1) / self.scene.span
        low = round(self.middle(bars.row) + 13)
        for start, end, height in bars.spans.tolist():
            x, beyond = self.left + round(start * scale), self.left + round(end * scale)
            self._draw.rectangle((x, low - round(26 * height), max(x, beyond - 1), low), colour)

    def arrow(self, arrow: Arrow) -> None:
        """An arrow from the middle of a lane to the middle of another."""
        x, start, end = round(self.at(arrow.x)), round(self.middle(arrow.row)), round(self.middle(arrow.to))
        back = -10 if end > start else 10
        for colour, wide in (("white", 5), (COLOUR, 2)):
            more = (wide - 2) // 2
            self._draw.line((x, start, x, end + back), fill=colour, width=wide)
            self._draw.ellipse((x - 4 - more, start - 4 - more, x + 4 + more, start + 4 + more), colour)
            self._draw.polygon([(x - 5 - more, end + back), (x + 5 + more, end + back), (x, end + more)], colour)

    def glyph(self, place: tuple[float, float], verdict: str, size: int = 14) -> None:
        """The glyph of a verdict around `place`."""
        stamp = _glyph(verdict, size)
        x, y = round(place[0] - stamp.width / 2), round(place[1] - stamp.height / 2)
        self.image.paste(stamp, (x, y), stamp)

    def title(self, words: str) -> None:
        """The line above, and on its right the names of the glyphs that occur."""
        x = float(self.right)
        for verdict in reversed(self.scene.verdicts):
            x -= _font(12).getlength(SIGNS[verdict].words)
            self.text((x, TOP / 2), SIGNS[verdict].words, colour=INK)
            self.glyph((x - 12, TOP / 2), verdict, 12)
            x -= 34
        while _font(15).getlength(words) > x - self.left and len(words) > 10:
            words = words[:-2] + "…"
        self.text((self.left, TOP / 2), words, size=15, colour=INK)


def drawable(text: str, limit: int = 100) -> str:
    """Guest text as one line, without a character that the font lacks."""
    shown = shorten(visible(text), limit)
    return "".join(c if c < "\u0180" or _has(c) else f"\\u{ord(c):04x}" for c in shown)


@cache
def _has(char: str) -> bool:
    """Whether the font has a character: a missing one is drawn as the same box as an invalid one."""
    font = _font(15)
    return bytes(font.getmask(char)) != bytes(font.getmask("\U0010ffff"))


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, the font that `plots` draws with too, so that every picture of a run shows the same characters."""
    return ImageFont.truetype(_font_file("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


def _font_file(name: str) -> str:
    """The path of a font in matplotlib, which is always installed with wasilab.

    Its installed files are searched first, because importing matplotlib takes half a second. If its packager put the
    fonts elsewhere, matplotlib is imported and asked.
    """
    try:
        file = distribution("matplotlib").locate_file(f"matplotlib/mpl-data/fonts/ttf/{name}")
        with open(str(file), "rb"):
            return str(file)
    except (PackageNotFoundError, OSError):
        from matplotlib.font_manager import FontProperties, findfont

        weight = "bold" if "Bold" in name else "normal"
        return findfont(FontProperties(family="DejaVu Sans", weight=weight))


@cache
def _glyph(verdict: str, size: int) -> Image.Image:
    """An antialiased glyph in its colour with a white rim."""
    fine = 8 * size
    shape = [(fine * (0.5 + 0.4 * x), fine * (0.5 + 0.4 * y)) for x, y in SIGNS[verdict].outline]
    large = Image.new("RGBA", (fine, fine), (255, 255, 255, 0))
    draw = ImageDraw.Draw(large)
    draw.polygon(shape, fill=COLOURS[verdict])
    draw.line([*shape, shape[0], shape[1]], fill="white", width=fine // 18, joint="curve")
    return large.resize((size + 2, size + 2), Image.Resampling.LANCZOS)
