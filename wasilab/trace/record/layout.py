"""The layout of a recorded call in memory: the 64-byte record, and the chunk that holds records and their payloads.

For: the recorder and everything that reads its bytes. Nothing here needs NumPy, so that recording starts quickly and
works where NumPy does not exist; `columns/records.py` makes a NumPy dtype of `FIELDS`. Not for: what a payload holds
(`payload.py`), writing (`recorder.py`), or the meaning of arguments (`columns/decode.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntFlag

from .compact import CompactArena, compacted
from .reasons import Reason

FIELDS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("t_start", "<u8", ()),  # ns since the run's start
    ("dur", "<u8", ()),  # ns from entry to return
    ("result", "<u8", ()),  # first scalar result: bytes moved, descriptor opened, time, ...
    ("handle", "<u4", ()),  # life of the first fd argument (see `Life`); 0: none, or not an open fd
    ("path", "<u4", ()),  # 1-based index into the chunk's paths: the first path argument; 0: none
    ("stack", "<u4", ()),  # 1-based index into the recorder's stacks; 0: not taken
    ("payload", "<u4", ()),  # offset / 4 + 1 into the chunk's arena; 0: none
    ("call", "u1", ()),  # `Call.number` of the spec
    ("errno", "u1", ()),  # WASI errno; DID_NOT_RETURN for a call that ended the guest
    ("denied_by", "u1", ()),  # capabilities.refusal.DeniedBy
    ("instance", "u1", ()),  # which instance of the run made the call (0: the program)
    ("flags", "<u2", ()),  # Flag
    ("tid", "<u2", ()),  # guest thread, 1 for the first
    ("args", "<u4", (4,)),  # the first four 32-bit core words; an i64 is two, low word first
)
"""The layout of one call, as (name, NumPy type, shape): 64 bytes, little endian, no padding."""

PACK = struct.Struct("<QQQIIIIBBBBHHIIII")
"""The same for the struct module."""
RECORD_BYTES = 64
FLAGS_AT = 44
"""The offset of `flags` in a record."""
CHUNK_RECORDS = 8192
CHUNK_BYTES = RECORD_BYTES * CHUNK_RECORDS
SIDE_BYTES = 4 << 20
"""A chunk is closed early once its arena or its paths reach this size, so that a budget can be kept."""
PATH_BYTES = 4096
"""Longer paths are cut to this (POSIX PATH_MAX) and the call is flagged TRUNCATED."""
MAX_STACKS = 1 << 16
MAX_FRAMES = 256
STRUCT_COST = 240
"""Bytes that the table of shared structs takes for each."""
PATH_COST = 120
"""Bytes of overhead of a path while its chunk is written."""
_PATH_IDS = 80
"""The part of it that is freed when the chunk is full: the entry in the table of numbers."""
DID_NOT_RETURN = 255
"""The `errno` of a call that ended the guest."""
MAX_MOVES = 64
MAX_STRUCTS = 256
"""Payloads of a chunk that later calls can share; sharing more would cost more than it saves."""

assert PACK.size == RECORD_BYTES


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

    `fd` is the number that it was opened as. Numbers are reused, `life` is not. `generation` counts the openings of the
    same number (and the moves to it), from 1. `opened_seq` and `closed_seq` are the calls that opened and closed it; -1
    means "before the first call" or "still open".
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
    type: str = ""
    """The resource type of a component's handle: "descriptor", "input-stream"; "" for a descriptor of preview1."""
    parent: int = 0
    """The life of what it was made from; 0: nothing that is known."""

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


def settled(life: Life, calls: int) -> Life:
    """A closed life; one that the host closed after the last call, when the run ended, counts as still open."""
    return replace(life, closed_seq=-1) if life.closed_seq >= calls else life


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
        records = len(self.buf) if self.n else 0  # untouched zeros take no memory
        return records + (len(self.arena) if self.compact is None else self.compact.nbytes) + self.side

    def trim(self) -> None:
        """Give back the room of records that were not made, half a megabyte at most: nothing is written any more."""
        self.buf = self.buf[: self.n * RECORD_BYTES]

    @property
    def is_packed(self) -> bool:
        """Whether its records are packed: to read them takes a moment, and none is added any more."""
        return False

    @property
    def full(self) -> bool:
        """Whether the next record belongs into another chunk."""
        return self.n >= CHUNK_RECORDS

    def records(self) -> bytes | bytearray:
        """The complete records; any thread may ask."""
        return bytes(memoryview(self.buf)[: self.n * RECORD_BYTES])

    def closed_lives(self) -> list[Life]:
        """The descriptors that were closed by its calls; any thread may ask."""
        return list(self.lives)

    def set_flag(self, index: int, flag: Flag) -> None:
        """Set a flag of the record at `index`."""
        self.buf[index * RECORD_BYTES + FLAGS_AT] |= int(flag) & 0xFF

    def close(self) -> None:
        """Free what only writing needs: no call is added any more."""
        self.side -= STRUCT_COST * len(self.structs) + _PATH_IDS * len(self.paths)
        self.path_ids, self.reason_ids, self.structs = {}, {}, {}

    def pack(self) -> None:
        """Pack the payloads of a closed chunk, where that saves memory."""
        self.compact = compacted(self.arena, memoryview(self.buf)[: self.n * RECORD_BYTES])
        if self.compact is not None:
            self.arena = bytearray()

    def payloads(self) -> bytes | bytearray:
        """The payloads; any thread may ask, also while the chunk is packed."""
        arena, compact = self.arena, self.compact  # in this order: `pack` sets the second before it empties the first
        return bytes(arena) if compact is None else bytes(compact)
