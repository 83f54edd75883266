"""A process that waits for the next isolated run, so that a test does not wait for one to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wasilab.engine.isolate import confined_process
from wasilab.runs.isolated import outside


@pytest.fixture(scope="module")
def waiting() -> Iterator[None]:
    """Keep one ready during the tests of a module."""
    outside.prepare(keep=True)
    yield
    confined_process.PREPARED.keep = False
    confined_process.PREPARED.clear()
