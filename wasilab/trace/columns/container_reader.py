"""Opens a container (`record/container.py`). Nothing in it is executed, and every length is checked before it is used.

Opening reads the heads of the blocks and compares checksums. The calls of a block are read, and decompressed if
necessary, on access. Not for: the meaning of the numbers (`decode.py`).
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...text.numbers import counted
from ..errors import TraceError
from ..record.container import BLOCK, CHUNK, MAGIC, MAX_RECORDS, RAW, ZLIB
from ..record.layout import RECORD_BYTES
from ..record.packing import StoredModule, unpack_list, unpack_modules
from ..record.reasons import unpack_reason
from ..record.tables import Tables
from .part import LAST_SEQ, ContentCache, Part, PartContent, ascending
from .records import RECORD, from_columns
from .size_bound import SizeBound

EAGER_BYTES = 64 << 20
"""Raw blocks are checked when the file is opened, or, in files larger than this, when they are first read."""
_MAX_BODY = 1 << 31
_INFLATION = 1040
"""The maximum compression ratio of zlib (https://zlib.net/zlib_tech.html)."""
_OBJECTS = 8
"""Approximate bytes of memory per byte of a table, as Python objects."""
_MAX_REASONS = 0xFFFF
_DAMAGES = (ValueError, struct.error, zlib.error, KeyError, TypeError, RecursionError)
"""The exceptions that a corrupt block causes."""


def read(path: str | Path, *, partial: bool = False, max_bytes: int | None = None) -> tuple[list[Part], Tables]:
    """Open a container: its parts and its tables. `max_bytes` of calls are accepted (None: in relation to the file).

    Raises TraceError for a file of another format, a damaged, unfinished or too large one. `partial=True` opens the
    complete blocks of a truncated file (a killed process, a full disk) and says so in `meta["partial"]`.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
                raise TraceError(f"{path} is not a wasilab trace (.wtrace): its first bytes are not those of one")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        bound = SizeBound(path, max_bytes)
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    return _read(path, data, partial, bound)


def _read(path: Path, data: memoryview, partial: bool, bound: SizeBound) -> tuple[list[Part], Tables]:
    parts: list[Part] = []
    tables: Tables | None = None
    modules: list[StoredModule] = []
    host_calls: list[memoryview] = []
    complete = False
    cache = ContentCache()
    try:
        eager = len(data) <= EAGER_BYTES
        for block in blocks(data, eager):
            if block.codec == ZLIB:
                bound.add(block.raw if block.kind != b"TABL" else _OBJECTS * block.raw)
                if block.raw > _INFLATION * len(block.body) + 64:
                    raise ValueError("a block declares more bytes than it can contain")
            if block.kind == b"CHNK":
                parts.append(_part(path, block, cache, checked=eager or block.codec == ZLIB))
            elif block.kind == b"PROG":
                modules = unpack_modules(_body(block))
            elif block.kind == b"COMP":
                host_calls = [_body(block)]
            elif block.kind == b"TABL":
                tables = _tables(_body(block))
            else:
                complete = struct.unpack("<Q", block.body)[0] == sum(part.n for part in parts)
    except TraceError:
        raise
    except _DAMAGES as error:
        if not partial:
            raise TraceError(_broken(path, parts, str(error))) from None
    if (not complete or tables is None) and not partial:
        raise TraceError(_broken(path, parts, "it ends too early"))
    if tables is None:
        tables = Tables()
    if not complete:
        tables.meta["partial"] = "the file was truncated; only its complete blocks are present"
    tables.modules = modules
    tables.host_calls = host_calls
    return parts, tables


def _broken(path: Path, parts: list[Part], why: str) -> str:
    calls = sum(part.n for part in parts)
    text = f"{path} is a damaged or unfinished trace ({why})"
    if calls:
        first = counted(calls, "call is", "calls are")
        text += f"; its first {first} complete: Trace.load({path.name!r}, partial=True) opens them"
    return text


class Block(NamedTuple):
    """One block of a container."""

    kind: bytes
    codec: int
    body: memoryview
    """As stored."""
    raw: int
    """Bytes of the decompressed body, as the block declares."""
    crc: int


def blocks(data: memoryview, check: bool) -> Iterator[Block]:
    """The blocks of a container. `check`: compare the checksums of raw CHNK blocks, too.

    Raises ValueError if it is not a container.
    """
    at = len(MAGIC)
    while at < len(data):
        if at + BLOCK.size > len(data):
            raise ValueError("it ends in the middle of a block")
        kind, codec, crc, stored, raw = BLOCK.unpack_from(data, at)
        at += BLOCK.size
        if stored > len(data) - at:
            raise ValueError("it ends in the middle of a block")
        if kind not in (b"CHNK", b"PROG", b"COMP", b"TABL", b"TEND") or codec not in (RAW, ZLIB) or raw > _MAX_BODY:
            raise ValueError("it has a block of a kind that this version of wasilab does not support")
        body = data[at : at + stored]
        if (check or codec == ZLIB or kind != b"CHNK") and zlib.crc32(body) != crc:
            raise ValueError("a block does not match its checksum")
        yield Block(kind, codec, body, raw, crc)
        at += stored + (-stored & 7)


def _body(block: Block) -> memoryview:
    """The decompressed body of a block; decompression stops at the size that the block declares."""
    if block.codec == RAW:
        return block.body
    unpacker = zlib.decompressobj(-15)
    body = unpacker.decompress(block.body, block.raw) if block.raw else b""
    if len(body) != block.raw or unpacker.unconsumed_tail:
        raise ValueError("a block does not have the size that it declares")
    return memoryview(body)


_RECORDS_AT = CHUNK.size + (-(CHUNK.size + BLOCK.size) & 7)
"""The offset of the records in the body of a CHNK block."""


def _part(path: Path, block: Block, cache: ContentCache, checked: bool) -> Part:
    """A CHNK block as a part whose content is read later; ValueError if its head is invalid."""
    head = block.body[: CHUNK.size]
    if block.codec == ZLIB:
        head = memoryview(zlib.decompressobj(-15).decompress(block.body, CHUNK.size))
    first, n, *lengths = CHUNK.unpack(head)
    if n > MAX_RECORDS or first > LAST_SEQ:
        raise ValueError("a block has too many calls, or numbers its calls too high")
    size = len(block.body) if block.codec == RAW else block.raw
    if _RECORDS_AT + n * RECORD_BYTES + sum(lengths) != size:
        raise ValueError("a block's lengths do not add up")
    part = Part(first, n, _loader(path, block, first, n, lengths, checked), cache)
    if block.codec == RAW and checked:
        part.content  # noqa: B018  so that a corrupt block is found when the file is opened: it costs no copy
    return part


def _loader(
    path: Path, block: Block, first: int, n: int, lengths: list[int], checked: bool
) -> Callable[[], PartContent]:
    def load() -> PartContent:
        nonlocal checked
        if not checked:
            if zlib.crc32(block.body) != block.crc:
                raise TraceError(f"{path} is damaged: the calls from {first:,} on do not match their checksum")
            checked = True
        try:
            return _content(_body(block), block.codec, n, lengths)
        except _DAMAGES as error:
            raise TraceError(f"{path} is damaged: the calls from {first:,} on cannot be read ({error})") from None
        except MemoryError:
            raise TraceError(f"{path} does not fit into memory, at the calls from {first:,} on") from None

    return load


def _content(body: memoryview, codec: int, n: int, lengths: list[int]) -> PartContent:
    at = _RECORDS_AT
    raw = body[at : at + n * RECORD_BYTES]
    records = np.frombuffer(raw, RECORD) if codec == RAW else from_columns(raw, n)
    at += n * RECORD_BYTES
    sections = []
    for length in lengths:
        sections.append(body[at : at + length])
        at += length
    arena, paths, reasons, lives, numbers = sections
    seqs = ascending(np.frombuffer(numbers, "<i8")) if numbers else None
    if seqs is not None and len(seqs) != n:
        raise ValueError("a block does not have the numbers of its calls")
    table = [unpack_reason(entry) for entry in unpack_list(reasons, _MAX_REASONS)]
    return PartContent(records, arena, unpack_list(paths, n), table, lives, seqs)


def _tables(body: memoryview) -> Tables:
    (length,) = struct.unpack_from("<Q", body)
    return Tables.from_document(json.loads(bytes(body[8 : 8 + length])), body[8 + length :])
