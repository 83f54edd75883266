"""The memory layout of recorded calls: the 64-byte record, and the chunk of records and their payloads.

For: the recorder and everything that reads its bytes. This file does not need NumPy, so that recording starts quickly
and works without NumPy; `columns/records.py` makes a NumPy dtype from `FIELDS`. Not for: the contents of a payload
(`payload.py`), writing (`recorder.py`), or the meaning of arguments (`columns/decode.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntFlag

from ...capabilities.refusal import Need
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
"""The same as a struct format."""
RECORD_BYTES = 64
CALL_AT, FLAGS_AT, WORDS_AT = 40, 44, 48
"""The offsets of `call`, `flags` and `args` in a record."""
CHUNK_RECORDS = 8192
CHUNK_BYTES = RECORD_BYTES * CHUNK_RECORDS
SIDE_BYTES = 4 << 20
"""A chunk is closed early when its arena or its paths reach this size, so that the budget can be kept."""
PATH_BYTES = 4096
"""Longer paths are cut to this length (POSIX PATH_MAX) and the call is flagged TRUNCATED."""
MAX_STACKS = 1 << 16
MAX_FRAMES = 256
STRUCT_COST = 240
"""Bytes per entry of the table of shared structs."""
PATH_COST = 120
"""Overhead in bytes of a path while its chunk is written."""
_PATH_IDS = 80
"""The part of it that is freed when the chunk is full: the entry in the number table."""
DID_NOT_RETURN = 255
"""The `errno` of a call that ended the guest."""
MAX_MOVES = 64
MAX_STRUCTS = 256
"""Maximum payloads of a chunk that later calls can share; sharing more would cost more than it saves."""

assert PACK.size == RECORD_BYTES


class Flag(IntFlag):
    """The record's `flags`."""

    INJECTED = 1
    """The result comes from a fault or an override."""
    TRUNCATED = 2
    """Data, path or iovecs of the call were not kept completely."""
    ASKED = 4
    """The user was asked before the call was allowed or refused."""
    UNSTABLE = 8
    """A call of `wasi_unstable` (snapshot 0)."""
    NOSYS = 16
    """The host does not provide this call."""
    OVERRIDE = 32
    """Answered by an override."""
    DETACHED = 64
    """Made outside `_start` (in an export called from Python)."""


@dataclass(slots=True)
class Life:
    """One opening of a descriptor, from open to close.

    `fd` is its number when opened. Numbers are reused, `life` is not. `generation` counts the openings of the same
    number (and the moves to it), from 1. `opened_seq` and `closed_seq` are the calls that opened and closed it; -1
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
    """The life of its parent; 0: none, or unknown."""

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
        """Its successive numbers."""
        return [self.fd, *(fd for _, fd, _ in self.moves)]


def settled(life: Life, calls: int) -> Life:
    """A closed life. One that the host closed after the last call, at the end of the run, counts as still open."""
    return replace(life, closed_seq=-1) if life.closed_seq >= calls else life


class Chunk:
    """Up to 8192 consecutive calls with everything that is needed to read them."""

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
        """The payloads of a full chunk, instead of `arena`, if that takes less memory."""
        self.paths: list[bytes] = []
        self.path_ids: dict[bytes, int] = {}
        self.reasons: list[Reason] = []
        self.reason_ids: dict[tuple[str, Need | None], int] = {}
        """The sentences as they came, each with what was needed -> their number in `reasons`, from 1."""
        self.structs: dict[bytes, int] = {}
        """Payloads of struct results -> their offset (1-based, in words), so that equal ones are stored once."""
        self.lives: list[Life] = []
        self.side = 0
        """Approximate bytes used by paths, reasons and lives."""

    def nbytes(self) -> int:
        """Approximate bytes of memory used by the chunk."""
        records = len(self.buf) if self.n else 0  # untouched zero pages take no memory
        return records + (len(self.arena) if self.compact is None else self.compact.nbytes) + self.side

    def trim(self) -> None:
        """Free the space of unused records, at most half a megabyte. Nothing is written to the chunk any more."""
        self.buf = self.buf[: self.n * RECORD_BYTES]

    @property
    def is_packed(self) -> bool:
        """Whether its records are packed: reading them takes time, and none can be added."""
        return False

    @property
    def full(self) -> bool:
        """Whether the next record goes into another chunk."""
        return self.n >= CHUNK_RECORDS

    def records(self) -> bytes | bytearray:
        """The complete records. Thread-safe."""
        return bytes(memoryview(self.buf)[: self.n * RECORD_BYTES])

    def closed_lives(self) -> list[Life]:
        """The descriptors that were closed by its calls. Thread-safe."""
        return list(self.lives)

    def set_flag(self, index: int, flag: Flag) -> None:
        """Set a flag of the record at `index`."""
        self.buf[index * RECORD_BYTES + FLAGS_AT] |= int(flag) & 0xFF

    def close(self) -> None:
        """Free data that only writing needs. No call can be added any more."""
        self.side -= STRUCT_COST * len(self.structs) + _PATH_IDS * len(self.paths)
        self.path_ids, self.reason_ids, self.structs = {}, {}, {}

    def pack(self) -> None:
        """Pack the payloads of a closed chunk, if that saves memory."""
        self.compact = compacted(self.arena, memoryview(self.buf)[: self.n * RECORD_BYTES])
        if self.compact is not None:
            self.arena = bytearray()

    def payloads(self) -> bytes | bytearray:
        """The payloads. Thread-safe, also while the chunk is being packed."""
        arena, compact = self.arena, self.compact  # in this order: `pack` sets the second before it empties the first
        return bytes(arena) if compact is None else bytes(compact)
