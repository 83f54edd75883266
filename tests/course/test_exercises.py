"""The register of exercises: every starter fails, every solution passes, and a program that does nothing earns nothing.

A solution is `solutions/ID.SUFFIX`: a source, a policy (`.toml`), or for exercises that are judged by a run Python
(`.py`) with the functions `wrong` and `right`, which return the run, or two runs for a pair.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab.course import Checked, CourseError, check, exercise, exercise_ids
from wasilab.course.entries import Exercise, Trial
from wasilab.course.register import find_exercise
from wasilab.magics.notebook_session import check_name
from wasilab.runs.run import Run
from wasilab.toolchains.diagnostics import CompileError

from .test_check import HELLO, run

SOLUTIONS = Path(__file__).parent / "solutions"
PROGRAMS = [id for id in exercise_ids() if find_exercise(id).kind == "program"]
POLICIES = [id for id in exercise_ids() if find_exercise(id).kind == "policy"]
OTHERS = [id for id in exercise_ids() if id not in (*PROGRAMS, *POLICIES)]


def solution(id: str) -> Path:
    (found,) = SOLUTIONS.glob(f"{id}.*")
    return found


def judged(entry: Exercise, source: str) -> Checked | None:
    """What the check says of a source; None if it does not compile."""
    try:
        module = wasilab.compile(source, entry.lang, flags=entry.flags)
    except CompileError:
        return None
    return check(module, exercise=entry.id, stop=False)


def judged_pair(made: Run | tuple[Run, Run], id: str) -> Checked:
    first, *others = made if isinstance(made, tuple) else (made,)
    return check(first, exercise=id, other=others[0] if others else None, stop=False)


def test_every_exercise_has_a_hint_and_one_solution_outside_the_wheel() -> None:
    for id in exercise_ids():
        entry = find_exercise(id)
        claims = [*entry.claims, *(claim for trial in entry.trials for claim in trial.claims)]
        assert entry.pair or any(claim.hints for claim in claims), id
        assert solution(id).is_file()
        assert 1 <= entry.minutes <= 30
        assert entry.statement
        check_name(entry.name)
    assert {path.stem for path in SOLUTIONS.iterdir() if path.is_file()} == set(exercise_ids())


@pytest.mark.toolchain
@pytest.mark.parametrize("id", PROGRAMS)
def test_a_programs_starter_fails_and_its_solution_passes(id: str) -> None:
    entry = find_exercise(id)
    assert not judged(entry, entry.starter)
    assert judged(entry, solution(id).read_text())
    nothing = judged(entry, "int main(void) { return 0; }" if entry.lang == "c" else "")
    assert nothing is None or nothing.points == 0


@pytest.mark.parametrize("id", POLICIES)
def test_a_policys_starter_fails_and_its_solution_passes(id: str, tmp_path: Path) -> None:
    entry = find_exercise(id)
    starter = tmp_path / "starter.toml"
    starter.write_text(entry.starter)
    assert not check(starter, exercise=id, stop=False)
    assert check(solution(id), exercise=id, stop=False)


@pytest.mark.parametrize("id", OTHERS)
def test_a_wrong_run_fails_and_a_right_one_passes(id: str) -> None:
    made = runpy.run_path(str(solution(id)))
    assert not judged_pair(made["wrong"](), id)
    right = judged_pair(made["right"](), id)
    assert right, right


def policy(tmp_path: Path, text: str) -> Checked:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return check(path, exercise="04.1", stop=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[dirs]\nshop = { host = "/etc" }', "folders lie beside the policy"),
        ('[dirs]\nshop = { host = "../.." }', "folders lie beside the policy"),
        ('[dirs]\nshop = { host = "~" }', "folders lie beside the policy"),
        ('[sockets]\nlisten = ["127.0.0.1:0"]', "no exercise needs one"),
        ("[dirs", "not TOML"),
        ("dirs = " + "[" * 5000, "not TOML"),
        ('[dirs]\nshop = { host = "nowhere" }', "nowhere"),
        ("[limits]\nsecond = 1", "is not a key of a policy"),
        ('[stdio]\nstdin_file = "/etc/passwd"', "stdin_file"),
    ],
)
def test_a_policy_that_names_what_it_may_not_fails_every_claim(tmp_path: Path, text: str, words: str) -> None:
    checked = policy(tmp_path, text)
    assert checked.points == 0
    assert words in checked.verdicts[0].found
    assert str(tmp_path) not in str(checked)
    assert "/tmp" not in str(checked)


def test_a_policy_that_grants_more_fails_with_what_is_too_much(tmp_path: Path) -> None:
    text = solution("04.1").read_text().replace('host = "place/shop"', 'host = "place/shop", mode = "rw"')
    checked = policy(tmp_path, f'{text}"d" = {{ host = "diary" }}\n')
    assert not checked
    assert "writing in the folder shop, the folder d" in str(checked)


def test_a_check_by_the_register_needs_what_the_exercise_is_about(tmp_path: Path) -> None:
    hello = run(HELLO)
    for wrong, words in (
        (lambda: check(hello, exercise="04.11"), "did you mean '04.1'"),
        (lambda: check(hello, exercise="04.1"), "the name of its file"),
        (lambda: check(tmp_path / "no.toml", exercise="04.1"), "cannot be read"),
        (lambda: check("mine.toml", exercise="03.1"), "the first value is str"),
        (lambda: check(hello, exercise="11.1"), "compares with another run"),
        (lambda: check(hello, exercise="03.1", other=hello), "is about one run"),
        (lambda: check(hello, wasilab.course.prints("h"), other=hello), r"write repeats\(other\)"),
    ):
        with pytest.raises(CourseError, match=words):
            wrong()


def test_a_module_is_judged_over_its_trials_and_not_by_the_run_it_made() -> None:
    checked = check(run(HELLO), exercise="03.1", stop=False)
    assert checked.exercise == "03.1"
    assert checked.points == 0
    assert "it prints" in checked.verdicts[1].found


def test_an_exercise_shows_its_statement_and_starter() -> None:
    shown = exercise("03.1")
    assert "%%wasi c --name ex03-1\n#include <unistd.h>" in repr(shown)
    assert "5 minutes, 4 points" in repr(shown)
    assert "&lt;unistd.h&gt;" in shown._repr_html_()
    assert exercise("ex03-1") == shown
    assert all("0 points" not in exercise(id).headline.replace("10 points", "") for id in exercise_ids())


def entry(**given: Any) -> Exercise:
    return Exercise("1.1", "x", "x", 5, **given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kind": "essay"},
        {"kind": "run", "trials": (Trial("", (wasilab.course.prints("x"),)),)},
        {"kind": "policy", "trials": (Trial("", (wasilab.course.prints("x"),)),)},
        {"trials": (Trial("", (wasilab.course.unrefused(),)),)},
        {"program": "copy", "trials": (Trial("", (wasilab.course.prints("x"),)),)},
    ],
)
def test_an_entry_that_cannot_be_judged_is_its_authors_mistake(given: dict[str, Any]) -> None:
    with pytest.raises(CourseError, match=r"exercise 1\.1: "):
        entry(**given)
