"""Errors that fail a cell without a traceback of ours: a person made a mistake in *their* program, not we in ours.

IPython calls `_render_traceback_` of an exception where it has one. The cell fails all the same, so that "Run All"
stops there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...text.compiler_text import plain, styled
from ...text.numbers import counted
from ...text.palette import ANSI

LINES_SHOWN = 120
"""Lines of a compiler's text that a cell shows: one mistake in a template can make a thousand."""
_CYAN, _YELLOW, _OFF = "\x1b[1;36m", "\x1b[33m", "\x1b[0m"


def _in_colour() -> bool:
    """Whether the shell shows colours (`--colors=nocolor` and NO_COLOR say no)."""
    from IPython import get_ipython

    wanted = str(getattr(get_ipython(), "colors", "")).lower()
    return wanted != "nocolor" and not os.environ.get("NO_COLOR")


class CellFailure(Exception):
    """The base: shown as its message, line by line, and nothing else."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class CompileFailed(CellFailure):
    """The compiler refused the cell; the text is the compiler's own, with the cell's line numbers.

    `hints` stand below it, and `places`, each a cell's number and a line in it, are named once more at the end, in the
    form of IPython's own tracebacks: front ends that make those a link to the line (VS Code) do it here too.
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
                f"[... {counted(left, 'more line')} of the compiler's; mend the first error]",
            ]
        hints = styled("\n".join(f"hint: {hint}" for hint in self.hints), ANSI) if self.hints else []
        places = [f"{_CYAN}Cell In[{cell}], line {line}{_OFF}" for cell, line in self.places if cell]
        rows = [*shown, *hints, *places]
        return rows if _in_colour() else [plain(row) for row in rows]


class CellInterrupted(KeyboardInterrupt):
    """The person stopped the cell: queued cells do not run."""

    def _render_traceback_(self) -> list[str]:
        row = f"{_YELLOW}Interrupted{_OFF}{': ' + str(self) if str(self) else ''}"
        return [row if _in_colour() else plain(row)]
