"""A question of ask mode in a cell: buttons, while the cell that runs the guest is still busy.

The front end must be able to reach the kernel meanwhile. JupyterLab can since 4.4, through a subshell of the kernel
(Jupyter Enhancement Proposal 91). The widget reports when it is shown; if no report arrives within a few seconds, the
question is asked in the input box.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from ..grants.live.ask import Answer, Decider, Question
from ..text.escape import html_text

SHOWN_SECONDS = 4.0
"""How long to wait for the widget's report that it is shown."""
TOO_SOON_MS = 290.0
"""Milliseconds after it is shown in which clicks are ignored, by the page's clock: on a busy machine its messages may
arrive all at once. Its buttons are off for 300."""
_WAIT = 0.05


@cache
def _script() -> str:
    return files(__package__).joinpath("question.js").read_text(encoding="utf-8")


class QuestionButtons(anywidget.AnyWidget):
    """The question in the page (`question.js`), with a button for each answer; none of them is the default."""

    _esm = traitlets.Unicode().tag(sync=True)
    question = traitlets.Unicode("").tag(sync=True)
    answers = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, question: Question) -> None:
        self.given: Answer | None = None
        self.shown = False
        self.settled = threading.Event()
        super().__init__(
            _esm=_script(), question=str(question), answers=[answer.value.capitalize() for answer in Answer]
        )
        self.on_msg(self.take)
        # ipykernel 7.4 passes comm messages to the shell that last wrote to that comm: the one that runs the cell.
        # Without that record, the message goes where the front end sends it: to a free subshell.
        if hasattr(self.comm, "_reply_subshell_id"):
            del self.comm._reply_subshell_id

    def take(self, _widget: object, content: object, _buffers: object) -> None:
        """Handle a message from the page: that it is shown, or an answer. Anything else is ignored."""
        if not isinstance(content, dict):
            return
        index, after = content.get("answer"), content.get("after")
        if content.get("shown"):
            self.shown = True
        if type(index) is not int or not 0 <= index < len(Answer) or not isinstance(after, (int, float)):
            return
        self.shown = True
        if self.given is None and after >= TOO_SOON_MS:
            self.given = list(Answer)[index]
            self.settled.set()


class NotebookPerson:
    """Asks questions with buttons if the front end can show them, else through `otherwise`.

    `display`: IPython's function of that name.
    """

    def __init__(self, otherwise: Decider, display: Callable[..., Any]) -> None:
        self._otherwise = otherwise
        self._display = display
        self._buttons = True

    def __call__(self, question: Question) -> Answer | None:
        """The answer; None if the user cannot be asked. Call it on the thread that runs the cell."""
        if self._buttons:
            answer = self._click(question)
            if answer is not None:
                return answer
            self._buttons = False
        return self._otherwise(question)

    def _click(self, question: Question) -> Answer | None:
        """The clicked answer; None if the front end does not show the buttons."""
        widget = QuestionButtons(question)
        said = ""
        bundle = widget._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        handle = self._display(data, raw=True, display_id=True)
        try:
            patience = time.monotonic() + SHOWN_SECONDS
            while not widget.shown and time.monotonic() < patience:
                widget.settled.wait(_WAIT)
            if not widget.shown:
                return None
            said = "not answered"
            while not widget.settled.wait(_WAIT):  # in short steps: interrupts are handled in between
                pass
            assert widget.given is not None
            said = widget.given.value
            return widget.given
        finally:
            text = f"{question}: {said}" if said else ""
            handle.update({"text/plain": text, "text/html": f"<p>{html_text(text)}</p>"}, raw=True)
            widget.close()
