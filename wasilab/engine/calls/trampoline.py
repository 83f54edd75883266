"""State shared by the generators of a trampoline: its variant, its text, and the local names of its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ...wasi.preview1.signature import Call, Result


class Variant(NamedTuple):
    """How a trampoline is built."""

    raw: bool = True
    """A callback of the C API over an array of 16-byte slots; False: Python integers through wasmtime-py."""
    traced: bool = True
    stacks: bool = False
    """The guest's call stack is recorded with the call."""
    overridden: bool = False
    """A function from the grants answers the call."""
    foreign: bool = False
    """Another instance may call it, so every call looks up the memory."""
    native: bool = False
    """The native library calls it with unsigned integers and records successful calls itself: `raw` and `traced` are
    then False, and the library is told `stacks` and `overridden`."""


class SourceText:
    """A buffer of source lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, depth: int, *lines: str) -> None:
        """Append lines, indented by `depth` levels."""
        self.lines += ["    " * depth + line for line in lines]

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


@dataclass(slots=True)
class Locals:
    """Names of the generated function's local variables."""

    words: list[str] = field(default_factory=list)
    """All core arguments as 32-bit words, in order; an i64 is two, low one first."""
    arguments: list[str] = field(default_factory=list)
    """The semantic function's arguments."""
    results: list[tuple[str, Result, str]] = field(default_factory=list)
    """Its results: (name, result, name of the pointer where it is stored)."""
    descriptor: str | None = None
    """The descriptor that the first fd argument names."""
    paths: list[str] = field(default_factory=list)
    """Strings read from memory, as bytes."""
    vector_count: str | None = None
    """The length of the array of buffers, for a call that has one; see `codegen._Trampoline._take_iovecs`."""
    buffer_length: str | None = None
    """The length of the one output buffer, for a call that has one (`buffer`)."""


def identifier(call: Call) -> str:
    """The call's name, unique across snapshots; used in the names of its globals."""
    return call.name + ("_0" if call.module == "wasi_unstable" else "")
