"""Ignore further interrupts for a second after the first has ended a cell.

A kernel that is interrupted while it sends a cell's last messages loses them, and the cell stays busy forever. So the
second Interrupt is ignored until the kernel sets its own handler again, as it does after every cell. While the guest is
still being stopped, a second Interrupt acts as usual (`engine/worker.py`).
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

IGNORE_SECONDS = 1.0
"""Longer than the end of a cell takes, but short enough not to disturb code that runs on after it."""


def ignore_interrupts(seconds: float = IGNORE_SECONDS) -> None:
    """Ignore interrupts for that long. Only the main thread receives them; elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, or the system's own, which ends the process: leave it
        return
    resume_at = time.monotonic() + seconds

    def ignore_until_then(number: int, frame: FrameType | None) -> None:
        if time.monotonic() >= resume_at:
            signal.signal(signal.SIGINT, before)
            before(number, frame)

    signal.signal(signal.SIGINT, ignore_until_then)
