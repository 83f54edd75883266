"""Python in place of a WASI call: for one run, for all runs, and when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from wasilab import Grants, override, remove_overrides, run
from wasilab.grants.override_registry import overrides
from wasilab.grants.value import GrantError
from wasilab.trace.record.recorder import Flag
from wasilab.wasi.types import Errno

from .guests import SCRATCH, Guest, fd

GUEST = Guest().call("random_get", f"(i32.const {SCRATCH + 16}) (i32.const 4)").write("ok", fd(1))


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    remove_overrides()
    assert not overrides()


def test_the_function_answers_with_decoded_arguments() -> None:
    seen: list[Any] = []

    def dice(original: Any, buffer: memoryview) -> None:
        seen.append(len(buffer))
        buffer[:] = b"4444"

    finished = run(GUEST.module(), (), Grants(overrides={"random_get": dice}))
    assert (finished.exit_code, finished.stdout, seen) == (0, "ok", [4])
    call = finished.trace.filter(call="random_get")[0]
    assert call.flags & Flag.OVERRIDE
    assert call.flags & Flag.INJECTED


def test_the_original_can_be_asked() -> None:
    def twice(original: Any, clock: int, precision: int) -> int:
        return int(original(clock, precision)) * 2

    guest = Guest().call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})")
    call = run(guest.module(), (), Grants(overrides={"clock_time_get": twice})).trace[0]
    assert call.flags & Flag.OVERRIDE
    assert not call.flags & Flag.INJECTED


def test_a_failing_function_is_eio_for_the_guest_and_shown_to_the_user() -> None:
    def broken(original: Any, buffer: memoryview) -> None:
        raise ZeroDivisionError("no dice")

    finished = run(GUEST.module(), (), Grants(overrides={"random_get": broken}))
    assert finished.exit_code == Errno.IO
    assert any("ZeroDivisionError: no dice" in warning for warning in finished.outcome.warnings)
    assert "no dice" in finished.trace[0].reason


def test_the_decorator_counts_for_later_runs_until_it_is_removed() -> None:
    @override("random_get")
    def refuse(original: Any, buffer: memoryview) -> None:
        raise OSError(5, "not today")

    assert run(GUEST.module()).exit_code == Errno.IO
    assert run(GUEST.module(), (), Grants(overrides={"random_get": lambda original, buffer: None})).exit_code == 0
    remove_overrides("random_get")
    assert run(GUEST.module()).exit_code == 0


def test_wrong_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(GrantError, match="did you mean 'random_get'"):
        override("random_gets")
    with pytest.raises(GrantError, match="not overridden"):
        remove_overrides("fd_read")
