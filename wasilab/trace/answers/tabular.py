"""Tables of an answer as text and as HTML, and the sums that fill them.

For: the other files of this folder. Cells are texts that may be a guest's: they are escaped here for HTML, and made
visible (`text/escape.py`) by whoever makes them. Not for: what a table says.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ...text.escape import visible
from ..calls import Array, Calls


def text_table(rows: Sequence[Sequence[str]], left: Collection[int], gap: str = "  ") -> list[str]:
    """Rows, the head among them, as lines with aligned columns: those in `left` to the left, the others to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML. A narrow page scrolls it; no figure is broken from its unit."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        '<div style="overflow-x:auto"><table style="white-space:nowrap">'
        f"<thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def notes_html(notes: Sequence[str]) -> str:
    """Lines of text as paragraphs."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in notes)


def noted_lines(trace: Calls) -> tuple[str, ...]:
    """The notes that a person made on calls of `trace`, a line each."""
    if not trace.notes or not len(trace):
        return ()
    seq = trace.column("seq")
    lines = []
    for first, last, text in trace.notes:
        if np.searchsorted(seq, first) < np.searchsorted(seq, last, "right"):
            span = f"call {first}" if last == first else f"calls {first} to {last}"
            lines.append(f"note on {span}: {visible(text)}")
    return tuple(lines)


def totals(codes: Any, weights: Any, n: int) -> Array:
    """The sum of the weights of each code below `n`, i8. Larger sums, which only a corrupt file has, become 2**62."""
    return np.asarray(np.minimum(np.bincount(codes, weights=weights, minlength=n), 2.0**62).astype("<i8"))
