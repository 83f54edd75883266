"""Parses the WIT types in the declarations of `wasi/components/` into value types.

Only types: `list<u8>`, `result<_, error-code>`, `record { a: u32 }`, `(self: borrow<error>) -> string`. The input is
our own text, so an error in it is a bug (`ValueError`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .. import value_types as v

_TOKEN = re.compile(r"\s*(->|[A-Za-z%][A-Za-z0-9-]*|_|[<>(){},:])")
Named = Callable[[str], "v.ValueType | v.ResourceType"]
"""The type or resource of a name that is not built in."""


class _Reader:
    def __init__(self, text: str, named: Named) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.named = named
        self.at = 0

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise ValueError(f"{self.text!r} ends too early")
        self.at += 1
        found: str = self.tokens[self.at - 1]
        return found

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def expect(self, token: str) -> None:
        found = self.next()
        if found != token:
            raise ValueError(f"{self.text!r}: expected {token!r}, not {found!r}")

    def listed(self, close: str, item: Callable[[], object]) -> list[object]:
        found = []
        while self.peek() != close:
            found.append(item())
            if self.peek() == ",":
                self.next()
        self.expect(close)
        return found

    def maybe(self) -> v.ValueType | None:
        if self.peek() == "_":
            self.next()
            return None
        return self.value()

    def value(self) -> v.ValueType:
        name = self.next()
        if name in v.PRIMITIVES:
            return v.PRIMITIVES[name]
        if name in ("list", "option", "own", "borrow", "stream", "future", "tuple", "result"):
            return self._generic(name)
        if name in ("record", "variant", "enum", "flags"):
            self.expect("{")
            return self._braced(name)
        found = self.named(name)
        if isinstance(found, v.ResourceType):
            return v.OwnType(found)
        return found

    def _generic(self, name: str) -> v.ValueType:
        if self.peek() != "<":
            if name == "result":
                return v.ResultType()
            return v.StreamType() if name == "stream" else v.FutureType()
        self.expect("<")
        if name in ("own", "borrow"):
            resource = self.named(self.next())
            self.expect(">")
            assert isinstance(resource, v.ResourceType)
            return v.OwnType(resource) if name == "own" else v.BorrowType(resource)
        parts = self.listed(">", self.maybe)
        types: list[v.ValueType] = [part for part in parts if isinstance(part, v.ValueType)]
        if name == "list":
            return v.ListType(types[0])
        if name == "option":
            return v.OptionType(types[0])
        if name == "tuple":
            return v.TupleType(tuple(types))
        if name == "result":
            both = [part if isinstance(part, v.ValueType) else None for part in (*parts, None)]
            return v.ResultType(both[0], both[1])
        return v.StreamType(types[0]) if name == "stream" else v.FutureType(types[0])

    def _braced(self, name: str) -> v.ValueType:
        if name == "record":
            return v.RecordType(tuple(self.listed("}", self.field)))  # type: ignore[arg-type]
        if name == "variant":
            return v.VariantType(tuple(self.listed("}", self._case)))  # type: ignore[arg-type]
        labels = tuple(map(str, self.listed("}", self.next)))
        return v.EnumType(labels) if name == "enum" else v.FlagsType(labels)

    def field(self) -> tuple[str, v.ValueType]:
        name = self.next().removeprefix("%")
        self.expect(":")
        return name, self.value()

    def _case(self) -> tuple[str, v.ValueType | None]:
        name = self.next().removeprefix("%")
        if self.peek() != "(":
            return name, None
        self.expect("(")
        type_ = self.value()
        self.expect(")")
        return name, type_


def read_type(text: str, named: Named) -> v.ValueType:
    """A value type."""
    reader = _Reader(text, named)
    found = reader.value()
    if reader.peek():
        raise ValueError(f"{text!r}: unexpected {reader.peek()!r} at the end")
    return found


def read_function(text: str, named: Named, *, is_async: bool = False) -> v.ComponentFuncType:
    """A function's type: "(name: type, ...) -> type"."""
    reader = _Reader(text, named)
    reader.expect("(")
    params = tuple(reader.listed(")", reader.field))
    result = None
    if reader.peek() == "->":
        reader.next()
        result = reader.value()
    if reader.peek():
        raise ValueError(f"{text!r}: unexpected {reader.peek()!r} at the end")
    return v.ComponentFuncType(params, result, is_async)  # type: ignore[arg-type]
