"""A run of consecutive calls in memory or mapped from a file: what a `Store` is made of.

Not for: reading files (`container_reader.py`, `formats/`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TraceError
from ..record.container import Section
from ..record.layout import Life
from ..record.packing import unpack_lives
from ..record.reasons import Reason
from .records import by_column

Array = np.ndarray[Any, Any]
LAST_SEQ = 1 << 62
"""The highest number that a call of a file may have."""


@dataclass(slots=True)
class Part:
    """A run of calls, in memory or mapped from a file."""

    first: int
    n: int
    records: Array
    arena: bytes | bytearray | memoryview
    paths: Sequence[bytes]
    reasons: Sequence[Reason]
    lives: Sequence[Life] | memoryview = ()
    """Descriptors closed in this part; packed (`pack_lives`) when it comes from a file, until somebody asks."""

    seqs: Array | None = None
    """`seq` of each call where they are not consecutive from `first` (a filtered trace)."""
    unchecked: tuple[str, memoryview, int] | None = None
    """(file, body, checksum) of a mapped part that was not read yet."""

    def numbers(self, index: Array | None = None) -> Array:
        """`seq` of the calls at `index` in the part, or of all."""
        if self.seqs is not None:
            return self.seqs if index is None else np.asarray(self.seqs[index])
        return np.arange(self.first, self.first + self.n) if index is None else np.asarray(index + self.first)

    def rows(self, index: Array) -> Array:
        """The records at `index` (ascending), without a copy when that is all of them."""
        return self.records if len(index) == self.n else np.asarray(self.records[index])

    def checked(self) -> Part:
        """This part, its checksum compared the first time; raises TraceError when it does not match."""
        if self.unchecked is not None:
            name, body, crc = self.unchecked
            if zlib.crc32(body) != crc:
                raise TraceError(f"{name} is damaged: the calls from {self.first:,} on do not match their checksum")
            self.unchecked = None
        return self

    def section(self, *, compress: bool) -> Section:
        """This part as a `Writer` takes it that compresses or does not."""
        numbers = b"" if self.seqs is None else self.seqs.astype("<i8").tobytes()
        records = by_column(self.records) if compress else self.records.tobytes()
        return Section(self.first, self.n, records, self.arena, self.paths, self.reasons, self.lives, numbers)

    def closed(self) -> Sequence[Life]:
        """The descriptors closed in this part; TraceError if the file lies about them."""
        if isinstance(self.lives, memoryview):
            try:
                self.lives = unpack_lives(self.lives)
            except (ValueError, struct.error) as error:
                raise TraceError(f"the trace file's table of descriptors is damaged ({error})") from None
        return self.lives


def ascending(seqs: Array) -> Array:
    """The numbers of calls as they are; ValueError if they cannot be such."""
    if len(seqs) and (seqs[0] < 0 or seqs[-1] > LAST_SEQ or not (np.diff(seqs) > 0).all()):
        raise ValueError("the numbers of the calls do not ascend")
    return seqs
