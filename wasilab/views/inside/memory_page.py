"""The pages of a memory: a strip of its regions, and a hexdump in their colours. No script; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from ...module.inside.memory_layout import Region, RegionKind
from ...text.escape import html_text
from ..report.page import embedded
from .code_page import styled

_ROWS_SHOWN = 3000


class DumpRow(NamedTuple):
    """One row of a hexdump."""

    address: int
    """The address of its first byte."""
    data: bytes
    kinds: tuple[RegionKind, ...]
    """The kind of region of each byte."""
    first: int
    """How many bytes of the row's 16 lie before `data`."""


class DumpBreak(NamedTuple):
    """A line between rows: a region begins, or equal rows are left out."""

    words: str


DumpLine = DumpRow | DumpBreak


def strip_html(regions: list[Region], words: Iterable[str]) -> str:
    """The memory as a strip, widths by the square root of the sizes, with a legend of addresses."""
    shown = list(zip(regions, words, strict=True))
    pieces = "".join(
        f'<span class="r-{one.kind}" style="flex-grow:{one.size ** 0.5:.0f}" title="{html_text(told)}">'
        f"{html_text(one.name or one.kind)}</span>"
        for one, told in shown
    )
    legend = "".join(
        f'<li><span class="swatch r-{one.kind}"></span>{html_text(told)}</li>' for one, told in shown
    )
    strip = f'<div class="strip" role="img" aria-label="layout of the memory">{pieces}</div>'
    return f'{strip}<ul class="legend">{legend}</ul>'


def memory_html(
    heading: str, regions: list[Region], words: Sequence[str], lines: Iterable[DumpLine], pointer: int | None
) -> str:
    """The contents of the page."""
    parts = [f"<h1>{html_text(heading)}</h1>", strip_html(regions, words), '<div class="hexdump">']
    for at, line in enumerate(lines):
        if at >= _ROWS_SHOWN:
            parts.append('<div class="where">more rows: print(...) shows all</div>')
            break
        if isinstance(line, DumpBreak):
            parts.append(f'<div class="where">{html_text(line.words)}</div>')
        else:
            parts.append(_row(line, pointer))
    return styled("".join([*parts, "</div>"]))


def _row(line: DumpRow, pointer: int | None) -> str:
    pad = "   " * line.first
    pieces = [f"<u>{line.address - line.first:08x}</u> {pad}"]
    letters = [" " * line.first]
    for kind, run in groupby(range(len(line.data)), lambda at: line.kinds[at]):
        hexes, texts = [], []
        for at in run:
            mark = pointer == line.address + at
            code = f"{line.data[at]:02x}"
            hexes.append(f"<mark title=\"the stack pointer\">{code}</mark>" if mark else code)
            char = chr(line.data[at]) if 32 <= line.data[at] < 127 else "."
            texts.append(html_text(char))
        pieces.append(f'<span class="r-{kind}">{" ".join(hexes)} </span>')
        letters.append(f'<span class="r-{kind}">{"".join(texts)}</span>')
    tail = "   " * (16 - line.first - len(line.data))
    return f"<div>{''.join(pieces)}{tail} {''.join(letters)}</div>"


def embedded_memory(heading: str, contents: str, text: str) -> str:
    """The page for a notebook's output: framed, with plain text for readers that strip frames."""
    simple = f"<pre>{html_text(text[:20000], lines=True)}</pre>"
    return embedded(html_text(heading), contents, simple, min(640, 142 + 19 * text.count("\n")))
