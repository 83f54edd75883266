"""How a run can end, in words: one row per kind of `Outcome`, for the verdict, the timelines, the command line."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.outcome import Kind
from .subject import Subject, outcome_of


@dataclass(frozen=True, slots=True)
class Ending:
    """The words for one kind of ending."""

    verdict: str
    """How a sentence on the run begins; "" for an exit, which has a status."""
    mark: str
    """The word by the mark at the end of a timeline; "" for a run that ended by itself or never began."""


ENDINGS: dict[Kind, Ending] = {
    "exit": Ending("", ""),
    "trap": Ending("Trapped", "trap"),
    "limit": Ending("Stopped by a limit", "limit"),
    "interrupt": Ending("Stopped by you", "stopped"),
    "error": Ending("Could not run", ""),
    "diverged": Ending("Diverged from its recording", "diverged"),
}


def mark_of(run: Subject) -> str:
    """The word at the end of a run's timeline; "" while it runs or if its end is unknown."""
    outcome = outcome_of(run)
    return "" if outcome is None else ENDINGS[outcome.kind].mark
