"""Tests of sock_*: connections to a listening socket that was granted."""

from __future__ import annotations

import socket
import threading

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import FileType
from wasilab.capabilities.waiting import Interrupt, Interrupted
from wasilab.wasi.types import Errno, Eventrwflags, Fdflags, Riflags, Rights, Sdflags, Subscription

PEEK, WAITALL = Riflags.RECV_PEEK, Riflags.RECV_WAITALL


@pytest.fixture(params=["strict", "compat"])
def server(request, make_guest):
    """A guest with a directory (3) and a listening socket (4), and its address."""
    listener = listen("127.0.0.1:0")
    interrupt = Interrupt()
    guest = make_guest(
        {"/": MemDir()}, sockets=[listener], rights=request.param, clocks=Clocks.real(), interrupt=interrupt
    )
    guest.address = listener.bind()
    yield guest
    guest.host.close()
    listener.release()


@pytest.fixture
def connected(server):
    """The guest with an accepted connection (5), and the client's end."""
    client = socket.create_connection(server.address)
    assert server.do("sock_accept", 4, 0) == 5
    yield server, client
    client.close()


def test_listening_sockets_follow_the_directories(server) -> None:
    assert server.call("fd_prestat_get", 4).errno == Errno.BADF
    stat = server.do("fd_fdstat_get", 4)
    assert stat.filetype == FileType.SOCKET_STREAM
    assert stat.rights_base & Rights.SOCK_ACCEPT
    assert not stat.rights_base & (Rights.FD_READ | Rights.FD_WRITE)


def test_bytes_go_both_ways(connected) -> None:
    server, client = connected
    client.sendall(b"question")
    first, second = bytearray(4), bytearray(8)
    assert server.do("sock_recv", 5, [first, second], 0) == (8, 0)
    assert bytes(first + second[:4]) == b"question"
    assert server.do("sock_send", 5, [b"ans", b"wer"], 0) == 6
    assert client.recv(10) == b"answer"
    assert server.do("fd_write", 5, [b"by fd_write"]) == 11
    assert client.recv(20) == b"by fd_write"
    client.sendall(b"x")
    assert server.do("fd_read", 5, [bytearray(3)]) == 1


def test_peek_leaves_the_bytes(connected) -> None:
    server, client = connected
    client.sendall(b"abc")
    for flags in (PEEK, PEEK, 0):
        buffer = bytearray(3)
        assert server.do("sock_recv", 5, [buffer], flags)[0] == 3
        assert bytes(buffer) == b"abc"


def test_waitall_waits_for_all(connected) -> None:
    server, client = connected
    client.sendall(b"ab")
    threading.Timer(0.03, client.sendall, [b"cdef"]).start()
    first, second = bytearray(3), bytearray(3)
    assert server.do("sock_recv", 5, [first, second], WAITALL) == (6, 0)
    assert bytes(first + second) == b"abcdef"


def test_waitall_ends_at_the_end_of_the_stream(connected) -> None:
    server, client = connected
    client.sendall(b"ab")
    threading.Timer(0.03, client.close).start()
    assert server.do("sock_recv", 5, [bytearray(9)], WAITALL) == (2, 0)
    assert server.do("sock_recv", 5, [bytearray(9)], 0) == (0, 0)


def test_nonblocking_sockets_say_again(server) -> None:
    server.do("fd_fdstat_set_flags", 4, Fdflags.NONBLOCK)
    assert server.call("sock_accept", 4, 0).errno == Errno.AGAIN
    with socket.create_connection(server.address) as client:
        server.do("poll_oneoff", [Subscription(1, 1, fd=4)])
        fd = server.do("sock_accept", 4, Fdflags.NONBLOCK)
        assert server.do("fd_fdstat_get", fd).flags == Fdflags.NONBLOCK
        assert server.call("sock_recv", fd, [bytearray(1)], 0).errno == Errno.AGAIN
        assert server.call("fd_read", fd, [bytearray(1)]).errno == Errno.AGAIN
        client.sendall(b"ab")
        server.do("poll_oneoff", [Subscription(1, 1, fd=fd)])
        assert server.do("sock_recv", fd, [bytearray(9)], WAITALL) == (2, 0)


def test_poll_sees_connections_data_and_hangup(connected) -> None:
    server, client = connected
    timeout = Subscription(9, 0, 1, 5_000_000)
    read, write = Subscription(1, 1, fd=5), Subscription(2, 2, fd=5)
    assert [e.userdata for e in server.do("poll_oneoff", [timeout, read])] == [9]
    assert [e.userdata for e in server.do("poll_oneoff", [timeout, read, write])] == [2]
    with socket.create_connection(server.address):
        assert [e.userdata for e in server.do("poll_oneoff", [Subscription(3, 1, fd=4)])] == [3]
    client.sendall(b"four")
    (event,) = server.do("poll_oneoff", [read])
    assert (event.nbytes, event.flags) == (4, 0)
    server.do("sock_recv", 5, [bytearray(4)], 0)
    client.close()
    (event,) = server.do("poll_oneoff", [read])
    assert (event.nbytes, event.flags) == (0, Eventrwflags.FD_READWRITE_HANGUP)


def test_shutdown_ends_one_direction(connected) -> None:
    server, client = connected
    server.do("sock_shutdown", 5, Sdflags.WR)
    assert client.recv(1) == b""
    assert server.call("sock_send", 5, [b"x"], 0).errno == Errno.PIPE
    client.sendall(b"y")
    assert server.do("sock_recv", 5, [bytearray(1)], 0) == (1, 0)


@pytest.mark.parametrize(
    ("call", "args", "code"),
    [
        ("sock_accept", (4, 32), Errno.INVAL), ("sock_accept", (4, Fdflags.APPEND), Errno.NOTSUP),
        ("sock_accept", (3, 0), Errno.NOTSOCK), ("sock_accept", (99, 0), Errno.BADF),
        ("sock_recv", (5, [bytearray(1)], 4), Errno.INVAL), ("sock_send", (5, [b"x"], 1), Errno.INVAL),
        ("sock_shutdown", (5, 0), Errno.INVAL), ("sock_shutdown", (5, 4), Errno.INVAL),
        ("sock_shutdown", (3, 1), Errno.NOTSOCK),
    ],
)  # fmt: skip
def test_flags_and_descriptors_out_of_range(connected, call: str, args: tuple[object, ...], code: Errno) -> None:
    server, _ = connected
    assert server.call(call, *args).errno == code


def test_a_connection_cannot_be_accepted_from(connected) -> None:
    server, _ = connected
    assert server.call("sock_accept", 5, 0).errno in (Errno.INVAL, Errno.NOTCAPABLE)


def test_seeking_in_a_connection_fails(connected) -> None:
    server, _ = connected
    assert server.call("fd_seek", 5, 0, 0).errno in (Errno.SPIPE, Errno.NOTCAPABLE)


@pytest.mark.parametrize(
    "call", [("sock_accept", 4, 0), ("sock_recv", 5, [bytearray(1)], 0), ("fd_read", 5, [bytearray(1)])]
)
def test_waiting_on_a_socket_can_be_stopped(connected, call: tuple[object, ...]) -> None:
    server, _ = connected
    threading.Timer(0.03, server.host.interrupt.set).start()
    with pytest.raises(Interrupted):
        server.call(*call)


def test_a_full_table_leaves_the_connection_waiting(make_guest) -> None:
    listener = listen("127.0.0.1:0")
    guest = make_guest(sockets=[listener], max_fds=1)
    with socket.create_connection(listener.bind()):
        assert guest.call("sock_accept", 3, 0).errno == Errno.MFILE
    listener.release()
