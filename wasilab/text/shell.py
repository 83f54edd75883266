"""Words of a command line as text that can be pasted into a shell, whatever stands in them.

For: every command, flag and argument that is shown to a person. Not for: reading them (`commands/line/words.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from .escape import visible


def quote(word: str) -> str:
    r"""`word` quoted for a shell. What `visible` would escape stands in `$'...'`, which bash, zsh, ksh and POSIX.1-2024
    read back as the same word, so that a stranger's control characters neither act nor get lost.

    >>> print(quote("a.txt"), quote("my file"), quote("a\nb\x1b[2J"))
    a.txt 'my file' $'a\nb\x1b[2J'
    """
    if visible(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def join(words: Iterable[str]) -> str:
    """`words` as one line of a shell."""
    return " ".join(map(quote, words))


def _escaped(char: str) -> str:
    if char in "'\\":
        return "\\" + char
    if char.isascii() or visible(char) == char:
        return visible(char)
    # As bytes of UTF-8: `\uNNNN` depends on the shell's locale. A byte that is no UTF-8 stands for itself.
    code = ord(char)
    data = bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else char.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)
