"""What a command needs from the front end that called it, and what it returns.

`Frontend` is implemented for the command line (`cli.py`) and the notebook (`magics/cells/notebook_frontend.py`); the
commands know neither. Text passed to `say` or `note` is for people: guest bytes must already be escaped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from ...capabilities.protocols import File
from ...capabilities.waiting import Interrupt
from ...grants import live
from ...module.module import Module
from ...runs.run import Run
from ...text.palette import Palette

FrontendKind = Literal["cli", "notebook"]
"""Which of the two front ends made a request."""


class Busy(Protocol):
    """A progress line during long work."""

    def tick(self, what: str | None = None) -> None:
        """Show the current activity; the elapsed time is added."""


class Done(NamedTuple):
    """The result of a command: its exit status, and the value that a notebook shows (None: nothing)."""

    status: int = 0
    value: Any = None


class Streams(Protocol):
    """Where the guest's output goes while it runs: called on the thread that runs the command."""

    @property
    def stdout(self) -> Callable[[bytes], object]:
        """Takes what the guest writes to descriptor 1."""

    @property
    def stderr(self) -> Callable[[bytes], object]:
        """Takes what the guest writes to descriptor 2."""

    def close(self) -> None:
        """The guest has ended."""


class Watching(Protocol):
    """Shows a run in progress: called on the thread that runs the command."""

    def started(self, run: Run) -> None:
        """The guest is about to run."""

    def tick(self) -> None:
        """Called many times a second while it runs."""

    def close(self) -> None:
        """The guest has ended."""


class Frontend(Protocol):
    """The front end that a command was called through."""

    kind: FrontendKind
    out: Palette
    """The colours of what `say` writes."""
    err: Palette
    """The colours of what `note` writes."""
    columns: int
    """The width of text for `say`."""

    def say(self, text: str) -> None:
        """Write the command's answer (a missing final newline is added)."""

    def note(self, text: str) -> None:
        """Write a remark beside the answer (stderr)."""

    def remark(self, text: str) -> None:
        """Write additional information that is not a warning: figures, the address of a socket."""

    def fold(self, title: str, text: str) -> None:
        """Write a long remark, folded under its title if the front end can fold."""

    def offer(self, line: str, source: str) -> None:
        """Give the user a program: `source`, and in a notebook the `%%wasi` line that runs it."""

    def busy(self, what: str, quiet: bool = False, *, ticking: bool = False) -> AbstractContextManager[Busy]:
        """A line of progress, shown once the work takes more than a second.

        `ticking`: the work itself calls `tick` often; otherwise a thread updates the time.
        """

    def streams(self, quiet: bool = False) -> Streams:
        """New streams for one run."""

    def watching(self) -> Watching | None:
        """Shows one run while it is in progress; None to show nothing."""

    def has_person(self) -> bool:
        """Whether a user is present who can type the guest's input when it reads."""

    def input_at_hand(self) -> bool:
        """Whether the process's stdin is a pipe or a file, which could be the guest's input."""

    def own_stdin(self, interrupt: Interrupt) -> File | None:
        """The user's input as a file that the guest reads directly; None: `read_line` is called for each line."""

    def read_line(self, prompt: str = "") -> str | None:
        """A line from the user, without its newline; None at the end of input, or if the user cannot be asked."""

    def asker(self) -> live.ask.Decider | None:
        """Answers the questions of a run in ask mode; None if the user cannot be asked. Call it before the guest
        begins: an introduction may be shown first."""

    def find(self, name: str) -> Module | None:
        """The module kept under a name, or None."""

    def run_named(self, name: str | None) -> Run | None:
        """The run kept under a name (None: the last one), or None."""

    def keep(self, name: str, module: Module, run: Run | None = None) -> None:
        """Keep a module, and its run, under a name."""

    def cell_options(self, name: str) -> argparse.Namespace | None:
        """The options of the cell that made the module kept under a name, or None."""

    def forget(self, name: str | None) -> None:
        """Remove what is kept under a name; None removes everything, including the last run."""

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, module, last run with the size of its trace) of everything that is kept, as text."""
