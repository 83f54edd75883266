"""How the tests are shared among the workers of pytest-xdist, and what the fast lane does not import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import LONG, SLOW, TESTS, WHOLLY_SLOW, pytest_ignore_collect, work_unit


def test_listed_files_exist() -> None:
    assert not [name for name in SLOW | LONG if not (TESTS / name).is_file()]


def test_what_a_file_makes_once_is_made_in_one_worker() -> None:
    assert {work_unit(f"tests/views/{name}.py::test") for name in ("test_bare", "test_browser", "test_onward")} == {
        "browser"
    }
    for file in ("test_architecture.py", "conformance/test_differential.py", "frontends/test_kernel.py"):
        assert work_unit(f"tests/{file}::test_a") == work_unit(f"tests/{file}::test_b[1::2]") == file
    assert work_unit("notebooks/00-start-here.ipynb::") == "notebooks/00-start-here.ipynb"
    assert work_unit("tests/hostile/test_paths.py::test_a") != work_unit("tests/hostile/test_paths.py::test_b")


@pytest.mark.slow
def test_the_workers_get_whole_files() -> None:
    command = [sys.executable, "-m", "pytest", "-n", "2", "-vv", "tests/text", "tests/grants/test_remedy.py"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    ran = set(re.findall(r"\[(gw\d)\].* PASSED (\S+?\.py)::", done.stdout))
    assert {worker for worker, _ in ran} == {"gw0", "gw1"}
    assert len(ran) == len({file for _, file in ran}) > 3


@pytest.mark.parametrize("expression", ["not slow", "", "slow"])
def test_the_fast_lane_does_not_import_slow_files(expression: str) -> None:
    class Config:
        class option:
            markexpr = expression

    ignored = {path for path in TESTS.rglob("test_*.py") if pytest_ignore_collect(path, Config)}  # type: ignore[arg-type]
    if expression != "not slow":
        assert not ignored
        return
    assert {TESTS / name for name in SLOW} <= ignored
    assert TESTS / "views/test_browser.py" in ignored
    assert Path(__file__) not in ignored
    assert TESTS / "views/test_onward.py" not in ignored


def test_a_file_is_wholly_slow_by_its_own_mark_only() -> None:
    for text in ("pytestmark = pytest.mark.kernel\n", "x = 1\npytestmark = [pytest.mark.toolchain, mark]\n"):
        assert WHOLLY_SLOW.search(text)
    for text in ("@pytest.mark.kernel\n", "pytestmark = pytest.mark.skipif(1)\n", "pytestmark = pytest.mark.slowly\n"):
        assert not WHOLLY_SLOW.search(text)
