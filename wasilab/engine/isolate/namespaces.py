"""Puts a single-threaded process into Linux namespaces: users, mounts, network, processes, IPC.

A script outside the package imports it (`first_steps.py`): use only the standard library, no relative imports. Source:
namespaces(7), user_namespaces(7), capabilities(7).
"""

import contextlib
import ctypes
import os
import struct

_USER, _MOUNTS, _NETWORK, _PROCESSES, _IPC = 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x08000000
_PRIVATE, _DETACH = 1 << 18 | 1 << 14, 2
_MS_FLAGS = 1 | 2 | 4 | 8  # read-only, no set-uid, no devices, no programs
_PIVOT_ROOT, _CAPSET = {"x86_64": (155, 126), "aarch64": (41, 91)}.get(os.uname().machine, (-1, -1))
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522

NAMES = ("user", "mount", "network", "process")
"""The namespaces that confine a run, by name."""


def enter() -> "list[str]":
    """Move this process and its future children into new namespaces; returns those that succeeded.

    The PID namespace starts with the first child. Without a user namespace (if the kernel or a policy forbids it) the
    others need privileges, and are entered one by one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_USER | _MOUNTS | _NETWORK | _PROCESSES | _IPC) == 0:
        entered = list(NAMES)
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{user} {user} 1")
            _write("/proc/self/gid_map", f"{group} {group} 1")
        except OSError:
            return ["user", "network", "process"]
    else:
        flags = {"mount": _MOUNTS, "network": _NETWORK | _IPC, "process": _PROCESSES}
        entered = [name for name, flag in flags.items() if libc.unshare(flag) == 0]
    if "mount" in entered and libc.mount(b"none", b"/", None, _PRIVATE, None):
        entered.remove("mount")
    return entered


def empty_root() -> bool:
    """Replace the root by an empty, read-only folder, so that this process can name no file; returns whether that
    succeeded.

    Open descriptors stay open, and give access to what is below them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        for place in (b"/tmp", b"/proc", b"/usr"):
            if os.path.isdir(place) and libc.mount(b"none", place, b"tmpfs", _MS_FLAGS, b"size=4k") == 0:
                os.chdir(place)
                if libc.syscall(ctypes.c_long(_PIVOT_ROOT), b".", b"."):
                    return False
                return bool(libc.umount2(b".", _DETACH) == 0)
    finally:
        with contextlib.suppress(OSError):
            os.chdir("/")
    return False


def drop_capabilities() -> bool:
    """Permanently drop all capabilities, in every namespace; returns whether none is left."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    head, none = struct.pack("<II", _CAPABILITY_VERSION_3, 0), bytes(24)
    return bool(libc.syscall(ctypes.c_long(_CAPSET), head, none) == 0)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
