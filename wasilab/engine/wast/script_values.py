"""Values of a script: into the slots of a call, and compared with its results, bit by bit.

wasm-tools writes a value as `{"type": "f32", "value": "1069547520"}`: numbers are the decimal text of their bits, a
vector has a list of lanes. A slot is a `wasmtime_val_t`. Floats are copied as bits, because a signalling NaN does not
survive as a Python float. Source: the reference interpreter's README in WebAssembly/spec, "Scripts", and
`wasmtime/val.h`.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import wasmtime

from ...text.escape import shorten, visible
from ..values import references
from ..values.wasmtime_objects import as_int

try:
    from wasmtime import _bindings

    Slot = _bindings.wasmtime_val_t
    _anyref_is = {
        "i31ref": _bindings._wasmtime_anyref_is_i31,
        "structref": _bindings._wasmtime_anyref_is_struct,
        "arrayref": _bindings._wasmtime_anyref_is_array,
        "eqref": _bindings._wasmtime_anyref_is_eqref,
    }
    AVAILABLE = references.AVAILABLE
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the needed functions."""

Json: TypeAlias = Any
Item: TypeAlias = Mapping[str, Json]
"""A value, an action or a command as wasm-tools writes it."""

_KINDS = {
    "i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4, "funcref": 5, "externref": 6, "anyref": 7, "exnref": 8,
}  # fmt: skip
"""The kinds of `wasmtime_val_t`."""
_NAMES = {number: name for name, number in _KINDS.items()}
_WIDTHS = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "f32": 4, "f64": 8}
"""Bytes of a number or lane."""
_NULLS = {
    "nullfuncref": "funcref", "nullexternref": "externref", "nullexnref": "exnref", "nullref": "anyref",
    "eqref": "anyref", "i31ref": "anyref", "structref": "anyref", "arrayref": "anyref",
}  # fmt: skip
"""The kind of a null reference of a type that has no kind of its own."""
_NAN = {
    ("f32", "nan:canonical"): (0x7FFFFFFF, 0x7FC00000), ("f64", "nan:canonical"): ((1 << 63) - 1, 0x7FF8 << 48),
    ("f32", "nan:arithmetic"): (0x7FC00000, 0x7FC00000), ("f64", "nan:arithmetic"): (0x7FF8 << 48, 0x7FF8 << 48),
}  # fmt: skip
"""(mask, value) of the bits of an expected NaN. A canonical one has only the top bit of its fraction and either sign,
an arithmetic one has at least that bit. Source: WebAssembly core 3.0, 4.3.3 (NaN propagation)."""


class NotSupported(Exception):
    """A command needs what Wasmtime's C API does not offer; the message says what."""


class HostReference:
    """An external reference of a script, `(ref.extern 3)`: references with the same number are the same."""

    def __init__(self, number: int) -> None:
        self.number = number


def put(store: wasmtime.Store, slot: _bindings.wasmtime_val_t, item: Item) -> None:
    """Put an argument into a slot, its kind last. Raises `NotSupported`."""
    kind = item["type"]
    value: Json = item.get("value")
    if kind == "v128":
        data = b"".join(_bits(item["lane_type"], lane) for lane in value)
        ctypes.memmove(slot.of.v128, data.ljust(16, b"\0"), 16)
    elif kind in _WIDTHS:
        data = _bits(kind, value)
        ctypes.memmove(ctypes.addressof(slot.of), data, len(data))
    elif kind == "externref":
        given = None if value == "null" else HostReference(int(value))
        references.put_object(store, slot.of.externref, given)
    elif value == "null":
        kind = _NULLS.get(kind, kind)
        if kind not in _KINDS:
            raise NotSupported(f"a null reference of type {kind} cannot be passed")
        getattr(slot.of, kind).store_id = 0
    else:
        raise NotSupported(f"the host cannot make a value of type {kind}")
    slot.kind = _KINDS[kind]  # type: ignore[assignment]  # ctypes takes an int for a c_ubyte


def matches(store: wasmtime.Store, slot: _bindings.wasmtime_val_t, item: Item) -> bool:
    """Whether a result is what a script expects."""
    kind, found = item["type"], _NAMES.get(as_int(slot.kind))
    value: Json = item.get("value")
    if kind == "either":
        return any(matches(store, slot, one) for one in item["values"])
    data = ctypes.string_at(ctypes.addressof(slot.of), 16)
    if kind == "v128":
        lane = item["lane_type"]
        width = _WIDTHS[lane]
        lanes = [data[at : at + width] for at in range(0, 16, width)]
        return found == kind and len(value) == len(lanes) and all(map(_same, [lane] * len(lanes), lanes, value))
    if kind in _WIDTHS:
        return found == kind and _same(kind, data[: _WIDTHS[kind]], value)
    null = not any(data[:8])
    if kind == "refnull":
        return null and found not in _WIDTHS
    if found != _NULLS.get(kind, kind):
        return False
    if value == "null" or kind.startswith("null"):
        return null
    if null:
        return False
    if kind == "externref" and value is not None:
        held = references.take_object(store, slot.of.externref)
        return isinstance(held, HostReference) and held.number == int(value)
    check = _anyref_is.get(kind)
    return check is None or bool(check(store._context(), ctypes.byref(slot.of.anyref)))


def _bits(kind: str, text: str) -> bytes:
    width = _WIDTHS[kind]
    return (int(text) & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def _same(kind: str, data: bytes, expected: str) -> bool:
    pattern = _NAN.get((kind, expected))
    if pattern is not None:
        return int.from_bytes(data, "little") & pattern[0] == pattern[1]
    return data == _bits(kind, expected)


# ---- for messages


def items_text(items: Sequence[Item]) -> str:
    """Values of a script, for a message."""
    return ", ".join(map(item_text, items)) or "no value"


def item_text(item: Item) -> str:
    """A value of a script, for a message: "i32 7", "f32 nan:canonical", "v128 i16x8 1 2 3 4 5 6 7 8", "funcref"."""
    kind = str(item["type"])
    value: Json = item.get("value")
    if kind == "either":
        return " or ".join(map(item_text, item["values"]))
    if kind == "v128":
        lane = item["lane_type"]
        return f"v128 {lane}x{len(value)} {' '.join(_number(lane, one) for one in value)}"
    if kind in _WIDTHS:
        return f"{kind} {_number(kind, value)}"
    return shorten(visible(kind if value is None else f"{kind} {value}"), 100)


def slot_text(slot: _bindings.wasmtime_val_t, like: Item | None) -> str:
    """A result, for a message; a vector is split into lanes as the expected one is."""
    found = _NAMES.get(as_int(slot.kind), "value")
    data = ctypes.string_at(ctypes.addressof(slot.of), 16)
    if found == "v128":
        lane = "i32" if like is None else like.get("lane_type", "i32")
        width = _WIDTHS[lane]
        lanes = [str(int.from_bytes(data[at : at + width], "little")) for at in range(0, 16, width)]
        return item_text({"type": "v128", "lane_type": lane, "value": lanes})
    if found in _WIDTHS:
        return item_text({"type": found, "value": str(int.from_bytes(data[: _WIDTHS[found]], "little"))})
    return found if any(data[:8]) else f"{found} null"


def _number(kind: str, text: str) -> str:
    if (kind, text) in _NAN:
        return str(text)
    data = _bits(kind, text)
    if kind[0] == "i":
        return str(int.from_bytes(data, "little", signed=True))
    number: float = struct.unpack("<f" if kind == "f32" else "<d", data)[0]
    if not math.isnan(number):
        return f"{number:.9g}" if kind == "f32" else repr(number)
    bits, fraction = int.from_bytes(data, "little"), 23 if kind == "f32" else 52
    return f"{'-' if bits >> (8 * len(data) - 1) else ''}nan:0x{bits & ((1 << fraction) - 1):x}"
