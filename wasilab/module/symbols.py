"""Names of functions as people write them: C++ and Rust names demangled, hostile ones left as they are.

Written out in Python, for the part of the schemes that a stack trace shows: the qualified name, without parameter
types. A library's demangler (`__cxa_demangle`) would know all of it, but runs native code over names that a stranger
chose, inside the notebook's process. What is not understood comes back unchanged.

Sources: the Itanium C++ ABI, 5.1; Rust RFC 2603 (v0) and the legacy scheme (Itanium with a hash).
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import itanium
from .itanium_types import NotUnderstood

_RUST_HASH = re.compile(r"h[0-9a-f]{16}\Z")
_RUST_ESCAPES = {
    "$SP$": "@", "$BP$": "*", "$RF$": "&", "$LT$": "<", "$GT$": ">", "$LP$": "(", "$RP$": ")", "$C$": ",",
}  # fmt: skip
MAX_NAME = 4096


@lru_cache(maxsize=8192)
def demangle(name: str) -> str:
    """`_ZN3lab3BoxIiE3getEv` → `lab::Box<...>::get`; a name that is not mangled, or not understood, unchanged."""
    if len(name) > MAX_NAME:
        return name
    try:
        if name.startswith("_ZN") and (found := _rust_legacy(name)):
            return found
        if name.startswith("_Z"):
            return itanium.demangle(name)
        if name.startswith("_R"):
            return _RustV0(name).read()
    except (NotUnderstood, IndexError, ValueError, RecursionError):
        return name
    return name


def _rust_legacy(name: str) -> str | None:
    """`_ZN4core3fmt5write17h0123456789abcdefE`: Itanium's form, whose last part is a hash."""
    parts = []
    at = 3
    while at < len(name) and name[at] != "E":
        digits = re.compile(r"\d+").match(name, at)
        if digits is None:
            return None
        size = int(digits.group())
        parts.append(name[digits.end() : digits.end() + size])
        at = digits.end() + size
    if len(parts) < 2 or not _RUST_HASH.match(parts[-1]):
        return None
    return "::".join(_rust_part(part) for part in parts[:-1])


def _rust_part(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]
    for code, text in _RUST_ESCAPES.items():
        part = part.replace(code, text)
    part = re.sub(r"\$u([0-9a-f]{1,6})\$", lambda m: chr(min(int(m.group(1), 16), 0x10FFFF)), part)
    return part.replace("..", "::")


class _Cursor:
    """A place in a name."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def peek(self, size: int = 1) -> str:
        return self.text[self.at : self.at + size]

    def take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def number(self) -> int:
        start = self.at
        while self.peek().isdigit():
            self.at += 1
        if start == self.at:
            raise NotUnderstood
        return int(self.text[start : self.at])

    def text_of(self, size: int) -> str:
        found = self.text[self.at : self.at + size]
        if len(found) != size:
            raise NotUnderstood
        self.at += size
        return found


class _RustV0(_Cursor):
    """The path part of a Rust v0 name; generic arguments are left out."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 2)
        while self.peek().isdigit():
            self.at += 1
        self._depth = 0

    def read(self) -> str:
        return self._path()

    def _path(self) -> str:
        self._depth += 1
        if self._depth > 100:
            raise NotUnderstood
        try:
            tag = self.text_of(1)
            if tag == "C":
                return self._identifier()
            if tag == "N":
                space = self.text_of(1)
                outer = self._path()
                name = self._identifier()
                if space == "C":
                    name = "{closure}"
                return f"{outer}::{name}" if name else outer
            if tag == "I":
                return self._path()
            if tag == "B":
                return self._back()
            raise NotUnderstood
        finally:
            self._depth -= 1

    def _back(self) -> str:
        target = self._base62()
        here = self.at
        if target + 2 >= here:
            raise NotUnderstood
        self.at = target + 2
        found = self._path()
        self.at = here
        return found

    def _base62(self) -> int:
        if self.take("_"):
            return 0
        value = 0
        digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        while not self.take("_"):
            value = value * 62 + digits.index(self.text_of(1))
        return value + 1

    def _identifier(self) -> str:
        if self.take("s"):
            self._base62()
        if self.peek() == "u":
            raise NotUnderstood
        size = self.number()
        self.take("_")
        return self.text_of(size)
