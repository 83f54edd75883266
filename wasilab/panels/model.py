"""What the panel edits, without its widgets: a program, the grants for its next run, the running run, undo.

Every change makes a new `Grants`, which a detached run gets at once (`grants/live/update.py`); `fixed` tells in advance
what cannot change during a run. Methods may be called from any thread. On failure they change nothing and raise
`GrantError` (or another `ValueError`) with a one-sentence message.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Unpack

from ..capabilities.protocols import Directory
from ..grants.advice.advise import FAILED, GrantAdvice, advise
from ..grants.grants import Grants
from ..grants.live.ask import Answer, Question
from ..grants.remedy import Remedy
from ..grants.value import GrantArguments, GrantError
from ..module.module import Module
from ..runs import runner
from ..runs.prepare import Isolate
from ..runs.run import Run
from ..trace.answers.library_refusals import path_in_output
from ..views.report.refused import RefusedCalls, refusals

STACKS = 1000
"""Calls at which the guest's stack is taken, and refused calls beyond them: for their lines, at 15 to 30 us each.
"""
HISTORY = 100
"""Changes that can be undone."""


class PanelModel:
    """`changed()` is called after every change, with the lock not held, from the thread that made it."""

    def __init__(
        self,
        module: Module | None,
        grants: Grants,
        args: tuple[str, ...] = (),
        run: Run | None = None,
        isolate: Isolate = False,
    ) -> None:
        self.module = module
        self.isolate = isolate
        """Whether its runs are isolated, as for `wasilab.run`."""
        self.args = args
        self.run = run
        """The last run, or the running one."""
        self.changed: Callable[[], object] = lambda: None
        self.question: Question | None = None
        """The pending question of a detached run in ask mode."""
        self._lock = threading.RLock()
        self._grants = grants
        self._shelf: dict[str, Directory] = dict(grants.dirs)
        self._withheld: dict[str, tuple[str, ...]] = dict(withheld_by(grants))
        self._history: list[Grants] = []
        self._waiting: dict[str, str] = {}

    # ---- the grants

    @property
    def grants(self) -> Grants:
        """The grants of the next run."""
        return self._grants

    @property
    def shelf(self) -> dict[str, Directory]:
        """All directories of the panel by guest path, in order, those switched off as well."""
        return dict(self._shelf)

    def edit(self, **changes: Unpack[GrantArguments]) -> None:
        """Replace fields of the grants."""
        self.put(self._grants.with_(**changes))

    def set_field(self, name: str, value: object) -> None:
        """Replace one field of the grants whose name is known only at run time."""
        fields: dict[str, Any] = {name: value}
        self.put(replace(self._grants, **fields))

    def set_arguments(self, text: str) -> None:
        """Set the arguments for the next run, written as shell words: a quoted word may contain spaces."""
        try:
            args = tuple(shlex.split(text))
        except ValueError as error:
            raise GrantError(f"the arguments {text!r} cannot be split into words: {error}") from None
        if args != self.args:
            self.args = args
            self.changed()

    def limit(self, name: str, value: float | None) -> None:
        """Replace one of the limits."""
        fields: dict[str, Any] = {name: value}
        try:
            self.edit(limits=replace(self._grants.limits, **fields))
        except ValueError as error:
            raise GrantError(str(error)) from None

    def put(self, grants: Grants) -> None:
        """Replace the grants, as one undoable step."""
        with self._lock:
            if grants == self._grants:
                return
            before = self._grants
            self._take(grants)
            self._history = [*self._history, before][-HISTORY:]
        self.changed()

    def _take(self, grants: Grants) -> None:
        """Apply `grants` to the running run, which may fail, then store them."""
        shelf = {guest: grants.dirs.get(guest, kept) for guest, kept in self._shelf.items()} | dict(grants.dirs)
        taken = grants.with_(dirs={g: shelf[g] for g in shelf if g in grants.dirs})
        if self.run is not None and self.run.running:
            self._waiting = self.run.regrant(taken)
        self._grants, self._shelf = taken, shelf
        self._withheld |= {guest: tuple(taken.withheld.get(guest, ())) for guest in taken.dirs}

    def add(self, guest: str, directory: Directory) -> None:
        """Grant a directory: choosing is granting."""
        if guest in self._grants.dirs:
            raise GrantError(f"something is granted at {guest!r} already: remove it, or choose another guest path")
        with self._lock:
            self._shelf.pop(guest, None)
            self._withheld.pop(guest, None)
        self.edit(dirs={**self._grants.dirs, guest: directory})

    def switch(self, guest: str, on: bool) -> None:
        """Switch a directory of the shelf on or off; in a running run too."""
        dirs = {g: d for g, d in self._shelf.items() if (on if g == guest else g in self._grants.dirs)}
        self.edit(dirs=dirs, withheld={g: self.withheld(g) for g in dirs})

    def withheld(self, guest: str) -> tuple[str, ...]:
        """The rights withheld from a directory of the shelf, also while it is switched off."""
        return self._withheld.get(guest, ())

    def withhold(self, guest: str, names: Iterable[str]) -> None:
        """Withhold these rights, by name, from a granted directory."""
        self.edit(withheld={**self._grants.withheld, guest: tuple(names)})

    def remove(self, guest: str) -> None:
        """Remove a directory from the shelf."""
        with self._lock:
            self._shelf.pop(guest, None)
        if guest in self._grants.dirs:
            self.put(self._grants.without_dir(guest))
        else:
            self.changed()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._history)

    def undo(self) -> None:
        """Undo the last change."""
        with self._lock:
            if not self._history:
                return
            self._take(self._history[-1])
            self._history.pop()
        self.changed()

    # ---- running

    @property
    def running(self) -> bool:
        """Whether a detached run is running."""
        return self.run is not None and self.run.running

    def start(self, *, detach: bool) -> Run:
        """Run the program under the grants; detached, it keeps running and its grants are live."""
        if self.module is None:
            raise GrantError("there is no program to run: wasilab.panel(module), or %wasi grants NAME")
        if self.running:
            raise GrantError("a run is still running: stop it first")
        asked = self._asked if detach else None
        run = runner.run(
            self.module, self.args, self._grants, stacks=STACKS, detach=detach, on_asked=asked, isolate=self.isolate
        )
        self.run, self._waiting = run, {}
        self.changed()
        return run

    def stop(self) -> None:
        """End the running run."""
        if self.run is not None and self.run.running:
            self.run.stop()

    def works(self, name: str) -> bool | None:
        """Whether a grant works in the running run; None without a run, or if the run does not hold it."""
        if self.run is None or not self.run.running or name not in self.run.live:
            return None
        return self.run.live.works(name)

    def writing_revoked(self, guest: str) -> bool:
        """Whether the right to change a directory was revoked in the running run."""
        return bool(self.works(guest) and self.run is not None and self.run.live.is_read_only(guest))

    def fixed(self, name: str) -> str:
        """Why this cannot be changed in the running run, "" if it can; `name`: a row of the panel, a limit, or
        "dirs" for adding one."""
        run = self.run
        if run is None or not run.running:
            return ""
        return run.fixed.get("dirs" if name in self._shelf and name not in run.grants.dirs else name, "")

    def waits(self, name: str) -> str:
        """Why this choice applies only to the next run, "" if the running run has it."""
        return self._waiting.get(name, "") if self.running else ""

    def rights_revoked(self, guest: str) -> tuple[str, ...]:
        """The rights on a directory that were revoked in the running run."""
        run = self.run
        if run is None or not run.running or guest not in run.grants.dirs:
            return ()
        return tuple(name for name in self.withheld(guest) if name not in run.grants.withheld.get(guest, ()))

    def differs(self, name: str) -> bool:
        """Whether the running run was started with something else here."""
        run = self.run
        if run is None or not run.running:
            return False
        if name in run.grants.dirs:
            return bool(run.grants.dirs[name] != self._grants.dirs.get(name))
        field = {"argv": "args"}.get(name, name)
        return bool(getattr(run.grants, field, None) != getattr(self._grants, field, None))

    def _asked(self, question: Question | None) -> None:
        self.question = question
        self.changed()

    def answer(self, answer: Answer) -> None:
        """Answer the pending question."""
        if self.run is not None:
            self.run.answer(answer)

    # ---- results

    def advice(self) -> GrantAdvice:
        """The smallest grants for the last run's calls."""
        if self.run is None or self.running or not self.run.traced:
            raise GrantError("run the program to its end first: only then is it known what it used")
        return advise(self.run)

    def use_advice(self) -> str:
        """Grant only what the last run used. Returns a caveat for the user, "" for none."""
        advice = self.advice()
        self.put(advice.grants)
        return FAILED if advice.failed else ""

    def refused(self) -> list[RefusedCalls]:
        """What the last run was refused, a group for each grant that would allow it."""
        return [] if self.run is None else refusals(self.run, by_remedy=True)

    def grant(self, remedy: Remedy) -> None:
        """Grant what was refused."""
        self.put(remedy.apply(self._grants))

    def looked_for(self) -> str:
        """A path on which the last run failed because no directory held it, as far as the trace shows; else ""."""
        run = self.run
        if run is None or run.running or not run.traced or run.exit_code == 0:
            return ""
        return path_in_output(run.trace, run.stderr)


def withheld_by(grants: Grants) -> dict[str, tuple[str, ...]]:
    """What is withheld, by guest path."""
    return {guest: tuple(names) for guest, names in grants.withheld.items()}
