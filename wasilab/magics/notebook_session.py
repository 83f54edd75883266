"""The state of one notebook session: modules and runs by name, and the files that cells share.

There is one `NotebookSession` per shell, which lives as long as the kernel. Nothing here compiles or runs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Protocol

from .. import runs
from ..commands.line.usage import UsageProblem
from ..module.module import Module
from ..text.nearest import did_you_mean
from ..text.numbers import size


class RawHistory(Protocol):
    """What is used of IPython's `HistoryManager`."""

    input_hist_raw: list[str]


class CellShell(Protocol):
    """What is used of IPython's `InteractiveShell`."""

    @property
    def history_manager(self) -> RawHistory | None:
        """What was entered so far; None where nothing is kept."""

    def ev(self, expr: str, /) -> object:
        """The value of a Python expression in the notebook."""

    def set_next_input(self, s: str, replace: bool = False) -> None:
        """Put a text into a new cell, or into the one that runs."""


@dataclass
class Kept:
    """A module kept under a name, and its last run (None: not run yet)."""

    module: Module
    run: runs.run.Run | None = None
    cell: argparse.Namespace | None = None
    """The options of the `%%wasi` cell that made the module; None for one from a file."""


@dataclass
class NotebookSession:
    """The session's names, its last run, and the files of `%%wasi_file` cells."""

    kept: dict[str, Kept] = field(default_factory=dict)
    last: runs.run.Run | None = None
    files: dict[str, str] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    """The number of the cell that wrote each file; its text begins on that cell's second line."""
    warmed: bool = False
    """Whether the session's first cell has been run."""

    def keep(
        self, name: str, module: Module, run: runs.run.Run | None = None, cell: argparse.Namespace | None = None
    ) -> None:
        """Keep a module, its run, and the options of its cell under `name`; None leaves a part unchanged.

        Raises `UsageProblem` for an invalid name.
        """
        check_name(name)
        kept = self.kept.setdefault(name, Kept(module))
        if cell is None and kept.module is not module:
            kept.cell = None  # the name now means another program
        kept.module = module
        kept.run = kept.run if run is None else run
        kept.cell = kept.cell if cell is None else cell

    def forget(self, name: str | None) -> list[runs.run.Run]:
        """Forget a name, or (None) every name and the last run; returns the runs no longer held here."""
        gone = [self.kept.pop(each) for each in ([*self.kept] if name is None else [name])]
        held = [kept.run for kept in gone if kept.run is not None]
        if name is None or self.last in held:
            held += [self.last] if self.last is not None and self.last not in held else []
            self.last = None
        return [run for run in held if not any(run is kept.run for kept in self.kept.values())]

    def run_named(self, name: str | None) -> runs.run.Run | None:
        """The run under `name`, or the last one; None when there is none."""
        if name is None:
            return self.last
        kept = self.kept.get(name)
        return None if kept is None else kept.run

    def file(self, name: str, text: str, cell: int = 0) -> None:
        """Write a file from the numbered cell into the compile folder of the session."""
        if not name or name.startswith(("/", "-")) or ".." in name.split("/") or "\0" in name or "\\" in name:
            raise UsageProblem(f"{name!r} cannot be a file of the session: write a relative name such as util.h")
        self.files[name] = text
        self.cells[name] = cell

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, module, last run) of everything kept, for `%wasi list`."""
        rows = []
        for name, kept in self.kept.items():
            run = "not run" if kept.run is None else _state(kept.run)
            rows.append((name, f"{kept.module.kind}, {len(kept.module.bytes):,} bytes", run))
        return rows

    def missing(self, name: str) -> str:
        """The error message for an unknown name."""
        return f"nothing is named {name!r}{did_you_mean(name, self.kept, ' (%%wasi --name NAME names a cell)')}"


def _state(run: runs.run.Run) -> str:
    """How a run ended, and the size of its trace."""
    end = "running" if run.running else f"exit status {run.exit_code}"
    if not run.traced:
        return end
    return f"{end}, trace {size(run.weight) if run.weight else 'in a file'}"


def cell_number(shell: CellShell) -> int:
    """The number of the current cell, as in `In[7]`; 0 in a shell without history."""
    history = shell.history_manager
    return len(history.input_hist_raw) - 1 if history is not None else 0


def check_name(name: str) -> None:
    """Raise `UsageProblem` unless `name` can name a module: it must not look like a file or an option."""
    if not name or len(name) > 80 or name.startswith("-") or any(c in name for c in "/\\.:") or not name.isprintable():
        raise UsageProblem(f"--name {name!r}: a name has no / \\ . or : and begins with no - (files have a path)")
