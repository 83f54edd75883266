"""The globals of a module: names, types and the values that they start with. Source: WebAssembly core 3.0, 5.5.9."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ..binary import WasmFormatError, value_type
from ..module import Module, ModuleError
from .instructions import GLOBAL_GET, I32_CONST, I64_CONST, Instruction, constant
from .wasm_sections import GLOBAL, payload

_I32_ADD, _I32_SUB, _I32_MUL = 0x6A, 0x6B, 0x6C
GLOBAL_NAMES, DATA_NAMES = 7, 9
"""The parts of the name section that name globals and data segments."""


class Global(NamedTuple):
    """A global: its name or "", its type, whether it can change, and its first value if that is a known integer."""

    name: str
    type: str
    mutable: bool
    value: int | None


@lru_cache(maxsize=8)
def globals_of(module: Module) -> tuple[Global, ...]:
    """All globals, imported ones first. Raises `ModuleError` for a damaged section."""
    exported = {e.index: e.name for e in module.exports if e.kind == "global"}
    names = exported | module.names(GLOBAL_NAMES)
    found: list[Global] = []
    for item in module.imports:
        if isinstance(item.type, str) and item.type.startswith("global "):
            kind = item.type.removeprefix("global ")
            found.append(Global(item.name, kind.removeprefix("mut "), kind.startswith("mut "), None))
    reader = payload(module, GLOBAL)
    try:
        for _ in range(reader.count(3) if reader is not None else 0):
            assert reader is not None
            kind, mutable = value_type(reader), bool(reader.byte())
            value = constant_value(constant(reader), found)
            found.append(Global(names.get(len(found), ""), kind, mutable, value))
    except WasmFormatError as error:
        raise ModuleError(f"{module.name} is a damaged WebAssembly module: {error}") from None
    return tuple(found)


def constant_value(code: Sequence[Instruction], known: Sequence[Global]) -> int | None:
    """The integer that a constant expression gives, as an unsigned address; None if it is not known before the run."""
    stack: list[int | None] = []
    for one in code:
        if one.opcode in (I32_CONST, I64_CONST):
            stack.append(one.value)
        elif one.opcode == GLOBAL_GET:
            stack.append(known[one.value].value if one.value < len(known) else None)
        elif one.opcode in (_I32_ADD, _I32_SUB, _I32_MUL) and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            if left is None or right is None:
                stack.append(None)
            else:
                stack.append(
                    left + right if one.opcode == _I32_ADD else left - right if one.opcode == _I32_SUB else left * right
                )
        else:
            return None
    if len(stack) != 1 or stack[0] is None:
        return None
    return stack[0] & 0xFFFF_FFFF if all(one.opcode != I64_CONST for one in code) else stack[0] & (1 << 64) - 1
