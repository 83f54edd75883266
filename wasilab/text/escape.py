"""Escapes untrusted text, from a guest or a file, so that it is safe to display.

For: every place where output, a file name, an argument, a symbol or an error message reaches a terminal, a page or a
image. Control characters, escape sequences, bidirectional overrides, zero-width characters and lone surrogates are
shown as escapes, so nothing in the text can move, hide, recolour or run anything. Not for: the arguments of a strace
line, which are quoted byte by byte as strace does it (`trace/strace/values.py`).
"""

from __future__ import annotations

import unicodedata

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
# Cc control, Cf format (bidi overrides, zero width, tags), Cs surrogate, Co private use, Cn unassigned,
# Zl/Zp line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str | bytes, *, lines: bool = False) -> str:
    r"""`text` with everything invisible or active written as an escape such as `\x1b` or `\u202e`.

    Bytes are read as UTF-8. A byte that is not UTF-8 becomes `\xNN`, also where `os.fsdecode` has turned it into a
    lone surrogate. With `lines`, newlines and tabs stay, for text that is shown as a block; by default they are escaped
    too, so that a name or an argument stays in one line.

    >>> print(visible("photo\u202egpj.exe"), visible(b"caf\xe9\n"))
    photo\u202egpj.exe caf\xe9\n
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if text.isprintable() or (lines and text.replace("\n", "").replace("\t", "").isprintable()):
        return text
    kept = "\n\t" if lines else ""
    return "".join(char if char in kept else _shown(char) for char in text)


def _shown(char: str) -> str:
    # A space such as U+00A0 is not "printable" for Python, but it is harmless.
    if char.isprintable() or unicodedata.category(char) not in _HIDDEN:
        return char
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as `surrogateescape` keeps it
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def html_text(text: object, *, lines: bool = False) -> str:
    """`text` for HTML content or a quoted attribute: `visible`, then escaped.

    Wrap the result in an element with `dir="ltr"` (or CSS `unicode-bidi: isolate`), so that right-to-left letters of a
    guest cannot reorder the text around them.
    """
    source = text if isinstance(text, (str, bytes)) else str(text)
    return visible(source, lines=lines).translate(_MARKUP)


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters. The middle is cut out, because both ends of a path are informative."""
    if len(text) <= limit:
        return text
    keep = max(limit - 1, 2)
    head = keep // 2
    return f"{text[:head]}…{text[len(text) - (keep - head):]}"


def cut_lines(text: str, *, lines: int, characters: int) -> tuple[str, int]:
    """The first `lines` lines of `text` (and at most `characters`), and how many lines were left out."""
    total = text.count("\n") + (not text.endswith("\n") and text != "")
    kept = text[:characters]
    parts = kept.split("\n")
    if len(parts) > lines:
        kept = "\n".join(parts[:lines]) + "\n"
    shown = kept.count("\n") + (not kept.endswith("\n") and kept != "")
    return kept, max(total - shown, 0)
