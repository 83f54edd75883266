"""`check`: judge claims about a run, and say in sentences what does not hold."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

from ..text.escape import shorten, visible
from .checked import Checked, CheckFailed, State, Verdict
from .claim import Claim, CourseError, Finding, Judged

__all__ = ["CheckFailed", "check"]


def check(run: Judged, *claims: Claim, exercise: str = "", stop: bool = True) -> Checked:
    """Judge the claims about a run. Shows a table of all; raises `CheckFailed` unless all hold.

    `exercise` names the exercise ("02.1"); attempts are counted by it, and each failed attempt shows one more hint of
    each claim that fails. With `stop=False` the result is returned in any case: `bool(result)`, `result.points`,
    `result.out_of`.

    A claim that a program which does nothing fulfils (`never`, `at_most`, `exits(0)`) earns nothing until a claim holds
    which such a program does not fulfil. A check of the first kind alone raises `CourseError`, as its author's mistake.
    """
    _check_arguments(run, claims, exercise)
    findings = [_judged(claim, run) for claim in claims]
    acts = any(found.holds for claim, found in zip(claims, findings, strict=True) if not claim.holds_for_nothing)
    attempts = _ATTEMPTS.setdefault(exercise or "\0".join(claim.sentence for claim in claims), _Attempts())
    states: list[State] = [("holds" if acts else "open") if found.holds else "fails" for found in findings]
    attempts.count(run)
    if all(state == "holds" for state in states):
        number, shown = attempts.number, 0
    else:
        number = shown = attempts.number
    verdicts = tuple(
        Verdict(
            claim.sentence, state, claim.points, found.found, found.evidence,
            claim.hints[:shown] if state == "fails" else (), len(claim.hints[shown:]) if state == "fails" else 0,
        )
        for claim, found, state in zip(claims, findings, states, strict=True)
    )  # fmt: skip
    checked = Checked(verdicts, exercise, number)
    return checked.require() if stop else checked


def _check_arguments(run: object, claims: tuple[object, ...], exercise: object) -> None:
    if not all(hasattr(run, name) for name in ("trace", "denied")):
        kind = "a claim" if isinstance(run, Claim) else type(run).__name__
        raise CourseError(
            f"check(run, ...): the first value is {kind}, not a run; give the run of a cell a name: mine = _"
        )
    if getattr(run, "running", False):
        raise CourseError("check(run, ...): the program still runs: run.wait() waits for its end")
    if not claims:
        raise CourseError("check(run, ...) needs claims, such as prints('hello')")
    for claim in claims:
        if not isinstance(claim, Claim):
            word = f"{claim.__name__}()" if callable(claim) and hasattr(claim, "__name__") else repr(claim)
            raise CourseError(f"check(run, ...): {shorten(word, 80)} is no claim: write for example prints('hello')")
    if not isinstance(exercise, str):
        raise CourseError(f"check(..., exercise={exercise!r}): an exercise is named by text, such as '02.1'")
    if all(isinstance(claim, Claim) and claim.holds_for_nothing for claim in claims):
        raise CourseError(
            "a program that does nothing fulfils every claim of this check: add one that says what it must do, such as "
            "prints('hello') or makes('call=path_open errno=0')"
        )


def _judged(claim: Claim, run: Judged) -> Finding:
    """The finding of a claim. A judge that fails, such as a predicate with a mistake, says so in place of one."""
    try:
        return claim.judge(run)
    except Exception as error:  # noqa: BLE001  # of anybody's predicate
        return Finding(False, f"this could not be judged: {type(error).__name__}: {shorten(visible(str(error)), 200)}")


@dataclass
class _Attempts:
    """The attempts at one exercise in this process. Checking the same run again is no further attempt."""

    number: int = 0
    last: weakref.ref[object] | None = field(default=None, repr=False)

    def count(self, run: object) -> None:
        if self.last is None or self.last() is not run:
            self.number += 1
            self.last = weakref.ref(run)


_ATTEMPTS: dict[str, _Attempts] = {}
