"""Makes a file name of a name that may hold anything, such as a run's or a cell's.

For: names of files that wasilab writes itself. The name stays as it is, in any script, except for what a system does
not take in a file name, and for what could not be shown as it is. Not for: a path that the user typed.
"""

from __future__ import annotations

import re

_RESERVED = re.compile(r'[/\\:*?"<>|]')
"""What Windows does not take; a colon also ends the file's name in the messages of compilers."""


def file_name(name: str, most: int) -> str:
    """`name` with "_" for each such character, at most `most` bytes long, without a leading dot, hyphen, space or @.

    A hyphen would begin a flag, and @ a response file of a compiler. May be empty.

    >>> file_name("naïve ☃: a\\nb", 100)
    'naïve ☃_ a_b'
    """
    plain = "".join(char if char.isprintable() else "_" for char in _RESERVED.sub("_", name))
    return plain.lstrip(".-@ ").encode()[:most].decode(errors="ignore").rstrip(" ")
