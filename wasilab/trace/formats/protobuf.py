"""The part of the protobuf wire format for writing messages: each field as bytes, to be concatenated.

For: `perfetto.py`, which therefore needs no protobuf package and is several times faster. The format is described at
https://protobuf.dev/programming-guides/encoding. Not for: reading.
"""

from __future__ import annotations

import struct


def varint(value: int) -> bytes:
    """A base-128 number; negative numbers as 64-bit two's complement."""
    if 0 <= value < 0x80:
        return _ONE[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_ONE = [bytes([value]) for value in range(0x80)]


def number(field: int, value: int) -> bytes:
    """A field of a varint type (int, uint, bool, enum)."""
    return varint(field << 3) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A field of type fixed64."""
    return varint(field << 3 | 1) + struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)


def block(field: int, content: bytes) -> bytes:
    """A field that is a message or bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    """A field of type string."""
    return block(field, value.encode("utf-8", "backslashreplace"))
