"""A 128-bit SIMD vector as a Python value: 16 bytes, viewed as lanes of a shape."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

SHAPES = {"i8x16": "16b", "i16x8": "8h", "i32x4": "4i", "i64x2": "2q", "f32x4": "4f", "f64x2": "2d"}
"""The shapes of a vector (WebAssembly core 3.0, 2.3.3), each with its `struct` format."""


@dataclass(frozen=True, slots=True)
class V128:
    """A v128. `bytes` are its 16 bytes in memory order, little-endian. Raises `ValueError` for another length."""

    bytes: bytes

    def __post_init__(self) -> None:
        if len(self.bytes) != 16:
            raise ValueError(f"a v128 has 16 bytes, not {len(self.bytes)}")

    @classmethod
    def of(cls, shape: str, lanes: Sequence[float]) -> Self:
        """Make a vector of these lanes, lane 0 first. Integers may be signed or unsigned.

        Raises `ValueError` for an unknown shape, a wrong number of lanes, or a lane that does not fit.
        """
        count, width, letter = _layout(shape)
        if len(lanes) != count:
            raise ValueError(f"{shape} has {count} lanes, not {len(lanes)}")
        if letter in "fd":
            try:
                return cls(struct.pack(f"<{count}{letter}", *lanes))
            except OverflowError:
                raise ValueError(f"a lane does not fit {shape}") from None
        whole = [lane.__index__() for lane in lanes]  # type: ignore[attr-defined]  # a float has none: TypeError
        for lane in whole:
            if not -(1 << (width - 1)) <= lane < 1 << width:
                raise ValueError(f"{lane} does not fit a lane of {shape}")
        return cls(b"".join((lane & ((1 << width) - 1)).to_bytes(width // 8, "little") for lane in whole))

    def lanes(self, shape: str) -> tuple[int, ...] | tuple[float, ...]:
        """Its lanes, lane 0 first; integers are signed. Raises `ValueError` for an unknown shape."""
        _layout(shape)
        return struct.unpack("<" + SHAPES[shape], self.bytes)

    def __str__(self) -> str:
        lanes = ",".join(f"0x{lane & 0xFFFFFFFF:08x}" for lane in self.lanes("i32x4"))  # type: ignore[operator]
        return f"i32x4:{lanes}"


def _layout(shape: str) -> tuple[int, int, str]:
    """(number of lanes, bits of a lane, `struct` letter) of a shape."""
    if shape not in SHAPES:
        raise ValueError(f"{shape!r} is not a shape of a v128: write one of {', '.join(SHAPES)}")
    form = SHAPES[shape]
    count = int(form[:-1])
    return count, 128 // count, form[-1]
