"""Where a question waits for its answer: asked on the guest's thread, answered on the one that has the person.

A blocking run answers from its pump (`Questions.serve`, called every tick by the thread that started it, asks in the
input box); a detached one is answered by the panel's buttons (`Questions.answer`). Stopping the run ends the waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...capabilities.waiting import Interrupt, wait_any
from .ask import KEYS, Answer, Question

Reader = Callable[[str], "str | None"]
"""Shows a prompt and returns a typed line; None at the end of input, or where there is nobody."""


class Questions:
    """One question at a time on its way to a person and back.

    `interrupt` is the run's: once it is set, a waiting question raises `Interrupted` on the guest's thread.
    `on_question` is called (on the guest's thread) with each new question, and with None when it is settled.
    """

    def __init__(self, interrupt: Interrupt, on_question: Callable[[Question | None], object] | None = None) -> None:
        self._interrupt = interrupt
        self._on_question = on_question
        self._lock = threading.Lock()
        self._question: Question | None = None
        self._answer: Answer | None = None
        self._bell: Interrupt | None = None

    @property
    def question(self) -> Question | None:
        """The question that waits now."""
        return self._question

    def decide(self, question: Question) -> Answer | None:
        """Wait for the answer: the `Decider` of `Asking`. Raises `Interrupted` when the run is stopped meanwhile."""
        bell = Interrupt()
        with self._lock:
            self._question, self._answer, self._bell = question, None, bell
        try:
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
        """Answer the question that waits (number `number`, if given); None: there is nobody. Whether there was one."""
        with self._lock:
            if self._question is None or self._bell is None or number not in (None, self._question.number):
                return False
            self._answer = answer
            self._bell.set()
            return True

    def serve(self, read: Reader) -> None:
        """Put the waiting question, if there is one, to the person through `read`; asks again until it is answered."""
        question = self._question
        if question is None:
            return
        prompt = question.prompt
        while True:
            line = read(prompt)
            if line is None:
                self.answer(None, question.number)
                return
            answer = parse(line)
            if answer is not None:
                self.answer(answer, question.number)
                return
            prompt = f"{line.strip()[:20]!r} is no answer; type o, r, d or a. {question.prompt}"


def parse(line: str) -> Answer | None:
    """The answer that a typed line means: its letter, or its words; None for anything else, an empty line included."""
    word = " ".join(line.lower().split())
    words = {answer.value: answer for answer in Answer} | KEYS | _SHORT
    return words.get(word)


_SHORT = {"once": Answer.ONCE, "run": Answer.RUN, "for the run": Answer.RUN, "all": Answer.DENY_ALL}
"""The words whose first letters the question puts into brackets."""
