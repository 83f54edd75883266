"""Clocks and their textual forms."""

from __future__ import annotations

import errno

import pytest

from wasilab.capabilities.clocks import Clock, Clocks, CoarseClock, RealClock
from wasilab.capabilities.refusal import DeniedBy, Refused


@pytest.mark.parametrize(
    "spec", ["real", "frozen:0", "frozen:17", "stepped:1000", "stepped:5:7", "coarse:1000000", "none"]
)
def test_a_spec_round_trips_and_equal_specs_are_equal_clocks(spec: str) -> None:
    clocks = Clocks.parse(spec)
    assert clocks.spec == spec
    assert clocks.kind == spec.partition(":")[0]
    assert clocks == Clocks.parse(spec)
    assert hash(clocks) == hash(Clocks.parse(spec))
    assert clocks != Clocks.parse("frozen:999")
    assert eval(repr(clocks)) == clocks  # the printed form is the Python that means the same


@pytest.mark.parametrize(
    "spec", ["", "reel", "real:1", "coarse:0", "coarse:-1", "coarse:x", "frozen:1:2", "stepped:1:2:3"]
)
def test_a_bad_spec_is_one_error_that_names_it(spec: str) -> None:
    with pytest.raises(ValueError, match="clock "):
        Clocks.parse(spec)


def test_real_clocks_move_forward_and_are_clocks() -> None:
    clocks = Clocks.real()
    for clock in (clocks.realtime, clocks.monotonic, clocks.process, clocks.thread):
        assert isinstance(clock, Clock)
        assert not clock.virtual
        assert clock.resolution() >= 1
    first = clocks.monotonic.now()
    assert clocks.monotonic.now() >= first


def test_frozen_clocks_stand_still_even_when_slept_on() -> None:
    clock = Clocks.frozen(42).realtime
    clock.advance_to(10**18)
    assert clock.now() == clock.now() == 42
    assert clock.virtual
    assert Clocks.frozen(42).monotonic.now() == 0


def test_stepped_clocks_share_one_time_line_and_jump_to_deadlines() -> None:
    clocks = Clocks.stepped(10, start_ns=1000)
    assert clocks.realtime.now() == 1000
    assert clocks.monotonic.now() == 10
    assert clocks.realtime.now() == 1020
    clocks.monotonic.advance_to(500)
    assert clocks.monotonic.now() == 500
    clocks.monotonic.advance_to(3)  # a deadline in the past moves nothing back
    assert clocks.realtime.now() == 1510


def test_fresh_stepped_clocks_begin_again_and_leave_the_others_alone() -> None:
    used = Clocks.stepped(10)
    used.realtime.now()
    assert used.fresh().realtime.now() == 0
    assert used.realtime.now() == 10
    real = Clocks.real()
    assert real.fresh() is real


def test_a_coarse_clock_only_shows_multiples_of_its_step() -> None:
    readings = iter([999, 1000, 1999, 2001])
    clock = CoarseClock(RealClock(lambda: next(readings), 1), 1000)
    assert [clock.now() for _ in range(4)] == [0, 1000, 1000, 2000]
    assert clock.resolution() == 1000


def test_no_clock_refuses_every_use_as_not_granted() -> None:
    clock = Clocks.nothing().monotonic
    assert clock.virtual  # a sleep on it is refused instead of slept
    for use in (clock.now, clock.resolution, lambda: clock.advance_to(1)):
        with pytest.raises(Refused) as caught:
            use()
        assert caught.value.notcapable
        assert caught.value.by is DeniedBy.GRANT
        assert caught.value.errno == errno.EPERM


def test_custom_clocks_are_equal_if_they_are_the_same_objects() -> None:
    mine = Clocks.frozen(1).realtime
    assert Clocks(mine, mine, mine, mine) == Clocks(mine, mine, mine, mine)
    assert Clocks(mine, mine, mine, mine) != Clocks(mine, mine, mine, Clocks.frozen(1).realtime)
    assert Clocks(mine, mine, mine, mine).kind == "custom"
