"""The exercises by their ids, and how they are shown: `exercise("02.1")`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..text.escape import html_text
from ..text.nearest import did_you_mean
from ..text.numbers import counted
from .checked import counted_points
from .claim import CourseError
from .entries import Exercise
from .exercises import EXERCISES


@cache
def _by_id() -> dict[str, Exercise]:
    found: dict[str, Exercise] = {}
    for entry in EXERCISES:
        if entry.id in found:
            raise CourseError(f"two exercises are called {entry.id}")
        found[entry.id] = entry
    return found


def exercise_ids() -> tuple[str, ...]:
    """The ids of all exercises, in the order of the lessons."""
    return tuple(_by_id())


def find_exercise(id: str) -> Exercise:
    """The entry of an exercise by its id ("02.1") or the name of its cell ("ex02-1"). Raises `CourseError`."""
    found = _by_id().get(id) or next((each for each in EXERCISES if each.name == id.lower()), None)
    if found is None:
        known = f"; there are {', '.join(_by_id())}" if EXERCISES else ""
        raise CourseError(f"there is no exercise {id!r}{did_you_mean(id, _by_id(), known)}")
    return found


def exercise(id: str) -> ShownExercise:
    """An exercise, as a notebook or a terminal shows it: its statement and its starter. Raises `CourseError`."""
    return ShownExercise(find_exercise(id))


@dataclass(frozen=True, repr=False)
class ShownExercise:
    """An exercise to read; `entry` is its data."""

    entry: Exercise

    @property
    def headline(self) -> str:
        """Its name and minutes, and its points where they do not depend on a run."""
        entry = self.entry
        effort = counted(entry.minutes, "minute")
        if entry.pair is None:  # whose claims are made of the other run
            effort += f", {counted_points(entry.points)}"
        return f"Exercise {entry.id}: {entry.title} ({effort})"

    def __repr__(self) -> str:
        return f"{self.headline}\n\n{self.entry.statement.strip()}\n\n{self.entry.cell.rstrip()}\n"

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{html_text(each)}</p>" for each in self.entry.statement.strip().split("\n\n"))
        return f"<h4>{html_text(self.headline)}</h4>{paragraphs}<pre>{html_text(self.entry.cell, lines=True)}</pre>"
