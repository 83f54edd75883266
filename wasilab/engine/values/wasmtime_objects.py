"""Types for objects of wasmtime-py that have no public name there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

import wasmtime

ExternItem: TypeAlias = (
    wasmtime.Func | wasmtime.Table | wasmtime.Memory | wasmtime.SharedMemory | wasmtime.Global | wasmtime.Tag
)
"""An import or export of an instance."""
ExternType: TypeAlias = (
    wasmtime.FuncType | wasmtime.TableType | wasmtime.MemoryType | wasmtime.GlobalType | wasmtime.TagType
)
"""Its type."""
Imported: TypeAlias = dict[str, dict[str, ExternItem]]
"""Import module name -> import name -> what is linked."""
CallbackCaller: TypeAlias = int | wasmtime.Caller
"""The caller that a trampoline gets: its address in a raw callback, else wasmtime-py's object."""
CallerOf: TypeAlias = Callable[[CallbackCaller], wasmtime.Caller]
"""Makes wasmtime-py's object of it."""
RetainedCallback: TypeAlias = Callable[..., object]
"""A ctypes callback, kept alive as long as its store."""
Pointer: TypeAlias = "ctypes._Pointer[ctypes.Structure]"
"""A pointer to a structure of Wasmtime's C API."""


def as_int(number: ctypes.c_ubyte) -> int:
    """A field that wasmtime-py declares as c_ubyte: ctypes gives an int."""
    return cast(int, number)


def as_function_type(item: wasmtime.ImportType) -> wasmtime.FuncType:
    """The type of an imported function."""
    type_ = item.type
    assert isinstance(type_, wasmtime.FuncType), "the import of a function"
    return type_


class RawWords(Protocol):
    """The 16-byte slots of a raw call as 32-bit words (`calls/raw.py`)."""

    def __getitem__(self, at: int) -> int: ...

    def __setitem__(self, at: int, word: int) -> None: ...
