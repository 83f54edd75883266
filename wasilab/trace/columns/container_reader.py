"""Opening a container (`record/container.py`): nothing in it is executed, and no length is believed unchecked.

Not for: what the numbers mean (`decode.py`).
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import TraceError
from ..record.container import BLOCK, CHUNK, MAGIC, MAX_RECORDS, RAW, ZLIB
from ..record.layout import RECORD_BYTES
from ..record.packing import unpack_list
from ..record.reasons import unpack_reason
from ..record.tables import Tables
from .part import LAST_SEQ, Part, ascending
from .records import RECORD, from_columns

EAGER_BYTES = 64 << 20
"""Raw blocks of files up to this size are checked when opened; of larger ones when first read."""
_MAX_BODY = 1 << 31
MAX_INFLATED = 8 << 30
"""A file whose compressed blocks claim to hold more bytes than this is refused."""


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
        eager = len(data) <= EAGER_BYTES
        for kind, codec, body, raw, crc in blocks(data, eager):
            if codec == ZLIB:
                inflated += raw
                if inflated > MAX_INFLATED:
                    raise ValueError("it claims to hold more than 8 GiB of calls")
                body = _inflate(body, raw)
            if kind == b"CHNK":
                parts.append(_part(body, codec))
                if codec == RAW and not eager:
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


def blocks(data: memoryview, check: bool) -> Iterator[tuple[bytes, int, memoryview, int, int]]:
    """(kind, codec, body as stored, bytes of the body once inflated, checksum) of each block.

    `check`: compare the checksums of raw CHNK blocks, too. Raises ValueError for what is not a container.
    """
    at = len(MAGIC)
    while at < len(data):
        if at + BLOCK.size > len(data):
            raise ValueError("it ends in the middle of a block")
        kind, codec, crc, stored, raw = BLOCK.unpack_from(data, at)
        at += BLOCK.size
        if stored > len(data) - at:
            raise ValueError("it ends in the middle of a block")
        if kind not in (b"CHNK", b"TABL", b"TEND") or codec not in (RAW, ZLIB) or raw > _MAX_BODY:
            raise ValueError("it holds a block that is not a trace's")
        body = data[at : at + stored]
        if (check or codec == ZLIB or kind != b"CHNK") and zlib.crc32(body) != crc:
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
    first, n, *lengths = CHUNK.unpack_from(body)
    if n > MAX_RECORDS:
        raise ValueError("a block of too many calls")
    at = CHUNK.size + (-(CHUNK.size + BLOCK.size) & 7)
    if at + n * RECORD_BYTES + sum(lengths) != len(body):
        raise ValueError("a block's lengths do not add up")
    raw = body[at : at + n * RECORD_BYTES]
    records = np.frombuffer(raw, RECORD) if codec == RAW else from_columns(raw, n)
    at += n * RECORD_BYTES
    sections = []
    for length in lengths:
        sections.append(body[at : at + length])
        at += length
    arena, paths, reasons, lives, numbers = sections
    if first > LAST_SEQ:
        raise ValueError("a block of calls with numbers that cannot be")
    seqs = ascending(np.frombuffer(numbers, "<i8")) if numbers else None
    if seqs is not None and len(seqs) != n:
        raise ValueError("a block of calls without their numbers")
    table = [unpack_reason(entry) for entry in unpack_list(reasons)]
    return Part(first, n, records, arena, unpack_list(paths), table, lives, seqs)


def _tables(body: memoryview) -> Tables:
    (length,) = struct.unpack_from("<Q", body)
    return Tables.from_document(json.loads(bytes(body[8 : 8 + length])), body[8 + length :])

