"""Checks as test cells of nbgrader and as tests of otter. Skipped where these are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from tests.frontends.programs import HELLO
from wasilab.course import CheckFailed, at_most, check, makes, prints

RUN = f"""import wasilab
from wasilab.course import *
mine = wasilab.run(wasilab.load({HELLO!r}.encode()))
"""
CLAIMS = 'prints("hello").worth(5), makes("path_open").worth(2)'
"""Of 7 points the run of `RUN` earns 5."""


def cell(id: str, source: str, **about: object) -> dict[str, object]:
    nbgrader = {
        "grade": False, "grade_id": id, "locked": False, "schema_version": 3, "solution": False, "task": False, **about
    }  # fmt: skip
    return {
        "cell_type": "code", "id": id, "metadata": {"nbgrader": nbgrader}, "source": source, "outputs": [],
        "execution_count": None,
    }  # fmt: skip


def notebook(path: Path, *cells: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.write_text(
        json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
    )


@pytest.mark.kernel
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("last", "score"),
    [(f"check(mine, {CLAIMS}, stop=False).points", 5), (f"check(mine, {CLAIMS})", 0)],
    ids=["partial credit", "raises"],
)
def test_a_check_is_a_test_cell_of_nbgrader(
    tmp_path: Path, last: str, score: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbgrader")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    scripts = os.path.dirname(sys.executable)  # nbgrader starts alembic by its name
    monkeypatch.setenv("PATH", os.pathsep.join([scripts, os.environ["PATH"]]))
    graded = cell("test", last, grade=True, locked=True, points=7)
    for place in ("source/ps1", "submitted/ada/ps1"):
        notebook(tmp_path / place / "p.ipynb", cell("run", RUN, solution=True), graded)
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'c'\n")
    for words in (["generate_assignment", "ps1", "--force"], ["autograde", "ps1", "--force"]):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        assert book.find_submission("ps1", "ada").score == score


@pytest.mark.slow
def test_a_check_is_a_test_of_otter(tmp_path: Path) -> None:
    pytest.importorskip("otter")
    from otter.test_files.exception_test import ExceptionTestFile

    test = tmp_path / "q1.py"
    test.write_text(
        "from otter.test_files import test_case\nfrom wasilab.course import *\n"
        'OK_FORMAT = False\nname = "q1"\npoints = 2\n\n'
        "@test_case()\ndef test_hello(mine):\n    check(mine, prints('hello'))\n\n"
        "@test_case()\ndef test_opens(mine):\n    check(mine, makes('path_open').hint('fopen'))\n"
    )
    environment: dict[str, object] = {"mine": wasilab.run(wasilab.load(HELLO.encode()))}
    result = ExceptionTestFile.from_file(str(test))
    result.run(environment)
    passed = [each.passed for each in result.test_case_results]
    assert passed == [True, False]
    assert "it makes a path_open call" in result.test_case_results[1].message


def test_a_cell_shows_the_sentences_of_a_failed_check_and_no_stack(ipython: InteractiveShell) -> None:
    """What an IPython shell, and with it nbgrader's report, shows of the exception."""
    from IPython.utils.capture import capture_output

    with capture_output() as shown:
        ipython.run_cell(f"{RUN}\ncheck(mine, makes('path_open'))")
    assert "fails: it makes a path_open call" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    with pytest.raises(CheckFailed):
        check(wasilab.run(wasilab.load(HELLO.encode())), prints("x"), at_most(1), makes("path_open"))
