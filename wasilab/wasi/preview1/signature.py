"""The vocabulary in which the calls of preview1 are declared: types, parameters, results, and `@call`.

`@call` stands above the function of each call, in the file of its family; the function's docstring is the call's
documentation. `spec.py` gathers the declarations, and everything else reads them there: the engine decodes arguments
and writes results by them, the recorder and the strace text name arguments by them, the panel lists rights and
families by them.
"""

from __future__ import annotations

import inspect
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from .. import types as t
from ..errnos import Errno
from ..operations import Operation

F = TypeVar("F", bound=Callable[..., object])

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
    `insubs`      pointer             `list[Subscription]`, as many as `count` says
    `outevents`   pointer             nothing: the function returns `list[Event]`, at most as many as `count` says
    ============  ==================  ==========================================================================
    """

    name: str
    kind: str
    words: tuple[str, ...]
    signed: bool = False
    python: type[IntEnum] | type[IntFlag] | None = None
    """The enum or flags class that names the values, for display."""
    struct: struct.Struct | None = None
    """Its layout in memory when it is a result."""
    record: bool = False
    """Whether the value is a tuple, to be packed field by field."""
    align: int = 0
    """Alignment in memory, bytes, when it is a result."""
    count: str = ""
    """The parameter that holds the number of entries of an array. The engine uses it; the function does not get it."""

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
    """One call of a WASI module: its signature, its function and its documentation."""

    name: str
    number: int
    """Stable index, in the order of the witx document of preview1: the trace's `call` column."""
    operation: Operation
    params: tuple[Param, ...]
    results: tuple[Result, ...]
    function: Callable[..., object] = field(compare=False)
    """What the call does: `function(host, *decoded arguments)`, returning None, one value, or a tuple of one value a
    result. It raises `WasiError`, `OSError` (with `Refused`), `ValueError`, `OverflowError` or `UnicodeError` for a
    failure that `errnos.explain` turns into an errno; `ProcExit` ends the guest; `Interrupted` says that the run was
    stopped while the call waited."""
    common_errors: Mapping[Errno, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    """Errors that the call shares with others of its family; its docstring has the rest."""
    module: str = "wasi_snapshot_preview1"
    returns: bool = True
    """False for `proc_exit`, which ends the program and has no errno."""

    @property
    def family(self) -> str:
        """The group of calls that it belongs to, such as "fd" (see `operations.FAMILIES`)."""
        return self.name.partition("_")[0]

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
    def arguments(self) -> tuple[Param, ...]:
        """The parameters that the function gets, decoded: not those that it answers by its return value, and not the
        number of entries of an array."""
        counts = {param.type.count for param in self.params}
        returned = (OUTSTRINGS, OUTEVENTS)
        return tuple(p for p in self.params if p.type.kind not in returned and p.name not in counts)

    @property
    def url(self) -> str:
        """Where the WASI document describes the call; "" for one of another module."""
        if not self.module.startswith("wasi_"):
            return ""
        base = "https://github.com/WebAssembly/WASI/blob/wasi-0.1"
        folder = "preview1" if self.module == "wasi_snapshot_preview1" else "preview0"
        return f"{base}/{folder}/docs.md#{self.name}"

    @property
    def doc(self) -> str:
        """The documentation of the call: meaning, bytes drawn, errors, links."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def summary(self) -> str:
        """What it does, in a sentence or two."""
        return _documentation(self.function).summary

    @property
    def memory(self) -> str:
        """The bytes that it reads and writes, drawn."""
        return _documentation(self.function).memory

    @property
    def errors(self) -> Mapping[Errno, str]:
        """Errno -> the condition under which it is returned (besides EBADF for an unopened descriptor)."""
        return {**self.common_errors, **_documentation(self.function).errors}


DECLARED: dict[str, Call] = {}
"""The calls declared so far, by name. `@call` fills it; read it through `spec.py`, which imports every family."""


def call(
    number: int,
    operation: Operation,
    *params: Param,
    results: tuple[Result, ...] = (),
    errors: Mapping[Errno, str] | None = None,
    returns: bool = True,
) -> Callable[[F], F]:
    """Declare the function below as the WASI call of its name; the function itself is unchanged.

    Its docstring has a summary, then, where they apply, the section "Memory:" with the bytes that are read and written,
    the section "Errors:" with a line such as "EINVAL: the size is 2**63 or more" for each errno, and the links.
    `errors` are those that the call shares with others.
    """

    def declare(function: F) -> F:
        name = function.__name__
        DECLARED[name] = Call(
            name, number, operation, params, results, function, MappingProxyType(dict(errors or {})), returns=returns
        )
        return function

    return declare


class _Documentation(NamedTuple):
    summary: str
    memory: str
    errors: Mapping[Errno, str]


_SYMBOLS = {code.symbol: code for code in Errno}


@lru_cache(maxsize=128)
def _documentation(function: Callable[..., object]) -> _Documentation:
    """The parts of a call's docstring; all empty where Python runs without docstrings (-OO)."""
    text = inspect.cleandoc(function.__doc__ or "")
    head, *sections = re.split(r"^(Memory|Errors|WASI|POSIX)[^\n:]*:", text, flags=re.MULTILINE)
    parts = dict(zip(sections[::2], sections[1::2], strict=True))
    found = re.findall(r"^    (E[A-Z0-9]+): (.+(?:\n     .+)*)", parts.get("Errors", ""), re.MULTILINE)
    errors = {_SYMBOLS[symbol]: " ".join(condition.split()) for symbol, condition in found}
    return _Documentation(" ".join(head.split("\n\n")[0].split()), parts.get("Memory", "").strip("\n"), errors)


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
SUBSCRIPTIONS = Type("subscriptions", INSUBS, I32, count="nsubscriptions")
EVENTS = Type("events", OUTEVENTS, I32, count="nsubscriptions")

FDSTAT = Type("fdstat", SCALAR, I32, struct=t.FDSTAT, record=True, align=8)
PRESTAT = Type("prestat", SCALAR, I32, struct=t.PRESTAT, record=True, align=4)
FILESTAT = Type("filestat", SCALAR, I32, struct=t.FILESTAT, record=True, align=8)
FILESTAT_UNSTABLE = Type("filestat", SCALAR, I32, struct=t.FILESTAT_UNSTABLE, record=True, align=8)
