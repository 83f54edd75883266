"""A ring buffer in which the library collects a guest's output, to be delivered in batches.

The guest's thread copies bytes in. The thread that serves the run takes them out every 30 ms, as does every reader of
the output (`CollectedOutput.flush`). When the ring is full, the write goes to Python, which empties it first, so the
order of the output is kept.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

from ...capabilities.streams import CollectedOutput
from .binding import Library, RunState
from .trace_buffer import NativeBlock

RING_BYTES = 256 << 10
"""A power of two. A program that prints continuously fills it in about a millisecond."""


class OutputRing:
    """The ring of one run; `outputs[i]` is the library's stream `i`."""

    def __init__(self, library: Library, state: RunState, outputs: Sequence[CollectedOutput]) -> None:
        self._library = library
        self._state = state
        self._at = ctypes.addressof(state)
        self._outputs = outputs
        self._lock = threading.Lock()
        self._ring, self._scratch = NativeBlock(RING_BYTES), NativeBlock(RING_BYTES)
        self._stream = ctypes.c_uint32()
        state.out, state.out_size = self._ring.address, RING_BYTES
        for output in outputs:
            output.collector = self.flush

    def flush(self) -> None:
        """Deliver its contents; from any thread."""
        if self._state.out_head == self._state.out_tail:
            return
        with self._lock:
            while True:
                size = self._library.collect(self._at, self._scratch.address, RING_BYTES, ctypes.byref(self._stream))
                if not size:
                    return
                self._outputs[self._stream.value].take(self._scratch.read(size))

    def close(self) -> None:
        """Deliver the rest; from now on the outputs are written directly."""
        self.flush()
        for output in self._outputs:
            output.collector = None
