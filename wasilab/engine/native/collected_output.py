"""The buffer in which the library collects a guest's output, to be delivered in batches.

The guest's thread copies bytes in. The thread that serves the run takes them out every 30 ms, as does every reader of
the output (`CollectedOutput.flush`). When the buffer is full or locked, the write goes to Python, which empties it
first, so the order of the output is kept.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence

from ...capabilities.streams import CollectedOutput
from .binding import Library
from .layouts import OUTPUT, Content, RunState
from .trace_buffer import NativeBlock


class OutputBuffer:
    """The buffer of one run; `outputs[i]` is the library's stream `i`."""

    def __init__(self, library: Library, state: RunState, outputs: Sequence[CollectedOutput]) -> None:
        self._library = library
        self._content: Content = state.out
        self._outputs = outputs
        self._lock = threading.Lock()  # a batch is delivered before a later one is taken
        self._block = NativeBlock(OUTPUT)
        self._content.data, self._content.capacity = self._block.address, OUTPUT
        for output in outputs:
            output.collector = self.flush

    def flush(self) -> None:
        """Deliver its contents, after what another thread is delivering; from any thread."""
        if not self._content.size and not self._lock.locked():
            return
        with self._lock:
            for stream, data in _pieces(self._take()):
                self._outputs[stream].take(data)

    def _take(self) -> bytes:
        """Empty it."""
        content, at = self._content, ctypes.addressof(self._content)
        self._library.lock(at)
        try:
            return self._block.read(content.size)
        finally:
            content.size = 0
            self._library.unlock(at)

    def close(self) -> None:
        """Deliver the rest; from now on the outputs are written directly."""
        self.flush()
        for output in self._outputs:
            output.collector = None


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What `output` in turbo.c has put there: (stream, bytes), in order."""
    at = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "little")
        at += 4 + (head >> 1)
        yield head & 1, data[at - (head >> 1) : at]
