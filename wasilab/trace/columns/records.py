"""Records as a NumPy structured array, and laid out column by column for a compressed file.

Not for: what the fields mean (`record/layout.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..record.layout import FIELDS, RECORD_BYTES, Chunk

Array = np.ndarray[Any, Any]
"""An array of any shape and type."""

RECORD = np.dtype([(name, kind, shape) if shape else (name, kind) for name, kind, shape in FIELDS])
"""The layout of one call."""
COLUMN_NAMES = tuple(name for name, _, _ in FIELDS)
assert RECORD.itemsize == RECORD_BYTES


def records_of(chunk: Chunk) -> Array:
    """The complete records of a recorder's chunk (a copy, safe while the chunk grows)."""
    return np.frombuffer(chunk.records(), RECORD)


def by_column(records: Array) -> bytes:
    """Records as byte columns, with `t_start` as differences, which compresses well."""
    columns = []
    for name in COLUMN_NAMES:
        column = records[name]
        if name == "t_start":
            column = np.diff(column, prepend=column.dtype.type(0))
        raw = np.ascontiguousarray(column).view("u1")
        columns.append(raw.reshape(len(records), RECORD[name].itemsize).T.tobytes())
    return b"".join(columns)


def from_columns(data: memoryview, n: int) -> Array:
    """The inverse of `by_column` for `n` records."""
    records = np.empty(n, RECORD)
    at = 0
    for name in COLUMN_NAMES:
        kind = RECORD[name]
        raw = np.frombuffer(data, "u1", n * kind.itemsize, at).reshape(kind.itemsize, n).T
        column = np.ascontiguousarray(raw).view(kind.base)
        if name == "t_start":
            column = np.cumsum(column, axis=0, dtype="<u8")
        records[name] = column.reshape(records[name].shape)
        at += n * kind.itemsize
    return records
