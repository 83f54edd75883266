"""Listening sockets and the connections accepted on them."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from wasilab.capabilities.host.sockets import BadAddress, ListenSocket, StreamSocket, listen
from wasilab.capabilities.protocols import File, FileFlags, FileType
from wasilab.capabilities.waiting import Interrupt, Interrupted, wait_any


@pytest.fixture
def listener() -> Iterator[ListenSocket]:
    made = listen("127.0.0.1:0")
    yield made
    made.release()


@pytest.fixture
def pair(listener: ListenSocket) -> Iterator[tuple[StreamSocket, socket.socket]]:
    """A connection: our end as the guest holds it, and the client's."""
    client = socket.create_connection(listener.bind())
    ours = listener.accept()
    yield ours, client
    ours.close()
    client.close()


def recv(stream: StreamSocket, *sizes: int, peek: bool = False, waitall: bool = False) -> bytes:
    buffers = [bytearray(size) for size in sizes]
    done, flags = stream.recv([memoryview(buffer) for buffer in buffers], peek, waitall)
    assert flags == 0
    return b"".join(buffers)[:done]


def patiently(stream: StreamSocket, *sizes: int, waitall: bool = False) -> bytes:
    interrupt = Interrupt()
    while True:
        try:
            return recv(stream, *sizes, waitall=waitall)
        except BlockingIOError:
            fd = stream.fileno()
            assert fd is not None
            wait_any((fd,), (), 5, interrupt)


@pytest.mark.parametrize(
    "address", ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "1.2.3.4:65536", "a.example:1"]
)
def test_a_bad_address_raises_one_error_that_says_what_to_write(address: str) -> None:
    with pytest.raises(BadAddress, match=r"127\.0\.0\.1"):
        listen(address)


def test_no_host_and_localhost_mean_this_machine_only() -> None:
    for address in (":0", "localhost:0"):
        listener = listen(address)
        assert listener.bind()[0] == "127.0.0.1"
        assert listener.port > 0
        listener.release()


def test_listeners_are_equal_by_address_and_take_no_port_before_it_is_needed(held: Callable[[], set[int]]) -> None:
    first, second = listen("127.0.0.1:0"), listen("127.0.0.1:0")
    assert first == second
    assert hash(first) == hash(second)
    assert first != listen("127.0.0.1:1")
    before = held()
    listen("127.0.0.1:9")
    assert not held() - before
    assert eval(repr(first)) == first


def test_a_taken_port_is_a_clear_error_when_the_run_starts(listener: ListenSocket) -> None:
    again = listen(f"127.0.0.1:{listener.port}")
    with pytest.raises(BadAddress, match="cannot listen on"):
        again.fresh()


def test_closing_a_granted_listener_leaves_it_for_the_next_run(listener: ListenSocket) -> None:
    port = listener.port
    listener.close()
    assert listener.port == port


def test_bytes_go_both_ways(pair: tuple[StreamSocket, socket.socket]) -> None:
    ours, client = pair
    assert isinstance(ours, File)
    assert ours.filetype is ours.stat().filetype is FileType.SOCKET_STREAM
    client.sendall(b"hello world")
    assert patiently(ours, 2, 0, 3) == b"hello"
    assert ours.available() == 6
    assert recv(ours, 100) == b" world"
    assert ours.send([memoryview(b"a"), memoryview(b""), memoryview(b"bc")]) == 3
    assert ours.send([]) == 0
    assert client.recv(10) == b"abc"


def test_peeking_leaves_the_bytes(pair: tuple[StreamSocket, socket.socket]) -> None:
    ours, client = pair
    client.sendall(b"abc")
    patiently(ours, 0)
    fd = ours.fileno()
    assert fd is not None
    wait_any((fd,), (), 5, Interrupt())
    assert recv(ours, 2, peek=True) == b"ab"
    assert recv(ours, 9, peek=True) == b"abc"
    assert recv(ours, 9) == b"abc"


def test_waitall_gets_all_or_what_came_before_the_end(pair: tuple[StreamSocket, socket.socket]) -> None:
    ours, client = pair
    client.sendall(b"ab")
    threading.Timer(0.02, client.sendall, [b"cdefg"]).start()
    assert patiently(ours, 3, 3, waitall=True) == b"abcdef"
    threading.Timer(0.02, client.close).start()
    assert patiently(ours, 100, waitall=True) == b"g"
    assert recv(ours, 5) == b""


def test_receiving_from_a_quiet_connection_is_eagain(pair: tuple[StreamSocket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        recv(pair[0], 1)


def test_reading_waits_unless_nonblocking_and_can_be_interrupted(pair: tuple[StreamSocket, socket.socket]) -> None:
    ours, client = pair
    buffer = memoryview(bytearray(4))
    threading.Timer(0.02, client.sendall, [b"late"]).start()
    assert ours.read([buffer]) == 4
    assert ours.write([memoryview(b"back")]) == 4
    ours.set_flags(FileFlags(nonblock=True))
    with pytest.raises(BlockingIOError):
        ours.read([buffer])
    ours.set_flags(FileFlags())
    ours.interrupt = Interrupt()
    threading.Timer(0.02, ours.interrupt.set).start()
    with pytest.raises(Interrupted):
        ours.read([buffer])


def test_accepting_waits_unless_nonblocking_and_can_be_interrupted(listener: ListenSocket) -> None:
    with pytest.raises(BlockingIOError):
        listener.accept(nonblock=True)
    listener.set_flags(FileFlags(nonblock=True))
    with pytest.raises(BlockingIOError):
        listener.accept()
    interrupt = Interrupt()
    mine = listener.fresh(interrupt)
    threading.Timer(0.02, interrupt.set).start()
    with pytest.raises(Interrupted):
        mine.accept()


def test_shutdown_ends_the_directions_named(pair: tuple[StreamSocket, socket.socket]) -> None:
    ours, client = pair
    ours.shutdown(rd=False, wr=True)
    assert client.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        ours.send([memoryview(b"x")])
    client.sendall(b"still")
    assert patiently(ours, 9) == b"still"
    with pytest.raises(OSError) as caught:
        ours.shutdown(rd=False, wr=False)
    assert caught.value.errno == errno.EINVAL


def test_nothing_leaks_and_a_closed_connection_is_ebadf(held: Callable[[], set[int]]) -> None:
    before = held()
    listener = listen("127.0.0.1:0")
    client = socket.create_connection(listener.bind())
    ours = listener.accept()
    ours.close()
    ours.close()
    with pytest.raises(OSError) as caught:
        ours.fileno()
    assert caught.value.errno == errno.EBADF
    client.close()
    del listener
    assert not held() - before


def test_each_run_has_its_own_stop_and_flags_of_one_port(listener: ListenSocket) -> None:
    first_stop, second_stop = Interrupt(), Interrupt()
    first, second = listener.fresh(first_stop), listener.fresh(second_stop)
    assert first == second == listener
    assert first.bind() == second.bind() == listener.bind()
    first.set_flags(FileFlags(nonblock=True))
    assert not second.flags().nonblock
    first_stop.set()
    client = socket.create_connection(listener.bind())
    ours = second.accept()  # the other run's interrupt is not this one's
    assert ours.interrupt is second_stop
    with pytest.raises(BlockingIOError):
        first.accept()
    first.set_flags(FileFlags())
    with pytest.raises(Interrupted):
        first.accept()
    first.release()
    del first
    assert second.port == listener.port
    ours.close()
    client.close()
