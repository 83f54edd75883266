"""Wait for a condition, never for a time: a loaded machine takes longer, and a test must not fail for that."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which a condition is taken never to come true: far longer than any takes on a busy machine."""


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return once `condition()` is true; fail when it has not become so."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"{condition} did not come true within {patience:.0f} s"
        time.sleep(0.005)
