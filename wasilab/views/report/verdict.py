"""How a run ended, in words: the verdict line, and the refusals grouped with the smallest grant for each.

Everything here is plain text with guest text already made visible (`escape.visible`); the report (`report.py`) puts
it into a terminal or a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...capabilities.refusal import Need
from ...engine.outcome import Frame
from ...grants.remedy import Remedy, given_to, remedy
from ...text.escape import visible
from ...text.numbers import counted, duration
from ...trace.answers.library_refusals import LibraryRefusal, library_refusal
from ...trace.answers.refusals import Refusal as Denial
from ..endings import ENDINGS
from ..subject import Subject, outcome_of, trace_of
from ..timeline.columns import Columns


@dataclass(frozen=True)
class Refusal:
    """Calls that were refused for the same reason, as one thing to read."""

    sentence: str
    """What was asked and why it was refused."""
    remedy: Remedy | None
    """The smallest grant that would have allowed it; None where no grant can."""
    calls: tuple[str, ...]
    """The names of the refused calls."""
    count: int
    where: str
    """The guest's source line of the first one, "" when it is not known."""
    first: int
    """`seq` of the first one; -1 when it is not known."""


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
        nothing = "no call" if outcome is not None and unasked_of(run) is not None else "nothing"
        yet = " so far" if outcome is None else ""
        return f"{head}, {after}; {nothing} was refused{yet}." if len(columns) else f"{head}, {after}."
    return f"{head}, {after}; {counted(refused, 'call')} {'was' if refused == 1 else 'were'} refused."


def unasked_of(run: Subject) -> LibraryRefusal | None:
    """What the program's own library refused, so that no call shows it; None where the run does not point to that."""
    outcome = outcome_of(run)
    if outcome is None or outcome.exit_code == 0 or not run.traced or len(run.denied):
        return None
    return library_refusal(run.trace, run.stderr_bytes.decode("utf-8", "replace"))


def refused_by_its_library(run: Subject) -> str:
    """The same as a sentence, "" where there is none."""
    found = unasked_of(run)
    if found is None:
        return ""
    remedy = remedy_of(run, found.need)
    if remedy is None:
        return found.sentence
    return f"{found.sentence} To allow it: {remedy.text}" + (f" ({remedy.hint})" if remedy.hint else "")


def remedy_of(run: Subject, need: Need | None) -> Remedy | None:
    """The smallest grant that would meet a need of the run."""
    return remedy(need, given_to(trace_of(run), run.grants))


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
    """How many calls were refused, the searches that the trace's owner derived from others included."""
    derived = sum(refusal.count for refusal in refusals(run)) if columns.dropped == 0 else 0
    return max(int(columns.refused.sum()), derived)


def refusals(run: Subject) -> list[Refusal]:
    """The refused calls of a run, grouped by sentence, the most frequent first."""
    groups: dict[tuple[str, Remedy | None], list[Denial]] = {}
    for denial in run.denied if run.traced else ():
        groups.setdefault((visible(denial.sentence), remedy_of(run, denial.need)), []).append(denial)
    found = [
        Refusal(
            sentence, met,
            tuple(dict.fromkeys(str(denial.call) for denial in same)),
            sum(int(denial.count) for denial in same),
            visible(same[0].line),
            int(same[0].seq),
        )
        for (sentence, met), same in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda refusal: -refusal.count)
