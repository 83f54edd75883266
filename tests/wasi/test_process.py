"""Tests of args_*, environ_*, clock_*, random_get, proc_* and sched_yield."""

from __future__ import annotations

import threading

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.protocols import BaseDirectory
from wasilab.capabilities.random import Random
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.waiting import Interrupt, Interrupted
from wasilab.wasi.host import Host
from wasilab.wasi.types import Errno, ProcExit


def test_arguments_and_variables_are_those_given(make_guest) -> None:
    guest = make_guest(args=[b"prog", b"", b"\xff"], environ=[b"A=1", b"LONG=x=y"])
    assert guest.do("args_get") == [b"prog", b"", b"\xff"]
    assert guest.do("args_sizes_get") == (3, 5 + 1 + 2)
    assert guest.do("environ_get") == [b"A=1", b"LONG=x=y"]
    assert guest.do("environ_sizes_get") == (2, 4 + 9)


def test_a_guest_given_nothing_has_no_arguments_variables_or_descriptors(make_guest) -> None:
    guest = make_guest()
    assert guest.do("args_sizes_get") == (0, 0)
    assert guest.do("environ_sizes_get") == (0, 0)
    for fd in (0, 1, 2, 3, 2**32 - 1):
        assert guest.call("fd_fdstat_get", fd).errno == Errno.BADF


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"args": [b"a\0b"]}, "NUL"),
        ({"environ": [b"A"]}, "NAME=value"),
        ({"environ": [b"=x"]}, "NAME=value"),
        ({"rights": "lax"}, "strict"),
        ({"max_fds": 1, "preopens": {"/a": BaseDirectory(), "/b": BaseDirectory()}}, "limits.fds"),
    ],
)
def test_a_grant_that_cannot_be_made_is_named_in_the_error(options: dict[str, object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        Host(**options)  # type: ignore[arg-type]


def test_clocks_are_those_granted(make_guest) -> None:
    guest = make_guest(clocks=Clocks.frozen(5_000))
    assert guest.do("clock_time_get", 0, 0) == 5_000
    assert guest.do("clock_time_get", 1, 0) == 0
    assert guest.do("clock_res_get", 0) >= 1


@pytest.mark.parametrize("clock", [4, 7, 2**32 - 1])
def test_an_undefined_clock_is_inval(make_guest, clock: int) -> None:
    guest = make_guest(clocks=Clocks.real())
    assert guest.call("clock_time_get", clock, 0).errno == Errno.INVAL
    assert guest.call("clock_res_get", clock).errno == Errno.INVAL


@pytest.mark.parametrize(("rights", "code"), [("strict", Errno.NOTCAPABLE), ("compat", Errno.PERM)])
def test_clocks_and_randomness_not_granted_are_refused_by_the_grant(make_guest, rights: str, code: Errno) -> None:
    guest = make_guest(clocks=Clocks.nothing(), random=Random.nothing(), rights=rights)
    for answer in (
        guest.call("clock_time_get", 0, 0),
        guest.call("clock_res_get", 1),
        guest.call("random_get", bytearray(4)),
    ):
        assert (answer.errno, answer.denied_by) == (code, DeniedBy.GRANT)
        assert "grant" in answer.reason


def test_a_clock_beyond_64_bits_is_overflow(make_guest) -> None:
    class Far:
        virtual = True

        def now(self) -> int:
            return 1 << 64

        def resolution(self) -> int:
            return 0

        def advance_to(self, deadline: int) -> None:
            return

    guest = make_guest(clocks=Clocks(Far(), Far(), Far(), Far()))
    assert guest.call("clock_time_get", 0, 0).errno == Errno.OVERFLOW
    assert guest.do("clock_res_get", 0) == 1, "a resolution is never 0"


def test_random_get_fills_any_size_from_the_granted_source(make_guest) -> None:
    one, other = bytearray(3 << 20), bytearray(3 << 20)
    make_guest(random=Random.seeded(7)).do("random_get", one)
    make_guest(random=Random.seeded(7)).do("random_get", other)
    assert one == other
    assert one.count(0) < len(one) // 100
    make_guest().do("random_get", bytearray())


def test_a_long_random_get_can_be_stopped(make_guest) -> None:
    interrupt = Interrupt()
    interrupt.set()
    with pytest.raises(Interrupted):
        make_guest(interrupt=interrupt).do("random_get", bytearray(2 << 20))


@pytest.mark.parametrize("code", [0, 1, 125, 126, 255, 2**32 - 1])
def test_every_exit_code_is_reported(make_guest, code: int) -> None:
    with pytest.raises(ProcExit) as caught:
        make_guest().do("proc_exit", code)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("signal", "code"),
    [(0, Errno.SUCCESS), (16, Errno.SUCCESS), (6, Errno.NOTSUP), (9, Errno.NOTSUP), (31, Errno.INVAL)],
)
def test_only_signals_that_are_ignored_can_be_raised(make_guest, signal: int, code: Errno) -> None:
    assert make_guest().call("proc_raise", signal).errno == code


def test_sched_yield_lets_others_run_and_can_be_stopped(make_guest) -> None:
    interrupt = Interrupt()
    guest = make_guest(interrupt=interrupt)
    guest.do("sched_yield")
    threading.Thread(target=interrupt.set).start()
    interrupt.wait(5)
    with pytest.raises(Interrupted):
        guest.do("sched_yield")
