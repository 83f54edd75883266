"""A part of a guest's memory as a hexdump, with data segments, stack, stack pointer and heap marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...module.inside.memory_layout import MemoryLayout, Region, RegionKind, memory_layout
from ...module.module import Module
from ...text.escape import visible
from ...text.numbers import counted, size
from .memory_page import DumpBreak, DumpLine, DumpRow, embedded_memory, memory_html

ROW = 16
"""Bytes in one row of a hexdump."""
MOST_BYTES = 1 << 20
"""Bytes that one image holds."""
DEFAULT_LENGTH = 256
_SAMPLE = 64
"""Bytes shown of each region where no address was asked for."""
_MOST_REGIONS = 12

ReadMemory = Callable[[int, int], bytes]
"""(address, count) -> bytes."""


@dataclass(frozen=True)
class MemoryImage:
    """Bytes of a guest's memory at one moment. `print` it, or let a notebook show it."""

    title: str
    """Whose memory it is, and at which moment."""
    size: int
    """Bytes of the whole memory at that moment."""
    chunks: tuple[tuple[int, bytes], ...]
    """(address, bytes) of what was read."""
    layout: MemoryLayout | None
    stack_pointer: int | None
    """The address where the stack ends now; None if the module does not name its stack pointer."""

    @property
    def regions(self) -> list[Region]:
        """Stack, data, heap and what is between them, by address."""
        if self.layout is None:
            return [Region("unused", "", 0, self.size)]
        return self.layout.regions(self.size)

    def read(self, address: int, count: int) -> bytes:
        """Bytes that the image holds. Raises `IndexError` for others."""
        for start, data in self.chunks:
            if start <= address and address + count <= start + len(data):
                return data[address - start : address - start + count]
        raise IndexError(f"{count:,} bytes at 0x{address:x} are not in this image; ask for them with start and length")

    @property
    def heading(self) -> str:
        """What it is, in one line."""
        parts = [f"{visible(self.title)}: {size(self.size)} of memory"]
        if self.stack_pointer is not None:
            parts.append(f"stack pointer 0x{self.stack_pointer:x}")
            top = None if self.layout is None else self.layout.stack_top
            if top is not None and top >= self.stack_pointer:
                parts[-1] += f" ({size(top - self.stack_pointer)} of the stack in use)"
        return ", ".join(parts)

    def words(self, region: Region) -> str:
        """A region in words, with its addresses."""
        return placed_words(region, self.layout)

    def lines(self) -> Iterator[DumpLine]:
        """The rows of the hexdump, and what lies between them."""
        regions = self.regions
        for start, data in self.chunks:
            told: Region | None = None
            before, skipped = b"", 0
            at = start
            while at < start + len(data):
                row = at // ROW * ROW
                end = min(row + ROW, start + len(data))
                piece = data[at - start : end - start]
                inside = next((one for one in regions if one.start <= at < one.end), None)
                here = [inside] if inside is not None and inside.end >= end else [
                    one for one in regions if one.start < end and at < one.end
                ]
                new = [one for one in here if told is None or one.start > told.start]
                marked = self.stack_pointer is not None and at <= self.stack_pointer < end
                if piece == before and not new and not marked and len(piece) == ROW and end < start + len(data):
                    skipped += 1
                else:
                    if skipped:
                        yield DumpBreak(f"{counted(skipped, 'more row')} of the same bytes")
                        skipped = 0
                    for one in new:
                        yield DumpBreak(self.words(one))
                        told = one
                    kinds = tuple(_kind(here, address) for address in range(at, end))
                    yield DumpRow(at, piece, kinds, at - row)
                before = piece
                at = end

    def text(self) -> str:
        """The hexdump; `>` stands before the byte at the stack pointer."""
        found = [self.heading]
        for line in self.lines():
            if isinstance(line, DumpBreak):
                found.append(f"-- {visible(line.words)}")
                continue
            cells = ["  "] * line.first + [f"{byte:02x}" for byte in line.data]
            marks = [" "] * len(cells)
            if self.stack_pointer is not None and 0 <= self.stack_pointer - line.address < len(line.data):
                marks[line.first + self.stack_pointer - line.address] = ">"
            hexes = "".join(mark + cell for mark, cell in zip(marks, cells, strict=True))
            letters = " " * line.first + printable(line.data)
            found.append(f"{line.address - line.first:08x} {hexes:<{3 * ROW}}  {letters}")
        return "\n".join(found)

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        words = [self.words(region) for region in self.regions]
        page = memory_html(self.heading, self.regions, words, self.lines(), self.stack_pointer)
        return embedded_memory(self.heading, page, self.text())


def _kind(regions: list[Region], address: int) -> RegionKind:
    return next((one.kind for one in regions if one.start <= address < one.end), "unused")


def printable(data: bytes) -> str:
    """ASCII characters as they are, a dot for every other byte."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def region_words(region: Region, layout: MemoryLayout | None) -> str:
    """A region in words."""
    if region.kind == "stack":
        return "stack, grows down" + (f" from 0x{region.end:x}" if layout is None or layout.stack_top else "")
    if region.kind == "data":
        return f"data {region.name}"
    if region.kind == "heap":
        return "heap" if layout is not None and layout.has_heap_base else "variables that start as zero, then the heap"
    return "zeros at the start"


def placed_words(region: Region, layout: MemoryLayout | None) -> str:
    """A region in words, with its addresses and size."""
    return f"{region_words(region, layout)}: 0x{region.start:x} to 0x{region.end:x}, {size(region.size)}"


def memory_image(
    module: Module,
    total: int,
    read: ReadMemory,
    stack_pointer: int | None,
    title: str,
    start: int | None = None,
    length: int | None = None,
) -> MemoryImage:
    """Read a part of a memory of `total` bytes: `length` bytes (default 256) from `start`.

    Without `start`: the beginning of each region, and the stack around its pointer. Raises `IndexError` outside the
    memory, `ValueError` for a length that is not between 1 and 1 MiB.
    """
    if length is not None and not 1 <= length <= MOST_BYTES:
        raise ValueError(f"a length of {length:,} bytes cannot be shown: 1 to {MOST_BYTES:,}")
    layout = memory_layout(module)
    if start is not None:
        if not 0 <= start < total:
            raise IndexError(f"0x{start:x} lies outside the memory of {total:,} bytes (0x0 to 0x{max(0, total - 1):x})")
        places = [(start, min(length or DEFAULT_LENGTH, total - start))]
    else:
        places = _samples(layout, total, stack_pointer, length or _SAMPLE)
    chunks = tuple((at, bytes(read(at, count))) for at, count in places if count > 0)
    return MemoryImage(title, total, chunks, layout, stack_pointer)


def kept_image(
    module: Module, data: bytes, stack_pointer: int | None, title: str, start: int | None, length: int | None
) -> MemoryImage:
    """The image of a memory that was copied whole. Raises as `memory_image`."""
    return memory_image(
        module, len(data), lambda address, count: data[address : address + count], stack_pointer, title, start, length
    )


def _samples(
    layout: MemoryLayout | None, total: int, stack_pointer: int | None, length: int
) -> list[tuple[int, int]]:
    regions = [Region("unused", "", 0, total)] if layout is None else layout.regions(total)
    wanted: list[tuple[int, int]] = []
    for region in [one for one in regions if one.kind != "unused" or len(regions) == 1][:_MOST_REGIONS]:
        begin = region.start
        if region.kind == "stack" and stack_pointer is not None and region.start <= stack_pointer <= region.end:
            begin = max(region.start, min(stack_pointer, region.end - 1) // ROW * ROW - ROW)
        wanted.append((begin, min(begin + length, total)))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(wanted):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return [(begin, end - begin) for begin, end in joined]
