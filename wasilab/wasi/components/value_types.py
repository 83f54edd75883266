"""The resolved types of the component model: without indices, with resource types as objects.

Two types are the same type if they are equal. Resource types are equal only to themselves, because every instantiation
of a component creates new resource types. Names of records, variants and so on are not part of a type: a `use`d type is
the same type under another name.

This file also computes the layout (size, alignment, flat core types) of a type, once per type. A type that a hostile
component builds by doubling (a tuple of two tuples of two tuples ...) is refused by its weight before it is traversed.

Source: component-model, `design/mvp/CanonicalABI.md`, sections "Alignment", "Element Size", "Flattening".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_WEIGHT = 20_000
"""Maximum nodes of one type, counting every use of a part: generating code for more would take minutes."""
MAX_DEPTH = 100
"""Maximum nesting of a type, the same as in Wasmtime."""
MAX_FLAT_PARAMS = 16
MAX_FLAT_ASYNC_PARAMS = 4
MAX_FLAT_RESULTS = 1
MAX_VALUE_BYTES = (1 << 28) - 1
"""The maximum bytes of one string, list or value (CanonicalABI.md, MAX_LIST_BYTE_LENGTH)."""


class TypeTooLarge(ValueError):
    """A type that is too large."""


class ResourceType:
    """A resource type. `name` is for display; `owner` is the component instance that defined it, None for the host.

    `destroy` is called with the representation when an owned handle is dropped: the Python object of a host resource,
    or the 32-bit number that the guest chose.
    """

    __slots__ = ("destroy", "is_host", "name", "owner")

    def __init__(
        self, name: str, owner: object = None, destroy: Callable[..., object] | None = None, *, is_host: bool = False
    ) -> None:
        self.name = name
        self.owner = owner
        self.destroy = destroy
        self.is_host = is_host

    def forget(self) -> None:
        """Release references to its run, which has ended. The type itself may stay in caches of layouts."""
        self.owner = self.destroy = None

    def __repr__(self) -> str:
        return f"<resource {self.name}>"


class ValueType:
    """A value type."""

    __slots__ = ()

    def parts(self) -> Iterator[ValueType]:
        """The types that it directly consists of."""
        return iter(())


@dataclass(frozen=True, slots=True)
class PrimitiveType(ValueType):
    """bool, s8 ... u64, f32, f64, char, string, error-context."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListType(ValueType):
    """A list; of a fixed `length` if one is given."""

    element: ValueType
    length: int | None = None

    def parts(self) -> Iterator[ValueType]:
        yield self.element

    def __str__(self) -> str:
        return f"list<{self.element}{'' if self.length is None else f', {self.length}'}>"


@dataclass(frozen=True, slots=True)
class MapType(ValueType):
    """A map, passed as a list of pairs."""

    key: ValueType
    value: ValueType

    def parts(self) -> Iterator[ValueType]:
        yield self.key
        yield self.value

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class RecordType(ValueType):
    """Named fields, in order."""

    fields: tuple[tuple[str, ValueType], ...]

    def parts(self) -> Iterator[ValueType]:
        return (type_ for _, type_ in self.fields)

    def __str__(self) -> str:
        return f"record {{ {', '.join(f'{name}: {type_}' for name, type_ in self.fields)} }}"


@dataclass(frozen=True, slots=True)
class TupleType(ValueType):
    """Fields without names."""

    elements: tuple[ValueType, ...]

    def parts(self) -> Iterator[ValueType]:
        return iter(self.elements)

    def __str__(self) -> str:
        return f"tuple<{', '.join(map(str, self.elements))}>"


@dataclass(frozen=True, slots=True)
class VariantType(ValueType):
    """One of several named cases, each with a value or without."""

    cases: tuple[tuple[str, ValueType | None], ...]

    def parts(self) -> Iterator[ValueType]:
        return (type_ for _, type_ in self.cases if type_ is not None)

    def __str__(self) -> str:
        shown = (name if type_ is None else f"{name}({type_})" for name, type_ in self.cases)
        return f"variant {{ {', '.join(shown)} }}"


@dataclass(frozen=True, slots=True)
class EnumType(ValueType):
    """One of several names."""

    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f"enum {{ {', '.join(self.labels)} }}"


@dataclass(frozen=True, slots=True)
class OptionType(ValueType):
    """A value or none."""

    some: ValueType

    def parts(self) -> Iterator[ValueType]:
        yield self.some

    def __str__(self) -> str:
        return f"option<{self.some}>"


@dataclass(frozen=True, slots=True)
class ResultType(ValueType):
    """A success or an error, each with a value or without."""

    ok: ValueType | None = None
    error: ValueType | None = None

    def parts(self) -> Iterator[ValueType]:
        return (type_ for type_ in (self.ok, self.error) if type_ is not None)

    def __str__(self) -> str:
        if self.ok is None and self.error is None:
            return "result"
        if self.error is None:
            return f"result<{self.ok}>"
        return f"result<{'_' if self.ok is None else self.ok}, {self.error}>"


@dataclass(frozen=True, slots=True)
class FlagsType(ValueType):
    """A set of names, as bits from the lowest."""

    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f"flags {{ {', '.join(self.labels)} }}"


@dataclass(frozen=True, slots=True)
class OwnType(ValueType):
    """A handle that owns its resource."""

    resource: ResourceType

    def __str__(self) -> str:
        return f"own<{self.resource.name}>"


@dataclass(frozen=True, slots=True)
class BorrowType(ValueType):
    """A handle borrowed for the duration of a call."""

    resource: ResourceType

    def __str__(self) -> str:
        return f"borrow<{self.resource.name}>"


@dataclass(frozen=True, slots=True)
class StreamType(ValueType):
    """The readable end of a stream of elements; without values, only with counts, if `element` is None."""

    element: ValueType | None = None

    def parts(self) -> Iterator[ValueType]:
        return iter(() if self.element is None else (self.element,))

    def __str__(self) -> str:
        return "stream" if self.element is None else f"stream<{self.element}>"


@dataclass(frozen=True, slots=True)
class FutureType(ValueType):
    """The readable end of a future."""

    element: ValueType | None = None

    def parts(self) -> Iterator[ValueType]:
        return iter(() if self.element is None else (self.element,))

    def __str__(self) -> str:
        return "future" if self.element is None else f"future<{self.element}>"


@dataclass(frozen=True, slots=True)
class ComponentFuncType:
    """The type of a component function."""

    params: tuple[tuple[str, ValueType], ...] = ()
    result: ValueType | None = None
    is_async: bool = False

    def __str__(self) -> str:
        shown = ", ".join(f"{name}: {type_}" for name, type_ in self.params)
        arrow = "" if self.result is None else f" -> {self.result}"
        return f"{'async ' if self.is_async else ''}func({shown}){arrow}"


PRIMITIVES = {
    name: PrimitiveType(name)
    for name in (
        "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string", "error-context",
    )
}  # fmt: skip
U8, U32, U64, S32, S64, BOOL, STRING = (PRIMITIVES[n] for n in ("u8", "u32", "u64", "s32", "s64", "bool", "string"))

_PRIMITIVE_SIZES = {
    "bool": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "s64": 8, "u64": 8, "f32": 4, "f64": 8,
    "char": 4, "error-context": 4,
}  # fmt: skip
_PRIMITIVE_WORDS = {"s64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}
NUMBERS = frozenset({"s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64"})


def measured(type_: ValueType, weights: dict[int, tuple[int, int]]) -> ValueType:
    """Return `type_` after checking its size; `weights` caches the weights of its parts by identity.

    Raises `TypeTooLarge`.
    """
    weight, depth = 1, 1
    for part in type_.parts():
        found = weights.get(id(part))
        if found is None:
            measured(part, weights)
            found = weights[id(part)]
        times = type_.length or 1 if isinstance(type_, ListType) else 1
        weight += found[0] * min(times, MAX_FLAT_PARAMS + 1)  # in memory it is a loop
        depth = max(depth, found[1] + 1)
    weight += len(getattr(type_, "labels", ()))
    if weight > MAX_WEIGHT or depth > MAX_DEPTH:
        raise TypeTooLarge(
            f"a type of this component has more than {MAX_WEIGHT:,} parts or is nested more than {MAX_DEPTH} deep"
        )
    weights[id(type_)] = (weight, depth)
    return type_


def align_to(offset: int, alignment: int) -> int:
    """The next multiple of `alignment` from `offset` on."""
    return -(-offset // alignment) * alignment


def cases_of(type_: ValueType) -> tuple[tuple[str, ValueType | None], ...]:
    """The cases of a variant, enum, option or result."""
    if isinstance(type_, VariantType):
        return type_.cases
    if isinstance(type_, EnumType):
        return tuple((label, None) for label in type_.labels)
    if isinstance(type_, OptionType):
        return (("none", None), ("some", type_.some))
    assert isinstance(type_, ResultType)
    return (("ok", type_.ok), ("error", type_.error))


def pair_of(type_: MapType) -> TupleType:
    """The element type of a map as a list."""
    return TupleType((type_.key, type_.value))


def discriminant_size(count: int) -> int:
    """Bytes of the discriminant of `count` cases."""
    return 1 if count <= 1 << 8 else 2 if count <= 1 << 16 else 4


def _flags_size(count: int) -> int:
    return 1 if count <= 8 else 2 if count <= 16 else 4


def fields_of(type_: ValueType) -> list[tuple[int, ValueType]]:
    """(offset, type) of each field of a record or tuple."""
    found, offset = [], 0
    for part in type_.parts():
        size, alignment = layout(part)
        offset = align_to(offset, alignment)
        found.append((offset, part))
        offset += size
    return found


def payload_offset(type_: ValueType) -> int:
    """The offset of a case's value, after the discriminant."""
    cases = cases_of(type_)
    alignment = max((layout(part)[1] for _, part in cases if part is not None), default=1)
    return align_to(discriminant_size(len(cases)), alignment)


@lru_cache(maxsize=4096)
def layout(type_: ValueType) -> tuple[int, int]:
    """(bytes, alignment) of a value in memory."""
    if isinstance(type_, PrimitiveType):
        if type_.name == "string":
            return 8, 4
        size = _PRIMITIVE_SIZES[type_.name]
        return size, size
    if isinstance(type_, ListType):
        if type_.length is None:
            return 8, 4
        size, alignment = layout(type_.element)
        return size * type_.length, alignment
    if isinstance(type_, MapType):
        return 8, 4
    if isinstance(type_, (OwnType, BorrowType, StreamType, FutureType)):
        return 4, 4
    if isinstance(type_, FlagsType):
        size = _flags_size(len(type_.labels))
        return size, size
    if isinstance(type_, (RecordType, TupleType)):
        fields = fields_of(type_)
        alignment = max((layout(part)[1] for _, part in fields), default=1)
        end = fields[-1][0] + layout(fields[-1][1])[0] if fields else 0
        return align_to(end, alignment), alignment
    cases = cases_of(type_)
    parts = [layout(part) for _, part in cases if part is not None]
    alignment = max([discriminant_size(len(cases)), *(a for _, a in parts)])
    return align_to(payload_offset(type_) + max((s for s, _ in parts), default=0), alignment), alignment


def joined(one: str, other: str) -> str:
    """The core type that can carry either of two."""
    if one == other:
        return one
    return "i32" if {one, other} == {"i32", "f32"} else "i64"


@lru_cache(maxsize=4096)
def flat(type_: ValueType) -> tuple[str, ...]:
    """The core types of a value as parameters or results."""
    if isinstance(type_, PrimitiveType):
        return ("i32", "i32") if type_.name == "string" else (_PRIMITIVE_WORDS.get(type_.name, "i32"),)
    if isinstance(type_, MapType) or (isinstance(type_, ListType) and type_.length is None):
        return ("i32", "i32")
    if isinstance(type_, ListType):
        return flat(type_.element) * min(type_.length or 0, MAX_FLAT_PARAMS + 1)  # more is never flat
    if isinstance(type_, (OwnType, BorrowType, StreamType, FutureType, FlagsType)):
        return ("i32",)
    if isinstance(type_, (RecordType, TupleType)):
        return tuple(word for part in type_.parts() for word in flat(part))
    words: list[str] = []
    for _, part in cases_of(type_):
        for index, word in enumerate(flat(part) if part is not None else ()):
            if index < len(words):
                words[index] = joined(words[index], word)
            else:
                words.append(word)
    return ("i32", *words)


def contains(type_: ValueType | None, kinds: tuple[type[ValueType], ...]) -> bool:
    """Whether a type is one of `kinds` or made of one."""
    if type_ is None:
        return False
    return isinstance(type_, kinds) or any(contains(part, kinds) for part in type_.parts())


def contains_any(function: ComponentFuncType, kinds: tuple[type[ValueType], ...]) -> bool:
    """Whether a parameter or the result is one of `kinds` or made of one."""
    return contains(function.result, kinds) or any(contains(type_, kinds) for _, type_ in function.params)


@dataclass(frozen=True, slots=True)
class Signature:
    """The core signature of a lifted or lowered function: parameters and results, and what is passed through memory."""

    params: tuple[str, ...]
    results: tuple[str, ...]
    params_in_memory: bool
    """All parameters are in one tuple in memory, whose address is the first core parameter."""
    result_in_memory: bool
    """The result is in memory: at an address that is the last core parameter (lower) or the core result (lift)."""


def signature(function: ComponentFuncType, *, lowered: bool, is_async: bool, callback: bool = False) -> Signature:
    """The core signature of a component function (CanonicalABI.md, `flatten_functype`)."""
    params = tuple(word for _, type_ in function.params for word in flat(type_))
    results = flat(function.result) if function.result is not None else ()
    most = MAX_FLAT_ASYNC_PARAMS if lowered and is_async else MAX_FLAT_PARAMS
    spilled = len(params) > most
    if spilled:
        params = ("i32",)
    if not is_async:
        in_memory = len(results) > MAX_FLAT_RESULTS
        if in_memory:
            params, results = ((*params, "i32"), ()) if lowered else (params, ("i32",))
        return Signature(params, results, spilled, in_memory)
    if not lowered:
        return Signature(params, ("i32",) if callback else (), spilled, False)
    if results:
        params = (*params, "i32")
    return Signature(params, ("i32",), spilled, bool(results))
