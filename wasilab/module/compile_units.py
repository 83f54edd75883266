"""The addresses of each compile unit, from the first entry of each unit in DWARF 2 to 4.

`dwarf.py` looks up a few addresses of a program whose C library has a hundred units. To read the first entry of a unit,
pyelftools parses the unit's whole abbreviation table, which takes milliseconds for each. Here only the one abbreviation
is read. For anything else (DWARF 5, unknown forms, damage) the answer is None, and pyelftools reads it. Not here: line
tables.

The formats: DWARF 4 (dwarfstd.org), sections 7.5.1.1 (unit header), 7.5.3 (abbreviations), 7.5.4 (forms), 7.24 (range
lists).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_RANGES = 1 << 20
"""Maximum number of address ranges read, of all units together."""
_NAME, _LOW, _HIGH, _RANGES = 0x03, 0x11, 0x12, 0x55
_STRING, _STRP, _ADDR = 0x08, 0x0E, 0x01
_SIZES = {0x01: 4, 0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x0C: 1, 0x0E: 4, 0x17: 4, 0x19: 0}
"""Form -> bytes: addr, data1, data2, data4, data8, flag, strp, sec_offset, flag_present."""
_NO_BASE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class UnitHead:
    """One compile unit: its offset in `.debug_info`, the name of its main file, its address ranges."""

    offset: int
    name: str
    ranges: tuple[tuple[int, int], ...]


def unit_heads(info: bytes, abbrev: bytes, strings: bytes, ranges: bytes, limit: int) -> list[UnitHead] | None:
    """The first `limit` units; None if the data contains something that this reader does not support."""
    found: list[UnitHead] = []
    at = total = 0
    try:
        while at + 11 <= len(info) and len(found) < limit and total < MAX_RANGES:
            length, version, table, width = struct.unpack_from("<IHIB", info, at)
            if length >= 0xFFFFFFF0 or not 2 <= version <= 4 or width != 4:
                return None
            values = _first_entry(info, at + 11, abbrev, table, strings)
            if values is None:
                return None
            low = int(values.get(_LOW, (0, 0))[1] or 0)
            spans: list[tuple[int, int]] = []
            if _RANGES in values:
                spans = _range_list(ranges, int(values[_RANGES][1]), low, MAX_RANGES - total)
            elif _HIGH in values:
                form, high = values[_HIGH]
                spans = [(low, int(high) if form == _ADDR else low + int(high))]
            total += len(spans) + 1
            found.append(UnitHead(at, str(values.get(_NAME, (0, ""))[1]), tuple(spans)))
            at += 4 + length
    except (struct.error, IndexError, ValueError):
        return None
    return found


def _first_entry(
    info: bytes, at: int, abbrev: bytes, table: int, strings: bytes
) -> dict[int, tuple[int, int | str]] | None:
    """Attribute -> (form, value) of the entry at offset `at` of `info`; None for an unknown form."""
    code, at = _uleb(info, at)
    number, table = _uleb(abbrev, table)
    if number != code:  # compilers number the unit's entry first
        return None
    _, table = _uleb(abbrev, table)
    table += 1
    values: dict[int, tuple[int, int | str]] = {}
    while True:
        attribute, table = _uleb(abbrev, table)
        form, table = _uleb(abbrev, table)
        if not attribute and not form:
            return values
        if form == _STRING:
            end = info.index(b"\0", at)
            values[attribute] = form, info[at:end].decode("utf-8", "replace")
            at = end + 1
            continue
        size = _SIZES.get(form)
        if size is None or at + size > len(info):
            return None
        value = int.from_bytes(info[at : at + size], "little")
        at += size
        if form == _STRP and attribute == _NAME:
            values[attribute] = form, strings[value : strings.index(b"\0", value)].decode("utf-8", "replace")
        else:
            values[attribute] = form, value


def _range_list(ranges: bytes, at: int, base: int, limit: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while len(found) < limit:
        begin, end = struct.unpack_from("<II", ranges, at)
        at += 8
        if begin == end == 0:
            break
        if begin == _NO_BASE:
            base = end
        else:
            found.append((base + begin, base + end))
    return found


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a LEB128 number is too long")
