"""Values in the slots of a raw callback (`wasmtime_val_raw_t`, 16 bytes each; `calls/raw.py`).

A callback gets them as 32-bit words: slot `i` starts at word `4 * i`, little-endian. References are read only as null
or not null: their content in a slot is valid only during the call.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .vector import V128
from .wasmtime_objects import RawWords

_FORMATS = {"i32": "<i", "i64": "<q", "f32": "<f", "f64": "<d"}
REFERENCE = "<reference>"
"""Represents a non-null reference."""


def read_slot(words: RawWords, at: int, kind: str) -> object:
    """The value in slot `at`: an int (signed), a float, `V128`, None, or `REFERENCE`."""
    first = 4 * at
    data = struct.pack("<4I", *(words[word] for word in range(first, first + 4)))
    if kind in _FORMATS:
        return struct.unpack_from(_FORMATS[kind], data)[0]
    if kind == "v128":
        return V128(data)
    return REFERENCE if any(data[:8]) else None


def read_slots(words: RawWords, kinds: Sequence[str]) -> list[object]:
    """The values in the slots, from the first."""
    return [read_slot(words, at, kind) for at, kind in enumerate(kinds)]


def write_slot(words: RawWords, at: int, kind: str, value: object) -> None:
    """Put a number or a vector into slot `at`."""
    data = value.bytes if isinstance(value, V128) else struct.pack(_FORMATS[kind], value).ljust(16, b"\0")
    for at_word, word in enumerate(struct.unpack("<4I", data), 4 * at):  # a ctypes pointer takes no slice
        words[at_word] = word


def clear_slots(words: RawWords, count: int) -> None:
    """Set the first `count` slots to zero, which is the zero or null of every type."""
    for word in range(4 * count):
        words[word] = 0
