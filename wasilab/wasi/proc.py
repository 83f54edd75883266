"""Semantics of proc_*: exit and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from .errnos import Errno, WasiError
from .types import ProcExit, Signal

if TYPE_CHECKING:
    from .host import Host

_IGNORED = {Signal.NONE, Signal.PIPE, Signal.CHLD, Signal.CONT, Signal.URG, Signal.WINCH}


def proc_exit(host: Host, code: int) -> NoReturn:
    """End the program. Codes of 126 and more are reported as they are, where Wasmtime traps."""
    raise ProcExit(code)


def proc_raise(host: Host, signal: int) -> None:
    """Accept a signal whose default action is to be ignored; the rest cannot be delivered."""
    if signal > Signal.SYS:
        raise WasiError(Errno.INVAL, f"there is no signal {signal}")
    if signal not in _IGNORED:
        raise WasiError(Errno.NOTSUP, f"signal {Signal(signal).name} cannot be delivered to WebAssembly")
