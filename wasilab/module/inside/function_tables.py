"""The function tables of a module: what each entry holds when the program starts, and what is at index 0.

A C function pointer is an index of a table. C compilers keep entry 0 empty, so that a null pointer traps; nothing in
WebAssembly asks for that. Source: WebAssembly core 3.0, 5.5.7 and 5.5.12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..binary import Reader, WasmFormatError, read_limits, value_type
from ..module import Module, ModuleError
from .instructions import GLOBAL_GET, REF_FUNC, constant
from .wasm_globals import constant_value, globals_of
from .wasm_sections import ELEMENT, TABLE, payload

MOST_ENTRIES = 1_000_000


class TableType(NamedTuple):
    """A table: its element type and its size in entries."""

    element: str
    minimum: int
    maximum: int | None
    name: str
    """The name under which it is exported or imported, or ""."""


class Segment(NamedTuple):
    """Entries that are put into a table."""

    table: int
    start: int | None
    """The first entry; None where it is not known before the run, or where code puts them there."""
    functions: tuple[int, ...]
    """Function indexes; empty entries are left out."""
    places: tuple[int, ...]
    """Where each of `functions` stands after `start`."""


@dataclass(frozen=True)
class FunctionTables:
    """The tables of a module, imported ones first, and what is put into them."""

    types: tuple[TableType, ...]
    segments: tuple[Segment, ...]
    shared: bool
    """Whether others can read a table: it is imported or exported."""

    def entries(self, table: int = 0) -> dict[int, int]:
        """Table index -> function index at the start; entries that are not in it are null."""
        return {
            segment.start + place: function
            for segment in self.segments
            if segment.table == table and segment.start is not None
            for place, function in zip(segment.places, segment.functions, strict=True)
        }


@lru_cache(maxsize=8)
def tables_of(module: Module) -> FunctionTables:
    """The tables of a module. Raises `ModuleError` for damaged sections."""
    try:
        types = list(_imported(module))
        imported = len(types)
        reader = payload(module, TABLE)
        if reader is not None:
            types += [_table(reader) for _ in range(reader.count(2))]
        exported = {e.index: e.name for e in module.exports if e.kind == "table"}
        named = tuple(t._replace(name=exported.get(at, t.name)) for at, t in enumerate(types))
        return FunctionTables(named, tuple(_segments(module)), bool(imported or exported))
    except WasmFormatError as error:
        raise ModuleError(f"{module.name} is a damaged WebAssembly module: {error}") from None


def _imported(module: Module) -> Iterator[TableType]:
    for item in module.imports:
        if isinstance(item.type, str) and item.type.startswith("table of "):
            yield TableType("", 0, None, f"{item.module}.{item.name}")


def _table(reader: Reader) -> TableType:
    has_value = reader.data[reader.position : reader.position + 2] == b"\x40\x00"
    if has_value:
        reader.sub(2)
    element = value_type(reader)
    minimum, maximum, *_ = read_limits(reader)
    if has_value:
        constant(reader)
    return TableType(element, minimum, maximum, "")


def _segments(module: Module) -> Iterator[Segment]:
    reader = payload(module, ELEMENT)
    if reader is None:
        return
    left, known = MOST_ENTRIES, globals_of(module)
    for _ in range(reader.count(2)):
        flags = reader.u32()
        if flags > 7:
            raise WasmFormatError(f"element flags {flags} before byte {reader.position:,} are not known")
        active = not flags & 1
        table = reader.u32() if flags & 2 and active else 0
        start = constant_value(constant(reader), known) if active else None
        expressions = bool(flags & 4)
        if flags & 3:
            value_type(reader) if expressions else reader.byte()
        functions: list[int] = []
        places: list[int] = []
        for place in range(reader.count(1)):
            left -= 1
            if left < 0:
                raise WasmFormatError(f"its element segments have more than {MOST_ENTRIES:,} entries")
            if not expressions:
                functions.append(reader.u32())
                places.append(place)
                continue
            for one in constant(reader):
                if one.opcode == REF_FUNC:
                    functions.append(one.value)
                    places.append(place)
                elif one.opcode == GLOBAL_GET:
                    break
        yield Segment(table, start, tuple(functions), tuple(places))
