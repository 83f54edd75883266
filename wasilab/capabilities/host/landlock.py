"""Confines a thread and the processes that it starts to some files and folders of the host, with Landlock.

Landlock (Linux 5.13 and later) lets any process give up access permanently. Given up here: all files and folders except
those named, TCP connections (Linux 6.7), and signals to processes outside (Linux 6.12). Open descriptors stay usable.
Names and sizes of files can still be read: Landlock does not restrict `stat`.

A whole process is confined by confining its first thread. A new program is confined by starting it from a separate
thread (`call_confined`), which leaves the process itself unconfined and runs no Python between fork and exec.

Source: https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

T = TypeVar("T")

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights that a rule for a file, as opposed to a folder, may have."""
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NEVER_GUESTS = _EXECUTE | _IOCTL_DEV | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11
"""Rights that a guest's folder never gets: to execute, to control or create devices, to create sockets and FIFOs."""
_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""ABI version -> all rights to files and folders; later versions have those of the last one."""
_TCP = 0b11
"""Binding and connecting TCP sockets (ABI 4)."""
_SCOPES = 0b11
"""Abstract Unix sockets and signals of processes outside (ABI 6)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The host paths that a confined process can access. A folder includes everything below it.

    Paths that do not exist are left out; links are followed.
    """

    read: tuple[str, ...] = ()
    """Paths that it may read and execute."""
    write: tuple[str, ...] = ()
    """Paths that it may read, execute, change, create and delete."""
    network: bool = False
    """Whether it may use TCP."""
    folders: tuple[tuple[int, bool], ...] = ()
    """Open folders, by descriptor, and whether it may change their contents; nothing in them may be executed."""


class _Attributes(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("folder", ctypes.c_int32)]


@cache
def abi() -> int:
    """The Landlock version of this kernel; 0 if it has none."""
    if sys.platform != "linux":
        return 0
    try:
        return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG)))
    except OSError:
        return 0


def confine_thread(reach: Reach) -> None:
    """Confine the calling thread, and everything it starts from now on, to `reach`. This is irrevocable.

    Raises `OSError` if the kernel refuses or has no Landlock (ENOSYS).
    """
    version = abi()
    if not version:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    handled = _ALL[min(version, max(_ALL))]
    attributes = _Attributes(
        handled, 0 if reach.network or version < 4 else _TCP, _SCOPES if version >= 6 else 0
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for paths, access in ((reach.read, _READ), (reach.write, handled)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    _allow(ruleset, path, access & handled)
        for folder, changes in reach.folders:
            _add_rule(ruleset, folder, (handled if changes else _READ) & ~_NEVER_GUESTS)
        no_new_privileges()
        _call(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def call_confined(reach: Reach, function: Callable[[], T]) -> T:
    """Call `function` on a separate thread that is confined to `reach`; returns its result or raises its exception.

    For starting a process: it is confined from its first instruction, and this process is not. What `function` opens or
    imports itself is confined as well. A KeyboardInterrupt is raised after `function` has returned.
    """
    answers: list[T] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            confine_thread(reach)
            answers.append(function())
        except BaseException as error:  # noqa: BLE001  raised again by the caller's thread
            failures.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="wasilab confined start", daemon=True).start()
    while not done.is_set():
        try:
            done.wait()
        except KeyboardInterrupt as interrupt:
            failures.append(interrupt)
    if failures:
        raise failures[0]
    return answers[0]


def _allow(ruleset: int, path: str, access: int) -> None:
    """Add a rule for the file at `path`. Raises `OSError` if there is none."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _OF_FILES
        _add_rule(ruleset, descriptor, access)
    finally:
        os.close(descriptor)


def _add_rule(ruleset: int, descriptor: int, access: int) -> None:
    rule = _PathBeneath(access, descriptor)
    _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))


def no_new_privileges() -> None:
    """Permanently prevent programs executed by this thread from gaining privileges. Raises `OSError`."""
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _last_error()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc().syscall(ctypes.c_long(number), *arguments))
    if answer < 0:
        raise _last_error()
    return answer


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
