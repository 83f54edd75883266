"""How a run can end, in words: one row a kind of `Outcome`, for the verdict, the timelines and the command line."""

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
    """The word beside the mark at the end of a timeline; "" for a run that ended by itself or never began."""


ENDINGS: dict[Kind, Ending] = {
    "exit": Ending("", ""),
    "trap": Ending("Trapped", "trap"),
    "limit": Ending("Stopped by a limit", "limit"),
    "interrupt": Ending("Stopped by you", "stopped"),
    "error": Ending("Could not run", ""),
    "diverged": Ending("Parted from its recording", "parted"),
}


def mark_of(run: Subject) -> str:
    """The word at the end of a run's timeline; "" also while it runs and where its end is not known."""
    outcome = outcome_of(run)
    return "" if outcome is None else ENDINGS[outcome.kind].mark
