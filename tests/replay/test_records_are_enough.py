"""A record holds all that a replay needs, for every call of the table: a replay leaves the same memory.

Two ways: each call once where it succeeds, with all of the memory written out (and so compared) after it; and many
calls that hypothesis and seeds make up, most of which fail, after which the guest hashes its memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache, partial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import wasilab
from tests.engine.guests import run
from tests.engine.test_every_call import CALLS, data, host_for, lender_of, performing, talking_peer
from tests.hostile import fuzz
from tests.hostile.surface import OPS, SIZE, Pools, interpreter
from wasilab.engine.replay.recorded_calls import ReplayCursor, read_calls
from wasilab.engine.replay.replay_link import ReplayLink
from wasilab.engine.stop import CannotReplay
from wasilab.engine.worker import start
from wasilab.trace.answers.completeness import missing_for_replay
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import MODULES

DUMP = 3200
"""Where the buffer that covers the whole memory is described."""
PAGE = 1 << 16


def dumped_calls(module: str) -> list[tuple[Any, ...]]:
    """`CALLS` with the whole memory written to stdout after each."""
    calls = [call for call in CALLS if "sock_accept" in MODULES[module] or not call[0].startswith("sock_")]
    dump = ("fd_write", 1, DUMP, 1, DUMP + 8)
    return [each for call in calls[:-1] for each in (call, dump)] + [calls[-1]]


@pytest.mark.parametrize("module", sorted(MODULES))
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
@pytest.mark.parametrize("foreign", [False, True], ids=["own", "foreign"])
def test_every_call_leaves_the_same_memory_when_it_is_replayed(module: str, raw: bool, foreign: bool) -> None:
    calls = dumped_calls(module)
    covering = data(DUMP, struct.pack("<II", 0, PAGE))
    program = performing(calls, module, lender="lender" if foreign else None, extra=covering)
    preload = {"lender": lender_of(module)} if foreign else {}
    with talking_peer() as listener:
        ran = run(program, preload=preload, snaplen=None, raw=raw, **host_for(listener))
    assert ran.outcome.ok, ran.trace[-3:].text()
    assert len(ran.stdout) > PAGE * (len(calls) - 1) // 2 - 1

    assert missing_for_replay(ran.trace) is None
    out: list[bytes] = []
    cursor = ReplayCursor(
        read_calls(ran.trace), len(ran.trace), write=lambda stream, data: out.append(data), describe=str,
        output_of={life.life: life.fd for life in ran.trace.store.lives.values() if life.path == b"<stdout>"},
    )  # fmt: skip
    recorder = Recorder(snaplen=None)
    outcome = start(
        program, Host(), recorder, preload=preload, raw=raw, link=partial(ReplayLink, cursor)
    ).wait()
    assert outcome is not None
    assert outcome.ok, outcome.message
    assert cursor.done == cursor.count == len(calls)
    assert cursor.divergence is None
    assert b"".join(out) == ran.stdout
    again = Trace.from_recorder(recorder)
    for column in ("call", "errno", "result", "args", "handle", "flags", "instance"):
        assert again.column(column).tolist() == ran.trace.column(column).tolist(), column
    assert [call.data for call in again] == [call.data for call in ran.trace]


@cache
def surface(module: str) -> wasilab.Module:
    """The interpreter of `surface.py` as a program: `go` reads its memory from stdin, performs what lies at `OPS`, and
    returns a hash of the memory it has then."""
    text = interpreter(module).rstrip().removesuffix(")")
    text = text.replace('(func (export "run")', '(func $run (export "run")')
    read = list(MODULES[module]).index("fd_read")
    return wasilab.compile(f"""{text}
      (func (export "go") (param $n i32) (result i64) (local $at i32) (local $hash i64)
        (i32.store (i32.const 8) (i32.const 0)) (i32.store (i32.const 12) (i32.const {SIZE}))
        (drop (call $c{read} (i32.const 0) (i32.const 8) (i32.const 1) (i32.const {SIZE - 8})))
        (drop (call $run (i32.const {OPS}) (local.get $n)))
        (loop $next
          (local.set $hash (i64.mul (i64.xor (local.get $hash) (i64.load (local.get $at))) (i64.const 0x100000001b3)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $next (i32.lt_u (local.get $at) (i32.const {SIZE}))))
        (local.get $hash)))""", "wat", name="surface")


@pytest.fixture(scope="module")
def ground() -> Iterator[fuzz.Ground]:
    ground = fuzz.Ground()
    yield ground
    ground.remove()


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, database=None, derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    seed=st.integers(0, 1 << 20), module=st.sampled_from(sorted(MODULES)), rights=st.sampled_from(["strict", "compat"]),
    wild=st.sampled_from([0, 0, 1, 24]), raw=st.booleans(), length=st.integers(1, 80),
)  # fmt: skip
@example(seed=68, module="wasi_snapshot_preview1", rights="strict", wild=1, raw=False, length=19)
def test_calls_of_any_kind_replay_to_the_same_memory(
    ground: fuzz.Ground, seed: int, module: str, rights: str, wild: int, raw: bool, length: int
) -> None:
    ground.rebuild()
    pools = Pools(Random(seed), module, wild)
    operations, listed = pools.sequence(length)
    memory = bytearray(pools.image())
    memory += bytes(SIZE - len(memory))
    memory[OPS : OPS + len(operations)] = operations
    grants = ground.grants(fuzz.Shape(module=module, rights=rights), seed).with_(stdin=bytes(memory))
    first = wasilab.run(surface(module), [str(len(listed))], grants, invoke="go", record=True, raw=raw)
    again = first.replay()
    assert again.divergence is None, again.divergence
    ends = [(one.outcome.kind, one.exit_code, one.outcome.message, one.outcome.results) for one in (first, again)]
    assert ends[0] == ends[1]
    assert first.stdout_bytes == again.stdout_bytes
    assert len(first.trace) == len(again.trace) >= 1
    assert len(first.trace.diff(again.trace)) == 0


@pytest.mark.parametrize("module", sorted(MODULES))
@pytest.mark.parametrize("count", [256, 257, 1024, 1025, 4096])
def test_a_poll_of_as_many_events_as_there_may_be_is_replayed(module: str, count: int) -> None:
    size = {"wasi_unstable": 56}.get(module, 48)
    out = 1 << 18
    text = f"""(module (import "{module}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (import "{module}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 8)
      (func (export "_start") (local $n i32)
        (loop $next
          (i64.store (i32.mul (local.get $n) (i32.const {size})) (i64.extend_i32_u (local.get $n)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $n) (i32.const {count}))))
        (drop (call $poll (i32.const 0) (i32.const {out}) (i32.const {count}) (i32.const {out - 16})))
        (i32.store (i32.const 0) (i32.const {out - 16})) (i32.store (i32.const 4) (i32.const {32 * count + 16}))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
    program = wasilab.load(text.encode())
    run = wasilab.run(program, record=True)
    again = run.replay()
    assert (again.divergence, again.stdout_bytes) == (None, run.stdout_bytes)
    events = run.trace[0].args["out"]
    assert [event.userdata for event in events] == list(range(count))
    assert "userdata=0xff" in run.trace.text()
    if count > 1024:
        short = wasilab.run(program)
        assert short.trace[0].args["out"] is None
        with pytest.raises(CannotReplay, match="more than 1,024 events, and the trace kept none: record=True keeps"):
            short.replay()
