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


def test_a_click_that_comes_too_soon_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(question.time, "monotonic", lambda: now[0])
    buttons = QuestionButtons(QUESTION)
    buttons.take(None, {"answer": 1}, [])
    assert buttons.given is None, "not even shown"
    buttons.take(None, {"shown": True}, [])
    now[0] += question.TOO_SOON - 0.01
    buttons.take(None, {"answer": 1}, [])
    assert buttons.given is None
    buttons.take(None, {"shown": True}, [])  # told again: it counts from the first time
    now[0] += 0.02
    buttons.take(None, {"answer": 1}, [])
    assert (buttons.given, buttons.settled.is_set()) == (Answer.RUN, True)
    buttons.take(None, {"answer": 3}, [])
    assert buttons.given is Answer.RUN, "the first answer counts"
    buttons.close()


@pytest.mark.parametrize(
    "message",
    [None, 1, "answer", {}, {"answer": "1"}, {"answer": True}, {"answer": -1}, {"answer": 4}],
)
def test_what_is_no_answer_is_ignored(message: Any) -> None:
    buttons = QuestionButtons(QUESTION)
    buttons.take(None, {"shown": True}, [])
    buttons.shown_at = 0.0
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
            self.shown_at, self.given = 0.0, Answer.ONCE
            self.settled.set()

    monkeypatch.setattr(question, "QuestionButtons", Clicked)
    shown = Shown()
    assert NotebookPerson(lambda given: None, shown)(evil) is Answer.ONCE
    assert shown.data[-1]["text/plain"].endswith(": allow once")
    assert "<script" not in shown.data[-1]["text/html"]
