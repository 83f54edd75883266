"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.text.numbers import (
    counted,
    duration,
    exact_size,
    listed,
    parse_count,
    parse_duration,
    parse_size,
    size,
    size_unit,
    time_unit,
    with_article,
)


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


def test_listed() -> None:
    assert (listed([]), listed("ab"), listed("abc", 2)) == ("nothing", "a, b", "a, b and 1 more")
    assert listed(map(str, range(1009)), 1) == "0 and 1,008 more"


@pytest.mark.parametrize(
    "noun",
    ["an s32", "an f64", "an i32", "a u8", "a list<u8>", "a v128", "an externref", "an int", "a str", "an option<u8>",
     "a unit", "an unknown code", "a char", "a func", "an x86", "an 8", "an enum", "a one-way", "a MemDir",
     "an AskDirectory"],
)  # fmt: skip
def test_an_article_is_as_it_is_spoken(noun: str) -> None:
    assert with_article(noun.partition(" ")[2]) == noun


def test_counted() -> None:
    assert (counted(1, "call"), counted(1_000_000, "call")) == ("1 call", "1,000,000 calls")


def test_axis_units() -> None:
    assert time_unit(5e6) == (1e6, "ms")
    assert time_unit(1) == (1.0, "ns")
    assert size_unit(4096) == (1024.0, "KiB")


@given(st.integers(0, 1 << 50))
def test_an_exact_size_is_read_back(number: int) -> None:
    assert parse_size(exact_size(number)) == number


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1000", 1000), ("64m", 64 << 20), ("64 MiB", 64 << 20), ("2kB", 2000), ("1.5k", 1536)],
)
def test_parse_size(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1.5", "1e3", "0x10", "1 2", "9" * 30, "\u0663"])
def test_text_that_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0", 0), ("7ns", 7), ("1.5 us", 1500), ("1µs", 1000), ("1ms", 10**6), ("2min", 120 * 10**9), (".5s", 5 * 10**8)],
)
def test_parse_duration(text: str, ns: float) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "s", ".s", "3", "-1s", "1 day", "1.2.3s", "nan", "infs", "1e9999s"])
def test_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
    assert parse_duration("3", bare="s") == 3 * 10**9


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("1_000", 1000), ("3k", 3000), ("10M", 10_000_000)])
def test_parse_count(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "-1", "1.5", "k", "_1", "1kk", "1 000"])
def test_text_that_is_not_a_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        parse_count(text)


def test_a_count_below_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match="'0' is not a whole number of at least 1"):
        parse_count("0", least=1)
