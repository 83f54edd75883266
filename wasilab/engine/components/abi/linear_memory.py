"""The linear memory of a lift or lower, and the only access to it: check, then read or write.

A component names the memory of each lifted or lowered function in the canonical options; it is not looked up by the
name "memory" as in a module (`engine/calls/memory.py`). Every pointer and length is hostile: a misaligned or
out-of-bounds pointer and a string that is invalid in its encoding end the guest with a `Trap`.

A memory may grow whenever guest code runs, including `realloc`. Its base does not move (the engine is configured so):
an old view stays valid for its range, and an access beyond it checks for growth first.

Source: component-model, `design/mvp/CanonicalABI.md`, "Loading" and "Storing".
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable

import wasmtime

from ....wasi.components.value_types import MAX_VALUE_BYTES
from ....wasi.types import Trap
from ...calls.memory import _Region

UTF16_TAG = 1 << 31
_PACK_F32, _PACK_F64 = struct.Struct("<f"), struct.Struct("<d")
_PACK_U32, _PACK_U64 = struct.Struct("<I"), struct.Struct("<Q")
NAN = math.nan
_CANONICAL_NAN32, _CANONICAL_NAN64 = 0x7FC00000, 0x7FF8000000000000


class Text(str):
    """A string passed between guests. It keeps its encoding, which determines the allocations in the receiving
    memory."""

    __slots__ = ("encoding", "units")

    encoding: str
    units: int
    """Code units in that encoding, with the tag of latin1+utf16."""


def f32_of(bits: int) -> float:
    """The number of 32 bits; every NaN is the canonical one."""
    number: float = _PACK_F32.unpack(_PACK_U32.pack(bits))[0]
    return number if number == number else NAN


def f64_of(bits: int) -> float:
    """The number of 64 bits; every NaN is the canonical one."""
    number: float = _PACK_F64.unpack(_PACK_U64.pack(bits))[0]
    return number if number == number else NAN


def bits_of_f32(number: float) -> int:
    """The 32 bits of a number, rounded to single precision."""
    if number != number:
        return _CANONICAL_NAN32
    try:
        bits: int = _PACK_U32.unpack(_PACK_F32.pack(number))[0]
    except OverflowError:
        return 0x7F800000 if number > 0 else 0xFF800000
    return bits


def bits_of_f64(number: float) -> int:
    """The 64 bits of a number."""
    if number != number:
        return _CANONICAL_NAN64
    bits: int = _PACK_U64.unpack(_PACK_F64.pack(number))[0]
    return bits


def char_of(code: int) -> str:
    """The character of a code point. Traps for a surrogate and beyond U+10FFFF."""
    if code >= 0x110000 or 0xD800 <= code <= 0xDFFF:
        raise Trap(f"0x{code:x} is not a Unicode scalar value")
    return chr(code)


def code_of(char: str) -> int:
    """The code point of a character. Raises `ValueError` for anything but one scalar value."""
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"a char cannot be the surrogate 0x{code:x}")
    return code


class LinearMemory:
    """One core memory. `view` is bytes, `u16`, `u32`, `u64` the same as integers, `size` the bytes covered."""

    __slots__ = ("_memory", "_store", "key", "size", "u16", "u32", "u64", "view")

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory, key: object = None) -> None:
        self.key = key
        """Its identity within the store."""
        self._store = store
        self._memory = memory
        self.size = 0
        self.view = memoryview(b"")
        self.u16 = self.u32 = self.u64 = self.view
        self.refresh()

    def refresh(self) -> None:
        """Map the memory at its current size."""
        size = self._memory.data_len(self._store)
        if size == self.size:
            return
        region = _Region.from_address(ctypes.cast(self._memory.data_ptr(self._store), ctypes.c_void_p).value or 0)
        region.owner = self._store
        self.view = memoryview(region).cast("B")[:size]
        self.u16 = self.view[: size & ~1].cast("H")
        self.u32 = self.view[: size & ~3].cast("I")
        self.u64 = self.view[: size & ~7].cast("Q")
        self.size = size

    def check(self, pointer: int, size: int, alignment: int = 1) -> int:
        """Return `pointer` if it is aligned and `size` bytes there are in bounds; trap otherwise."""
        if pointer & (alignment - 1):
            raise Trap(f"the pointer 0x{pointer:x} is not aligned to {alignment} bytes")
        if pointer + size > self.size:
            self.refresh()
            if pointer + size > self.size:
                raise Trap(
                    f"{size:,} bytes at 0x{pointer:x} lie outside the memory of {self.size:,} bytes: pointer out of "
                    "bounds"
                )
        return pointer

    def list_check(self, pointer: int, count: int, size: int, alignment: int) -> int:
        """Check and return the `pointer` of a list of `count` elements of `size` bytes each."""
        if count * size > MAX_VALUE_BYTES:
            raise Trap(f"a list of {count * size:,} bytes is too long; at most {MAX_VALUE_BYTES:,}")
        return self.check(pointer, count * size, alignment)

    def octets(self, pointer: int, count: int) -> memoryview:
        """A list<u8> as a view, valid until the guest runs again."""
        if count > MAX_VALUE_BYTES or pointer + count > self.size:
            self.list_check(pointer, count, 1, 1)
        return self.view[pointer : pointer + count]

    def numbers(self, pointer: int, count: int, size: int, code: str) -> list[int] | list[float]:
        """A list of numbers of `size` bytes with that `struct` format code."""
        self.list_check(pointer, count, size, size)
        cast: Callable[[str], memoryview] = self.view[pointer : pointer + count * size].cast  # type: ignore[assignment]
        found = cast(code).tolist()
        if code in "fd":
            return [number if number == number else NAN for number in found]
        return list(found)

    # ---- strings: reading

    def utf8(self, pointer: int, size: int) -> str:
        """A string in UTF-8."""
        if size > MAX_VALUE_BYTES or pointer + size > self.size:
            self._string_check(pointer, size, 1)
        try:
            return str(self.view[pointer : pointer + size], "utf-8")
        except UnicodeDecodeError as error:
            raise Trap(f"the string at 0x{pointer:x} is not UTF-8: {error.reason}") from None

    def _string_check(self, pointer: int, size: int, alignment: int) -> None:
        if size > MAX_VALUE_BYTES:
            raise Trap(f"a string of {size:,} bytes is too long; at most {MAX_VALUE_BYTES:,}")
        if pointer & (alignment - 1):
            raise Trap(f"the pointer 0x{pointer:x} of a string is unaligned: not aligned to {alignment} bytes")
        if pointer + size > self.size:
            self.refresh()
            if pointer + size > self.size:
                raise Trap(
                    f"a string of {size:,} bytes at 0x{pointer:x} lies outside the memory of {self.size:,} bytes: "
                    "string content out-of-bounds"
                )

    def utf16(self, pointer: int, units: int) -> str:
        """A string in UTF-16, little endian."""
        self._string_check(pointer, 2 * units, 2)
        try:
            return str(self.view[pointer : pointer + 2 * units], "utf-16-le")
        except UnicodeDecodeError as error:
            raise Trap(f"the string at 0x{pointer:x} is not UTF-16: {error.reason}") from None

    def latin1_or_utf16(self, pointer: int, units: int) -> str:
        """A string in Latin-1, or in UTF-16 if its length is tagged."""
        if units & UTF16_TAG:
            return self.utf16(pointer, units ^ UTF16_TAG)
        self._string_check(pointer, units, 2)
        return str(self.view[pointer : pointer + units], "latin-1")

    def text(self, pointer: int, units: int, encoding: str) -> Text:
        """A string in any encoding, to be passed to another guest."""
        read = {"utf8": self.utf8, "utf16": self.utf16, "latin1+utf16": self.latin1_or_utf16}[encoding]
        found = Text(read(pointer, units))
        found.encoding, found.units = encoding, units
        return found

    # ---- strings: writing

    def put_utf8(self, text: str, allocate: Allocate) -> tuple[int, int]:
        """Write a host string in UTF-8; returns (pointer, bytes)."""
        data = text.encode()
        size = len(data)
        pointer = allocate(0, 0, 1, size)
        if pointer + size > self.size:
            self.check(pointer, size)
        self.view[pointer : pointer + size] = data
        return pointer, size

    def put_text(self, text: str, allocate: Allocate, encoding: str) -> tuple[int, int]:
        """Write a string in any encoding; returns (pointer, code units), tagged for UTF-16 in latin1+utf16.

        It calls realloc as the specification prescribes for the string's source encoding.
        """
        source = text.encoding if isinstance(text, Text) else "utf8"
        units = text.units if isinstance(text, Text) else len(text.encode())
        if source == "latin1+utf16":
            source, units = ("utf16", units ^ UTF16_TAG) if units & UTF16_TAG else ("latin1", units)
        if encoding == "utf8":
            if source == "utf8":
                return self._copied(text, units, 1, 1, "utf-8", allocate)
            return self._to_utf8(text, units, 3 if source == "utf16" else 2, allocate)
        if encoding == "utf16":
            if source == "utf8":
                return self._to_utf16(text, units, allocate)
            return self._copied(text, units, 2, 2, "utf-16-le", allocate)
        if isinstance(text, Text) and text.encoding == "latin1+utf16":
            if source == "latin1":
                return self._copied(text, units, 1, 2, "latin-1", allocate)
            return self._probably_utf16(text, units, allocate)
        return self._to_latin1_or_utf16(text, units, allocate)

    def _place(self, pointer: int, size: int, alignment: int) -> int:
        return self.check(pointer, size, alignment)

    def _copied(
        self, text: str, units: int, unit: int, alignment: int, encoding: str, allocate: Allocate
    ) -> tuple[int, int]:
        data = text.encode(encoding)
        pointer = self._place(allocate(0, 0, alignment, unit * units), unit * units, alignment)
        self.view[pointer : pointer + len(data)] = data
        return pointer, units

    def _to_utf8(self, text: str, units: int, worst: int, allocate: Allocate) -> tuple[int, int]:
        pointer = self._place(allocate(0, 0, 1, units), units, 1)
        data = text.encode()
        plain = next((index for index, char in enumerate(text) if ord(char) >= 0x80), None)
        if plain is None:
            self.view[pointer : pointer + len(data)] = data
            return pointer, units
        self.view[pointer : pointer + plain] = data[:plain]
        pointer = self._place(allocate(pointer, units, 1, worst * units), worst * units, 1)
        self.view[pointer + plain : pointer + len(data)] = data[plain:]
        if worst * units > len(data):
            pointer = self._place(allocate(pointer, worst * units, 1, len(data)), len(data), 1)
        return pointer, len(data)

    def _to_utf16(self, text: str, units: int, allocate: Allocate) -> tuple[int, int]:
        worst = 2 * units
        pointer = self._place(allocate(0, 0, 2, worst), worst, 2)
        data = text.encode("utf-16-le")
        self.view[pointer : pointer + len(data)] = data
        if len(data) < worst:
            pointer = self._place(allocate(pointer, worst, 2, len(data)), len(data), 2)
        return pointer, len(data) // 2

    def _to_latin1_or_utf16(self, text: str, units: int, allocate: Allocate) -> tuple[int, int]:
        pointer = self._place(allocate(0, 0, 2, units), units, 2)
        narrow = next((index for index, char in enumerate(text) if ord(char) >= 0x100), None)
        if narrow is None:
            data = text.encode("latin-1")
            self.view[pointer : pointer + len(data)] = data
            if len(data) < units:
                pointer = self._place(allocate(pointer, units, 2, len(data)), len(data), 2)
            return pointer, len(data)
        self.view[pointer : pointer + narrow] = text[:narrow].encode("latin-1")
        worst = 2 * units
        pointer = self._place(allocate(pointer, units, 2, worst), worst, 2)
        data = text.encode("utf-16-le")
        self.view[pointer : pointer + len(data)] = data
        if worst > len(data):
            pointer = self._place(allocate(pointer, worst, 2, len(data)), len(data), 2)
        return pointer, len(data) // 2 | UTF16_TAG

    def _probably_utf16(self, text: str, units: int, allocate: Allocate) -> tuple[int, int]:
        size = 2 * units
        pointer = self._place(allocate(0, 0, 2, size), size, 2)
        data = text.encode("utf-16-le")
        self.view[pointer : pointer + len(data)] = data
        if any(ord(char) >= 0x100 for char in text):
            return pointer, len(data) // 2 | UTF16_TAG
        narrow = text.encode("latin-1")
        self.view[pointer : pointer + len(narrow)] = narrow
        pointer = self._place(allocate(pointer, size, 1, len(narrow)), len(narrow), 1)
        return pointer, len(narrow)


Allocate = Callable[[int, int, int, int], int]
"""realloc(old pointer, old size, alignment, new size) -> pointer."""
