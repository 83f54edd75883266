"""What a guest wrote to stdout and stderr, kept for whoever asks after the run."""

from __future__ import annotations


class Output:
    """The bytes that a guest wrote to stdout and stderr, up to `limit` bytes of both together.

    `limit` may be changed while the guest writes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept = {1: bytearray(), 2: bytearray()}  # an object for each write would cost 40 times a byte
        self.cut = 0
        """Bytes beyond the limit: counted, not kept."""

    def keep(self, stream: int, data: bytes) -> bytes:
        """Keep what fits; returns it."""
        room = max(0, self.limit - len(self._kept[1]) - len(self._kept[2]))
        if len(data) > room:
            self.cut += len(data) - room
            data = data[:room]
        self._kept[stream] += data
        return data

    def bytes(self, stream: int) -> bytes:
        """Everything kept of stream 1 or 2."""
        return bytes(self._kept[stream])
