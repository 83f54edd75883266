"""Where data, stack and heap lie in a module's linear memory, and where its stack pointer can be read.

LLVM's linker writes the globals `__stack_pointer`, `__data_end` and `__heap_base`, as names or exports. The stack grows
down from the first value of `__stack_pointer`. It lies below the data (`--stack-first`, as zig links) or above it.
WebAssembly itself knows nothing of a stack or heap. Source: "Basic C ABI" of WebAssembly/tool-conventions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from ..binary import Reader, WasmFormatError
from ..module import Module, ModuleError
from .instructions import constant
from .wasm_globals import DATA_NAMES, constant_value, globals_of
from .wasm_sections import DATA, EXPORT, payload, sections

STACK_POINTER = "__stack_pointer"
MOST_SEGMENTS = 100_000

RegionKind = Literal["stack", "data", "heap", "unused"]


class DataSegment(NamedTuple):
    """Bytes that the memory has at the start."""

    name: str
    """Its name, such as ".rodata", or "segment N"."""
    memory: int
    start: int | None
    """Its address; None where code puts it in place (a passive segment), or where it is not known before the run."""
    size: int
    offset: int
    """Where its bytes lie in the file."""


class Region(NamedTuple):
    """A part of the memory: `kind`, its name, and its addresses, from `start` up to but without `end`."""

    kind: RegionKind
    name: str
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class MemoryLayout:
    """The layout of memory 0 as the module's linker left it. Addresses in bytes."""

    size: int
    """Bytes at the start."""
    segments: tuple[DataSegment, ...]
    stack_top: int | None
    """The first value of `__stack_pointer`: the stack grows down from here. None if it is not known."""
    stack_low: int | None
    """The lowest address of the stack: 0, or the end of the data below it."""
    heap_base: int | None
    """The first address of the heap: `__heap_base` or, where no name says it, the end of data and stack."""
    has_heap_base: bool
    """Whether the module names `__heap_base`. Otherwise variables that start as zero (.bss) come before the heap."""
    data_end: int | None
    """The end of the data: `__data_end`, or the end of the last segment. Zeroed variables (.bss) may follow."""

    def regions(self, size: int | None = None) -> list[Region]:
        """The parts of a memory of `size` bytes (default: its first size), by address; gaps are "unused"."""
        size = self.size if size is None else size
        found = [
            Region("data", one.name, one.start, min(one.start + one.size, size))
            for one in self.segments
            if one.memory == 0 and one.start is not None and one.size and one.start < size
        ]
        if self.stack_top is not None and self.stack_low is not None and self.stack_low < self.stack_top <= size:
            found.append(Region("stack", "stack", self.stack_low, self.stack_top))
        if self.heap_base is not None and self.heap_base < size:
            found.append(Region("heap", "heap", self.heap_base, size))
        found.sort(key=lambda region: (region.start, region.end))
        return list(_with_gaps(found, size))


def _with_gaps(found: list[Region], size: int) -> Iterator[Region]:
    at = 0
    for region in found:
        if region.start > at:
            yield Region("unused", "", at, region.start)
        if region.end > at:
            yield region._replace(start=max(region.start, at))
            at = region.end
    if at < size:
        yield Region("unused", "", at, size)


@lru_cache(maxsize=8)
def memory_layout(module: Module) -> MemoryLayout | None:
    """The layout of the module's first memory; None without one. Raises `ModuleError` for damaged sections."""
    if not module.memories:
        return None
    try:
        segments = tuple(_segments(module))
    except WasmFormatError as error:
        raise ModuleError(f"{module.name} is a damaged WebAssembly module: {error}") from None
    known = {one.name: one for one in globals_of(module) if one.value is not None}
    wanted = (STACK_POINTER, "__heap_base", "__data_end")
    top, heap, end = (known[name].value if name in known else None for name in wanted)
    placed = [(one.start, one.start + one.size) for one in segments if one.memory == 0 and one.start is not None]
    last = max((end for _, end in placed), default=0)
    first = min((start for start, _ in placed), default=0)
    low = None if top is None else 0 if not placed or top <= first else last if top > last else None
    named = heap is not None
    if heap is None and top is not None:
        heap = max(top, last)
    size = module.memories[0].min_bytes
    return MemoryLayout(size, segments, top, low, heap, named, last if end is None and placed else end)


def _segments(module: Module) -> Iterator[DataSegment]:
    reader = payload(module, DATA)
    if reader is None:
        return
    names, known = module.names(DATA_NAMES), globals_of(module)
    for number in range(reader.count(2)):
        if number >= MOST_SEGMENTS:
            raise WasmFormatError(f"it has more than {MOST_SEGMENTS:,} data segments")
        flags = reader.u32()
        if flags > 2:
            raise WasmFormatError(f"data flags {flags} before byte {reader.position:,} are not known")
        memory = reader.u32() if flags == 2 else 0
        start = None if flags == 1 else constant_value(constant(reader), known)
        body = reader.sub(reader.u32())
        name = names.get(number, f"segment {number}")
        yield DataSegment(name, memory, start, body.end - body.position, body.position)


def with_stack_pointer(module: Module) -> Module:
    """The module with its stack pointer exported as `__stack_pointer`, so that it can be read; else itself.

    A module that cannot be read here, as a newer one, is returned as it is. Only an export can be read from outside.
    The export section grows by a few bytes, so offsets in the file shift.
    """
    if module.is_component or any(export.name == STACK_POINTER for export in module.exports):
        return module
    try:
        number = next((at for at, one in enumerate(globals_of(module)) if one.name == STACK_POINTER), None)
        place = next((one for one in sections(module) if one.id == EXPORT), None)
    except (ModuleError, WasmFormatError):
        return module  # a run reports what is wrong with it
    if number is None or place is None:
        return module
    reader = Reader(module.bytes, place.payload, place.end)
    count = reader.u32()
    name = STACK_POINTER.encode()
    body = leb(count + 1) + module.bytes[reader.position : place.end]
    body += leb(len(name)) + name + b"\x03" + leb(number)
    data = module.bytes[: place.begin] + b"\x07" + leb(len(body)) + body + module.bytes[place.end :]
    return Module(data, module.name, source=module.source, lang=module.lang, source_name=module.source_name)


def leb(value: int) -> bytes:
    """`value` as an unsigned LEB128 number (core 3.0, 5.2.2)."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
