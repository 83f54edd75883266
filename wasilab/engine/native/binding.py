"""The structs of `turbo.h` as ctypes classes (`Run` is `RunState` here, and so on), and the library.

`library()` is None if the native path is not available; `why_not()` gives the reason. Python then does everything, with
the same results. The library is loaded once per process; one with different struct layouts is not used.

Not here: the contents of the structs, and building the library (`build.py`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import wasmtime

VERSION = 2
CHUNK, PATHS, TEXT, STRUCTS = 8192, 1 << 14, 4 << 20, 512
OPENED, RECIPES, NONE = 4096, 1024, 255
OTHER, HOST_FILE, DIRECTORY, OUTPUT, MEMORY = range(5)
OFF, FOREIGN = 1, 2
IN_USE = 1 << 63
"""In `Slot.allowed`: C may use the slot. Without it C leaves the descriptor to Python."""
STILL_OPEN = (1 << 64) - 1
"""`Opened.ended` of a file that is open."""
LIBRARY = f"libturbo.{'dylib' if sys.platform == 'darwin' else 'so'}"
VARIABLE = "WASILAB_NATIVE"
"""The environment variable: "0" for Python only, or the path of a library to use (for tests)."""

_P, _U64, _I64, _U32, _I32, _U8 = (
    ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint8
)  # fmt: skip


class QuotaState(ctypes.Structure):
    """The quota of a folder in memory."""

    _fields_ = (("used", _U64), ("most", _U64), ("real", _U32), ("pad", _U32))


class Content(ctypes.Structure):
    """The bytes of a file in memory."""

    _fields_ = (
        ("data", _P), ("size", _U64), ("capacity", _U64), ("touched", _U64), ("meter", _P), ("lock", _U32),
        ("pad", _U32),
    )  # fmt: skip


class OpenContent(ctypes.Structure):
    """An open file in memory."""

    _fields_ = (("content", _P), ("position", _I64))


class Slot(ctypes.Structure):
    """One number of the guest's descriptor table."""

    _fields_ = (
        ("allowed", _U64), ("era", _U64), ("place", _U64), ("known_end", _U64), ("handle", _P), ("name", _P),
        ("name_size", _U32), ("life", _U32), ("host", _I32), ("opened", _U32), ("generation", _U32), ("grant", _U32),
        ("kind", _U8), ("append", _U8), ("beyond", _U8), ("unready", _U8), ("pad", _U8 * 4),
        ("fdstat", _U8 * 24),
    )  # fmt: skip


class Opened(ctypes.Structure):
    """A file that C opened and Python does not know yet."""

    _fields_ = (
        ("began", _U64), ("ended", _U64), ("life", _U32), ("fd", _U32), ("generation", _U32), ("directory", _U32),
        ("path", _U32), ("recipe", _U32), ("host", _I32), ("error", _I32),
    )  # fmt: skip


class Recipe(ctypes.Structure):
    """How to open a file in C as Python opened one before."""

    _fields_ = (
        ("base", _U64), ("inheriting", _U64), ("life", _U32), ("grant", _U32), ("dirflags", _U32), ("oflags", _U32),
        ("fdflags", _U32), ("pad", _U32), ("asks", _U64), ("reach", _U64), ("allowed", _U64), ("fdstat", _U8 * 24),
        ("flags", _I32), ("append", _U32),
    )  # fmt: skip


class StringBlock(ctypes.Structure):
    """Arguments or environment."""

    _fields_ = (("ready", _U32), ("asked", _U32), ("count", _U32), ("size", _U32), ("block", _P))


class RunState(ctypes.Structure):
    """One host and its recorder."""

    _fields_ = (
        ("records", _P), ("arena", _P),
        *((name, _U64) for name in ("n", "used", "room", "first", "origin", "snap")),
        ("text", _P), *((name, _P) for name in ("path_at", "path_size", "path_table", "struct_table", "struct_hash")),
        *((name, _U64) for name in ("text_used", "npaths", "nstructs", "lost")),
        *((name, _U64) for name in ("steady", "tsc_base", "ns_base", "tsc", "ns", "scale")),
        ("began", _U64), ("result", _U64), ("extent", _U64), ("flags", _U32), ("stack", _U32),
        ("slots", _P), ("live", _P), *((name, _U64) for name in ("nslots", "held", "era")),
        *((name, _U64) for name in ("io", "written", "most_written", "clocks")), ("resolution", _U64 * 4),
        ("random", _U64), ("strings", StringBlock * 2), ("opened", _P), ("recipes", _P),
        *((name, _U64) for name in ("nopened", "lives", "open", "most_open", "lowest", "ceiling")),
        ("out", _P), *((name, _U64) for name in ("out_size", "out_head", "out_tail")),
        ("turn", ctypes.py_object), ("adopt", ctypes.py_object), ("ready", ctypes.py_object),
    )  # fmt: skip


class GuestState(ctypes.Structure):
    """One instance of a module."""

    _fields_ = (("run", _P), ("base", _P), ("size", _U64), ("find", ctypes.py_object))


class Shape(ctypes.Structure):
    """The positions of a call's arguments: indices of 32-bit words."""

    _fields_ = (
        ("fd", _U8), ("string", _U8 * 2), ("vector", _U8), ("outbuf", _U8), ("strings", _U8), ("subscriptions", _U8),
        ("events", _U8), ("count", _U8), ("result", _U8 * 2), ("result_size", _U8 * 2), ("result_align", _U8 * 2),
        ("is_struct", _U8), ("subscription_size", _U8), ("extra", _U8), ("payload", _U8), ("points", _U8),
        ("pad", _U8 * 4),
    )  # fmt: skip


class FunctionState(ctypes.Structure):
    """One imported function."""

    _fields_ = (
        ("guest", _P), ("target", ctypes.py_object), ("meta", _U64), ("right", _U64), ("answered", _U64),
        ("asked", _U64), ("params", _U32), ("wide", _U32), ("mode", _U32), ("pad", _U32), ("shape", Shape),
    )  # fmt: skip


class ApiTable(ctypes.Structure):
    """Addresses of Python callbacks, and of one Wasmtime function."""

    _fields_ = tuple(
        (name, _P)
        for name in ("ensure", "release", "of_u32", "of_u64", "to_u64", "call", "decref", "clear", "trap")
    )


_STRUCTS = (
    QuotaState, Content, OpenContent, Slot, Opened, Recipe, StringBlock, RunState, GuestState, Shape, FunctionState,
    ApiTable,
)  # fmt: skip
_SIZES = [VERSION, *map(ctypes.sizeof, _STRUCTS), RunState.slots.offset, Slot.fdstat.offset, Recipe.asks.offset]
_PYTHON = (
    "PyGILState_Ensure", "PyGILState_Release", "PyLong_FromUnsignedLong", "PyLong_FromUnsignedLongLong",
    "PyLong_AsUnsignedLongLong", "PyObject_Vectorcall", "Py_DecRef", "PyErr_Clear",
)  # fmt: skip


class Library:
    """The loaded library. Its short functions keep the GIL; `withdraw` releases it, because it may wait for the
    guest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        quick, waiting = ctypes.PyDLL(str(path)), ctypes.CDLL(str(path))
        sizes = (_U32 * 16)()
        quick.turbo_sizes(sizes)
        if list(sizes) != _SIZES:
            raise OSError("it was built for another version of wasilab")
        self.address = quick
        self.seen = _declared(quick.turbo_seen, None, _P, _P)
        self.fresh = _declared(quick.turbo_fresh, None, _P, _U64)
        text = ctypes.c_char_p
        self.note = _declared(quick.turbo_note, ctypes.c_int, _P, text, text, _U32, text, _U64)
        self.pack = _declared(quick.turbo_pack, _U64, _P, _U64, _P)
        self.unpack = _declared(quick.turbo_unpack, None, _P, _U64, _P)
        self.payloads = _declared(quick.turbo_payloads, _U64, _P, _U64, _P, _U64, _P, ctypes.c_int)
        self.start = _declared(quick.turbo_start, None, _P)
        self.ticks = _declared(quick.turbo_ticks, None, _P)
        self.recipe = _declared(quick.turbo_recipe, _U32, _P)
        self.enter = _declared(quick.turbo_enter, ctypes.c_int, _P, _U32, _U32)
        self.leave = _declared(quick.turbo_leave, ctypes.c_int, _P, _U32)
        self.put = _declared(quick.turbo_put, None, _P, _U64)
        self.charge = _declared(quick.turbo_charge, ctypes.c_int, _P, _I64)
        self.unlock = _declared(quick.turbo_unlock, None, _P)
        self.collect = _declared(quick.turbo_collect, _U64, _P, _P, _U64, _P)
        self.withdraw = _declared(waiting.turbo_withdraw, None, _P, _U32)
        self.lock = _declared(waiting.turbo_lock, None, _P)
        self.load = _declared(quick.turbo_load, None, _P)
        self.base = (_U64 * 2)()
        """(ticks, ns) at load time: the longer ago, the more precise the tick rate."""
        self.ticks(self.base)
        self.steady = _steady_ticks()

    def function(self, name: str) -> int:
        """The address of the callback for the call `name`; of the one that calls Python if the library has none."""
        found = getattr(self.address, f"turbo_{name}", None) or self.address.turbo_python
        return ctypes.cast(found, ctypes.c_void_p).value or 0


def _declared(function: Any, result: type | None, *arguments: type) -> Callable[..., int]:
    function.restype, function.argtypes = result, list(arguments)
    return cast("Callable[..., int]", function)


def _steady_ticks() -> bool:
    """Whether the processor's counter may replace the clock: only if the kernel itself uses it for timekeeping."""
    try:
        return Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text().strip() == "tsc"
    except OSError:
        return False


@cache
def _loaded() -> tuple[Library | None, str]:
    """The library, or None and the reason."""
    wanted = os.environ.get(VARIABLE, "1")
    if wanted == "0":
        return None, f"it is switched off by {VARIABLE}=0"
    path = Path(__file__).with_name(LIBRARY) if wanted in ("", "1") else Path(wanted)
    if not path.exists():
        return None, f"this installation has no {path.name}; build it with python -m wasilab.engine.native.build"
    try:
        found = Library(path)
        addresses = [getattr(ctypes.pythonapi, name) for name in _PYTHON] + [wasmtime._ffi.dll.wasmtime_trap_new]
        found.load(ctypes.byref(ApiTable(*(ctypes.cast(address, ctypes.c_void_p).value for address in addresses))))
    except (OSError, ImportError, AttributeError) as error:
        return None, f"{path.name} cannot be used: {error}"
    return found, ""


def library() -> Library | None:
    """The library; None if the native path is not available."""
    return _loaded()[0]


def why_not() -> str:
    """Why there is no library, as the end of a sentence; "" if there is one."""
    return _loaded()[1]
