"""The table of all WASI calls, from which everything else is derived.

`SNAPSHOT1` holds the 46 calls of `wasi_snapshot_preview1`, `UNSTABLE` the 45 of `wasi_unstable`, with its own
layouts. Each call's declaration is in the table of its family (`calls_*.py`), in the vocabulary of `signature.py`; this
file puts them together and derives the older module. How a call behaves is in the family files `fd.py`, `path.py`, ...
"""

from __future__ import annotations

from dataclasses import replace

from . import calls_fd, calls_fdstat, calls_path, calls_process, calls_sock
from . import signature as s
from .signature import Call, Param, Result, Type

__all__ = ["BY_NUMBER", "FAMILIES", "MODULES", "SNAPSHOT1", "UNSTABLE", "Call", "Param", "Result", "Type"]

FAMILIES = ("args", "environ", "clock", "fd", "path", "poll", "proc", "sched", "random", "sock")
"""The families, in the order of the witx document."""

_TABLES = (calls_process.CALLS, calls_fd.CALLS, calls_fdstat.CALLS, calls_path.CALLS, calls_sock.CALLS)

BY_NUMBER: tuple[Call, ...] = tuple(sorted((call for table in _TABLES for call in table), key=lambda c: c.number))
"""The calls of preview1 by their number."""

SNAPSHOT1: dict[str, Call] = {call.name: call for call in BY_NUMBER}
"""`wasi_snapshot_preview1`: name -> call."""

_OLD_TYPES = {s.WHENCE: s.WHENCE_UNSTABLE, s.FILESTAT: s.FILESTAT_UNSTABLE}
_NOT_IN_UNSTABLE = {"sock_accept"}


def _unstable(call: Call) -> Call:
    """The same call as `wasi_unstable` has it; the number is shared."""
    return replace(
        call,
        module="wasi_unstable",
        params=tuple(replace(p, type=_OLD_TYPES.get(p.type, p.type)) for p in call.params),
        results=tuple(replace(r, type=_OLD_TYPES.get(r.type, r.type)) for r in call.results),
    )


UNSTABLE: dict[str, Call] = {c.name: _unstable(c) for c in BY_NUMBER if c.name not in _NOT_IN_UNSTABLE}
"""`wasi_unstable`: name -> call."""

MODULES: dict[str, dict[str, Call]] = {"wasi_snapshot_preview1": SNAPSHOT1, "wasi_unstable": UNSTABLE}
"""Import module name -> its calls."""
