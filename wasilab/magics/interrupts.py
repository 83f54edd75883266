"""What a second Interrupt may do: nothing, once the first has ended the cell.

A kernel that is interrupted while it sends a cell's last messages loses them, and the cell stays busy for ever. So the
moment after an Interrupt is deaf to further ones, until the kernel sets its own handler again, as it does after every
cell. While the guest is still being stopped a second Interrupt acts as before (`engine/worker.py`).
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

DEAF_SECONDS = 1.0
"""Longer than a cell's end takes, and short enough for code around a cell that means to go on."""


def settle_after_interrupt(seconds: float = DEAF_SECONDS) -> None:
    """Ignore interrupts for that long; on any thread but the main one, which alone gets them, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored or the system's own, which ends the process: not ours to change
        return
    hears = time.monotonic() + seconds

    def later(number: int, frame: FrameType | None) -> None:
        if time.monotonic() >= hears:
            signal.signal(signal.SIGINT, before)
            before(number, frame)

    signal.signal(signal.SIGINT, later)
