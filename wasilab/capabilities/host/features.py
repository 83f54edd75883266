"""The features of this operating system for safe file access, detected once.

Linux has openat2(2), O_PATH, renameat2(2) and procfs; macOS has none of them and takes the manual walk; Windows has no
descriptors of directories at all. All system-dependent code uses this file.

`WASILAB_TEST_WITHOUT` disables features for a test run, so that the fallbacks are tested on Linux: "linux" disables all
Linux features, as on macOS; "dir_fd" also disables descriptors of directories, as on Windows. It is for tests only:
without "linux" there is no check for procfs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, Literal

_without = os.environ.get("WASILAB_TEST_WITHOUT", "").split(",")

HAS_DIR_FD = os.open in os.supports_dir_fd and "dir_fd" not in _without
"""Whether a path can be resolved relative to a directory descriptor (openat(2) and similar)."""
LINUX = sys.platform == "linux" and HAS_DIR_FD and "linux" not in _without
"""Whether Linux features may be used."""

Mode = Literal["ro", "rw", "copy"]
POSSIBLE_MODES: tuple[Mode, ...] = ("ro", "rw", "copy") if HAS_DIR_FD else ("copy",)
"""The modes in which a folder can be granted: only "copy" if a guest cannot be confined to a host folder."""
DEFAULT_MODE: Mode = POSSIBLE_MODES[0]
"""The default mode of a folder."""

O_PATH: int = getattr(os, "O_PATH", 0) if LINUX else 0
"""Open only to name a file, without access to it (O_PATH); 0 if not supported."""
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
DIRECTORY_FLAGS: int = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (O_PATH or getattr(os, "O_SEARCH", os.O_RDONLY))
"""The flags to open a directory while resolving a path."""
READ_DIRECTORY: int = os.O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
"""The flags to open a directory for listing."""

libc: Any = ctypes.CDLL(None, use_errno=True) if LINUX or sys.platform == "darwin" else None


def _openat2() -> Callable[..., int] | None:
    """syscall(2), for openat2(2), for which the C library has no function."""
    if not LINUX or os.uname().machine == "alpha":  # the one architecture with another number for it
        return None
    call: Callable[..., int] = libc.syscall
    call.restype = ctypes.c_long  # type: ignore[attr-defined]
    call.argtypes = [  # type: ignore[attr-defined]
        ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    ]  # fmt: skip
    return call


def _rename_to_free_name(library: ctypes.CDLL) -> tuple[Callable[..., int] | None, int]:
    """The function that renames without replacing, and its flag for that."""
    if LINUX:
        return getattr(library, "renameat2", None), 1  # RENAME_NOREPLACE
    if sys.platform == "darwin":
        return getattr(library, "renameatx_np", None), 4  # RENAME_EXCL
    return None, 0


SYSCALL = _openat2()
"""syscall(2) if it can be used for openat2(2), else None."""
RENAME, NO_REPLACE = _rename_to_free_name(libc)
"""renameat2(2) or its equivalent (None if there is none), and the flag for not replacing. Its arguments: a descriptor
and a name as bytes, both twice, and the flag."""
TRY_RENAME = _rename_to_free_name(ctypes.CDLL(None))[0] if RENAME is not None else None
"""The same without an errno, which takes longer to keep: 0 is success."""
