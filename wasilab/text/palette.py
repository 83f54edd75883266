"""Terminal colours: the styles, and whether they are used.

A function that makes text for display takes a `Palette` and names the style of each part. Without a palette the same
text is plain. Text from a guest is escaped first (`escape.visible`), so it cannot set colours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

TextStyle = Literal["error", "warning", "note", "good", "place", "heading", "faint"]
ColorChoice = Literal["auto", "always", "never"]

# Pure red: front ends set a cell's errors on pink or on dark red, and on both of them their own red is hard to read.
CODES: dict[TextStyle, str] = {
    "error": "1;38;5;196",
    "warning": "1;33",
    "note": "1;36",
    "good": "32",
    "place": "1",
    "heading": "1",
    "faint": "2",
}
"""The parameters of the escape sequence (ECMA-48, SGR) of each style."""


class Palette:
    """The escape code of each style; none in `PLAIN`."""

    def __init__(self, codes: Mapping[TextStyle, str]) -> None:
        self._codes = codes

    @property
    def colors(self) -> bool:
        """Whether any style is shown."""
        return bool(self._codes)

    def __call__(self, style: TextStyle, text: str) -> str:
        """`text` in that style.

        >>> ANSI("good", "--dir .") == "\\x1b[32m--dir .\\x1b[0m", PLAIN("good", "--dir .")
        (True, '--dir .')
        """
        code = self._codes.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


PLAIN = Palette({})
ANSI = Palette(CODES)


def palette_for(choice: ColorChoice, terminal: bool) -> Palette:
    """The palette of a stream: `choice` is the value of `--color`, `terminal` whether the stream is a terminal.

    With "auto" a terminal has colours unless NO_COLOR (https://no-color.org) is set and not empty, or TERM is "dumb".
    """
    if choice == "auto":
        return ANSI if terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" else PLAIN
    return ANSI if choice == "always" else PLAIN
