"""What one notebook session holds: modules and runs by name, and the files that cells share.

There is one `NotebookSession` a shell; it is forgotten with the kernel. Nothing here compiles or runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..commands.line.usage import UsageProblem
from ..module.module import Module
from ..text.nearest import did_you_mean


@dataclass
class Kept:
    """A module kept under a name, and its last run (None: not run yet)."""

    module: Module
    run: Any = None


@dataclass
class NotebookSession:
    """The session's names, its last run, and the files of `%%wasi_file` cells."""

    kept: dict[str, Kept] = field(default_factory=dict)
    last: Any = None
    files: dict[str, str] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    """The number of the cell that wrote each file; its text begins on that cell's second line."""
    warmed: bool = False
    """Whether the session's first cell has been run."""

    def keep(self, name: str, module: Module, run: Any = None) -> None:
        """Keep a module, and its run, under `name`; raises `UsageProblem` for what cannot be a name."""
        check_name(name)
        before = self.kept.get(name)
        self.kept[name] = Kept(module, run if run is not None or before is None else before.run)

    def run_named(self, name: str | None) -> Any:
        """The run under `name`, or the last one; None when there is none."""
        if name is None:
            return self.last
        kept = self.kept.get(name)
        return None if kept is None else kept.run

    def file(self, name: str, text: str, cell: int = 0) -> None:
        """Write a file, from the cell of that number, into the compile folder of the session."""
        if not name or name.startswith(("/", "-")) or ".." in name.split("/") or "\0" in name or "\\" in name:
            raise UsageProblem(f"{name!r} cannot be a file of the session: write a relative name such as util.h")
        self.files[name] = text
        self.cells[name] = cell

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, module, last run) of everything kept, for `%wasi list`."""
        rows = []
        for name, kept in self.kept.items():
            run = "not run" if kept.run is None else f"exit status {getattr(kept.run, 'exit_code', '?')}"
            rows.append((name, f"{kept.module.kind}, {len(kept.module.bytes):,} bytes", run))
        return rows

    def missing(self, name: str) -> str:
        """The sentence for a name that is not kept."""
        return f"nothing is named {name!r}{did_you_mean(name, self.kept, ' (%%wasi --name NAME names a cell)')}"


def cell_number(shell: Any) -> int:
    """The number of the cell that runs, as in `In[7]`; 0 in a shell that keeps no history."""
    history = shell.history_manager
    return len(history.input_hist_raw) - 1 if history is not None else 0


def check_name(name: str) -> None:
    """Raise `UsageProblem` unless `name` can name a module: it must not look like a file or an option."""
    if not name or len(name) > 80 or name.startswith("-") or any(c in name for c in "/\\.:") or not name.isprintable():
        raise UsageProblem(f"--name {name!r}: a name has letters, digits, '_' and '-' (files are named by their path)")
