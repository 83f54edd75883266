"""What a WASI program means by a path: it has no current folder of its own, and its C library guesses.

For: learn and ask mode, which stand in for folders that were not granted.
"""

from __future__ import annotations

import os

HERE = "."
"""The guest path of the current folder, where a stand-in for it is granted."""
ROOTS = (HERE, "/", "./", "")
"""Guest paths below which wasi-libc looks for every path that no other preopen holds, absolute or not: to it they are
one, and the last one given wins. So only one of them is ever granted."""


def outside(path: str, here: str) -> str | None:
    """The absolute host path that a guest means by `path`, where it is not one in the folder `here`; else None.

    To a WASI program without a current folder "etc/passwd" and "/etc/passwd" are one: it is the first where `here` has
    an "etc", and the second where the host has an "/etc". A name alone is one in `here`.
    """
    first, slash, _ = path.lstrip("/").partition("/")
    if not slash or os.path.lexists(os.path.join(here, first)) or not os.path.isdir("/" + first):
        return None
    return "/" + path.lstrip("/")
