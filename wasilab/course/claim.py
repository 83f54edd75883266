"""One claim about a run: a sentence, how it is judged, its hints and its points.

For: whoever writes claims of a new kind (`claims/`). Not for: judging several together (`checking.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ..capabilities.protocols import Directory
from ..engine.outcome import Outcome
from ..grants.grants import Grants
from ..module.module import Module
from ..text.escape import shorten, visible
from ..text.numbers import counted
from ..trace.answers.event import CallEvent
from ..trace.columns.places import Places
from ..trace.strace.lines import blocks
from ..trace.strace.style import Style
from ..trace.trace import Trace

SHOWN_CALLS = 3
"""Calls that are shown as evidence of one claim."""
SHOWN_TEXT = 160
"""Characters of a guest's text that are shown."""


_STYLE = Style(time="none", pid=False, durations=False)
"""Without what differs at each run, so that a saved notebook stays the same."""


class CourseError(ValueError):
    """A mistake of who wrote a check or an exercise: the message says what to write instead."""


class Judged(Protocol):
    """What claims read of a run. `wasilab.Run` has all of it."""

    @property
    def module(self) -> Module: ...
    @property
    def grants(self) -> Grants: ...
    @property
    def trace(self) -> Trace: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...
    @property
    def directories(self) -> dict[str, Directory]: ...


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call that speaks for or against a claim."""

    seq: int
    """Its number, as in the timeline."""
    place: str
    """Its source line, `file:line`; "" if it is not known."""
    text: str
    """The call as strace writes it."""

    def __str__(self) -> str:
        return f"call {self.seq:,}{f' ({self.place})' if self.place else ''}: {self.text}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a claim's judge found. All texts are safe to print."""

    holds: bool
    found: str = ""
    """What the run did instead, as a sentence without a full stop."""
    evidence: tuple[ShownCall, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claim: what the sentence says is true of the run that a check is about.

    `a | b` holds if one of them does, `~a` if `a` does not. `a.hint("first", "second")` gives hints, of which a failed
    check shows one more at each attempt; `a.worth(2)` is how many points it earns (1 by default).
    """

    sentence: str
    judge: Callable[[Judged], Finding]
    holds_for_nothing: bool
    """Whether a program that does nothing at all makes it true. Such a claim earns nothing by itself: a check needs
    one claim of another kind, and this one is not judged until that one holds."""
    hints: tuple[str, ...] = ()
    points: float = 1.0

    def found(self, run: Judged) -> Finding:
        """What the judge finds. One that fails, such as a predicate with a mistake, says so as its finding."""
        try:
            return self.judge(run)
        except Exception as error:  # noqa: BLE001  # of anybody's predicate
            why = f"{type(error).__name__}: {shorten(visible(str(error)), 200)}"
            return Finding(False, f"this could not be judged: {why}")

    def hint(self, *steps: str) -> Claim:
        """The same claim with hints, the vaguest first; one more is shown at each failed attempt."""
        if not steps or not all(isinstance(step, str) and step.strip() for step in steps):
            raise CourseError(f"the hints of {self.sentence!r} are sentences: .hint('Who collects the bytes?')")
        return replace(self, hints=steps)

    def worth(self, points: float) -> Claim:
        """The same claim, worth so many points (more than 0)."""
        if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < 1e6:
            raise CourseError(f"a claim is worth a number of points above 0, not {points!r}")
        return replace(self, points=float(points))

    def __invert__(self) -> Claim:
        def judge(run: Judged) -> Finding:
            finding = self.judge(run)
            return Finding(not finding.holds, "" if not finding.holds else "it does", finding.evidence)

        return Claim(f"it is not so that {self.sentence}", judge, not self.holds_for_nothing, self.hints, self.points)

    def __or__(self, other: Claim) -> Claim:
        if not isinstance(other, Claim):
            return NotImplemented

        def judge(run: Judged) -> Finding:
            first = self.judge(run)
            if first.holds:
                return first
            second = other.judge(run)
            if second.holds:
                return second
            found = "; and ".join(text for text in (first.found, second.found) if text)
            return Finding(False, found, (*first.evidence, *second.evidence)[:SHOWN_CALLS])

        return Claim(
            f"{self.sentence}, or {other.sentence}",
            judge,
            self.holds_for_nothing or other.holds_for_nothing,
            (*self.hints, *other.hints),
            max(self.points, other.points),
        )

    def __bool__(self) -> bool:
        raise CourseError("a claim is neither true nor false by itself: join claims with `|`, and negate one with `~`")


def evidence_of(trace: Trace, most: int = SHOWN_CALLS) -> tuple[ShownCall, ...]:
    """The first calls of a trace as evidence."""
    return tuple(_shown(event) for event in trace[:most])


def _shown(event: CallEvent) -> ShownCall:
    place = Places(event.trace.store).get(event.stack_id)
    where = f"{visible(place[0])}:{place[1]}" if place else ""
    line = "".join(blocks(event.trace.at(event.row), _STYLE)).strip()
    return ShownCall(event.seq, where, shorten(line, SHOWN_TEXT))


def calls_found(count: int, evidence: tuple[ShownCall, ...] = ()) -> str:
    """How many calls there are, in words."""
    return ("there is none" if count == 0 else f"there {'is' if count == 1 else 'are'} {counted(count, 'call')}") + (
        f", the first {len(evidence)} of which follow" if count > len(evidence) > 0 else ""
    )


def quoted(text: str) -> str:
    """A guest's text in quotation marks, short and safe to print."""
    if len(text) > 4 * SHOWN_TEXT:  # both ends are shown, of a text that may have many megabytes
        text = text[: 2 * SHOWN_TEXT] + text[-2 * SHOWN_TEXT :]
    return f'"{shorten(visible(text), SHOWN_TEXT)}"'
