"""Errors that fail a cell without our traceback: the mistake is in the user's program, not in wasilab.

IPython calls an exception's `_render_traceback_` if it has one. The cell still fails, so "Run All" stops there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...text.compiler_text import plain, styled
from ...text.numbers import counted
from ...text.palette import ANSI

LINES_SHOWN = 120
"""The most lines of a compiler's output that a cell shows: one mistake in a template can make a thousand."""
_CYAN, _YELLOW, _OFF = "\x1b[1;36m", "\x1b[33m", "\x1b[0m"


def _in_colour() -> bool:
    """Whether the shell shows colours (`--colors=nocolor` and NO_COLOR say no)."""
    from IPython import get_ipython

    wanted = str(getattr(get_ipython(), "colors", "")).lower()
    return wanted != "nocolor" and not os.environ.get("NO_COLOR")


class CellFailure(Exception):
    """The base class: only its message is shown, line by line."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class CompileFailed(CellFailure):
    """The compiler refused the cell; the text is the compiler's own, with the cell's line numbers.

    `hints` are shown below it. `places`, each a cell number and a line, are repeated at the end in the form of
    IPython's own tracebacks, which some front ends (VS Code) turn into links.
    """

    def __init__(self, text: str, places: Sequence[tuple[int, int]] = (), hints: Sequence[str] = ()) -> None:
        super().__init__("\n".join([text.rstrip("\n"), *(f"hint: {hint}" for hint in hints)]))
        self.text = text.rstrip("\n")
        self.places = tuple(dict.fromkeys(places))[:5]
        self.hints = tuple(hints)

    def _render_traceback_(self) -> list[str]:
        shown = styled(self.text, ANSI)
        if len(shown) > LINES_SHOWN + 20:
            left = len(shown) - LINES_SHOWN
            shown = [
                *shown[:LINES_SHOWN],
                f"[... {counted(left, 'more line')} from the compiler; fix the first error]",
            ]
        hints = styled("\n".join(f"hint: {hint}" for hint in self.hints), ANSI) if self.hints else []
        places = [f"{_CYAN}Cell In[{cell}], line {line}{_OFF}" for cell, line in self.places if cell]
        rows = [*shown, *hints, *places]
        return rows if _in_colour() else [plain(row) for row in rows]


class CellInterrupted(KeyboardInterrupt):
    """The user stopped the cell: queued cells do not run."""

    def _render_traceback_(self) -> list[str]:
        row = f"{_YELLOW}Interrupted{_OFF}{': ' + str(self) if str(self) else ''}"
        return [row if _in_colour() else plain(row)]
