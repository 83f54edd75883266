"""What the tests of capabilities share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False  # the descriptor that listed them
    return True


@pytest.fixture(scope="session")
def held() -> Callable[[], set[int]]:
    """The descriptors of this process now; assert `not held() - before`, for garbage may be closed at any time."""
    return lambda: {int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))}
