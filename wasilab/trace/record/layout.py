"""How a recorded call lies in memory: the 64-byte record, its payload, and the chunk that holds both.

For: the recorder and everything that reads its bytes. One dtype, so that a compiled callback could fill the same buffer
one day. Not for: writing (`record.py`), or the meaning of arguments (`decode.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np

from .compact import CompactArena, compacted
from .reasons import Reason

RECORD = np.dtype(
    [
        ("t_start", "<u8"),  # ns since the run's start
        ("dur", "<u8"),  # ns from entry to return
        ("result", "<u8"),  # first scalar result: bytes moved, descriptor opened, time, ...
        ("handle", "<u4"),  # life of the first fd argument (see `Life`); 0: none, or not an open fd
        ("path", "<u4"),  # 1-based index into the chunk's paths: the first path argument; 0: none
        ("stack", "<u4"),  # 1-based index into the recorder's stacks; 0: not taken
        ("payload", "<u4"),  # offset / 4 + 1 into the chunk's arena; 0: none
        ("call", "u1"),  # `Call.number` of the spec
        ("errno", "u1"),  # WASI errno; DID_NOT_RETURN for a call that ended the guest
        ("denied_by", "u1"),  # capabilities.refusal.DeniedBy
        ("instance", "u1"),  # which instance of the run made the call (0: the program)
        ("flags", "<u2"),  # Flag
        ("tid", "<u2"),  # guest thread, 1 for the first
        ("args", "<u4", (4,)),  # the first four 32-bit core words; an i64 is two, low word first
    ]
)
"""The layout of one call: 64 bytes, little endian, no padding."""

PACK = struct.Struct("<QQQIIIIBBBBHHIIII")
"""RECORD for the struct module."""
HEADER = struct.Struct("<HHI")
"""The head of a payload: reason, bytes of aux, bytes of data."""
RECORD_BYTES = 64
CHUNK_RECORDS = 8192
CHUNK_BYTES = RECORD_BYTES * CHUNK_RECORDS
SIDE_BYTES = 4 << 20
"""A chunk is closed early once its arena or its paths reach this size, so that a budget has a grain."""
PATH_BYTES = 4096
"""Longer paths are cut to this (POSIX PATH_MAX) and the call is flagged TRUNCATED."""
MAX_STACKS = 1 << 16
MAX_FRAMES = 256
STRUCT_COST = 240
"""Bytes that the table of shared structs takes for each."""
PATH_COST = 120
"""Bytes that a path costs beside its own while its chunk is written."""
_PATH_IDS = 80
"""Of these, what the table of numbers costs, which goes when the chunk is full."""
DID_NOT_RETURN = 255
MAX_MOVES = 64
MAX_STRUCTS = 256
"""Payloads of a chunk that later calls may share; more would cost more than they save."""

assert RECORD.itemsize == PACK.size == RECORD_BYTES


class Flag(IntFlag):
    """The record's `flags`."""

    INJECTED = 1
    """The result was made up by an injection rule or an override."""
    TRUNCATED = 2
    """Some bytes of the call (data, path, iovecs) were longer than what was kept."""
    ASKED = 4
    """A person was asked before the call was allowed or refused."""
    UNSTABLE = 8
    """A call of `wasi_unstable` (snapshot 0)."""
    NOSYS = 16
    """The host does not provide this call."""
    OVERRIDE = 32
    """Answered by a function of the grants' `overrides`."""
    DETACHED = 64
    """Made outside `_start` (an export called by Python)."""


@dataclass(slots=True)
class Life:
    """One opening of a descriptor, from open to close.

    `fd` is the number that it was opened as: numbers are reused; `life` is not. `generation` counts the openings of
    the same number (and the moves to it), from 1.
    `opened_seq` and `closed_seq` are the calls that did it: -1 stands for "before the first call" or "still open".
    """

    life: int
    fd: int
    generation: int
    path: bytes
    kind: int
    opened_seq: int
    closed_seq: int = -1
    preopen: bytes | None = None
    moves: tuple[tuple[int, int, int], ...] = ()
    """(seq, number, generation) for each time that fd_renumber gave it another number, the newest MAX_MOVES of them."""

    def number_at(self, seq: int) -> tuple[int, int]:
        """(number, generation) before call `seq`."""
        found = self.fd, self.generation
        for when, fd, generation in self.moves:
            if when >= seq:
                break
            found = fd, generation
        return found

    @property
    def numbers(self) -> list[int]:
        """The numbers that it had, one after the other."""
        return [self.fd, *(fd for _, fd, _ in self.moves)]


class Chunk:
    """Up to 8192 consecutive calls with all that is needed to read them."""

    __slots__ = (
        "arena", "buf", "compact", "first", "lives", "n", "path_ids", "paths", "reason_ids", "reasons", "side",
        "structs",
    )  # fmt: skip

    def __init__(self, first: int) -> None:
        self.first = first
        """`seq` of the first call."""
        self.buf = bytearray(CHUNK_BYTES)
        self.n = 0
        """Records complete in `buf`."""
        self.arena = bytearray()
        self.compact: CompactArena | None = None
        """The payloads of a full chunk, instead of `arena`, where that takes less memory."""
        self.paths: list[bytes] = []
        self.path_ids: dict[bytes, int] = {}
        self.reasons: list[Reason] = []
        self.reason_ids: dict[Reason, int] = {}
        self.structs: dict[bytes, int] = {}
        """Payloads of struct results and where they lie (1-based, in words), so that equal ones are kept once."""
        self.lives: list[Life] = []
        self.side = 0
        """Bytes held by paths, reasons and lives, roughly."""

    def nbytes(self) -> int:
        """Bytes of memory that the chunk holds, roughly."""
        return CHUNK_BYTES + (len(self.arena) if self.compact is None else self.compact.nbytes) + self.side

    def close(self) -> None:
        """Give back what only writing needs: no call is added any more."""
        self.side -= STRUCT_COST * len(self.structs) + _PATH_IDS * len(self.paths)
        self.path_ids, self.reason_ids, self.structs = {}, {}, {}
        self.compact = compacted(self.arena, self.records())
        if self.compact is not None:
            self.arena = bytearray()

    def payloads(self) -> bytes:
        """The payloads; any thread may ask, also while the chunk is closed."""
        arena, compact = self.arena, self.compact  # in this order: `close` sets the second before it empties the first
        return bytes(arena) if compact is None else bytes(compact)

    def records(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """The complete records as a structured array (a copy, safe while the chunk grows)."""
        return np.frombuffer(bytes(memoryview(self.buf)[: self.n * RECORD_BYTES]), RECORD)


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
