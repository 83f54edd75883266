"""Limits the memory for the calls of a file: a small file that unpacks to gigabytes is refused.

Not for: reading files (`container_reader.py`, `formats/`).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import TraceError

LEAST = 64 << 20
"""Bytes that are always allowed."""
RATIO = 100
"""How many times larger than its file a trace may be in memory. Traces of real runs are at most about 40 times larger.
"""


class SizeBound:
    """Counts the bytes of memory that a file's calls take. `max_bytes`: the bound, None for one by the file's size."""

    def __init__(self, path: Path, max_bytes: int | None) -> None:
        self._path = path
        self._size = path.stat().st_size
        self.limit = max(LEAST, RATIO * self._size) if max_bytes is None else max_bytes
        self._count = 0

    def add(self, count: int) -> None:
        """Count bytes; TraceError if the total exceeds the bound."""
        self._count += count
        self.check(self._count)

    def check(self, count: int) -> None:
        """TraceError if so many bytes would exceed the bound."""
        if count > self.limit:
            raise TraceError(
                f"{self._path} has {self._size:,} bytes and would take more than {self.limit:,} in memory, which no "
                "trace of a real run does. If you trust it, open it with Trace.load(path, max_bytes=...)"
            )
