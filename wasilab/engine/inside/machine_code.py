"""The machine code of one function, with the offset in the module that each piece was compiled from.

Wasmtime's compiled module is an ELF object: `.text` holds the code, its symbols name the functions, and
`.wasmtime.addrmap` maps addresses to offsets in the module. The map's format is not documented. Two are known: the one
until Wasmtime 44 (a count, then all addresses, then all positions, 4 bytes each), and the one of Wasmtime 48 and later
(blocks of up to 128 entries, of variable-length numbers). An object is read only right after Wasmtime made it here.
"""

from __future__ import annotations

import io
import platform
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ...module.binary import Reader, WasmFormatError
from ...module.module import Module
from ..compiling import engines
from ..compiling.engine_options import EngineOptions
from ..compiling.wasm_features import features
from ..limits import Limits

_SYMBOL = re.compile(r"wasm\[0\]::function\[(\d+)\](?:::|$)")
_NONE = 0xFFFFFFFF
_BLOCK = 128


class Piece(NamedTuple):
    """Consecutive bytes of machine code that were made from one instruction."""

    address: int
    """The address after the beginning of the function."""
    code: bytes
    position: int | None
    """The offset in the module; None for what the compiler adds: the frame, checks, the polling of the epoch."""


@dataclass(frozen=True)
class MachineCode:
    """One function as Wasmtime compiled it."""

    start: int
    """Its address in the object's text."""
    pieces: tuple[Piece, ...]
    names: dict[int, str]
    """Address after `start` of other functions -> name: the targets of calls."""
    machine: str
    """The processor, as `platform.machine()` calls it."""
    seconds: float
    """Seconds that Wasmtime took to compile the module; near 0 if it had it."""

    @property
    def size(self) -> int:
        """Bytes of machine code."""
        return sum(len(piece.code) for piece in self.pieces)


class NoMachineCode(Exception):
    """The machine code cannot be shown; the message says why."""


def machine_code(module: Module, index: int, engine: EngineOptions | None = None) -> MachineCode:
    """The machine code of function `index`, compiled as for a run with the default limits.

    Raises `WasmtimeCompileError`, `CompileLimitReached`, and `NoMachineCode`.
    """
    options, limits = engine or EngineOptions(), Limits()
    chosen = features(options.features, foreign=module.lang in (None, "wat"))
    request = engines.CompileRequest(
        chosen, options, limits.fuel is not None, limits.compile_seconds, limits.compile_memory
    )
    compiled = engines.acquire([module], request)
    try:
        data = bytes(compiled.modules[0].serialize())
    finally:
        engines.release(compiled)
    try:
        return _of_object(data, index, compiled.seconds)
    except (ELFError, WasmFormatError, struct.error) as error:
        raise NoMachineCode(f"this version of Wasmtime writes its machine code in an unknown form ({error})") from None


def _of_object(data: bytes, index: int, seconds: float) -> MachineCode:
    elf = ELFFile(io.BytesIO(data))
    text, table = elf.get_section_by_name(".text"), elf.get_section_by_name(".symtab")
    mapped = elf.get_section_by_name(".wasmtime.addrmap")
    if text is None or mapped is None or not isinstance(table, SymbolTableSection):
        raise NoMachineCode("this version of Wasmtime keeps no map from machine code to the module")
    code = text.data()
    names: dict[int, str] = {}
    place: tuple[int, int] | None = None
    for symbol in table.iter_symbols():
        found = _SYMBOL.match(symbol.name)
        address, size = int(symbol["st_value"]), int(symbol["st_size"])
        names.setdefault(address, symbol.name)
        if found is not None and int(found[1]) == index and place is None:
            place = address, size
    if place is None:
        raise NoMachineCode(f"Wasmtime's object has no symbol for function {index}")
    start, size = place
    if start + size > len(code):
        raise NoMachineCode("the symbol lies outside of the code")
    pieces = tuple(_pieces(code, start, size, address_map(mapped.data())))
    return MachineCode(start, pieces, {at - start: name for at, name in names.items()}, platform.machine(), seconds)


def _pieces(code: bytes, start: int, size: int, entries: list[tuple[int, int | None]]) -> Iterator[Piece]:
    inside = [(at, position) for at, position in entries if start <= at < start + size]
    if not inside or inside[0][0] > start:
        inside.insert(0, (start, None))
    ends = [at for at, _ in inside[1:]] + [start + size]
    for (at, position), end in zip(inside, ends, strict=True):
        if end > at:
            yield Piece(at - start, code[at:end], position)


def address_map(data: bytes) -> list[tuple[int, int | None]]:
    """(address, offset in the module or None) of Wasmtime's map, in order. Raises `WasmFormatError` for other bytes."""
    if len(data) < 4:
        raise WasmFormatError("the map is empty")
    (count,) = struct.unpack_from("<I", data)
    if len(data) == 4 + 8 * count:
        numbers = struct.unpack_from(f"<{2 * count}I", data, 4)
        return [
            (at, None if position == _NONE else position)
            for at, position in zip(numbers[:count], numbers[count:], strict=True)
        ]
    blocks = int.from_bytes(data[4:8], "little")
    if count > len(data) or blocks != -(-count // _BLOCK) or 8 + 8 * blocks > len(data):
        raise WasmFormatError("the map has another size than it says")
    found: list[tuple[int, int | None]] = []
    for block in range(blocks):
        address, begin = struct.unpack_from("<II", data, 8 + 8 * block)
        reader = Reader(data, min(len(data), 8 + 8 * blocks + begin))
        before: int | None = None
        for _ in range(min(_BLOCK, count - _BLOCK * block)):
            head = reader.u64()
            address += head >> 1
            if head & 1:
                found.append((address, None))
                continue
            before = reader.u32() if before is None else before + reader.signed(33)
            found.append((address, before))
    return found
