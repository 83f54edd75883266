"""Core WebAssembly values as text: the arguments of `--invoke FUNCTION`, and printed results.

Numbers use the syntax of the text format (WebAssembly core 3.0, 6.3): decimal or `0x`, `_` between digits,
`inf`, `nan`, `nan:0x...` with its payload, hexadecimal floats (`0x1.8p3`). A v128 is its shape and lanes:
`i32x4:1,2,3,4`. References: `null`, `extern:TEXT` (the text becomes the host's object), `func:NAME` (an exported
function of the same instance). Printed values can be passed in again.
"""

from __future__ import annotations

import math
import re
import struct
from ctypes import c_float

from ...text.numbers import with_article
from .vector import SHAPES, V128

KINDS = frozenset({"i32", "i64", "f32", "f64", "v128", "externref", "funcref"})
"""The supported types; values of other types cannot leave WebAssembly."""

EXAMPLES = {
    "i32": "42, -1 or 0xff", "i64": "42, -1 or 0xff", "f32": "1.5, inf, nan or 0x1.8p3",
    "f64": "1.5, inf, nan or 0x1.8p3", "v128": "i32x4:1,2,3,4",
    "externref": "null or extern:TEXT", "funcref": "null or func:NAME",
}  # fmt: skip
"""Examples of each type's syntax, for messages."""

_INTEGER = re.compile(r"([+-]?)(0x[0-9a-f]+(?:_[0-9a-f]+)*|[0-9]+(?:_[0-9]+)*)", re.IGNORECASE)
_NAN = re.compile(r"([+-]?)nan(?::0x([0-9a-f]+(?:_[0-9a-f]+)*))?", re.IGNORECASE)
_FRACTION_BITS = {"f32": 23, "f64": 52}
LONGEST = 400
"""Maximum characters of a number: more digits would cost time and change nothing."""


class FunctionName(str):
    """The name of an exported function, standing for a reference to it."""


def parse_value(kind: str, text: str) -> object:
    """Parse `text` as a value of type `kind`; raises `ValueError` with one sentence if it is not one.

    Returns an int (i32 and i64: signed, even if written unsigned), a float, `V128`, None for `null`, a `str` for an
    external reference, `FunctionName` for a function reference.
    """
    word = text.strip()
    if len(word) > LONGEST and kind != "externref":
        raise ValueError(f"a text of {len(word):,} characters is not {with_article(kind)}: write {EXAMPLES[kind]}")
    if kind in ("i32", "i64"):
        return _integer(word, 32 if kind == "i32" else 64, kind)
    if kind in ("f32", "f64"):
        return _float(word, kind)
    if kind == "v128":
        return _vector(word)
    if word == "null":
        return None
    prefix, colon, rest = text.partition(":")
    if kind == "externref" and colon and prefix == "extern":
        return rest
    if kind == "funcref" and colon and prefix == "func" and rest:
        return FunctionName(rest)
    raise _wrong(text, kind)


def value_text(kind: str, value: object) -> str:
    """`value` of type `kind` as text that `parse_value` accepts. References to functions, and to objects other than
    text, are only described.
    """
    if kind in ("f32", "f64") and isinstance(value, float):
        return _float_text(value, kind)
    if kind == "v128" and isinstance(value, V128):
        return str(value)
    if kind in ("externref", "funcref"):
        if value is None:
            return "null"
        if kind == "funcref":
            return "func"
        return f"extern:{value}" if isinstance(value, str) else f"extern ({type(value).__name__})"
    return str(value)


def as_f32(value: float) -> float:
    """`value` rounded to single precision; infinity if it is too large. NaNs keep their payload."""
    return c_float(value).value


def _wrong(text: str, kind: str) -> ValueError:
    return ValueError(f"{text[:80]!r} is not {with_article(kind)}: write {EXAMPLES[kind]}")


def _integer(word: str, bits: int, kind: str) -> int:
    found = _INTEGER.fullmatch(word)
    if found is None:
        raise _wrong(word, kind)
    digits = found[2].replace("_", "")
    number = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    number = -number if found[1] == "-" else number
    if not -(1 << (bits - 1)) <= number < 1 << bits:
        raise ValueError(f"{word} does not fit {kind}: it holds -2^{bits - 1} to 2^{bits}-1")
    return number - (1 << bits) if number >= 1 << (bits - 1) else number


def _float(word: str, kind: str) -> float:
    nan = _NAN.fullmatch(word)
    if nan is not None:
        return _nan(nan, word, kind)
    plain = word.lower()
    if not re.fullmatch(r"[+-]?(inf|0x[0-9a-f_.]+(p[+-]?[0-9_]+)?|[0-9_.]+(e[+-]?[0-9_]+)?)", plain):
        raise _wrong(word, kind)
    digits = plain.replace("_", "")
    try:
        double = float.fromhex(digits) if "0x" in digits else float(digits)
    except OverflowError:
        double = -math.inf if digits.startswith("-") else math.inf
    except ValueError:
        raise _wrong(word, kind) from None
    if kind == "f32" and math.isfinite(double) and "0x" not in digits:
        double = _untied(double, digits)
    number = as_f32(double) if kind == "f32" else double
    if math.isinf(number) and "inf" not in digits:
        raise ValueError(f"{word} does not fit {kind}: write inf for infinity")
    return number


def _untied(double: float, digits: str) -> float:
    """A double that rounds to the single nearest to the decimal `digits`. Rounding twice would be wrong if the double
    lies exactly between two singles and the decimal does not.
    """
    (bits,) = struct.unpack("<Q", struct.pack("<d", double))
    if bits & 0x1FFFFFFF != 0x10000000:
        return double
    from fractions import Fraction  # imported on demand: costs 3 ms, and few programs need it

    exact, exponent = Fraction(double), re.search(r"e([+-]?[0-9]+)$", digits)
    if exponent is not None and abs(int(exponent[1])) > LONGEST:
        return double
    meant = Fraction(digits)
    return double if meant == exact else math.nextafter(double, math.inf if meant > exact else -math.inf)


def _nan(found: re.Match[str], word: str, kind: str) -> float:
    bits = _FRACTION_BITS[kind]
    payload = int(found[2].replace("_", ""), 16) if found[2] else 1 << (bits - 1)
    if not 0 < payload < 1 << bits:
        raise ValueError(f"{word}: the payload of {with_article(kind)} NaN is 1 to 0x{(1 << bits) - 1:x}")
    if kind == "f32":
        if not payload >> (bits - 1):  # Python's floats are doubles: making one of a signalling NaN makes it quiet
            raise ValueError(f"{word}: a signalling f32 NaN cannot be passed; its payload must have 0x400000 set")
        payload <<= 29
    sign = 1 << 63 if found[1] == "-" else 0
    number: float = struct.unpack("<d", struct.pack("<Q", sign | 0x7FF << 52 | payload))[0]
    return number


def _float_text(value: float, kind: str) -> str:
    if math.isnan(value):
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        payload, sign = bits & ((1 << 52) - 1), "-" if bits >> 63 else ""
        if payload == 1 << 51:
            return sign + "nan"
        return f"{sign}nan:0x{payload >> 29 if kind == 'f32' else payload:x}"
    if kind == "f64" or math.isinf(value):
        return repr(value)
    for precision in range(6, 10):  # nine digits distinguish all singles
        text = f"{value:.{precision}g}"
        if as_f32(float(text)) == value:
            break
    return repr(float(text))


def _vector(word: str) -> V128:
    shape, colon, rest = word.partition(":")
    if not colon or shape not in SHAPES:
        shapes = ", ".join(SHAPES)
        raise ValueError(f"{word[:80]!r} is not a v128: write its shape and lanes, such as i32x4:1,2,3,4 ({shapes})")
    lanes = rest.split(",")
    if shape[0] == "f":
        numbers = [_float(lane.strip(), shape[:3]) for lane in lanes]
        return V128.of(shape, numbers)
    width = int(shape[1 : shape.index("x")])
    return V128.of(shape, [_integer(lane.strip(), width, f"a lane of {shape}") for lane in lanes])
