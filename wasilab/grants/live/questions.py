"""Where a question waits for its answer: asked on the guest's thread, answered on the user's.

A blocking run answers from its pump (`Questions.serve`, called every tick by the thread that started it); a detached
one is answered by the panel's buttons (`Questions.answer`). Stopping the run ends the waiting. The time that the user
takes does not count as run time: `RunTime` pauses meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...capabilities.waiting import Interrupt, wait_any
from .ask import KEYS, Answer, Decider, Question

Reader = Callable[[str], "str | None"]
"""Shows a prompt and returns a typed line; None at the end of input, or if there is no user."""

HELP = """\
  o, y  allow it once
  r     allow it for the rest of the run
  d, n  deny it; the same thing is not asked for again
  a     deny it, and all that is asked for from now on
"""


class RunTime:
    """The time of a run, in ns, as `time.perf_counter_ns`; it pauses while waiting for the user."""

    def __init__(self) -> None:
        self._lost = 0
        self._since: int | None = None

    def __call__(self) -> int:
        since = self._since
        return (time.perf_counter_ns() if since is None else since) - self._lost

    @property
    def lost(self) -> int:
        """The ns of all pauses so far."""
        return self._lost

    def pause(self) -> None:
        """Stop, until `resume`. One pause at a time."""
        self._since = time.perf_counter_ns()

    def resume(self, lost: int | None = None) -> None:
        """Go on after a pause. `lost`: the ns of it that do not count; None: all of it."""
        assert self._since is not None, "paused"
        whole = time.perf_counter_ns() - self._since
        # In this order a concurrent reader sees a time slightly too early, never too late.
        self._lost += whole if lost is None else min(lost, whole)
        self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause while in the `with` block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()


class Questions:
    """Passes one question at a time to the user and the answer back.

    `interrupt` is the run's: once it is set, a waiting question raises `Interrupted` on the guest's thread.
    `on_question` is called (on the guest's thread) with each new question, and with None when it is settled.
    """

    def __init__(self, interrupt: Interrupt, on_question: Callable[[Question | None], object] | None = None) -> None:
        self.time = RunTime()
        """The time of the run, without the time of its questions."""
        self._interrupt = interrupt
        self._on_question = on_question
        self._lock = threading.Lock()
        self._question: Question | None = None
        self._answer: Answer | None = None
        self._bell: Interrupt | None = None

    @property
    def question(self) -> Question | None:
        """The pending question."""
        return self._question

    def decide(self, question: Question) -> Answer | None:
        """Wait for the answer: the `Decider` of `Asking`. Raises `Interrupted` when the run is stopped meanwhile."""
        bell = Interrupt()
        with self._lock:
            self._question, self._answer, self._bell = question, None, bell
        try:
            with self.time.paused():
                if self._on_question is not None:
                    self._on_question(question)
                wait_any((bell.fileno(),), (), None, self._interrupt)
            return self._answer
        finally:
            with self._lock:
                self._question = self._bell = None
            bell.close()
            if self._on_question is not None:
                self._on_question(None)

    def answer(self, answer: Answer | None, number: int | None = None) -> bool:
        """Answer the pending question (number `number`, if given); None: nobody there. Whether there was one."""
        with self._lock:
            if self._question is None or self._bell is None or number not in (None, self._question.number):
                return False
            self._question, self._answer = None, answer  # now, or it would be asked again if the guest wakes up late
            self._bell.set()
            return True

    def serve(self, decide: Decider) -> None:
        """Pass the pending question, if any, to `decide`."""
        question = self._question
        if question is not None:
            self.answer(decide(question), question.number)


def by_line(read: Reader) -> Decider:
    """Asks for a typed line for each question, repeatedly until the line is an answer."""

    def decide(question: Question) -> Answer | None:
        prompt = question.prompt
        while True:
            line = read(prompt)
            if line is None:
                return None
            answer = parse(line)
            if answer is not None:
                return answer
            prompt = f"{explanation(line)}{question.prompt}"

    return decide


def explanation(line: str) -> str:
    """The reply to a line that is not an answer: help if requested, else an error. Ends in a newline."""
    if line.strip().lower() in ("h", "help", "?"):
        return HELP
    return f"{line.strip()[:20]!r} is not an answer: type o, r, d or a, or ? for help\n"


def parse(line: str) -> Answer | None:
    """The answer that a typed line means: its letter, or its words; None for anything else, an empty line included."""
    word = " ".join(line.lower().split())
    words = {answer.value: answer for answer in Answer} | KEYS | _SHORT
    return words.get(word)


_SHORT = {
    "y": Answer.ONCE, "yes": Answer.ONCE, "once": Answer.ONCE, "run": Answer.RUN, "for the run": Answer.RUN,
    "n": Answer.DENY, "no": Answer.DENY, "all": Answer.DENY_ALL,
}  # fmt: skip
"""Other accepted answers: the words whose first letters the question shows in brackets, yes and no."""
