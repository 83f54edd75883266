"""The sections of a module with their sizes. Source: WebAssembly core 3.0, 5.5."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..binary import Reader
from ..module import Module

CODE, DATA, ELEMENT, EXPORT, GLOBAL, IMPORT, TABLE = 10, 11, 9, 7, 6, 2, 4
_NAMES = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data",
    "data count", "tag",
)  # fmt: skip
_WORDS = {
    "type": "signatures of functions",
    "import": "what it asks for",
    "function": "the type of each function",
    "table": "tables of references, as for function pointers",
    "memory": "linear memories",
    "global": "global variables, such as the stack pointer",
    "export": "what others can call and read",
    "start": "the function that runs at instantiation",
    "element": "what the tables contain at the start",
    "code": "the functions' instructions",
    "data": "what the memory contains at the start",
    "data count": "how many data segments there are",
    "tag": "kinds of exceptions",
    "name": "names of functions, for people",
    "producers": "the tools that made it",
    "target_features": "the WebAssembly features that it uses",
}


class WasmSection(NamedTuple):
    """One section: its number and name, and where it lies in the file, in bytes."""

    id: int
    """The section's number in the binary format; 0 is a custom section."""
    name: str
    """The standard name, or the custom section's own."""
    begin: int
    """The offset of its header."""
    payload: int
    """The offset of its payload (of a custom section: after its name)."""
    end: int
    """The offset after it."""

    @property
    def size(self) -> int:
        """Bytes, with the header."""
        return self.end - self.begin

    @property
    def words(self) -> str:
        """What it is for; "" if that is not known."""
        return "debug information: source lines and types" if self.name.startswith(".debug_") else _WORDS.get(
            self.name, ""
        )


def sections(module: Module) -> list[WasmSection]:
    """The sections in the order of the file. A component has none of these: the result is empty."""
    return [] if module.is_component else list(_sections(module))


def _sections(module: Module) -> Iterator[WasmSection]:
    reader = Reader(module.bytes, 8)
    while not reader.at_end:
        begin = reader.position
        number = reader.byte()
        body = reader.sub(reader.u32())
        name = _NAMES[number] if number < len(_NAMES) else f"section {number}"
        if number == 0:
            name = body.name()
        yield WasmSection(number, name, begin, body.position, body.end)


def payload(module: Module, number: int) -> Reader | None:
    """A reader of the first section with that number; None if there is none."""
    found = next((one for one in sections(module) if one.id == number), None)
    return None if found is None else Reader(module.bytes, found.payload, found.end)
