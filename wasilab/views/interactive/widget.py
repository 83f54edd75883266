"""The interactive timeline as a Jupyter widget: a thin link between `feed.py` and `js/timeline.js`.

A notebook saves the traits: the module, a snapshot of the calls (all of a small run, an overview of a large one), a few
details and the report's parts; under 1 MB for any run. Everything else is requested by custom messages and answered by
`Feed`. Callbacks may run on any thread and never print: an error is sent as an answer.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Mapping
from typing import Protocol

import anywidget
import traitlets

from ...grants.remedy import Remedy
from ...text.escape import visible
from ...trace.record.recorder import Recorder
from ...trace.trace import Trace
from ..ipython import shell
from ..report import sections
from ..report.page import unless_alive
from ..report.refused import refusals
from ..report.report import mimebundle
from ..report.reruns import Attempt, attempt_line, attempts_html, comparison_html
from ..report.sections import image_html
from ..rerun import can_rerun, rerun
from ..subject import Subject, as_subject, outcome_of
from ..timeline.png import picture as drawn_picture
from ..timeline.scene import headline, scene
from .cells import after_cell, forget_output, remember, replace_output
from .choices import facets_of
from .export import exported
from .feed import CALLS_A_MESSAGE, SAVED_CALLS, Answer, Feed, Question, answered
from .live import LiveFeed
from .maps import maps_of, saved_maps
from .module_js import module, style
from .query_box import answer_sql
from .state import memory_of, state_of

_SHOWN: weakref.WeakValueDictionary[int, TimelineWidget] = weakref.WeakValueDictionary()
"""The timeline of each run that was shown, by the run's id: a second display is another view, not a copy."""




class Place(Protocol):
    """An output of a cell that can be changed (IPython's `DisplayHandle`)."""

    def update(self, obj: object, *, raw: bool) -> None:
        """Replace what it shows."""


Rerun = Callable[[Remedy], Subject]
"""Run the same program again with one more grant; returns the new run."""


class TimelineWidget(anywidget.AnyWidget):
    """The timeline of a run or trace. In a notebook, the last value of a cell shows it.

    Each refusal with a complete remedy has a button "grant and run again"; `again` replaces its action.
    `self.run` is the run that is shown.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _key = traitlets.Unicode().tag(sync=True)
    _style = traitlets.Unicode().tag(sync=True)
    _meta = traitlets.Dict().tag(sync=True)
    _snapshot = traitlets.Bytes(b"").tag(sync=True)
    _details = traitlets.Dict().tag(sync=True)
    _head = traitlets.Unicode("").tag(sync=True)
    _report = traitlets.Unicode("").tag(sync=True)
    _maps = traitlets.Dict().tag(sync=True)
    notes = traitlets.Dict().tag(sync=True)
    """Notes by row of the trace, "12", or by first and last row, "3-9", as written in the inspector and the notes."""

    def __init__(self, run_or_trace: Subject | Trace, *, again: Rerun | None = None) -> None:
        self._rerun = again
        self._shown_first: Subject | Trace = run_or_trace
        self._attempts: list[Attempt] = []
        self._current = 0
        self._released = False
        self._displayed = False
        self._live: LiveFeed | None = None
        super().__init__(_esm=module(), _style=style(), _key=secrets.token_hex(8))
        self.on_msg(self._answer)
        self.observe(self._take_notes, "notes")
        self.show(as_subject(run_or_trace))

    def show(self, run: Subject) -> None:
        """Show another run in the same place; a running one grows while it runs."""
        self._attempts, self._current = [Attempt(run)], 0
        self._show(run)

    def _show(self, run: Subject) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None
        self.run = run
        if LiveFeed.possible(run):
            self._live = LiveFeed(run, self.send, self._finished)
            self._put(self._live.feed(), live=True)
            self._live.start()
        else:
            self._put(Feed(run))

    def shows(self, run_or_trace: Subject | Trace) -> bool:
        """Whether this is the timeline of that run or trace."""
        return self._shown_first is run_or_trace or any(attempt.run is run_or_trace for attempt in self._attempts)

    def release(self) -> None:
        """Release the run and the connection to the page, which then shows the saved report instead.

        A running run is released when it ends.
        """
        for run in self._let_go():
            run.unload()

    def _release_for_again(self) -> None:
        """`release` when the cell is about to run again, which need not wait until the old traces are in files."""
        for run in self._let_go():
            after_cell(shell(), run.unload)

    def _let_go(self) -> list[Subject]:
        """Release everything but the memory of the traces; returns their runs."""
        if self._live is not None:
            self._released = True
            return []
        runs = [attempt.run for attempt in self._attempts]
        for run in (*runs, self._shown_first):
            forget_output(shell(), run)
        self._attempts = []
        self.run = self._shown_first = self.feed.run = as_subject(Trace.from_recorder(Recorder()))
        self.close()
        return runs

    def display(self, report: dict[str, str]) -> None:
        """Show the widget in the cell, after `report` (a MIME bundle), visible where the widget is not connected."""
        from IPython.display import display

        remember(shell(), self._release_for_again)
        self._displayed = True
        kind = "application/vnd.jupyter.widget-view+json"
        view = {kind: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
        display(self._saved(report), raw=True, display_id=self._key)  # type: ignore[no-untyped-call]
        display(view, raw=True)  # type: ignore[no-untyped-call]

    def display_live(self) -> Place:
        """Show the widget during a run; returns its display, to be emptied."""
        from IPython.display import display

        kind = "application/vnd.jupyter.widget-view+json"
        view = {kind: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}, "text/plain": "running"}
        place: Place = display(view, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        return place

    def settle(self, patience: float) -> None:
        """Wait, at most `patience` seconds, until the end of an ended run is shown."""
        live = self._live
        if live is not None:
            live.hurry()
            live.over.wait(patience)

    def _saved(self, report: dict[str, str]) -> dict[str, str]:
        """The output that stays in the notebook, hidden while the widget is connected."""
        return {**report, "text/html": unless_alive(self._key, report["text/html"])}

    def _follow(self) -> None:
        """`_`, `Out` and the saved output become those of the attempt that is shown."""
        for attempt in self._attempts:
            if attempt.run is not self.run:
                replace_output(shell(), attempt.run, self.run)
        if not self._displayed or self.run.running:
            return
        from IPython.display import update_display

        report = mimebundle(self.run)
        text, html = attempt_line(self._attempts, self._current)
        report = {**report, "text/plain": text + report["text/plain"], "text/html": html + report.get("text/html", "")}
        update_display(self._saved(report), raw=True, display_id=self._key)  # type: ignore[no-untyped-call]

    def _ipython_display_(self) -> None:
        words = headline(self.run, self.feed.columns)
        picture = image_html(drawn_picture(scene(self.run)), f"Timeline: {words}")
        self.display({"text/plain": f"<Timeline of {visible(words)}>", "text/html": picture})

    def _put(self, feed: Feed, *, live: bool = False) -> None:
        """Update everything from `feed` at once, so that no view sees a partial update."""
        self.feed = feed
        with self.hold_sync():
            large = len(feed.columns) > SAVED_CALLS  # of a live run no overview: its calls are on their way
            self._snapshot = b"" if live and large else feed.snapshot()
            self._details = {} if live else feed.saved_details()
            self._maps = {} if live else saved_maps(feed.run)
            head, self._report = (sections.running_html(feed.run), "") if live else self._sections(feed.run)
            self._head = attempts_html(self._attempts, self._current) + head
            self.notes = feed.notes()
            self._meta = {**feed.meta(), "live": live, "thin": False, "facets": []} if live else feed.meta()

    def _finished(self, run: Subject) -> None:
        """A live run ended: treat it like any other, with the notes written meanwhile."""
        self._live = None
        feed = Feed(run)
        feed.take_notes(self.notes)
        self._put(feed)
        if len(self._attempts) > 1:
            self._follow()
        if self._released:
            self.release()

    def _sections(self, run: Subject) -> tuple[str, str]:
        output = "" if run.streamed else sections.output_html(run)
        lines, grants = sections.lines_html(run), sections.grants_html(run)
        head = (
            (sections.verdict_html(run) if outcome_of(run) is not None else "") + sections.stack_html(run)
            + sections.refusals_html(run, buttons=self._may_rerun)
        )  # fmt: skip
        if self._current:  # this run's output was not shown anywhere: open it
            head, output = head + output, ""
        rest = (
            (f"<details><summary>Output</summary>{output}</details>" if output else "")
            + (f"<details><summary>Asked for, granted, used</summary>{grants}</details>" if grants else "")
            + f"<details><summary>Calls</summary>{sections.summary_html(run)}</details>"
            + (f"<details><summary>Lines of the source</summary>{lines}</details>" if lines else "")
        )
        return head, rest

    def _take_notes(self, change: dict[str, Mapping[str, str]]) -> None:
        """Notes written in the browser become notes of the trace."""
        self.feed.take_notes(change["new"])

    def _answer(self, _widget: object, content: object, _buffers: object) -> None:
        """Answer one request from the browser; any error is shown there, never lost."""
        found = answered(content, self._ask)
        if found is not None:
            self.send(*found)

    def _ask(self, ask: str, content: Question) -> Answer:
        feed = self._live.feed() if self._live is not None else self.feed
        match ask:
            case "calls":
                first = max(int(content["first"]), 0)
                count = min(CALLS_A_MESSAGE, max(len(feed.columns) - first, 0))
                return {"first": first, "count": count}, feed.calls(first, count)
            case "window":
                if "row" in content:
                    first, count = feed.around(int(content["row"]))
                else:
                    first, count = feed.window(float(content["from"]), float(content["to"]))
                return {"first": first, "count": count}, feed.calls(first, count)
            case "rows":
                return {"rows": feed.rows(int(content["first"]), int(content["count"]))}, []
            case "detail":
                return {"detail": feed.detail(int(content["row"]))}, []
            case "filter":
                return {}, [feed.matching(str(content["expression"]))]
            case "facets":
                return {"facets": facets_of(feed.trace, str(content["expression"]))}, []
            case "maps":
                return {"maps": maps_of(feed.run)}, []
            case "state":
                return {"state": state_of(feed.run, feed.seq_of(int(content["row"])))}, []
            case "memory":
                seq, since = feed.seq_of(int(content["row"])), feed.seq_of(int(content["since"]))
                return {"memory": memory_of(feed.run, seq, since)}, []
            case "sql":
                return {"answer": answer_sql(feed.trace, str(content["statement"]), feed.row_of)}, []
            case "search":
                found = feed.search(str(content["text"]), int(content["row"]), int(content["by"]))
                row, place, total = found or (None, 0, 0)
                return {"row": row, "place": place, "total": total}, []
            case "export":
                name, data = exported(self.run, str(content["suffix"]))
                return {"name": name}, [data]
            case "stop":
                if self._live is None:
                    raise ValueError("the run has ended")
                self._live.stop()
                return {}, []
            case "show":
                return self._show_attempt(int(content["run"]))
            case "compare":
                return self._compare(int(content["run"]))
            case "grant":
                return self._grant(int(content["refusal"]))
            case _:
                raise ValueError(f"the timeline does not know the question {ask!r}")

    def _grant(self, index: int) -> Answer:
        found = refusals(self.run)
        remedy = found[index].remedy if 0 <= index < len(found) else None
        if remedy is None or not self._may_rerun(remedy):
            raise ValueError("there is no grant to add for this refusal")
        run = self._rerun(remedy) if self._rerun is not None else rerun(self.run, remedy)
        self._attempts.append(Attempt(run, remedy))
        _SHOWN[id(run)] = self
        return self._show_attempt(len(self._attempts) - 1)

    def _show_attempt(self, index: int) -> Answer:
        if not 0 <= index < len(self._attempts):
            raise ValueError(f"there is no run {index + 1}")
        self._current = index
        self._show(self._attempts[index].run)
        self._follow()
        return {}, []

    def _compare(self, index: int) -> Answer:
        if not 0 <= index < len(self._attempts) or self.run.running:
            raise ValueError("there is no other run to compare with")
        sides = self._attempts[index], self._attempts[self._current]
        return {"html": comparison_html(*sides, (index + 1, self._current + 1))}, []

    def _may_rerun(self, remedy: Remedy) -> bool:
        """Whether the program can be run again with that grant."""
        return remedy.complete if self._rerun is not None else can_rerun(self.run, remedy)


def prepare(run: Subject) -> None:
    """Compute what the state of a widget consists of, so that what it reads and imports is in memory."""
    feed = Feed(run)
    feed.meta(), feed.snapshot(), feed.saved_details(), saved_maps(run), module(), style()


def shown_timeline(run_or_trace: Subject | Trace) -> TimelineWidget | None:
    """The existing timeline of a run or trace, if any."""
    known = _SHOWN.get(id(run_or_trace))
    return known if known is not None and known.shows(run_or_trace) else None


def timeline(run_or_trace: Subject | Trace, *, again: Rerun | None = None) -> TimelineWidget:
    """The interactive timeline of a run or trace, to be shown in a notebook; the same one when asked again."""
    known = shown_timeline(run_or_trace)
    if known is None or again is not None:
        known = _SHOWN[id(run_or_trace)] = TimelineWidget(run_or_trace, again=again)
    return known
