"""`--isolate`: whether a program runs in a process of its own behind the kernel's walls; and what a notebook says once
for all cells (`%wasi config isolate on`)."""

from __future__ import annotations

import argparse
from typing import Literal

from ...runs import isolated
from ..line.parser import Parser

Choice = Literal["on", "strict", "off"]
CHOICES: tuple[Choice, ...] = ("on", "strict", "off")


class Settings:
    """What a front end does where an option says nothing."""

    isolate: Choice = "off"


CHOSEN = Settings()
"""The settings of this process: those of its notebook."""


def add_isolate_option(parser: Parser) -> None:
    """Put `--isolate` on a parser, and `--isolation`, which `--isolate=strict` is another spelling of."""
    group = parser.add_argument_group("the process it runs in")
    group.add_argument(
        "--isolate", action="store_const", const="on",
        help="run in a process of its own, behind the walls that this kernel has (`wasilab doctor` lists them), so "
        "that a hole in the engine is not the end of this one; --isolate=strict: only if all of them stand",
    )  # fmt: skip
    group.add_argument("--isolation", dest="isolate", choices=CHOICES, help="the same, by name: on, strict, off")


def isolation(options: argparse.Namespace) -> bool | Literal["strict"]:
    """What the options, or else the notebook's settings, say for `runner.run`."""
    chosen: Choice = options.isolate or CHOSEN.isolate
    return "strict" if chosen == "strict" else chosen == "on"


def prepare(options: argparse.Namespace, *, keep: bool) -> None:
    """Let the process for an isolated run start now, while the program is loaded or compiled.

    `keep`: further runs are likely to come, so another process is started after each.
    """
    if isolation(options):
        isolated.outside.prepare(keep=keep)
