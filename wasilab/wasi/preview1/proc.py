"""The calls on the process: arguments, environment, clocks, randomness, yielding, signals and exit."""

from __future__ import annotations

import time
from typing import NoReturn

from ..errnos import Errno, WasiError
from ..host import Host
from ..operations import Operation as Op
from ..types import ProcExit, Signal
from . import signature as s
from .signature import Param, Result, call

RANDOM_CHUNK = 1 << 20
"""Bytes that `random_get` fills between checks whether the run was stopped (1 MiB)."""

_END_OF_TIME = 1 << 64
_IGNORED_SIGNALS = {Signal.NONE, Signal.PIPE, Signal.CHLD, Signal.CONT, Signal.URG, Signal.WINCH}
_CLOCK_ERRORS = {
    Errno.INVAL: "there is no such clock",
    Errno.NOTCAPABLE: "the clock is not granted (strict rights)",
    Errno.PERM: "the clock is not granted (compat rights)",
}


@call(0, Op.ARGUMENTS, Param("argv", s.STRINGS))
def args_get(host: Host) -> list[bytes]:
    """Copy the program's arguments, each NUL-terminated, and the array of pointers to them. The first is the program's
    name.

    Memory:
        writes 4 bytes an argument at argv, and args_sizes_get's size in bytes at argv_buf:
        argc = 2, bytes = 5:     argv[0] argv[1]        argv_buf
                                 |u32   |u32   |        |'a' 00 |'b' 'c' 00|
                                  |      |_______________________^
                                  |_______________________^

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#args_get
    """
    return host.args.get()


@call(1, Op.ARGUMENTS, results=(Result("argc", s.SIZE), Result("argv_buf_size", s.SIZE)))
def args_sizes_get(host: Host) -> tuple[int, int]:
    """How many arguments there are and how many bytes they take, NULs included.

    Memory:
        writes u32 at result.argc and u32 at result.argv_buf_size

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#args_sizes_get
    """
    return host.args.sizes()


@call(2, Op.ENVIRONMENT, Param("environ", s.STRINGS))
def environ_get(host: Host) -> list[bytes]:
    """Copy the environment variables, each `NAME=value` and NUL-terminated, and the array of pointers to them. The
    guest sees only the variables that were granted.

    Memory:
        writes 4 bytes a variable at environ, and environ_sizes_get's size in bytes at environ_buf:
        environc = 2, bytes = 8: environ[0] environ[1]  environ_buf
                                 |u32   |u32   |        |'A' '=' '1' 00 |'B' '=' '2' 00|
                                  |      |_______________________________^
                                  |______________________^

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#environ_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/environ.html
    """
    return host.environ.get()


@call(3, Op.ENVIRONMENT, results=(Result("environc", s.SIZE), Result("environ_buf_size", s.SIZE)))
def environ_sizes_get(host: Host) -> tuple[int, int]:
    """How many environment variables there are and how many bytes they take, NULs included.

    Memory:
        writes u32 at result.environc and u32 at result.environ_buf_size

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#environ_sizes_get
    """
    return host.environ.sizes()


@call(4, Op.CLOCK, Param("id", s.CLOCKID), results=(Result("resolution", s.TIMESTAMP),), errors=_CLOCK_ERRORS)
def clock_res_get(host: Host, clock: int) -> int:
    """The resolution of a clock in nanoseconds, at least 1, as clock_getres(3).

    Memory:
        writes u64 at result.resolution

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#clock_res_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/clock_getres.html
    """
    if clock > 3:
        raise WasiError(Errno.INVAL, f"there is no clock {clock}")
    return max(1, host.clock_list[clock].resolution())


@call(
    5, Op.CLOCK, Param("id", s.CLOCKID), Param("precision", s.TIMESTAMP),
    results=(Result("time", s.TIMESTAMP),), errors=_CLOCK_ERRORS,
)  # fmt: skip
def clock_time_get(host: Host, clock: int, precision: int) -> int:
    """The time of a clock in nanoseconds, as clock_gettime(3): since 1970 for the realtime clock, since an unspecified
    moment for the monotonic one. The precision asked for is not used.

    Memory:
        writes u64 at result.time

    Errors:
        EOVERFLOW: the time does not fit 64 bits

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#clock_time_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/clock_gettime.html
    """
    if clock > 3:
        raise WasiError(Errno.INVAL, f"there is no clock {clock}")
    now = host.clock_list[clock].now()
    if not 0 <= now < _END_OF_TIME:
        raise WasiError(Errno.OVERFLOW, f"the clock's time {now} does not fit an unsigned 64-bit number")
    return now


@call(38, Op.EXIT, Param("rval", s.EXITCODE), returns=False)
def proc_exit(host: Host, code: int) -> NoReturn:
    """End the program with an exit code. Does not return, and has no errno. Every code is reported as it is, also those
    of 126 and more, at which Wasmtime traps.

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#proc_exit
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/_Exit.html
    """
    raise ProcExit(code)


@call(39, Op.SIGNAL, Param("sig", s.SIGNAL))
def proc_raise(host: Host, signal: int) -> None:
    """Send the program a signal. Signals whose default action is to be ignored do nothing; the others cannot be
    delivered to WebAssembly.

    Errors:
        EINVAL: there is no such signal
        ENOTSUP: the signal's action would be to end or stop the program

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#proc_raise
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/raise.html
    """
    if signal > Signal.SYS:
        raise WasiError(Errno.INVAL, f"there is no signal {signal}")
    if signal not in _IGNORED_SIGNALS:
        raise WasiError(Errno.NOTSUP, f"signal {Signal(signal).name} cannot be delivered to WebAssembly")


@call(40, Op.YIELD)
def sched_yield(host: Host) -> None:
    """Let other threads run.

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sched_yield
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/sched_yield.html
    """
    host.interrupt.check()
    time.sleep(0)


@call(41, Op.RANDOM, Param("buf", s.BUFFER))
def random_get(host: Host, buffer: memoryview) -> None:
    """Fill a buffer of any size with bytes of the granted random source. A long fill can be stopped.

    Memory:
        writes buf_len bytes at buf

    Errors:
        ENOTCAPABLE: randomness is not granted (strict rights)
        EPERM: randomness is not granted (compat rights)

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#random_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/getentropy.html
    """
    size = len(buffer)
    if size <= RANDOM_CHUNK:
        host.random.fill(buffer)
        return
    for start in range(0, size, RANDOM_CHUNK):
        host.interrupt.check()
        host.random.fill(buffer[start : start + RANDOM_CHUNK])
