"""The vocabulary in which the calls are declared: types, parameters, results and calls.

The tables (`calls_*.py`) are written in it, `spec.py` assembles them, and everything else reads it: the engine
decodes arguments and writes results by it, the recorder and the strace text name arguments by it, the panel lists
rights and families by it. Pure data, no behaviour of a call.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from types import MappingProxyType

from . import types as t
from .errnos import Errno

NO_RIGHT = t.Rights(0)
I32 = ("i32",)
I64 = ("i64",)
POINTER_AND_LENGTH = ("i32", "i32")

SCALAR, FD = "scalar", "fd"
STRING, IOVECS, CIOVECS, OUTBUF = "string", "iovecs", "ciovecs", "outbuf"
OUTSTRINGS, INSUBS, OUTEVENTS = "outstrings", "insubs", "outevents"


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the witx document, as it is passed, decoded and stored.

    `kind` says how an argument is decoded:

    ============  ==================  ==========================================================================
    kind          wasm words          the semantic function gets
    ============  ==================  ==========================================================================
    `scalar`      1 (i32 or i64)      an `int`: unsigned, or signed if `signed`; not yet checked to be valid
    `fd`          1                   the open `Descriptor` (else BADF), its right already checked
    `string`      pointer, length     `bytes`, a copy
    `ciovecs`     array, count        `list[memoryview]` to read from: (pointer u32, length u32) each
    `iovecs`      array, count        `list[memoryview]` to write into
    `outbuf`      pointer, length     a writable `memoryview`
    `outstrings`  pointers, buffer    nothing: the function returns `list[bytes]`, the engine lays them out
    `insubs`      pointer             `list[Subscription]`; the count is the parameter `nsubscriptions`
    `outevents`   pointer             nothing: the function returns `list[Event]`, at most `nsubscriptions`
    ============  ==================  ==========================================================================
    """

    name: str
    kind: str
    words: tuple[str, ...]
    signed: bool = False
    python: type[IntEnum] | type[IntFlag] | None = None
    """The enum or flags class that names the values, for display."""
    struct: struct.Struct | None = None
    """How it lies in memory when it is a result."""
    record: bool = False
    """Whether the value is a tuple, to be packed field by field."""
    align: int = 0
    """Alignment in memory, bytes, when it is a result."""

    @property
    def size(self) -> int:
        """Bytes in memory as a result; 0 for a type that is never one."""
        return self.struct.size if self.struct else 0


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a call. `right` is what its descriptor must have in strict mode."""

    name: str
    type: Type
    right: t.Rights = NO_RIGHT

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(name, core type) of each wasm word that carries it, such as ("path", "i32"), ("path_len", "i32")."""
        if len(self.type.words) == 1:
            return ((self.name, self.type.words[0]),)
        second = f"{self.name}_buf" if self.type.kind == OUTSTRINGS else f"{self.name}_len"
        return ((self.name, "i32"), (second, "i32"))


@dataclass(frozen=True, slots=True)
class Result:
    """One result, written through a trailing pointer parameter on success."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a WASI module."""

    name: str
    family: str
    number: int
    """Stable index, in the order of the witx document of preview1: the trace's `call` column."""
    params: tuple[Param, ...]
    results: tuple[Result, ...]
    summary: str
    """What it does, in a sentence or two."""
    memory: str = ""
    """The bytes that it reads and writes, drawn."""
    errors: Mapping[Errno, str] = field(default_factory=lambda: MappingProxyType({}))
    """Errno -> the condition under which it is returned (besides BADF for an unopened descriptor)."""
    module: str = "wasi_snapshot_preview1"
    returns: bool = True
    """False for `proc_exit`, which ends the program and has no errno."""

    @property
    def signature(self) -> tuple[str, ...]:
        """The core types of its wasm parameters; its wasm result is one i32 (none unless `returns`)."""
        words = [word for param in self.params for word in param.type.words]
        return (*words, *("i32" for _ in self.results))

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(name, core type) of every wasm parameter; a result pointer is named "result.NAME"."""
        named = [word for param in self.params for word in param.words]
        return (*named, *((f"result.{result.name}", "i32") for result in self.results))

    @property
    def url(self) -> str:
        """Where the WASI document describes the call."""
        base = "https://github.com/WebAssembly/WASI/blob/wasi-0.1"
        folder = "preview1" if self.module == "wasi_snapshot_preview1" else "preview0"
        return f"{base}/{folder}/docs.md#{self.name}"

    @property
    def doc(self) -> str:
        """Everything a reader wants to know of it: meaning, bytes drawn, errnos, link."""
        parts = [self.summary]
        if self.memory:
            parts.append(self.memory.strip("\n"))
        if self.errors:
            parts.append("\n".join(f"{code.symbol}: {condition}" for code, condition in self.errors.items()))
        return "\n\n".join([*parts, self.url])


def _scalar(name: str, word: tuple[str, ...], layout: struct.Struct | None = None, **more: object) -> Type:
    align = layout.size if layout else 0
    return Type(name, SCALAR, word, struct=layout, align=align, **more)  # type: ignore[arg-type]


SIZE = _scalar("size", I32, t.U32)
FILESIZE = _scalar("filesize", I64, t.U64)
FILEDELTA = _scalar("filedelta", I64, signed=True)
TIMESTAMP = _scalar("timestamp", I64, t.U64)
DIRCOOKIE = _scalar("dircookie", I64)
EXITCODE = _scalar("exitcode", I32)
CLOCKID = _scalar("clockid", I32, python=t.ClockId)
ADVICE = _scalar("advice", I32, python=t.Advice)
WHENCE = _scalar("whence", I32, python=t.Whence)
WHENCE_UNSTABLE = _scalar("whence", I32, python=t.WhenceUnstable)
SIGNAL = _scalar("signal", I32, python=t.Signal)
FDFLAGS = _scalar("fdflags", I32, python=t.Fdflags)
OFLAGS = _scalar("oflags", I32, python=t.Oflags)
LOOKUPFLAGS = _scalar("lookupflags", I32, python=t.Lookupflags)
FSTFLAGS = _scalar("fstflags", I32, python=t.Fstflags)
RIGHTS = _scalar("rights", I64, python=t.Rights)
RIFLAGS = _scalar("riflags", I32, python=t.Riflags)
ROFLAGS = _scalar("roflags", I32, t.U16, python=t.Roflags)
SIFLAGS = _scalar("siflags", I32, python=t.Siflags)
SDFLAGS = _scalar("sdflags", I32, python=t.Sdflags)

FD_ARGUMENT = Type("fd", FD, I32)
FD_RESULT = _scalar("fd", I32, t.U32)
PATH = Type("string", STRING, POINTER_AND_LENGTH)
CIOVEC_ARRAY = Type("ciovec_array", CIOVECS, POINTER_AND_LENGTH)
IOVEC_ARRAY = Type("iovec_array", IOVECS, POINTER_AND_LENGTH)
BUFFER = Type("buffer", OUTBUF, POINTER_AND_LENGTH)
STRINGS = Type("strings", OUTSTRINGS, POINTER_AND_LENGTH)
SUBSCRIPTIONS = Type("subscriptions", INSUBS, I32)
EVENTS = Type("events", OUTEVENTS, I32)

FDSTAT = Type("fdstat", SCALAR, I32, struct=t.FDSTAT, record=True, align=8)
PRESTAT = Type("prestat", SCALAR, I32, struct=t.PRESTAT, record=True, align=4)
FILESTAT = Type("filestat", SCALAR, I32, struct=t.FILESTAT, record=True, align=8)
FILESTAT_UNSTABLE = Type("filestat", SCALAR, I32, struct=t.FILESTAT_UNSTABLE, record=True, align=8)
