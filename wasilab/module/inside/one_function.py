"""A module reduced to one function, so that a printer shows that and no more: quick for a module of any size."""

from __future__ import annotations

from ..binary import Reader
from ..module import Module
from .function_bodies import FunctionBody
from .memory_layout import leb
from .wasm_sections import CODE, DATA, sections

_EMPTY = b"\x03\x00\x00\x0b"
"""The body `unreachable` with its size."""
_DATA_COUNT = 12


def one_function(module: Module, body: FunctionBody) -> tuple[bytes, int]:
    """The reduced module, and what to add to an offset in it for the offset in the file of the same instruction.

    Other functions are `unreachable`, and the data is gone. Of the custom sections only the names are left.
    """
    first = module.imported_functions
    out = bytearray(module.bytes[:8])
    shift = 0
    for section in sections(module):
        if section.id in (DATA, _DATA_COUNT) or (section.id == 0 and section.name != "name"):
            continue
        if section.id != CODE:
            out += module.bytes[section.begin : section.end]
            continue
        count = Reader(module.bytes, section.payload, section.end).u32()
        own = module.bytes[body.begin : body.end]
        before = leb(count) + _EMPTY * (body.number - first) + leb(len(own))
        code = before + own + _EMPTY * (count - (body.number - first) - 1)
        head = b"\x0a" + leb(len(code))
        shift = body.begin - (len(out) + len(head) + len(before))
        out += head + code
    return bytes(out), shift
