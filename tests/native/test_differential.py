"""Random programs, natively and in Python: the short form of `python -m tests.native.differential 400`.

They must differ in nothing that can be seen; and together they must have every call answered natively, often, and take
every way back to Python. A few more run with the library under ASan and UBSan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .coverage import rare, ways
from .sanitized import instrumented, sanitized
from .shapes import ANSWERED

PROGRAMS = int(os.environ.get("WASILAB_NATIVE_PROGRAMS", "25"))
GOAL = min(1000, 2 * PROGRAMS)
"""Native answers of each call: 1,000 from 500 programs on."""


def _explore(environment: dict[str, str] | None, count: int, first: int) -> dict[str, Any]:
    if environment is None:
        pytest.skip("GCC is needed, with its sanitizers")
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.differential", str(count), str(first)],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_random_programs_do_the_same_natively_and_in_python(tmp_path: Path) -> None:
    found = _explore(instrumented(tmp_path), PROGRAMS, 0)
    few = {name: found["answered"].get(name, 0) for name in ANSWERED if found["answered"].get(name, 0) < GOAL}
    assert not few, f"answered natively too seldom (goal {GOAL}): {few}"
    untaken = [text for line, text in ways().items() if str(line) not in found["ways"] and not rare(text)]
    assert not untaken, f"never went back to Python from: {untaken}"


def test_a_few_under_sanitizers(tmp_path: Path) -> None:
    programs = max(PROGRAMS // 8, 1)
    found = _explore(sanitized(tmp_path), programs, 10_000)
    assert sum(found["answered"].values()) > 10 * programs
