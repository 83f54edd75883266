"""The raw form in which a trace stores calls of a component's imports: their core words, and the data they point to.

A further function (`functions.py`) is recorded either as values (`pack_values`), which is general and slow, or raw: its
core words are in the record and its payload, the first string is the record's path, and of the data in memory the parts
that are displayed are kept. `raw_layout` derives from the types what is kept where, so that the engine, which writes,
and `columns/`, which reads, agree.

=========  =====================================================================
aux        the second string, or the elements of a list, or the result's bytes
data       bytes that the call got (a list<u8>), or returned
result     a result of one word; for bytes or text, their length
=========  =====================================================================

Not for: functions with parameters in memory, or that wait (these are recorded as values).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from ...wasi.components import value_types as v
from ...wasi.components.wit.wit_text import read_type
from .functions import Function

MAX_TYPE_TEXT = 20_000
"""Maximum characters of one type in a trace file."""


class RawArgument(Enum):
    """How a parameter is recorded."""

    HANDLE = "a handle of the guest"
    NUMBER = "an integer"
    WORDS = "core words, to be lifted"
    STRING = "text: the path, or aux"
    BYTES = "a list<u8>: data, and its length among the words"
    LIST = "a list of 32-bit elements: aux, and its length among the words"
    COUNT = "a list; only its length is kept"


class RawResult(Enum):
    """How the result (of a result type: its success) is recorded."""

    NOTHING = "no result"
    NUMBER = "in the result column"
    HANDLE = "the number of an owned handle, in the result column"
    BYTES = "data, and the length in the result column"
    STRUCT = "aux: as in memory"
    VALUES = "data, written by `pack_values`"


@dataclass(frozen=True, slots=True)
class RawParam:
    """One parameter: its first 32-bit word, and which of the handles or strings it is."""

    name: str
    type: v.ValueType
    given: RawArgument
    word: int
    order: int = 0


@dataclass(frozen=True, slots=True)
class RawLayout:
    """How the calls of one function are recorded."""

    params: tuple[RawParam, ...]
    words: int
    """32-bit core words of the parameters."""
    result: v.ValueType | None
    gotten: RawResult
    second_string: bool
    listed: bool


INTEGERS = frozenset({"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"})
"""The primitive types of integers."""


def raw_layout(params: tuple[tuple[str, v.ValueType], ...], result: v.ValueType | None) -> RawLayout | None:
    """The layout for these types; None if the parameters do not fit into core words."""
    found: list[RawParam] = []
    word = strings = handles = lists = data = 0
    if sum(len(v.flat(type_)) for _, type_ in params) > v.MAX_FLAT_PARAMS:
        return None
    for name, type_ in params:
        given, order = RawArgument.WORDS, 0
        if isinstance(type_, (v.OwnType, v.BorrowType)):
            given, order, handles = RawArgument.HANDLE, handles, handles + 1
        elif isinstance(type_, v.PrimitiveType) and type_.name in INTEGERS:
            given = RawArgument.NUMBER
        elif type_ == v.STRING:
            given = RawArgument.STRING if strings < 2 else RawArgument.COUNT
            order, strings = strings, strings + 1
        elif type_ == v.ListType(v.U8):
            given, data = (RawArgument.BYTES, 1) if not data else (RawArgument.COUNT, data)
        elif isinstance(type_, v.ListType) and type_.length is None and v.layout(type_.element)[0] == 4:
            given, lists = (RawArgument.LIST, 1) if not lists else (RawArgument.COUNT, lists)
        elif isinstance(type_, (v.ListType, v.MapType)):
            given = RawArgument.COUNT
        found.append(RawParam(name, type_, given, word, order))
        word += sum(2 if kind in ("i64", "f64") else 1 for kind in v.flat(type_))
    success = result.ok if isinstance(result, v.ResultType) else result
    second = strings >= 2
    listed = bool(lists) and not second
    if lists and second:
        found = [
            p if p.given is not RawArgument.LIST else RawParam(p.name, p.type, RawArgument.COUNT, p.word) for p in found
        ]
    gotten = _gotten(success, aux_free=not second and not listed, data_free=not data)
    return RawLayout(tuple(found), word, success, gotten, second, listed)


def _gotten(type_: v.ValueType | None, *, aux_free: bool, data_free: bool) -> RawResult:
    if type_ is None:
        return RawResult.NOTHING
    if isinstance(type_, v.OwnType):
        return RawResult.HANDLE
    if isinstance(type_, v.PrimitiveType) and type_.name in INTEGERS | {"bool"}:
        return RawResult.NUMBER
    if type_ in (v.STRING, v.ListType(v.U8)) and data_free:
        return RawResult.BYTES
    if (
        aux_free
        and not v.contains(type_, (v.ListType, v.MapType))
        and not _has_text(type_)
        and v.layout(type_)[0] < 4096
    ):
        return RawResult.STRUCT
    return RawResult.VALUES


def _has_text(type_: v.ValueType) -> bool:
    return type_ == v.STRING or any(_has_text(part) for part in type_.parts())


@lru_cache(maxsize=1024)
def layout_of(function: Function) -> RawLayout | None:
    """The layout of a function of a trace's own list; None if it is recorded as values, or its types are invalid.

    The types may come from an untrusted file.
    """
    if not function.raw:
        return None
    try:
        params = tuple((name, _read(text)) for name, text in function.params)
        result = _read(function.results[0][1]) if function.results else None
        return raw_layout(params, result)
    except (ValueError, RecursionError, AssertionError):
        return None


def _read(text: str) -> v.ValueType:
    if len(text) > MAX_TYPE_TEXT:
        raise ValueError("a type is too long")
    return v.measured(read_type(text, v.ResourceType), {})


# -- values out of words and bytes ------------------------------------------------------------------------------------


class Name(str):
    """A name of a type (a case, a flag), which is shown without quotes."""

    __slots__ = ()


def lift_words(type_: v.ValueType, words: list[tuple[int, str]]) -> object:
    """The value of core words as plain values: dictionaries for records, `Name` for cases; a pointer with its length if
    the value is in memory. `words` are (word, core type), as many as `flat` gives."""
    if isinstance(type_, v.PrimitiveType):
        if type_.name == "string":
            return f"{words[0][0]:#x}, {words[1][0]}"
        return _number(type_.name, words[0][0])
    if isinstance(type_, (v.OwnType, v.BorrowType, v.StreamType, v.FutureType)):
        return words[0][0] & 0xFFFFFFFF
    if isinstance(type_, v.FlagsType):
        return _flags(type_, words[0][0])
    if isinstance(type_, (v.ListType, v.MapType)):
        return f"{words[0][0]:#x}, {words[1][0]}"
    if isinstance(type_, (v.RecordType, v.TupleType)):
        parts, at = [], 0
        for part in type_.parts():
            count = len(v.flat(part))
            parts.append(lift_words(part, words[at : at + count]))
            at += count
        return _fields(type_, parts)
    return _case(type_, words[0][0], lambda part: lift_words(part, words[1 : 1 + len(v.flat(part))]))


def lift_bytes(type_: v.ValueType, data: bytes, at: int = 0) -> object:
    """The same for a value in memory. Raises `ValueError` for too few bytes."""
    size = v.layout(type_)[0]
    if at + size > len(data):
        raise ValueError("a value is truncated")
    if isinstance(type_, v.PrimitiveType) and type_.name != "string":
        return _number(type_.name, int.from_bytes(data[at : at + size], "little"))
    if isinstance(type_, (v.OwnType, v.BorrowType, v.StreamType, v.FutureType)):
        return int.from_bytes(data[at : at + 4], "little")
    if isinstance(type_, v.FlagsType):
        return _flags(type_, int.from_bytes(data[at : at + size], "little"))
    if isinstance(type_, (v.PrimitiveType, v.ListType, v.MapType)):
        first, second = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        return f"{first:#x}, {second}"
    if isinstance(type_, (v.RecordType, v.TupleType)):
        return _fields(type_, [lift_bytes(part, data, at + where) for where, part in v.fields_of(type_)])
    count = v.discriminant_size(len(v.cases_of(type_)))
    behind = v.payload_offset(type_)
    return _case(
        type_, int.from_bytes(data[at : at + count], "little"), lambda part: lift_bytes(part, data, at + behind)
    )


def _number(name: str, word: int) -> object:
    if name == "bool":
        return word != 0
    if name == "char":
        return chr(word) if word < 0x110000 else word
    if name in ("f32", "f64"):
        packed = struct.pack("<Q", word)
        return struct.unpack("<f", packed[:4])[0] if name == "f32" else struct.unpack("<d", packed)[0]
    if name not in INTEGERS:
        return word
    bits = int(name[1:])
    word &= (1 << bits) - 1
    return word - (1 << bits) if name[0] == "s" and word >> (bits - 1) else word


def _flags(type_: v.FlagsType, bits: int) -> Name:
    names = [label for bit, label in enumerate(type_.labels) if bits >> bit & 1]
    return Name("|".join(names) or "none")


def _fields(type_: v.ValueType, parts: list[object]) -> object:
    if isinstance(type_, v.RecordType):
        return {name: part for (name, _), part in zip(type_.fields, parts, strict=True)}
    return parts


def _case(type_: v.ValueType, index: int, payload: Callable[[v.ValueType], object]) -> object:
    cases = v.cases_of(type_)
    if index >= len(cases):
        return Name(f"case-{index}")
    name, part = cases[index]
    if part is None:
        return Name(name)
    value = payload(part)
    return value if isinstance(type_, v.OptionType) else {Name(name): value}
