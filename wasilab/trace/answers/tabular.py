"""Formats tables as text and as HTML, and computes their sums.

For: the other files of this folder. Cells may contain text of a guest: they are escaped here for HTML, and made visible
(`text/escape.py`) by the caller. Not for: the contents of a table.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ...text.escape import visible
from ...text.palette import PLAIN, Palette, TextStyle
from ..calls import Calls
from ..columns.records import Array


def text_table(
    rows: Sequence[Sequence[str]],
    left: Collection[int],
    gap: str = "  ",
    styles: Mapping[int, TextStyle] | None = None,
    palette: Palette = PLAIN,
) -> list[str]:
    """Rows, the head first, as lines with aligned columns: those in `left` to the left, the others to the right.

    `styles`: column -> the style of its cells below the head.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for at, row in enumerate(rows):
        cells = []
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            last = i == len(row) - 1
            padded = cell.rjust(width) if i not in left else cell if last else cell.ljust(width)
            style: TextStyle | None = "heading" if at == 0 else (styles or {}).get(i)
            cells.append(palette(style, padded) if style is not None and cell else padded)
        lines.append(gap.join(cells).rstrip())
    return lines


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML. On a narrow page it scrolls; a figure is never separated from its unit."""

    def line(cells: Sequence[str], tag: str) -> str:
        # JupyterLab sets the style of cells, so that of the table does not reach them.
        start = f'<{tag} style="white-space:nowrap">'
        return "<tr>" + "".join(f"{start}{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        '<div style="overflow-x:auto"><table>'
        f"<thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def notes_html(notes: Sequence[str]) -> str:
    """Lines of text as paragraphs."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in notes)


def noted_lines(trace: Calls) -> tuple[str, ...]:
    """The user's notes on calls of `trace`, one line each."""
    if not trace.notes or not len(trace):
        return ()
    seq = trace.column("seq")
    lines = []
    for first, last, text in trace.notes:
        if np.searchsorted(seq, first) < np.searchsorted(seq, last, "right"):
            span = f"call {first}" if last == first else f"calls {first} to {last}"
            lines.append(f"note on {span}: {visible(text)}")
    return tuple(lines)


def totals(codes: Array, weights: Array, n: int) -> Array:
    """The sum of the weights of each code below `n`, i8. Larger sums, which only a corrupt file has, become 2**62."""
    return np.asarray(np.minimum(np.bincount(codes, weights=weights, minlength=n), 2.0**62).astype("<i8"))
