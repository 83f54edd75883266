"""How to interpret a WASI program's paths: it has no current folder, and its C library guesses.

Used by learn and ask mode, which provide stand-ins for folders that were not granted.
"""

from __future__ import annotations

import os

HERE = "."
"""The guest path of the stand-in for the current folder."""
ROOTS = (HERE, "/", "./", "")
"""Guest paths below which wasi-libc looks for every path that no other preopen holds, absolute or not. It treats them
as equal, and the last one wins, so only one of them is ever granted."""


def outside(path: str, here: str) -> str | None:
    """The absolute host path that a guest means by `path`, if it is not in the folder `here`; else None.

    To a WASI program without a current folder "etc/passwd" and "/etc/passwd" are the same: it means the first if `here`
    has an "etc", the second if the host has an "/etc". A bare name is in `here`.
    """
    first, slash, _ = path.lstrip("/").partition("/")
    if not slash or os.path.lexists(os.path.join(here, first)) or not os.path.isdir("/" + first):
        return None
    return "/" + path.lstrip("/")
