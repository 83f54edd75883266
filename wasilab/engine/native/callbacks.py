"""Makes, from the spec table, a guest's imported functions that the library answers or passes to Python.

The library reads a call's arguments and writes its record by the call's `Shape`. A shape is derived from the call's
declaration and the payload schema, so that no fact about a call is written twice. The library answers the calls that it
has a function for.
"""

from __future__ import annotations

from collections.abc import Callable

from ...trace.record.payload import Aux, Data, schema
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call
from .layouts import NONE, FunctionState, Shape

OTHER_LAYOUT = frozenset({"fd_seek", "fd_filestat_get", "path_filestat_get"})
"""Calls with a different layout in `wasi_unstable` than in preview1: Python answers them there."""


_POINTING = frozenset({sig.STRING, sig.IOVECS, sig.CIOVECS, sig.OUTBUF, sig.INSUBS})


def native_name(call: Call) -> str:
    """The name of the library's function for a call, if it has one; "python" if that must not be used."""
    return "python" if call.module == "wasi_unstable" and call.name in OTHER_LAYOUT else call.name


def _places(call: Call) -> dict[str, int]:
    """Index of the first 32-bit word of each parameter kind: "fd", "string", "string2", ..., "result", "result2"."""
    found: dict[str, int] = {}
    word = 0
    for param in call.params:
        kind = param.type.kind
        found.setdefault(kind if kind not in found else f"{kind}2", word)
        if param.name == "nsubscriptions":
            found["count"] = word
        word += sum(2 if core == "i64" else 1 for core in param.type.words)
    for order, _ in enumerate(call.results):
        found["result2" if order else "result"] = word
        word += 1
    return found


def shape(call: Call) -> Shape:
    """The positions of the arguments of `call`, for the library."""
    layout = schema(call)
    at = _places(call)
    found = Shape()
    found.fd = at.get(sig.FD, NONE)
    found.string = (at.get(sig.STRING, NONE), at.get(f"{sig.STRING}2", NONE))
    found.vector = at.get(sig.IOVECS, at.get(sig.CIOVECS, NONE))
    found.outbuf = at.get(sig.OUTBUF, NONE)
    found.strings = at.get(sig.OUTSTRINGS, NONE)
    found.subscriptions, found.events = at.get(sig.INSUBS, NONE), at.get(sig.OUTEVENTS, NONE)
    found.count = at.get("count", NONE)
    found.result = (at.get("result", NONE), at.get("result2", NONE))
    for order, result in enumerate(call.results):
        found.result_size[order], found.result_align[order] = result.type.size, result.type.align
    found.is_struct = layout.aux is Aux.STRUCT
    found.subscription_size = layout.subscription_bytes
    found.extra = layout.further_words
    found.payload = bool(layout.further_words) or layout.aux is not Aux.NOTHING or layout.data is not Data.NOTHING
    found.points = any(param.type.kind in _POINTING for param in call.params)
    return found


def function_state(guest: int, call: Call, meta: int, target: Callable[..., int], mode: int = 0) -> FunctionState:
    """The library's view of one imported function. Keep it as long as the store.

    `guest`: address of the instance's `GuestState`. `meta`: the columns of its records from `call` to `tid`, as one
    number. `target(caller, *arguments)` performs the call in Python and returns 0 (done, not recorded), 1 to 255 (its
    errno, recorded) or 256 (the guest ends, recorded). `mode`: `layouts.OFF`, `layouts.FOREIGN`.
    """
    right = next((int(param.right) for param in call.params if param.type.kind == sig.FD), 0)
    wide = sum(1 << index for index, core in enumerate(call.signature) if core == "i64")
    return FunctionState(guest, target, meta, right, 0, 0, len(call.signature), wide, mode, 0, shape(call))
