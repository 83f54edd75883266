"""Usage errors: one line that says what is wrong and what to write instead.

The command line prints it to stderr and exits with status 2; a notebook raises IPython's `UsageError`.
"""

from __future__ import annotations


class UsageProblem(Exception):
    """A request that cannot be understood or carried out as it stands.

    The message is one line: what is wrong, and what to write instead.
    """

    def __init__(self, message: str, *, command: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.command = command


class HelpAsked(Exception):
    """The user asked for help or the version: print `text` and succeed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
