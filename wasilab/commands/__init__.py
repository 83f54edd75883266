"""The commands, the same on the command line and in a notebook: one file per command.

`line/grammar.py` turns words into a `Request`; the command's own file executes it through a `Frontend`.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"known_errors": "known_errors", "terminal_questions": "line.terminal_questions"})
