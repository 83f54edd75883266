"""`wasilab` on the command line: arguments in, an exit status out. What the commands do is in `commands/`.

Exit status: the guest's own; 134 after a trap, 137 when a limit ended the run, 130 when interrupted, 141 when the
reader of stdout went away, 2 when the request was wrong, 1 when a compile failed. The guest's stdout and stderr are
passed through byte by byte, as with any program: what it writes to a terminal reaches the terminal. What wasilab
itself writes about a guest (names, paths, refusals) is escaped.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .commands.usage import HelpAsked, UsageProblem

if TYPE_CHECKING:
    from .capabilities.directory import File
    from .capabilities.waiting import Interrupt

EXIT_USAGE = 2
EXIT_FAILED = 1
EXIT_INTERRUPT = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line (default: the process's own); returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _carry_out(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit: let it flush into nothing.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPT


def _carry_out(words: list[str]) -> int:
    from .commands.grammar import parse

    command = f"wasilab {words[0]}" if words and not words[0].startswith("-") else "wasilab"
    try:
        request = parse(words, "cli")
        from .commands import execute

        return execute(request, TerminalDoor()).status
    except HelpAsked as asked:
        sys.stdout.write(asked.text)
        return 0
    except UsageProblem as problem:
        return _complain(problem.command or command, problem.message, EXIT_USAGE)
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        return _complain(command, str(error), status)


def _status_of(error: Exception) -> int | None:
    """The exit status for an error that is the person's to mend; None for a bug of ours."""
    from .grants.grants import GrantError
    from .module import ModuleError
    from .toolchains.diagnostics import CompileError, CompileInterrupted, ToolchainError, ToolchainMissing

    if isinstance(error, CompileInterrupted):
        return EXIT_INTERRUPT
    if isinstance(error, (CompileError, ToolchainMissing)):
        return EXIT_FAILED
    if isinstance(error, (GrantError, ModuleError, ToolchainError)):
        return EXIT_USAGE
    return None


def _complain(command: str, message: str, status: int) -> int:
    sys.stdout.flush()
    lines = message.rstrip("\n").split("\n")
    # A compiler's own text stands for itself; a sentence of ours says who speaks.
    text = message if len(lines) > 1 else f"{command}: {message}"
    sys.stderr.write(text.rstrip("\n") + "\n")
    sys.stderr.flush()
    return status


class TerminalDoor:
    """`commands.door.Door` for a terminal, a pipe or a script."""

    kind: Literal["cli", "notebook"] = "cli"

    def say(self, text: str) -> None:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        sys.stdout.flush()
        sys.stderr.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stderr.flush()

    def fold(self, title: str, text: str) -> None:
        self.note(text)

    @contextmanager
    def busy(self, what: str, quiet: bool = False) -> Iterator[TerminalBusy]:
        shown = TerminalBusy(what, quiet)
        try:
            yield shown
        finally:
            shown.close()

    def streams(self, quiet: bool = False) -> RawStreams:
        return RawStreams(sys.stdout.buffer, sys.stderr.buffer)

    def has_person(self) -> bool:
        return sys.stdin is not None and sys.stdin.isatty()

    def input_at_hand(self) -> bool:
        try:
            mode = os.fstat(0).st_mode
        except OSError:
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)

    def own_stdin(self, interrupt: Interrupt) -> File:
        """The process's own stdin, read as the guest asks for it."""
        from .capabilities.streams import DescriptorInput

        return DescriptorInput(0, interrupt)

    def read_line(self, prompt: str = "") -> str | None:
        """A line typed at the terminal, prompted for on stderr; None where stdin or stderr is no terminal."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        sys.stdout.flush()
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    def find(self, name: str) -> None:
        return None

    def run_named(self, name: str | None) -> None:
        return None

    def keep(self, name: str, module: Any, run: Any = None) -> None:
        return None

    def rows(self) -> list[tuple[str, str, str]]:
        return []


class RawStreams:
    """The guest's streams, passed through as they are."""

    def __init__(self, stdout: BinaryIO, stderr: BinaryIO) -> None:
        self._stdout, self._stderr = stdout, stderr

    def stdout(self, data: bytes) -> None:
        self._stdout.write(data)
        self._stdout.flush()

    def stderr(self, data: bytes) -> None:
        self._stderr.write(data)
        self._stderr.flush()

    def close(self) -> None:
        return


class TerminalBusy:
    """`compiling hello.c ... 3 s` on stderr: one line, rewritten, on a terminal; a line now and then elsewhere."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._next = self._start + 1.0
        self._shown = False

    def tick(self, what: str | None = None) -> None:
        """Show the time that has passed."""
        if what is not None:
            self._what = what
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        text = f"{self._what} ... {now - self._start:.0f} s"
        self._next = now + (0.5 if self._terminal else 10.0)
        self._shown = True
        sys.stderr.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown and self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
