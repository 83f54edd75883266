r"""The container format of a trace: a sequence of blocks with checksums, appended during the run or written at the end.

For: the spool of a recorder and the `.wtrace` files of `formats/wtrace.py`, which have the same format. Not for:
reading (`columns/container_reader.py`), or the meaning of the numbers (`layout.py`, `columns/decode.py`).

    file   = b"\x89WTRACE\n" block*
    block  = kind 4s | codec u8, 000 | crc32 u32, 0000 | stored u64 | raw u64 | body (padded to 8 bytes)
    CHNK   = first seq u64 | n u32 | u32 x 5: bytes of arena, paths, reasons, lives, seqs | 0 | records | these
    PROG   = JSON: names and sizes of modules | their bytes (`packing.py`) (a recording has one, before TABL)
    COMP   = the typed host calls of a recorded component (before TABL): see `host_call_entries.py` of the engine
    TABL   = JSON: meta, notes, dropped, stacks, frames | lives still open      (one, after the last CHNK)
    TEND   = calls u64                                                          (the file is complete)

Codec 0 is raw (records are mapped, not read); codec 1 is zlib over the body, in which the records are arranged column
by column with `t_start` as differences. All numbers are little-endian. The CRC is of the stored body.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .layout import CHUNK_RECORDS, RECORD_BYTES, Chunk, Life
from .packing import pack_list, pack_lives, pack_modules
from .reasons import Reason, pack_reason
from .tables import Tables

Bytes = bytes | bytearray | memoryview

MAGIC = b"\x89WTRACE\n"
BLOCK = struct.Struct("<4sB3xI4xQQ")
"""The head of a block."""
CHUNK = struct.Struct("<QI5I")
"""The head of a CHNK block's body."""
RAW, ZLIB = 0, 1
"""The codecs."""
MAX_RECORDS = 1 << 16
"""Calls of one CHNK block, at most."""
assert CHUNK_RECORDS <= MAX_RECORDS


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive calls in the form in which they are written: the content of one CHNK block."""

    first: int
    n: int
    records: Bytes
    """In memory layout for codec 0; column by column for codec 1 (`columns/records.py`)."""
    arena: Bytes
    paths: Sequence[bytes]
    reasons: Sequence[Reason]
    lives: Sequence[Life] | memoryview
    """Descriptors closed among these calls, as objects or packed."""
    seqs: bytes = b""
    """The numbers of the calls (i64) if they are not consecutive from `first`."""

    @classmethod
    def of_chunk(cls, chunk: Chunk) -> Section:
        """A recorder's chunk, for codec 0."""
        records = chunk.records()
        n = len(records) // RECORD_BYTES
        return cls(chunk.first, n, records, chunk.payloads(), chunk.paths, chunk.reasons, chunk.closed_lives())


class Writer:
    """Writes a container; raises OSError.

    `compress`: with codec 1, for which the records of a section must be column by column.
    """

    def __init__(self, target: str | Path | IO[bytes], *, compress: bool = False) -> None:
        self._owned = isinstance(target, (str, Path))
        self._file: IO[bytes]
        if isinstance(target, (str, Path)):
            self._file = open(target, "wb", buffering=0)  # noqa: SIM115  closed by close()
        else:
            self._file = target
        self._codec = ZLIB if compress else RAW
        self.calls = 0
        self._file.write(MAGIC)

    def chunk(self, section: Section) -> None:
        """Append consecutive calls."""
        lists = pack_list(section.paths), pack_list([pack_reason(reason) for reason in section.reasons])
        lives = section.lives if isinstance(section.lives, memoryview) else pack_lives(section.lives)
        parts = [section.arena, *lists, lives, section.seqs]
        head = CHUNK.pack(section.first, section.n, *map(len, parts))
        head += bytes(-(len(head) + BLOCK.size) & 7)
        self._block(b"CHNK", [head, section.records, *parts], self._codec)
        self.calls += section.n

    def tables(self, tables: Tables) -> None:
        """Append the program and the host calls of a component, if there are any, and then the tables."""
        if tables.modules:
            self._block(b"PROG", pack_modules(tables.modules), self._codec)
        if tables.host_calls:
            self._block(b"COMP", list(tables.host_calls), self._codec)
        text = json.dumps(tables.document(), ensure_ascii=True, default=str).encode()
        self._block(b"TABL", [struct.pack("<Q", len(text)), text, pack_lives(tables.lives)], self._codec)

    def close(self) -> None:
        """Mark the file as complete and close it."""
        self._block(b"TEND", [struct.pack("<Q", self.calls)], RAW)
        if self._owned:
            self._file.close()

    def _block(self, kind: bytes, parts: list[Bytes], codec: int) -> None:
        raw = sum(len(part) for part in parts)
        if codec == ZLIB:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            parts = [packer.compress(part) for part in parts]
            parts.append(packer.flush())
        crc = 0
        for part in parts:
            crc = zlib.crc32(part, crc)
        stored = sum(len(part) for part in parts)
        data = b"".join([BLOCK.pack(kind, codec, crc, stored, raw), *parts, bytes(-stored & 7)])
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
