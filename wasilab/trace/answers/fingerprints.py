"""Hashes of each call's arguments, data and results, so that many calls can be compared quickly.

For: `diff.py`. Values that always differ between two runs are ignored: addresses, descriptor numbers (the path is
compared instead), device and inode numbers, times of files, cookies of a listing. Not for: showing differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...wasi.preview1 import signature as sig
from ..calls import Calls
from ..columns.decode import VALUE, Batch, DirEntry, Field
from ..columns.records import Array
from ..record.layout import Flag
from ..record.payload import Aux, Data

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_NOT_COMPARED = {"cookie", "precision"}
"""Arguments that are not compared, because they do not tell what the program does."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Three numbers for each call, u64; equal ones mean equal contents."""

    arguments: Array
    data: Array
    """Hash of the bytes that the trace kept."""
    results: Array

    @classmethod
    def from_calls(cls, trace: Calls) -> Fingerprints:
        """The numbers of the calls of `trace`."""
        found = cls(*(np.zeros(len(trace), "<u8") for _ in range(3)))
        for part, index, at in trace.store.batches(trace.rows):
            records = part.rows(index)
            keys = records["call"].astype("<u2") | ((records["flags"] & int(Flag.UNSTABLE)) << 8)
            for key in np.unique(keys).tolist():
                chosen = np.flatnonzero(keys == key)
                plan = trace.store.plan(key & 0xFF, bool(key >> 8))
                batch = Batch(part, index[chosen], plan, records[chosen])
                found.arguments[at[chosen]] = _arguments(batch)
                found.data[at[chosen]] = _data(batch)
                found.results[at[chosen]] = np.where(batch.errno == 0, _results(batch), 0)
        return found


def _mix(numbers: Iterable[Array], n: int) -> Array:
    mixed = np.zeros(n, "<u8")
    for column in numbers:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _FACTOR + column.astype("<u8") + np.uint64(1)
    return mixed


def _hashes(values: Iterable[object]) -> Array:
    """Python's hash of each value, which is the same for equal values within one process."""
    return np.array([hash(value) for value in values], "<i8").view("<u8")


def _arguments(batch: Batch) -> Array:
    numbers = [batch.numbers(f) for f in batch.plan.params if f.kind == sig.SCALAR and f.name not in _NOT_COMPARED]
    if batch.plan.payload.aux in (Aux.PATH, Aux.VALUES):
        numbers.append(_hashes(batch.aux))
    return _mix(numbers, batch.n)


def _data(batch: Batch) -> Array:
    if batch.plan.payload.data in (Data.NOTHING, Data.EVENTS, Data.VALUES):
        return np.zeros(batch.n, "<u8")
    if batch.plan.name == "fd_readdir":
        listings = batch.values(next(f for f in batch.plan.params if f.kind == sig.OUTBUF))
        return _hashes(None if entries is None else tuple(map(_entry, entries)) for entries in listings)
    return _hashes(batch.data)


def _entry(entry: DirEntry) -> tuple[bytes, int]:
    return entry.name, entry.filetype


def _results(batch: Batch) -> Array:
    columns = []
    for field in batch.plan.results:
        if field.kind == VALUE:
            return _hashes(batch.data)
        if field.type.record:
            values = batch.results(field)
            columns.append(_hashes(None if value is None else _STRUCTS[field.type.name](value) for value in values))
        elif not _is_known_otherwise(batch, field):
            columns.append(_scalars(batch, field))
    return _mix(columns, batch.n)


def _is_known_otherwise(batch: Batch, field: Field) -> bool:
    """Whether a result is compared elsewhere: a descriptor by its path, or the number of bytes moved."""
    return field.type.name == "fd" or (field.order == 0 and batch.plan.moves == "result")


def _scalars(batch: Batch, field: Field) -> Array:
    if field.order == 0:
        return np.asarray(batch.records["result"])
    return np.array([value or 0 for value in batch.results(field)], "<u8")


_STRUCTS: dict[str, Callable[[Any], tuple[int, ...]]] = {
    "filestat": lambda stat: (int(stat.filetype), stat.size),
    "fdstat": lambda stat: tuple(map(int, stat)),
    "prestat": lambda stat: tuple(map(int, stat)),
}
"""The members of a struct that are compared: all but device, inode, links and times."""
