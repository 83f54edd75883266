"""What a person got wrong, in one line: the error of both doors, with the nearest valid word.

The command line prints it to stderr and exits with status 2; a notebook raises IPython's `UsageError`.
"""

from __future__ import annotations

from collections.abc import Iterable


class UsageProblem(Exception):
    """A request that cannot be understood or carried out as it stands.

    The message is one line: what is wrong, and what to write instead.
    """

    def __init__(self, message: str, *, command: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.command = command


class HelpAsked(Exception):
    """The person asked for help or the version: print `text`, succeed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def did_you_mean(word: str, valid: Iterable[str], otherwise: str = "") -> str:
    """`"; did you mean X?"` for the valid word nearest to `word`, else `otherwise`."""
    from difflib import get_close_matches

    plain = {name.lstrip("-"): name for name in sorted(valid)}  # two dashes in common are no likeness
    close = get_close_matches(word.lstrip("-"), plain, 1, 0.55)
    return f"; did you mean {plain[close[0]]}?" if close else otherwise
