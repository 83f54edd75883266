"""Semantics of clock_*: what time it is, by the clocks that were granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errnos import Errno, WasiError

if TYPE_CHECKING:
    from .host import Host

_END = 1 << 64


def clock_res_get(host: Host, clock: int) -> int:
    """The clock's resolution in ns, at least 1."""
    if clock > 3:
        raise WasiError(Errno.INVAL, f"there is no clock {clock}")
    return max(1, host.clock_list[clock].resolution())


def clock_time_get(host: Host, clock: int, precision: int) -> int:
    """The clock's time in ns. `precision`, the lag that the guest would accept, is not used."""
    if clock > 3:
        raise WasiError(Errno.INVAL, f"there is no clock {clock}")
    now = host.clock_list[clock].now()
    if not 0 <= now < _END:
        raise WasiError(Errno.OVERFLOW, f"the clock's time {now} does not fit an unsigned 64-bit number")
    return now
