"""Errors that fail a cell without a traceback of ours: a person made a mistake in *their* program, not we in ours.

IPython calls `_render_traceback_` of an exception where it has one. The cell fails all the same, so that "Run All"
stops there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_RED, _YELLOW, _CYAN, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
_SEVERITY = re.compile(r"\b(fatal error|error|ERROR|warning|WARNING|note|help|hint)(\[[A-Z]\d+\]| [A-Z]{2}\d+)?:")
_COLOUR = {"warning": _YELLOW, "WARNING": _YELLOW, "note": _CYAN, "help": _CYAN, "hint": _CYAN}


class CellFailure(Exception):
    """The base: shown as its message, line by line, and nothing else."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class CompileFailed(CellFailure):
    """The compiler refused the cell; the text is the compiler's own, with the cell's line numbers.

    `lines` of the cell numbered `cell` are named once more below it, in the form of IPython's own tracebacks: front
    ends that make those a link to the line (VS Code) do it here too.
    """

    def __init__(self, text: str, cell: int = 0, lines: Sequence[int] = ()) -> None:
        super().__init__(text)
        self.cell = cell
        self.lines = tuple(dict.fromkeys(lines))[:5]

    def _render_traceback_(self) -> list[str]:
        places = [f"{_CYAN}Cell In[{self.cell}], line {line}{_OFF}" for line in self.lines if self.cell]
        return [*(coloured(line) for line in str(self).splitlines()), *places]


class CellInterrupted(KeyboardInterrupt):
    """The person stopped the cell: queued cells do not run."""

    def _render_traceback_(self) -> list[str]:
        return [f"{_YELLOW}Interrupted{_OFF}{': ' + str(self) if str(self) else ''}"]


def coloured(line: str) -> str:
    """A line of compiler output with its severity and its caret line in colour; other escapes are taken out."""
    line = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", re.sub(r"\x1b\[[0-9;]*m", "", line))
    if re.fullmatch(r"\s*(\|\s*)?[~^ ]*\^[~^ ]*.*", line) and "^" in line and not re.search(r"\w", line.split("^")[0]):
        return f"{_RED}{line}{_OFF}"
    return _SEVERITY.sub(lambda m: f"{_BOLD}{_COLOUR.get(m[1], _RED)}{m[0]}{_OFF}", line, count=1)
