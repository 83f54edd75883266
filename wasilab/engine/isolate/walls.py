"""The walls (confinement mechanisms) around a confined run, which the process raises permanently itself.

The process raises them before it compiles or loads its guest, and reports which are active. A wall that cannot be
raised is skipped and reported; `--isolate=strict` then refuses to run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...capabilities.host import landlock
from . import namespaces, seccomp

WALLS = {
    "privileges": "no new privileges, and none of the superuser's",
    "limits": "memory, processor time, descriptors and processes within limits",
    "files": "only the granted folders can be opened (Landlock)",
    "system calls": "no sockets but the granted ones, no programs, no other processes (seccomp)",
    "user": "a user namespace of its own",
    "mount": "an empty file system",
    "network": "a network of its own, with nothing in it",
    "process": "no other process can be seen or signalled",
}
"""Every wall by name, with its meaning."""
MIB = 1 << 20
_SPARE_DESCRIPTORS = 128
_MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class WallBounds:
    """Limits of a confined process, in bytes and seconds; None: unlimited."""

    memory: int
    """Bytes of data beyond what it already has."""
    compiling: int
    """Further bytes of data, until `lower_memory`."""
    seconds: int | None
    """Seconds of processor time."""
    descriptors: int


class CannotConfine(Exception):
    """The process is not in a state to raise walls."""


def raise_walls(
    bounds: WallBounds,
    folders: Sequence[tuple[int, bool]],
    listening: Sequence[int],
    entered: Collection[str],
    without: Collection[str] = (),
) -> list[str]:
    """Permanently raise every wall that this machine supports around this process; returns their names.

    `folders` are the open folders granted to the guest, and whether each is writable; `listening` its sockets.
    `entered` names its namespaces, `without` the walls to leave out, for tests.
    """
    if _threads() != 1:
        raise CannotConfine("it has threads already, which Landlock would not reach")
    standing = [name for name in ("user", "network", "process") if name in entered]
    with contextlib.suppress(OSError, ValueError):
        _limit(bounds, alone="user" in entered)
        standing.append("limits")
    if "mount" in entered and namespaces.empty_root():
        standing.append("mount")
    if sys.platform == "linux" and namespaces.drop_capabilities():
        with contextlib.suppress(OSError):
            landlock.no_new_privileges()
            standing.append("privileges")
    if "landlock" not in without:
        with contextlib.suppress(OSError):
            landlock.confine_thread(landlock.Reach(folders=tuple(folders)))
            standing.append("files")
    if "seccomp" not in without and seccomp.available() and "privileges" in standing:
        seccomp.install(seccomp.program(os.getpid(), listening))
        standing.append("system calls")
    return [name for name in WALLS if name in standing]


def missing(standing: Collection[str]) -> list[str]:
    """The walls that are not active."""
    return [name for name in WALLS if name not in standing]


def _limit(bounds: WallBounds, alone: bool) -> None:
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
