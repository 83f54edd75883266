"""`.parquet`: lossless, columnar, a few bytes per call (extra `arrow`), and readable by DuckDB, pandas, Polars, ...

It has the columns of `sql/arrow.py`, and beside them what a lossless trace needs: the raw words (w0 to w3), the path as
the guest gave it and the payload. The tables are JSON in the file's metadata under the key `wasilab`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np

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

VERSION = 1
_KEY = b"wasilab"
_SHOWN = ("seq", "t_start", "dur", "call", "family", "errno", "path", "fd", "result", "nbytes", "denied_by", "reason",
          "line")  # fmt: skip
_RAW = ("call", "errno", "denied_by", "instance", "flags", "tid", "handle", "stack")
_WANTED = ("seq", "t_start", "dur", "result", "reason", "given_path", "payload", "w0", "w1", "w2", "w3")
_PART = 1 << 15


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


def _needs(trace: Calls) -> Any:
    """What refused calls needed (`record.reasons`), as JSON text; null where nothing is known."""
    pa = extras.pyarrow()
    codes, needs = table.reasons(trace, lambda reason: reason.need)
    texts = pa.array([need_text(need) for need in needs], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts)


def _payloads(trace: Calls) -> Any:
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
    return pa.chunked_array(pieces, pa.binary())


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
            _check(metadata, bound)
            # A value that is repeated is held once: `_arena` counts before it is written out.
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
        raise TraceError(f"{path} holds more than fits into memory") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise TraceError(f"{path} is a damaged or unfinished trace ({str(error).splitlines()[0][:200]})") from None
    return Store(parts, tables)


def _check(metadata: Any, bound: SizeBound) -> None:
    """Refuse a file that says itself that it is too large, and delta-encoded values, whose size cannot be bounded."""
    bound.check(metadata.num_rows * RECORD_BYTES)
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(metadata.num_columns)):
            size += column.total_uncompressed_size
            if "DELTA_BYTE_ARRAY" in column.encodings:
                raise ValueError("a column is encoded in a way that no trace uses")
    bound.check(size)


def _head(metadata: dict[bytes, bytes] | None) -> dict[str, Any] | None:
    if metadata is None or _KEY not in metadata:
        return None
    head = json.loads(metadata[_KEY])
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError("it was written by another version of wasilab")
    return head


def _part(rows: Any, bound: SizeBound) -> Part:
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
    content = PartContent(records, arena.tobytes(), [bytes(path) for path in paths], reasons, (), seqs)
    return Part(int(seqs[0]), len(records), content)


def _reasons(rows: Any) -> tuple[Array, list[Reason]]:
    """A code for each row (-1: none) and the reasons: the different pairs of a sentence and a need."""
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


def _numbers(column: Any) -> Array:
    found: Array = column.to_numpy()
    if found.dtype.kind not in "iu":
        raise ValueError("a column of numbers holds other values")
    return found


def _codes(column: Any) -> tuple[Array, list[Any]]:
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


def _whole(column: Any) -> Any:
    """A chunked column as one array."""
    pa = extras.pyarrow()
    column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _arena(payload: Any, bound: SizeBound) -> tuple[Array, Array, Array]:
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
    offsets = np.frombuffer(buffers[1], "<i4", len(payload) + 1, payload.offset * 4).astype("<i8")
    sizes = np.diff(offsets)
    if (sizes & 3).any() or ((sizes > 0) & (sizes < 8)).any():
        raise ValueError("a payload is not valid")
    data = np.frombuffer(buffers[2], "u1") if buffers[2] is not None else np.zeros(0, "u1")
    return data[offsets[0] : offsets[-1]].copy(), offsets[:-1] - offsets[0], sizes > 0
