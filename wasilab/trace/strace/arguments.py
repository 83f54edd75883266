"""Formats parameters and results, column by column, as pieces of lines.

For: `lines.py`. Not for: a single value (`values.py`), or joining pieces to lines (`pieces.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import TypeVar

import numpy as np

from ...wasi import types as t
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import RIGHTS, Type
from ..columns.decode import RAW, VALUE, Batch, Field, Iovec
from ..columns.records import Array
from ..record.layout import Flag
from ..record.payload import MAX_KEPT_SUBSCRIPTIONS
from .pieces import Piece, distinct, numbered, texts
from .stamps import dates
from .style import STRING_BYTES
from .values import (
    SHORT_RIGHTS,
    UNKNOWN,
    clipped,
    clock_flags,
    event_text,
    listed,
    names_of,
    quote,
    quoted,
    struct_text,
    subscription_text,
    value_text,
)  # fmt: skip

T = TypeVar("T")

Fds = Callable[[Batch, Field], Piece]
"""Formats a column of descriptors, with or without their paths."""
MOST_BUFFERS = 8
"""Longer lists of buffers are written one by one."""
PATH_CHARACTERS = 4096
"""A path is shown completely, up to the maximum that a recorder keeps."""


def parameter(batch: Batch, field: Field, limit: int, fds: Fds, verbose: bool = True) -> list[Piece]:
    """The text of one parameter in every call of a batch. `limit`: bytes shown of a buffer; `verbose`: all rights by
    name.
    """
    kind = field.kind
    if kind == sig.FD:
        return [fds(batch, field)]
    if kind == sig.SCALAR:
        return [scalar(batch.numbers(field), field.type, verbose)]
    if kind == sig.STRING:
        return [_string(batch, field, limit)]
    if kind in (sig.IOVECS, sig.CIOVECS):
        return _iovecs(batch, field, limit)
    if kind == sig.OUTBUF:
        return [_buffer(batch, field, limit)]
    if kind == sig.OUTSTRINGS:
        return [_strings(batch, field, limit)]
    if kind == sig.INSUBS:
        return [_subscriptions(batch, field)]
    if kind == sig.OUTEVENTS:
        return [_events(batch, field)]
    if kind in (VALUE, RAW):
        return [_values(batch.values(field), limit)]
    return [UNKNOWN]


def result(batch: Batch, field: Field, verbose: bool = True) -> list[Piece]:
    """The text of one result in every call; "?" if there is none."""
    if field.type.record:
        return _struct(batch, field, verbose)
    if field.kind in (VALUE, RAW):
        return [_values(batch.results(field), STRING_BYTES)]
    if field.order == 0 and not batch.errno.any():
        return [scalar(batch.records["result"], field.type, verbose)]
    values = batch.results(field)
    if field.type.python is not None:
        names = names_of(field.type.python)
        return [[UNKNOWN if value is None else names[value] for value in values]]
    return [[UNKNOWN if value is None else str(value) for value in values]]


def _struct(batch: Batch, field: Field, verbose: bool) -> list[Piece]:
    """A struct of the spec in braces, member by member."""
    layout = field.type.struct
    make = _STRUCTS.get(field.type.name)
    good, aux, data, _ = batch.places
    if layout is None or make is None or batch.errno.any() or not (good & (data - aux >= layout.size)).all():
        return [[UNKNOWN if v is None else struct_text(v, verbose) for v in batch.results(field)]]
    raw = np.frombuffer(batch.arena, "u1")[aux[:, None] + np.arange(layout.size)]
    members = raw.view(layout_dtype(layout)).ravel()
    pieces: list[Piece] = []
    for i, (name, kind) in enumerate(make):
        column = np.ascontiguousarray(members[f"f{i}"])
        if kind is not t.Rights:
            pieces += [f", {name}=" if i else f"{{{name}=", _member(column, kind)]
        elif name == "rights_inheriting" and not verbose:
            pieces += _inheriting(name, members[f"f{i - 1}"], column)
        else:
            pieces += [f", {name}=", scalar(column, RIGHTS, verbose)]
    return [*pieces, "}"]


def inheriting(batch: Batch, field: Field) -> list[Piece]:
    """The inheriting rights of path_open, with the comma before them, if they lack some of the requested rights.

    Libraries request all that the directory can pass on, so otherwise they are omitted.
    """
    base = next(other for other in batch.plan.params if other.name == "fs_rights_base")
    return _inheriting(field.name, batch.numbers(base), batch.numbers(field))


def _inheriting(name: str, base: Array, rights: Array) -> list[Piece]:
    shown = base & ~rights != 0
    if not shown.any():
        return []
    found = zip(shown.tolist(), rights.tolist(), strict=True)
    return [[f", {name}={SHORT_RIGHTS[value]}" if some else "" for some, value in found]]


def _member(column: Array, kind: type[IntEnum] | type[IntFlag] | str | None) -> Piece:
    if isinstance(kind, str):  # "time"
        return dates(column)
    return numbered(column, str if kind is None else names_of(kind).__getitem__)


_STRUCTS: dict[str, tuple[tuple[str, type[IntEnum] | type[IntFlag] | str | None], ...]] = {
    "filestat": (
        ("dev", None), ("ino", None), ("filetype", t.Filetype), ("nlink", None), ("size", None), ("atim", "time"),
        ("mtim", "time"), ("ctim", "time"),
    ),
    "fdstat": (
        ("filetype", t.Filetype), ("flags", t.Fdflags), ("rights_base", t.Rights), ("rights_inheriting", t.Rights),
    ),
    "prestat": (("tag", t.Preopentype), ("name_len", None)),
}  # fmt: skip
"""The members of result structs in the order of their layouts, and the types that name their values."""


@lru_cache(maxsize=16)
def layout_dtype(layout: struct.Struct) -> np.dtype[np.void]:
    """A little-endian `struct` layout as a NumPy one with the fields f0, f1, ..."""
    kinds, offsets, at = [], [], 0
    for letter in layout.format.removeprefix("<"):
        size = struct.calcsize(f"<{letter}")
        if letter != "x":
            kinds.append(f"<u{size}")
            offsets.append(at)
        at += size
    names = [f"f{i}" for i in range(len(kinds))]
    return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": layout.size})


def scalar(values: Array, kind: Type, verbose: bool = True) -> Piece:
    """Numbers as text, or as names if their type has names."""
    if kind.python is None:
        return numbered(values, str)
    if kind.python is t.Rights and not verbose:
        return numbered(values, SHORT_RIGHTS.__getitem__)
    return numbered(values, names_of(kind.python).__getitem__)


def _values(values: Iterable[object], limit: int) -> list[str]:
    return [UNKNOWN if value is None else value_text(value, limit) for value in values]


def _string(batch: Batch, field: Field, limit: int) -> Piece:
    most = max(limit, PATH_CHARACTERS)
    if field.order:
        return [UNKNOWN if value is None else clipped(value, most) for value in batch.values(field)]
    paths = batch.part.paths
    return numbered(
        batch.records["path"], lambda i: clipped(paths[i - 1], most) if 0 < i <= len(paths) else UNKNOWN
    )


def _strings(batch: Batch, field: Field, limit: int) -> Piece:
    """The arguments or variables that the guest got; the last with "..." if the trace did not keep all."""
    pointers = batch.word(field.word).tolist()
    cut = (batch.records["flags"] & int(Flag.TRUNCATED) != 0).tolist()
    rows = zip(pointers, batch.values(field), cut, strict=True)
    return [
        f"{p:#x}" if v is None
        else "[" + ", ".join(clipped(text, limit, more and i == len(v)) for i, text in enumerate(v, 1)) + "]"
        for p, v, more in rows
    ]  # fmt: skip


def _at_pointers(batch: Batch, field: Field, one: Callable[[T], str]) -> Piece:
    """Lists that the call wrote; the address of the list if it wrote none."""
    pointers = batch.word(field.word).tolist()
    values = batch.values(field)
    return [f"{p:#x}" if v is None else listed(v, one) for p, v in zip(pointers, values, strict=True)]


def _subscriptions(batch: Batch, field: Field) -> Piece:
    good, aux, data, _ = batch.places
    size = t.SUBSCRIPTION.size
    if batch.plan.unstable or not good.all():
        return [listed(value, subscription_text) for value in batch.values(field)]
    counts = np.minimum((data - aux) // size, batch.word(2))
    rows = _structs_at(batch, aux, counts, t.SUBSCRIPTION)
    made = np.empty(len(rows), object)
    clock = rows["f1"] == t.Eventtype.CLOCK
    for some, is_clock in ((np.flatnonzero(clock), True), (np.flatnonzero(~clock), False)):
        one = rows[some]
        tail = [", userdata=", numbered(one["f0"], hex), "}"]
        if is_clock:
            pieces = ["{CLOCK ", numbered(one["f2"], names_of(t.ClockId).__getitem__), ", timeout=",
                      numbered(one["f3"], str), numbered(one["f5"], clock_flags), *tail]  # fmt: skip
        else:
            kinds = numbered(one["f1"], names_of(t.Eventtype).__getitem__)
            pieces = ["{", kinds, " fd=", numbered(one["f2"], str), *tail]
        made[some] = texts(pieces, len(some))
    return _lists(made, counts)


def _events(batch: Batch, field: Field) -> Piece:
    """The events written, which follow the subscriptions; their address if the trace does not have them."""
    good, aux, data, _ = batch.places
    kept = np.minimum(batch.word(2), MAX_KEPT_SUBSCRIPTIONS).astype("<i8") * t.SUBSCRIPTION.size
    counts = batch.records["result"]
    whole = good & (data - aux - kept == counts.astype("<i8") * t.EVENT.size) & (counts > 0)
    if batch.plan.unstable or batch.errno.any() or not whole.all():
        return _at_pointers(batch, field, event_text)
    rows = _structs_at(batch, aux + kept, counts.astype("<i8"), t.EVENT)
    fields = zip(*(rows[f"f{i}"].tolist() for i in range(5)), strict=True)
    known: dict[tuple[int, ...], str] = {}
    made = np.empty(len(rows), object)
    made[:] = [known.get(one) or known.setdefault(one, event_text(t.Event(*one))) for one in fields]
    return _lists(made, counts.astype("<i8"))


def _structs_at(batch: Batch, starts: Array, counts: Array, layout: struct.Struct) -> Array:
    """The structs of all calls in one array: `counts` of them, from the byte offsets `starts` of the arena."""
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    where = np.repeat(starts, counts) + within * layout.size
    raw = np.frombuffer(batch.arena, "u1")[where[:, None] + np.arange(layout.size)]
    return np.asarray(raw.view(layout_dtype(layout)).ravel())


def _lists(texts: Array, counts: Array) -> list[str]:
    """`[a, b]` for each call; `counts` are the numbers of texts of each."""
    flat = texts.tolist()
    ends = np.cumsum(counts)
    return [f"[{', '.join(flat[a:b])}]" for a, b in zip((ends - counts).tolist(), ends.tolist(), strict=True)]


def _iovecs(batch: Batch, field: Field, limit: int) -> list[Piece]:
    """Scatter and gather lists with their bytes, for calls with the same number of buffers together."""
    good, aux, data, _ = batch.places
    few = distinct(np.where(good, (data - aux) >> 3, -1))
    if few is None:
        return [_vectors(batch, field, limit)]
    codes, counts = few
    if len(counts) == 1:
        return _buffers(batch, int(counts[0]), limit) or [_vectors(batch, field, limit)]
    out = np.empty(batch.n, object)
    for code, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(codes == code)
        some = Batch(batch.part, batch.index[rows], batch.plan, batch.records[rows])
        out[rows] = texts(_buffers(some, count, limit) or [_vectors(some, field, limit)], len(rows))
    return [out.tolist()]


def _buffers(batch: Batch, count: int, limit: int) -> list[Piece]:
    """Lists of `count` buffers each, buffer by buffer; [] if that is not possible."""
    if not 0 < count <= MOST_BUFFERS:
        return []
    _, aux, data, end = batch.places
    outgoing = batch.plan.writes
    most = np.minimum(batch.records["result"], 1 << 62).astype("<i8")  # a corrupt file may have any number
    moved = None if outgoing else np.where(batch.errno == 0, most, 0)
    pieces: list[Piece] = []
    start, done = data, np.zeros(batch.n, "<i8")
    for k in range(count):
        lengths = batch.words32[(aux >> 2) + 2 * k + 1].astype("<i8")
        whole = lengths if moved is None else np.clip(moved - done, 0, lengths)
        stop = np.minimum(start + lengths, end)
        kept = stop - start
        if ((kept == 0) & (whole > 0)).any():  # there were bytes, and none were kept
            return []
        cut = (kept > limit) | (kept < whole)
        shown = zip(start.tolist(), np.minimum(stop, start + limit).tolist(), strict=True)
        arena = batch.arena
        ends = numbered(lengths << 1 | cut, lambda n: f"{'...' if n & 1 else ''}, len={n >> 1}}}")
        pieces += [", {buf=" if k else "[{buf=", quoted([arena[a:b] for a, b in shown]), ends]
        start, done = stop, done + lengths
    return [*pieces, "]"]


def _vectors(batch: Batch, field: Field, limit: int) -> list[str]:
    ok = (batch.errno == 0).tolist()
    moved = batch.records["result"].tolist()
    rows = zip(batch.values(field), ok, moved, strict=True)
    return [_vector_list(vectors, good, count, batch.plan.writes, limit) for vectors, good, count in rows]


def _vector_list(vectors: list[Iovec] | None, ok: bool, moved: int, outgoing: bool, limit: int) -> str:
    if vectors is None:
        return UNKNOWN
    left = moved if ok and not outgoing else sum(v.len for v in vectors) if outgoing else 0
    out = []
    for vector in vectors:
        whole = min(left, vector.len)
        left -= whole
        if whole and not vector.data:
            out.append(f"{{len={vector.len}}}")
        else:
            out.append(f"{{buf={clipped(vector.data, limit, len(vector.data) < whole)}, len={vector.len}}}")
    return "[" + ", ".join(out) + "]"


def _buffer(batch: Batch, field: Field, limit: int) -> list[str]:
    """An output buffer: its contents and length, or its address if the call failed."""
    pointers, lengths = batch.word(field.word).tolist(), batch.word(field.word + 1).tolist()
    written = batch.records["result"].tolist() if batch.plan.moves == "result" else lengths
    texts = []
    for value, pointer, length, count in zip(batch.values(field), pointers, lengths, written, strict=True):
        if value is None:
            text = f"{pointer:#x}"
        elif isinstance(value, list):
            text = "[" + ", ".join(
                f"{{name={quote(e.name)}, type={names_of(t.Filetype)[e.filetype]}, ino={e.ino}, next={e.next}}}"
                for e in value
            )
            used = sum(t.DIRENT.size + len(e.name) for e in value)
            text += (", ...]" if value else "...]") if used < count else "]"
        else:
            text = clipped(value, limit, len(value) < count)
        texts.append(f"{text}, {field.name}_len={length}")
    return texts
