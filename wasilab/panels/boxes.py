"""The boxes that the panel shows when needed: a pending question, and a refusal with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import ipywidgets as w

from ..grants.live.ask import Answer, Question
from ..grants.remedy import Remedy
from ..text.escape import html_text
from ..views.report.refused import RefusedCalls, as_html

W = TypeVar("W", bound=w.Widget)


def classed(widget: W, *names: str) -> W:
    """The widget, with classes of the style sheet."""
    for name in names:
        widget.add_class(name)
    return widget


def put(html: w.HTML, text: str) -> None:
    """Show a text; an empty one takes no space."""
    html.value = text
    html.layout.display = "" if text else "none"


def small(text: str, tooltip: str) -> w.Button:
    """A small button."""
    return classed(w.Button(description=text, tooltip=tooltip), "wasilab-tiny")


def question_box(question: Question, answer: Callable[[Answer], object]) -> w.Box:
    """The pending question, with a button for each answer; none is the default."""
    buttons = []
    for each in Answer:
        button = w.Button(description=each.value.capitalize())
        button.on_click(lambda _, each=each: answer(each))
        buttons.append(button)
    text = w.HTML(f'<b dir="ltr">{html_text(str(question))}</b>')
    return classed(w.VBox([text, classed(w.Box(buttons), "wasilab-bar")]), "wasilab-box", "wasilab-question")


def refusal_box(group: RefusedCalls, grant: Callable[[Remedy], object], choose: Callable[[], object]) -> w.Box:
    """What was refused and why, and a button that grants it or chooses the folder."""
    mark = '<span class="wasilab-bad">✖</span>' if group.sure else '<span class="wasilab-warn">?</span>'
    remedy = group.remedy
    children: list[w.Widget] = [w.HTML(f"{mark} {as_html(group)}")]
    if remedy is not None and remedy.complete:
        button = small("Grant it", remedy.text)
        button.on_click(lambda _: grant(remedy))
        children.append(button)
    elif remedy is not None and remedy.asks_for_a_folder:
        button = small("Choose a folder…", "choosing is granting")
        button.on_click(lambda _: choose())
        children.append(button)
    return classed(w.Box(children), "wasilab-bar", "wasilab-refusal")
