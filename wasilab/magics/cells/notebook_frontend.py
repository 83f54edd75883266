"""The notebook front end: where commands called from a cell write, ask and keep things."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from IPython.core.error import StdinNotImplementedError

from ... import commands, panels, views
from ...capabilities.protocols import File
from ...capabilities.waiting import Interrupt
from ...commands.line.frontend import Busy, FrontendKind
from ...grants import live
from ...module.module import Module
from ...runs.run import Run
from ...text.compiler_text import html as painted
from ...text.escape import html_text
from ...text.palette import PLAIN
from ..notebook_session import CellShell, NotebookSession
from .cell_output import CellStream, Progress, in_kernel
from .live_view import LiveView


class CellStreams:
    """The two output streams of one run, shown in the cell (unless `quiet` hides them)."""

    def __init__(self) -> None:
        self.stdout = CellStream("stdout", sys.stdout)
        self.stderr = CellStream("stderr", sys.stderr)

    def close(self) -> None:
        """Say what was not shown."""
        self.stdout.close()
        self.stderr.close()


class NotebookFrontend:
    """`commands.line.frontend.Frontend` for a cell or a line magic."""

    kind: FrontendKind = "notebook"
    out = err = PLAIN
    columns = 160

    def __init__(self, session: NotebookSession, shell: CellShell) -> None:
        self.session = session
        self._shell = shell

    def say(self, text: str) -> None:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        sys.stderr.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stderr.flush()

    def remark(self, text: str) -> None:
        """Shown like a value, not as stderr, which a notebook colours red; in a terminal it still goes to stderr."""
        if not in_kernel():
            self.note(text)
            return
        from IPython.display import display

        sys.stdout.flush()
        display({"text/plain": text}, raw=True)  # type: ignore[no-untyped-call]

    def fold(self, title: str, text: str) -> None:
        from IPython.display import display

        shown = f"<details><summary>{html_text(title)}</summary><pre>{painted(text)}</pre></details>"
        display({"text/plain": text, "text/html": shown}, raw=True)  # type: ignore[no-untyped-call]

    def offer(self, line: str, source: str) -> None:
        self._shell.set_next_input(f"{line}\n{source}".rstrip("\n"), replace=False)

    @contextmanager
    def busy(self, what: str, quiet: bool = False, *, ticking: bool = False) -> Iterator[Busy]:
        shown = Progress(what, quiet)
        try:
            yield shown
        finally:
            shown.close()

    def streams(self, quiet: bool = False) -> CellStreams:
        return CellStreams()

    def watching(self) -> LiveView | None:
        return LiveView() if in_kernel() else None

    def has_person(self) -> bool:
        return True

    def input_at_hand(self) -> bool:
        return False

    def own_stdin(self, interrupt: Interrupt) -> File | None:
        return None

    def read_line(self, prompt: str = "") -> str | None:
        """A line from the input box; None if there is no one to ask (a headless kernel) or at the end of input."""
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            return input(prompt)
        except (EOFError, StdinNotImplementedError):
            return None

    def asker(self) -> live.ask.Decider | None:
        """Buttons if the page can show them, else the input box; in a terminal, the terminal itself."""
        if in_kernel():
            from IPython.display import display

            return panels.question.NotebookPerson(live.questions.by_line(self.read_line), display)
        person = commands.terminal_questions.TerminalPerson(commands.terminal_questions.drawn_word())
        if not person.is_there():
            return live.questions.by_line(self.read_line)
        self.note(person.introduction())
        return person

    def find(self, name: str) -> Module | None:
        kept = self.session.kept.get(name)
        return None if kept is None else kept.module

    def run_named(self, name: str | None) -> Run | None:
        return self.session.run_named(name)

    def cell_options(self, name: str) -> argparse.Namespace | None:
        kept = self.session.kept.get(name)
        return None if kept is None else kept.cell

    def keep(self, name: str, module: Module, run: Run | None = None) -> None:
        self.session.keep(name, module, run)

    def forget(self, name: str | None) -> None:
        for run in self.session.forget(name):
            views.display.release(run)

    def rows(self) -> list[tuple[str, str, str]]:
        return self.session.rows()
