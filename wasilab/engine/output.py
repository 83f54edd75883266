"""What a guest wrote to stdout and stderr, kept for whoever asks after the run."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from ..capabilities.streams import CollectedOutput

MOST_TURNS = 1 << 16
"""Changes between stdout and stderr that are remembered: 8 bytes each. Later output keeps the order of each stream."""


class Output:
    """The bytes that a guest wrote to stdout and stderr, up to `limit` bytes of both together.

    `limit` may be changed while the guest writes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept = {1: bytearray(), 2: bytearray()}  # an object for each write would cost 40 times a byte
        self._turns = array("Q")
        """Bytes of stdout, of stderr, of stdout, ... in turn."""
        self._cut = 0
        self.streams: list[CollectedOutput] = []
        """The streams whose bytes come here, which may hold some back (`CollectedOutput.flush`)."""

    @property
    def cut(self) -> int:
        """Bytes beyond the limit: counted, not kept."""
        self.flush()
        return self._cut

    def flush(self) -> None:
        """Bring in what the guest has written until now; from any thread."""
        for stream in self.streams:
            stream.flush()

    def keep(self, stream: int, data: bytes) -> bytes:
        """Keep what fits; returns it."""
        room = max(0, self.limit - len(self._kept[1]) - len(self._kept[2]))
        if len(data) > room:
            self._cut += len(data) - room
            data = data[:room]
        self._kept[stream] += data
        self._turn(stream, len(data))
        return data

    def lose(self, count: int) -> None:
        """Count bytes that were cut before they came here."""
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
        """(stream, bytes) of everything kept, in the order in which it was written."""
        self.flush()
        at = {1: 0, 2: 0}
        for index, count in enumerate(self._turns.tolist()):
            stream = 1 + index % 2
            if count:
                yield stream, bytes(memoryview(self._kept[stream])[at[stream] : at[stream] + count])
                at[stream] += count

    def bytes(self, stream: int) -> bytes:
        """Everything kept of stream 1 or 2."""
        self.flush()
        return bytes(self._kept[stream])
