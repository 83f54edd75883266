"""Standard streams that a component was not granted: each use is refused, with the flag that grants it."""

from __future__ import annotations

import pytest

import wasilab
from wasilab import Grants

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
