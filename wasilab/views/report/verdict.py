"""How a run ended, in one sentence of plain text that is safe to print. What was refused is in `refused.py`."""

from __future__ import annotations

from typing import Literal

from ...engine.outcome import Frame
from ...text.escape import visible
from ...text.numbers import counted, duration
from ..endings import ENDINGS
from ..subject import Subject, outcome_of
from ..timeline.columns import Columns
from .refused import refusals


def verdict(run: Subject) -> str:
    """One sentence: how the run ended, after how many calls and how long, and how many were refused."""
    columns, outcome = Columns.of(run), outcome_of(run)
    seconds = outcome.seconds if outcome is not None else run.seconds
    traced = run.traced
    calls = f"{counted(len(columns) + columns.dropped, 'WASI call')} in " if traced else ""
    after = f"after {calls}{duration(seconds * 1e9)}"
    message = visible(outcome.message).rstrip(".") if outcome is not None else ""
    if outcome is None:
        head = "Still running"
    elif outcome.kind == "exit":
        head = "Ended well (exit status 0)" if outcome.ok else f"Ended with exit status {outcome.exit_code}"
    else:
        word = ENDINGS[outcome.kind].verdict
        head = word if not message or outcome.kind == "interrupt" else f"{word}: {message}"
    if outcome is not None and outcome.kind == "error" and not len(columns):
        return f"{head}."
    if not traced:
        return f"{head}, {after}; its calls were not recorded."
    refused = _refused(run, columns)
    if not refused:
        nothing = "no call" if refusals(run) else "nothing"
        yet = " so far" if outcome is None else ""
        return f"{head}, {after}; {nothing} was refused{yet}." if len(columns) else f"{head}, {after}."
    return f"{head}, {after}; {counted(refused, 'call')} {'was' if refused == 1 else 'were'} refused."


Mood = Literal["good", "warn", "bad", "busy"]


def mood(run: Subject) -> Mood:
    """How the run went: "warn" ended by itself, but something was refused or the status is not 0; "busy" still runs."""
    outcome = outcome_of(run)
    if outcome is None:
        return "busy"
    if outcome.kind != "exit":
        return "bad"
    return "good" if outcome.ok and not _refused(run, Columns.of(run)) else "warn"


def frames_of(run: Subject) -> tuple[Frame, ...]:
    """The guest's stack where a trap or a limit ended it, innermost frame first."""
    outcome = outcome_of(run)
    return () if outcome is None else outcome.frames


def _refused(run: Subject, columns: Columns) -> int:
    """How many calls were refused, including searches for directories that found none."""
    derived = 0 if columns.dropped else sum(group.count for group in refusals(run) if not group.inferred)
    return max(int(columns.refused.sum()), derived)
