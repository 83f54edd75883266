"""A table of grades: on a terminal, as CSV, and as a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ...text.escape import html_text, shorten
from ...text.numbers import counted
from ...trace.answers.tabular import text_table
from ...views.report.page import document
from ..checked import counted_points
from .grader import Grade

HEAD = ("notebook", "exercise", "points", "out of", "note")
_WIDEST = 60
_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the begin of a formula."""


def grades_text(grades: Sequence[Grade], columns: int = 120) -> list[str]:
    """The table as lines of at most about `columns` characters."""
    rows = [
        (shorten(each.notebook, _WIDEST), each.exercise, f"{each.points:g}", f"{each.out_of:g}", each.note)
        for each in grades
    ]
    return [shorten(line, max(columns, 60)) for line in text_table([HEAD, *rows], left=(0, 1, 4))]


def grades_csv(grades: Sequence[Grade]) -> str:
    """The table as CSV (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    for each in grades:
        row = (_plain(each.notebook), each.exercise, f"{each.points:g}", f"{each.out_of:g}", _plain(each.note))
        writer.writerow(row)
    return text.getvalue()


def grades_html(grades: Sequence[Grade], title: str) -> str:
    """The table as a page of its own, with the verdicts of each row."""
    head = "".join(f"<th>{word}</th>" for word in HEAD)
    total = counted_points(sum(each.points for each in grades))
    notebooks = len({each.notebook for each in grades})
    rows = "".join(map(_row, grades))
    body = (
        f'<h1>{html_text(title)}</h1><p class="dim">{counted(notebooks, "notebook")}, {total} in all</p>'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return document(html_text(title), body)


def _row(each: Grade) -> str:
    note = html_text(each.note)
    if each.checked is not None:
        note = f'<details><summary style="margin:0">{note}</summary>{each.checked.table_html()}</details>'
    return (
        f'<tr><td class="words">{html_text(each.notebook)}</td><td>{html_text(each.exercise)}</td>'
        f'<td class="n">{each.points:g}</td><td class="n">{each.out_of:g}</td><td class="words">{note}</td></tr>'
    )


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
