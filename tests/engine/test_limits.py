"""`Limits`: defaults that a classroom is happy with, one clear error for everything else."""

from __future__ import annotations

from typing import Any

import pytest

from wasilab.engine.limits import Limits


def test_the_defaults_bound_everything_but_time_and_fuel() -> None:
    limits = Limits()
    assert (limits.fuel, limits.seconds) == (None, None)
    assert limits.memory == limits.bytes_written == 1 << 30
    assert limits.fds == 256


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fuel": -1}, "Limits.fuel must be at least 0"),
        ({"fuel": 1.5}, "Limits.fuel must be a number, not 1.5"),
        ({"memory": "1G"}, "Limits.memory must be a number, not '1G'"),
        ({"memory": None}, "Limits.memory must be a number; leave it out for its default 1073741824"),
        ({"seconds": 0}, "Limits.seconds must be above 0"),
        ({"seconds": float("nan")}, "Limits.seconds must be above 0"),
        ({"seconds": True}, "Limits.seconds must be a number"),
        ({"fds": 0}, "Limits.fds must be at least 1"),
        ({"fds": 1 << 63}, "below 2**63"),
        ({"io": 1 << 32}, "Limits.io must be below 4 GiB"),
    ],
)
def test_a_wrong_value_is_one_error_that_names_the_field(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        Limits(**given)
    assert said in str(caught.value)


def test_none_is_allowed_where_there_may_be_no_bound() -> None:
    assert Limits(fuel=None, seconds=None, bytes_written=None).bytes_written is None
    assert Limits(bytes_written=0, memory=0).memory == 0
