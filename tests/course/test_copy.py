"""A student's copy of the course: made, brought up to date, and opened; what the student did stays."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wasilab.cli import main
from wasilab.course import CourseError
from wasilab.course.copying import jupyter, pulling
from wasilab.course.copying.merging import merge, source_of
from wasilab.course.copying.pulling import STATE, Pulled, course_folder, pull
from wasilab.course.notebook_file import NotebookCell

FIRST = "00-start.ipynb"


def cells(*texts: str) -> list[NotebookCell]:
    """Cells with the ids a, b, ... of their places, or with `id=text`."""
    made: list[NotebookCell] = []
    for at, text in enumerate(texts):
        id, _, source = text.rpartition("=")
        made.append({"cell_type": "code", "id": id or f"c{at}", "source": source, "outputs": [], "metadata": {}})
    return made


def merged(mine: list[str], base: list[str], new: list[str]) -> list[str]:
    return [source_of(cell) for cell in merge(cells(*mine), cells(*base), cells(*new)).cells]


@pytest.mark.parametrize(
    ("mine", "base", "new", "expected"),
    [
        (["A", "B"], ["A", "B"], ["A", "B2"], ["A", "B2"]),  # changed by the lesson
        (["A", "mine"], ["A", "B"], ["A", "B2"], ["A", "mine"]),  # changed by both
        (["A", "mine"], ["A", "B"], ["A", "B"], ["A", "mine"]),
        (["A", "x=own", "c1=B"], ["A", "B"], ["A2", "B"], ["A2", "own", "B"]),  # added by the student
        (["A"], ["A", "B"], ["A", "B2"], ["A"]),  # deleted by the student
        (["A", "B"], ["A", "B"], ["A", "n=N", "c1=B"], ["A", "N", "B"]),  # added by the lesson
        (["A", "B"], ["A", "B"], ["N", "A", "B"], ["N", "A", "B"]),  # the ids are numbers of places
        (["A", "mine"], ["A", "B"], ["N", "A", "B"], ["N", "A", "mine"]),
        (["A", "B"], ["A", "B"], ["n1=N", "n2=M", "A", "B"], ["N", "M", "A", "B"]),
        (["A", "B"], ["A", "B"], ["A"], ["A"]),  # removed by the lesson
        (["A", "mine"], ["A", "B"], ["A"], ["A", "mine"]),
        (["c1=B", "c0=A"], ["A", "B"], ["A", "B"], ["B", "A"]),  # moved by the student
        (["A", "c0=A again"], ["A"], ["A2"], ["A2", "A again"]),  # copied with its id
        ([], ["A", "B"], ["A2", "B"], []),
        ([], [], ["A"], ["A"]),
    ],
)
def test_a_merge_keeps_the_students_cells(
    mine: list[str], base: list[str], new: list[str], expected: list[str]
) -> None:
    assert merged(mine, base, new) == expected


def test_any_merge_keeps_every_cell_of_the_student_and_an_untouched_notebook_becomes_the_new_one() -> None:
    chance = random.Random(1)
    for _ in range(300):
        base = [f"t{chance.randrange(6)}" for _ in range(chance.randrange(8))]
        new = [text if chance.random() < 0.7 else f"new{chance.randrange(6)}" for text in base if chance.random() < 0.8]
        new.insert(chance.randrange(len(new) + 1), "inserted")
        assert merged(base, base, new) == new
        mine = cells(*base)
        for at in range(len(mine)):
            if chance.random() < 0.3:
                mine[at]["source"] = f"mine{at}"
        chance.shuffle(mine)
        mine = [cell for cell in mine if chance.random() < 0.8]
        mine += cells("own=own")
        result = merge(mine, cells(*base), cells(*new))
        ids = [cell["id"] for cell in result.cells]
        texts = [source_of(cell) for cell in result.cells]
        assert len(set(ids)) == len(ids)
        for cell in mine:
            if source_of(cell).startswith(("mine", "own")):
                assert source_of(cell) in texts


def test_results_stay_where_the_text_is_the_same() -> None:
    mine, base, new = cells("A", "B"), cells("A", "B"), cells("A", "B2")
    for cell in mine:
        cell["outputs"] = ["mine"]
    first, second = merge(mine, base, new).cells
    assert first["outputs"] == ["mine"]
    assert second["outputs"] == []


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one notebook, a picture, and a page for teachers."""
    folder = tmp_path / "installed"
    (folder / "images").mkdir(parents=True)
    (folder / "teacher").mkdir()
    (folder / "teacher" / "00.md").write_text("answers")
    (folder / "images" / "a.png").write_bytes(b"png")
    lesson(folder / FIRST, "A", "B")
    monkeypatch.setattr(pulling, "course_folder", lambda: folder)
    return folder


def lesson(path: Path, *texts: str) -> None:
    path.write_text(json.dumps({"cells": cells(*texts), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def texts(path: Path) -> list[str]:
    return [source_of(cell) for cell in json.loads(path.read_text())["cells"]]


def notes(files: list[Pulled]) -> dict[str, str]:
    return {each.name: each.note for each in files}


def test_a_copy_is_made_and_brought_up_to_date(lessons: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert notes(pull(mine)) == {FIRST: "new", "images/a.png": "new"}
    assert notes(pull(mine)) == {FIRST: "up to date", "images/a.png": "up to date"}
    lesson(lessons / FIRST, "A", "B2")
    assert notes(pull(mine))[FIRST] == "updated"
    assert texts(mine / FIRST) == ["A", "B2"]
    lesson(mine / FIRST, "mine", "B2", "x=own")
    lesson(lessons / FIRST, "A3", "B3")
    assert notes(pull(mine))[FIRST] == "1 cell updated; 1 cell of yours kept, which the lesson has changed, too"
    assert texts(mine / FIRST) == ["mine", "B3", "own"]
    assert notes(pull(mine))[FIRST] == "up to date"
    assert "teacher/00.md" in notes(pull(mine, teacher=True))


def test_what_is_no_notebook_any_more_stays(lessons: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    pull(mine)
    lesson(lessons / FIRST, "A", "B2")
    (lessons / "images" / "a.png").write_bytes(b"new png")
    (mine / "images" / "a.png").write_bytes(b"my png")
    for broken in ("{", "[]", '{"cells": [1]}'):
        (mine / FIRST).write_text(broken)
        assert notes(pull(mine))[FIRST].startswith("left as it is: it is not a notebook")
        assert (mine / FIRST).read_text() == broken
    assert notes(pull(mine))["images/a.png"] == "left as it is: you changed it"
    (mine / FIRST).unlink()
    (mine / FIRST).symlink_to("/etc/passwd")
    assert "is a link" in notes(pull(mine))[FIRST]
    (mine / FIRST).unlink()
    assert notes(pull(mine))[FIRST] == "new"


def test_a_folder_of_other_things_is_left_alone(lessons: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("x")
    with pytest.raises(CourseError, match="not empty, and is not a copy"):
        pull(other)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    with pytest.raises(CourseError, match=r"thesis\.txt"):
        pull(other / "thesis.txt" / "x")


def test_the_installed_course_begins_with_notebook_00(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["course", str(tmp_path / "mine")]) == 0
    assert "begin with 00-start-here.ipynb" in capsys.readouterr().out
    assert main(["course", str(tmp_path / "mine")]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["course", str(tmp_path)]) == 2
    assert main(["course", ""]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "mine" / "teacher").exists()


def test_lab_is_jupyterlab_on_a_copy_with_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Any] = []

    def call(argv: list[str], env: dict[str, str]) -> int:
        started.append((argv, env))
        return 0

    monkeypatch.setattr(jupyter, "served", call)
    monkeypatch.setattr(jupyter, "trust", lambda folder: None)
    monkeypatch.setattr(jupyter, "find_spec", lambda name: name)
    folder = tmp_path / "mine"
    assert main(["lab", str(folder), "--no-browser", "--port", "9999", "--allow-root"]) == 0
    ((argv, env),) = started
    assert argv[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {"--no-browser", "--allow-root", "--port=9999", f"--ServerApp.root_dir={folder.resolve()}"} <= set(argv)
    assert set(jupyter.QUIET) <= set(argv)
    assert argv[-1] == str(folder.resolve() / "00-start-here.ipynb")
    place = Path(env["JUPYTER_PATH"].split(os.pathsep)[0])
    assert json.loads((place / "kernels/python3/kernel.json").read_text())["argv"][0] == sys.executable
    assert Path(env["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]) == place
    assert "announcements" in (place / "labconfig/page_config.json").read_text()
    assert (folder / STATE).is_dir()
    assert main(["lab", str(folder), "--port", "99999"]) == 2
    monkeypatch.setattr(jupyter, "find_spec", lambda name: None)
    assert main(["lab", str(folder)]) == 2
    assert "wasilab[lab]" in capsys.readouterr().err


SERVER = """import signal, sys, time
def end(number, frame):
    print("asked to end", flush=True)
    if not sys.argv[1]: sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True: time.sleep(0.01)"""


@pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals")
@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_jupyter_without_its_question_or_traceback(number: signal.Signals, stubborn: bool) -> None:
    argv = [sys.executable, "-c", SERVER, "stubborn" if stubborn else ""]
    text = f"import os, sys; from wasilab.course.copying.jupyter import served; sys.exit(served({argv}, os.environ))"
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, number)  # as a terminal does
    assert process.stdout.readline() == "asked to end\n"
    if stubborn:
        os.killpg(process.pid, number)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (128 + number, "", "")


@pytest.mark.parametrize(("end", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_exit_status_of_jupyter_is_the_commands(end: str, status: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert jupyter.served([sys.executable, "-c", f"import os, sys; {end}"], os.environ) == status
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.kernel
def test_the_notebooks_of_a_copy_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    pull(tmp_path / "mine")
    jupyter.trust(tmp_path / "mine")
    code = (
        "import sys, nbformat; from nbformat.sign import NotebookNotary; "
        "print(NotebookNotary().check_signature(nbformat.read(sys.argv[1], 4)))"
    )
    for name in ("00-start-here.ipynb",):
        argv = [sys.executable, "-c", code, str(tmp_path / "mine" / name)]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "True\n"


@pytest.mark.slow
def test_the_notebooks_are_in_the_wheel(tmp_path: Path) -> None:
    # Not imported here: where pip was looked for, setuptools, and with it nbgrader, can no longer be imported.
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs pip")
    root = course_folder().parent
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*argv, str(root)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    assert "wasilab/course/notebooks/00-start-here.ipynb" in listed
    assert "wasilab/course/programs/copy.wasm" in listed
    assert "tests/" not in listed
