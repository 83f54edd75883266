"""Which modules are small enough to compile in this process without a limit.

Cranelift's time is not linear in the size of a module: 7.7 KB of nested loops over 100 locals took a minute, since each
loop starts with a value for each local. So a module is small if it has up to a kilobyte of code, or a few kilobytes
with hardly any loops. The worst known modules within these bounds take half a second of processor time and 64 MB
(`tests/engine/test_compile_limits.py`); anything larger is compiled in a separate process the first time.
"""

from __future__ import annotations

from ...module.binary import FuncType, Reader, WasmFormatError
from ...module.module import Module

SECONDS, MEMORY = 1.0, 128 << 20
"""The maximum cost of a small module: lower limits can be enforced only in a separate process."""
_BYTES = 1 << 16
"""Bytes of everything but custom sections."""
_TINY_CODE, _TINY_LOCALS = 1 << 10, 1000
_CODE, _LOCALS = 1 << 13, 4000
_LOOPS_BY_LOCALS = 400
_PARAMETERS, _RESULTS = 16, 4
_LOOP = b"\x03"


def is_small(module: Module) -> bool:
    """Whether the module's sizes bound the cost of compiling it."""
    if len(module.bytes) - sum(module.custom_sections.values()) > _BYTES:
        return False
    if module.code_offset is None:
        return True
    try:
        size, declared, loops = _code(module)
    except WasmFormatError:
        return True  # Wasmtime rejects it before it compiles anything
    if size <= _TINY_CODE:
        return declared <= _TINY_LOCALS
    types = [each for each in module.types if isinstance(each, FuncType)]
    if len(types) < len(module.types):
        return False
    widest = max((len(each.params) for each in types), default=0)
    if widest > _PARAMETERS or any(len(each.results) > _RESULTS for each in types):
        return False
    return size <= _CODE and declared <= _LOCALS and loops <= _LOOPS_BY_LOCALS


def _code(module: Module) -> tuple[int, int, int]:
    """The bytes of code, the locals of all functions, and loops times locals; any byte equal to the opcode counts as a
    loop."""
    assert module.code_offset is not None
    size = module.code_size
    reader = Reader(module.bytes, module.code_offset, module.code_offset + size)
    if size > _CODE:
        return size, 0, 0
    declared = loops = 0
    for _ in range(reader.u32()):
        body = reader.sub(reader.u32())
        here = sum(_group(body) for _ in range(body.u32()))
        declared += here
        loops += body.data.count(_LOOP, body.position, body.end) * (here + _PARAMETERS)
    return size, declared, loops


def _group(body: Reader) -> int:
    """The number of locals in one group of declarations."""
    number = body.u32()
    if body.byte() in (0x63, 0x64):  # a reference to a heap type, which follows
        body.s33()
    return number
