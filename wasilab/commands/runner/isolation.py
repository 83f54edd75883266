"""`--isolate`: whether a program runs in its own process in the kernel's sandbox; and a notebook's default for all
cells (`%wasi config isolate on`)."""

from __future__ import annotations

import argparse
from typing import Literal

from ...runs import isolated
from ...runs.prepare import Isolate
from ..line.parser import Parser

Choice = Literal["on", "strict", "off"]
CHOICES: tuple[Choice, ...] = ("on", "strict", "off")


class Settings:
    """What a front end does if no option is given."""

    isolate: Choice = "off"


CHOSEN = Settings()
"""The settings of this process, that is, of its notebook."""


def add_isolate_option(parser: Parser) -> None:
    """Add `--isolate` to a parser, and `--isolation`, of which `--isolate=strict` is another spelling."""
    group = parser.add_argument_group("the process it runs in")
    group.add_argument(
        "--isolate", action="store_const", const="on",
        help="run in a separate process, in the sandbox that this kernel supports (`wasilab doctor` lists its layers), "
        "so that a vulnerability in the engine does not compromise this one; --isolate=strict: only with all layers",
    )  # fmt: skip
    group.add_argument("--isolation", dest="isolate", choices=CHOICES, help="the same, by name: on, strict, off")


def isolation(options: argparse.Namespace) -> Isolate:
    """The argument of `runner.run` according to the options, or else the notebook's settings."""
    return _argument(options.isolate or CHOSEN.isolate)


def by_settings() -> Isolate:
    """The argument of `runner.run` according to the notebook's settings."""
    return _argument(CHOSEN.isolate)


def _argument(choice: Choice) -> Isolate:
    return "strict" if choice == "strict" else choice == "on"


def prepare(options: argparse.Namespace, *, keep: bool) -> None:
    """Start the process for an isolated run now, while the program is loaded or compiled.

    `keep`: further runs are likely to come, so another process is started after each.
    """
    if isolation(options):
        isolated.outside.prepare(keep=keep)
