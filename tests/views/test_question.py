"""The buttons of a question: an answer counts once it could be read, and nothing else that a page sends does."""

from __future__ import annotations

from typing import Any

import pytest

from wasilab.capabilities.refusal import NeedKind
from wasilab.grants.live.ask import Answer, Question
from wasilab.grants.remedy import Remedy
from wasilab.panels import question
from wasilab.panels.question import NotebookPerson, QuestionButtons

from .conftest import EVIL

QUESTION = Question(1, "guest", "know the time", "clocks", "use", Remedy(NeedKind.CLOCK))


class Shown:
    """What IPython's `display` is given, and what replaces it."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []

    def __call__(self, data: dict[str, Any], **options: Any) -> Shown:
        self.data.append(data)
        return self

    def update(self, data: dict[str, Any], **options: Any) -> None:
        self.data.append(data)


def test_a_click_that_comes_too_soon_does_not_count() -> None:
    buttons = QuestionButtons(QUESTION)
    buttons.take(None, {"shown": True}, [])
    buttons.take(None, {"answer": 1, "after": question.TOO_SOON_MS - 1}, [])
    assert buttons.given is None
    buttons.take(None, {"answer": 1, "after": 5000.0}, [])
    assert (buttons.given, buttons.settled.is_set()) == (Answer.RUN, True)
    buttons.take(None, {"answer": 3, "after": 5000.0}, [])
    assert buttons.given is Answer.RUN, "the first answer counts"
    buttons.close()


def test_a_click_counts_even_if_a_busy_kernel_hears_of_the_question_and_of_it_at_once() -> None:
    buttons = QuestionButtons(QUESTION)
    buttons.take(None, {"answer": 2, "after": 301.5}, [])  # its buttons are off by now: it would never be answered
    buttons.take(None, {"shown": True}, [])
    assert (buttons.shown, buttons.given) == (True, list(Answer)[2])
    buttons.close()


@pytest.mark.parametrize(
    "message",
    [
        None, 1, "answer", {}, {"answer": 1}, *({"answer": wrong, "after": 999} for wrong in ("1", True, -1, 4, None)),
        {"answer": 1, "after": "999"}, {"answer": 1, "after": float("nan")}, {"answer": 1, "after": None},
    ],
)
def test_what_is_no_answer_is_ignored(message: Any) -> None:
    buttons = QuestionButtons(QUESTION)
    buttons.take(None, {"shown": True}, [])
    buttons.take(None, message, [])
    assert buttons.given is None
    buttons.close()


def test_where_the_buttons_are_not_shown_the_other_way_is_taken_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "SHOWN_SECONDS", 0)
    asked: list[Question] = []

    def otherwise(given: Question) -> Answer:
        asked.append(given)
        return Answer.DENY

    shown = Shown()
    person = NotebookPerson(otherwise, shown)
    assert person(QUESTION) is Answer.DENY
    assert shown.data[-1]["text/plain"] == "", "the buttons are taken away"
    count = len(shown.data)
    assert person(QUESTION) is Answer.DENY
    assert len(shown.data) == count, "they are not tried again"
    assert asked == [QUESTION, QUESTION]


def test_what_was_answered_stays_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = Question(1, EVIL, "read it", "/x", "read", Remedy(NeedKind.CLOCK))

    class Clicked(QuestionButtons):
        def __init__(self, given: Question) -> None:
            super().__init__(given)
            self.shown, self.given = True, Answer.ONCE
            self.settled.set()

    monkeypatch.setattr(question, "QuestionButtons", Clicked)
    shown = Shown()
    assert NotebookPerson(lambda given: None, shown)(evil) is Answer.ONCE
    assert shown.data[-1]["text/plain"].endswith(": allow once")
    assert "<script" not in shown.data[-1]["text/html"]
