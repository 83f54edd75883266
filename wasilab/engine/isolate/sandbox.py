"""The sandbox of a confined run: layers of confinement that the process applies to itself, irrevocably.

It does so before it compiles or loads its guest, and reports which are active. A layer that is not available is skipped
and reported; `--isolate=strict` then refuses to run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...capabilities.host import landlock
from . import namespaces, seccomp

LAYERS = {
    "privileges": "no new privileges and no superuser rights",
    "limits": "memory, processor time, descriptors and processes within limits",
    "files": "only the granted folders can be opened (Landlock)",
    "system calls": "only granted sockets, no new programs, no other processes (seccomp)",
    "user": "a separate user namespace",
    "mount": "an empty file system",
    "network": "a separate network without interfaces",
    "process": "no other process is visible",
}
"""Every layer by name, with its meaning."""
MIB = 1 << 20
_SPARE_DESCRIPTORS = 128
_MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class SandboxBounds:
    """Limits of a confined process, in bytes and seconds; None: unlimited."""

    memory: int
    """Bytes of data beyond what it already has."""
    compiling: int
    """Further bytes of data, until `lower_memory`."""
    seconds: int | None
    """Seconds of processor time."""
    descriptors: int


class CannotConfine(Exception):
    """The process is in a state in which it cannot be confined."""


def enter_sandbox(
    bounds: SandboxBounds,
    folders: Sequence[tuple[int, bool]],
    listening: Sequence[int],
    entered: Collection[str],
    without: Collection[str] = (),
) -> list[str]:
    """Apply every layer that this machine supports to this process, irrevocably; returns their names.

    `folders` are the open folders granted to the guest, and whether each is writable; `listening` its sockets.
    `entered` names the namespaces that it is in, `without` the layers to leave out, for tests.
    """
    if _threads() != 1:
        raise CannotConfine("it already has threads, which Landlock would not confine")
    active = [name for name in ("user", "network", "process") if name in entered]
    with contextlib.suppress(OSError, ValueError):
        _limit(bounds, alone="user" in entered)
        active.append("limits")
    if "mount" in entered and namespaces.empty_root():
        active.append("mount")
    if sys.platform == "linux" and namespaces.drop_capabilities():
        with contextlib.suppress(OSError):
            landlock.no_new_privileges()
            active.append("privileges")
    if "landlock" not in without:
        with contextlib.suppress(OSError):
            landlock.confine_thread(landlock.Reach(folders=tuple(folders)))
            active.append("files")
    if "seccomp" not in without and seccomp.available() and "privileges" in active:
        seccomp.install(seccomp.program(os.getpid(), listening))
        active.append("system calls")
    return [name for name in LAYERS if name in active]


def missing(active: Collection[str]) -> list[str]:
    """The layers that are not active."""
    return [name for name in LAYERS if name not in active]


def _limit(bounds: SandboxBounds, alone: bool) -> None:
    import resource

    def most(which: int, value: int) -> None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))

    most(resource.RLIMIT_CORE, 0)
    _lowered.append(_data() + bounds.memory)
    most(resource.RLIMIT_DATA, _lowered[0] + bounds.compiling)
    most(resource.RLIMIT_NOFILE, bounds.descriptors + _SPARE_DESCRIPTORS)
    most(resource.RLIMIT_MEMLOCK, 0)
    most(resource.RLIMIT_MSGQUEUE, 0)
    if alone:  # otherwise the kernel counts all processes of the user
        most(resource.RLIMIT_NPROC, _MOST_THREADS)
    if bounds.seconds is not None:
        most(resource.RLIMIT_CPU, bounds.seconds)


_lowered: list[int] = []
"""The data limit in bytes once the program is compiled."""


def lower_memory() -> None:
    """Remove the allowance for compiling, before the guest's code runs."""
    import resource

    for most in _lowered:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _data() -> int:
    """This process's current bytes of data. Raises `OSError` if the kernel does not tell."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1
