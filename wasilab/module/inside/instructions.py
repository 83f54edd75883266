"""Steps over the instructions of a function body, and reports the functions that they name.

It knows the immediates of every instruction of WebAssembly 3.0, of threads, of the older exception handling and of
wide arithmetic. It does not validate: an unknown opcode raises `WasmFormatError`. Source: WebAssembly core 3.0, 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..binary import Reader, WasmFormatError, value_type


class Instruction(NamedTuple):
    """One instruction of interest: its offset in the file, its opcode, and its index or constant."""

    offset: int
    opcode: int
    value: int


CALL, RETURN_CALL, REF_FUNC = 0x10, 0x12, 0xD2
INDIRECT = frozenset({0x11, 0x13, 0x14, 0x15})
"""call_indirect, return_call_indirect, call_ref, return_call_ref."""
I32_CONST, I64_CONST, GLOBAL_GET, END = 0x41, 0x42, 0x23, 0x0B

_Step = Callable[[Reader], int]


def _nothing(reader: Reader) -> int:
    return 0


def _index(reader: Reader) -> int:
    return reader.u32()


def _two(reader: Reader) -> int:
    reader.u32()
    return reader.u32()


def _bytes(count: int) -> _Step:
    def step(reader: Reader) -> int:
        reader.sub(count)
        return 0

    return step


def _block(reader: Reader) -> int:
    byte = reader.data[reader.position] if not reader.at_end else 0
    if byte in (0x63, 0x64):
        value_type(reader)
    else:
        reader.s33()
    return 0


def _memory(reader: Reader) -> int:
    flags = reader.u32()
    if flags & 0x40:
        reader.u32()
    reader.u64()
    return 0


def _memory_lane(reader: Reader) -> int:
    _memory(reader)
    return reader.byte()


def _labels(reader: Reader) -> int:
    for _ in range(reader.count(1)):
        reader.u32()
    return reader.u32()


def _types(reader: Reader) -> int:
    for _ in range(reader.count(1)):
        value_type(reader)
    return 0


def _try_table(reader: Reader) -> int:
    _block(reader)
    for _ in range(reader.count(2)):
        if reader.byte() < 2:
            reader.u32()
        reader.u32()
    return 0


def _heap(reader: Reader) -> int:
    reader.s33()
    return 0


def _cast(reader: Reader) -> int:
    reader.byte()
    reader.u32()
    reader.s33()
    reader.s33()
    return 0


def _each(step: _Step, *opcodes: int | range) -> dict[int, _Step]:
    return {code: step for one in opcodes for code in ((one,) if isinstance(one, int) else one)}


_GC = (
    _each(_index, 0, 1, 6, 7, range(11, 15), 16) | _each(_two, range(2, 6), range(8, 11), 17, 18, 19)
    | _each(_nothing, 15, range(26, 31)) | _each(_heap, range(20, 24)) | _each(_cast, 24, 25)
)  # fmt: skip
_BULK = (
    _each(_nothing, range(8), range(19, 23)) | _each(_two, 8, 10, 12, 14) | _each(_index, 9, 11, 13, 15, 16, 17)
)  # fmt: skip
_VECTOR = (
    _each(_nothing, range(14, 21), range(35, 84), range(94, 276)) | _each(_memory, range(12), 92, 93)
    | _each(_bytes(16), 12, 13) | _each(_bytes(1), range(21, 35)) | _each(_memory_lane, range(84, 92))
)  # fmt: skip
_ATOMIC = _each(_memory, range(3), range(0x10, 0x4F)) | _each(_bytes(1), 3)
_PREFIXES = {0xFB: _GC, 0xFC: _BULK, 0xFD: _VECTOR, 0xFE: _ATOMIC}


def _prefixed(known: dict[int, _Step]) -> _Step:
    def step(reader: Reader) -> int:
        code = reader.u32()
        found = known.get(code)
        if found is None:
            raise WasmFormatError(f"the instruction with number {code} before byte {reader.position} is not known")
        return found(reader)

    return step


_STEPS: dict[int, _Step] = {
    **_each(_nothing, 0x00, 0x01, 0x05, 0x0A, END, 0x0F, 0x19, 0x1A, 0x1B, range(0x45, 0xC5), 0xD1, 0xD3, 0xD4),
    **_each(_block, 0x02, 0x03, 0x04, 0x06),
    **_each(_index, 0x07, 0x08, 0x09, 0x0C, 0x0D, CALL, RETURN_CALL, 0x14, 0x15, 0x18, REF_FUNC, 0xD5, 0xD6),
    **_each(_index, range(0x20, 0x27), 0x3F, 0x40),
    **_each(_two, 0x11, 0x13),
    **_each(_memory, range(0x28, 0x3F)),
    0x0E: _labels, 0x1C: _types, 0x1F: _try_table, 0xD0: _heap,
    I32_CONST: lambda reader: reader.signed(32), I64_CONST: lambda reader: reader.signed(64),
    0x43: _bytes(4), 0x44: _bytes(8),
    **{prefix: _prefixed(known) for prefix, known in _PREFIXES.items()},
}  # fmt: skip


def instructions(reader: Reader) -> Iterator[Instruction]:
    """Every instruction up to the reader's end. Raises `WasmFormatError` where the bytes are none."""
    steps = _STEPS
    while not reader.at_end:
        offset = reader.position
        opcode = reader.byte()
        step = steps.get(opcode)
        if step is None:
            raise WasmFormatError(f"0x{opcode:02x} at byte {offset:,} is not a known instruction")
        yield Instruction(offset, opcode, step(reader))


def constant(reader: Reader) -> list[Instruction]:
    """The instructions of a constant expression, without its end; the reader stands after it."""
    found: list[Instruction] = []
    while True:
        offset = reader.position
        opcode = reader.byte()
        if opcode == END:
            return found
        step = _STEPS.get(opcode)
        if step is None:
            raise WasmFormatError(f"0x{opcode:02x} at byte {offset:,} is not a known instruction")
        found.append(Instruction(offset, opcode, step(reader)))
