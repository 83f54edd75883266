"""Programs that run at once: pipelines over pipes of the system, channels with two ends, descriptors sent along."""

from __future__ import annotations

import errno
import gc
import os
import threading
from typing import Any

import pytest

import wasilab
from wasilab import Channel, Grants, Lab, Limits, MemDir
from wasilab.capabilities.host.local.channel import MAX_CARRIED
from wasilab.capabilities.host.sockets import BadAddress
from wasilab.grants.value import GrantError
from wasilab.runs.lab import LabError

from .programs import CAT, FLOOD, HEAD, READER, command, text

# ---- pipelines


def lab_of(*programs: Any, **limits: Any) -> Lab:
    lab = Lab("pipes")
    for at, program in enumerate(programs):
        lab.add("abcde"[at], program, Grants.nothing(stdout=True, stdin=b"", limits=Limits(**limits)))
    return lab


def test_the_output_of_one_is_the_input_of_the_next() -> None:
    with lab_of(FLOOD, CAT, CAT) as lab:
        outcomes = lab.pipe("a", "b", "c")
        assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0]
        assert len(lab["c"].stdout) >= 1_000_000
        assert [(joint.writer, joint.reader, joint.unread) for joint in lab.pipes] == [("a", "b", 0), ("b", "c", 0)]
        assert lab.pipes[0].bytes == lab.pipes[1].bytes == len(lab["c"].stdout)
        assert sum(joint.writer_waits for joint in lab.pipes) > 0, "a pipe holds 64 KiB, and this was a megabyte"


def test_their_calls_are_in_one_trace() -> None:
    with lab_of(FLOOD, HEAD) as lab:
        lab.pipe("a", "b")
        trace = lab.trace
        assert set(trace["instance"].tolist()) == {0, 1}
        ends = (trace["t_start"] + trace["dur"]).tolist()
        assert ends == sorted(ends)
        assert "[b] fd_read(fd=0<stdin>" in trace.text()


def test_a_reader_that_ends_early_is_a_broken_pipe_for_the_writer() -> None:
    with lab_of(FLOOD, HEAD) as lab:
        writer, reader = lab.pipe("a", "b")
        assert (writer.exit_code, reader.exit_code) == (64, 0), "EPIPE"
        assert len(lab["b"].stdout) == 100
        assert lab.pipes[0].unread > 0


def test_a_writer_that_traps_is_the_end_of_the_input() -> None:
    say = "(drop (call $output (i32.const 1) (i32.const 0) (i32.const 5)))"
    boom = command(f'(func (export "_start") {say} unreachable)', "boom.wasm")
    with lab_of(boom, CAT) as lab:
        first, second = lab.pipe("a", "b")
        assert (first.kind, second.kind) == ("trap", "exit")
        assert len(lab["b"].stdout) == 5


def test_a_limit_of_one_ends_that_one_alone() -> None:
    spin = command('(func (export "_start") (loop (br 0)))', "spin")
    with lab_of(spin, CAT, fuel=100_000) as lab:
        first, second = lab.pipe("a", "b")
        assert (first.kind, second.kind) == ("limit", "exit")


def test_what_is_no_pipeline_is_refused() -> None:
    with lab_of(CAT, CAT, READER) as lab:
        for names, words in (
            (["a"], "two different members"), (["a", "a"], "two different members"), (["a", "x"], "no 'x'"),
            (["a", "c"], "c is not a command"),
        ):  # fmt: skip
            with pytest.raises(LabError, match=words):
                lab.pipe(*names)
        lab.pipe("a", "b")
        with pytest.raises(LabError, match="a has already run"):
            lab.pipe("a", "b")
        with pytest.raises(LabError, match="ran in a pipeline"):
            lab.run("a")
    linked = Lab()
    linked.add("a", CAT)
    linked.add("b", CAT)
    linked.link("a", "b")
    with linked, pytest.raises(LabError, match="a is linked"):
        linked.pipe("a", "b")


def test_pipes_leave_no_descriptor_open() -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        with lab_of(FLOOD, HEAD) as lab:
            lab.pipe("a", "b")
        del lab
    gc.collect()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before


# ---- channels

ECHO = command(
    """(func (export "_start") (local $n i32)
      (block $done (loop $again
        (local.set $n (call $input (i32.const 3) (i32.const 65536) (i32.const 65536)))
        (br_if $done (i32.le_s (local.get $n) (i32.const 0)))
        (drop (call $output (i32.const 3) (i32.const 65536) (local.get $n)))
        (br $again))))""",
    "echo.wasm",
)
"""Sends back on the channel at descriptor 3 what it gets there, until the other end is closed."""


def holding(*ends: Any) -> Grants:
    return Grants.nothing(sockets=ends)


def test_python_speaks_with_a_program_through_a_channel() -> None:
    channel = Channel()
    run = wasilab.run(ECHO, grants=holding(channel.right), detach=True)
    channel.left.send(b"hello")
    assert channel.left.receive() == b"hello"
    channel.left.send(b"again")
    assert channel.left.receive() == b"again"
    channel.left.close()
    assert run.wait(60).exit_code == 0, "the end of the stream"
    assert "fd_read(fd=3<channel>" in run.trace.text()


def test_two_programs_speak_with_each_other_and_the_end_of_one_is_told_to_the_other() -> None:
    asks = command(
        """(data (i32.const 100) "ping")
          (func (export "_start")
            (drop (call $output (i32.const 3) (i32.const 100) (i32.const 4)))
            (call $exit (call $input (i32.const 3) (i32.const 200) (i32.const 10))))""",
        "asks.wasm",
    )
    channel = Channel()
    echo = wasilab.run(ECHO, grants=holding(channel.left), detach=True)
    asking = wasilab.run(asks, grants=holding(channel.right))
    assert asking.exit_code == 4
    assert echo.wait(60).exit_code == 0


def test_a_channel_is_bounded_and_a_waiting_writer_is_interrupted_at_once() -> None:
    channel = Channel(capacity=4096)
    floods = command(
        """(func (export "_start")
          (loop (drop (call $output (i32.const 3) (i32.const 65536) (i32.const 65536))) (br 0)))""",
        "floods.wasm",
    )
    run = wasilab.run(floods, grants=holding(channel.left), detach=True)
    assert channel.right.receive(10) == bytes(10)
    assert run.running
    assert run.stop().outcome.kind == "interrupt"
    unread = Channel(capacity=4096)
    with pytest.raises(TimeoutError):
        unread.left.send(bytes(1 << 20), timeout=0.05)


def test_a_channel_can_be_waited_for_with_poll() -> None:
    polls = command(
        """(func (export "_start")
          (i32.store8 (i32.const 264) (i32.const 1)) (i32.store (i32.const 272) (i32.const 3))
          (if (call $poll (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 8))
            (then (call $exit (i32.const 99))))
          (call $exit (call $input (i32.const 3) (i32.const 600) (i32.const 50))))""",
        "polls.wasm",
    )
    channel = Channel()
    run = wasilab.run(polls, grants=holding(channel.left), detach=True)
    channel.right.send(b"wake up")
    assert run.wait(60).exit_code == 7
    assert [event.name for event in run.trace][:2] == ["poll_oneoff", "fd_read"]


def test_an_end_is_given_once_and_only_python_can_say_it() -> None:
    channel = Channel()
    grants = holding(channel.left)
    with pytest.raises(GrantError, match="only Python can say it"):
        grants.to_flags()
    first = wasilab.run(text('(memory (export "memory") 1) (func (export "_start"))'), grants=grants)
    assert first.exit_code == 0
    with pytest.raises((GrantError, BadAddress), match="channel left was already given to a run, or closed"):
        wasilab.run(text('(func (export "_start"))'), grants=grants)
    assert channel.right.receive() == b"", "the run is over, and so is its end"
    with pytest.raises(ValueError, match="was already given to a run"):
        channel.left.send(b"x")
    channel.close()
    channel.close()
    for wrong in (0, -1, True, 1 << 30):
        with pytest.raises(ValueError, match="1 byte to 64 MiB"):
            Channel(capacity=wrong)


# ---- descriptors sent through a channel

SENDS = text(
    """(import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasilab_channel" "send" (func $send (param i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 16) "a.txt")
      (func (export "send") (param i32 i32) (result i32) (call $send (local.get 0) (local.get 1)))
      (func (export "open") (result i32)
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0)
            (i64.const 0x26) (i64.const 0) (i32.const 0) (i32.const 64)) (then (return (i32.const -1))))
        (i32.load (i32.const 64)))""",
    "sends.wasm",
)
"""Holds a folder at 3 and a channel at 4."""
RECEIVES = text(
    """(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasilab_channel" "receive" (func $receive (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "receive") (param i32) (result i32) (call $receive (local.get 0)))
      (func (export "take") (param i32) (result i32)
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 100))
        (if (call $read (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return (i32.const -1))))
        (i32.load (i32.const 8)))""",
    "receives.wasm",
)
"""Holds nothing but a channel, at 3."""


def test_a_descriptor_is_sent_through_a_channel() -> None:
    channel = Channel()
    with Lab() as lab:
        lab.add("giver", SENDS, Grants.nothing(dirs={"/d": MemDir({"a.txt": b"hello"})}, sockets=[channel.left]))
        lab.add("taker", RECEIVES, Grants.nothing(sockets=[channel.right]))
        giver, taker = lab["giver"].exports, lab["taker"].exports
        assert taker.receive(3) == -6, "AGAIN: nothing is there yet"
        fd = giver.open()
        assert giver.send(4, fd) == 0
        number = taker.receive(3)
        assert number == 4
        assert taker.take(number) == 5
        (flow,) = lab.flows
        assert (flow.sender, flow.from_fd, flow.receiver, flow.to_fd, flow.kept) == ("giver", fd, "taker", 4, True)


def test_what_cannot_be_sent_is_told_by_an_errno() -> None:
    channel = Channel()
    with Lab() as lab:
        lab.add("giver", SENDS, Grants.nothing(dirs={"/d": MemDir({"a.txt": b""})}, sockets=[channel.left]))
        lab.add("taker", RECEIVES, Grants.nothing(sockets=[channel.right], limits=Limits(fds=1)))
        giver, taker = lab["giver"].exports, lab["taker"].exports
        assert giver.send(4, 99) == -8, "BADF"
        assert giver.send(99, 3) == -8
        assert giver.send(3, 3) == -57, "NOTSOCK"
        assert [giver.send(4, 3) for _ in range(MAX_CARRIED + 1)] == [0] * MAX_CARRIED + [-6]
        assert taker.receive(3) == -33, "MFILE, and nothing is lost"
        assert taker.receive(-1) == -8
        assert lab.flows == []


def test_a_channel_between_threads_loses_nothing() -> None:
    channel = Channel(capacity=8192)
    data = os.urandom(300_000)
    got = bytearray()

    def read() -> None:
        while piece := channel.right.receive():
            got.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    channel.left.send(data)
    channel.left.close()
    reader.join()
    assert bytes(got) == data
    with pytest.raises(OSError) as gone:  # noqa: PT012
        while True:
            channel.right.send(b"x")
    assert gone.value.errno in (errno.EPIPE, errno.ECONNRESET)
