"""Component values as bytes, by their type, and back.

The bytes of equal values are equal, so recorded and repeated arguments are compared as bytes. Reading does not trust
them: each size is checked against what is left, each number, case and text against its type. A resource is its number
(`Resources`).

    bool, integers, floats, char    their size in memory, little-endian
    string, list<u8>                length u32 | bytes
    other lists, maps               length u32 | the elements
    record, tuple                   the fields
    variant, enum, option, result   case u32 | its value, if it has one
    flags                           u64
    own, borrow                     the resource
"""

from __future__ import annotations

import struct
from typing import Protocol

from ....wasi.components import value_types as v
from ....wasi.components.waits import Value

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_FLOATS = {"f32": struct.Struct("<f"), "f64": struct.Struct("<d")}


class Damaged(ValueError):
    """Bytes that are not a value of the type."""


class Resources(Protocol):
    """Gives resources as bytes, and finds them by these."""

    def put(self, type_: v.OwnType | v.BorrowType, rep: Value, out: bytearray) -> None:
        """Append a resource."""

    def get(self, type_: v.OwnType | v.BorrowType, data: ValueReader) -> Value:
        """Read a resource. Raises `Damaged`."""


class ValueReader:
    """Reads bytes from the beginning to the end."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises `Damaged` if there are fewer."""
        end = self._at + size
        if end > len(self._data):
            raise Damaged("a value is cut short")
        found = self._data[self._at : end].tobytes()
        self._at = end
        return found

    def u32(self) -> int:
        """The next 32-bit number."""
        return int.from_bytes(self.take(4), "little")

    def text(self) -> str:
        """The next string. Raises `Damaged` if it is not UTF-8."""
        try:
            return self.take(self.u32()).decode()
        except UnicodeDecodeError:
            raise Damaged("a text is not UTF-8") from None

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Raise `Damaged` unless everything is read."""
        if self.left:
            raise Damaged("a value is longer than its type")


def put_bytes(data: bytes | bytearray | memoryview, out: bytearray) -> None:
    """Append a length and bytes."""
    out += _U32.pack(len(data))
    out += data


def put_value(type_: v.ValueType, value: Value, resources: Resources, out: bytearray) -> None:
    """Append a value of the type. The forms of values are in `abi/emitter.py`."""
    if isinstance(type_, v.PrimitiveType):
        _put_primitive(type_.name, value, out)
    elif isinstance(type_, (v.ListType, v.MapType)):
        element = v.pair_of(type_) if isinstance(type_, v.MapType) else type_.element
        if element == v.U8:
            put_bytes(bytes(value), out)
            return
        out += _U32.pack(len(value))
        for item in value:
            put_value(element, item, resources, out)
    elif isinstance(type_, (v.OwnType, v.BorrowType)):
        resources.put(type_, value, out)
    elif isinstance(type_, v.FlagsType):
        out += _U64.pack(value)
    elif isinstance(type_, (v.RecordType, v.TupleType)):
        for part, item in zip(type_.parts(), value, strict=True):
            put_value(part, item, resources, out)
    else:
        _put_case(type_, value, resources, out)


def _put_primitive(name: str, value: Value, out: bytearray) -> None:
    if name == "string":
        put_bytes(value.encode(), out)
    elif name in _FLOATS:
        out += _FLOATS[name].pack(value)
    elif name == "char":
        out += _U32.pack(ord(value))
    elif name == "bool":
        out.append(1 if value else 0)
    else:
        size = v.layout(v.PRIMITIVES[name])[0]
        out += (int(value) & (1 << 8 * size) - 1).to_bytes(size, "little")


def _put_case(type_: v.ValueType, value: Value, resources: Resources, out: bytearray) -> None:
    cases = v.cases_of(type_)
    if isinstance(type_, v.OptionType):
        name = "none" if value is None else "some"
        inside = value[0] if value is not None and isinstance(type_.some, v.OptionType) else value
    else:
        name, inside = (value, None) if isinstance(type_, v.EnumType) else value
    for index, (case, part) in enumerate(cases):
        if case == name:
            out += _U32.pack(index)
            if part is not None:
                put_value(part, inside, resources, out)
            return
    raise KeyError(name)


def get_value(type_: v.ValueType, data: ValueReader, resources: Resources) -> Value:
    """Read a value of the type. Raises `Damaged`."""
    if isinstance(type_, v.PrimitiveType):
        return _get_primitive(type_.name, data)
    if isinstance(type_, (v.ListType, v.MapType)):
        element = v.pair_of(type_) if isinstance(type_, v.MapType) else type_.element
        count = data.u32()
        if element == v.U8:
            return data.take(count)
        if count > data.left or (isinstance(type_, v.ListType) and type_.length not in (None, count)):
            raise Damaged("a list is longer than its bytes")  # each element has at least one
        return [get_value(element, data, resources) for _ in range(count)]
    if isinstance(type_, (v.OwnType, v.BorrowType)):
        return resources.get(type_, data)
    if isinstance(type_, v.FlagsType):
        bits = int.from_bytes(data.take(8), "little")
        if bits >> len(type_.labels):
            raise Damaged("flags that the type does not have are set")
        return bits
    if isinstance(type_, (v.RecordType, v.TupleType)):
        return tuple([get_value(part, data, resources) for part in type_.parts()])
    cases = v.cases_of(type_)
    index = data.u32()
    if index >= len(cases):
        raise Damaged(f"there is no case {index} of {len(cases)}")
    name, part = cases[index]
    inside = None if part is None else get_value(part, data, resources)
    if isinstance(type_, v.OptionType):
        return (inside,) if part is not None and index and isinstance(part, v.OptionType) else inside
    return name if isinstance(type_, v.EnumType) else (name, inside)


def _get_primitive(name: str, data: ValueReader) -> Value:
    if name == "string":
        return data.text()
    if name in _FLOATS:
        return _FLOATS[name].unpack(data.take(_FLOATS[name].size))[0]
    if name == "char":
        code = data.u32()
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise Damaged("a character does not exist")
        return chr(code)
    if name == "bool":
        (found,) = data.take(1)
        if found > 1:
            raise Damaged("a bool is neither 0 nor 1")
        return bool(found)
    return int.from_bytes(data.take(v.layout(v.PRIMITIVES[name])[0]), "little", signed=name[0] == "s")


def value_words(type_: v.ValueType, value: Value) -> str:
    """A value as text, for messages; long ones are cut."""
    if isinstance(type_, (v.OwnType, v.BorrowType)):
        path = getattr(value, "path", "")
        return f"{type_.resource.name} {getattr(value, 'number', '?')}" + (f" ({path})" if path else "")
    if isinstance(type_, v.FlagsType):
        return "|".join(label for bit, label in enumerate(type_.labels) if value >> bit & 1) or "none"
    if isinstance(type_, v.ListType) and not isinstance(value, (bytes, memoryview)):
        shown = ", ".join(value_words(type_.element, item) for item in value[:8])
        return f"[{shown}{', ...' if len(value) > 8 else ''}]"
    if isinstance(value, (bytes, memoryview)):
        return f"{bytes(value[:32])!r}{'...' if len(value) > 32 else ''} ({len(value):,} bytes)"
    text = value if isinstance(type_, v.EnumType) else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
