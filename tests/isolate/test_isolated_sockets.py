"""Ports of a guest in a confined process: those that are granted work there, and a component gets no network."""

from __future__ import annotations

import socket
import sys

import pytest

from wasilab import Grants, listen, run
from wasilab.grants.value import GrantError
from wasilab.module.module import from_wat

from ..waiting import until
from .test_isolated_runs import COMPONENT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
ECHO = from_wat("""(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $try (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func (export "_start")
    (call $try (call $write (i32.const 1) (i32.const 4) (i32.const 1) (i32.const 12)))
    (call $try (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
    (i32.store (i32.const 4) (i32.const 64)) (i32.store (i32.const 8) (i32.const 100))
    (call $try (call $read (i32.load (i32.const 0)) (i32.const 4) (i32.const 1) (i32.const 12)))
    (i32.store (i32.const 8) (i32.load (i32.const 12)))
    (call $try (call $write (i32.load (i32.const 0)) (i32.const 4) (i32.const 1) (i32.const 12)))
    (call $try (call $write (i32.const 1) (i32.const 4) (i32.const 1) (i32.const 12)))))""", name="echo")  # fmt: skip
"""Writes nothing, to be seen in the trace, accepts one connection and sends what it received back, and to stdout."""


def test_a_granted_port_works() -> None:
    listener = listen("127.0.0.1:0")
    for _ in range(2):  # the port stays the grant's
        started = run(ECHO, (), Grants(sockets=(listener,)), isolate=True, detach=True)
        with socket.create_connection(listener.bind(), 60) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        assert started.wait(60).exit_code == 0
        assert started.stdout == "hello"
    listener.release()


@pytest.mark.slow
def test_a_port_is_taken_back_and_a_wait_for_a_connection_is_stopped() -> None:
    listener = listen("127.0.0.1:0")
    grants = Grants(sockets=(listener,))
    refused = run(ECHO, (), grants, isolate=True, detach=True)
    refused.live.revoke(f"listen {listener.address}")
    assert refused.wait(60).exit_code == 76
    again = run(ECHO, (), grants, isolate=True, detach=True)
    again.regrant(Grants())
    again.regrant(grants)
    with socket.create_connection(listener.bind(), 60) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    assert again.wait(60).exit_code == 0
    stopped = run(ECHO, (), grants, isolate=True, detach=True)
    until(lambda: len(stopped.trace))
    stopped.stop(10)
    assert stopped.outcome.kind == "interrupt"
    listener.release()


@pytest.mark.parametrize(
    "grants",
    [Grants(connect=("127.0.0.1:80",)), Grants(resolve=("example.org",)), Grants(http=("https://example.org",))],
)
def test_a_component_gets_no_network(grants: Grants) -> None:
    with pytest.raises(GrantError, match=r"no network, .* remove them or the isolation"):
        run(COMPONENT, (), grants, isolate=True)
