"""Ask mode: the user is asked when the guest first uses something that is not granted.

With `Grants(ask=True)` (`--ask`) the guest also holds a stand-in for everything that it was not given: "/", a
directory that asks for every path, and clocks, randomness and streams that ask before their first use. The answers are
allow once, allow for the run, deny and deny all; there is no default answer, and if nobody can answer, the request is
denied. The same thing is not asked twice at the same time, nor again after "for the run" or "deny". Every question and
answer is kept with the number of the call, and the call is flagged ASKED in the trace.

A `Decider` (the cell's input box, the panel's buttons, a terminal) asks the user. The environment and argv are not
asked for, because a guest reads them whole before its first line runs.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from ...capabilities.refusal import DeniedBy, NeedKind, Refused
from ...trace.record.recorder import Flag, Recorder
from ..remedy import Remedy, folder_remedy

MOST_QUESTIONS = 200
"""The most questions of one run, so that a guest cannot wear the user down; further requests are denied."""
Access = Literal["read", "change", "use"]
USES = {
    "clocks": ("know the time", NeedKind.CLOCK),
    "random": ("draw random bytes", NeedKind.RANDOM),
    "stdin": ("read from stdin", NeedKind.STDIN),
    "stdout": ("write to stdout", NeedKind.STDOUT),
    "stderr": ("write to stderr", NeedKind.STDERR),
}
"""What is asked for as a whole, by name: what the guest wants to do with it, and the need."""


class Answer(Enum):
    """The answers to a question."""

    ONCE = "allow once"
    RUN = "allow for the run"
    DENY = "deny"
    DENY_ALL = "deny all"

    @property
    def allows(self) -> bool:
        """Whether the call proceeds."""
        return self in (Answer.ONCE, Answer.RUN)


KEYS = {"o": Answer.ONCE, "r": Answer.RUN, "d": Answer.DENY, "a": Answer.DENY_ALL}
"""The letter for each typed answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. All guest text in it is escaped (as by `repr`), so it can be shown anywhere as plain text."""

    number: int
    """1 for the first of the run."""
    program: str
    """The program's name, escaped."""
    wants: str
    """What it wants to do: "read '/etc/hosts'", "use the clocks"."""
    subject: str
    """The thing itself: an absolute host path, "clocks", "stdin"."""
    access: Access
    remedy: Remedy
    """The grant that would make the question unnecessary."""

    def __str__(self) -> str:
        return f"{self.program} wants to {self.wants}"

    @property
    def prompt(self) -> str:
        """The question with its answers, for an input box."""
        return f"{self}. Allow it [o]nce, for the [r]un, [d]eny, deny [a]ll? (? for help) "


Decider = Callable[[Question], "Answer | None"]
"""Answers a question on the guest's thread, waiting as long as necessary; None if nobody can answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its answer, and the call (`seq`) that caused it."""

    question: Question
    answer: Answer | None
    seq: int


class Asking:
    """The questions of one run: who decides, and what has been decided."""

    def __init__(self, decide: Decider | None, program: str = "the program", recorder: Recorder | None = None) -> None:
        self.asked: list[Asked] = []
        """Every question so far, in order."""
        self._decide = decide
        self._program = repr(program)[1:-1]
        self.recorder = recorder
        """Where the calls are recorded, to know which one caused a question."""
        self.call: int | None = None
        """The number of the call in progress, if another process makes the calls; None: the recorder's next one."""
        self.here = os.path.realpath(os.curdir)
        """The current folder: flags name paths in it relative to it."""
        self._lock = threading.Lock()
        self._allowed: set[tuple[str, Access]] = set()
        self._denied: set[tuple[str, Access]] = set()
        self._deny_all = self._nobody = False

    def require(self, wants: str, subject: str, access: Access, remedy: Remedy) -> None:
        """Return if it is allowed, else raise `Refused` (by ASK); ask first if it has not been decided yet."""
        with self._lock:  # one question at a time; a second asker of the same thing finds the answer
            if self.covers(subject, access):
                return
            if self._nobody:
                raise _refused(wants, f"the user cannot be asked; grant it with {remedy.flag}")
            if self._deny_all or (subject, access) in self._denied:
                raise _refused(wants, "denied")
            if len(self.asked) >= MOST_QUESTIONS:
                raise _refused(wants, f"{MOST_QUESTIONS} questions have been asked; grant it with {remedy.flag}")
            seq = self.call if self.call is not None else len(self.recorder) if self.recorder is not None else -1
            question = Question(len(self.asked) + 1, self._program, wants, subject, access, remedy)
            answer = self._decide(question) if self._decide is not None else None
            self.asked.append(Asked(question, answer, seq))
            if answer is Answer.RUN:
                self._allowed.add((subject, access))
            elif answer is Answer.DENY:
                self._denied.add((subject, access))
            elif answer is Answer.DENY_ALL:
                self._deny_all = True
            elif answer is None:  # if nobody can answer now, nobody can later
                self._nobody = True
        if answer is None:
            raise _refused(wants, f"the user cannot be asked; grant it with {remedy.flag}")
        if not answer.allows:
            raise _refused(wants, "denied")

    def use(self, name: str) -> None:
        """The same for one of `USES`."""
        wants, need = USES[name]
        self.require(wants, name, "use", Remedy(need))

    def folder(self, folder: str, access: Access) -> Remedy:
        """The grant of a host folder under the name that a program in the current folder would use."""
        below = os.path.relpath(folder, self.here)
        name = folder if below == ".." or below.startswith("../") else below
        return folder_remedy(name, mode="rw" if access == "change" else "ro")

    def covers(self, subject: str, access: Access) -> bool:
        """Whether it, or a folder containing it, was allowed for the run; permission to change includes reading."""
        wide: tuple[Access, ...] = (access, "change") if access == "read" else (access,)
        for known, how in self._allowed:
            if how in wide and (known == subject or subject.startswith(known.rstrip("/") + "/")):
                return True
        return False

    def mark(self) -> None:
        """Set the flag ASKED on the calls that caused questions; call it when they have been recorded."""
        if self.recorder is None:
            return
        for asked in self.asked:
            self.recorder.add_flag(asked.seq, Flag.ASKED)


def _refused(wants: str, why: str) -> Refused:
    return Refused(errno.EPERM, f"to {wants}: {why}", DeniedBy.ASK, notcapable=True)
