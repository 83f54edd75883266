"""The grants panel: asked for, granted, used, refused, side by side, with a switch for every capability.

`panel(program_or_run)` shows it; `%wasi grants` is the same. What it edits is in `model.py`, the controls in `rows.py`,
choosing a folder in `chooser.py`, the table for readers without a kernel in `table.py`.
Callbacks may run on any thread and never print: errors are shown in the panel.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from typing import Literal

import ipywidgets as w

from ..engine.threads import spawn
from ..grants.advice.compare import items, switched_fields
from ..grants.code_folders import warning
from ..grants.grants import Grants
from ..grants.remedy import Remedy
from ..grants.value import GrantError
from ..module.module import ModuleError
from ..runs.prepare import Isolate, Program, load_program
from ..runs.run import Run, RunError
from ..text.escape import html_text
from ..views.interactive.cells import remember
from ..views.interactive.widget import TimelineWidget, timeline
from ..views.ipython import shell
from ..views.report.as_command import command_line
from ..views.report.verdict import mood, verdict
from . import table
from .boxes import classed, put, question_box, refusal_box, small
from .chooser import Chooser
from .isolation_label import isolation_html
from .model import PanelModel
from .rows import Bounds, Faults, Folder, Group, Sockets, group_for, set_disabled

FOLLOW_SECONDS = 0.25
"""How often the figures of a running run are updated."""
SLOW_CALLS = 200_000
"""With more calls than this, they are updated only at the end: reading them would take longer than the interval."""
ERRORS = (ValueError, OSError, argparse.ArgumentTypeError, GrantError, ModuleError, RunError)
HEADS = ("", "asked for", "granted", "used", "refused")


def panel(
    program: Program | Run | None = None,
    grants: Grants | None = None,
    args: tuple[str, ...] | list[str] = (),
    *,
    isolate: Isolate | None = None,
) -> Panel:
    """The panel of a program (a `Module`, its bytes or path) or of a run: what it asks for, was given, and used.

    `grants`: what it starts with (default: the run's, or `Grants()`). `args`: the program's arguments (default: the
    run's). `isolate`: whether its runs are isolated, as for `wasilab.run` (default: as the run was). Without a program,
    the panel only edits grants: `panel().grants`.
    """
    if isinstance(program, Run):
        isolate = program.isolate if isolate is None else isolate
        model = PanelModel(program.module, grants or program.grants, tuple(args) or program.args, program, isolate)
        return Panel(model)
    module = None if program is None else load_program(program)
    return Panel(PanelModel(module, grants or Grants(), tuple(args), isolate=isolate or False))


class Panel(w.VBox):  # type: ignore[misc]
    """The widget. `.grants` is the value that it edits, `.run` the last run, `.model` everything behind it."""

    def __init__(self, model: PanelModel) -> None:
        self.model = model
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._used: dict[str, w.HTML] = {}
        self._refused: dict[str, w.HTML] = {}
        self._warnings: dict[str, w.HTML] = {}
        self._states: dict[str, w.HTML] = {}
        self._shown: list[str] = []
        self._picture: TimelineWidget | None = None
        self.said = classed(w.HTML(), "wasilab-said")
        self.title = classed(w.HTML(), "wasilab-heading")
        self.verdict = w.HTML()
        self.output = w.HTML()
        self.bar = self._make_bar()
        self.rows = classed(w.VBox(), "wasilab-rows")
        self.chooser = w.VBox()
        self.refusals = w.VBox()
        self.question = w.VBox()
        self.line = self._make_line()
        self.policy = self._make_policy()
        self.limits = Bounds(self.model, self._edit)
        more = w.Accordion([w.VBox([self.limits, self._make_more()])], titles=("limits and rights",))
        self.picture = w.VBox()
        super().__init__([
            w.HTML(f"<style>{table.css()}</style>"), self.title, self.bar, self.question, self.said, self.rows,
            self.chooser, more, self.verdict, self.refusals, self.line, self.output, self.policy, self.picture,
        ])  # fmt: skip
        self.add_class("wasilab-panel")
        self.model.changed = self.refresh
        self.refresh()
        run = model.run
        if run is not None and run.running:  # started by a cell: its figures and its end are shown too
            spawn(lambda: self._follow(run), "wasilab panel")

    # ---- for notebooks and tests

    def controls(self, row: str) -> object:
        """The controls of a row, by its name: "argv", "clocks", "sockets", or the guest path of a folder."""
        return self._groups[row]

    def cell(self, row: str, column: Literal["used", "refused", "warning", "state"]) -> str:
        """The HTML of a row in a column; "+" is the row where folders are granted."""
        cells = {"used": self._used, "refused": self._refused, "warning": self._warnings, "state": self._states}
        text: str = cells[column][row].value
        return text

    @property
    def grants(self) -> Grants:
        """The current grants."""
        return self.model.grants

    @property
    def run(self) -> Run | None:
        """The last run, or the running one."""
        return self.model.run

    def _repr_mimebundle_(self, **options: object) -> object:
        remember(shell(), self.release)
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = table.static_html(self.model.module, self.grants, self.run, self.model.isolate)
            data["text/plain"] = f"<Panel: {command_line(self.grants, self.model.module)}>"
        return bundle

    def release(self) -> None:
        """Close the panel and everything in it once it is no longer shown; not while its run is running."""
        if self.model.running:
            return
        self.model.changed = lambda: None
        waiting: list[w.Widget] = [self, *self._groups.values()]
        while waiting:
            widget = waiting.pop()
            waiting += getattr(widget, "children", ())
            if widget is not self._picture:
                widget.close()

    # ---- making it

    def _make_bar(self) -> w.Box:
        def button(text: str, tooltip: str, act: Callable[[], object], style: str = "") -> w.Button:
            made = w.Button(description=text, tooltip=tooltip, button_style=style)
            made.on_click(lambda _: self._edit(act))
            return made

        self.button_run = button("Run", "run it to its end; the kernel waits", self._run, "primary")
        live = "run it in the background; every switch is live"
        self.button_detached = button("Run detached", live, lambda: self._start(True))
        self.button_stop = button("Stop", "end the run", self.model.stop)
        self.button_used = button("Grant only what was used", "the smallest grants for it", self.model.use_advice)
        self.button_undo = button("Undo", "undo the last change", self.model.undo)
        self.button_timeline = w.ToggleButton(description="Timeline", tooltip="every call of the run, as it happens")
        self.button_timeline.observe(lambda _: self._edit(self._show_timeline), "value")
        buttons = (
            self.button_run, self.button_detached, self.button_stop, self.button_used, self.button_undo,
            self.button_timeline,
        )  # fmt: skip
        return classed(w.Box(buttons), "wasilab-bar")

    def _make_more(self) -> w.Box:
        self.rights = w.Dropdown(options=[("rights: as specified", "strict"), ("rights: as Wasmtime", "compat")])
        self.ask = w.Checkbox(description="ask me for what is not granted", indent=False)
        self.writable_code = w.Checkbox(description="let it write to folders that code is run from", indent=False)
        for field, widget in (("rights", self.rights), ("ask", self.ask), ("writable_code", self.writable_code)):
            widget.observe(lambda change, field=field: self._set(field, change["new"]), "value")
        self._fixed_words = w.HTML()
        return classed(w.Box((self.rights, self.ask, self.writable_code, self._fixed_words)), "wasilab-cell")

    def _make_line(self) -> w.Box:
        field = w.Text(placeholder="a line for the program's stdin", continuous_update=False)
        field.add_class("wasilab-long")

        def send(change: dict[str, str]) -> None:
            if change["new"] and self.run is not None:
                self._edit(lambda: self.run.send(change["new"] + "\n") if self.run is not None else None)
                field.value = ""

        field.observe(send, "value")
        end = small("end of input", "the program reads no more")
        end.on_click(lambda _: self._edit(lambda: self.run.end_input() if self.run is not None else None))
        return classed(w.Box((field, end)), "wasilab-cell")

    def _make_policy(self) -> w.Box:
        self.file = w.Text(value="policy.toml", continuous_update=False)
        self.file.add_class("wasilab-short")
        save = small("Save as a policy file", "write these grants as TOML, for --policy")
        save.on_click(lambda _: self._save())
        self.saved = classed(w.HTML(), "wasilab-said")
        return classed(w.Box((save, self.file, self.saved)), "wasilab-cell")

    def _row(self, name: str, family: str, first: bool, control: w.Widget, title: str = "") -> w.Box:
        self._used[name], self._refused[name], self._warnings[name] = w.HTML(), w.HTML(), w.HTML()
        self._states[name] = w.HTML()
        for html in (self._warnings[name], self._states[name]):
            put(html, "")
        shown = html_text(title or name)
        asked = table.asked_html(self.model.module, family) if first else ""
        granted = classed(w.VBox([control, self._states[name], self._warnings[name]]), "wasilab-stack")
        cells = (w.HTML(f'<span class="wasilab-name">{shown}</span>'), w.HTML(asked), granted)
        return classed(w.Box((*cells, self._used[name], self._refused[name])), "wasilab-row")

    def _build_rows(self, shelf: list[str]) -> None:
        """Rebuild the rows if directories or sockets were added or removed; other rows stay."""
        model, edit, groups = self.model, self._edit, self._groups
        if not groups:
            fields = switched_fields(type(model.grants))
            families = [about.family for about in fields.values()]
            self._fixed = []
            for at, (field, about) in enumerate(fields.items()):
                groups[about.name] = group_for(model, edit, field, about)
                title = table.TITLES.get(about.family, "") if families.count(about.family) == 1 else ""
                first = about.family not in families[:at]
                self._fixed.append(self._row(about.name, about.family, first, groups[about.name], title))
            groups["sockets"] = Sockets(model, edit)
            self._sockets = self._row("sockets", "sock", True, groups["sockets"], "sockets")
            groups["faults"] = Faults(model, edit)
            self._faults = self._row("faults", "", False, groups["faults"], "faults")
            self.add = small("+ grant a folder…", "choose a folder: choosing is granting")
            self.add.on_click(lambda _: self._choose())
            self._adding = self._row("+", "path", True, self.add, "directories")
            self._head = classed(w.Box([w.HTML(head) for head in HEADS]), "wasilab-row")
            self._head.add_class("wasilab-head")
        rows = []
        for guest in shelf:
            if guest not in groups:
                groups[guest] = Folder(model, edit, guest)
            rows.append(self._row(guest, "path", False, groups[guest]))
        self.rows.children = (self._head, *self._fixed, self._adding, *rows, self._sockets, self._faults)
        self._shown = shelf

    # ---- updating

    def refresh(self) -> None:
        """Show the state of the model; from any thread."""
        with self._lock:
            model, grants = self.model, self.grants
            shelf = list(model.shelf)
            if shelf != self._shown or not self._groups:
                self._build_rows(shelf)
            for group in (*self._groups.values(), self.limits):
                group.show(grants)
            for row, group in self._groups.items():
                group.disable(model.fixed(row))
            self.limits.disable("")
            self._show_more()
            name = html_text(model.module.name) if model.module is not None else "no program yet"
            args = " ".join(html_text(arg) for arg in model.args)
            apart = isolation_html(model.isolate, self.run, f"isolation-{self.model_id}") if model.module else ""
            self.title.value = f'<span class="wasilab-title">Grants of {name}</span> <code>{args}</code>{apart}'
            self._buttons()
            self._figures()
            self._questions()
            self._outcome()

    def _show_more(self) -> None:
        model, grants = self.model, self.grants
        self.rights.value, self.ask.value = grants.rights, grants.ask
        self.writable_code.value = grants.writable_code
        for name, widget in (("rights", self.rights), ("ask", self.ask), ("dirs", self.add)):
            set_disabled(widget, model.fixed(name))
        put(self._fixed_words, "".join(f"<div>{table.fixed_html(why)}</div>" for why in dict.fromkeys(
            filter(None, (model.fixed("rights"), model.fixed("ask"))))))

    def _buttons(self) -> None:
        running, program = self.model.running, self.model.module is not None
        over = self.run is not None and not running and self.run.traced
        self.button_run.disabled = self.button_detached.disabled = running or not program
        self.button_stop.disabled = not running
        self.button_used.disabled = not over
        self.button_undo.disabled = not self.model.can_undo
        types = running and self.grants.stdin == "ask" and not self.model.fixed("stdin")
        self.line.layout.display = "" if types else "none"

    def _figures(self) -> None:
        """Used and refused, by capability, and what of a running run is revoked."""
        run = self.run
        trace = run.trace if run is not None and run.traced else None
        sockets = [0, 0]
        for item in items(self.grants.with_(dirs=self.model.shelf), trace):
            if item.family == "sock":
                sockets = [sockets[0] + item.used, sockets[1] + item.refused]
            elif item.name in self._used:
                self._used[item.name].value = table.used_html(item, trace is not None)
                self._refused[item.name].value = table.refused_html(item)
                put(self._warnings[item.name], self._warning(item.name))
        self._used["faults"].value = table.injected_html(trace)
        for name in self._states:
            put(self._states[name], self._state(name))

    def _warning(self, name: str) -> str:
        directory = self.grants.dirs.get(name)
        return "" if directory is None else table.warning_html(warning(directory))

    def _state(self, name: str) -> str:
        """The state of a grant in the running run."""
        model = self.model
        if model.waits(name):
            return table.waits_html(model.waits(name))
        why = model.fixed("dirs" if name == "+" else name)
        if why:
            return table.fixed_html(why)
        if model.works(name) is False:
            # What it was never given is not revoked.
            return table.REVOKED if model.differs(name) else ""
        if model.writing_revoked(name):
            return table.WRITING_REVOKED
        lacks = model.rights_revoked(name)
        if lacks:
            return table.rights_revoked_html(", ".join(lacks))
        if not model.differs(name):
            return ""
        return table.CHANGED + (f"; {table.READ_ONCE}" if name in ("argv", "env") else "")

    def _questions(self) -> None:
        question = self.model.question
        if question is None:
            self.question.children = ()
            return
        self.question.children = (
            question_box(question, lambda answer: self._edit(lambda: self.model.answer(answer))),
        )

    def _outcome(self) -> None:
        run = self.run
        self.output.value = table.output_html(run)
        if run is None:
            self.verdict.value = '<span class="wasilab-dim">not run yet</span>'
            self.refusals.children = ()
            return
        if run.running:
            self._refused["+"].value = ""
            self.verdict.value = "<b>running</b>: every switch above is live; a greyed one says why it is not"
            return
        tone = {"good": "good", "warn": "bad", "bad": "bad"}[mood(run)]
        mark = "✔" if tone == "good" else "✖"
        self.verdict.value = f'<span class="wasilab-{tone}">{mark}</span> {html_text(verdict(run))}'
        refused = self.model.refused()
        self.refusals.children = tuple(refusal_box(group, self._grant, self._choose) for group in refused[:20])
        outside = sum(group.count for group in refused if group.remedy is not None and group.remedy.asks_for_a_folder)
        # Paths in no granted directory have no row of their own: they are shown where directories are granted.
        self._refused["+"].value = table.count_html(outside)

    def _grant(self, remedy: Remedy) -> None:
        self._edit(lambda: self.model.grant(remedy))

    # ---- button actions

    def _edit(self, change: Callable[[], object]) -> None:
        """Make a change and show the sentence that it returns, if any, or the error."""
        try:
            said = change()
        except ERRORS as error:
            self._say(str(error), bad=True)
            self.refresh()
        except Exception as error:  # noqa: BLE001  in a callback it would otherwise not be shown
            self._say(f"{type(error).__name__}: {error}", bad=True)
        else:
            self._say(said if isinstance(said, str) else "")

    def _set(self, field: str, value: object) -> None:
        if value != getattr(self.grants, field):
            self._edit(lambda: self.model.set_field(field, value))

    def _say(self, text: str, bad: bool = False, where: w.HTML | None = None) -> None:
        tone = "bad" if bad else "good"
        said = f'<span class="wasilab-{tone}" role="alert">{html_text(text)}</span>' if text else ""
        (where or self.said).value = said

    def _run(self) -> None:
        """Run to the end; in the background if the user has to answer questions meanwhile."""
        self._start(self.grants.stdin == "ask" or self.grants.ask)

    def _start(self, detach: bool) -> None:
        run = self.model.start(detach=detach)
        self._show_timeline()
        if run.running:
            spawn(lambda: self._follow(run), "wasilab panel")
        self.refresh()

    def _show_timeline(self) -> None:
        """The timeline of the run, if requested."""
        run = self.run
        if not self.button_timeline.value or run is None or not run.traced:
            self.picture.children = ()
            return
        if self._picture is None:
            self._picture = timeline(run)
        elif self._picture.run is not run:
            self._picture.show(run)
        self.picture.children = (self._picture,)

    def _follow(self, run: Run) -> None:
        """Keep the figures of a running run up to date, then show its end."""
        while run.running:
            run.wait(FOLLOW_SECONDS)
            recorder = run.recorder
            if run.running and recorder is not None and len(recorder) < SLOW_CALLS:
                with self._lock:
                    self._figures()
                    self.output.value = table.output_html(run)
        self.model.question = None
        self.refresh()

    def _choose(self) -> None:
        def closed() -> None:
            self.chooser.children = ()
            self._say("")

        self.chooser.children = (Chooser(self.model, closed, self.model.looked_for()),)

    def _save(self) -> None:
        path = self.file.value.strip() or "policy.toml"
        try:
            self.grants.save(path)
        except ERRORS as error:
            self._say(str(error), bad=True, where=self.saved)
        else:
            self._say(f"saved: run with --policy {path}", where=self.saved)
