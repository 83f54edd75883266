"""The part of IPython that the views use, without importing IPython."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, cast


class Events(Protocol):
    """`InteractiveShell.events`."""

    def register(self, event: str, function: Callable[..., object]) -> None:
        """Call a function at an event such as "pre_run_cell"."""


class Kernel(Protocol):
    """An ipykernel."""

    def get_parent(self) -> dict[str, dict[str, object]]:
        """The message being executed."""


class Formatters(Protocol):
    """`InteractiveShell.display_formatter`."""

    active_types: list[str]


class Shell(Protocol):
    """The parts of `InteractiveShell` that are used."""

    user_ns: dict[str, object]
    displayhook: object
    events: Events
    display_formatter: Formatters | None


def shell() -> Shell | None:
    """IPython's shell, if there is one."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else cast("Shell | None", ipython.get_ipython())


def kernel_of(shell: Shell | None) -> Kernel | None:
    """The kernel that a shell runs in; None in a terminal."""
    return cast("Kernel | None", getattr(shell, "kernel", None))


def shows_html() -> bool:
    """Whether a value's HTML would be shown: not in IPython's terminal, which would discard it."""
    ipython = shell()
    formatter = None if ipython is None else ipython.display_formatter
    return formatter is None or "text/html" in formatter.active_types
