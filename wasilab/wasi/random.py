"""Semantics of random_get: bytes of the granted random source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host

CHUNK = 1 << 20
"""Bytes filled between two looks at the interrupt (1 MiB)."""


def random_get(host: Host, buffer: memoryview) -> None:
    """Fill the buffer, of any size, stoppable between chunks."""
    size = len(buffer)
    if size <= CHUNK:
        host.random.fill(buffer)
        return
    for start in range(0, size, CHUNK):
        host.interrupt.check()
        host.random.fill(buffer[start : start + CHUNK])
