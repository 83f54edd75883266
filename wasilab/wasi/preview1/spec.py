"""The table of all calls of preview1 and of `wasi_unstable`, from which all other tables are derived.

`SNAPSHOT1` holds the 46 calls of `wasi_snapshot_preview1`, `UNSTABLE` the 45 of `wasi_unstable` (snapshot 0), with its
own layouts. Each call is declared above its function, in the file of its family; this file collects the declarations
and derives the older module.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from ..errnos import Errno, WasiError
from ..operations import Operation
from . import fd, fdstat, path, poll, proc, sock
from . import signature as s
from .signature import DECLARED, Call, Param, Result, Type

__all__ = ["BY_NUMBER", "MODULES", "SNAPSHOT1", "UNKNOWN", "UNSTABLE", "Call", "Param", "Result", "Type"]

_FILES = (proc, fd, fdstat, path, poll, sock)  # importing them declares their calls

BY_NUMBER: tuple[Call, ...] = tuple(sorted(DECLARED.values(), key=lambda call: call.number))
"""The calls of preview1 by their number."""

SNAPSHOT1: dict[str, Call] = {call.name: call for call in BY_NUMBER}
"""`wasi_snapshot_preview1`: name -> call."""

_OLD_TYPES = {s.WHENCE: s.WHENCE_UNSTABLE, s.FILESTAT: s.FILESTAT_UNSTABLE}
_OLD_FUNCTIONS = {"fd_seek": fd.fd_seek_unstable}
_NOT_IN_UNSTABLE = {"sock_accept"}


def _unstable(call: Call) -> Call:
    """The same call in `wasi_unstable`, with the same number."""
    return replace(
        call,
        module="wasi_unstable",
        params=tuple(replace(p, type=_OLD_TYPES.get(p.type, p.type)) for p in call.params),
        results=tuple(replace(r, type=_OLD_TYPES.get(r.type, r.type)) for r in call.results),
        function=_OLD_FUNCTIONS.get(call.name, call.function),
    )


UNSTABLE: dict[str, Call] = {c.name: _unstable(c) for c in BY_NUMBER if c.name not in _NOT_IN_UNSTABLE}
"""`wasi_unstable`: name -> call."""

MODULES: dict[str, dict[str, Call]] = {"wasi_snapshot_preview1": SNAPSHOT1, "wasi_unstable": UNSTABLE}
"""Import module name -> its calls."""


def _unknown(host: object) -> NoReturn:
    """An unknown call."""
    raise WasiError(Errno.NOSYS)


UNKNOWN = Call("unknown", 254, Operation.UNKNOWN, (), (), _unknown)
"""Represents a call of a trace file whose number is not in the table."""
