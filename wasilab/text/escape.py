"""Guest text made safe to look at: nothing that a guest writes may move, hide, recolour or run anything.

Every byte that a guest chose (output, file names, arguments, symbol names) passes through here before it reaches a
terminal, a page or a picture. Control characters, escape sequences, bidirectional overrides, zero-width characters
and lone surrogates are shown as escapes, never obeyed. Formatting of numbers is in `units.py`.
"""

from __future__ import annotations

import html
import unicodedata

_KEPT = frozenset("\n\t")
# Cc control, Cf format (bidi overrides, zero width, tags), Cs surrogate, Co private use, Zl/Zp line separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str | bytes, *, lines: bool = True) -> str:
    """`text` with everything invisible or active written as an escape such as `\\x1b` or `\\u202e`.

    Bytes are read as UTF-8, what is no UTF-8 becomes `\\xNN`. With `lines` the newline and the tab stay (for output
    shown in a block); without, they are escaped as well (for names and arguments shown in one line).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_char(c, lines) for c in text)


def _char(char: str, lines: bool) -> str:
    if char.isprintable() or (lines and char in _KEPT):
        return char
    if unicodedata.category(char) not in _HIDDEN:  # a space such as U+00A0: not "printable", harmless
        return char
    code = ord(char)
    if char in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: the middle is left out, because both ends of a path tell something."""
    if len(text) <= limit:
        return text
    keep = max(limit - 1, 2)
    head = keep // 2
    return f"{text[:head]}…{text[len(text) - (keep - head):]}"


def html_text(text: object, *, lines: bool = False) -> str:
    """`text` for HTML content or a quoted attribute: made visible, then escaped.

    Wrap the result in an element with `dir="ltr"` (or CSS `unicode-bidi: isolate`) so that right-to-left letters
    of a guest cannot reorder what stands beside them.
    """
    source = text if isinstance(text, (str, bytes)) else str(text)
    return html.escape(visible(source, lines=lines), quote=True)


def cut_lines(text: str, *, lines: int, characters: int) -> tuple[str, int]:
    """The first `lines` lines of `text` (and at most `characters`), and how many lines were left out."""
    total = text.count("\n") + (not text.endswith("\n") and text != "")
    kept = text[:characters]
    parts = kept.split("\n")
    if len(parts) > lines:
        kept = "\n".join(parts[:lines]) + "\n"
    shown = kept.count("\n") + (not kept.endswith("\n") and kept != "")
    return kept, max(total - shown, 0)
