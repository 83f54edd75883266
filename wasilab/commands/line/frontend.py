"""What a command needs of the door that it was called through, and what it hands back.

The command line (`cli.py`) and the notebook (`magics/`) each implement `Door`; the commands themselves know of
neither. Everything written here is text for people: guest bytes are escaped before they reach `say` or `note`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ...capabilities.protocols import File
from ...capabilities.waiting import Interrupt
from ...module.module import Module


class Busy(Protocol):
    """A line of progress while something takes long."""

    def tick(self, what: str | None = None) -> None:
        """Say what goes on now; the elapsed time is added."""


@dataclass(frozen=True)
class Done:
    """A command's end: its exit status, and the value that a notebook shows (None: nothing)."""

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
        """The guest is done."""


class Door(Protocol):
    """The front door that a command was called through."""

    kind: Literal["cli", "notebook"]

    def say(self, text: str) -> None:
        """The command's answer, a whole text (a newline is added where it ends without)."""

    def note(self, text: str) -> None:
        """A remark beside the answer (stderr)."""

    def remark(self, text: str) -> None:
        """A fact beside the answer that is no warning: figures, where a socket listens."""

    def fold(self, title: str, text: str) -> None:
        """A longer remark, closed under its title where the door can do that."""

    def offer(self, line: str, source: str) -> None:
        """Hand a program over: `source`, with the `%%wasi` line that runs it where there are cells."""

    def busy(self, what: str, quiet: bool = False) -> AbstractContextManager[Busy]:
        """Progress, shown once it takes long."""

    def streams(self, quiet: bool = False) -> Streams:
        """Fresh streams for one run."""

    def has_person(self) -> bool:
        """Whether somebody sits there who can type the guest's input when it asks."""

    def input_at_hand(self) -> bool:
        """Whether a pipe or a file is at hand that could be the guest's input."""

    def own_stdin(self, interrupt: Interrupt) -> File | None:
        """The person's own input as a file that waits by itself; None: `read_line` is asked for each line."""

    def read_line(self, prompt: str = "") -> str | None:
        """A line from the person without its newline; None at the end, or where there is no one to ask."""

    def find(self, name: str) -> Module | None:
        """The module kept under a name, or None."""

    def run_named(self, name: str | None) -> Any:
        """The run kept under a name (None: the last one), or None."""

    def keep(self, name: str, module: Module, run: Any = None) -> None:
        """Keep a module, and its run, under a name."""

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, module, last run) of everything that is kept."""
