"""The elements of the WebAssembly binary format: a bounded reader, and the types of imports and exports.

`module.py` reads the sections; this file reads their elements: LEB128 numbers, names, value types, limits, and the type
section. Recursive groups, structs and arrays of the GC proposal are skipped correctly, so that such a module can be
inspected, although only function types matter to WASI. Source: WebAssembly core 3.0, 5.2-5.5.
"""

from __future__ import annotations

from typing import NamedTuple

from ..text.numbers import counted

_VALUE_TYPES = {
    0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref",
    0x6E: "anyref", 0x6D: "eqref", 0x6C: "i31ref", 0x6B: "structref", 0x6A: "arrayref", 0x69: "exnref",
    0x68: "contref", 0x75: "nullcontref",
    0x71: "nullref", 0x72: "nullexternref", 0x73: "nullfuncref", 0x74: "nullexnref", 0x78: "i8", 0x77: "i16",
}  # fmt: skip

_MAX_NAME = 100_000
"""Wasmtime's limit on the bytes of an import or export name."""


class WasmFormatError(ValueError):
    """The bytes violate the binary format; the message says where and how."""


class FuncType(NamedTuple):
    """A function's type: the names of its parameters' and results' value types ("i32", "i64", ...)."""

    params: tuple[str, ...]
    results: tuple[str, ...]

    def __str__(self) -> str:
        return f"({', '.join(self.params)}) -> ({', '.join(self.results)})"


class MemoryType(NamedTuple):
    """A memory's type: its smallest and largest size in pages (`maximum` None: unbounded)."""

    minimum: int
    maximum: int | None
    shared: bool
    is_64: bool
    page_size: int

    @property
    def min_bytes(self) -> int:
        """The initial size in bytes."""
        return self.minimum * self.page_size

    @property
    def max_bytes(self) -> int | None:
        """The largest size in bytes that the module allows; None where it sets no bound."""
        return None if self.maximum is None else self.maximum * self.page_size

    def __str__(self) -> str:
        top = "" if self.maximum is None else str(self.maximum)
        return f"memory {self.minimum}..{top} pages{' shared' if self.shared else ''}{' 64-bit' if self.is_64 else ''}"


ExternType = FuncType | MemoryType | str
"""A function's or memory's type; tables, globals and tags as a description for people."""


class Reader:
    """A cursor over `data[position:end]` that raises `WasmFormatError` rather than read past the end."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= self.end

    def byte(self) -> int:
        """One byte."""
        if self.position >= self.end:
            raise WasmFormatError(f"it is truncated at byte {self.position}")
        value = self.data[self.position]
        self.position += 1
        return value

    def u32(self) -> int:
        """An unsigned LEB128 number of at most 32 bits."""
        return self._leb(32)

    def u64(self) -> int:
        """An unsigned LEB128 number of at most 64 bits."""
        return self._leb(64)

    def _leb(self, bits: int) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if value >> bits:
                    raise WasmFormatError(f"the number before byte {self.position} has more than {bits} bits")
                return value
            if shift >= bits:  # it needs ceil(bits / 7) bytes, and may have no more
                raise WasmFormatError(f"the number at byte {self.position} is too long")

    def s33(self) -> int:
        """A signed LEB128 number of at most 33 bits (a heap type)."""
        return self.signed(33)

    def signed(self, bits: int) -> int:
        """A signed LEB128 number of at most `bits` bits."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                value -= (byte & 0x40) << (shift - 6)
                if not -1 << (bits - 1) <= value < 1 << (bits - 1):
                    raise WasmFormatError(f"the number before byte {self.position} has more than {bits} bits")
                return value
            if shift >= bits:
                raise WasmFormatError(f"the number at byte {self.position} is too long")

    def sub(self, size: int) -> Reader:
        """A reader over the next `size` bytes, which this one skips."""
        begin = self.position
        if size > self.end - begin:
            raise WasmFormatError(
                f"it is truncated: {counted(size, 'byte is', 'bytes are')} declared at byte {begin:,}, but only "
                f"{self.end - begin:,} follow"
            )
        self.position = begin + size
        return Reader(self.data, begin, begin + size)

    def name(self) -> str:
        """A name: a length and that many bytes of UTF-8."""
        size = self.u32()
        if size > _MAX_NAME:
            raise WasmFormatError(f"a name of {size:,} bytes at byte {self.position:,} is too long")
        body = self.sub(size)
        try:
            return self.data[body.position : body.end].decode("utf-8")
        except UnicodeDecodeError:
            raise WasmFormatError(f"the name at byte {body.position:,} is not UTF-8") from None

    def count(self, smallest: int) -> int:
        """The length of a vector whose items take at least `smallest` bytes; an error if they cannot fit."""
        number = self.u32()
        if number * smallest > self.end - self.position:
            raise WasmFormatError(f"{number:,} items are declared at byte {self.position:,}: more than the bytes left")
        return number


def value_type(reader: Reader) -> str:
    """A value type (or a packed storage type) by name."""
    byte = reader.byte()
    if byte in (0x63, 0x64):
        heap = reader.s33()
        named = str(heap) if heap >= 0 else _VALUE_TYPES.get(heap & 0x7F, "?").removesuffix("ref")
        return f"(ref {'null ' if byte == 0x63 else ''}{named})"
    try:
        return _VALUE_TYPES[byte]
    except KeyError:
        raise WasmFormatError(f"0x{byte:02x} at byte {reader.position - 1:,} is not a value type") from None


def read_limits(reader: Reader) -> tuple[int, int | None, bool, bool, int]:
    """(minimum, maximum or None, shared, 64-bit, page size in bytes) of a memory or table."""
    flags = reader.byte()
    if flags > 15:
        raise WasmFormatError(f"unknown limits flags 0x{flags:02x} at byte {reader.position - 1:,}")
    minimum = reader.u64()
    maximum = reader.u64() if flags & 1 else None
    log2 = reader.u32() if flags & 8 else 16
    if log2 > 16:
        raise WasmFormatError(f"unsupported page size of 2**{log2} bytes")
    return minimum, maximum, bool(flags & 2), bool(flags & 4), 1 << log2


def read_types(reader: Reader) -> list[FuncType | None]:
    """The type section: function types by index, None for structs, arrays and continuations."""
    types: list[FuncType | None] = []
    for _ in range(reader.count(1)):
        types += read_type_group(reader, reader.byte())
    return types


def read_type_group(reader: Reader, form: int) -> list[FuncType | None]:
    """One type that begins with the byte `form`, or the types of a recursive group."""
    if form == 0x4E:
        return [_subtype(reader, reader.byte()) for _ in range(reader.count(2))]
    return [_subtype(reader, form)]


def _subtype(reader: Reader, form: int) -> FuncType | None:
    if form in (0x50, 0x4F):
        for _ in range(reader.count(1)):
            reader.u32()
        form = reader.byte()
    if form == 0x60:
        params = tuple(value_type(reader) for _ in range(reader.count(1)))
        return FuncType(params, tuple(value_type(reader) for _ in range(reader.count(1))))
    if form == 0x5F:
        for _ in range(reader.count(2)):
            _field(reader)
        return None
    if form == 0x5E:
        _field(reader)
        return None
    if form == 0x5D:  # a continuation of the proposal stack-switching
        reader.s33()
        return None
    raise WasmFormatError(f"0x{form:02x} at byte {reader.position - 1:,} is not a type")


def _field(reader: Reader) -> None:
    value_type(reader)
    reader.byte()
