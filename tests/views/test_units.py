"""Numbers as people read them."""

from __future__ import annotations

import pytest

from wasilab.text.numbers import counted, duration, size, size_unit, time_unit


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 ns"), (999, "999 ns"), (1000, "1.00 µs"), (12_345, "12.3 µs"), (1.24e6, "1.24 ms"), (999_600, "1.00 ms"),
     (2.5e9, "2.50 s"), (100e9, "100 s"), (200e9, "3 min 20 s"), (9000e9, "2 h 30 min"), (-1500, "-1.50 µs")],
)  # fmt: skip
def test_duration(ns: float, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (4096, "4.0 KiB"), (3 << 30, "3.0 GiB")])
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_counted() -> None:
    assert (counted(1, "call"), counted(1_000_000, "call")) == ("1 call", "1,000,000 calls")


def test_axis_units() -> None:
    assert time_unit(5e6) == (1e6, "ms")
    assert time_unit(1) == (1.0, "ns")
    assert size_unit(4096) == (1024.0, "KiB")
