"""Writes a core dump: the stack and memories of a trapped guest, as a WebAssembly file for other tools.

The file has four custom sections (core, coremodules, coreinstances, corestack), then the memories with their contents,
as specified in Coredump.md of WebAssembly/tool-conventions; `wasm-tools dump` and `wasmgdb` read it. Wasmtime's C API
writes none, so this one is built from the trap's frames and the exported memories. It has no locals, operand stack,
globals or unexported memories. Runs of zeros are left out: memory starts as zeros.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import wasmtime

from ...module.binary import MemoryType
from ...module.module import Module
from ..calls.stacks import MAX_FRAMES

BLOCK = 64 << 10
"""Granularity, in bytes, of leaving out zeros."""
_ZEROS = bytes(BLOCK)
_UNKNOWN = 1 << 32
"""Offsets from here on mean "unknown"."""


class Dumped(NamedTuple):
    """One instance of a run: its module, and its exports as wasmtime objects."""

    module: Module
    exports: Mapping[str, object]


DumpedMemory: TypeAlias = tuple[wasmtime.Memory, MemoryType]


def coredump(store: wasmtime.Store, instances: Sequence[Dumped], frames: Sequence[wasmtime.Frame]) -> bytes:
    """The bytes of a core dump. `instances`: the program first; `frames`: Wasmtime's, innermost first."""
    memories = [_memories(instance) for instance in instances]
    numbers, kept = _numbered(memories)
    own = [
        b"\0" + _u(at) + _vec([_u(numbers[id(memory)]) for memory in found]) + _vec([])
        for at, found in enumerate(memories)
    ]
    stack = [_frame(frame, instances) for frame in frames[:MAX_FRAMES]]
    parts = [
        b"\0asm\1\0\0\0",
        _custom("core", b"\0" + _name(instances[0].module.name)),
        _custom("coremodules", _vec([b"\0" + _name(instance.module.name) for instance in instances])),
        _custom("coreinstances", _vec(own)),
        _custom("corestack", b"\0" + _name("main") + _vec(stack)),
    ]
    if kept:
        parts.append(_section(5, _vec([_memory_type(store, memory, type_) for memory, type_ in kept])))
        segments = [
            segment for at, (memory, type_) in enumerate(kept) for segment in _segments(store, memory, at, type_.is_64)
        ]
        parts.append(_section(11, _vec(segments)))
    return b"".join(parts)


def _memories(instance: Dumped) -> list[DumpedMemory]:
    """The exported memories of an instance, each once, with its type beside it."""
    found: dict[int, DumpedMemory] = {}
    for export in instance.module.exports:
        if export.kind == "memory" and export.index not in found and export.index < len(instance.module.memories):
            memory = instance.exports.get(export.name)
            if isinstance(memory, wasmtime.Memory):
                found[export.index] = (memory, instance.module.memories[export.index])
    return list(found.values())


def _numbered(memories: Sequence[list[DumpedMemory]]) -> tuple[dict[int, int], list[DumpedMemory]]:
    """The number of each memory in the dump, by the entry's id, and the memories in that order."""
    numbers: dict[int, int] = {}
    kept: list[DumpedMemory] = []
    for found in memories:
        for entry in found:
            numbers[id(entry)] = len(kept)
            kept.append(entry)
    return numbers, kept


def _frame(frame: wasmtime.Frame, instances: Sequence[Dumped]) -> bytes:
    name, index = frame.func_name, int(frame.func_index)
    at = next((i for i, one in enumerate(instances) if name and one.module.function_names.get(index) == name), 0)
    offset = int(frame.func_offset)
    return b"\0" + _u(at) + _u(index) + _u(offset if offset < _UNKNOWN else 0) + _vec([]) + _vec([])


def _memory_type(store: wasmtime.Store, memory: wasmtime.Memory, type_: MemoryType) -> bytes:
    pages = int(memory.data_len(store)) // type_.page_size
    custom = type_.page_size != 1 << 16
    flags = (4 if type_.is_64 else 0) | (8 if custom else 0)
    return bytes([flags]) + _u(pages) + (_u(type_.page_size.bit_length() - 1) if custom else b"")


def _segments(store: wasmtime.Store, memory: wasmtime.Memory, number: int, is_64: bool) -> Iterator[bytes]:
    """The data segments with a memory's non-zero parts."""
    size = int(memory.data_len(store))
    base = ctypes.addressof(memory.data_ptr(store).contents) if size else 0
    head = b"\0" if number == 0 else b"\2" + _u(number)
    run: list[bytes] = []
    begin = 0
    for at in range(0, size + BLOCK, BLOCK):
        block = ctypes.string_at(base + at, min(BLOCK, size - at)) if at < size else b""
        if block and block != _ZEROS[: len(block)]:
            if not run:
                begin = at
            run.append(block)
        elif run:
            data = b"".join(run).rstrip(b"\0")
            offset = b"\x42" + _s(begin, 64) if is_64 else b"\x41" + _s(begin, 32)
            yield head + offset + b"\x0b" + _u(len(data)) + data
            run = []


# ---- the binary format


def _u(number: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _s(number: int, bits: int) -> bytes:
    """Signed LEB128 of an unsigned number of `bits` bits."""
    if number >> (bits - 1):
        number -= 1 << bits
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        if (number == 0 and not byte & 0x40) or (number == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def _name(text: str) -> bytes:
    data = text.encode("utf-8", "replace")[:1000]
    return _u(len(data)) + data


def _vec(items: Sequence[bytes]) -> bytes:
    return _u(len(items)) + b"".join(items)


def _section(number: int, body: bytes) -> bytes:
    return bytes([number]) + _u(len(body)) + body


def _custom(name: str, body: bytes) -> bytes:
    return _section(0, _name(name) + body)
