"""Claims about two runs, and any other claim."""

from __future__ import annotations

from collections.abc import Callable

from ...text.numbers import counted
from ...trace.answers.diff import Diff
from ...trace.trace import Trace
from ..claim import Claim, CourseError, Finding, Judged, evidence_of
from .filters import in_words


def repeats(other: Judged) -> Claim:
    """The run makes the same calls as `other`, with the same data and results; how long they took is not compared.

    It earns something by itself only if the other run wrote something, which a program that does nothing does not
    repeat.
    """
    _check_run("repeats", other)

    def judge(run: Judged) -> Finding:
        diff = other.trace.diff(run.trace)
        if not diff.same:
            return Finding(False, diff.headline(), evidence_of(_differing(diff)))
        if run.stdout != other.stdout:
            return Finding(False, "the calls are the same, and what they print is not")
        return Finding(True)

    nothing = not (other.stdout or other.stderr)
    return Claim("it makes the same calls with the same results as the other run", judge, holds_for_nothing=nothing)


def differs_only_in(other: Judged, what: str) -> Claim:
    """The run differs from `other`, and only in calls that the filter `what` chooses."""
    _check_run("differs_only_in", other)
    words = in_words("differs_only_in", what)[1]

    def judge(run: Judged) -> Finding:
        diff = other.trace.diff(run.trace)
        if diff.same:
            return Finding(False, "the two runs do not differ")
        here = _differing(diff)
        chosen = set(here.filter(what).seq.tolist())
        others = here.filter(seq=[seq for seq in here.seq.tolist() if seq not in chosen])
        gone = diff.removed
        lost = len(gone) - len(gone.filter(what))
        if not others and not lost:
            return Finding(True)
        found = [f"{counted(len(others), 'other call')} {'differs' if len(others) == 1 else 'differ'}"] * bool(others)
        found += [f"{counted(lost, 'other call')} of the first run {'is' if lost == 1 else 'are'} missing"] * bool(lost)
        return Finding(False, " and ".join(found), evidence_of(others))

    return Claim(f"it differs from the other run, and only in {words}", judge, holds_for_nothing=False)


def _differing(diff: Diff[Trace]) -> Trace:
    """The calls of the second trace that the first has not, or has otherwise."""
    rows = [change.after for change in diff.changed]
    changed = [int(diff.b.seq[row]) for row in rows]
    return diff.b.filter(seq=sorted([*changed, *diff.added.seq.tolist()]))


def that(sentence: str, predicate: Callable[[Judged], object], *, needs_action: bool = False) -> Claim:
    """Any claim: `predicate(run)` is true or false, or the sentence that says what was found instead.

    `that("the bill still begins with what was owed", lambda run: bill.read_bytes("bill").startswith(b"100"))`. With
    `needs_action` you promise that it is false for a program that does nothing, so that it earns something by itself.
    """
    if not isinstance(sentence, str) or not sentence.strip():
        raise CourseError("that(sentence, predicate): the sentence says what is true")
    if not callable(predicate):
        raise CourseError(f"that({sentence!r}, ...): the predicate is a function of the run")

    def judge(run: Judged) -> Finding:
        answer = predicate(run)
        return Finding(False, answer) if isinstance(answer, str) else Finding(bool(answer))

    return Claim(sentence, judge, holds_for_nothing=not needs_action)


def _check_run(name: str, other: object) -> None:
    if not hasattr(other, "trace"):
        raise CourseError(f"{name}() compares with a run, not with {type(other).__name__}: give the first run a name")
