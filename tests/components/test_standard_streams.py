"""Standard streams that a component was not granted: each use is refused, with the flag that grants it."""

from __future__ import annotations

import pytest

import wasilab
from wasilab import Grants
from wasilab.engine.components.concurrency.stream_ends import DROPPED, GuestStream, SharedFuture, SharedStream

from .making import command

WRITES = """
  (import "wasi:cli/{name}@V" "get-{name}" (func $get (result i32)))
  (import "wasi:io/streams@V" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
  (data (i32.const 64) "text")
  (func $run (result i32)
    (call $write (call $get) (i32.const 64) (i32.const 4) (i32.const 16))
    (i32.load8_u (i32.const 16)))
"""


class Failing:
    """A sink of the host that cannot use what it gets."""

    error: BaseException | None = None

    def put(self, data: object) -> None:
        raise OSError("no space")

    def room(self) -> None:
        return

    def end(self, error: BaseException | None) -> None:
        self.error = error


class Written:
    """A guest's buffer of one byte."""

    remaining = 1
    is_empty = False

    def read(self, count: int) -> bytes:
        return b"x"


READS = """
  (import "wasi:cli/stdin@V" "get-stdin" (func $get (result i32)))
  (import "wasi:io/streams@V" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
  (func $run (result i32)
    (call $read (call $get) (i64.const 4) (i32.const 16))
    (i32.load8_u (i32.const 16)))
"""


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_not_granted_is_refused(name: str) -> None:
    core = READS if name == "stdin" else WRITES.format(name=name)
    refused = wasilab.run(wasilab.load(command(core)), grants=Grants.nothing())
    assert (refused.outcome.kind, refused.outcome.exit_code) == ("exit", 1), refused.outcome.message
    shown = str(refused.denied)
    assert f"{name} is not granted" in shown
    assert f"--{name}" in shown


@pytest.mark.parametrize("shared", [SharedStream(None), SharedFuture(None)], ids=["stream", "future"])
def test_a_sink_that_fails_ends_what_is_written_to_it(shared: SharedStream | SharedFuture) -> None:
    sink, results = Failing(), list[int]()
    GuestStream(shared, lambda wait, then: None, future=isinstance(shared, SharedFuture)).consume(sink)
    shared.write(None, Written(), lambda reclaim: None, results.append)
    assert str(sink.error) == "no space"
    assert len(results) == 1
    assert isinstance(shared, SharedFuture) or results == [DROPPED]
