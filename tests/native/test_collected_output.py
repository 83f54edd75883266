"""What a guest prints through the library arrives whole and in order, whoever takes it out."""

from __future__ import annotations

import ctypes
import threading

import pytest

import wasilab
from wasilab.capabilities.streams import CollectedOutput
from wasilab.engine.native import binding
from wasilab.engine.native.collected_output import OutputBuffer
from wasilab.engine.native.layouts import OUTPUT, RunState

LIBRARY = binding.library()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=binding.why_not() or "the library is there")


def _print(state: RunState, stream: int, data: bytes) -> None:
    """As turbo.c does."""
    piece = (len(data) << 1 | stream).to_bytes(4, "little") + data
    ctypes.memmove(state.out.data + state.out.size, piece, len(piece))
    state.out.size += len(piece)


def test_a_write_waits_for_what_another_thread_is_delivering() -> None:
    assert LIBRARY is not None
    state, got = RunState(), []
    later = threading.Thread(target=lambda: outputs[0].write([memoryview(b"later")]))

    def take(data: bytes) -> None:
        if data == b"first":
            later.start()
            later.join(0.2)  # it must not end before this returns
        got.append(data)

    outputs = [CollectedOutput(take), CollectedOutput(take)]
    buffer = OutputBuffer(LIBRARY, state, outputs)
    _print(state, 0, b"first")
    _print(state, 1, b"error")
    buffer.flush()
    later.join()
    assert got == [b"first", b"error", b"later"]


def test_two_streams_in_turn_with_a_reader_beside_arrive_whole() -> None:
    """Writes of 0 to 4,095 bytes, and each 256th of more than the buffer holds, to stdout and stderr in turn."""
    count, large = 1200, OUTPUT + 1
    module = wasilab.load(
        f"""(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 8)
        (func (export "_start") (local $i i32) (local $n i32)
          (loop $again
            (local.set $n (i32.and (i32.mul (local.get $i) (i32.const 2654435)) (i32.const 4095)))
            (if (i32.eqz (i32.and (local.get $i) (i32.const 255))) (then (local.set $n (i32.const {large}))))
            (memory.fill (i32.const 64) (i32.add (i32.const 33) (i32.rem_u (local.get $i) (i32.const 90)))
              (local.get $n))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (local.get $n))
            (if (call $w (i32.add (i32.const 1) (i32.and (local.get $i) (i32.const 1))) (i32.const 0) (i32.const 1)
                      (i32.const 16)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 16)) (local.get $n)) (then unreachable))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))))""".encode()
    )
    expected = [b"", b""]
    order: list[tuple[str, bytes]] = []
    for i in range(count):
        size = i * 2654435 & 4095 if i & 255 else large
        data = bytes([33 + i % 90]) * size
        expected[i & 1] += data
        if data and order and order[-1][0] == ("stdout", "stderr")[i & 1]:
            order[-1] = (order[-1][0], order[-1][1] + data)
        elif data:
            order.append((("stdout", "stderr")[i & 1], data))
    run = wasilab.run(module, detach=True)
    while run.running:
        assert expected[0].startswith(run.stdout_bytes)
    run.wait()
    assert run.outcome.ok
    assert [run.stdout_bytes, run.stderr_bytes] == expected
    assert run.output == order
