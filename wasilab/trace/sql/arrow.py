"""A trace as a table for other libraries: Arrow and pandas (extra `arrow`).

For: `to_arrow()`, `to_pandas()`, the Parquet file, SQL. Texts that repeat (calls, errnos, paths, reasons) are
dictionaries, so a table of a million calls costs tens of megabytes. Not for: NumPy (`Trace.column`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from ...capabilities.refusal import DeniedBy
from ..answers.descriptors import Fds
from ..answers.event import events
from ..answers.source_lines import Lines
from ..answers.tabular import totals
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES
from ..columns.records import Array
from ..extras import pandas, pyarrow
from ..filter.query import matching
from ..record.layout import DID_NOT_RETURN
from ..record.reasons import Reason
from ..strace.lines import lines
from ..strace.style import Style
from .arrow_types import ArrowColumn, ArrowTable

K = TypeVar("K", bound=Hashable)
Coded = tuple[Array, list[str]]
"""A text column as codes and texts: numbers into the list, -1 for null."""

_DENIED = [by.name.lower() for by in DeniedBy]

NUMBERS = (
    ("seq", "i8"), ("t_start", "i8"), ("dur", "i8"), ("fd", "i4"), ("result", "u8"), ("nbytes", "i8"), ("gap", "i8"),
    ("generation", "u4"), ("flags", "u2"), ("tid", "u2"), ("instance", "u1"), ("handle", "u4"), ("stack", "u4"),
    ("line", "u4"),
)  # fmt: skip
"""The number columns and their NumPy types. Times in ns."""
TEXTS = ("call", "family", "operation", "errno", "path", "denied_by", "reason", "note")
"""The text columns; `path` is the full path that the call acted on."""
_FIRST = ("seq", "t_start", "dur", "call", "path", "errno", "fd", "result", "nbytes", "denied_by", "reason")
COLUMNS = (*_FIRST, *(name for name in (*(n for n, _ in NUMBERS), *TEXTS) if name not in _FIRST))
"""The columns of a table, in order."""


def coded(trace: Calls, name: str) -> Coded:
    """A text column as codes and texts."""
    if name == "call":
        return _used(trace.column("call"), trace.functions.names)
    if name == "family":
        return _used(trace.column("call"), trace.functions.families)
    if name == "operation":
        return _used(trace.column("call"), [str(operation) for operation in trace.functions.operations])
    if name == "errno":
        return _used(trace.column("errno"), ERRNO_NAMES)
    if name == "denied_by":
        by = trace.column("denied_by").astype("<i4")
        return np.where((by > 0) & (by < len(_DENIED)), by, -1), _DENIED
    if name == "path":
        return _used(trace.target_ids, [full for full, _ in trace.store.targets])
    return _notes(trace) if name == "note" else reasons(trace, lambda reason: reason.text)


def _used(codes: Array, texts: Sequence[str]) -> Coded:
    """The same column with only the texts that occur, each once."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    ids: dict[str, int] = {}
    table = np.zeros(len(texts), "<i4")
    for number in used.tolist():
        table[number] = ids.setdefault(texts[number], len(ids))
    return table[codes], list(ids)


def _notes(trace: Calls) -> Coded:
    """The notes on each call; several on one call are joined."""
    codes = np.full(len(trace), -1, "<i4")
    ids: dict[str, int] = {}
    seqs = trace.seq
    for first, last, text in trace.notes:
        rows = np.flatnonzero((seqs >= first) & (seqs <= last))
        texts = list(ids)
        for code in np.unique(codes[rows]).tolist():
            joined = text if code < 0 else f"{texts[code]}; {text}"
            codes[rows[codes[rows] == code]] = ids.setdefault(joined, len(ids))
    return codes, list(ids)


def reasons(trace: Calls, key: Callable[[Reason], K | None]) -> tuple[Array, list[K]]:
    """A code for each row (-1: none) and the value of each code, which is `key` of the call's reason."""
    codes = np.full(len(trace), -1, "<i4")
    ids: dict[K, int] = {}
    for part, index, at in trace.store.batches(trace.rows):
        if not part.reasons:
            continue
        halves = np.frombuffer(memoryview(part.arena)[: len(part.arena) & ~1], "<u2")
        where = (part.records["payload"][index].astype("<i8") - 1) << 1
        good = (where >= 0) & (where < len(halves))
        numbers = np.where(good, halves[np.where(good, where, 0)], 0)
        table = np.full(1 << 16, -1, "<i4")
        for local in np.flatnonzero(np.bincount(numbers)[1 : len(part.reasons) + 1]).tolist():
            found = key(part.reasons[local])
            if found is not None:
                table[local + 1] = ids.setdefault(found, len(ids))
        codes[at] = table[numbers]
    return codes, list(ids)


def arrays(trace: Calls, names: tuple[str, ...] | None = None) -> dict[str, ArrowColumn]:
    """The columns as pyarrow arrays."""
    pa = pyarrow()
    found: dict[str, ArrowColumn] = {}
    for name, kind in NUMBERS:
        if names is None or name in names:
            found[name] = pa.array(np.ascontiguousarray(trace.column(name)).astype(kind))
    for name in TEXTS:
        if names is None or name in names:
            codes, texts = coded(trace, name)
            mask = codes < 0
            indices = pa.array(codes.astype("<i4"), mask=mask if mask.any() else None)
            found[name] = pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))
    return found


def to_arrow(trace: Calls, *, text: bool = False) -> ArrowTable:
    """A pyarrow.Table with the columns NUMBERS and TEXTS; with `text`, also `text`: the call as strace shows it."""
    pa = pyarrow()
    columns = arrays(trace)
    made = {name: columns[name] for name in COLUMNS}
    if text:
        made["text"] = pa.array(call_texts(trace), pa.string())
    table: ArrowTable = pa.table(made)
    return table


def call_texts(trace: Calls) -> list[str]:
    """Each call as strace shows it, without thread, time and duration."""
    return [line for some in lines(trace, Style(pid=False, time="none", durations=False)) for line in some]


def to_pandas(trace: Calls) -> object:
    """A pandas.DataFrame with the columns NUMBERS and TEXTS, texts as categories."""
    pd = pandas()
    columns: dict[str, object] = {name: trace.column(name).astype(kind) for name, kind in NUMBERS}
    for name in TEXTS:
        codes, texts = coded(trace, name)
        columns[name] = pd.Categorical.from_codes(codes, texts)
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def fds_table(trace: Calls) -> ArrowTable:
    """The descriptors' lives as a pyarrow.Table."""
    pa = pyarrow()
    rows = Fds.from_calls(trace).to_dicts()
    names = [
        "life", "fd", "generation", "path", "kind", "opened_by", "closed_by", "preopen", "calls", "reads", "writes",
        "bytes_read", "bytes_written", "time", "leaked", "last_fd",
    ]  # fmt: skip
    kinds = {"path": pa.string(), "kind": pa.string(), "preopen": pa.bool_(), "leaked": pa.bool_()}
    columns = {name: pa.array([row[name] for row in rows], kinds.get(name, pa.int64())) for name in names}
    table: ArrowTable = pa.table(columns)
    return table


def paths_table(trace: Calls) -> ArrowTable:
    """The figures of each path as a pyarrow.Table: calls, errors, refused, bytes, time."""
    pa = pyarrow()
    codes, texts = coded(trace, "path")
    n = len(texts)

    def total(weights: Array) -> ArrowColumn:
        column: ArrowColumn = pa.array(totals(codes, weights, n))
        return column

    errno = trace.column("errno")
    table: ArrowTable = pa.table({
        "path": pa.array(texts, pa.string()), "calls": total(np.ones(len(codes))),
        "errors": total((errno != 0) & (errno != DID_NOT_RETURN)), "refused": total(trace.column("denied_by") != 0),
        "bytes": total(trace.column("nbytes")), "time": total(trace.column("dur")),
    })  # fmt: skip
    return table.filter(pa.array([text != "" for text in texts], pa.bool_()))


def lines_table(trace: Calls) -> ArrowTable:
    """The figures by source line as a pyarrow.Table."""
    pa = pyarrow()
    rows = list(Lines.from_calls(trace))
    texts = ("file", "function")
    names = ("file", "line", "function", "calls", "errors", "refused", "bytes", "time")
    table: ArrowTable = pa.table({
        name: pa.array([getattr(row, name) for row in rows], pa.string() if name in texts else pa.int64())
        for name in names
    })  # fmt: skip
    return table


def output_table(trace: Calls) -> ArrowTable:
    """The guest's output to stdout and stderr, one row per call, as far as the trace kept it."""
    pa = pyarrow()
    chosen = trace.select(matching(trace, "call=fd_write ok (path='<stdout>' or path='<stderr>')"))
    rows = [
        (e.seq, e.t_start, e.path.strip("<>"), e.data.decode("utf-8", "replace"), e.truncated) for e in events(chosen)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * 5
    kinds = (pa.int64(), pa.int64(), pa.string(), pa.string(), pa.bool_())
    names = ("seq", "t_start", "stream", "text", "truncated")
    table: ArrowTable = pa.table({n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)})
    return table
