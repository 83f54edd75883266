"""Running what a student made over the inputs of an exercise.

`judge_module` and `judge_policy` judge each claim of each trial. With `isolate` each runs in a confined process
(`runs/isolated/`), as for `wasilab grade`. Not for: which exercises there are (`register.py`), points (`checked.py`).
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

from ..engine.limits import DEFAULTS, Limits
from ..grants.forms.toml import POLICY_BYTES
from ..grants.grants import Grants
from ..grants.value import GrantError
from ..module.module import Module, ModuleError, load
from ..runs.prepare import Isolate
from ..runs.runner import run
from .claim import Claim, Finding, Judged
from .claims.about_grants import granted_no_more_than
from .entries import LIMITS, Exercise, Trial
from .prebuilt import program

_STACKS = 2000
"""Calls whose source line is known."""


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim with what was found, of one trial."""

    trial: str
    claim: Claim
    finding: Finding


def judge_run(subject: Judged, claims: Sequence[Claim], trial: str = "") -> list[JudgedClaim]:
    """The claims about one run. A judge that fails, such as a predicate with a mistake, says so as its finding."""
    return [JudgedClaim(trial, claim, claim.found(subject)) for claim in claims]


def judge_module(module: Module, exercise: Exercise, *, isolate: Isolate = False) -> list[JudgedClaim]:
    """The claims of all trials of a program."""
    found: list[JudgedClaim] = []
    for trial in exercise.trials:
        grants = _bounded(trial.grants())
        try:
            if trial.driver:
                driver = load(trial.driver.encode(), name="driver")
                subject = run(driver, trial.args, grants, preload={"mine": module}, stacks=_STACKS, isolate=isolate)
            else:
                subject = run(module, trial.args, grants, name=module.name, stacks=_STACKS, isolate=isolate)
        except (ModuleError, GrantError) as error:
            found += _all_fail(trial, str(error))
            continue
        found += judge_run(subject, trial.claims, _named(exercise, trial))
    return found


def judge_policy(text: str, exercise: Exercise, *, isolate: Isolate = False) -> list[JudgedClaim]:
    """The claims of all trials of a policy: the exercise's program, run under it."""
    found: list[JudgedClaim] = []
    for trial in exercise.trials:
        with tempfile.TemporaryDirectory(prefix="wasilab-exercise-") as folder:
            world = Path(os.path.realpath(folder))
            _make(world, trial)
            claims = trial.claims if trial.least is None else (*trial.claims, granted_no_more_than(trial.least(world)))
            try:
                grants = _bounded(policy_in(text, world))
                guest = program(trial.program or exercise.program)
                subject = run(guest, trial.args, grants, stacks=_STACKS, isolate=isolate)
            except GrantError as error:
                found += _all_fail(replace(trial, claims=claims), str(error).replace(f"{world}/", ""))
                continue
            found += judge_run(subject, claims, _named(exercise, trial))
    return found


def policy_in(text: str, world: Path) -> Grants:
    """The grants of a policy that lies in `world` and names nothing outside of it. Raises `GrantError`."""
    if len(text.encode()) > POLICY_BYTES:
        raise GrantError(f"a policy has at most {POLICY_BYTES:,} bytes")
    for host in _hosts(text):
        path = PurePosixPath(host)
        if path.is_absolute() or ".." in path.parts or host.startswith("~"):
            raise GrantError(f"the policy names the folder {host!r}: in this exercise, folders lie beside the policy")
    file = world / "mine.toml"
    file.write_text(text, encoding="utf-8")
    try:
        return Grants.load(file)
    finally:
        file.unlink()


def _hosts(text: str) -> Iterator[str]:
    """The host folders that a policy names. Raises `GrantError` for what opens something else than a folder."""
    try:
        policy = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise GrantError(f"the policy is not TOML: {error}") from None
    if "sockets" in policy:
        raise GrantError("the policy names sockets: no exercise needs one")
    folders = policy.get("dirs")
    for entry in folders.values() if isinstance(folders, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("host"), str):
            yield entry["host"]


def _make(world: Path, trial: Trial) -> None:
    for name, text in trial.world.items():
        path = world / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _bounded(grants: Grants) -> Grants:
    """The grants with the limits of an exercise, where they have the default ones or larger ones."""
    given = grants.limits
    bounds = {each.name: (getattr(given, each.name), getattr(LIMITS, each.name)) for each in fields(Limits)}
    chosen = {
        name: ours if theirs is None or theirs == DEFAULTS[name] or (ours is not None and theirs > ours) else theirs
        for name, (theirs, ours) in bounds.items()
    }
    return grants.with_(limits=Limits(**chosen))


def _all_fail(trial: Trial, why: str) -> list[JudgedClaim]:
    return [JudgedClaim(trial.name, claim, Finding(False, why)) for claim in trial.claims]


def _named(exercise: Exercise, trial: Trial) -> str:
    return trial.name if len(exercise.trials) > 1 else ""
