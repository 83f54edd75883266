"""`.parquet`: lossless, columnar, a few bytes a call (extra `arrow`), and readable by DuckDB, pandas, Polars, ...

The columns of `table.py` for everybody, and beside them what a lossless trace needs: the raw words (w0 to w3), the
path as the guest gave it and the payload. What is held once is JSON in the file's metadata under the key `wasilab`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import extras
from ..answers import arrow as table
from ..calls import Calls
from ..columns.part import Part, ascending
from ..columns.records import RECORD
from ..columns.store import Store
from ..columns.subset import blobs
from ..errors import TraceError
from ..record.reasons import Reason, need_from_text, need_text
from ..record.tables import Tables

Array = np.ndarray[Any, Any]
VERSION = 1
_KEY = b"wasilab"
_SHOWN = ("seq", "t_start", "dur", "call", "family", "errno", "path", "fd", "result", "nbytes", "denied_by", "reason",
          "line")  # fmt: skip
_RAW = ("call", "errno", "denied_by", "instance", "flags", "tid", "handle", "stack")
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
    """The payloads without their reason numbers, as a binary column; made without a loop where they lie in order."""
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


def read(path: Path, *, partial: bool = False) -> Store:
    """Open a file that `write` made; raises TraceError for any other."""
    pa = extras.pyarrow()
    pq = extras.parquet()
    try:
        with open(path, "rb") as file:
            source = pq.ParquetFile(file)
            head = _head(source.schema_arrow.metadata)
            if head is None:
                raise TraceError(f"{path} is a Parquet file, but not a wasilab trace")
            wanted = ["seq", "t_start", "dur", "result", "reason", "given_path", "payload", "w0", "w1", "w2", "w3"]
            since = [name for name in ("need",) if name in source.schema_arrow.names]  # not in files of older versions
            found = source.read([*wanted, *since, *(f"raw_{name}" for name in _RAW)])
        tables = Tables.from_document(head, str(head["lives"]))
        parts = [_part(found.slice(at, _PART)) for at in range(0, found.num_rows, _PART)]
    except TraceError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise TraceError(f"{path} is a damaged or unfinished trace ({str(error).splitlines()[0][:200]})") from None
    return Store(parts, tables)


def _head(metadata: dict[bytes, bytes] | None) -> dict[str, Any] | None:
    if metadata is None or _KEY not in metadata:
        return None
    head = json.loads(metadata[_KEY])
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError("it is of another version of wasilab")
    return head


def _part(rows: Any) -> Part:
    records = np.zeros(rows.num_rows, RECORD)
    for name in ("t_start", "dur", "result"):
        records[name] = _numbers(rows[name])
    for name in _RAW:
        records[name] = _numbers(rows[f"raw_{name}"])
    if len(records) and records["call"].max() >= 255:
        raise ValueError("calls that cannot be")
    for k in range(4):
        records["args"][:, k] = _numbers(rows[f"w{k}"])
    ids, paths = _codes(rows["given_path"])
    records["path"] = ids + 1
    pa = extras.pyarrow()
    reason_ids, reasons = _reasons(rows)
    payload = rows["payload"].combine_chunks()
    payload = payload.chunk(0) if isinstance(payload, pa.ChunkedArray) else payload
    arena, starts, has = _arena(payload)
    records["payload"] = np.where(has, (starts >> 2) + 1, 0)
    where = starts[has]
    numbers = (reason_ids + 1)[has].astype("<u2")
    arena[where] = numbers & 0xFF
    arena[where + 1] = numbers >> 8
    seqs = ascending(_numbers(rows["seq"]).astype("<i8"))
    return Part(int(seqs[0]), len(records), records, arena.tobytes(), [bytes(p) for p in paths], reasons, (), seqs)


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
        raise ValueError("a column of numbers holds something else")
    return found


def _codes(column: Any) -> tuple[Array, list[Any]]:
    """A text column as codes (-1: null) and its values."""
    pa = extras.pyarrow()
    column = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("<i8")
    return codes, column.dictionary.to_pylist()


def _arena(payload: Any) -> tuple[Array, Array, Array]:
    """(the bytes of a part's payloads, where each begins, which rows have one)."""
    pa = extras.pyarrow()
    payload = payload.cast(pa.binary())
    if payload.null_count:
        payload = payload.fill_null(b"")
    buffers = payload.buffers()
    offsets = np.frombuffer(buffers[1], "<i4", len(payload) + 1, payload.offset * 4).astype("<i8")
    sizes = np.diff(offsets)
    if (sizes & 3).any() or ((sizes > 0) & (sizes < 8)).any():
        raise ValueError("payloads that are not a trace's")
    data = np.frombuffer(buffers[2], "u1") if buffers[2] is not None else np.zeros(0, "u1")
    return data[offsets[0] : offsets[-1]].copy(), offsets[:-1] - offsets[0], sizes > 0

