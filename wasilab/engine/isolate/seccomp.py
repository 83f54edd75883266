"""The system calls that a confined process may make, as a seccomp filter (Linux on x86-64 and aarch64).

Calls that a guest's host needs are allowed: file access through open descriptors, memory, threads, clocks, waiting.
Calls that we never make and that reach out of the process (programs, sockets, other processes, namespaces, kernel
settings) kill it at once, so that the exit status reveals the attempt. Every other call fails with EPERM.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; the calls and their numbers are in `system_calls.py`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from functools import cache

from .system_calls import MACHINES, SystemCalls

_MAP_SHARED = 1
_IOCTLS = (0x5450, 0x5451, 0x5421, 0x541B, 0x5401)
"""FIONCLEX, FIOCLEX, FIONBIO, FIONREAD, TCGETS: the ioctls that Python uses on any descriptor."""
_PRCTLS = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names of threads and of memory."""
_CLONE_THREAD = 0x10000

_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER, _GET_ACTION_AVAIL, _TSYNC = 1, 2, 1

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand."""


@cache
def available() -> bool:
    """Whether this kernel has filters that can kill the process, and the numbers of its calls are known."""
    if sys.platform != "linux" or platform.machine() not in MACHINES or sys.maxsize < 1 << 32:
        return False
    action = ctypes.c_uint32(_KILL_PROCESS)
    answer = _libc().syscall(_seccomp(), _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return int(answer) == 0


def here() -> SystemCalls:
    """The system calls of this machine. Raises `KeyError` for one that is not known."""
    return MACHINES[platform.machine()]


def program(process: int, listening: Iterable[int] = (), calls: SystemCalls | None = None) -> list[Instruction]:
    """The filter for the process `process` (its PID as it sees it), which may accept on the sockets `listening`.

    `calls`: those of the machine; None: of this one.
    """
    calls = here() if calls is None else calls
    checked = calls.checked
    rules: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, calls.architecture), _end(_KILL_PROCESS), (_LOAD, 0, 0, _NUMBER),
    ]  # fmt: skip
    if calls.first_foreign is not None:
        rules += [(_AT_LEAST, 0, 1, calls.first_foreign), _end(_KILL_PROCESS)]
    for number in calls.allowed.values():
        rules += [(_EQUAL, 0, 1, number), _end(_ALLOW)]
    for number in calls.fatal.values():
        rules += [(_EQUAL, 0, 1, number), _end(_KILL_PROCESS)]
    rules += [(_EQUAL, 0, 1, checked["clone3"]), _end(_ERRNO | errno.ENOSYS)]  # the C library falls back to clone
    thread = [(_LOAD, 0, 0, _ARGUMENTS), (_ANY_BIT, 0, 1, _CLONE_THREAD), _end(_ALLOW), _end(_KILL_PROCESS)]
    rules += [(_EQUAL, 0, len(thread), checked["clone"]), *thread]
    # No process limit counts shared memory.
    shared = [(_LOAD, 0, 0, _ARGUMENTS + 8 * 3), (_ANY_BIT, 0, 1, _MAP_SHARED), _end(_ERRNO | errno.EPERM)]
    shared.append(_end(_ALLOW))
    rules += [(_EQUAL, 0, len(shared), checked["mmap"]), *shared]
    sockets = list(listening)
    for name, argument, values in (
        ("ioctl", 1, _IOCTLS), ("prctl", 0, _PRCTLS), ("kill", 0, (process,)), ("tgkill", 0, (process,)),
        ("accept", 0, sockets), ("accept4", 0, sockets), ("prlimit64", 0, (0, process)),
    ):  # fmt: skip
        rules += _one_of(checked[name], argument, values)
    return [*rules, _end(_ERRNO | errno.EPERM)]


def _one_of(number: int, argument: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call if its argument is one of `values` (32 bits); otherwise it fails with EPERM."""
    checks: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    for value in values:
        checks += [(_EQUAL, 0, 1, value), _end(_ALLOW)]
    checks.append(_end(_ERRNO | errno.EPERM))
    return [(_EQUAL, 0, len(checks), number), *checks]


def _end(action: int) -> Instruction:
    return _RETURN, 0, 0, action


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.c_void_p)]


def install(rules: Sequence[Instruction]) -> None:
    """Install the filter permanently on every thread of this process. Requires no_new_privs. Raises `OSError`."""
    code = b"".join(struct.pack("<HBBI", *rule) for rule in rules)
    text = ctypes.create_string_buffer(code, len(code))
    whole = _Program(len(rules), ctypes.addressof(text))
    answer = _libc().syscall(_seccomp(), _SET_MODE_FILTER, _TSYNC, ctypes.byref(whole))
    if answer:
        code_ = ctypes.get_errno() if answer < 0 else errno.EBUSY
        raise OSError(code_, os.strerror(code_))


def _seccomp() -> ctypes.c_long:
    return ctypes.c_long(here().fatal["seccomp"])


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
