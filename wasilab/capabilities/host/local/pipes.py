"""A system pipe between two programs: the output of one is the input of the other.

A writer that is faster than the reader waits when the pipe is full (64 KiB on Linux): backpressure. How often and how
long each side waited is counted. Neither end blocks in a system call, so an interrupt ends a wait at once.
"""

from __future__ import annotations

import os
import time

from ...protocols import Buffers
from ...streams import OwnedDescriptor
from ...waiting import Interrupt, wait_any


class _PipeEnd(OwnedDescriptor):
    """The common parts of both ends."""

    noun = "a pipe"

    def __init__(self, fd: int, interrupt: Interrupt) -> None:
        os.set_blocking(fd, False)
        super().__init__(fd, interrupt)
        self.moved = 0
        """Bytes transferred by this end."""
        self.waits = 0
        """The number of waits for the other end."""
        self.waited_ns = 0
        """The total duration of these waits."""

    def _wait(self, *, writing: bool) -> None:
        fds = (self._open(),)
        start = time.perf_counter_ns()
        self.waits += 1
        try:
            wait_any(() if writing else fds, fds if writing else (), None, self._interrupt)
        finally:
            self.waited_ns += time.perf_counter_ns() - start


class PipeReader(_PipeEnd):
    """The read end; takes over the descriptor. 0 bytes: the write end is closed and everything was read."""

    def read(self, buffers: Buffers) -> int:
        filled = [buffer for buffer in buffers if len(buffer)]
        if not filled:
            return 0
        while True:
            try:
                count = os.readv(self._open(), filled)
            except BlockingIOError:
                if self._nonblock:
                    raise
                self._wait(writing=False)
                continue
            self.moved += count
            return count


class PipeWriter(_PipeEnd):
    """The write end; takes over the descriptor. EPIPE: the read end is closed. A write may be short."""

    def write(self, buffers: Buffers) -> int:
        filled = [buffer for buffer in buffers if len(buffer)]
        if not filled:
            return 0
        while True:
            try:
                count = os.writev(self._open(), filled)
            except BlockingIOError:
                if self._nonblock:
                    raise
                self._wait(writing=True)
                continue
            self.moved += count
            return count


def pipe(writing: Interrupt, reading: Interrupt) -> tuple[PipeReader, PipeWriter]:
    """Both ends of a new pipe, each with the interrupt of the run that will hold it."""
    read, write = os.pipe()
    return PipeReader(read, reading), PipeWriter(write, writing)
