"""`check`: judge claims about a run, and say in sentences what does not hold."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..grants.forms.toml import POLICY_BYTES
from ..module.module import Module
from ..text.escape import shorten
from .checked import Checked, CheckFailed, State, Verdict
from .claim import Claim, CourseError, Judged
from .entries import Exercise
from .judging import JudgedClaim, judge_module, judge_policy, judge_run
from .register import find_exercise

__all__ = ["CheckFailed", "check"]


def check(
    subject: Judged | Module | str | os.PathLike[str],
    *claims: Claim,
    exercise: str = "",
    other: Judged | None = None,
    stop: bool = True,
) -> Checked:
    """Judge the claims about a run. Shows a table of all; raises `CheckFailed` unless all hold.

    `exercise` names the exercise ("02.1"). Without claims, its entry in the register says what is judged: a program (of
    the run, or a `Module`) over the exercise's inputs, a policy by its file name, or the run itself, with `other` for
    an exercise about two runs. Attempts are counted by exercise, in this kernel only; each shows one more hint of every
    claim that fails. With `stop=False` the result is returned in any trial: `bool(result)`, `result.points`,
    `result.out_of`.

    A claim that a program which does nothing fulfils (`never`, `at_most`, `exits(0)`) earns nothing until a claim holds
    which such a program does not fulfil. A check of the first kind alone raises `CourseError`, as its author's mistake.
    """
    if not isinstance(exercise, str):
        raise CourseError(f"check(..., exercise={exercise!r}): an exercise is named by text, such as '02.1'")
    if claims or not exercise:
        if other is not None:
            raise CourseError("check(..., other=...) is for exercises of the register: write repeats(other)")
        judged = judge_run(_run(subject), _checked_claims(claims))
    else:
        judged = _by_register(subject, find_exercise(exercise), other)
    attempts = _ATTEMPTS.setdefault(exercise or "\0".join(claim.sentence for claim in claims), _Attempts())
    attempts.count(subject)
    checked = result_of(judged, exercise, attempts.number)
    return checked.require() if stop else checked


def result_of(judged: Sequence[JudgedClaim], exercise: str = "", attempt: int = 1) -> Checked:
    """The verdicts of claims that were judged, with as many hints as there were attempts."""
    acts = any(each.finding.holds for each in judged if not each.claim.holds_for_nothing)
    verdicts = []
    for each in judged:
        claim, finding = each.claim, each.finding
        state: State = ("holds" if acts else "open") if finding.holds else "fails"
        hints = claim.hints if state == "fails" else ()
        verdicts.append(
            Verdict(
                claim.sentence, state, claim.points, "" if finding.holds else finding.found,
                () if finding.holds else finding.evidence, hints[:attempt], len(hints[attempt:]), each.trial,
            )
        )  # fmt: skip
    return Checked(tuple(verdicts), exercise, attempt)


def _by_register(subject: object, entry: Exercise, other: Judged | None) -> list[JudgedClaim]:
    if (other is not None) != (entry.pair is not None):
        given = "compares with another run: check(first, exercise=..., other=second)"
        raise CourseError(f"exercise {entry.id} {given if entry.pair else 'is about one run: leave out other='}")
    if entry.kind == "policy":
        return judge_policy(_policy_text(subject, entry), entry)
    if entry.kind == "program":
        return judge_module(subject if isinstance(subject, Module) else _module(_run(subject), entry), entry)
    claims = (*entry.claims, *(entry.pair(_run(other)) if entry.pair else ()))
    return judge_run(_run(subject), claims)


def _module(run: Judged, entry: Exercise) -> Module:
    if not isinstance(run.module, Module):
        raise CourseError(f"exercise {entry.id} is about a program: give its run, or its module")
    return run.module


def _policy_text(subject: object, entry: Exercise) -> str:
    if not isinstance(subject, str | os.PathLike):
        raise CourseError(f"exercise {entry.id} is about a policy: give the name of its file, such as 'mine.toml'")
    path = Path(subject)
    try:
        with path.open("rb") as file:
            data = file.read(POLICY_BYTES + 1)
        return data.decode()
    except OSError as error:
        raise CourseError(f"the policy {str(path)!r} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CourseError(f"the policy {str(path)!r} is not text in UTF-8") from None


def _run(subject: object) -> Judged:
    if not hasattr(subject, "trace"):
        kind = "a claim" if isinstance(subject, Claim) else type(subject).__name__
        raise CourseError(
            f"check(run, ...): the first value is {kind}, not a run; give the run of a cell a name: mine = _"
        )
    if getattr(subject, "running", False):
        raise CourseError("check(run, ...): the program still runs: run.wait() waits for its end")
    return subject  # type: ignore[return-value]  # as far as a check needs it


def _checked_claims(claims: tuple[object, ...]) -> list[Claim]:
    if not claims:
        raise CourseError("check(run, ...) needs claims, such as prints('hello'), or an exercise='02.1'")
    found = [claim for claim in claims if isinstance(claim, Claim)]
    for claim in claims:
        if not isinstance(claim, Claim):
            word = f"{claim.__name__}()" if callable(claim) and hasattr(claim, "__name__") else repr(claim)
            raise CourseError(f"check(run, ...): {shorten(word, 80)} is not a claim: write for example prints('hello')")
    if all(claim.holds_for_nothing for claim in found):
        raise CourseError(
            "a program that does nothing fulfils every claim of this check: add one that says what it must do, such as "
            "prints('hello') or makes('call=path_open errno=0')"
        )
    return found


@dataclass
class _Attempts:
    """The attempts at one exercise in this process. Checking the same run again is not another attempt."""

    number: int = 0
    last: weakref.ref[object] | None = field(default=None, repr=False)

    def count(self, subject: object) -> None:
        if self.last is None or self.last() is not subject:
            self.number += 1
        self.last = None if isinstance(subject, str | os.PathLike) else weakref.ref(subject)


_ATTEMPTS: dict[str, _Attempts] = {}
