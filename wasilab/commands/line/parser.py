"""An argparse parser that raises instead of exiting, and that accepts `{expression}`s as values.

It defines no option; the commands do, and `options.py` those that they share.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from ...text.template import Template
from .usage import HelpAsked, UsageProblem
from .words import Values

OBJECTS = frozenset({"file", "files", "first", "second", "args", "of", "words"})
"""Arguments that accept a Python object as well as text: a module, a run, a trace, a list of words."""


SHORT_USAGE = 4
"""Lines of a usage that still names every option."""


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises instead of exiting, and that knows which of its options take a value."""

    def __init__(self, prog: str, values: Values, **more: Any) -> None:
        super().__init__(
            prog=prog, allow_abbrev=False, formatter_class=_Formatter, add_help=False, **more
        )
        self.values = values
        self.add_argument("-h", "--help", action=_Help, help="show this text")

    def error(self, message: str) -> NoReturn:
        raise UsageProblem(self.values.shown(self._plainly(message)), command=self.prog)

    def _plainly(self, message: str) -> str:
        """argparse's message with the user's spelling, and what is missing or allowed."""
        if missing := re.fullmatch(r"the following arguments are required: (.+)", message):
            usage = " ".join(self.format_usage().removeprefix("usage: ").split())
            return f"{missing[1].replace(', ', ' and ')} missing: {usage}"
        found = re.fullmatch(r"argument (\S+?)(?:/--[\w-]+)?: (.*)", message, re.DOTALL)
        if found is None:
            return message
        name, rest = found.groups()
        action = self._option_string_actions.get(name)
        if rest == "expected one argument" and action is not None:
            dashed = f" (one that begins with -: {name}=-x)" if name in ("--args", "--under") else ""
            return f"{name} needs a value: {name} {action.metavar or action.dest.upper()}{dashed}"
        if ignored := re.fullmatch(r"ignored explicit argument '(.*)'", rest, re.DOTALL):
            return f"{name} takes no value: write {name} without ={ignored[1]}"
        action = action or next((one for one in self._actions if one.metavar == name), None)
        if rest.startswith("invalid choice: ") and action is not None and action.choices:
            given = rest.removeprefix("invalid choice: ").rpartition(" (choose from")[0]
            return f"{name} {given.strip(chr(39))}: choose {' or '.join(map(str, action.choices))}"
        return f"{name}: {rest}"

    def takes_value(self) -> dict[str, bool]:
        """Every option by its spellings, and whether it takes a value."""
        return {name: action.nargs != 0 for name, action in self._option_string_actions.items()}

    def shorten_usage(self) -> None:
        """Write `[OPTION]...` for the options in a usage of several lines, as far as the command has none of its own.
        """
        if self.usage is not None or len(self.format_usage().splitlines()) <= SHORT_USAGE:
            return
        words = []
        for action in self._actions:
            if not action.option_strings:
                name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
                name += "..." if action.nargs in ("*", "+") else ""
                words.append(f"[{name}]" if action.nargs in ("?", "*") else name)
        self.usage = " ".join(["%(prog)s", "[OPTION]...", *words])

    def choices(self, name: str) -> tuple[str, ...]:
        """The values that an option accepts; empty if it accepts any, or if there is no such option."""
        action = self._option_string_actions.get(name)
        return () if action is None else tuple(map(str, action.choices or ()))

    def expanding(self) -> Parser:
        """Make every option and argument accept `{expression}`s: marks become text before its own conversion.

        Those in `OBJECTS` get the Python object itself if the word is a single expression. An option whose
        type is `Template` gets the word with its values still separate.
        """
        for action in self._actions:
            convert = action.type
            if action.dest in OBJECTS:
                action.type = self.values.object
            elif isinstance(convert, type) and issubclass(convert, Template):
                action.type = partial(self.values.template, kind=convert)
            elif action.nargs != 0:
                action.type = _after(self.values, convert) if callable(convert) else self.values.text
        return self


def _after(values: Values, convert: Callable[[str], object]) -> Callable[[str], object]:
    def read(word: str) -> object:
        return convert(values.text(word))

    return read


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse itself would import shutil for each added option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_columns() - 2)


def terminal_columns() -> int:
    """The width of stdout's terminal, 80 if it is not a terminal; COLUMNS overrides both."""
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (OSError, ValueError):
        return 80


class _Help(argparse.Action):
    """`-h`: raise the help text as an exception, so that a notebook does not exit."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=more.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> NoReturn:
        raise HelpAsked(parser.format_help())
