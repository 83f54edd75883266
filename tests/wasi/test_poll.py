"""Tests of poll_oneoff: what it waits for, what it reports, and that it never spins."""

from __future__ import annotations

import os
import threading
import time

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import BaseFile, FileType
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.streams import BytesInput, CallbackOutput, QueueInput
from wasilab.capabilities.waiting import Interrupt, Interrupted
from wasilab.wasi.types import Errno, Event, Subscription

CLOCK, READ, WRITE = 0, 1, 2
REALTIME, MONOTONIC = 0, 1
ABSOLUTE = 1
MS = 1_000_000


def clock(userdata: int, timeout: int, which: int = MONOTONIC, flags: int = 0) -> Subscription:
    return Subscription(userdata, CLOCK, which, timeout, 0, flags)


def poll(guest, *subs: Subscription) -> list[Event]:
    return guest.do("poll_oneoff", list(subs))


class Pipe(BaseFile):
    """Two ends of a pipe of the OS, of a chosen type."""

    def __init__(self, filetype: FileType = FileType.CHARACTER_DEVICE) -> None:
        self.filetype = filetype
        self.reader, self.writer = os.pipe()

    def fileno(self) -> int:
        return self.reader

    def close(self) -> None:
        for fd in (self.reader, self.writer):
            os.close(fd)


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


def test_no_subscription_is_inval(make_guest) -> None:
    assert make_guest().call("poll_oneoff", []).errno == Errno.INVAL


@pytest.mark.parametrize("which", [REALTIME, MONOTONIC])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_real_clock_is_waited_for(make_guest, which: int, absolute: bool) -> None:
    guest = make_guest(clocks=Clocks.real())
    now = guest.do("clock_time_get", which, 0)
    sub = clock(7, (now if absolute else 0) + 30 * MS, which, ABSOLUTE if absolute else 0)
    assert poll(guest, sub) == [Event(7, 0, CLOCK)]
    assert guest.do("clock_time_get", which, 0) - now >= 30 * MS


def test_of_two_times_only_the_one_that_has_come_is_reported(make_guest) -> None:
    guest = make_guest(clocks=Clocks.real())
    assert poll(guest, clock(1, 3600 * 1000 * MS), clock(2, 5 * MS)) == [Event(2, 0, CLOCK)]


def test_a_time_that_has_passed_is_reported_at_once(make_guest) -> None:
    guest = make_guest(clocks=Clocks.real())
    assert poll(guest, clock(1, 1, REALTIME, ABSOLUTE), clock(2, 0)) == [Event(1, 0, CLOCK), Event(2, 0, CLOCK)]


def test_waiting_does_not_spin(make_guest) -> None:
    guest = make_guest(clocks=Clocks.real())
    before = time.thread_time_ns()
    poll(guest, clock(1, 100 * MS))
    assert time.thread_time_ns() - before < 50 * MS, "half of the wait at most may be spent computing"


@pytest.mark.parametrize("timeout", [2**63, 2**64 - 1])
def test_a_sleep_of_centuries_can_be_stopped(make_guest, timeout: int) -> None:
    interrupt = Interrupt()
    guest = make_guest(clocks=Clocks.real(), interrupt=interrupt)
    threading.Timer(0.05, interrupt.set).start()
    with pytest.raises(Interrupted):
        poll(guest, clock(1, timeout))


def test_waiting_for_input_can_be_stopped(make_guest, pipe: Pipe) -> None:
    interrupt = Interrupt()
    guest = make_guest(stdin=pipe, interrupt=interrupt)
    threading.Timer(0.05, interrupt.set).start()
    with pytest.raises(Interrupted):
        poll(guest, Subscription(1, READ, fd=0))


def test_a_frozen_clock_is_not_slept_on(make_guest) -> None:
    guest = make_guest(clocks=Clocks.frozen(0))
    assert poll(guest, clock(1, 2**62)) == [Event(1, 0, CLOCK)]
    assert guest.do("clock_time_get", MONOTONIC, 0) == 0


def test_a_stepped_clock_jumps_to_the_earliest_deadline(make_guest) -> None:
    guest = make_guest(clocks=Clocks.stepped(1_000))
    events = poll(guest, clock(1, 2 * 10**9), clock(2, 10**9))
    assert events == [Event(2, 0, CLOCK)]
    now = guest.do("clock_time_get", MONOTONIC, 0)
    assert 10**9 <= now < 2 * 10**9


def test_virtual_time_does_not_pass_while_something_is_ready(make_guest) -> None:
    guest = make_guest(clocks=Clocks.stepped(1_000), stdin=BytesInput(b"abc"))
    assert poll(guest, clock(1, 10**12), Subscription(2, READ, fd=0)) == [Event(2, 0, READ, 3)]
    assert guest.do("clock_time_get", MONOTONIC, 0) < 10**6


def test_a_virtual_timeout_beats_input_that_is_not_there(make_guest, pipe: Pipe) -> None:
    guest = make_guest(clocks=Clocks.frozen(0), stdin=pipe)
    assert poll(guest, Subscription(2, READ, fd=0), clock(1, 10**15)) == [Event(1, 0, CLOCK)]


def test_files_are_always_ready_with_the_bytes_left(make_guest) -> None:
    guest = make_guest({"/": MemDir({"a": "12345"})})
    fd = guest.open("a")
    guest.do("fd_seek", fd, 2, 0)
    assert poll(guest, Subscription(1, READ, fd=fd), Subscription(2, WRITE, fd=fd)) == [
        Event(1, 0, READ, 3),
        Event(2, 0, WRITE, 1),
    ]


def test_a_stream_becomes_ready_when_fed(make_guest) -> None:
    queue = QueueInput()
    guest = make_guest(clocks=Clocks.real(), stdin=queue)
    threading.Timer(0.03, queue.feed, [b"line\n"]).start()
    assert poll(guest, clock(1, 10_000 * MS), Subscription(2, READ, fd=0)) == [Event(2, 0, READ, 5)]
    buffer = bytearray(10)
    assert guest.do("fd_read", 0, [buffer]) == 5
    assert poll(guest, clock(1, 5 * MS), Subscription(2, READ, fd=0)) == [Event(1, 0, CLOCK)]
    queue.end()
    assert poll(guest, Subscription(2, READ, fd=0)) == [Event(2, 0, READ, 0)]
    queue.close()


def test_bad_entries_are_reported_each_and_the_others_are_served(make_guest, pipe: Pipe) -> None:
    guest = make_guest({"/": MemDir({"a": ""})}, clocks=Clocks.real(), stdin=pipe, stdout=CallbackOutput(print))
    blind = guest.open("a", rights=2)  # fd_read without poll_fd_readwrite
    events = poll(
        guest,
        Subscription(1, READ, fd=99),
        Subscription(2, 3),
        Subscription(3, 255, fd=1),
        clock(4, 0, which=2),
        clock(5, 0, which=2**32 - 1),
        clock(6, 0, flags=2),
        Subscription(7, READ, fd=1),
        Subscription(8, READ, fd=blind),
        Subscription(9, WRITE, fd=1),
        Subscription(10, READ, fd=0),
        clock(11, 3600 * 1000 * MS),
    )
    assert [(e.userdata, Errno(e.errno).name, e.type) for e in events] == [
        (1, "BADF", 1), (2, "INVAL", 3), (3, "INVAL", 255), (4, "INVAL", 0), (5, "INVAL", 0), (6, "INVAL", 0),
        (7, "NOTCAPABLE", 1), (8, "NOTCAPABLE", 1), (9, "SUCCESS", 2),
    ]  # fmt: skip


def test_a_clock_that_is_not_granted_fails_in_its_event(make_guest) -> None:
    guest = make_guest(clocks=Clocks.nothing())
    assert poll(guest, clock(1, 5)) == [Event(1, Errno.NOTCAPABLE, CLOCK)]


def test_the_same_descriptor_twice_gives_two_events(make_guest, pipe: Pipe) -> None:
    guest = make_guest(stdin=pipe)
    os.write(pipe.writer, b"x")
    events = poll(guest, Subscription(1, READ, fd=0), Subscription(2, READ, fd=0))
    assert [event.userdata for event in events] == [1, 2]


def test_a_descriptor_that_fails_while_it_is_asked_fails_in_its_event(make_guest) -> None:
    class Broken(BaseFile):
        def available(self) -> int:
            raise OSError(5, "I/O error")

    assert poll(make_guest(stdin=Broken()), Subscription(1, READ, fd=0)) == [Event(1, Errno.IO, READ)]


def test_a_poll_that_was_interrupted_before_does_not_begin(make_guest) -> None:
    interrupt = Interrupt()
    interrupt.set()
    guest = make_guest(clocks=Clocks.real(), interrupt=interrupt)
    with pytest.raises(Interrupted):
        poll(guest, clock(1, 0))


def test_denied_by_names_are_those_of_the_trace() -> None:
    assert [member.name for member in DeniedBy] == [
        "NONE", "GRANT", "RIGHT", "PATH", "HOST", "REVOKED", "QUOTA", "POLICY", "ASK",
    ]  # fmt: skip
