"""Streams: what a guest reads from stdin and writes to stdout."""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Callable

import pytest

from wasilab.capabilities.protocols import File, FileFlags, FileType
from wasilab.capabilities.streams import (
    AskInput,
    BytesInput,
    CallbackOutput,
    DescriptorInput,
    Discard,
    EmptyInput,
    QueueInput,
    process_input,
)
from wasilab.capabilities.waiting import Interrupt, Interrupted


def read(stream: File, *sizes: int) -> bytes:
    buffers = [bytearray(size) for size in sizes]
    done = stream.read([memoryview(buffer) for buffer in buffers])
    return b"".join(buffers)[:done]


def readable(fd: int | None) -> bool:
    assert fd is not None
    return bool(select.select([fd], [], [], 0)[0])


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(params=["poll", "select"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With poll(2) and pipes, and with select(2) and pairs of sockets, as on Windows."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
        monkeypatch.delattr(os, "pipe2")
    return str(request.param)


@pytest.mark.parametrize("pieces", [[b"one\n", b"two"], [b""]])
def test_the_process_s_own_input_is_read_as_it_comes(system: str, pieces: list[bytes]) -> None:
    ours, theirs = os.pipe()
    interrupt = Interrupt()
    stream = process_input(ours, interrupt)
    assert isinstance(stream, DescriptorInput if system == "poll" else QueueInput)
    for piece in filter(None, pieces):
        os.write(theirs, piece)
        assert read(stream, 10) == piece
    os.close(theirs)
    assert read(stream, 10) == b""
    stream.close()
    interrupt.close()
    os.close(ours)


def test_a_read_of_the_process_s_own_input_is_interrupted() -> None:
    ours, theirs = os.pipe()
    interrupt = Interrupt()
    stream = process_input(ours, interrupt)
    threading.Timer(0.05, interrupt.set).start()
    with pytest.raises(Interrupted):
        read(stream, 10)
    os.close(theirs)  # a thread that waits for input ends
    stream.close()


def test_every_stream_is_a_character_device_without_a_position() -> None:
    for stream in (EmptyInput(), BytesInput(b"x"), Discard(), CallbackOutput(print)):
        assert isinstance(stream, File)
        assert stream.filetype is FileType.CHARACTER_DEVICE
        with pytest.raises(OSError) as caught:
            stream.seek(0, os.SEEK_SET)
        assert caught.value.errno == errno.ESPIPE


def test_inputs_cannot_be_written_nor_outputs_read() -> None:
    attempts: list[Callable[[], object]] = [
        lambda: BytesInput(b"x").write([memoryview(b"y")]),
        lambda: read(Discard(), 1),
        lambda: read(CallbackOutput(print), 1),
    ]
    for attempt in attempts:
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == errno.EBADF


def test_bytes_input_scatters_over_buffers_and_ends() -> None:
    stream = BytesInput(b"abcdefg")
    assert read(stream, 2, 0, 3) == b"abcde"
    assert stream.available() == 2
    assert read(stream, 10, 10) == b"fg"
    assert read(stream, 10) == b""


def test_queue_input_gives_what_it_is_fed_then_ends() -> None:
    stream = QueueInput()
    stream.feed(b"hello")
    stream.feed(b" world")
    assert read(stream, 3) == b"hel"
    stream.end()
    stream.feed(b"too late")
    assert read(stream, 4, 100) == b"lo world"
    assert read(stream, 5) == b""
    assert read(stream, 5) == b""
    stream.close()
    stream.close()
    stream.feed(b"nobody")
    stream.end()


def test_queue_input_is_readable_for_poll_exactly_while_a_read_would_not_wait() -> None:
    stream = QueueInput()
    assert not readable(stream.fileno())
    stream.feed(b"ab")
    assert readable(stream.fileno())
    read(stream, 1)
    assert readable(stream.fileno())
    read(stream, 1)
    assert not readable(stream.fileno())
    stream.end()
    assert readable(stream.fileno())
    read(stream, 1)
    assert readable(stream.fileno())
    stream.close()
    assert stream.fileno() is None


def test_a_reader_waits_until_it_is_fed_from_another_thread_and_asks_once() -> None:
    wanted: list[int] = []
    interrupt = Interrupt()
    stream: QueueInput

    def answer() -> None:
        wanted.append(1)
        threading.Timer(0.01, stream.feed, [b"line\n"]).start()

    stream = AskInput(answer, interrupt)
    assert read(stream, 2) == b"li"
    assert read(stream, 9) == b"ne\n"
    assert wanted == [1]
    assert read(stream, 9) == b"line\n"
    assert wanted == [1, 1]
    stream.close()
    interrupt.close()


def test_polling_for_input_asks_for_it_only_once() -> None:
    wanted: list[int] = []
    stream = QueueInput(lambda: wanted.append(1))
    stream.fileno()
    stream.fileno()
    assert wanted == [1]
    stream.feed(b"x")
    stream.fileno()
    assert wanted == [1]
    stream.close()


def test_a_waiting_reader_is_interrupted() -> None:
    interrupt = Interrupt()
    stream = QueueInput(None, interrupt)
    threading.Timer(0.01, interrupt.set).start()
    with pytest.raises(Interrupted):
        read(stream, 1)
    stream.close()
    interrupt.close()


def test_a_nonblocking_reader_gets_eagain() -> None:
    stream = QueueInput()
    stream.set_flags(FileFlags(nonblock=True))
    assert stream.flags().nonblock
    with pytest.raises(BlockingIOError):
        read(stream, 1)
    assert read(stream, 0) == b""
    stream.close()
    with pytest.raises(OSError) as caught:
        read(stream, 1)
    assert caught.value.errno == errno.EBADF


def test_queue_inputs_leave_no_descriptor_behind() -> None:
    before = open_descriptors()
    for _ in range(10):
        stream = QueueInput()
        stream.feed(b"x")
        stream.close()
    assert open_descriptors() == before


def test_descriptor_input_reads_a_pipe_and_can_be_interrupted_and_closed() -> None:
    ours, theirs = os.pipe()
    interrupt = Interrupt()
    stream = DescriptorInput(ours, interrupt)
    os.write(theirs, b"abc")
    assert read(stream, 0) == b""
    assert read(stream, 2) == b"ab"
    assert read(stream, 2) == b"c"
    stream.set_flags(FileFlags(nonblock=True))
    with pytest.raises(BlockingIOError):
        read(stream, 1)
    stream.set_flags(FileFlags())
    threading.Timer(0.01, interrupt.set).start()
    with pytest.raises(Interrupted):
        read(stream, 1)
    stream.close()
    os.write(theirs, b"still open")  # only the duplicate was closed
    assert stream.fileno() is None
    for fd in (ours, theirs):
        os.close(fd)
    interrupt.close()


def test_output_beyond_its_limit_is_counted_and_cut() -> None:
    seen: list[bytes] = []
    stream = CallbackOutput(seen.append, limit=5)
    assert stream.write([memoryview(b"abc")]) == 3
    assert stream.write([memoryview(b"d"), memoryview(b"efg")]) == 4
    assert stream.write([memoryview(b"more")]) == 4
    assert b"".join(seen) == b"abcde"
    assert (stream.written, stream.cut) == (11, 6)


def test_an_output_keeps_the_bytes_as_they_were_when_written() -> None:
    seen: list[bytes] = []
    memory = bytearray(b"before")
    CallbackOutput(seen.append).write([memoryview(memory)])
    memory[:] = b"after!"
    assert seen == [b"before"]


def test_discard_swallows_everything() -> None:
    assert Discard().write([memoryview(b"ab"), memoryview(b""), memoryview(b"c")]) == 3
