r"""Formats single values: strings quoted, flags and enums by name, structs in braces.

For: everything that prints a value of a trace as strace does. All bytes of a trace are untrusted: unprintable
characters (ESC, bidirectional controls, line ends, invalid UTF-8) become C escapes (`\n`, `\x1b`), so that no path or
payload can move the cursor, reorder a line or forge one. HTML is escaped elsewhere. Not for: a whole line (`lines.py`),
or other text (`text/escape.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import TypeVar

from ...wasi import types as t
from ..columns.decode import ERRNO_NAMES
from ..record.functions import Bytes
from ..record.layout import DID_NOT_RETURN
from ..record.raw_values import Name
from .style import STRING_BYTES

T = TypeVar("T")

UNKNOWN = "?"

_CACHE_ENTRIES = 1 << 16


class _Quotes(dict[bytes, str]):
    """Bytes -> their quoted text, filled on demand. Long ones are not kept, because a guest could fill the memory with
    them.
    """

    def __missing__(self, data: bytes) -> str:
        text = _quote(data)
        if len(data) <= STRING_BYTES:
            if len(self) >= _CACHE_ENTRIES:
                self.clear()
            self[data] = text
        return text


_quotes = _Quotes()


def quote(data: bytes) -> str:
    r"""Bytes in double quotes with C escapes; printable UTF-8 stays readable."""
    return _quotes[data]


def quoted(column: list[bytes]) -> list[str]:
    """`quote` of each."""
    return list(map(_quotes.__getitem__, column))


def _quote(data: bytes) -> str:
    if not data.isascii():
        try:
            return '"' + _escaped(data.decode(), quotes=True) + '"'
        except UnicodeDecodeError:
            pass
    body = repr(data)
    if body[1] == '"':
        return '"' + body[2:-1] + '"'
    if '"' in body:
        body = body.replace("\\'", "'").replace('"', '\\"')
    return '"' + body[2:-1] + '"'


def _escaped(text: str, *, quotes: bool = False) -> str:
    """Text with everything unprintable escaped byte by byte; with `quotes`, also backslash and the double quote."""
    if text.isprintable() and not (quotes and ("\\" in text or '"' in text)):
        return text
    out = []
    for char in text:
        if quotes and char in '\\"':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        elif char in _NAMED:
            out.append(_NAMED[char])
        else:
            out.append("".join(f"\\x{byte:02x}" for byte in _bytes_of(char)))
    return "".join(out)


def _bytes_of(char: str) -> bytes:
    """The UTF-8 bytes of a character; for a lone surrogate the byte that it represents, or else its own three bytes."""
    return char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")


_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def path_text(path: bytes) -> str:
    """A guest's path without quotes, as strace writes it after a descriptor, with unprintable characters escaped."""
    return _escaped(path.decode("utf-8", "surrogateescape"))


def clipped(data: bytes, limit: int, more: bool = False) -> str:
    """Quoted, at most `limit` bytes, with "..." after the quote if there was more."""
    if len(data) > limit:
        return quote(data[:limit]) + "..."
    return quote(data) + "..." if more else quote(data)


# -- numbers by name ---------------------------------------------------------------------------------------------------

_NEGATED_ABOVE = 15


def flags_text(value: int, kind: type[IntFlag]) -> str:
    """`A|B`, 0, or as strace does with sets, `~[A]` for "all but A" where that is shorter; undefined bits in hex."""
    known = [(flag.name or "", flag.value) for flag in kind]
    names = [name for name, bit in known if value & bit]
    rest = value & ~sum(bit for _, bit in known)
    if len(names) > _NEGATED_ABOVE:
        names = ["~[" + "|".join(name for name, bit in known if not value & bit) + "]"]
    if rest:
        names.append(hex(rest))
    return "|".join(names) or "0"


def enum_text(value: int, kind: type[IntEnum]) -> str:
    """The member's name, or the number if the enum has no such member."""
    try:
        return kind(value).name
    except ValueError:
        return str(value)


class Names(dict[int, str]):
    """Number -> name, filled on demand, with a bounded size."""

    def __init__(self, kind: type[IntEnum] | type[IntFlag]) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, value: int) -> str:
        if len(self) > 4096:
            self.clear()
        kind = self._kind
        self[value] = text = flags_text(value, kind) if issubclass(kind, IntFlag) else enum_text(value, kind)
        return text


_names: dict[type[IntEnum] | type[IntFlag], Names] = {}


def names_of(kind: type[IntEnum] | type[IntFlag]) -> Names:
    """The shared table of names of an enum or flags class."""
    return _names.setdefault(kind, Names(kind))


_ALL_RIGHTS = sum(right.value for right in t.Rights)
_ACCESS = (
    int(t.Rights.FD_READ | t.Rights.FD_WRITE),
    int(t.Rights.PATH_OPEN | t.Rights.PATH_CREATE_FILE),
    int(t.Rights.FD_READDIR),
)
"""A set of rights is abbreviated by the first of these groups that it has any of."""


class _ShortRights(dict[int, str]):
    """Rights -> short text. A library requests two dozen rights; what matters is whether it reads or writes."""

    def __missing__(self, value: int) -> str:
        if len(self) > 4096:
            self.clear()
        if (value & _ALL_RIGHTS).bit_count() <= 4 or value & ~_ALL_RIGHTS:
            text = flags_text(value, t.Rights)
        else:
            named = next((value & access for access in _ACCESS if value & access), 0)
            text = f"{flags_text(named, t.Rights)}|..." if named else "..."
        self[value] = text
        return text


SHORT_RIGHTS = _ShortRights()
"""Rights -> text, abbreviated."""


def time_text(ns: int) -> str:
    """Nanoseconds since the epoch (u64: they end in the year 2554) as ISO 8601 in UTC with all nine digits."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{second_text(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=4096)
def second_text(seconds: int) -> str:
    """A second since the epoch as ISO 8601 in UTC, without the Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


# -- structs -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def struct_text(value: object, verbose: bool = True) -> str:
    """A struct of the spec (filestat, fdstat, prestat) in braces; `verbose`: with all rights.

    Otherwise rights are abbreviated, and inheriting rights are omitted if they include the descriptor's own.
    """
    if isinstance(value, t.Filestat):
        return (
            f"{{dev={value.dev}, ino={value.ino}, filetype={names_of(t.Filetype)[value.filetype]}, "
            f"nlink={value.nlink}, size={value.size}, atim={time_text(value.atim)}, mtim={time_text(value.mtim)}, "
            f"ctim={time_text(value.ctim)}}}"
        )
    if isinstance(value, t.Fdstat):
        rights = names_of(t.Rights) if verbose else SHORT_RIGHTS
        text = (
            f"{{filetype={names_of(t.Filetype)[value.filetype]}, flags={names_of(t.Fdflags)[value.flags]}, "
            f"rights_base={rights[value.rights_base]}"
        )
        if verbose or value.rights_base & ~value.rights_inheriting:
            text += f", rights_inheriting={rights[value.rights_inheriting]}"
        return text + "}"
    if isinstance(value, t.Prestat):
        return f"{{tag={names_of(t.Preopentype)[value.tag]}, name_len={value.name_len}}}"
    return UNKNOWN


def clock_flags(flags: int) -> str:
    """The flags of a clock's subscription, with the comma before them."""
    return ", ABSTIME" if flags & 1 else f", flags={flags:#x}" if flags else ""


def subscription_text(sub: t.Subscription) -> str:
    """One poll subscription in braces."""
    if sub.type == t.Eventtype.CLOCK:
        clock = names_of(t.ClockId)[sub.clock]
        return f"{{CLOCK {clock}, timeout={sub.timeout}{clock_flags(sub.flags)}, userdata={sub.userdata:#x}}}"
    return f"{{{names_of(t.Eventtype)[sub.type]} fd={sub.fd}, userdata={sub.userdata:#x}}}"


def event_text(event: t.Event) -> str:
    """One poll event in braces."""
    text = f"{{{names_of(t.Eventtype)[event.type]}, userdata={event.userdata:#x}"
    if event.errno:
        text += f", errno={ERRNO_NAMES[event.errno] if event.errno < DID_NOT_RETURN else event.errno}"
    if event.type != t.Eventtype.CLOCK:
        text += f", nbytes={event.nbytes}"
        if event.flags:
            text += f", flags={flags_text(event.flags, t.Eventrwflags)}"
    return text + "}"


def value_text(value: object, limit: int = STRING_BYTES) -> str:
    """A value of a further function (`record/functions.py`): texts and bytes quoted, records in braces, lists in
    brackets.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Bytes):
        return clipped(value.data, limit, len(value.data) < value.length)
    if isinstance(value, Name):
        return path_text(value.encode("utf-8", "backslashreplace"))
    if isinstance(value, str):
        return clipped(value.encode("utf-8", "backslashreplace"), limit)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{path_text(k.encode())}={value_text(v, limit)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(value_text(item, limit) for item in value) + "]"
    return str(value)


def listed(values: list[T] | None, one: Callable[[T], str]) -> str:
    """`[a, b]`, or ? for None."""
    return UNKNOWN if values is None else "[" + ", ".join(map(one, values)) + "]"
