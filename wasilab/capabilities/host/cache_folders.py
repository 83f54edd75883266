"""The folders of caches, and whether their contents can be trusted.

Cached data is executed: modules, machine code, the command lines of compilers. So a folder that another user owns or
can write to is refused. Nothing heavy is imported here, since every run checks Wasmtime's folder.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def _user_cache(program: str) -> Path:
    if sys.platform == "linux":  # the rule of platformdirs, without its import
        base = os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache")
        return Path(base, program)
    from platformdirs import user_cache_path

    return user_cache_path(program)


def cache_folder() -> Path:
    """The folder of compiled modules and of facts about compilers: WASILAB_CACHE_DIR or the user's cache."""
    own = os.environ.get("WASILAB_CACHE_DIR")
    return Path(own) if own else _user_cache("wasilab")


def user_cache_folder(program: str) -> Path:
    """The cache folder of another program, such as Wasmtime, for this user."""
    return _user_cache(program)


def distrust(folder: str | os.PathLike[str]) -> str | None:
    """Why a cache in this folder is not used, as a sentence with the remedy; None if it can be used or does not
    exist."""
    if not hasattr(os, "geteuid"):
        return None  # Windows: a folder below the user's profile
    try:
        found = os.stat(folder)
    except OSError:
        return None
    shown = os.fspath(folder)
    if found.st_uid != os.geteuid():
        return f"the cache folder {shown!r} belongs to another user, who could change cached code"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users can write to the cache folder {shown!r} and could change cached code: chmod go-w {shown}"
    return None
