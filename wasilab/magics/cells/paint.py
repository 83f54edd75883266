"""A compiler's text in colours, alike for the seven languages: place, severity, and the marks below a source line.

The words stay the compiler's own; escape sequences in them are taken out first, so that a message cannot colour
anything. For a cell that failed (`ansi`) and for folded warnings (`html`). Which compiler wrote it does not matter:
the formats are told apart line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...text.escape import html_text

Piece = tuple[str, str]
"""(style, text); style is "error", "warning", "note", "place" or "" for plain."""

# Pure red: front ends set a cell's errors on pink or on dark red, and on both of them their own red is hard to read.
_ANSI = {"error": "\x1b[1;38;5;196m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m", "place": "\x1b[1m"}
_HTML = {
    "error": "color:#d6293e;font-weight:600",
    "warning": "color:#b07500;font-weight:600",
    "note": "color:#2f7fd6;font-weight:600",
    "place": "font-weight:600",
}
_STYLE = {"error": "error", "fatal error": "error", "warning": "warning", "pedantic": "warning"}
_SEVERITY = r"(?P<sev>fatal error|error|warning|note|remark|help|hint|info|pedantic)(?:\[[\w:]+\]| [A-Z]+\d+)?:"
_HEAD = re.compile(
    rf"(?P<before>(?P<place>\S.*?:\d+:(?:\d+:)?) |[\w.+/-]+: |\s*= |)(?P<word>{_SEVERITY})(?P<after>.*)", re.I
)
_ARROW = re.compile(r"(?P<lead>\s*(?:-->|::: |└─ in) ?)(?P<place>\S.*)")
_MARKS = re.compile(r"(?P<gutter>\s*[|│])(?P<marks>.*\S.*)|(?P<bare>\s*[~^][~^ ]*)")


def painted(text: str) -> Iterator[list[Piece]]:
    """The lines of `text`, each in pieces of one style."""
    now = "error"
    for line in plain(text).rstrip("\n").split("\n"):
        if head := _HEAD.fullmatch(line):
            now = _STYLE.get(head["sev"].lower(), "note")
            yield [("place", head["before"]), (now, head["word"]), ("", head["after"])]
        elif arrow := _ARROW.fullmatch(line):
            yield [("", arrow["lead"]), ("place", arrow["place"])]
        elif marks := _MARKS.fullmatch(line):
            yield [("", marks["gutter"] or ""), (now, marks["marks"] or marks["bare"])]
        else:
            yield [("", line)]


def plain(text: str) -> str:
    """`text` without escape sequences and control characters."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", re.sub(r"\x1b\[[0-9;]*m", "", text))


def ansi(text: str) -> list[str]:
    """The lines of `text` with colours for a terminal and for a notebook's traceback."""
    return [
        "".join(f"{_ANSI[style]}{piece}\x1b[0m" if style and piece else piece for style, piece in pieces)
        for pieces in painted(text)
    ]


def html(text: str) -> str:
    """`text` with colours, as the content of a `<pre>`."""
    return "\n".join(
        "".join(
            f'<span style="{_HTML[style]}">{html_text(piece, lines=True)}</span>'
            if style and piece
            else html_text(piece, lines=True)
            for style, piece in pieces
        )
        for pieces in painted(text)
    )
