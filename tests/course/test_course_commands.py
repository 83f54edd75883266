"""The commands `exercise` and `example` in both front ends."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from wasilab.cli import main
from wasilab.commands.course.example_command import OPTIONS, cell_line
from wasilab.commands.notebook.cell_line import parse_cell
from wasilab.course import exercise_ids
from wasilab.course.prebuilt import program_source
from wasilab.course.register import find_exercise


@pytest.fixture
def shell(ipython: InteractiveShell) -> InteractiveShell:
    ipython.run_line_magic("load_ext", "wasilab")
    return ipython


def test_an_exercise_is_put_into_a_cell(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("wasi", "exercise 03.1")
    assert shell.rl_next_input == find_exercise("03.1").cell.rstrip("\n")
    assert "Exercise 03.1: Forty bytes" in capsys.readouterr().out


def test_exercises_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exercise"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(exercise_ids())
    assert main(["exercise", "03.1"]) == 0
    assert "%%wasi c --name ex03-1" in capsys.readouterr().out
    assert main(["exercise", "3.1"]) == 2
    assert "did you mean '03.1'" in capsys.readouterr().err


def test_an_example_is_put_into_a_cell(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("wasi", "example cost")
    assert shell.rl_next_input == f"%%wasi c --name cost --args buffered\n{program_source('cost').text}".rstrip("\n")
    shell.run_line_magic("wasi", "examples")
    assert "holdings   What does this program hold?" in capsys.readouterr().out
    assert main(["examples"]) == 0
    assert main(["example", "copy"]) == 0
    assert program_source("copy").text in capsys.readouterr().out
    assert main(["example", "keeper"]) == 2


@pytest.mark.parametrize("name", OPTIONS)
def test_the_line_of_every_example_is_one_of_a_cell(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = parse_cell(shlex.split(cell_line(program_source(name)))[1:])
    assert request.options.name == name


@pytest.mark.parametrize("id", [id for id in exercise_ids() if find_exercise(id).kind == "program"])
def test_the_line_of_every_starter_is_one_of_a_cell(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("user", "books", "in", "attic", "box"):
        (tmp_path / folder).mkdir()
    line = find_exercise(id).cell.partition("\n")[0]
    assert parse_cell(shlex.split(line)[1:]).options.name == find_exercise(id).name
