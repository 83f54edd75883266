"""What the parts of a trampoline's source share: its variant, its text, and the local names that hold its arguments."""

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
    """The call is answered by a function of the grants."""
    foreign: bool = False
    """Another instance may call it, so the memory is looked up at every call."""
    native: bool = False
    """The native library calls it with the arguments as unsigned integers, and records what succeeds: then `raw` and
    `traced` are False, and `stacks` and `overridden` are told to it."""


class SourceText:
    """Source lines in the making."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, depth: int, *lines: str) -> None:
        """Append lines, indented by `depth` steps."""
        self.lines += ["    " * depth + line for line in lines]

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


@dataclass(slots=True)
class Locals:
    """The names of the generated function's local variables, by what they hold."""

    words: list[str] = field(default_factory=list)
    """All core arguments as 32-bit words, in order; an i64 is two, low one first."""
    arguments: list[str] = field(default_factory=list)
    """What the semantic function gets."""
    results: list[tuple[str, Result, str]] = field(default_factory=list)
    """What it returns: (name, result, name of the pointer where it is stored)."""
    descriptor: str | None = None
    """The descriptor that the first fd argument names."""
    paths: list[str] = field(default_factory=list)
    """Strings read from memory, as bytes."""
    vector_count: str | None = None
    """The length of the array of buffers, for a call that has one; see `codegen._Trampoline._take_iovecs`."""
    buffer_length: str | None = None
    """The length of the one output buffer, for a call that has one (`buffer`)."""


def identifier(call: Call) -> str:
    """The call's name, distinct for each snapshot: part of the names of its globals."""
    return call.name + ("_0" if call.module == "wasi_unstable" else "")
