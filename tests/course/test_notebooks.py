"""The notebooks of the course, as they lie in the repository, and what the text of the first one offers to try."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from wasilab.commands.catalog import command_names
from wasilab.commands.line.grammar import build
from wasilab.commands.notebook.cell_line import build_cell
from wasilab.course import exercise_ids, program_names
from wasilab.course.register import find_exercise

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
MAY_FAIL = "raises-exception"
"""The tag of a cell whose error is part of the lesson: a check of an exercise that nobody has done yet."""
SUMMARY = "WASI call"


def book(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in book(path) if cell["cell_type"] == "code"]


def text(path: Path) -> str:
    return "\n\n".join(source(cell) for cell in book(path) if cell["cell_type"] == "markdown")


lesson = pytest.mark.parametrize("path", LESSONS, ids=[path.stem for path in LESSONS])


def test_there_are_thirteen_lessons_and_four_workshops() -> None:
    numbers = [path.stem.split("-")[0] for path in LESSONS]
    assert numbers == [f"{n:02}" for n in range(13)] + ["w1", "w2", "w3", "w4"]


@lesson
def test_it_is_stored_executed_in_order_and_fails_only_where_it_says_so(path: Path) -> None:
    cells = code(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    failed = [cell for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    assert all(MAY_FAIL in cell["metadata"].get("tags", ()) for cell in failed)
    assert not [
        out for cell in cells for out in cell["outputs"] if "".join(out.get("text", "")).startswith("UsageError")
    ]


@lesson
def test_no_magic_of_it_has_a_dollar_that_is_not_replaced(path: Path) -> None:
    lines = [line for cell in code(path) for line in source(cell).splitlines()]
    assert not [line for line in lines if re.search(r"(?:^|= )%wasi .*\$[a-z]", line)]


@lesson
def test_it_is_small_and_names_no_path_of_the_machine_that_made_it(path: Path) -> None:
    stored = path.read_text(encoding="utf-8")
    assert len(stored) < 1_000_000
    assert not re.findall(r"/(?:tmp/(?!yosys)|home/|root/|work/|Users/|usr/|opt/)", stored)
    assert "application/vnd.jupyter.widget-state+json" not in stored
    assert {name for cell in book(path) for name in cell["metadata"]} <= {"tags"}


@lesson
def test_its_reports_can_be_read_without_a_kernel(path: Path) -> None:
    for cell in code(path):
        if re.search(r"^(\w+) = %wasi run .*\n\1$", source(cell)):
            shown = [out["data"] for out in cell["outputs"] if out["output_type"] == "execute_result"]
            assert shown, source(cell)
            assert all(SUMMARY in "".join(data["text/html"]) for data in shown)
            assert all("application/vnd.jupyter.widget-view+json" not in data for data in shown)


@lesson
def test_it_begins_with_a_question_says_its_minutes_and_asks_for_a_prediction(path: Path) -> None:
    first, whole = source(book(path)[0]), text(path)
    assert re.match(r"# \w+ · .*", first)
    assert re.search(r"\*(?:Workshop, )?\d+ minutes\.", first)
    assert "**Predict" in whole
    assert "## What you learned" in whole
    assert (NOTEBOOKS / "teacher" / f"{path.stem.split('-')[0]}.md").is_file()


@lesson
def test_every_option_program_and_link_in_it_exists(path: Path) -> None:
    whole = "\n".join(source(cell) for cell in book(path))
    parsers = [build(name, "notebook") for name in command_names("notebook")] + [build_cell()]
    known = {spelling for parser in parsers for spelling in parser.takes_value()} | {"--no-deps"}
    known |= {spelling.replace("--", "--no-", 1) for spelling in known}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", whole))
    assert named <= known, named - known
    programs = set(re.findall(r"%wasi program (\w+)|program\(\"(\w+)\"\)", whole))
    assert {a or b for a, b in programs} <= set(program_names())
    for link in re.findall(r"\]\(([\w-]+\.ipynb)\)", whole):
        assert (NOTEBOOKS / link).is_file(), link


def test_every_exercise_stands_in_its_lesson_with_its_starter_and_its_check() -> None:
    for id in exercise_ids():
        (path,) = NOTEBOOKS.glob(f"{id.split('.')[0].lower()}-*.ipynb")
        cells = [source(cell) for cell in code(path)]
        assert any(cell.startswith(find_exercise(id).cell.rstrip()) for cell in cells), id
        assert any(f'exercise="{id}"' in cell for cell in cells), id
        assert f"Exercise {id}" in text(path)


def test_every_heading_of_the_rationale_has_a_lesson_in_the_table_of_the_first() -> None:
    table = text(NOTEBOOKS / "00-start-here.ipynb").split("## Where each idea")[1]
    for word in ("ELF", "POSIX", "imports", "capability", "path filtering", "processes", "Spectre", "non-blocking",
                 "reactors", "mmap", "UNIX-domain sockets", "dup", "references"):  # fmt: skip
        assert word in table, word


def test_every_lesson_has_a_page_for_the_teacher_with_its_parts() -> None:
    for page in sorted((NOTEBOOKS / "teacher").glob("*.md")):
        said = page.read_text(encoding="utf-8")
        assert said.startswith("# For teachers: ")
        assert "**Aim.**" in said
        assert "**Minutes.**" in said


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ipython: InteractiveShell) -> Iterator[InteractiveShell]:
    """A shell in which the first lesson has been run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for cell in code(NOTEBOOKS / "00-start-here.ipynb"):
        done = ipython.run_cell(source(cell))
        assert done.success or MAY_FAIL in cell["metadata"].get("tags", ()), source(cell)
    yield ipython
    os.chdir(tmp_path)


def value(shell: InteractiveShell, cell: str) -> Any:
    found = shell.run_cell(cell)
    assert found.success, cell
    return found.result


@pytest.mark.slow
def test_what_the_first_lesson_suggests_to_try_has_the_stated_result(shell: InteractiveShell) -> None:
    assert value(shell, "%wasi run --dir in::/data --dir out:rw copy /data/poem.txt out/b.txt").exit_code == 0
    kept = value(shell, "%wasi run --dir in --dir out:copy copy in/poem.txt out/c.txt")
    assert "c.txt" in str(kept.changes)
    assert not Path("out/c.txt").exists()
    assert not Path("out/stolen.txt").exists(), "neither way out led anywhere"
    Path("in/link").symlink_to("/etc")
    assert value(shell, "%wasi run --dir in --dir out:rw copy in/link/hostname out/s.txt").denied
    value(shell, "mine = %wasi run --dir in --dir out:rw --clock none --random none copy in/poem.txt out/copy.txt")
    assert value(shell, "check(mine, exercise='00.1')").points == 5
