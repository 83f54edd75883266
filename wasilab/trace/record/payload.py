"""What a call carries beyond its record: the bytes of its payload. Not for: what the record holds (`layout.py`)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

HEADER = struct.Struct("<HHI")
"""The head of a payload: reason, bytes of aux, bytes of data."""

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def pack_payload(aux: bytes = b"", data: bytes = b"", words: Sequence[int] = (), reason: int = 0) -> bytes:
    """Build a payload blob: what a call carries beyond its record.

    `words`: the raw 32-bit core words after the fourth (all of them, so that their number is known from the spec).
    `aux`: iovec array, result struct, second path, ... (at most 65535 bytes are kept; the caller sets TRUNCATED when it
    gives less than there was). `data`: the bytes moved, already cut to the snap length. `reason`: from
    `Recorder.intern_reason`, 0 for none. Layout: `<HHI` reason, len(aux), len(data); words; aux; data; zeros up to a
    multiple of four bytes.
    """
    if len(aux) > 0xFFFF:
        aux = aux[:0xFFFF]
    if words:
        blob = HEADER.pack(reason, len(aux), len(data)) + struct.pack(f"<{len(words)}I", *words) + aux + data
    else:
        blob = HEADER.pack(reason, len(aux), len(data)) + aux + data
    return blob + _PADDING[len(blob) & 3]
