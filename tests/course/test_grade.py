"""Grading: what a notebook hands in is found by exercise, run confined, and anything hostile is one clear row."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from wasilab.capabilities.host import landlock
from wasilab.cli import main
from wasilab.course import CourseError, exercise_ids, judging
from wasilab.course.copying.pulling import course_folder
from wasilab.course.entries import LIMITS
from wasilab.course.grading import grader, submissions
from wasilab.course.grading.grader import Grade, grade
from wasilab.course.grading.grades import grades_csv, grades_html, grades_text
from wasilab.course.grading.submissions import find_notebooks, handed_in, read_notebook
from wasilab.course.notebook_file import BadNotebook
from wasilab.course.register import find_exercise
from wasilab.runs.isolated import outside
from wasilab.toolchains.confinement import CompileLimits

from .test_exercises import solution

CHECK = 'check(mine, exercise="03.1")'


def notebook(path: Path, *cells: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": []} for text in cells]
    path.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def grades(folder: Path, *exercises: str, isolate: bool = False) -> list[Grade]:
    return list(grade(folder, exercises, isolate=isolate))


def found(*cells: str) -> list[tuple[str, str, int, int]]:
    return [(each.exercise.id, each.text, each.cell, each.times) for each in handed_in(list(cells))]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["%%wasi c --name ex03-1\nA"], [("03.1", "A", 1, 1)]),
        (["%%wasi --name=ex03-1 c\nA"], [("03.1", "A", 1, 1)]),
        (["%%wasi c --name mine\nA", "%%wasi c --name other\nB", CHECK], [("03.1", "A", 1, 1)]),
        (["%%wasi c\nA", f"mine = _\n{CHECK}"], [("03.1", "A", 1, 1)]),
        (["%%wasi c --name mine\nA", "x", "%%wasi c --name mine\nB", CHECK], [("03.1", "B", 3, 1)]),
        (["%%wasi c --name ex03-1\nA", "%%wasi c --name ex03-1\nB"], [("03.1", "B", 2, 2)]),
        ([CHECK], []),
        (["%%wasi c --name mine\nA", 'check(mine, exercise="99.9")'], []),
        (["%%wasi c --name mine\nA", 'check("mine.toml", exercise="04.1")'], []),
        (["%%writefile ex04-1.toml\nT"], [("04.1", "T", 1, 1)]),
        (["%%writefile 'm.toml'\nT", "check('m.toml', exercise='04.1')"], [("04.1", "T", 1, 1)]),
        (
            ['mine = """\nT"""\nPath("mine.toml").write_text(mine);\n%ls', 'check("mine.toml", exercise="04.1")'],
            [("04.1", "\nT", 1, 1)],
        ),
        (['Path("ex04-1.toml").write_text("T")'], [("04.1", "T", 1, 1)]),
        (['Path("ex04-1.toml").write_text(open("/etc/passwd").read())'], []),
        (["%%wasi sql\nselect 1", "%%wasi c --name 'ex03-1\nA"], []),
    ],
)
def test_what_is_handed_in_is_found_by_exercise(cells: list[str], expected: list[tuple[str, str, int, int]]) -> None:
    assert found(*cells) == expected


@pytest.mark.toolchain
def test_a_folder_is_graded_in_confined_processes(tmp_path: Path) -> None:
    right, wrong = solution("03.1").read_text(), find_exercise("03.1").starter
    notebook(tmp_path / "ada" / "03.ipynb", f"%%wasi c --name mine\n{right}", CHECK, "raise SystemExit")
    notebook(tmp_path / "bob.ipynb", f"%%wasi c --name ex03-1\n{wrong}", "%%writefile ex04-1.toml\n"
             + solution("04.1").read_text())  # fmt: skip
    rows = {(row.notebook, row.exercise): row for row in grades(tmp_path, isolate=True)}
    assert rows["ada/03.ipynb", "03.1"].points == 4
    assert rows["bob.ipynb", "03.1"].note == "2 of 3 claims hold"
    assert rows["bob.ipynb", "04.1"].note == "all claims hold"


def test_a_policy_is_graded_without_a_compiler(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb", "%%writefile ex04-1.toml\n" + solution("04.1").read_text())
    notebook(tmp_path / "b.ipynb", '%%writefile ex04-1.toml\n[dirs]\nshop = { host = "/etc", mode = "rw" }')
    good, bad = grades(tmp_path)
    assert good.points == good.out_of == find_exercise("04.1").points
    assert (bad.points, bad.out_of) == (0, good.out_of)


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("int main(void) { for (;;); }", "claims hold"),
        ("int main(void) { return }", "it does not compile: ex03-1.c:2"),
        ('#include "/etc/passwd"\nint main(void) { return 0; }', "it does not compile"),
        ("#include </dev/zero>\nint main(void) { return 0; }", "claims hold"),
        ("\n".join(f"#define A{i} A{i + 1} A{i + 1}" for i in range(40)) + "\nA0", "it does not compile"),
    ],
)
def test_a_hostile_program_is_one_row(
    tmp_path: Path, source: str, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grader, "COMPILE_LIMITS", CompileLimits(seconds=10, memory=512 << 20))
    monkeypatch.setattr(judging, "LIMITS", replace(LIMITS, seconds=0.5))
    notebook(tmp_path / "a.ipynb", f"%%wasi c --name ex03-1\n{source}")
    (row,) = grades(tmp_path, isolate=True)
    assert note in row.note
    assert row.points == 0
    assert "root:" not in f"{row}"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 10_000, "not JSON"),
        (b"[]", "no list of cells"),
        (b'{"cells": 3}', "no list of cells"),
        (b'{"worksheets": []}', "no list of cells"),
        (b'{"cells": [' + b"1," * 6000 + b"1]}", "more than 5,000 cells"),
        (b'{"cells": [{"cell_type": "code", "source": "' + b"x" * (2 << 20) + b'"}]}', "characters"),
        (b" " * (17 << 20), "larger than 16.0 MiB"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_row(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.ipynb").write_bytes(data)
    (row,) = grades(tmp_path)
    assert words in row.note
    assert row.exercise == ""


@pytest.mark.parametrize(
    "cells", ['[null, 1, "x", [], {}]', '[{"cell_type": "code"}]', '[{"cell_type": "code", "source": {"a": 1}}]',
              '[{"cell_type": "code", "source": [1, null]}]', '[{"cell_type": [], "source": "%%wasi"}]'],
)  # fmt: skip
def test_cells_of_any_shape_hand_in_nothing(tmp_path: Path, cells: str) -> None:
    (tmp_path / "a.ipynb").write_text(f'{{"cells": {cells}}}')
    (row,) = grades(tmp_path)
    assert row.note == "no cell hands in a program or policy of an exercise"


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    elsewhere = tmp_path / "elsewhere"
    notebook(elsewhere / "x.ipynb")
    graded = tmp_path / "graded"
    graded.mkdir()
    (graded / "linked").symlink_to(elsewhere)
    notes = {row.notebook: row.note for row in grades(tmp_path)}
    assert notes["link.ipynb"] == "is a link, which is not followed"
    assert notes["pipe.ipynb"] == "is not a regular file"
    assert notes["folder.ipynb"] == "is not a regular file"
    with pytest.raises(CourseError, match="holds no notebooks"):
        grades(graded)


@pytest.mark.parametrize(
    "deep",
    ["+".join("a" * 30_000), "-" * 60_000 + "1", "(" * 60_000, "a" + "()" * 30_000, "not " * 16_000 + "a", "a\0b"],
)
def test_python_of_any_depth_is_only_text(deep: str) -> None:
    assert found(f"write_text\n{deep}") == []


def test_a_check_repeated_endlessly_is_read_in_bounded_time() -> None:
    assert found("check(x " * 100_000) == []


def test_too_many_notebooks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MOST_FILES", 2)
    for name in "abc":
        notebook(tmp_path / f"{name}.ipynb")
    with pytest.raises(CourseError, match="more than 2 notebooks"):
        grades(tmp_path)


def test_names_are_harmless_in_every_table(tmp_path: Path) -> None:
    name = "=cmd|' <script>\u202e.ipynb"
    notebook(tmp_path / name)
    rows = grades(tmp_path)
    assert "<script>" not in grades_html(rows, "x")
    assert "&lt;script&gt;" in grades_html(rows, "x")
    (_, row) = csv.reader(grades_csv(rows).splitlines())
    assert row[0].startswith("'=cmd")
    assert "\u202e" not in "\n".join([*grades_text(rows), grades_csv(rows), grades_html(rows, "x")])


def test_every_program_and_policy_of_the_course_is_found_in_its_notebooks() -> None:
    """As committed, with the starters: the same cells hold what a student hands in."""
    found = {each.exercise.id for path in find_notebooks(course_folder()) for each in read_notebook(path)}
    assert found >= {id for id in exercise_ids() if find_exercise(id).kind in ("program", "policy")}


def test_wanted_exercises_have_a_row_each(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    rows = grades(tmp_path, "03.1", "04.1")
    assert [(row.exercise, row.points, row.note) for row in rows] == [
        ("03.1", 0, "no cell hands it in"),
        ("04.1", 0, "no cell hands it in"),
    ]
    with pytest.raises(CourseError, match="did you mean"):
        grades(tmp_path, "3.1")


def test_the_command_writes_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(tmp_path / "in" / "a.ipynb", "%%writefile ex04-1.toml\n[dirs")
    tables = [str(tmp_path / "g.csv"), str(tmp_path / "g.html")]
    assert main(["grade", str(tmp_path / "in"), "-o", tables[0], "-o", tables[1], "--isolation", "off"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["notebook", "exercise", "points", "out", "of", "note"]
    assert "a.ipynb" in said
    assert (tmp_path / "g.csv").read_text().startswith("notebook,exercise,points,out of,note")
    assert "not TOML" in (tmp_path / "g.html").read_text()
    for wrong in (
        ["grade", str(tmp_path / "no")],
        ["grade", str(tmp_path / "in"), "-o", "x.pdf"],
        ["grade", str(tmp_path / "in"), "-o", str(tmp_path / "no" / "x.csv")],
        ["grade", str(tmp_path / "in"), "-e", "99"],
        ["grade", str(tmp_path)[:-1]],
        ["grade"],
    ):
        assert main(wrong) == 2
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.procfs
def test_an_isolation_that_is_not_there_is_an_error_and_costs_nobody_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook(tmp_path / "a.ipynb")
    monkeypatch.setenv("WASILAB_TEST_WITHOUT", "seccomp")
    with pytest.raises(CourseError, match="cannot be isolated here"):
        list(grade(tmp_path, isolate="strict"))
    monkeypatch.setattr(outside, "why_not", lambda: "this system has no fork")
    with pytest.raises(CourseError, match="--isolation off"):
        list(grade(tmp_path))


def test_compilers_that_are_not_confined_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook(tmp_path / "a.ipynb")
    assert main(["grade", str(tmp_path), "--isolation", "off"]) == 0
    assert "Landlock" not in capsys.readouterr().err
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert main(["grade", str(tmp_path), "--isolation", "off"]) == 0
    assert "this system has no Landlock" in capsys.readouterr().err


def test_a_file_that_vanishes_or_is_closed_to_us_is_a_row(tmp_path: Path) -> None:
    with pytest.raises(BadNotebook, match="No such file"):
        read_notebook(tmp_path / "gone.ipynb")
