"""Quotes the words of a command line, so that the result can be pasted into a shell.

For: every command, flag and argument that is shown to the user. Not for: parsing them (`commands/line/words.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from .escape import visible


def quote(word: str) -> str:
    r"""`word` quoted for a shell. What `visible` would escape is put in `$'...'`, which bash, zsh, ksh and POSIX.1-2024
    read back as the same word, so untrusted control characters are neither sent to the terminal nor lost.

    >>> print(quote("a.txt"), quote("my file"), quote("a\nb\x1b[2J"))
    a.txt 'my file' $'a\nb\x1b[2J'
    """
    if visible(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def join(words: Iterable[str]) -> str:
    """`words` as one shell command line."""
    return " ".join(map(quote, words))


def _escaped(char: str) -> str:
    if char in "'\\":
        return "\\" + char
    if char.isascii() or visible(char) == char:
        return visible(char)
    # As bytes of UTF-8: `\uNNNN` depends on the shell's locale. A byte that is not valid UTF-8 is kept.
    code = ord(char)
    data = bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else char.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)
