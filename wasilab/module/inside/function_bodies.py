"""The functions that a module defines: where their bodies lie, and which of them nothing can reach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ...text.nearest import did_you_mean
from ..binary import Reader, WasmFormatError, value_type
from ..module import Module, ModuleError
from ..symbols import demangle
from . import instructions as coding
from .function_tables import tables_of
from .wasm_sections import CODE, GLOBAL, payload

MOST_CODE = 2 << 20
"""Bytes of code that are searched for calls: about 3 s in Python."""
MOST_FUNCTIONS = 1_000_000


_MAIN = ("__original_main", "__main_void", "__main_argc_argv")
"""What clang calls C's main, by its signature."""


class FunctionBody(NamedTuple):
    """The body of one function: which one, and its bytes in the file."""

    number: int
    """Its index among all functions, imported ones first."""
    name: str
    """Its demangled name, or "function N"."""
    begin: int
    """The offset of the body: its local variables come first."""
    end: int

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.end - self.begin


@lru_cache(maxsize=8)
def bodies(module: Module) -> tuple[FunctionBody, ...]:
    """The functions that the module defines, in order. Raises `ModuleError` if the code section is damaged."""
    reader = payload(module, CODE)
    if reader is None:
        return ()
    first, found = module.imported_functions, []
    exported = {e.index: e.name for e in reversed(module.exports) if e.kind == "func"}
    names = module.function_names
    try:
        for at in range(min(reader.count(1), MOST_FUNCTIONS)):
            body = reader.sub(reader.u32())
            index = first + at
            name = names.get(index) or exported.get(index)
            found.append(FunctionBody(index, demangle(name) if name else f"function {index}", body.position, body.end))
    except WasmFormatError as error:
        raise ModuleError(f"{module.name} is a damaged WebAssembly module: {error}") from None
    return tuple(found)


def find_body(module: Module, wanted: str) -> FunctionBody:
    """The function that a name, or a number, means: its name as in the module or as people write it, or its index.

    Raises `ModuleError` with the nearest name. Names are unique in a linked program; the first is taken elsewhere.
    """
    known = bodies(module)
    if wanted.isascii() and wanted.isdecimal():
        index = int(wanted[:12])
        first = module.imported_functions
        if first <= index < first + len(known):
            return known[index - first]
        imported = f"function {index} is imported, and has no code here; " if index < first else ""
        last = first + len(known) - 1
        there = f"its functions are {first} to {last}" if known else "it defines no function"
        raise ModuleError(f"{module.name}: {imported or f'there is no function {index}; '}{there}")
    names = module.function_names
    for alias in (wanted, *(_MAIN if wanted == "main" else ())):
        found = next((body for body in known if alias in (body.name, names.get(body.number))), None)
        if found is not None:
            return found
    exported = next((e.index for e in module.exports if e.kind == "func" and e.name == wanted), None)
    found = None if exported is None else next((b for b in known if b.number == exported), None)
    if found is not None:
        return found
    several = [body.name for body in known if wanted and wanted in body.name]
    there = f"; there is {', '.join(several[:6])}" if several else ""
    near = did_you_mean(wanted, [body.name for body in known], there)
    why = "" if names else " (it has no names of functions: give an export or a number)"
    raise ModuleError(f"{module.name} defines no function {wanted!r}{near}{why}")


@dataclass(frozen=True)
class Reachable:
    """Which functions can run."""

    unreachable: tuple[FunctionBody, ...]
    """Functions that no export, table or other reachable function names, the largest first."""
    unknown: str = ""
    """Why that is not known; "" when it is."""

    @property
    def bytes(self) -> int:
        """Bytes of the unreachable bodies."""
        return sum(body.size for body in self.unreachable)


@lru_cache(maxsize=8)
def reach(module: Module) -> Reachable:
    """The functions that nothing can reach: an upper bound of what runs, from exports, tables and calls.

    A function in a table counts as reached where any reached function calls through a table or reference, or where
    others see the table.
    """
    if module.code_size > MOST_CODE:
        return Reachable((), f"it has more than {MOST_CODE:,} bytes of code")
    try:
        known = {body.number: body for body in bodies(module)}
        tables = tables_of(module)
        begin = {e.index for e in module.exports if e.kind == "func"} | ({module.start} - {None})
        begin |= _named_by_globals(module)
        begin |= {index for segment in tables.segments for index in segment.functions} if tables.shared else set()
        waiting = [index for index in begin if index is not None]
        reached: set[int] = set(waiting)
        pending = {index for segment in tables.segments for index in segment.functions} - reached
        while waiting:
            body = known.get(waiting.pop())
            if body is None:
                continue
            for one in coding.instructions(_code(module, body)):
                if one.opcode in (coding.CALL, coding.RETURN_CALL, coding.REF_FUNC):
                    new = {one.value} - reached
                elif one.opcode in coding.INDIRECT:
                    new, pending = pending - reached, set()
                else:
                    continue
                reached |= new
                waiting += new
    except (WasmFormatError, ModuleError) as error:
        return Reachable((), str(error))
    left = [body for index, body in known.items() if index not in reached]
    return Reachable(tuple(sorted(left, key=lambda body: -body.size)))


def _code(module: Module, body: FunctionBody) -> Reader:
    """A reader of the instructions of a body, after its local variables."""
    from_ = Reader(module.bytes, body.begin, body.end)
    for _ in range(from_.count(2)):
        from_.u32()
        value_type(from_)
    return from_


def _named_by_globals(module: Module) -> set[int | None]:
    reader = payload(module, GLOBAL)
    found: set[int | None] = set()
    if reader is not None:
        for _ in range(reader.count(3)):
            value_type(reader)
            reader.byte()
            found |= {one.value for one in coding.constant(reader) if one.opcode == coding.REF_FUNC}
    return found
