"""What an ELF object of Wasmtime says about itself: read from untrusted bytes, nothing in it is used."""

from __future__ import annotations

import struct
from typing import NamedTuple

ELF = b"\x7fELF"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_MOST_SECTIONS = 1000
_LONGEST = 200


class ObjectOrigin(NamedTuple):
    """Which Wasmtime made an object, and for which machine; "" if it does not say."""

    version: str
    target: str


def wasmtime_object(data: bytes) -> ObjectOrigin | None:
    """What the section `.wasmtime.engine` begins with: a zero byte, a length, the version, then a length and the
    target. None if there is no such section.
    """
    if len(data) < _HEADER.size or data[:6] != ELF + b"\2\1":
        return None
    header = _HEADER.unpack_from(data)
    offset, size, count, names = header[6], header[11], header[12], header[13]
    if size != _SECTION.size or not count or count > _MOST_SECTIONS or offset + size * count > len(data):
        return None
    sections = [_SECTION.unpack_from(data, offset + size * at) for at in range(count)]
    if names >= count:
        return None
    strings = data[sections[names][4] : sections[names][4] + min(sections[names][5], 1 << 16)]
    for section in sections:
        if strings[section[0] : section[0] + 17] == b".wasmtime.engine\0":
            content = data[section[4] : section[4] + min(section[5], 1 << 12)]
            version, rest = _text(content[1:])
            return ObjectOrigin(version, _text(rest)[0])
    return None


def _text(data: bytes) -> tuple[str, bytes]:
    """A text after its length in one byte, and what follows it."""
    size = min(data[0], _LONGEST) if data else 0
    found = data[1 : 1 + size].decode("ascii", "replace")
    return found if found.isprintable() else "", data[1 + size :]
