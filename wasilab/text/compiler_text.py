"""Colours compiler messages, whichever compiler wrote them: location, severity, and the markers below a source line.

The text is not changed. Escape sequences in it are removed first, so a message cannot set colours of its own. `styled`
is for a terminal and for a failed cell, `html` for folded warnings. The formats are recognised line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .escape import html_text
from .palette import Palette, TextStyle

Piece = tuple[TextStyle | None, str]
"""(style, text); None for plain text."""

_HTML: dict[TextStyle, str] = {
    "error": "color:#d6293e;font-weight:600",
    "warning": "color:#b07500;font-weight:600",
    "note": "color:#2f7fd6;font-weight:600",
    "place": "font-weight:600",
}
_STYLE: dict[str, TextStyle] = {"error": "error", "fatal error": "error", "warning": "warning", "pedantic": "warning"}
_SEVERITY = r"(?P<sev>fatal error|error|warning|note|remark|help|hint|info|pedantic)(?:\[[\w:]+\]| [A-Z]+\d+)?:"
_HEAD = re.compile(
    rf"(?P<before>(?P<place>\S.*?:\d+:(?:\d+:)?) |[\w.+/-]+: |\s*= |)(?P<word>{_SEVERITY})(?P<after>.*)", re.I
)
_ARROW = re.compile(r"(?P<lead>\s*(?:-->|::: |└─ in) ?)(?P<place>\S.*)")
_MARKS = re.compile(r"(?P<gutter>\s*[|│])(?P<marks>.*\S.*)|(?P<bare>\s*[~^][~^ ]*)")


def painted(text: str) -> Iterator[list[Piece]]:
    """Split `text` into lines, and each line into pieces of one style."""
    now: TextStyle = "error"
    for line in plain(text).rstrip("\n").split("\n"):
        if head := _HEAD.fullmatch(line):
            now = _STYLE.get(head["sev"].lower(), "note")
            yield [("place", head["before"]), (now, head["word"]), (None, head["after"])]
        elif arrow := _ARROW.fullmatch(line):
            yield [(None, arrow["lead"]), ("place", arrow["place"])]
        elif marks := _MARKS.fullmatch(line):
            yield [(None, marks["gutter"] or ""), (now, marks["marks"] or marks["bare"])]
        else:
            yield [(None, line)]


def plain(text: str) -> str:
    """`text` without escape sequences and control characters."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", re.sub(r"\x1b\[[0-9;]*m", "", text))


def styled(text: str, palette: Palette) -> list[str]:
    """The lines of `text` in the colours of `palette`."""
    return [
        "".join(palette(style, piece) if style is not None else piece for style, piece in pieces)
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
