"""The functions that a trace can refer to, and their numbers.

A record names its function by a number of one byte. The functions of preview1 have the numbers of the WASI document
(`wasi/preview1/spec.py`). `LIBRARY_LOOKUP` (`wasi/library.py`) is an event that is not a WASI call. Any other function,
such as one of WASI 0.2, is added to the trace's own list and numbered from `FIRST_FURTHER` in the order of first use;
the list is saved with the trace. Not for: reading arguments (`columns/decode.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...wasi.library import LIBRARY_LOOKUP
from ...wasi.operations import FAMILIES, Operation, family_of
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import BY_NUMBER

BUILT_IN: tuple[Call, ...] = (*BY_NUMBER, LIBRARY_LOOKUP)
"""The functions that are in every trace, by number."""
FIRST_FURTHER = 64
"""The first number of a trace's own list. Unused numbers below it are reserved for built-in functions.
"""
OTHER = 254
"""The number of all further functions once the list is full."""
UNKNOWN = "unknown"
"""The family of an unknown number."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a trace's own list. Its calls are recorded as values (`pack_values`), or raw (`raw_values.py`)."""

    name: str
    """Its name in the program's imports: `[method]descriptor.open-at`."""
    family: str
    module: str
    """The interface without its version: `wasi:filesystem/types`."""
    version: str = ""
    operation: Operation = Operation.UNKNOWN
    """The kind of operation, named alike for all versions of WASI."""
    params: tuple[tuple[str, str], ...] = ()
    """(name, WIT type) of each parameter."""
    results: tuple[tuple[str, str], ...] = ()
    """(name, type) of each result; a single result without a name is called "result"."""
    raw: bool = False
    """Whether its calls are recorded raw (`raw_values.py`) rather than as values."""


class Functions:
    """The functions of one trace by number."""

    def __init__(self, further: Sequence[Function] = ()) -> None:
        self.further = tuple(further[: OTHER - FIRST_FURTHER])
        """The trace's own list, from `FIRST_FURTHER` on."""

    def __len__(self) -> int:
        return FIRST_FURTHER + len(self.further)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each of the 256 numbers; "unknown_N" for an unknown one."""
        names = [f"unknown_{number}" for number in range(256)]
        for call in BUILT_IN:
            names[call.number] = call.name
        for number, function in enumerate(self.further, FIRST_FURTHER):
            names[number] = function.name
        if len(self.further) == OTHER - FIRST_FURTHER:
            names[OTHER] = "other"
        return tuple(names)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The family of each of the 256 numbers; that of a component's function is the family of preview1's calls with
        the same operation."""
        families = [UNKNOWN] * 256
        for call in BUILT_IN:
            families[call.number] = call.family
        for number, function in enumerate(self.further, FIRST_FURTHER):
            families[number] = family_of(function.family, function.operation, function.name)
        return tuple(families)

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """The package of each of the 256 numbers, "filesystem", "io", ..., for those of its own list; else ""."""
        packages = [""] * 256
        for number, function in enumerate(self.further, FIRST_FURTHER):
            packages[number] = function.family
        return tuple(packages)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The operation of each of the 256 numbers."""
        operations = [Operation.UNKNOWN] * 256
        for call in BUILT_IN:
            operations[call.number] = call.operation
        for number, function in enumerate(self.further, FIRST_FURTHER):
            operations[number] = function.operation
        return tuple(operations)

    @cached_property
    def family_names(self) -> tuple[str, ...]:
        """The families of its functions: those of every trace, then the packages of its own list."""
        return tuple(dict.fromkeys((*FAMILIES, *(function.family for function in self.further))))

    @cached_property
    def known(self) -> tuple[int, ...]:
        """The numbers that refer to a function."""
        return (*(call.number for call in BUILT_IN), *range(FIRST_FURTHER, FIRST_FURTHER + len(self.further)))

    def get(self, number: int) -> Function | None:
        """The function of the trace's own list with this number."""
        index = number - FIRST_FURTHER
        return self.further[index] if 0 <= index < len(self.further) else None


# -- values of further functions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes among the values of a call, as far as the trace kept them."""

    data: bytes
    length: int
    """Their original number."""


def pack_values(values: Sequence[object], snaplen: int | None = None) -> bytes:
    """Arguments or results as JSON text: numbers, strings, booleans, None, lists and dictionaries.

    Bytes become `{"bytes": hexadecimal, "length": original length}`, cut to `snaplen`. Everything else becomes its
    `str`.
    """

    def plain(value: object) -> object:
        if isinstance(value, bytes | bytearray | memoryview):
            return {"bytes": bytes(value[:snaplen]).hex(), "length": len(value)}
        return str(value)

    return json.dumps(list(values), default=plain, separators=(",", ":")).encode()


def unpack_values(data: bytes) -> list[object] | None:
    """The inverse of `pack_values`; None for other or truncated bytes."""

    def object_hook(value: dict[str, object]) -> object:
        if value.keys() == {"bytes", "length"} and isinstance(value["bytes"], str) and type(value["length"]) is int:
            return Bytes(bytes.fromhex(value["bytes"]), value["length"])
        return value

    try:
        values = json.loads(data, object_hook=object_hook)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, list) else None
