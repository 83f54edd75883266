"""Clocks of components: a time that its type cannot hold ends the guest, and is no error of the host."""

from __future__ import annotations

import pytest

import wasilab
from wasilab import Clocks, Grants

from .making import command

AFTER_THE_END = """
  (import "wasi:clocks/monotonic-clock@V" "subscribe-instant" (func $at (param i64) (result i32)))
  (import "wasi:clocks/monotonic-clock@V" "now" (func $now (result i64)))
  (import "wasi:io/poll@V" "[method]pollable.block" (func $block (param i32)))
  (func $run (result i32)
    (call $block (call $at (i64.const {})))
    (drop (call $now)) (drop (call $now)) (drop (call $now))
    (i32.const 0))
"""
TODAY = """
  (import "wasi:clocks/wall-clock@V" "now" (func $now (param i32)))
  (func $run (result i32) (call $now (i32.const 64)) (i32.const 0))
"""


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize(("until", "kind"), [(-1, "trap"), (-(1 << 40), "exit")])
def test_a_guest_that_sleeps_to_the_end_of_time_traps(until: int, kind: str, trace: bool) -> None:
    done = wasilab.run(command(AFTER_THE_END.format(until)), grants=Grants(clocks=Clocks.stepped(1)), trace=trace)
    assert done.outcome.kind == kind, done.outcome
    assert kind == "exit" or "is not between 0 and 18446744073709551615" in done.outcome.message


class FarClock:
    """A clock of the user's own, in a future or a past that no WASI type can hold."""

    virtual = True

    def __init__(self, time: int) -> None:
        self.time = time

    def now(self) -> int:
        return self.time

    def resolution(self) -> int:
        return 1

    def advance_to(self, deadline: int) -> None:
        return


@pytest.mark.parametrize(("time", "kind"), [(10**40, "trap"), (-1, "trap"), (10**18, "exit")])
def test_a_wall_clock_that_its_type_cannot_hold_traps(time: int, kind: str) -> None:
    clocks = Clocks(*[FarClock(time)] * 4)
    done = wasilab.run(command(TODAY), grants=Grants(clocks=clocks))
    assert done.outcome.kind == kind, done.outcome
