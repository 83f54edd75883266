"""Random programs, natively and in Python: the short form of `python -m tests.native.differential 400`.

They must differ in nothing that can be seen; and together they must have every call answered natively, often, and take
every way back to Python. The library runs under ASan and UBSan meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .coverage import rare, ways
from .sanitized import prepared
from .shapes import ANSWERED

PROGRAMS = int(os.environ.get("WASILAB_NATIVE_PROGRAMS", "25"))
GOAL = min(1000, 2 * PROGRAMS)
"""Native answers of each call: 1,000 from 500 programs on."""


def test_random_programs_do_the_same_natively_and_in_python(tmp_path: Path) -> None:
    environment = prepared(tmp_path)
    if environment is None:
        pytest.skip("GCC is needed, with its sanitizers")
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.differential", str(PROGRAMS)],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    few = {name: found["answered"].get(name, 0) for name in ANSWERED if found["answered"].get(name, 0) < GOAL}
    assert not few, f"answered natively too seldom (goal {GOAL}): {few}"
    untaken = [text for line, text in ways().items() if str(line) not in found["ways"] and not rare(text)]
    assert not untaken, f"never went back to Python from: {untaken}"
