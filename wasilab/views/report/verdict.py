"""How a run ended, in one sentence of plain text that is safe to print. What was refused is in `refused.py`."""

from __future__ import annotations

from typing import Literal

from ...engine.outcome import Frame, Outcome
from ...text.escape import visible
from ...text.numbers import counted, duration
from ..endings import ENDINGS
from ..subject import Subject, outcome_of
from ..timeline.columns import Columns
from .refused import refusals


def verdict(run: Subject) -> str:
    """One sentence: how the run ended, after how many calls and how long, and how many were refused.

    A trace that does not say how its run ended (a part of one, or that of a lab) gets the number of its calls.
    """
    columns, outcome = Columns.of(run), outcome_of(run)
    calls = counted(len(columns) + columns.dropped, "WASI call")
    if outcome is None and not run.running:
        begin = calls
    else:
        head = "Still running" if outcome is None else _ending(outcome)
        if outcome is not None and outcome.kind == "error" and not len(columns):
            return f"{head}."
        took = duration((outcome.seconds if outcome is not None else run.seconds) * 1e9)
        begin = f"{head}, after {calls} in {took}" if run.traced else f"{head}, after {took}"
    if not run.traced:
        return f"{begin}; its calls were not recorded."
    refused = _refused(run, columns)
    if refused:
        return f"{begin}; {counted(refused, 'call')} {'was' if refused == 1 else 'were'} refused."
    if not len(columns):
        return f"{begin}."
    yet = " so far" if run.running else ""
    return f"{begin}; {'no call' if refusals(run) else 'nothing'} was refused{yet}."


def _ending(outcome: Outcome) -> str:
    message = visible(outcome.message).rstrip(".")
    if outcome.kind == "exit":
        usual = "Ended well (exit status 0)" if outcome.ok else f"Ended with exit status {outcome.exit_code}"
        return message or usual
    word = ENDINGS[outcome.kind].verdict
    return word if not message or outcome.kind == "interrupt" else f"{word}: {message}"


Mood = Literal["good", "warn", "bad", "busy", "unknown"]


def mood(run: Subject) -> Mood:
    """How the run went: "warn" ended by itself, but something was refused or the status is not 0; "busy" still runs.

    "unknown": a trace that does not say how its run ended.
    """
    outcome = outcome_of(run)
    if outcome is None:
        return "busy" if run.running else "unknown"
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
