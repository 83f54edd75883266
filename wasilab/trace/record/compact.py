"""Packs the payloads of a full chunk: of structs, only the bytes that differ between calls are stored.

A program that stats a thousand files gets a thousand 64-byte structs in which device, type, link count and the high
bytes of all numbers are the same. So when a chunk is full, the payloads of its struct results are arranged as a table,
and a constant column of bytes is stored once. This is lossless: `bytes(arena)` restores the payloads. Packing is done
for thousands of calls at once, outside the calls. It imports NumPy, so a short run records without it. Not for: files
(`container.py`), which are compressed.
"""

from __future__ import annotations

from typing import Any

from ...wasi.preview1 import spec

WORTH = 64
"""The minimum number of structs of one size that is packed."""
_PAYLOAD_WORD = 9
"""The index of the 32-bit word of a record that is `payload`."""
_CALL_AT = 40
"""The offset of `call` in a record."""
_STRUCTS = bytes(call.number for call in spec.BY_NUMBER if any(result.type.record for result in call.results))


class CompactArena:
    """An arena in which payloads of one size are kept as the columns of bytes that differ."""

    __slots__ = ("_columns", "_first", "_rest", "_starts", "_steps", "_varies")

    def __init__(self, rest: bytes, first: bytes, varies: Any, columns: bytes, starts: Any) -> None:
        import numpy as np

        self._rest = rest
        """All bytes outside the packed payloads."""
        self._first = first
        """The first packed payload."""
        self._varies = np.flatnonzero(varies).astype("<u2")
        self._columns = columns
        """The bytes of the columns that differ, payload by payload."""
        steps = np.diff(starts)
        kind = np.min_scalar_type(int(steps.max(initial=0)))
        self._starts, self._steps = int(starts[0]), steps.astype(kind)
        """The offset of the first packed payload and the distances to the next ones, in 32-bit words."""

    @property
    def nbytes(self) -> int:
        """The memory that it uses, in bytes."""
        tables: int = self._steps.nbytes + self._varies.nbytes
        return len(self._rest) + len(self._first) + len(self._columns) + tables

    def __bytes__(self) -> bytes:
        import numpy as np

        starts = np.cumsum(np.concatenate(([self._starts], self._steps)), dtype="<i8")
        size = len(self._first)
        payloads = np.empty((len(starts), size), "u1")
        payloads[:] = np.frombuffer(self._first, "u1")
        payloads[:, self._varies] = np.frombuffer(self._columns, "u1").reshape(len(starts), -1)
        words = np.empty((len(self._rest) >> 2) + (payloads.size >> 2), "<u4")
        places = starts[:, None] + np.arange(size >> 2)
        others = np.ones(len(words), bool)
        others[places] = False
        words[places] = payloads.view("<u4")
        words[others] = np.frombuffer(self._rest, "<u4")
        return words.tobytes()


def compacted(arena: bytearray, records: memoryview) -> CompactArena | None:
    """The packed arena of a full chunk with these records; None if packing would save little."""
    calls = records[_CALL_AT::64].tobytes()
    if len(calls) - len(calls.translate(None, _STRUCTS)) < WORTH:
        return None
    import numpy as np

    numbers = np.frombuffer(records, "<u4").reshape(-1, 16)
    payload = numbers[:, _PAYLOAD_WORD]
    kinds = numbers[:, _PAYLOAD_WORD + 1]  # call, errno, denied_by and instance, a byte each
    structs = np.zeros(256, bool)
    structs[list(_STRUCTS)] = True
    chosen = structs[kinds & 0xFF] & (kinds & 0xFF00 == 0) & (payload > 0)
    if np.count_nonzero(chosen) < WORTH or len(arena) & 3:
        return None
    words = np.frombuffer(bytes(arena), "<u4")
    every = np.unique(np.append(payload[payload > 0] - 1, len(words)))
    starts = np.unique(payload[chosen]) - 1  # equal structs share a payload
    sizes = every[np.searchsorted(every, starts) + 1] - starts
    size = int(np.bincount(sizes).argmax())
    starts = starts[sizes == size].astype("<i8")
    if len(starts) < WORTH or int(starts[-1]) + size > len(words):
        return None
    places = starts[:, None] + np.arange(size)
    payloads = words[places]
    varies = np.bitwise_or.reduce(payloads ^ payloads[0], axis=0).view("u1") != 0
    if 4 * np.count_nonzero(varies) > 3 * len(varies):
        return None
    others = np.ones(len(words), bool)
    others[places] = False
    rest = words[others].tobytes()
    columns = payloads.view("u1").take(np.flatnonzero(varies), axis=1)
    return CompactArena(rest, payloads[0].tobytes(), varies, columns.tobytes(), starts)
