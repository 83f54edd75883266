"""`wasilab` on the command line: arguments in, exit status out. The commands are in `commands/`.

Exit status: the guest's own; 134 after a trap, 137 when a limit ended the run, 130 when interrupted, 141 when the
reader of stdout went away, 2 for a usage error, 1 when a compile failed or the output could not be written.
The guest's stdout and stderr are passed through unchanged, so its control sequences reach the terminal. What wasilab
itself writes about a guest (names, paths, refusals) is escaped.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO

from . import commands
from .capabilities.protocols import File
from .capabilities.streams import process_input
from .capabilities.waiting import Interrupt
from .commands.catalog import execute
from .commands.line.frontend import FrontendKind
from .commands.line.grammar import parse
from .commands.line.parser import terminal_columns
from .commands.line.usage import HelpAsked, UsageProblem
from .text.palette import ColorChoice, palette_for

EXIT_USAGE = 2
EXIT_FAILED = 1
EXIT_INTERRUPT = 130
EXIT_BROKEN_PIPE = 141


WIDE = 160
"""Width of text written to a pipe or a file."""


EVERY_ELSEWHERE = 10.0
"""Seconds between two progress lines when stderr is a pipe or a file."""


class OutputLost(Exception):
    """Output to stdout or stderr cannot be written: the reader has exited, or the disk is full."""

    def __init__(self, stream: TextIO, error: OSError) -> None:
        super().__init__(str(error))
        self.stream = stream
        self.error = error


def main(argv: Sequence[str] | None = None, ready: Callable[[], object] = lambda: None) -> int:
    """Execute one command line (default: the process's own); returns the exit status.

    `ready` is called when the command's modules are imported and its work is about to begin.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = f"wasilab {words[0]}" if words and not words[0].startswith("-") else "wasilab"
    try:
        _stand_in_for_closed_streams()
        _write_any_character()
        status = _carry_out(words, command, ready)
        _write(sys.stdout, "")
        return status
    except OutputLost as lost:
        return _give_up(lost, command)
    except KeyboardInterrupt:
        return EXIT_INTERRUPT


def _stand_in_for_closed_streams() -> None:
    """Open /dev/null in place of a closed standard stream (`>&-`).

    Otherwise the next file opened (a host folder, say) would get its number, and receive the guest's output.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one
            os.set_inheritable(number, True)
            if getattr(sys, name) is None:
                setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def _write_any_character() -> None:
    """Escape characters that the terminal's encoding lacks instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _write(stream: TextIO, text: str) -> None:
    """Write and flush text; raises `OutputLost`."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        raise OutputLost(stream, error) from None


def _give_up(lost: OutputLost, command: str) -> int:
    """Report that the output could not be written, on a stream that still works; returns the exit status."""
    # Python would report the error again when it flushes at exit: let it flush to /dev/null.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), lost.stream.fileno())
    if isinstance(lost.error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    if lost.stream is not sys.stderr:
        with suppress(OSError):
            sys.stderr.write(f"{command}: stdout cannot be written: {lost.error.strerror or lost.error}\n")
    return EXIT_FAILED


def _carry_out(words: list[str], command: str, ready: Callable[[], object]) -> int:
    color: ColorChoice = "auto"
    try:
        request = parse(words, "cli")
        color = request.options.color
        ready()
        return execute(request, TerminalFrontend(color)).status
    except HelpAsked as asked:
        _write(sys.stdout, asked.text)
        return 0
    except UsageProblem as problem:
        return _complain(problem.command or command, problem.message, EXIT_USAGE, color)
    except OutputLost:
        raise
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(command, f"{error.filename!r}: {error.strerror or error}", EXIT_USAGE, color)
    except MemoryError:
        return _complain(command, "there is not enough memory", EXIT_FAILED, color)
    except Exception as error:
        status = commands.known_errors.exit_status(error)
        if status is None:
            raise
        palette = palette_for(color, sys.stderr.isatty())
        return _complain(command, commands.known_errors.text_of(error, palette), status, color)


def _complain(command: str, message: str, status: int, color: ColorChoice) -> int:
    _write(sys.stdout, "")
    palette = palette_for(color, sys.stderr.isatty())
    lines = message.rstrip("\n").split("\n")
    # A compiler's own text needs no prefix; our messages name the command.
    text = message if len(lines) > 1 else f"{palette('error', command + ':')} {message}"
    _write(sys.stderr, text.rstrip("\n") + "\n")
    return status


class TerminalFrontend:
    """`commands.line.frontend.Frontend` for a terminal, a pipe or a script."""

    kind: FrontendKind = "cli"

    def __init__(self, color: ColorChoice = "auto") -> None:
        self.out = palette_for(color, sys.stdout.isatty())
        self.err = palette_for(color, sys.stderr.isatty())
        self.columns = max(terminal_columns(), 80) if sys.stdout.isatty() else WIDE

    def say(self, text: str) -> None:
        _write(sys.stdout, text if text.endswith("\n") or not text else text + "\n")

    def note(self, text: str) -> None:
        _write(sys.stdout, "")
        _write(sys.stderr, text if text.endswith("\n") or not text else text + "\n")

    def remark(self, text: str) -> None:
        self.note(text)

    def fold(self, title: str, text: str) -> None:
        self.note(text)

    def offer(self, line: str, source: str) -> None:
        self.say(source)

    @contextmanager
    def busy(self, what: str, quiet: bool = False, *, ticking: bool = False) -> Iterator[TerminalBusy]:
        shown = TerminalBusy(what, quiet)
        if not ticking and not quiet:
            shown.tick_by_itself()
        try:
            yield shown
        finally:
            shown.close()

    def streams(self, quiet: bool = False) -> RawStreams:
        return RawStreams()

    def watching(self) -> None:
        return None

    def has_person(self) -> bool:
        return sys.stdin is not None and sys.stdin.isatty()

    def input_at_hand(self) -> bool:
        try:
            mode = os.fstat(0).st_mode
        except OSError:
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)

    def own_stdin(self, interrupt: Interrupt) -> File:
        """The process's own stdin, read when the guest reads."""
        return process_input(0, interrupt)

    def read_line(self, prompt: str = "") -> str | None:
        """A line typed at the terminal, prompted for on stderr; None if stdin or stderr is not a terminal."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        _write(sys.stdout, "")
        _write(sys.stderr, prompt)
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    def asker(self) -> commands.terminal_questions.TerminalPerson | None:
        """The user at the terminal; None if stderr, to which questions are written, is not a terminal."""
        person = commands.terminal_questions.TerminalPerson(commands.terminal_questions.drawn_word())
        if not (sys.stderr.isatty() and person.is_there()):
            return None
        self.note(person.introduction())
        return person

    def find(self, name: str) -> None:
        return None

    def run_named(self, name: str | None) -> None:
        return None

    def cell_options(self, name: str) -> None:
        return None

    def keep(self, name: str, module: Any, run: Any = None) -> None:
        return None

    def forget(self, name: str | None) -> None:
        return

    def rows(self) -> list[tuple[str, str, str]]:
        return []


class RawStreams:
    """The guest's streams, passed through unchanged; a failed write raises `OutputLost`."""

    def stdout(self, data: bytes) -> None:
        self._pass(data, sys.stdout)

    def stderr(self, data: bytes) -> None:
        self._pass(data, sys.stderr)

    def _pass(self, data: bytes, stream: TextIO) -> None:
        raw: BinaryIO = stream.buffer
        try:
            raw.write(data)
            raw.flush()
        except OSError as error:
            raise OutputLost(stream, error) from None

    def close(self) -> None:
        return


class TerminalBusy:
    """`compiling hello.c ... 3 s` on stderr: one rewritten line on a terminal, occasional lines elsewhere."""

    def __init__(self, what: str, quiet: bool = False, after: float = 1.0) -> None:
        self._what = what
        self._quiet = quiet
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._next = self._start + (after if self._terminal else EVERY_ELSEWHERE)
        self._shown = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self, what: str | None = None) -> None:
        """Show the elapsed time; `what` names the current activity."""
        if what is not None:
            self._what = what
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        text = f"{self._what} ... {now - self._start:.0f} s"
        self._next = now + (0.5 if self._terminal else EVERY_ELSEWHERE)
        self._shown = True
        _write(sys.stderr, f"\r{text}\x1b[K" if self._terminal else f"{text}\n")

    def tick_by_itself(self) -> None:
        """Update the time from a thread, for work that does not call `tick`."""

        def keep_time() -> None:
            with suppress(OutputLost):
                while not self._over.wait(max(self._next - time.monotonic(), 0.05)):
                    self.tick()

        self._thread = threading.Thread(target=keep_time, name="wasilab-progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Remove the line."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._shown and self._terminal:
            _write(sys.stderr, "\r\x1b[K")
