"""A module in which a failed `memory.grow` or `table.grow` traps instead of answering -1.

Wasmtime's C API cannot do that, so the instructions are replaced: each calls a function, added at the end, that grows
the memory or table and executes `unreachable` if that failed. The offsets of instructions change; `original_offset`
(`ChangedCode`) maps them back, so that source lines are still found. Nothing else of the module changes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .binary import Reader, WasmFormatError, read_limits, value_type
from .inside.instructions import CALL, constant, instructions
from .inside.memory_layout import leb
from .inside.wasm_sections import CODE, TABLE, payload
from .module import ChangedCode, Module, ModuleError

_TYPE, _FUNCTION = 1, 3
_MEMORY_GROW, _BULK, _TABLE_GROW = 0x40, 0xFC, 15
_CANDIDATE = re.compile(rb"\x40|\xfc[\x0f\x8f]")
_I32, _I64 = b"\x7f", b"\x7e"


class _Helper(NamedTuple):
    """A function to add."""

    type: bytes
    body: bytes


def trapping_on_grow_failure(module: Module) -> Module:
    """The module with its instructions replaced (`Module.changed` says how); itself if it grows nothing.

    Raises `ModuleError` for code that cannot be read.
    """
    try:
        return _changed(module)
    except WasmFormatError as error:
        raise ModuleError(f"{module.name} cannot be made to trap when growing fails: {error}") from None


def _changed(module: Module) -> Module:
    code = payload(module, CODE)
    if code is None:
        return module
    first = module.imported_functions + len(module.functions)
    helpers: dict[tuple[bool, int], int] = {}
    tables = _tables(module)
    bodies, marks = [], []
    length = 0
    for _ in range(code.count(1)):
        body = code.sub(code.u32())
        content, places = _body(body, helpers, first)
        head = leb(len(content))
        marks += [(length + len(head) + at, original) for at, original in places]
        bodies.append(head + content)
        length += len(head) + len(content)
    if not helpers:
        return module
    made = [_helper(module, tables, is_table, index) for is_table, index in helpers]
    parts, before = [module.bytes[:8]], 8
    at_code = 0
    reader = Reader(module.bytes, 8)
    while not reader.at_end:
        begin, number = reader.position, reader.byte()
        section = reader.sub(reader.u32())
        part = module.bytes[begin : section.end]
        if number == _TYPE:
            part = _longer(number, section, [helper.type for helper in made])
        elif number == _FUNCTION:
            part = _longer(number, section, [leb(len(module.types) + at) for at in range(len(made))])
        elif number == CODE:
            new = [leb(len(helper.body)) + helper.body for helper in made]
            count = leb(len(bodies) + len(new))
            content = count + b"".join([*bodies, *new])
            size = leb(len(content))
            at_code = before + 1 + len(size) + len(count)
            part = bytes([number]) + size + content
        parts.append(part)
        before += len(part)
    changed = Module(b"".join(parts), module.name, lang=module.lang, source_name=module.source_name)
    starts = [0, *(at_code + at for at, _ in marks), at_code + length]
    originals = [0, *(original for _, original in marks), 0]
    changed.changed = ChangedCode(module, tuple(starts), tuple(originals), first)
    return changed


def _body(body: Reader, helpers: dict[tuple[bool, int], int], first: int) -> tuple[bytes, list[tuple[int, int]]]:
    """The content of a body with its instructions replaced, and pairs: offset in it, offset in the original file."""
    begin = body.position
    whole = body.data[begin : body.end]
    if not _CANDIDATE.search(whole):
        return whole, [(0, begin)]
    for _ in range(body.count(2)):
        body.u32()
        value_type(body)
    parts, places, copied, length = [], [(0, begin)], begin, 0
    for one in instructions(body):
        if one.opcode == _BULK:
            if Reader(body.data, one.offset + 1, body.end).u32() != _TABLE_GROW:
                continue
        elif one.opcode != _MEMORY_GROW:
            continue
        number = helpers.setdefault((one.opcode == _BULK, one.value), first + len(helpers))
        call = bytes([CALL]) + leb(number)
        parts += [body.data[copied : one.offset], call]
        length += one.offset - copied + len(call)
        copied = body.position  # after the instruction
        places.append((length, copied))
    parts.append(body.data[copied : body.end])
    return b"".join(parts), places


def _helper(module: Module, tables: list[tuple[bytes, bool]], is_table: bool, index: int) -> _Helper:
    """The function that grows a memory (bytes: pages -> the size before) or a table (value, entries -> size before)."""
    if index >= len(tables if is_table else module.memories):
        raise WasmFormatError(f"it grows {'table' if is_table else 'memory'} {index}, which it does not have")
    is_64 = tables[index][1] if is_table else module.memories[index].is_64
    address = _I64 if is_64 else _I32
    params = tables[index][0] + address if is_table else address
    count, last = (2, b"\x01") if is_table else (1, b"\x00")
    grow = b"\x20\x00\x20\x01\xfc\x0f" if is_table else b"\x20\x00\x40"
    failed = b"\x42\x7f\x51" if is_64 else b"\x41\x7f\x46"
    code = grow + leb(index) + b"\x22" + last + failed + b"\x04\x40\x00\x0b\x20" + last + b"\x0b"
    return _Helper(b"\x60" + bytes([count]) + params + b"\x01" + address, b"\x00" + code)


def _tables(module: Module) -> list[tuple[bytes, bool]]:
    """The element type in binary of each table, imported ones first, and whether it has 64-bit indexes."""
    found = list(module.imported_tables)
    reader = payload(module, TABLE)
    for _ in range(0 if reader is None else reader.count(2)):
        assert reader is not None
        initial = reader.data[reader.position : reader.position + 2] == b"\x40\x00"
        if initial:
            reader.position += 2
        begin = reader.position
        value_type(reader)
        element = reader.data[begin : reader.position]
        found.append((element, read_limits(reader)[3]))
        if initial:
            constant(reader)
    return found


def _longer(number: int, section: Reader, new: list[bytes]) -> bytes:
    """A section that is a vector, with more items at its end."""
    count = section.u32()
    content = leb(count + len(new)) + section.data[section.position : section.end] + b"".join(new)
    return bytes([number]) + leb(len(content)) + content
