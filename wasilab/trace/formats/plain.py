"""The arguments and results of calls as plain values: numbers, names, strings, lists.

For: JSON lines, and the arguments in Chrome's and Perfetto's formats. They are decoded column by column. Not for:
strace text (`strace/`) or typed Python objects (`answers/event.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...wasi import types as t
from ...wasi.preview1 import signature as sig
from ..calls import Calls
from ..columns.decode import Batch, Field, Iovec, Values
from ..columns.part import Part
from ..columns.records import Array
from ..record.functions import Bytes
from ..record.layout import Flag
from ..strace.values import names_of, quote

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""A JSON value."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some consecutive rows of a trace with their decoded values."""

    part: Part
    index: Array
    records: Array
    at: Array
    """Positions in the trace."""
    args: list[dict[str, Plain]]
    results: list[dict[str, Plain]]


def decoded(trace: Calls) -> Iterator[Rows]:
    """All calls of a trace, a few thousand at a time."""
    for part, index, at in trace.store.batches(trace.rows):
        records = part.records[index]
        args = np.empty(len(index), object)
        results = np.empty(len(index), object)
        keys = records["call"].astype("<u2") | ((records["flags"] & int(Flag.UNSTABLE)) << 8)
        for key in np.unique(keys).tolist():
            chosen = np.flatnonzero(keys == key)
            batch = Batch(part, index[chosen], trace.store.plan(key & 0xFF, bool(key >> 8)))
            args[chosen] = _dicts(batch.plan.params, [_plain(batch.values(f), f) for f in batch.plan.params], batch.n)
            found = [_plain(batch.results(f), f) for f in batch.plan.results]
            rows = _dicts(batch.plan.results, found, batch.n)
            results[chosen] = [{k: v for k, v in row.items() if v is not None} for row in rows]
        yield Rows(part, index, records, at, args.tolist(), results.tolist())


def _dicts(fields: tuple[Field, ...], columns: list[list[Plain]], n: int) -> list[dict[str, Plain]]:
    names = [field.name for field in fields]
    if not names:
        return [{} for _ in range(n)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(values: Values, field: Field) -> list[Plain]:
    kind = field.kind
    if kind == sig.FD:
        return values
    if field.type.python is not None:
        names = names_of(field.type.python)
        return [None if value is None else names[value] for value in values]
    if values and isinstance(values[0], int):
        return values
    return [_value(value) for value in values]


def _value(value: object) -> Plain:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, Bytes):
        return {"len": value.length, "data": text(value.data)}
    if isinstance(value, dict):
        return {str(name): _value(one) for name, one in value.items()}
    if isinstance(value, Iovec):
        return {"len": value.len, "data": text(value.data)}
    if isinstance(value, t.Fdstat):
        rights = names_of(t.Rights)
        return {
            "filetype": names_of(t.Filetype)[value.filetype], "flags": names_of(t.Fdflags)[value.flags],
            "rights_base": rights[value.rights_base], "rights_inheriting": rights[value.rights_inheriting],
        }  # fmt: skip
    if isinstance(value, t.Filestat):
        return value._asdict() | {"filetype": names_of(t.Filetype)[value.filetype]}
    if hasattr(value, "_asdict"):
        return {name: _value(one) for name, one in value._asdict().items()}
    return str(value)


def text(data: bytes) -> str:
    """Bytes as text without quotes: printable UTF-8 unchanged, the rest as C escapes."""
    return quote(data)[1:-1]
