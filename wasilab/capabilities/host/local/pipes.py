"""A pipe of the system between two programs: the output of one is the input of the other.

A writer that is faster than the reader waits once the pipe is full (64 KiB on Linux): back-pressure. How often and how
long each side waited is counted. Neither end ever blocks in the system, so an interrupt ends a wait at once.
"""

from __future__ import annotations

import errno
import os
import time

from ...protocols import BaseFile, Buffers, FileFlags, FileType
from ...uncopyable import Uncopyable
from ...waiting import Interrupt, wait_any


class _PipeEnd(Uncopyable, BaseFile):
    """What both ends share."""

    filetype = FileType.CHARACTER_DEVICE

    def __init__(self, fd: int, interrupt: Interrupt) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._interrupt = interrupt
        self._nonblock = False
        self.moved = 0
        """Bytes that passed this end."""
        self.waits = 0
        """How often it waited for the other end."""
        self.waited_ns = 0
        """For how long, in all."""

    def _open(self) -> int:
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._fd

    def _wait(self, *, writing: bool) -> None:
        fds = (self._open(),)
        start = time.perf_counter_ns()
        self.waits += 1
        try:
            wait_any(() if writing else fds, fds if writing else (), None, self._interrupt)
        finally:
            self.waited_ns += time.perf_counter_ns() - start

    def fileno(self) -> int | None:
        return self._fd if self._fd >= 0 else None

    def flags(self) -> FileFlags:
        return FileFlags(nonblock=self._nonblock)

    def set_flags(self, flags: FileFlags) -> None:
        if flags != FileFlags(nonblock=flags.nonblock):
            raise OSError(errno.EINVAL, "a pipe has no flag but nonblock")
        self._nonblock = flags.nonblock

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()


class PipeReader(_PipeEnd):
    """The end that is read; takes over the descriptor. 0 bytes: the writer has gone and all is read."""

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
    """The end that is written; takes over the descriptor. EPIPE: the reader has gone. A write may be short."""

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
