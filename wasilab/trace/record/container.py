r"""The bytes of a trace on disk: a sequence of checked blocks, appended while the guest runs or written at the end.

For: the spool of a recorder and the `.wtrace` files of `formats/wtrace.py`, which are one format. NumPy and the
standard library only; nothing in a file is executed (no pickle), and no length in it is believed before it is checked.
Not for: what the numbers mean (`record.py`, `decode.py`).

    file   = b"\x89WTRACE\n" block*
    block  = kind 4s | codec u8, 000 | crc32 u32, 0000 | stored u64 | raw u64 | body (padded to 8 bytes)
    CHNK   = first seq u64 | n u32 | u32 x 5: bytes of arena, paths, reasons, lives, seqs | 0 | records | these
    TABL   = JSON: meta, notes, dropped, stacks, frames | lives still open      (one, after the last CHNK)
    TEND   = calls u64                                                          (the file is complete)

Codec 0 is raw (records are mapped, not read); codec 1 is zlib over the body, in which the records were laid out column
by column with `t_start` as differences. All numbers are little endian. The CRC is of the body as stored.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .layout import CHUNK_RECORDS, RECORD, RECORD_BYTES, Life
from .packing import pack_list, pack_lives, unpack_list, unpack_lives
from .reasons import Reason, pack_reason, unpack_reason
from .tables import Tables

if TYPE_CHECKING:
    from .layout import Chunk

Array = np.ndarray[Any, Any]

MAGIC = b"\x89WTRACE\n"
SUFFIX = ".wtrace"
_BLOCK = struct.Struct("<4sB3xI4xQQ")
_CHUNK = struct.Struct("<QI5I")
_RAW, _ZLIB = 0, 1
_EAGER_BYTES = 64 << 20
"""Raw blocks of files up to this size are checked when opened; of larger ones when first read."""
MAX_RECORDS = 1 << 16
_MAX_BODY = 1 << 31
_LAST_SEQ = 1 << 62
MAX_INFLATED = 8 << 30
"""A file whose compressed blocks claim to hold more bytes than this is refused."""

class TraceError(ValueError):
    """A trace file that cannot be read or written; the message names the file, what is wrong and what to do."""


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

    def closed(self) -> Sequence[Life]:
        """The descriptors closed in this part; TraceError if the file lies about them."""
        if isinstance(self.lives, memoryview):
            try:
                self.lives = unpack_lives(self.lives)
            except (ValueError, struct.error) as error:
                raise TraceError(f"the trace file's table of descriptors is damaged ({error})") from None
        return self.lives


# -- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Writes a container; raises OSError as the file system does."""

    def __init__(self, target: str | Path | IO[bytes], *, compress: bool = False) -> None:
        self._owned = isinstance(target, (str, Path))
        self._file: IO[bytes]
        if isinstance(target, (str, Path)):
            self._file = open(target, "wb", buffering=0)  # noqa: SIM115  closed by close()
        else:
            self._file = target
        self._codec = _ZLIB if compress else _RAW
        self.calls = 0
        self._file.write(MAGIC)

    def chunk(self, chunk: Chunk | Part) -> None:
        """Append a run of calls."""
        n = chunk.n
        records = memoryview(chunk.buf)[: n * RECORD_BYTES] if hasattr(chunk, "buf") else chunk.records.tobytes()
        lists = pack_list(chunk.paths), pack_list([pack_reason(reason) for reason in chunk.reasons])
        lives = chunk.lives if isinstance(chunk.lives, memoryview) else pack_lives(chunk.lives)
        seqs = getattr(chunk, "seqs", None)
        numbers = b"" if seqs is None else seqs.astype("<i8").tobytes()
        arena = chunk.payloads() if hasattr(chunk, "payloads") else chunk.arena
        sizes = [len(section) for section in (arena, *lists, lives, numbers)]
        head = _CHUNK.pack(chunk.first, n, *sizes)
        head += bytes(-(len(head) + _BLOCK.size) & 7)
        if self._codec == _ZLIB:
            records = memoryview(_shuffle(np.frombuffer(records, RECORD)))
        self._block(b"CHNK", [head, records, arena, *lists, lives, numbers], self._codec)
        self.calls += n

    def tables(self, tables: Tables) -> None:
        """Append what is held once."""
        text = json.dumps(tables.document(), ensure_ascii=True, default=str).encode()
        self._block(b"TABL", [struct.pack("<Q", len(text)), text, pack_lives(tables.lives)], self._codec)

    def close(self) -> None:
        """Mark the file as complete and close it."""
        self._block(b"TEND", [struct.pack("<Q", self.calls)], _RAW)
        if self._owned:
            self._file.close()

    def _block(self, kind: bytes, parts: list[Any], codec: int) -> None:
        raw = sum(len(part) for part in parts)
        if codec == _ZLIB:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            parts = [packer.compress(part) for part in parts]
            parts.append(packer.flush())
        crc = 0
        for part in parts:
            crc = zlib.crc32(part, crc)
        stored = sum(len(part) for part in parts)
        parts = [_BLOCK.pack(kind, codec, crc, stored, raw), *parts, bytes(-stored & 7)]
        data = b"".join(parts)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def _shuffle(records: Array) -> bytes:
    columns = []
    for name in RECORD.names or ():
        column = records[name]
        if name == "t_start":
            column = np.diff(column, prepend=column.dtype.type(0))
        raw = np.ascontiguousarray(column).view("u1")
        columns.append(raw.reshape(len(records), RECORD[name].itemsize).T.tobytes())
    return b"".join(columns)


def _unshuffle(data: memoryview, n: int) -> Array:
    records = np.empty(n, RECORD)
    at = 0
    for name in RECORD.names or ():
        kind = RECORD[name]
        raw = np.frombuffer(data, "u1", n * kind.itemsize, at).reshape(kind.itemsize, n).T
        column = np.ascontiguousarray(raw).view(kind.base)
        if name == "t_start":
            column = np.cumsum(column, axis=0, dtype="<u8")
        records[name] = column.reshape(records[name].shape)
        at += n * kind.itemsize
    return records


# -- reading ---------------------------------------------------------------------------------------------------------


def read(path: str | Path, *, partial: bool = False) -> tuple[list[Part], Tables]:
    """Open a container: its parts, mapped where they are raw, and its tables.

    Raises TraceError for a foreign, damaged or unfinished file. `partial=True` opens the complete blocks of a file that
    was cut short (a killed process, a full disk) and says so in `meta["partial"]`.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
                raise TraceError(f"{path} is not a wasilab trace (.wtrace): it does not begin with the trace's mark")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    return _read(path, data, partial)


def _read(path: Path, data: memoryview, partial: bool) -> tuple[list[Part], Tables]:
    parts: list[Part] = []
    tables: Tables | None = None
    inflated = 0
    complete = False
    try:
        eager = len(data) <= _EAGER_BYTES
        for kind, codec, body, raw, crc in _blocks(data, eager):
            if codec == _ZLIB:
                inflated += raw
                if inflated > MAX_INFLATED:
                    raise ValueError("it claims to hold more than 8 GiB of calls")
                body = _inflate(body, raw)
            if kind == b"CHNK":
                parts.append(_part(body, codec))
                if codec == _RAW and not eager:
                    parts[-1].unchecked = (str(path), body, crc)
            elif kind == b"TABL":
                tables = _tables(body)
            elif kind == b"TEND":
                complete = struct.unpack("<Q", body)[0] == sum(part.n for part in parts)
    except (ValueError, struct.error, zlib.error, KeyError, TypeError, RecursionError) as error:
        if not partial:
            raise TraceError(_broken(path, parts, str(error))) from None
    if (not complete or tables is None) and not partial:
        raise TraceError(_broken(path, parts, "it ends too early"))
    if tables is None:
        tables = Tables()
    if not complete:
        tables.meta["partial"] = "the file was cut short; only its complete blocks are here"
    return parts, tables


def _broken(path: Path, parts: list[Part], why: str) -> str:
    calls = sum(part.n for part in parts)
    text = f"{path} is a damaged or unfinished trace ({why})"
    if calls:
        text += f"; its first {calls:,} calls are whole: Trace.load({path.name!r}, partial=True) opens them"
    return text


def _blocks(data: memoryview, check: bool) -> Iterator[tuple[bytes, int, memoryview, int, int]]:
    at = len(MAGIC)
    while at < len(data):
        if at + _BLOCK.size > len(data):
            raise ValueError("it ends in the middle of a block")
        kind, codec, crc, stored, raw = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if stored > len(data) - at:
            raise ValueError("it ends in the middle of a block")
        if kind not in (b"CHNK", b"TABL", b"TEND") or codec not in (_RAW, _ZLIB) or raw > _MAX_BODY:
            raise ValueError("it holds a block that is not a trace's")
        body = data[at : at + stored]
        if (check or codec == _ZLIB or kind != b"CHNK") and zlib.crc32(body) != crc:
            raise ValueError("a block does not match its checksum")
        yield kind, codec, body, raw, crc
        at += stored + (-stored & 7)


def _inflate(body: memoryview, raw: int) -> memoryview:
    if raw > 1040 * len(body) + 64:
        raise ValueError("a block claims to hold more than it can")
    unpacker = zlib.decompressobj(-15)
    found = unpacker.decompress(body, raw) if raw else b""
    if len(found) != raw or unpacker.unconsumed_tail:
        raise ValueError("a block does not hold what it claims")
    return memoryview(found)


def _part(body: memoryview, codec: int) -> Part:
    first, n, *lengths = _CHUNK.unpack_from(body)
    if n > MAX_RECORDS:
        raise ValueError("a block of too many calls")
    at = _CHUNK.size + (-(_CHUNK.size + _BLOCK.size) & 7)
    if at + n * RECORD_BYTES + sum(lengths) != len(body):
        raise ValueError("a block's lengths do not add up")
    raw = body[at : at + n * RECORD_BYTES]
    records = np.frombuffer(raw, RECORD) if codec == _RAW else _unshuffle(raw, n)
    at += n * RECORD_BYTES
    sections = []
    for length in lengths:
        sections.append(body[at : at + length])
        at += length
    arena, paths, reasons, lives, numbers = sections
    if first > _LAST_SEQ:
        raise ValueError("a block of calls with numbers that cannot be")
    seqs = ascending(np.frombuffer(numbers, "<i8")) if numbers else None
    if seqs is not None and len(seqs) != n:
        raise ValueError("a block of calls without their numbers")
    table = [unpack_reason(entry) for entry in unpack_list(reasons)]
    return Part(first, n, records, arena, unpack_list(paths), table, lives, seqs)


def ascending(seqs: Array) -> Array:
    """The numbers of calls as they are; ValueError if they cannot be such."""
    if len(seqs) and (seqs[0] < 0 or seqs[-1] > _LAST_SEQ or not (np.diff(seqs) > 0).all()):
        raise ValueError("calls whose numbers do not ascend")
    return seqs


def _tables(body: memoryview) -> Tables:
    (length,) = struct.unpack_from("<Q", body)
    return Tables.of_document(json.loads(bytes(body[8 : 8 + length])), body[8 + length :])


assert CHUNK_RECORDS <= MAX_RECORDS
