"""Waits that can be stopped."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

import pytest

from wasilab.capabilities.waiting import Interrupt, Interrupted, wait_any


@pytest.fixture(params=["poll", "select"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With poll(2) and pipes, and with select(2) and pairs of sockets, as on Windows."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
        monkeypatch.delattr(os, "pipe2")
    return str(request.param)


def test_an_interrupt_wakes_waiters_now_and_later_and_stays_set() -> None:
    interrupt = Interrupt()
    assert not interrupt.is_set()
    interrupt.check()
    assert not interrupt.wait(0)
    threading.Timer(0.01, interrupt.set).start()
    assert interrupt.wait(None)
    assert interrupt.wait(3600)
    interrupt.set()
    with pytest.raises(Interrupted):
        interrupt.check()
    interrupt.close()


def test_setting_after_closing_only_marks() -> None:
    interrupt = Interrupt()
    interrupt.close()
    interrupt.close()
    interrupt.set()
    assert interrupt.is_set()


def test_waiting_returns_what_is_ready_to_read_and_to_write() -> None:
    ours, theirs = os.pipe()
    interrupt = Interrupt()
    assert wait_any([ours], [], 0, interrupt) == ([], [])
    assert wait_any([ours], [theirs], None, interrupt) == ([], [theirs])
    os.write(theirs, b"x")
    assert wait_any([ours], [theirs], None, interrupt) == ([ours], [theirs])
    assert wait_any((ours, ours), (), -5, interrupt) == ([ours], [])
    os.close(theirs)
    os.read(ours, 1)
    assert wait_any([ours], [], None, interrupt) == ([ours], [])  # the end can be read without waiting
    os.close(ours)
    interrupt.close()


def test_waiting_is_interrupted_even_if_something_else_is_ready() -> None:
    interrupt = Interrupt()
    interrupt.set()
    ours, theirs = os.pipe()
    with pytest.raises(Interrupted):
        wait_any([], [theirs], None, interrupt)
    assert wait_any([], [theirs], None, interrupt, check=False) == ([], [])
    os.close(ours)
    os.close(theirs)
    interrupt.close()


def test_a_wait_longer_than_poll_can_express_can_still_be_stopped() -> None:
    interrupt = Interrupt()
    threading.Timer(0.01, interrupt.set).start()
    with pytest.raises(Interrupted):
        wait_any([], [], 2**63 / 1e9, interrupt)
    interrupt.close()


def test_interrupts_leave_no_descriptor(held: Callable[[], set[int]]) -> None:
    before = held()
    for _ in range(20):
        interrupt = Interrupt()
        interrupt.set()
        interrupt.close()
    assert not held() - before
