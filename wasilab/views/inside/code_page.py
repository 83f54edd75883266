"""The page of one function's code: source, WebAssembly and machine code side by side, as Compiler Explorer shows them.

A source line's rows share a colour. No script. Every text is escaped: names come from the module.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from ...text.escape import html_text
from ...text.numbers import counted
from ..report.page import embedded

HUES = 8
MOST_ROWS = 4000
_LINE_HEIGHT = 18


class CodeLine(NamedTuple):
    """One instruction: its text, its machine code as (address, text, whether the compiler added it), its calls."""

    wat: str
    machine: list[tuple[str, str, bool]]
    calls: str
    refused: bool


class CodeGroup(NamedTuple):
    """The rows of one source line: where it is, its text, its number."""

    where: str
    text: str
    line: int
    rows: list[CodeLine]


@cache
def _css() -> str:
    return files(__package__).joinpath("inside.css").read_text(encoding="utf-8")


def styled(body: str) -> str:
    """`body` with the styles of these pages."""
    return f"<style>{_css()}</style>{body}"


def code_html(heading: str, remarks: list[str], groups: list[CodeGroup]) -> str:
    """The contents of the page."""
    has_source = any(group.line for group in groups)
    titles = (["source"] if has_source else []) + ["WebAssembly", "machine code"]
    head = "".join(f"<th>{title}</th>" for title in titles)
    parts = [f"<h1>{html_text(heading)}</h1>", *(f'<p class="dim">{html_text(one)}</p>' for one in remarks)]
    parts.append(f'<table class="code{" sourced" if has_source else ""}"><thead><tr>{head}</tr></thead>')
    left = MOST_ROWS
    for group in groups:
        rows = group.rows[:left]
        left -= len(rows)
        parts.append(f'<tbody class="hue{group.line % HUES if group.line else "less"}">')
        for at, row in enumerate(rows):
            source = ""
            if has_source and at == 0:
                text = f'<span class="no-line">{html_text(group.where)}</span> {html_text(group.text)}'
                source = f'<td class="source" rowspan="{len(rows)}"><div>{text}</div></td>'
            parts.append(f"<tr{_lit(row)}>{source}{_cells(row)}</tr>")
        parts.append("</tbody>")
    parts.append("</table>")
    total = sum(len(group.rows) for group in groups)
    if total > MOST_ROWS:
        more = counted(total - MOST_ROWS, "more instruction")
        parts.append(f'<p class="dim">{more}: print(...) shows all</p>')
    return styled("".join(parts))


def _lit(row: CodeLine) -> str:
    return "" if not row.calls else ' class="lit refused"' if row.refused else ' class="lit"'


def _cells(row: CodeLine) -> str:
    calls = ""
    if row.calls:
        mark = "✖ " if row.refused else "● "
        calls = f'<span class="calls">{mark}{html_text(row.calls)}</span>'
    machine = "".join(
        f'<span class="asm{" added" if added else ""}"><i>{html_text(address)}</i>{html_text(text)}</span>'
        for address, text, added in row.machine
    )
    return f'<td class="wat">{html_text(row.wat, lines=True)}{calls}</td><td class="machine">{machine}</td>'


def embedded_code(heading: str, remarks: list[str], groups: list[CodeGroup]) -> str:
    """The page for a notebook's output: framed, with plain text for readers that strip frames."""
    lines = sum(max(1, len(row.machine)) for group in groups for row in group.rows)
    plain = "\n".join(row.wat for group in groups for row in group.rows)
    simple = f"<p><b>{html_text(heading)}</b></p><pre>{html_text(plain[:20000], lines=True)}</pre>"
    height = min(640, 110 + _LINE_HEIGHT * min(lines, MOST_ROWS))
    return embedded(html_text(heading), code_html(heading, remarks, groups), simple, height)
