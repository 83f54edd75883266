"""Ask-mode questions at a terminal, asked so that neither type-ahead nor the guest can answer them.

The answer is read from the terminal itself (/dev/tty), not from stdin. What was typed before the question is dropped,
and so is a line that is complete within the first 300 ms: the user cannot have read the question yet. The guest's
output goes to the same terminal as it is, so before the question the terminal is brought into a known state, and the
question carries a word that was drawn by lot and shown before the guest began: a guest that prints a question of its
own does not know the word.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ...grants.live.ask import Answer, Question
from ...grants.live.questions import explanation, parse

try:
    import termios
except ImportError:  # not POSIX
    termios = None  # type: ignore[assignment]

TOO_SOON = 0.3
"""Seconds after a question in which a line is not an answer."""
_KNOWN_STATE = "\x1b[?1049l\x1b[!p\x1b[r\x1b(B\x0f\x1b[0m\x1b[?7h\x1b[?25h"
"""Leave the alternate screen, soft reset, whole screen scrolls, ASCII letters, no attributes, wrap lines, show the
cursor (ECMA-48 and DEC private modes as documented by xterm)."""
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def drawn_word() -> str:
    """A pronounceable word of six letters that cannot be guessed: one of 240 million."""
    return "".join(secrets.choice(letters) for letters in (_CONSONANTS, _VOWELS) * 3)


@dataclass
class TerminalPerson:
    """The user at the terminal `path`. `word` is shown before the guest begins (`introduction`)."""

    word: str
    path: str = "/dev/tty"
    now: Callable[[], float] = time.monotonic

    def introduction(self) -> str:
        """What to say before the guest begins."""
        return f"wasilab: wasilab's questions show the word {self.word!r}; one without it is the program's own output"

    def is_there(self) -> bool:
        """Whether there is a terminal that this process may read."""
        try:
            fd = self._open()
        except OSError:
            return False
        os.close(fd)
        return True

    def __call__(self, question: Question) -> Answer | None:
        """The answer; None where there is no terminal, or at the end of its input."""
        try:
            fd = self._open()
        except OSError:
            return None
        try:
            return self._ask(fd, question)
        finally:
            os.close(fd)

    def _open(self) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if os.isatty(fd) and not _in_background(fd):
            return fd
        os.close(fd)
        raise OSError(f"{self.path} is not a terminal that this process may read")

    def _ask(self, fd: int, question: Question) -> Answer | None:
        before = f"{_KNOWN_STATE}\r\n"
        while True:
            if termios is not None:
                termios.tcflush(fd, termios.TCIFLUSH)
            _write(fd, f"{before}\x1b[7m wasilab asks [{self.word}] \x1b[0m {question.prompt}")
            asked = self.now()
            line = _read_line(fd)
            if line is None:
                with suppress(OSError):  # the terminal may be gone
                    _write(fd, "\r\n")
                return None
            if self.now() - asked < TOO_SOON:
                before = "That was typed before the question could be read; it does not count.\r\n"
                continue
            answer = parse(line)
            if answer is not None:
                return answer
            before = explanation(line).replace("\n", "\r\n")


def _in_background(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:  # not this process's controlling terminal, so it has no foreground process group
        return False


def _write(fd: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(fd, data) :]


def _read_line(fd: int) -> str | None:
    """A line without its newline; None at the end of input. The terminal delivers whole lines."""
    data = b""
    while not data.endswith(b"\n"):
        try:
            more = os.read(fd, 4096)
        except OSError:  # the terminal is gone
            return None
        if not more:
            return data.decode("utf-8", "replace") if data else None
        data += more
    return data.decode("utf-8", "replace").rstrip("\r\n")
