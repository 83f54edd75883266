"""Random sources and their textual forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.capabilities.random import CHUNK, Random, RandomSource
from wasilab.capabilities.refusal import Refused


def take(source: Random, size: int) -> bytes:
    buffer = bytearray(size)
    source.fill(memoryview(buffer))
    return bytes(buffer)


@pytest.mark.parametrize("spec", ["real", "seeded:0", "seeded:-3", "none"])
def test_a_spec_round_trips(spec: str) -> None:
    source = Random.parse(spec)
    assert isinstance(source, RandomSource)
    assert source.spec == spec
    assert source == Random.parse(spec)
    assert source != Random.parse("seeded:77")
    assert eval(repr(source)) == source


@pytest.mark.parametrize("spec", ["", "rnd", "seeded:x", "seeded:", "real:1"])
def test_a_bad_spec_is_one_error_that_names_it(spec: str) -> None:
    with pytest.raises(ValueError, match="random "):
        Random.parse(spec)


def test_real_randomness_fills_the_whole_of_a_buffer_larger_than_a_chunk() -> None:
    data = take(Random.real(), CHUNK + 12345)
    assert data[-64:] != bytes(64)
    assert data[CHUNK - 32 : CHUNK + 32] != bytes(64)


@given(seed=st.integers(), sizes=st.lists(st.integers(0, 9000), max_size=6))
def test_seeded_bytes_do_not_depend_on_how_they_are_asked_for(seed: int, sizes: list[int]) -> None:
    source = Random.seeded(seed)
    assert b"".join(take(source, size) for size in sizes) == take(Random.seeded(seed), sum(sizes))


def test_seeded_bytes_are_the_same_on_every_machine() -> None:
    assert take(Random.seeded(1), 8).hex() == "a6bef501f3db7b88"


def test_fresh_begins_again() -> None:
    source = Random.seeded(5)
    first = take(source, 10)
    assert take(source, 10) != first
    assert take(source.fresh(), 10) == first


def test_nothing_refuses() -> None:
    with pytest.raises(Refused, match="no randomness") as caught:
        take(Random.nothing(), 1)
    assert caught.value.notcapable
