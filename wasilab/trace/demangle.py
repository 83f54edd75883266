"""Names of functions as people write them: C++ and Rust names demangled, hostile ones left as they are.

Written out in Python, for the part of the schemes that a stack trace shows: the qualified name, without parameter
types. A library's demangler (`__cxa_demangle`) would know all of it, but runs native code over names that a stranger
chose, inside the notebook's process. What is not understood comes back unchanged.

Sources: the Itanium C++ ABI, 5.1; Rust RFC 2603 (v0) and the legacy scheme (Itanium with a hash).
"""

from __future__ import annotations

import re
from functools import lru_cache

_RUST_HASH = re.compile(r"h[0-9a-f]{16}\Z")
_RUST_ESCAPES = {
    "$SP$": "@", "$BP$": "*", "$RF$": "&", "$LT$": "<", "$GT$": ">", "$LP$": "(", "$RP$": ")", "$C$": ",",
}  # fmt: skip
_OPERATORS = {
    "nw": " new", "na": " new[]", "dl": " delete", "da": " delete[]", "pl": "+", "mi": "-", "ml": "*", "dv": "/",
    "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "=", "pL": "+=", "mI": "-=", "mL": "*=", "dV": "/=", "ls": "<<",
    "rs": ">>", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "nt": "!", "aa": "&&", "oo": "||",
    "pp": "++", "mm": "--", "cl": "()", "ix": "[]", "pt": "->", "ss": "<=>", "de": "*", "ad": "&", "co": "~", "cm": ",",
}  # fmt: skip
_STD = {
    "St": "std", "Sa": "std::allocator", "Sb": "std::basic_string", "Ss": "std::string", "Si": "std::istream",
    "So": "std::ostream", "Sd": "std::iostream",
}  # fmt: skip
MAX_NAME = 4096


class _NotUnderstood(Exception):
    """The name uses a part of the scheme that is not read here."""


@lru_cache(maxsize=8192)
def demangle(name: str) -> str:
    """`_ZN3lab3BoxIiE3getEv` → `lab::Box<...>::get`; a name that is not mangled, or not understood, unchanged."""
    if len(name) > MAX_NAME:
        return name
    try:
        if name.startswith("_ZN") and (found := _rust_legacy(name)):
            return found
        if name.startswith("_Z"):
            return _Itanium(name).read()
        if name.startswith("_R"):
            return _RustV0(name).read()
    except (_NotUnderstood, IndexError, ValueError, RecursionError):
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
            raise _NotUnderstood
        return int(self.text[start : self.at])

    def text_of(self, size: int) -> str:
        found = self.text[self.at : self.at + size]
        if len(found) != size:
            raise _NotUnderstood
        self.at += size
        return found


class _Itanium(_Cursor):
    """The name part of an Itanium mangled name; template arguments are shown as `<...>`."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 2)

    def read(self) -> str:
        for special, words in (("TV", "vtable for "), ("TI", "typeinfo for "), ("GV", "guard variable for ")):
            if self.take(special):
                return words + self._name()
        if self.take("Th") or self.take("Tv"):
            while self.peek() and self.peek() != "_":
                self.at += 1
            self.at += 1
            return "thunk to " + self._name()
        return self._name()

    def _name(self) -> str:
        if self.take("N"):
            return self._nested()
        if self.take("Z"):
            outer = self._name()
            depth = 0
            while self.peek():  # the enclosing function's parameter types, up to the E that ends them
                if self.peek() in "NI":
                    depth += 1
                elif self.peek() == "E":
                    if depth == 0:
                        break
                    depth -= 1
                elif self.peek().isdigit():
                    self.text_of(self.number())
                    continue
                self.at += 1
            if not self.take("E"):
                raise _NotUnderstood
            return f"{outer}::{self._name() if not self.take('s') else 'string literal'}"
        found = self._unqualified("")
        return found + ("<...>" if self._skip_template() else "")

    def _nested(self) -> str:
        while self.peek() and self.peek() in "rVKRO":
            self.at += 1
        parts: list[str] = []
        while not self.take("E"):
            if self._skip_template():
                if not parts:
                    raise _NotUnderstood
                parts[-1] += "<...>"
                continue
            parts.append(self._unqualified(parts[-1] if parts else ""))
            if len(parts) > 64:
                raise _NotUnderstood
        if not parts:
            raise _NotUnderstood
        return "::".join(parts)

    def _unqualified(self, enclosing: str) -> str:
        if self.take("L"):
            return self._unqualified(enclosing)
        two = self.peek(2)
        if two == "St":
            self.at += 2
            return "std" if self.text[2] == "N" else f"std::{self._unqualified('')}"
        if two in _STD:
            self.at += 2
            return _STD[two]
        if two and two[0] == "S":
            raise _NotUnderstood  # a substitution needs the whole grammar to be resolved
        if self.peek().isdigit():
            found = self.text_of(self.number())
            if found.startswith("_GLOBAL__N"):
                found = "(anonymous namespace)"
            while self.take("B"):
                self.text_of(self.number())
            return found
        plain = enclosing.split("<")[0].split("::")[-1]
        if two in ("C1", "C2", "C3"):
            self.at += 2
            return plain
        if two in ("D0", "D1", "D2"):
            self.at += 2
            return f"~{plain}"
        if two == "Ul" or two == "Ut":
            end = self.text.index("_", self.at)
            self.at = end + 1
            return "{lambda}" if two == "Ul" else "{unnamed}"
        if two in _OPERATORS:
            self.at += 2
            return f"operator{_OPERATORS[two]}"
        raise _NotUnderstood

    def _skip_template(self) -> bool:
        """Step over `I ... E`, minding what is nested in it."""
        if not self.take("I"):
            return False
        depth = 1
        while depth:
            letter = self.peek()
            if not letter:
                raise _NotUnderstood
            if letter.isdigit():
                self.text_of(self.number())
                continue
            if letter == "L":  # a literal: a type, a value, E
                self.at = self.text.index("E", self.at) + 1
                continue
            if letter == "S":  # a substitution: S_, S0_, St, ...
                self.at += 1
                while self.peek().isdigit() or self.peek().isupper():
                    self.at += 1
                self.at += 1
                continue
            if letter in "INXJF":
                depth += 1
            elif letter == "E":
                depth -= 1
            self.at += 1
        return True


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
            raise _NotUnderstood
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
            raise _NotUnderstood
        finally:
            self._depth -= 1

    def _back(self) -> str:
        target = self._base62()
        here = self.at
        if target + 2 >= here:
            raise _NotUnderstood
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
            raise _NotUnderstood
        size = self.number()
        self.take("_")
        return self.text_of(size)
