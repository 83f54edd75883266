"""Folders that a guest must not write to by default: this Python or a compiler would run code from them.

A rw grant of a folder that holds one of them is refused when a run starts, unless `Grants.writable_code` allows it:
the folders that this Python imports from, its virtual environment, and the caches of compiled programs and of machine
code. Of packages, environments and caches, a folder inside them is refused as well; of a folder that only happens to be
on `sys.path`, such as the current one of a notebook, an inner folder is free to use.

A folder that holds the user's home is granted with a warning.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator

from ..capabilities.host.cache_folders import cache_folder, user_cache_folder
from ..capabilities.host.hostdir import HostDir
from ..capabilities.protocols import Directory
from .value import GrantError, GrantValue

_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")


def check_code_folders(grants: GrantValue) -> None:
    """Raise `GrantError` for a directory in which `grants` would let a guest write code, unless they allow that."""
    for guest, directory in grants.dirs.items():
        why = "" if grants.writable_code else code_in(directory)
        if why:
            raise GrantError(
                f"the folder at {guest!r} is not granted as rw: {why}, and a program that can write there can leave "
                "code for it to run; grant a folder of its own, or this one as ro or copy, or allow it with "
                "--writable-code (writable_code=True)"
            )


def code_in(directory: Directory) -> str:
    """Why code that a guest writes to a rw directory would be run, "" if it would not."""
    return code_at(directory.real) if isinstance(directory, HostDir) and directory.mode == "rw" else ""


def code_at(folder: str) -> str:
    """Why code written to a host folder (its absolute path, links resolved) would be run, or ""."""
    for place, what, whole in _places():
        if _holds(folder, place) or (whole and _holds(place, folder)):
            return what
    return ""


def warning(directory: Directory) -> str:
    """A warning about a directory granted as rw, "" for none."""
    why = code_in(directory)
    if why:
        return f"{why}: a guest that can write there can leave code for it to run; grant a folder of its own, or copy"
    if not isinstance(directory, HostDir) or directory.mode != "rw":
        return ""
    if _holds(directory.real, os.path.realpath(os.path.expanduser("~"))):
        return "this holds your home folder, with the files that your shell and programs run at their start"
    return ""


def _places() -> Iterator[tuple[str, str, bool]]:
    """(folder, what it is, whether folders inside it are refused too)."""
    yield os.path.realpath(cache_folder()), "it holds the cache of compiled programs", True
    yield os.path.realpath(user_cache_folder("wasmtime")), "it holds Wasmtime's cache of machine code", True
    if sys.prefix != sys.base_prefix:
        yield os.path.realpath(sys.prefix), "it holds this Python's virtual environment", True
    for name in _LIBRARIES:
        yield os.path.realpath(sysconfig.get_path(name)), "it holds the packages of this Python", True
    for entry in sys.path:
        folder = os.path.realpath(entry or os.curdir)
        packages = os.path.basename(folder) in ("site-packages", "dist-packages")
        yield folder, f"this Python imports from {os.path.basename(folder) or folder!r}", packages


def _holds(folder: str, place: str) -> bool:
    return (place.rstrip("/") + "/").startswith(folder.rstrip("/") + "/")
