"""Loads the library, whose structs are in `layouts.py`.

`library()` is None if the native path is not available; `why_not()` gives the reason. Python then does everything, with
the same results. The library is loaded once per process; one built for other layouts is not used.

Not here: building the library (`build.py`).
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

from .layouts import ApiTable, checksum

LIBRARY = f"libturbo.{'dylib' if sys.platform == 'darwin' else 'so'}"
VARIABLE = "WASILAB_NATIVE"
"""The environment variable: "0" for Python only, or the path of a library to use (for tests)."""

_P, _U64, _I64, _U32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_uint32
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
        if _U32.in_dll(quick, "turbo_layout").value != checksum():
            raise OSError("it was built for another version of wasilab")
        self.address = quick
        self.seen = _declared(quick.turbo_seen, None, _P, _P)
        self.fresh = _declared(quick.turbo_fresh, None, _P, _U64)
        self.pack = _declared(quick.turbo_pack, _U64, _P, _U64, _P)
        self.unpack = _declared(quick.turbo_unpack, None, _P, _U64, _P)
        self.payloads = _declared(quick.turbo_payloads, _U64, _P, _U64, _P, _U64, _P, ctypes.c_int)
        self.start = _declared(quick.turbo_start, None, _P)
        self.ticks = _declared(quick.turbo_ticks, None, _P)
        self.recipe = _declared(quick.turbo_recipe, _U32, _P)
        # At each opening, closing and failure. Undeclared, a call takes half the time; addresses are then passed as
        # `c_void_p`, and numbers of 64 bits as `c_uint64`.
        self.enter, self.leave, self.note = quick.turbo_enter, quick.turbo_leave, quick.turbo_note
        self.put = _declared(quick.turbo_put, None, _P, _U64)
        self.charge = _declared(quick.turbo_charge, ctypes.c_int, _P, _I64)
        self.unlock = _declared(quick.turbo_unlock, None, _P)
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
    except (OSError, ImportError, AttributeError, ValueError) as error:
        return None, f"{path.name} cannot be used: {error}"
    return found, ""


def library() -> Library | None:
    """The library; None if the native path is not available."""
    return _loaded()[0]


def why_not() -> str:
    """Why there is no library, as the end of a sentence; "" if there is one."""
    return _loaded()[1]
