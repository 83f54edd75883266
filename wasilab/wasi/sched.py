"""Semantics of sched_yield."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host


def sched_yield(host: Host) -> None:
    """Let other threads of this process run."""
    host.interrupt.check()
    time.sleep(0)
