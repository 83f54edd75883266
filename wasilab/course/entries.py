"""What an exercise is: the entry of the register (`exercises/`).

An entry, as data:

    Exercise(
        "03.1", "Forty bytes in one write", minutes=5,
        statement="Change the program so that it makes at most two calls of fd_write.",
        starter='#include <unistd.h>\n...',
        trials=(
            Trial("as it is", claims=(exits(0), prints("x" * 40), at_most(2, "call=fd_write").hint("Who collects?"))),
            Trial("with an argument", args=("30",), claims=(prints("x" * 30),)),
        ),
    )

The kinds of exercises, by what a student hands in:

"program"
    A source (`lang`, "c" by default). `check(mine, exercise="03.1")` takes the module of the run `mine` and runs it in
    the `trials`, each with its arguments, input and folders in memory; `wasilab grade` does the same, in a confined
    process. A `Trial.driver` is a program in WAT that imports the student's module as "mine", which is how the exports
    of a reactor are called.
"policy"
    A policy file. The entry's `program` is run in the trials under the student's policy. Each trial has a `world`, the
    files beside the policy, in a new folder; the policy names folders below it. Some trials must work, and others must
    be refused. `Trial.least` says what no policy needs to exceed.
"run"
    How a student runs a program that is given: `check(mine, exercise="00.1")` judges `claims` on that run. With `pair`
    the claims are those of two runs, `check(first, exercise="11.1", other=second)`. Not graded from a notebook's text.
"python"
    Python code, whose effect on a run or a Lab is judged by `claims` (or `pair`). Never run by `wasilab grade`.

Hints and points are those of the claims. An exercise needs a hint on one of its claims at least. Its solution, which is
not part of the package, lies in `tests/course/solutions/`: a test runs every starter, which must fail, and every
solution, which must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ..engine.limits import Limits
from ..grants.grants import Grants
from .claim import Claim, CourseError, Judged

ExerciseKind = Literal["program", "policy", "run", "python"]
LIMITS = Limits(seconds=5, memory=256 << 20, bytes_written=16 << 20, output=1 << 20, trace=32 << 20)
"""The limits of a trial whose grants have none of their own."""


@dataclass(frozen=True)
class Trial:
    """One run of what a student hands in: an input, and the claims about it."""

    name: str
    """What is special about it, in a few words: "an empty file"."""
    claims: tuple[Claim, ...]
    args: tuple[str, ...] = ()
    grants: Callable[[], Grants] = Grants
    """The grants of a program, made for each run, so that its folders in memory are new."""
    driver: str = ""
    """A program in WAT that is run instead, and imports the student's module as "mine"; "" for none."""
    world: Mapping[str, str] = field(default_factory=dict)
    """Of a policy: files beside it, path -> text; a path that ends in "/" is an empty folder."""
    program: str = ""
    """Of a policy: the program to run, if it is not that of the exercise."""
    least: Callable[[Path], Grants] | None = None
    """Of a policy: the grants that it must not exceed, given the folder in which it lies."""


@dataclass(frozen=True)
class Exercise:
    """An exercise: what a student reads, begins with and is judged by."""

    id: str
    """The lesson and a number: "02.1"."""
    title: str
    statement: str
    """What to do, as Markdown."""
    minutes: int
    starter: str = ""
    """The text that a student begins with."""
    kind: ExerciseKind = "program"
    lang: str = "c"
    options: str = ""
    """The rest of the `%%wasi` line of the starter's cell: "--dir in"."""
    flags: tuple[str, ...] = ()
    """Of a program: the compiler's flags."""
    trials: tuple[Trial, ...] = ()
    claims: tuple[Claim, ...] = ()
    """Of a run or Python: the claims about what is checked."""
    pair: Callable[[Judged], tuple[Claim, ...]] | None = None
    """The claims that compare with another run, made of that run."""
    program: str = ""
    """Of a policy: the program of the lessons that runs under it."""

    def __post_init__(self) -> None:
        by_cases = self.kind in ("program", "policy")
        if self.kind not in get_args(ExerciseKind):
            raise CourseError(f"exercise {self.id}: a kind is one of {', '.join(get_args(ExerciseKind))}")
        if by_cases != bool(self.trials) or (by_cases and (self.claims or self.pair)):
            raise CourseError(f"exercise {self.id}: a {self.kind} is judged by {'trials' if by_cases else 'claims'}")
        if (self.kind == "policy") != bool(self.program):
            raise CourseError(f"exercise {self.id}: a policy names its program, and nothing else does")
        if all(claim.holds_for_nothing for trial in self.trials for claim in trial.claims) and by_cases:
            raise CourseError(f"exercise {self.id}: a program that does nothing fulfils every claim")

    @property
    def name(self) -> str:
        """The name of its cell, which has no dot: "ex02-1"."""
        return f"ex{self.id.replace('.', '-').lower()}"

    @property
    def points(self) -> float:
        """The points of all its claims, as far as they are known without a second run."""
        claims = (*self.claims, *(claim for trial in self.trials for claim in trial.claims))
        return float(sum(claim.points for claim in claims)) + sum(trial.least is not None for trial in self.trials)

    @property
    def cell(self) -> str:
        """The starter as a cell."""
        if self.kind == "program":
            line = f"%%wasi {self.lang} --name {self.name} {self.options}".rstrip()
            return f"{line}\n{self.starter}"
        if self.kind == "policy":
            return f"%%writefile {self.name}.toml\n{self.starter}"
        return self.starter
