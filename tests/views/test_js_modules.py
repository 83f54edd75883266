"""The tests that the widget's JavaScript has in its own language: `node --test tests/js/`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

TESTS = Path(__file__).parents[1] / "js"


def test_the_modules_pass_their_own_tests() -> None:
    node = shutil.which("node")
    assert node is not None, "node is needed to test the widget: apt install nodejs"
    files = sorted(map(str, TESTS.glob("*.test.mjs")))
    assert files
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
