"""Decodes raw records into typed values, column by column, by the table of calls.

For: every view that shows arguments or results. A `Plan` says where each parameter of a function is recorded: in the
record's four core words, in its path, or in its payload (`record/payload.py` has the schema). `Batch` reads one
parameter of many calls at once with NumPy, so that decoding a row takes well under a microsecond. Not for: turning
values into text (`strace/values.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...wasi import types as t
from ...wasi.components import value_types as v
from ...wasi.components.error_names import name_of as component_error
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Type
from ...wasi.preview1.spec import UNKNOWN, UNSTABLE
from ..record.functions import BUILT_IN, Bytes, Function, Functions, unpack_values
from ..record.layout import DID_NOT_RETURN
from ..record.payload import HEADER, MAX_KEPT_SUBSCRIPTIONS, RECORD_WORDS, VALUES, Aux, Data, Schema, schema
from ..record.raw_values import Name, RawArgument, RawLayout, RawParam, RawResult, layout_of, lift_bytes, lift_words
from .part import Part
from .records import Array

Values = list[Any]

_BLOCK = 1 << 14
"""Calls for which `bytes_moved` computes at once."""
VALUE = "value"
"""The kind of a parameter or result of a further function (`record/functions.py`)."""
_VALUE_TYPE = Type("value", VALUE, ())
RAW = "raw"
"""The kind of a parameter or result of a function that is recorded raw (`record/raw_values.py`)."""
_HANDLE = Type("fd", sig.FD, ("i32",), struct=t.U32)
"""A handle of a component: shown like a descriptor, with its resource."""
_TEXT = Type("string", sig.STRING, sig.POINTER_AND_LENGTH)


class Iovec(NamedTuple):
    """One element of a scatter or gather list, with as much of its bytes as the trace kept."""

    ptr: int
    len: int
    data: bytes


class DirEntry(NamedTuple):
    """One entry that `fd_readdir` wrote; `name` is cut where the trace's snap length ended."""

    next: int
    ino: int
    filetype: int
    name: bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or result, and where it is stored."""

    name: str
    type: Type
    kind: str
    word: int = -1
    """Index of its first 32-bit word among the call's; -1 for a result."""
    order: int = 0
    """Which of the strings, fds or results it is, from 0."""
    raw: RawParam | None = None
    """The form of a parameter of the kind `RAW`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the calls of one function are read."""

    number: int
    """The column `call`."""
    name: str
    family: str
    module: str
    payload: Schema
    params: tuple[Field, ...]
    results: tuple[Field, ...]
    moves: str = ""
    """What `nbytes` is taken from: "result" (the first result), "length" (the buffer's length) or "" (0)."""
    writes: bool = False
    """Whether the bytes are written by the guest."""
    raw: RawLayout | None = None
    """How a function of the trace's own list is recorded raw."""

    @property
    def unstable(self) -> bool:
        """Whether it is a call of `wasi_unstable`, which has layouts of its own."""
        return self.module == "wasi_unstable"


_MOVED_IN_RESULT = {
    "fd_read", "fd_pread", "fd_write", "fd_pwrite", "fd_readdir", "path_readlink", "sock_recv", "sock_send",
}  # fmt: skip


def plan(functions: Functions, number: int, unstable: bool = False) -> Plan:
    """The plan of a function of a trace; without parameters for an unknown number."""
    further = functions.get(number)
    if further is not None:
        return _further_plan(number, further)
    return built_in_plan(number, unstable) if number < len(BUILT_IN) else _unknown_plan(number, functions.names[number])


@lru_cache(maxsize=512)
def built_in_plan(number: int, unstable: bool = False) -> Plan:
    """The plan of a function that is in every trace."""
    call = BUILT_IN[number]
    if unstable:
        call = UNSTABLE.get(call.name, call)
    at = 0
    params: list[Field] = []
    seen: dict[str, int] = {}
    for param in call.params:
        kind = param.type.kind
        order = seen.get(kind, 0)
        seen[kind] = order + 1
        params.append(Field(param.name, param.type, kind, at, order))
        at += sum(2 if word == "i64" else 1 for word in param.type.words)
    results = tuple(Field(r.name, r.type, "result", -1, i) for i, r in enumerate(call.results))
    moves = "result" if call.name in _MOVED_IN_RESULT else "length" if call.name == "random_get" else ""
    writes = "write" in call.name or "send" in call.name
    layout = schema(call)
    return Plan(number, call.name, call.family, call.module, layout, tuple(params), results, moves, writes)


def _raw_plan(number: int, function: Function, layout: RawLayout) -> Plan:
    params = tuple(_raw_field(param) for param in layout.params)
    results: tuple[Field, ...] = ()
    if layout.gotten is RawResult.HANDLE:
        results = (Field("result", _HANDLE, "result", -1, 0),)
    elif layout.gotten is not RawResult.NOTHING:
        results = (Field("result", Type("raw", RAW, ()), RAW, -1, 0),)
    sent = any(param.given is RawArgument.BYTES for param in layout.params)
    moves = "result" if sent or layout.gotten is RawResult.BYTES else ""
    payload = Schema(layout.words, Aux.NOTHING, Data.NOTHING, 0)
    return Plan(
        number, function.name, function.family, function.module, payload, params, results, moves, sent, layout
    )


def _raw_field(param: RawParam) -> Field:
    if param.given is RawArgument.HANDLE:
        return Field(param.name, _HANDLE, sig.FD, param.word, param.order)
    if param.given is RawArgument.STRING:
        return Field(param.name, _TEXT, sig.STRING, param.word, param.order)
    if param.given is RawArgument.NUMBER:
        name = str(param.type)
        words = ("i64",) if name.endswith("64") else ("i32",)
        return Field(param.name, Type(name, sig.SCALAR, words, signed=name[0] == "s"), sig.SCALAR, param.word)
    return Field(param.name, Type("raw", RAW, ()), RAW, param.word, param.order, param)


def _further_plan(number: int, function: Function) -> Plan:
    layout = layout_of(function)
    if layout is not None:
        return _raw_plan(number, function, layout)
    params = tuple(Field(name, _VALUE_TYPE, VALUE, -1, i) for i, (name, _) in enumerate(function.params))
    results = tuple(Field(name, _VALUE_TYPE, VALUE, -1, i) for i, (name, _) in enumerate(function.results))
    return Plan(number, function.name, function.family, function.module, VALUES, params, results)


def _unknown_plan(number: int, name: str) -> Plan:
    return Plan(number, name, "unknown", "", schema(UNKNOWN), (), ())


class Batch:
    """Calls of one function from one part, read column by column."""

    def __init__(self, part: Part, index: Array, how: Plan, records: Array | None = None) -> None:
        self.part = part
        self.index = index
        self.plan = how
        self.records = part.records[index] if records is None else records
        self.n = len(index)

    @cached_property
    def arena(self) -> bytes:
        """The part's payloads as bytes."""
        arena = self.part.arena
        return arena if isinstance(arena, bytes) else bytes(arena)

    @cached_property
    def words32(self) -> Array:
        """The part's payloads as 32-bit words."""
        whole = len(self.part.arena) & ~3
        return np.frombuffer(memoryview(self.part.arena)[:whole], "<u4") if whole else np.zeros(1, "<u4")

    @cached_property
    def places(self) -> tuple[Array, Array, Array, Array]:
        """For each payload: whether it exists, offset of aux, offset of data, end of data. A corrupt one counts as
        absent.
        """
        words_bytes = 4 * self.plan.payload.further_words
        size = len(self.part.arena) & ~3
        head = (self.records["payload"].astype("<i8") - 1) << 2
        good = (head >= 0) & (head + HEADER.size + words_bytes <= size)
        head = np.where(good, head, 0)
        index = head >> 2
        words = self.words32
        last = len(words) - 1
        first, data_len = words[np.minimum(index, last)], words[np.minimum(index + 1, last)].astype("<i8")
        aux = head + HEADER.size + words_bytes
        data = aux + (first >> 16)
        good &= data + data_len <= size
        return good, np.where(good, aux, 0), np.where(good, data, 0), np.where(good, data + data_len, 0)

    @property
    def has_payload(self) -> Array:
        """Whether each call has a payload."""
        return self.places[0]

    def extents(self) -> tuple[list[int], list[int], list[bool]]:
        """For each call's payload: start of the header, end of the data, whether it exists."""
        good, aux, _, end = self.places
        head = aux - HEADER.size - 4 * self.plan.payload.further_words
        return head.tolist(), end.tolist(), good.tolist()

    def word(self, k: int) -> Array:
        """The k-th 32-bit word of each call's arguments (0 if the trace does not have it)."""
        if k < RECORD_WORDS:
            return np.asarray(self.records["args"][:, k])
        good, aux, _, _ = self.places
        at = np.maximum(aux // 4 - self.plan.payload.further_words + k - RECORD_WORDS, 0)
        words = self.words32
        return np.asarray(np.where(good, words[np.minimum(at, len(words) - 1)], 0))

    def word64(self, k: int) -> Array:
        """Words k and k + 1 as one unsigned 64-bit number."""
        return np.asarray(self.word(k).astype("<u8") | (self.word(k + 1).astype("<u8") << np.uint64(32)))

    @cached_property
    def aux(self) -> list[bytes]:
        """The aux bytes of each call."""
        arena = self.arena
        _, low, high, _ = self.places
        return [arena[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)]

    @cached_property
    def data(self) -> list[bytes]:
        """The data bytes of each call."""
        arena = self.arena
        _, _, low, high = self.places
        return [arena[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)]

    @cached_property
    def errno(self) -> Array:
        """The errno of each call."""
        return np.asarray(self.records["errno"])

    def numbers(self, field: Field) -> Array:
        """A scalar parameter of each call."""
        if field.type.words == ("i64",):
            wide = self.word64(field.word)
            return wide.view("<i8") if field.type.signed else wide
        narrow = self.word(field.word)
        return narrow.astype("<i4") if field.type.signed else narrow

    # -- one parameter or result of all calls -------------------------------------------------------------------------

    def values(self, field: Field) -> Values:
        """The parameter's value in each call; None if the trace does not have it."""
        return _READERS[field.kind](self, field)

    def results(self, field: Field) -> Values:
        """The result's value in each call; None if the call failed or did not return."""
        layout = field.type.struct
        ok = (self.errno == 0).tolist()
        if field.kind == VALUE:
            found = _items(self.data, field.order)
            return [value if good else None for good, value in zip(ok, found, strict=True)]
        if field.kind == RAW:
            return _raw_results(self, ok)
        if self.plan.payload.aux is Aux.STRUCT and layout is not None:
            size, unpack = layout.size, layout.unpack
            make = _MAKERS.get((field.type.name, size), tuple)
            return [
                make(unpack(aux[:size])) if good and len(aux) >= size else None
                for good, aux in zip(ok, self.aux, strict=True)
            ]
        if field.order == 0:
            return [value if good else None for good, value in zip(ok, self.records["result"].tolist(), strict=True)]
        return [
            int.from_bytes(aux[-4:], "little") if good and len(aux) & 7 == 4 else None
            for good, aux in zip(ok, self.aux, strict=True)
        ]


def _fd(batch: Batch, field: Field) -> Values:
    return list(batch.word(field.word).astype("<i4").tolist())


def _scalar(batch: Batch, field: Field) -> Values:
    return list(batch.numbers(field).tolist())


def _string(batch: Batch, field: Field) -> Values:
    """First string: the record's path; second: aux. None if the trace has none (an unreadable pointer)."""
    if field.order:
        good = batch.has_payload.tolist()
        return [aux if has else None for has, aux in zip(good, batch.aux, strict=True)]
    paths = [None, *batch.part.paths]
    return [paths[i] if i < len(paths) else None for i in batch.records["path"].tolist()]


def _iovecs(batch: Batch, field: Field) -> Values:
    """A list of Iovec for each call; None if the array could not be read."""
    found: Values = []
    for aux, data, has in zip(batch.aux, batch.data, batch.has_payload.tolist(), strict=True):
        if not has:
            found.append(None)
            continue
        words = memoryview(aux[: len(aux) & ~7]).cast("I")
        vectors = []
        at = 0
        for i in range(0, len(words), 2):
            length = words[i + 1]
            vectors.append(Iovec(words[i], length, data[at : at + length]))
            at += length
        found.append(vectors)
    return found


def _buffer(batch: Batch, field: Field) -> Values:
    """The bytes written to the buffer (directory entries for fd_readdir); None if the call failed."""
    ok = (batch.errno == 0).tolist()
    if batch.plan.name == "fd_readdir":
        return [dirents(data) if good else None for good, data in zip(ok, batch.data, strict=True)]
    return [data if good else None for good, data in zip(ok, batch.data, strict=True)]


def _strings(batch: Batch, field: Field) -> Values:
    ok = (batch.errno == 0).tolist()
    rows = zip(ok, batch.data, strict=True)
    return [data.removesuffix(b"\0").split(b"\0") if good and data else None for good, data in rows]


def _subscriptions(batch: Batch, field: Field) -> Values:
    unstable = batch.plan.unstable
    size = batch.plan.payload.subscription_bytes
    found = []
    counts = batch.word(2).tolist()
    for aux, count, has in zip(batch.aux, counts, batch.has_payload.tolist(), strict=True):
        whole = min(len(aux) // size, count) * size
        found.append(t.decode_subscriptions(aux[:whole], unstable=unstable) if has else None)
    return found


def _events(batch: Batch, field: Field) -> Values:
    """The events written, which follow the subscriptions in aux, or are the data; None if the trace does not have
    them."""
    size = batch.plan.payload.subscription_bytes
    found: Values = []
    rows = zip(batch.aux, batch.data, batch.word(2).tolist(), batch.records["result"].tolist(), batch.errno.tolist(),
               strict=True)  # fmt: skip
    for aux, data, subscriptions, count, errno in rows:
        events = aux[min(subscriptions, MAX_KEPT_SUBSCRIPTIONS) * size :] or data
        if errno or not events or len(events) != count * t.EVENT.size:
            found.append(None)
        else:
            found.append([t.Event(*fields) for fields in t.EVENT.iter_unpack(events)])
    return found


def _value(batch: Batch, field: Field) -> Values:
    return _items(batch.aux, field.order)


def _raw(batch: Batch, field: Field) -> Values:
    """A parameter that is recorded raw: lifted from its words, or the stored bytes that they point to."""
    param = field.raw
    if param is None:
        return [None] * batch.n
    if param.given in (RawArgument.BYTES, RawArgument.COUNT, RawArgument.LIST):
        lengths = batch.word(param.word + 1).tolist()
        if param.given is RawArgument.BYTES:
            return [Bytes(data, length) for data, length in zip(batch.data, lengths, strict=True)]
        if param.given is RawArgument.COUNT:
            return [Name(f"{length} elements") for length in lengths]
        return [np.frombuffer(aux[: len(aux) & ~3], "<u4").tolist() for aux in batch.aux]
    kinds = v.flat(param.type)
    columns, at = [], param.word
    for kind in kinds:
        wide = kind in ("i64", "f64")
        columns.append((batch.word64(at) if wide else batch.word(at)).tolist())
        at += 2 if wide else 1
    return [lift_words(param.type, list(zip(row, kinds, strict=True))) for row in zip(*columns, strict=True)]


def _raw_results(batch: Batch, ok: list[bool]) -> Values:
    layout = batch.plan.raw
    if layout is None or layout.result is None:
        return [None] * batch.n
    type_ = layout.result
    if layout.gotten is RawResult.NUMBER:
        return [
            lift_words(type_, [(word, "i64")]) if good else None
            for good, word in zip(ok, batch.records["result"].tolist(), strict=True)
        ]
    if layout.gotten is RawResult.BYTES:
        text = type_ == v.STRING
        rows = zip(ok, batch.data, batch.records["result"].tolist(), strict=True)
        return [
            (data.decode("utf-8", "replace") if text else Bytes(data, length)) if good else None
            for good, data, length in rows
        ]
    if layout.gotten is RawResult.VALUES:
        return [value if good else None for good, value in zip(ok, _items(batch.data, 0), strict=True)]
    size = v.layout(type_)[0]
    return [
        lift_bytes(type_, aux) if good and len(aux) >= size else None for good, aux in zip(ok, batch.aux, strict=True)
    ]


def _items(packed: list[bytes], order: int) -> Values:
    """One of the values that each payload holds (`pack_values`)."""
    lists = map(unpack_values, packed)
    return [values[order] if values is not None and order < len(values) else None for values in lists]


_READERS: dict[str, Callable[[Batch, Field], Values]] = {
    sig.FD: _fd,
    sig.SCALAR: _scalar,
    sig.STRING: _string,
    sig.IOVECS: _iovecs,
    sig.CIOVECS: _iovecs,
    sig.OUTBUF: _buffer,
    sig.OUTSTRINGS: _strings,
    sig.INSUBS: _subscriptions,
    sig.OUTEVENTS: _events,
    VALUE: _value,
    RAW: _raw,
}


def dirents(data: bytes) -> list[DirEntry]:
    """The directory entries in `data`, the last one cut short if `data` is."""
    found = []
    at = 0
    while at + t.DIRENT.size <= len(data):
        following, ino, length, filetype = t.DIRENT.unpack_from(data, at)
        at += t.DIRENT.size
        found.append(DirEntry(following, ino, filetype, data[at : at + length]))
        at += length
    return found


def _filestat(fields: tuple[int, ...]) -> t.Filestat:
    dev, ino, filetype, nlink, size, atim, mtim, ctim = fields
    return t.Filestat(dev, ino, filetype, nlink, size, atim, mtim, ctim)  # type: ignore[arg-type]


_MAKERS: dict[tuple[str, int], Callable[[tuple[int, ...]], object]] = {
    ("filestat", 64): _filestat,
    ("filestat", 56): _filestat,
    ("fdstat", 24): lambda fields: t.Fdstat(*fields),
    ("prestat", 8): lambda fields: t.Prestat(*fields),
}


def bytes_moved(
    call: Array, errno: Array, result: Array, args: Callable[[], Array], functions: Functions
) -> Array:
    """The bytes that each call read or wrote, u64: 0 for failed calls and those that transfer none.

    `args` is called only if a call needs its arguments for that.
    """
    by_result, by_length = _moves()
    if functions.further:
        by_result = by_result.copy()
        for number in functions.known[len(BUILT_IN) :]:
            by_result[number] = plan(functions, number).moves == "result"
    moved = np.zeros(len(call), "<u8")
    for at in range(0, len(moved), _BLOCK):  # blocks stay in the processor's cache
        part = slice(at, at + _BLOCK)
        good = errno[part] == 0
        yields = by_result[call[part]] & good
        if yields.any():
            moved[part][yields] = result[part][yields]
        lengths = by_length[call[part]] & good
        if lengths.any():
            moved[part][lengths] = args()[part][lengths, 1]
    return moved


@cache
def _moves() -> tuple[Array, Array]:
    """For each number of a built-in function, whether its result is a number of bytes, and whether an argument is."""
    by_result, by_length = np.zeros(256, bool), np.zeros(256, bool)
    for number in range(len(BUILT_IN)):
        by_result[number] = built_in_plan(number).moves == "result"
        by_length[number] = built_in_plan(number).moves == "length"
    return by_result, by_length


def _errno_name(number: int) -> str:
    if number == 0:
        return ""
    if number == DID_NOT_RETURN:
        return "?"
    return KNOWN_ERRNOS[number].symbol if number in KNOWN_ERRNOS else component_error(number) or f"E{number}"


KNOWN_ERRNOS: dict[int, t.Errno] = {int(errno): errno for errno in t.Errno}
"""Number -> errno."""
ERRNO_NAMES: tuple[str, ...] = tuple(map(_errno_name, range(256)))
"""`ENOENT`; "" for success, "?" for a call that did not return, "E123" for a number that WASI does not have."""
ERRNO_TEXTS: tuple[str, ...] = tuple(KNOWN_ERRNOS[n].text if n in KNOWN_ERRNOS else "unknown error" for n in range(256))
"""The message of each errno, as in strace."""
