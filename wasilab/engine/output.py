"""Keeps a guest's stdout and stderr for reading after the run."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from ..capabilities.streams import CollectedOutput

MOST_TURNS = 1 << 16
"""Recorded switches between stdout and stderr, 8 bytes each. Beyond this, only the order within each stream is kept."""


class Output:
    """The bytes that a guest wrote to stdout and stderr, up to `limit` bytes in total.

    `limit` may change while the guest writes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept = {1: bytearray(), 2: bytearray()}  # an object per write would cost 40 bytes for each byte
        self._turns = array("Q")
        """Alternating byte counts of stdout, stderr, stdout, ..."""
        self._cut = 0
        self.streams: list[CollectedOutput] = []
        """The streams that write here; they may buffer bytes (`CollectedOutput.flush`)."""

    @property
    def cut(self) -> int:
        """Number of bytes beyond the limit, which are not kept."""
        self.flush()
        return self._cut

    def flush(self) -> None:
        """Collect everything written so far; from any thread."""
        for stream in self.streams:
            stream.flush()

    def keep(self, stream: int, data: bytes) -> bytes:
        """Keep the bytes that fit, and return them."""
        kept = self._kept
        room = self.limit - len(kept[1]) - len(kept[2])
        if len(data) > room:
            room = max(0, room)
            self._cut += len(data) - room
            data = data[:room]
        kept[stream] += data
        self._turn(stream, len(data))
        return data

    def lose(self, count: int) -> None:
        """Count bytes that were dropped earlier."""
        self._cut += count

    def _turn(self, stream: int, count: int) -> None:
        turns = self._turns
        if not count:
            return
        if not turns:
            turns.extend([0] * stream)
        elif len(turns) % 2 != stream % 2:
            if len(turns) < MOST_TURNS:
                turns.append(0)
            else:
                turns[-2] += count
                return
        turns[-1] += count

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """(stream, bytes) of everything kept, in the order written."""
        self.flush()
        at = {1: 0, 2: 0}
        for index, count in enumerate(self._turns.tolist()):
            stream = 1 + index % 2
            if count:
                yield stream, bytes(memoryview(self._kept[stream])[at[stream] : at[stream] + count])
                at[stream] += count

    def bytes(self, stream: int) -> bytes:
        """All kept bytes of stream 1 or 2."""
        self.flush()
        return bytes(self._kept[stream])
