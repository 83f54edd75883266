"""The memory that Python shares with the library: its only description, from which `header` writes `turbo.h`.

Each struct is a ctypes class here and a typedef of the same name in C. `build.py` writes the header before it compiles
`turbo.c`; the library keeps the header's checksum, and one with another checksum is not loaded.

This file imports nothing of wasilab, because the build runs it before wasilab is installed. Its constants repeat those
of the trace and of the trampolines; `tests/native/test_layouts.py` compares them.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import Any

VERSION = 3
"""Of what the fields mean; their names, sizes and places are in the checksum anyway."""

# ---- bounds

CHUNK = 8192
"""Records of a chunk."""
WORDS = 16
"""32-bit argument words of a call: path_open has eleven."""
PATH = 4096
"""Bytes of a path; a longer one is NAMETOOLONG."""
IOVECS = 1024
"""Entries of an iovec array; more is INVAL."""
NATIVE_IOVECS = 16
"""Entries of a read or write that C performs: stdio uses two."""
KEPT_IOVECS = 64
"""Entries that a record keeps."""
KEPT_SUBSCRIPTIONS = 256
"""Subscriptions of a poll that a record keeps."""
KEPT_EVENTS = 1024
"""Events that it keeps in full. More than these are data, within the snap length."""
RANDOM = 256
"""Bytes that getrandom(2) gives in one piece, never interrupted."""
PATHS = 1 << 14
"""Places of the table of a chunk's paths."""
MOST_PATHS = PATHS - 1024
"""How many of them are filled: hashing needs gaps."""
TEXT = 4 << 20
"""Bytes of all paths of a chunk."""
STRUCTS = 512
"""Places of the table of the results that records share."""
MOST_STRUCTS = 256
"""How many of them are filled."""
OPENED = 4096
"""Files that C opens between two visits to Python: half a chunk, since each is closed too."""
RECIPES = 1024
"""Places of the table of recipes."""
USES = 2
"""The slot of what Python opened is filled in at this call on it: much is opened for one call."""
OUTPUT = 256 << 10
"""Bytes of collected output. A program that prints all the time fills them in about a millisecond."""

# ---- values

NONE = 255
"""In a `Shape`: no such argument."""
NEITHER, HOST_FILE, DIRECTORY, STREAM, MEMORY = range(5)
"""`Slot.kind`: what stands behind a descriptor. `NEITHER` is Python's alone."""
OFF, FOREIGN = 1, 2
"""`FunctionState.mode`: Python answers all calls; each call may come from another instance, with its own memory."""
TRUNCATED = 2
"""`Flag.TRUNCATED` of a record."""
RIGHT_SEEK, RIGHT_PATH_OPEN = 1 << 2, 1 << 13
IN_USE = 1 << 63
"""In `Slot.allowed`: C may read the rest of the slot. Without it C leaves the descriptor to Python."""
STILL_OPEN = (1 << 64) - 1
"""`Opened.ended` of a file that is open."""

_P, _U64, _I64, _U32, _I32, _U8 = (
    ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint8
)  # fmt: skip
_FUNCTION = ctypes.py_object


class QuotaState(ctypes.Structure):
    """The quota of a folder in memory."""

    _fields_ = (
        ("used", _U64), ("most", _U64),
        ("real", _U32), ("pad", _U32),  # whether the folder's times are the machine's
    )  # fmt: skip


class Content(ctypes.Structure):
    """The bytes of a file in memory, or of the collected output."""

    _fields_ = (
        ("data", _P), ("size", _U64), ("capacity", _U64),
        ("touched", _U64),  # when C last wrote, ns since the epoch; 0 once Python has seen it
        ("meter", _P), ("lock", _U32), ("pad", _U32),  # `lock` is held for one copy
    )  # fmt: skip


class OpenContent(ctypes.Structure):
    """An open file in memory."""

    _fields_ = (("content", _P), ("position", _I64))


class Slot(ctypes.Structure):
    """One number of the guest's descriptor table."""

    _fields_ = (
        ("allowed", _U64),  # IN_USE, and the rights with which C may act. Written last, cleared first.
        ("era", _U64),  # that of the run when `position` was known
        ("position", _I64),  # of a host file
        ("device", _U64),  # st_dev of a directory
        ("known_end", _U64),  # the file reaches so far at least, see wasi.fdtable.FileReach
        ("handle", _P), ("name", _P),  # of a file in memory; of a preopened directory
        ("name_size", _U32), ("life", _U32),  # life 0: the number is free
        ("host", _I32),  # descriptor of this process; of a STREAM: 0 for stdout, 1 for stderr
        ("opened", _U32),  # 1-based index into the run's `opened`; 0: Python knows it
        ("generation", _U32), ("grant", _U32),  # openings of this number so far; index into the run's `live`
        ("kind", _U8), ("append", _U8),
        ("beyond", _U8),  # the next write may leave a gap, which Python counts
        ("unready", _U8),  # only the life is filled in; calls until all is
        ("pad", _U8 * 4), ("fdstat", _U8 * 24),  # what fd_fdstat_get shows
    )  # fmt: skip


class Opened(ctypes.Structure):
    """A file that C opened. Python hears of it at its next visit."""

    _fields_ = (
        ("began", _U64), ("ended", _U64),  # the calls that opened and closed it, or STILL_OPEN
        ("life", _U32), ("fd", _U32), ("generation", _U32),
        ("directory", _U32), ("path", _U32), ("recipe", _U32),  # a life; a number of the chunk; an index
        ("host", _I32), ("error", _I32),  # `error`: errno of a close that failed, for Python to raise
    )  # fmt: skip


class Recipe(ctypes.Structure):
    """A path_open with these arguments that succeeded in Python, for C to do the next ones."""

    _fields_ = (
        ("base", _U64), ("inheriting", _U64), ("life", _U32), ("grant", _U32), ("dirflags", _U32), ("oflags", _U32),
        ("fdflags", _U32), ("pad", _U32),
        ("asks", _U64),  # rights that the directory must have. What lies before is compared.
        ("reach", _U64),  # rights that its grant must still give
        ("allowed", _U64), ("fdstat", _U8 * 24),  # of the file
        ("flags", _I32), ("append", _U32),  # `flags` of openat
    )  # fmt: skip


class StringBlock(ctypes.Structure):
    """Arguments or environment; `size` counts the NULs."""

    _fields_ = (("ready", _U32), ("asked", _U32), ("count", _U32), ("size", _U32), ("block", _P))


class RunState(ctypes.Structure):
    """One host and its recorder."""

    _fields_ = (
        ("records", _P), ("arena", _P),  # the chunk that is written; `records` 0: nothing is recorded
        *((name, _U64) for name in ("n", "used", "room", "first", "origin", "snap")),
        ("text", _P), *((name, _P) for name in ("path_at", "path_size", "path_table", "struct_table", "struct_hash")),
        *((name, _U64) for name in ("text_used", "npaths", "nstructs", "lost")),
        *((name, _U64) for name in ("steady", "tsc_base", "ns_base", "tsc", "ns", "scale")),  # time stamps
        ("began", _U64),  # of the call that Python answers now
        ("result", _U64), ("extent", _U64),  # what Python says of it: the first of two results, bytes of strings,
        ("flags", _U32), ("stack", _U32),  # flags and stack for its record
        ("missing", _U64),  # what C says of it: the last name of its path was looked for, and is not there
        ("slots", _P), ("live", _P),  # by grant: the rights in force. A revocation is one store there.
        *((name, _U64) for name in ("nslots", "held", "era")),
        *((name, _U64) for name in ("io", "written", "most_written", "clocks")), ("resolution", _U64 * 4),
        ("random", _U64), ("strings", StringBlock * 2), ("opened", _P), ("recipes", _P),
        *((name, _U64) for name in ("nopened", "lives", "open", "most_open", "lowest", "ceiling")),
        ("out", Content),  # stdout and stderr, collected: pieces of (size << 1 | stream, as 32 bits; bytes)
        ("piece", _U64),  # where the last of them begins
        ("turn", _FUNCTION), ("adopt", _FUNCTION), ("ready", _FUNCTION),
        # Python functions: begin a new chunk; take over what was opened; fill in a slot
    )  # fmt: skip


class GuestState(ctypes.Structure):
    """One instance of a module. Its memory as it was last seen: it grows, and never moves. `find` looks again."""

    _fields_ = (("run", _P), ("base", _P), ("size", _U64), ("find", _FUNCTION))


class Shape(ctypes.Structure):
    """Where a call's arguments lie: indices of 32-bit words, NONE for what it has not."""

    _fields_ = (
        ("fd", _U8), ("string", _U8 * 2), ("vector", _U8), ("outbuf", _U8), ("strings", _U8), ("subscriptions", _U8),
        ("events", _U8), ("count", _U8), ("result", _U8 * 2), ("result_size", _U8 * 2), ("result_align", _U8 * 2),
        ("is_struct", _U8), ("subscription_size", _U8),
        ("extra", _U8), ("payload", _U8), ("points", _U8),  # words of the payload; has one; words point at input
        ("pad", _U8 * 4),
    )  # fmt: skip


class FunctionState(ctypes.Structure):
    """One imported function."""

    _fields_ = (
        ("guest", _P), ("target", _FUNCTION),  # the Python function: target(caller, *arguments)
        ("meta", _U64), ("right", _U64),  # the record's columns from `call` to `tid`; what the descriptor needs
        ("answered", _U64), ("asked", _U64),  # calls by C and by Python
        ("params", _U32), ("wide", _U32), ("mode", _U32), ("pad", _U32),  # number of them; a bit for each i64
        ("shape", Shape),
    )  # fmt: skip


class ApiTable(ctypes.Structure):
    """Addresses of functions of Python, and of one of Wasmtime."""

    _fields_ = tuple(
        (name, _P)
        for name in ("ensure", "release", "of_u32", "of_u64", "to_u64", "call", "decref", "clear", "trap")
    )


SHARED = (
    QuotaState, Content, OpenContent, Slot, Opened, Recipe, StringBlock, RunState, GuestState, Shape, FunctionState,
    ApiTable,
)  # fmt: skip
_IN_C = {
    "Content.data": "uint8_t *%s", "Content.meter": "QuotaState *%s", "OpenContent.content": "Content *%s",
    "Slot.handle": "OpenContent *%s", "Slot.name": "const uint8_t *%s", "StringBlock.block": "const uint8_t *%s",
    "RunState.records": "uint8_t *%s", "RunState.arena": "uint8_t *%s", "RunState.text": "uint8_t *%s",
    "RunState.path_at": "uint32_t *%s", "RunState.path_size": "uint32_t *%s", "RunState.path_table": "uint32_t *%s",
    "RunState.struct_table": "uint32_t *%s", "RunState.struct_hash": "uint32_t *%s",
    "RunState.slots": "Slot *%s", "RunState.live": "uint64_t *%s", "RunState.opened": "Opened *%s",
    "RunState.recipes": "Recipe *%s", "GuestState.run": "RunState *%s", "GuestState.base": "uint8_t *%s",
    "FunctionState.guest": "GuestState *%s",
    "ApiTable.ensure": "int (*%s)(void)", "ApiTable.release": "void (*%s)(int)",
    "ApiTable.of_u32": "void *(*%s)(unsigned long)", "ApiTable.of_u64": "void *(*%s)(unsigned long long)",
    "ApiTable.to_u64": "unsigned long long (*%s)(void *)", "ApiTable.clear": "void (*%s)(void)",
    "ApiTable.call": "void *(*%s)(void *, void *const *, size_t, void *)", "ApiTable.decref": "void (*%s)(void *)",
    "ApiTable.trap": "void *(*%s)(const char *, size_t)",
}  # fmt: skip
"""Declarations of the pointers, which ctypes has no types for. Those not here are `void *`."""
_TYPES = {
    _P: "void *", _FUNCTION: "void *", _U64: "uint64_t", _I64: "int64_t", _U32: "uint32_t", _I32: "int32_t",
    _U8: "uint8_t",
}  # fmt: skip


def _declaration(struct: str, name: str, kind: Any) -> str:
    if f"{struct}.{name}" in _IN_C:
        return _IN_C[f"{struct}.{name}"] % name
    if issubclass(kind, ctypes.Array):
        return f"{_declaration(struct, name, kind._type_)}[{kind._length_}]"
    return f"{_TYPES.get(kind, kind.__name__)} {name}"


def _lines() -> str:
    """The header without its checksum. C checks that its compiler lays out each struct as ctypes does."""
    constants = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, int)}
    lines = ["#include <stddef.h>", "#include <stdint.h>"]
    lines += [f"#define {name} {value}{'ull' if value >> 31 else ''}" for name, value in constants.items()]
    for struct in SHARED:
        name, listed = struct.__name__, list(struct._fields_)
        fields = "; ".join(_declaration(name, field[0], field[1]) for field in listed)
        lines.append(f"typedef struct {{ {fields}; }} {name};")
        lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct)}, "as ctypes has it");')
    return "\n".join(lines)


def checksum() -> int:
    """The header's checksum: it changes with any name, size, order or number. Takes 0.1 ms."""
    return zlib.crc32(_lines().encode())


def header() -> str:
    """The text of `turbo.h`."""
    return f"{_lines()}\n#define CHECKSUM {checksum()}u\n"
