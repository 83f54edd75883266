"""`WASILAB_TEST_WITHOUT` takes features of Linux away, so that the code for other systems is tested here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from wasilab.capabilities.host import features as f
print(f.LINUX, f.HAS_DIR_FD, bool(f.O_PATH), f.SYSCALL is not None, f.RENAME is not None)
"""


@pytest.mark.parametrize(
    ("without", "found"),
    [
        ("", "True True True True True"),
        ("linux", "False True False False False"),
        ("dir_fd", "False False False False False"),
    ],
)
def test_features_are_taken_away_for_a_test_run(without: str, found: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True,
        env={**os.environ, "WASILAB_TEST_WITHOUT": without},
    )  # fmt: skip
    assert done.stdout.strip() == found
