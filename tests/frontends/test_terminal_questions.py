"""A question at a terminal: type-ahead does not answer it, a guest cannot draw it, and it is read from the terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wasilab.capabilities.refusal import NeedKind
from wasilab.commands.line.terminal_questions import TOO_SOON, TerminalPerson, drawn_word
from wasilab.grants.live.ask import Answer, Question
from wasilab.grants.remedy import Remedy

QUESTION = Question(1, "guest", "know the time", "clocks", "use", Remedy(NeedKind.CLOCK))
WAIT = 20.0


class Terminal:
    """A terminal of our own, and what a person at it sees and types."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.path = os.ttyname(self.theirs)
        self.shown = ""

    def types(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def shows(self, pattern: str) -> re.Match[str]:
        """Wait until what is shown, from the last call on, holds `pattern`."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            match = re.search(pattern, self.shown)
            if match:
                self.shown = self.shown[match.end() :]
                return match
            if select.select([self.ours], [], [], 0.1)[0]:
                self.shown += os.read(self.ours, 65536).decode("utf-8", "replace")
        raise AssertionError(f"{pattern!r} is not in {self.shown!r}")

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


class Asked(threading.Thread):
    """A question that is put on another thread; `answer` is what came of it."""

    def __init__(self, terminal: Terminal, **given: object) -> None:
        super().__init__(daemon=True)
        self.person = TerminalPerson("bofoka", terminal.path, **given)  # type: ignore[arg-type]
        self.answer: Answer | str | None = "none yet"
        self.start()

    def run(self) -> None:
        self.answer = self.person(QUESTION)

    def ended(self) -> Answer | str | None:
        self.join(WAIT)
        return self.answer


def late() -> object:
    """A clock by which every line is typed late enough."""
    ticks = iter(range(10**6))
    return lambda: float(next(ticks))


def test_what_was_typed_before_the_question_is_dropped(terminal: Terminal) -> None:
    terminal.types("a\nr\n")  # "deny all", "for the run": typed while the guest computed
    asked = Asked(terminal, now=late())
    terminal.shows(r"wasilab asks \[bofoka\].*guest wants to know the time")
    terminal.types("n\n")
    assert asked.ended() is Answer.DENY


def test_a_line_typed_too_early_does_not_answer(terminal: Terminal) -> None:
    times = iter([0.0, TOO_SOON - 0.01, 1.0, 1.0 + TOO_SOON])
    asked = Asked(terminal, now=lambda: next(times))
    terminal.shows("wasilab asks")
    terminal.types("r\n")
    terminal.shows("does not count")
    terminal.shows("wasilab asks")
    terminal.types("o\n")
    assert asked.ended() is Answer.ONCE


def test_help_and_a_wrong_line_ask_again(terminal: Terminal) -> None:
    asked = Asked(terminal, now=late())
    for line, reply in (("?", "allow it for the rest"), ("h", "allow it once"), ("maybe", "'maybe' is not an answer")):
        terminal.shows("wasilab asks")
        terminal.types(f"{line}\n")
        terminal.shows(reply)
    terminal.shows("wasilab asks")
    terminal.types("y\n")
    assert asked.ended() is Answer.ONCE


def test_the_end_of_input_counts_as_no_answer(terminal: Terminal) -> None:
    asked = Asked(terminal, now=late())
    terminal.shows("wasilab asks")
    terminal.types("\x04")
    assert asked.ended() is None
    terminal.shows(r"help\) \r+\n")  # what the guest prints next begins a line


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("r\n")
    for path in (tmp_path / "file", tmp_path / "none"):
        person = TerminalPerson("x", str(path))
        assert not person.is_there()
        assert person(QUESTION) is None
    assert (tmp_path / "file").read_text() == "r\n"


def test_the_terminal_is_brought_into_a_known_state_before_the_question(terminal: Terminal) -> None:
    asked = Asked(terminal, now=late())
    before = terminal.shows(r"(?s)^(.*?)\x1b\[7m wasilab asks")[1]
    for reset in ("\x1b[?1049l", "\x1b[!p", "\x1b[r", "\x1b(B", "\x1b[0m", "\x1b[?25h"):
        assert reset in before
    assert before.endswith("\r\n"), "it stands at the beginning of a line"
    terminal.types("n\n")
    asked.ended()


def test_the_word_changes_each_time_and_is_pronounceable() -> None:
    words = {drawn_word() for _ in range(200)}
    assert len(words) > 190  # of 343,000: two equal ones are drawn in 6 % of the runs
    assert all(re.fullmatch("([bdfgklmnprstvz][aeiou]){3}", word) for word in words)


@pytest.mark.slow
@pytest.mark.parametrize("isolate", ["off", "on"])
def test_a_run_at_a_terminal_is_asked_there_and_not_on_stdin(
    terminal: Terminal, tmp_path: Path, isolate: str
) -> None:
    """The whole way: stdin is a pipe full of answers, and the person answers at the terminal."""
    (tmp_path / "clock.wat").write_text(
        '(module (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))'
        ' (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)'
        ' (func (export "_start") (call $exit (call $time (i32.const 0) (i64.const 0) (i32.const 64)))))'
    )
    script = (
        "import os, fcntl, termios, sys; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'wasilab', 'run', '--clock', 'none', '--ask',"
        f" '--isolation', '{isolate}', 'clock.wat'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=terminal.theirs, stderr=terminal.theirs,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"r\n" * 100)
    process.stdin.close()
    word = terminal.shows("wasilab's questions show the word '([a-z]{6})'")[1]
    terminal.shows(rf"wasilab asks \[{word}\].*wants to know the time.*help\) ")
    assert process.poll() is None, "what stands in stdin is no answer"
    time.sleep(TOO_SOON + 0.2)  # a person reads the question
    terminal.types("r\n")
    assert process.wait(WAIT) == 0
