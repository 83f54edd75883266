"""Component values as Python values for users: checked on the way in, wrapped on the way out, and as WAVE text.

============================  =============================================================================
bool, integers, f32, f64      bool, int, float
char, string                  str
list<u8>                      bytes (accepts: anything with the buffer protocol, or a list of numbers)
list<T>, map<K, V>            list, dict
record                        a dataclass made for it (accepts: it, a dict, or a tuple of the fields)
tuple                         tuple
variant                       `Case(name, value)` (accepts: it, a name, or a pair)
enum                          str
flags                         frozenset of names (accepts: any iterable of names)
option<T>                     None or the value; `Some(value)` if T is an option itself
result<T, E>                  `Case("ok", value)` or `Case("error", value)`
own, borrow                   `Resource`
============================  =============================================================================
"""

from __future__ import annotations

import dataclasses
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple

from ....text.numbers import counted, with_article
from ....wasi.components import value_types as v
from ....wasi.components.waits import Value

_RANGES = {f"{sign}{bits}": (0 if sign == "u" else -(1 << (bits - 1)), (1 << bits - (sign == "s")) - 1)
           for sign in "us" for bits in (8, 16, 32, 64)}  # fmt: skip


class Case(NamedTuple):
    """One case of a variant or result: its name and its value (None for a case without one)."""

    name: str
    value: Value = None

    def __repr__(self) -> str:
        return f"{self.name}({self.value!r})" if self.value is not None else self.name


class Some(NamedTuple):
    """The value of an option within an option."""

    value: Value


class Resource:
    """A resource defined and returned by a guest: an owned handle with its methods as attributes. `close()` drops it.

    `name` is the type's name in the component. `methods` get the resource as their first argument.
    """

    def __init__(
        self,
        type_: v.ResourceType,
        rep: int,
        name: str = "resource",
        drop: Callable[[], None] | None = None,
        methods: Mapping[str, Callable[..., Value]] | None = None,
    ) -> None:
        self.type = type_
        self.rep: int | None = rep
        self.name = name
        self._drop = drop
        self._methods = methods or {}

    def __getattr__(self, name: str) -> Callable[..., Value]:
        method = self.__dict__.get("_methods", {}).get(name)
        if method is None:
            offer = ", ".join(self.__dict__.get("_methods", ())) or "none"
            raise AttributeError(
                f"{with_article(str(self.__dict__.get('name')))} has no method {name!r}; its methods: "
                f"{offer}"
            )
        return partial(method, self)

    def __dir__(self) -> list[str]:
        return ["close", *self._methods]

    def take(self) -> int:
        """Give up ownership and return the representation: the resource cannot be used after that."""
        rep = self.borrowed()
        self.rep = None
        return rep

    def borrowed(self) -> int:
        """The representation, for a borrow. Raises `ValueError` if it was passed on or closed."""
        if self.rep is None:
            raise ValueError(f"this {self.name} was given away or closed")
        return self.rep

    def close(self) -> None:
        """Drop it: its destructor in the guest runs. Closing twice does nothing."""
        if self.rep is not None:
            self.rep = None
            if self._drop is not None:
                self._drop()

    def __enter__(self) -> Resource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.rep is not None else ', closed'}>"


def identifier(name: str) -> str:
    """A WIT name as a Python name: dashes become underscores, and keywords get a trailing one."""
    found = re.sub(r"\W", "_", name.removeprefix("%"))
    if not found or found[0].isdigit():
        found = f"_{found}"
    return f"{found}_" if keyword.iskeyword(found) else found


@lru_cache(maxsize=512)
def record_class(names: tuple[str, ...]) -> type:
    """The dataclass of records with these fields."""
    fields: list[str] = []
    for name in names:
        plain = identifier(name)
        while plain in fields:
            plain += "_"
        fields.append(plain)
    return dataclasses.make_dataclass("Record", [(name, object) for name in fields], frozen=True)


# -- from Python -------------------------------------------------------------------------------------------------------


def to_abi(type_: v.ValueType, value: Value, what: str = "the argument") -> Value:
    """Convert a value for the ABI. Raises `TypeError` or `ValueError` naming the place and the type."""
    if isinstance(type_, v.PrimitiveType):
        return _primitive(type_.name, value, what)
    if isinstance(type_, (v.ListType, v.MapType)):
        return _list(type_, value, what)
    if isinstance(type_, v.RecordType):
        return _record(type_, value, what)
    if isinstance(type_, v.TupleType):
        items = _sized(value, len(type_.elements), what, type_)
        return tuple(to_abi(t, x, f"{what}[{i}]") for i, (t, x) in enumerate(zip(type_.elements, items, strict=True)))
    if isinstance(type_, v.OptionType):
        if value is None:
            return None
        inner = value.value if isinstance(value, Some) else value
        found = to_abi(type_.some, inner, what)
        return (found,) if isinstance(type_.some, v.OptionType) else found
    if isinstance(type_, v.EnumType):
        if value not in type_.labels:
            raise ValueError(f"{what}: {value!r} is not one of {', '.join(type_.labels)}")
        return value
    if isinstance(type_, v.FlagsType):
        return _flags(type_, value, what)
    if isinstance(type_, (v.VariantType, v.ResultType)):
        return _case(type_, value, what)
    if isinstance(type_, (v.OwnType, v.BorrowType)):
        if type_.resource.is_host:
            raise TypeError(f"{what}: {with_article(type_.resource.name)} of the host cannot be passed from Python")
        if not isinstance(value, Resource) or value.type is not type_.resource:
            raise TypeError(f"{what}: {value!r} is not {with_article(type_.resource.name)} of this instance")
        return value.take() if isinstance(type_, v.OwnType) else value.borrowed()
    raise TypeError(f"{what}: {with_article(str(type_))} cannot be passed from Python")


def _primitive(name: str, value: Value, what: str) -> Value:
    if name in _RANGES:
        low, high = _RANGES[name]
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{what}: {value!r} is not {with_article(name)}")
        number = value.__index__()
        if not low <= number <= high:
            raise ValueError(f"{what}: {number} does not fit {name} ({low} to {high})")
        return number
    if name in ("f32", "f64"):
        if isinstance(value, (bool, str)):
            raise TypeError(f"{what}: {value!r} is not {with_article(name)}")
        return float(value)
    if name == "bool":
        if not isinstance(value, bool):
            raise TypeError(f"{what}: {value!r} is not a bool")
        return value
    if not isinstance(value, str):
        raise TypeError(f"{what}: {value!r} is not {with_article(name)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {value!r} holds half of a surrogate pair, which no component can hold") from None
    if name == "char" and len(value) != 1:
        raise ValueError(f"{what}: {value!r} is not one character")
    return value


def _list(type_: v.ListType | v.MapType, value: Value, what: str) -> Value:
    if isinstance(type_, v.MapType):
        if isinstance(value, Mapping):
            value = list(value.items())
        return _list(v.ListType(v.pair_of(type_)), value, what)
    if isinstance(type_.element, v.PrimitiveType) and type_.element.name == "u8":
        try:
            data = bytes(value) if not isinstance(value, (int, str)) else None
        except (TypeError, ValueError):
            data = None
        if data is None:
            raise TypeError(f"{what}: {value!r} is not a list<u8>: give bytes")
        value = data
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"{what}: {value!r} is not {with_article(str(type_))}")
    items = (
        value if isinstance(value, bytes) else [to_abi(type_.element, x, f"{what}[{i}]") for i, x in enumerate(value)]
    )
    if type_.length is not None and len(items) != type_.length:
        raise ValueError(f"{what}: {counted(len(items), 'item')} for {with_article(str(type_))}")
    return items


def _sized(value: Value, count: int, what: str, type_: v.ValueType) -> list[Value]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"{what}: {value!r} is not {with_article(str(type_))}")
    items = list(value)
    if len(items) != count:
        raise ValueError(f"{what}: {counted(len(items), 'value')} for the {count} of {with_article(str(type_))}")
    return items


def _record(type_: v.RecordType, value: Value, what: str) -> tuple[Value, ...]:
    names = [name for name, _ in type_.fields]
    if isinstance(value, Mapping):
        given = {identifier(str(key)): item for key, item in value.items()}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        given = dict(zip(map(identifier, names), _sized(value, len(names), what, type_), strict=True))
    missing = [name for name in names if identifier(name) not in given]
    known = set(map(identifier, names))
    strange = [key for key in given if key not in known]
    if missing or strange:
        problem = f"lacks {', '.join(missing)}" if missing else f"has no field {', '.join(strange)}"
        raise ValueError(f"{what}: the record {problem}; its fields are {', '.join(names)}")
    return tuple(to_abi(t, given[identifier(name)], f"{what}.{name}") for name, t in type_.fields)


def _flags(type_: v.FlagsType, value: Value, what: str) -> int:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{what}: {value!r} is not a set of {', '.join(type_.labels)}")
    bits = 0
    for name in value:
        if name not in type_.labels:
            raise ValueError(f"{what}: {name!r} is not one of {', '.join(type_.labels)}")
        bits |= 1 << type_.labels.index(name)
    return bits


def _case(type_: v.VariantType | v.ResultType, value: Value, what: str) -> tuple[str, Value]:
    cases = dict(v.cases_of(type_))
    if isinstance(value, str):
        name, inner = value, None
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        name, inner = value
    else:
        raise TypeError(f"{what}: {value!r} is not a case; give Case(name, value) with one of {', '.join(cases)}")
    if name == "err" and isinstance(type_, v.ResultType):
        name = "error"
    if name not in cases:
        raise ValueError(f"{what}: {name!r} is not one of {', '.join(cases)}")
    part = cases[name]
    if part is None:
        if inner is not None:
            raise ValueError(f"{what}: {name} carries no value")
        return name, None
    return name, to_abi(part, inner, f"{what}.{name}")


# -- to Python ---------------------------------------------------------------------------------------------------------


def from_abi(type_: v.ValueType | None, value: Value, resource: Callable[[v.ResourceType, Value], Value]) -> Value:
    """Convert an ABI value for the user. `resource(type, rep)` makes the object for an owned handle."""
    if type_ is None or isinstance(type_, (v.PrimitiveType, v.EnumType)):
        return str(value) if isinstance(value, str) else value
    if isinstance(type_, v.ListType):
        if isinstance(type_.element, v.PrimitiveType) and type_.element.name == "u8":
            return bytes(value)
        return [from_abi(type_.element, item, resource) for item in value]
    if isinstance(type_, v.MapType):
        return {from_abi(type_.key, key, resource): from_abi(type_.value, item, resource) for key, item in value}
    if isinstance(type_, v.RecordType):
        made = record_class(tuple(name for name, _ in type_.fields))
        return made(*(from_abi(t, item, resource) for (_, t), item in zip(type_.fields, value, strict=True)))
    if isinstance(type_, v.TupleType):
        return tuple(from_abi(t, item, resource) for t, item in zip(type_.elements, value, strict=True))
    if isinstance(type_, v.OptionType):
        if value is None:
            return None
        if isinstance(type_.some, v.OptionType):
            return Some(from_abi(type_.some, value[0], resource))
        return from_abi(type_.some, value, resource)
    if isinstance(type_, v.FlagsType):
        return frozenset(name for bit, name in enumerate(type_.labels) if value >> bit & 1)
    if isinstance(type_, (v.VariantType, v.ResultType)):
        name, inner = value
        return Case(name, from_abi(dict(v.cases_of(type_))[name], inner, resource))
    if isinstance(type_, (v.OwnType, v.BorrowType)):
        return resource(type_.resource, value)
    return value


# -- WAVE: values as text ----------------------------------------------------------------------------------------------


def show(type_: v.ValueType | None, value: Value) -> str:
    """A value of `from_abi` as WAVE text: `{name: "x", size: 3}`, `some(1)`, `ok`."""
    if type_ is None:
        return ""
    if isinstance(type_, v.PrimitiveType):
        if type_.name == "bool":
            return "true" if value else "false"
        if type_.name == "string":
            return _quoted(value, '"')
        if type_.name == "char":
            return _quoted(value, "'")
        if isinstance(value, float):
            if math.isnan(value):
                return "nan"
            return ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value).removesuffix(".0")
        return str(value)
    if isinstance(type_, v.ListType):
        return f"[{', '.join(show(type_.element, item) for item in value)}]"
    if isinstance(type_, v.MapType):
        return "{" + ", ".join(f"{show(type_.key, k)}: {show(type_.value, x)}" for k, x in value.items()) + "}"
    if isinstance(type_, v.RecordType):
        fields = zip(type_.fields, (getattr(value, f.name) for f in dataclasses.fields(value)), strict=True)
        return "{" + ", ".join(f"{name}: {show(t, item)}" for (name, t), item in fields) + "}"
    if isinstance(type_, v.TupleType):
        return f"({', '.join(show(t, item) for t, item in zip(type_.elements, value, strict=True))})"
    if isinstance(type_, v.OptionType):
        if value is None:
            return "none"
        return f"some({show(type_.some, value.value if isinstance(value, Some) else value)})"
    if isinstance(type_, v.FlagsType):
        return "{" + ", ".join(name for name in type_.labels if name in value) + "}"
    if isinstance(type_, (v.VariantType, v.ResultType)):
        part = dict(v.cases_of(type_))[value.name]
        name = "err" if isinstance(type_, v.ResultType) and value.name == "error" else value.name
        return name if part is None else f"{name}({show(part, value.value)})"
    return str(value)


def _quoted(text: str, quote: str) -> str:
    escapes = {"\\": "\\\\", quote: f"\\{quote}", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    shown = (escapes.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text)
    return f"{quote}{''.join(shown)}{quote}"


class WaveError(ValueError):
    """The text is not a value of the requested type; the message is for the user."""


_NUMBER = re.compile(r"-?(?:0x[0-9a-fA-F]+|nan|inf|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_LABEL = re.compile(r"%?[A-Za-z][A-Za-z0-9-]*")


def read_wave(type_: v.ValueType, text: str, what: str = "the argument") -> Value:
    """Parse WAVE text into a value for `to_abi`.

    For a string, plain words of the command line need no quotes. Raises `WaveError`.
    """
    if isinstance(type_, v.PrimitiveType) and type_.name in ("string", "char") and text[:1] not in ("'", '"'):
        return text
    reader = _Wave(text, what)
    found = reader.value(type_)
    reader.end()
    return found


class _Wave:
    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self.what = what
        self.at = 0
        self.depth = 0

    def fail(self, wanted: str) -> WaveError:
        rest = self.text[self.at : self.at + 20]
        place = f"at {rest!r} in" if rest else "at the end of"
        return WaveError(f"{self.what}: {wanted} was expected {place} {self.text!r}")

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, token: str) -> bool:
        self.skip()
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.fail(repr(token))

    def end(self) -> None:
        self.skip()
        if self.at < len(self.text):
            raise self.fail("nothing more")

    def match(self, pattern: re.Pattern[str], wanted: str) -> str:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            raise self.fail(wanted)
        self.at = found.end()
        return found.group()

    def label(self, wanted: str) -> str:
        return self.match(_LABEL, wanted).removeprefix("%")

    def value(self, type_: v.ValueType) -> Value:
        self.depth += 1
        if self.depth > v.MAX_DEPTH:
            raise WaveError(f"{self.what} is nested too deep")
        try:
            return self._value(type_)
        finally:
            self.depth -= 1

    def _value(self, type_: v.ValueType) -> Value:
        if isinstance(type_, v.PrimitiveType):
            return self._primitive(type_.name)
        if isinstance(type_, v.ListType):
            self.expect("[")
            return self._until("]", lambda: self.value(type_.element))
        if isinstance(type_, v.MapType):
            self.expect("{")
            return self._until("}", lambda: self._pair(type_))
        if isinstance(type_, v.TupleType):
            self.expect("(")
            items = []
            for number, part in enumerate(type_.elements):
                if number:
                    self.expect(",")
                items.append(self.value(part))
            self.take(",")
            self.expect(")")
            return tuple(items)
        if isinstance(type_, v.RecordType):
            return self._record(type_)
        if isinstance(type_, v.FlagsType):
            self.expect("{")
            return self._until("}", lambda: self.label("a flag"))
        if isinstance(type_, v.OptionType):
            return self._option(type_)
        if isinstance(type_, v.EnumType):
            return self.label(f"one of {', '.join(type_.labels)}")
        if isinstance(type_, (v.VariantType, v.ResultType)):
            return self._case(type_)
        raise WaveError(f"{self.what}: {with_article(str(type_))} cannot be written as text")

    def _until(self, close: str, item: Callable[[], Value]) -> list[Value]:
        found: list[Value] = []
        while not self.take(close):
            if found:
                self.expect(",")
                if self.take(close):
                    break
            found.append(item())
        return found

    def _pair(self, type_: v.MapType) -> tuple[Value, Value]:
        key = self.value(type_.key)
        self.expect(":")
        return key, self.value(type_.value)

    def _record(self, type_: v.RecordType) -> dict[str, Value]:
        types = dict(type_.fields)
        self.expect("{")

        def field() -> tuple[str, Value]:
            name = self.label("a field")
            if name not in types:
                raise WaveError(f"{self.what}: there is no field {name!r}; the fields are {', '.join(types)}")
            self.expect(":")
            return name, self.value(types[name])

        pairs = self._until("}", field)
        given = dict(pairs)
        if len(given) < len(pairs):
            raise WaveError(f"{self.what}: a field is given twice; the fields are {', '.join(types)}")
        for name, part in types.items():
            if name not in given and isinstance(part, v.OptionType):
                given[name] = None
        return given

    def _option(self, type_: v.OptionType) -> Value:
        start = self.at
        self.skip()
        found = _LABEL.match(self.text, self.at)
        word = found.group() if found else ""
        if word == "none":
            self.at += 4
            return None
        if word == "some":
            self.at += 4
            self.expect("(")
            inner = self.value(type_.some)
            self.expect(")")
        else:
            self.at = start
            inner = self.value(type_.some)
        return Some(inner) if isinstance(type_.some, v.OptionType) else inner

    def _case(self, type_: v.VariantType | v.ResultType) -> Case:
        cases = dict(v.cases_of(type_))
        name = self.label(f"one of {', '.join(cases)}")
        name = "error" if name == "err" and isinstance(type_, v.ResultType) else name
        if name not in cases:
            raise WaveError(f"{self.what}: there is no case {name!r}; the cases are {', '.join(cases)}")
        part = cases[name]
        if part is None:
            return Case(name)
        self.expect("(")
        inner = self.value(part)
        self.expect(")")
        return Case(name, inner)

    def _primitive(self, name: str) -> Value:
        if name == "bool":
            word = self.label("true or false")
            if word not in ("true", "false"):
                raise WaveError(f"{self.what}: {word!r} is not true or false")
            return word == "true"
        if name in ("string", "char"):
            return self._quoted()
        text = self.match(_NUMBER, with_article(name))
        if name in ("f32", "f64"):
            return float(int(text, 16)) if "0x" in text else float(text)
        try:
            return int(text, 0)
        except ValueError:
            raise WaveError(f"{self.what}: {text!r} is not {with_article(name)}") from None

    def _quoted(self) -> str:
        self.skip()
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            raise self.fail("text in quotes")
        self.at += 1
        out: list[str] = []
        plain = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
        while True:
            if self.at >= len(self.text):
                raise self.fail(f"a closing {quote}")
            char = self.text[self.at]
            self.at += 1
            if char == quote:
                return "".join(out)
            if char != "\\":
                out.append(char)
                continue
            code = self.text[self.at : self.at + 1]
            self.at += 1
            if code == "u":
                found = re.compile(r"\{([0-9a-fA-F]{1,6})\}").match(self.text, self.at)
                number = int(found.group(1), 16) if found else 0x110000
                if found is None or number >= 0x110000 or 0xD800 <= number <= 0xDFFF:
                    raise self.fail("a code point in braces, as in \\u{e9}")
                self.at = found.end()
                out.append(chr(number))
            elif code in plain:
                out.append(plain[code])
            else:
                raise self.fail("an escape that exists")
