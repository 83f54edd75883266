"""`.parquet`: lossless, columnar, a few bytes per call (extra `arrow`), and readable by DuckDB, pandas, Polars, ...

It has the columns of `sql/arrow.py`, and the additional data of a lossless trace: the raw words (w0 to w3), the path as
the guest gave it and the payload. The tables are JSON in the file's metadata under the key `wasilab`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from ...text.escape import visible
from .. import extras
from ..calls import Calls
from ..columns.part import Part, PartContent, ascending
from ..columns.records import RECORD, Array
from ..columns.size_bound import SizeBound
from ..columns.store import Store
from ..columns.subset import blobs
from ..errors import TraceError
from ..record.layout import RECORD_BYTES
from ..record.reasons import Reason, need_from_text, need_text
from ..record.tables import Tables
from ..sql import arrow as table
from ..sql.arrow_types import ArrowColumn, ArrowTable

VERSION = 1
_KEY = b"wasilab"
_SHOWN = ("seq", "t_start", "dur", "call", "family", "errno", "path", "fd", "result", "nbytes", "denied_by", "reason",
          "line")  # fmt: skip
_RAW = ("call", "errno", "denied_by", "instance", "flags", "tid", "handle", "stack")
_WANTED = ("seq", "t_start", "dur", "result", "reason", "given_path", "payload", "w0", "w1", "w2", "w3")
_PART = 1 << 15
_ROW_GROUPS, _COLUMNS, _META_DATA, _ENCODINGS, _UNCOMPRESSED = 4, 1, 3, 2, 6
"""Numbers of fields of FileMetaData, RowGroup, ColumnChunk and (the last two) ColumnMetaData (parquet.thrift)."""
_DELTA_BYTE_ARRAY = 7
_MOST_NESTED = 16

Thrift: TypeAlias = "bool | int | list[Thrift] | dict[int, Thrift] | None"
"""A value of Thrift's compact protocol as `_Compact` reads it: None for a text or a double, a dict for a struct."""


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the trace; TraceError when pyarrow is not installed."""
    pa = extras.pyarrow()
    pq = extras.parquet()
    columns = table.arrays(trace, _SHOWN)
    for name in _RAW:
        columns[f"raw_{name}"] = pa.array(trace.column(name))
    words = trace.column("args")
    for k in range(4):
        columns[f"w{k}"] = pa.array(np.ascontiguousarray(words[:, k]))
    numbers = trace.column("path")
    used = np.flatnonzero(np.bincount(numbers, minlength=len(trace.paths) + 1)[1:])
    table_of = np.zeros(len(trace.paths) + 1, "<i4")
    table_of[used + 1] = np.arange(len(used))
    given = pa.array(table_of[numbers], mask=numbers == 0)
    paths = [trace.paths[number] for number in used.tolist()]
    columns["given_path"] = pa.DictionaryArray.from_arrays(given, pa.array(paths, pa.binary()))
    columns["need"] = _needs(trace)
    columns["payload"] = _payloads(trace)
    tables = trace.store.tables()
    lives = tables.packed_lives(list(trace.lives.values()))
    head = {"version": VERSION, **tables.document(), "lives": lives}
    made = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(head, default=str).encode()})
    dictionaries = [name for name in made.column_names if pa.types.is_dictionary(made.schema.field(name).type)]
    small = [f"raw_{name}" for name in _RAW]
    delta = dict.fromkeys(("seq", "t_start", "dur", "result"), "DELTA_BINARY_PACKED")
    pq.write_table(
        made, file, compression="zstd", compression_level=3, use_dictionary=[*dictionaries, *small, "fd", "w0", "w2"],
        column_encoding=delta, row_group_size=1 << 18, write_statistics=["seq", "t_start", "dur"],
    )  # fmt: skip


def _needs(trace: Calls) -> ArrowColumn:
    """What refused calls needed (`record.reasons`), as JSON text; null if unknown."""
    pa = extras.pyarrow()
    codes, needs = table.reasons(trace, lambda reason: reason.need)
    texts = pa.array([need_text(need) for need in needs], pa.string())
    found: ArrowColumn = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts)
    return found


def _payloads(trace: Calls) -> ArrowColumn:
    """The payloads without their reason numbers, as a binary column; without a loop if they lie in order."""
    pa = extras.pyarrow()
    pieces = []
    for part, index, _ in trace.store.batches(trace.rows):
        starts = part.records["payload"][index].astype("<i8")
        has = starts > 0
        first = (starts[has] - 1) << 2
        whole = len(index) == part.n and len(first) and first[0] == 0 and bool((np.diff(first) >= 8).all())
        if whole and first[-1] + 8 <= len(part.arena):
            arena = np.frombuffer(part.arena, "u1").copy()
            arena[first] = 0
            arena[first + 1] = 0
            offsets = np.empty(len(index) + 1, "<i4")
            offsets[-1] = len(arena)
            offsets[:-1] = np.where(has, (starts - 1) << 2, len(arena))
            offsets = np.minimum.accumulate(offsets[::-1])[::-1]
            buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(arena)]
            pieces.append(pa.Array.from_buffers(pa.binary(), len(index), buffers))
        else:
            kept = blobs(trace.store, part, index)
            found = [b"\0\0" + blob[2:] + bytes(-len(blob) & 3) if blob else b"" for blob in kept]
            pieces.append(pa.array(found, pa.binary()))
    column: ArrowColumn = pa.chunked_array(pieces, pa.binary())
    return column


def read(path: Path, *, partial: bool = False, max_bytes: int | None = None) -> Store:
    """Open a file that `write` made; raises TraceError for any other."""
    pa = extras.pyarrow()
    pq = extras.parquet()
    bound = SizeBound(path, max_bytes)
    try:
        with open(path, "rb") as file:
            metadata = pq.read_metadata(file)
            head = _head(metadata.metadata)
            if head is None:
                raise TraceError(f"{path} is a Parquet file, but not a wasilab trace")
            _check(metadata.num_rows, _footer(file), bound)
            # A repeated value is stored once: `_arena` counts the bytes before expanding it.
            source = pq.ParquetFile(file, metadata=metadata, read_dictionary=["payload"])
            optional = [name for name in ("need",) if name in metadata.schema.names]  # not in older files
            columns = [*_WANTED, *optional, *(f"raw_{name}" for name in _RAW)]
            tables = Tables.from_document(head, str(head["lives"]))
            parts = []
            for batch in source.iter_batches(_PART, columns=columns, use_threads=False):
                bound.check(batch.nbytes)
                parts.append(_part(pa.Table.from_batches([batch]), bound))
                bound.add(parts[-1].content.nbytes)
    except TraceError:
        raise
    except MemoryError:
        raise TraceError(f"{path} does not fit into memory") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise TraceError(f"{path} is a damaged or unfinished trace ({_cause(error)})") from None
    return Store(parts, tables)


def _cause(error: Exception) -> str:
    """The message of pyarrow, which may quote the file."""
    return visible((str(error).splitlines() or [type(error).__name__])[0][:200])


def _check(rows: int, footer: dict[int, Thrift], bound: SizeBound) -> None:
    """Refuse a file that declares too large a size, and delta-encoded values, whose size cannot be bounded.

    This does not use pyarrow's column objects, which crash the process if a column's statistics are inconsistent.
    """
    bound.check(rows * RECORD_BYTES)
    size = 0
    for group in _listed(footer, _ROW_GROUPS):
        for column in _listed(_struct(group), _COLUMNS):
            about = _struct(_struct(column).get(_META_DATA, {}))
            taken = about.get(_UNCOMPRESSED, 0)
            if not isinstance(taken, int):
                raise ValueError("its metadata is not valid")
            size += max(taken, 0)
            if _DELTA_BYTE_ARRAY in _listed(about, _ENCODINGS):
                raise ValueError("a column has an encoding that traces do not use")
    bound.check(size)


def _struct(value: Thrift) -> dict[int, Thrift]:
    if not isinstance(value, dict):
        raise ValueError("its metadata is not valid")
    return value


def _listed(struct: dict[int, Thrift], number: int) -> list[Thrift]:
    value = struct.get(number, [])
    if not isinstance(value, list):
        raise ValueError("its metadata is not valid")
    return value


def _footer(file: IO[bytes]) -> dict[int, Thrift]:
    """The file's metadata by the numbers of their fields, without texts."""
    file.seek(-8, os.SEEK_END)
    size = int.from_bytes(file.read(4), "little")
    file.seek(-8 - size, os.SEEK_END)
    found = _Compact(file.read(size)).struct(0)
    file.seek(0)
    return found


class _Compact:
    """Reads Thrift's compact protocol (thrift-compact-protocol.md), the format of Parquet's metadata.

    Raises `ValueError` for invalid data. Texts are skipped; no list is longer than the remaining bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> dict[int, Thrift]:
        """The fields of a struct by their numbers."""
        fields: dict[int, Thrift] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Thrift:
        if depth > _MOST_NESTED:
            raise ValueError("its metadata is nested too deeply")
        if kind in (1, 2):  # true, false
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):  # integers of 16, 32 and 64 bits
            return self._signed()
        if kind in (7, 8):  # a double, a text
            self._skip(8 if kind == 7 else self._varint())
            return None
        if kind in (9, 10):  # list, set
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            self._skip(0, count)
            return [self._element(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"its metadata has a value of the unknown kind {kind}")

    def _element(self, kind: int, depth: int) -> Thrift:
        return self._byte() == 1 if kind in (1, 2) else self._value(kind, depth)

    def _byte(self) -> int:
        at = self._at
        self._skip(1)
        return self._data[at]

    def _skip(self, size: int, room: int = 0) -> None:
        """Skip `size` bytes; at least `room` more must follow."""
        self._at += size
        if self._at + room > len(self._data):
            raise ValueError("its metadata is truncated")

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise ValueError("its metadata has a number that is too large")

    def _signed(self) -> int:
        found = self._varint()
        return found >> 1 ^ -(found & 1)


def _head(metadata: dict[bytes, bytes] | None) -> dict[str, object] | None:
    if metadata is None or _KEY not in metadata:
        return None
    head = json.loads(metadata[_KEY])
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError("it was written by another version of wasilab")
    return head


def _part(rows: ArrowTable, bound: SizeBound) -> Part:
    records = np.zeros(rows.num_rows, RECORD)
    for name in ("t_start", "dur", "result"):
        records[name] = _numbers(rows[name])
    for name in _RAW:
        records[name] = _numbers(rows[f"raw_{name}"])
    if len(records) and records["call"].max() >= 255:
        raise ValueError("a call number is out of range")
    for k in range(4):
        records["args"][:, k] = _numbers(rows[f"w{k}"])
    ids, paths = _codes(rows["given_path"])
    records["path"] = ids + 1
    reason_ids, reasons = _reasons(rows)
    arena, starts, has = _arena(_whole(rows["payload"]), bound)
    records["payload"] = np.where(has, (starts >> 2) + 1, 0)
    where = starts[has]
    numbers = (reason_ids + 1)[has].astype("<u2")
    arena[where] = numbers & 0xFF
    arena[where + 1] = numbers >> 8
    seqs = ascending(_numbers(rows["seq"]).astype("<i8"))
    content = PartContent(records, arena.tobytes(), [_bytes(path) for path in paths], reasons, (), seqs)
    return Part(int(seqs[0]), len(records), content)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a path is not bytes")
    return value


def _reasons(rows: ArrowTable) -> tuple[Array, list[Reason]]:
    """A code for each row (-1: none) and the reasons: the distinct pairs of a sentence and a need."""
    texts, sentences = _codes(rows["reason"])
    if "need" not in rows.column_names:
        return texts, [Reason(str(sentence)) for sentence in sentences]
    needs, values = _codes(rows["need"])
    pairs, codes = np.unique(texts * (len(values) + 1) + needs, return_inverse=True)
    known = [need_from_text(str(value)) for value in values] + [None]  # the last one stands for -1
    found = [(int(pair) + 1) // (len(values) + 1) for pair in pairs.tolist()]
    reasons = [
        Reason(str(sentences[text]) if text >= 0 else "", known[int(pair) - text * (len(values) + 1)])
        for pair, text in zip(pairs.tolist(), found, strict=True)
    ]
    return np.where(texts < 0, -1, codes), reasons


def _numbers(column: ArrowColumn) -> Array:
    found: Array = column.to_numpy()
    if found.dtype.kind not in "iu":
        raise ValueError("a column of numbers has other values")
    return found


def _codes(column: ArrowColumn) -> tuple[Array, list[object]]:
    """A text column as codes (-1: null) and the values that occur."""
    pa = extras.pyarrow()
    column = _whole(column)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("<i8")
    used, numbers = np.unique(codes, return_inverse=True)
    absent = int(len(used) > 0 and used[0] < 0)
    values = column.dictionary.take(pa.array(used[absent:])).to_pylist()
    return numbers - absent, values


def _whole(column: ArrowColumn) -> ArrowColumn:
    """A chunked column as one array."""
    pa = extras.pyarrow()
    column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _arena(payload: ArrowColumn, bound: SizeBound) -> tuple[Array, Array, Array]:
    """The bytes of a part's payloads, the offset of each, and which rows have one."""
    pa = extras.pyarrow()
    if pa.types.is_dictionary(payload.type):
        lengths = pa.compute.binary_length(payload.dictionary.cast(pa.binary())).to_numpy(zero_copy_only=False)
        codes = payload.indices.fill_null(0).to_numpy(zero_copy_only=False)
        size = int(lengths[codes].sum(dtype="<i8")) if len(lengths) else 0
        bound.check(size)
        if size >= 1 << 31:
            raise ValueError("the payloads of one part take more than 2 GiB")
    payload = payload.cast(pa.binary())
    if payload.null_count:
        payload = payload.fill_null(b"")
    buffers = payload.buffers()
    offsets = np.frombuffer(memoryview(buffers[1] or b""), "<i4", len(payload) + 1, payload.offset * 4).astype("<i8")
    sizes = np.diff(offsets)
    if (sizes & 3).any() or ((sizes > 0) & (sizes < 8)).any():
        raise ValueError("a payload is not valid")
    data = np.frombuffer(memoryview(buffers[2]), "u1") if buffers[2] is not None else np.zeros(0, "u1")
    return data[offsets[0] : offsets[-1]].copy(), offsets[:-1] - offsets[0], sizes > 0
