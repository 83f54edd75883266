"""Commands and reactors: what runs once, what stays callable, help for it, and calls that an event loop awaits."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import wasilab
from wasilab import Channel, Grants, GuestError, Limits
from wasilab.module.module import load

REACTOR = load(
    b"""(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 40))))
      (func (export "get") (param i32) (result i32) (i32.add (global.get $n) (local.get 0)))
      (func (export "scale") (param f64 i64) (result f64 i64) (local.get 0) (local.get 1))
      (func (export "listen") (result i32)
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
        (drop (call $read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8))) (i32.load (i32.const 8)))
      (func (export "spin") (loop (br 0)))
      (func (export "boom") unreachable))""",
    name="reactor.wasm",
)
COMMAND = load(
    b"""(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
      (func (export "_start") (global.set $n (i32.add (global.get $n) (i32.const 1))))
      (func (export "count") (result i32) (global.get $n)))""",
    name="command.wasm",
)


def test_a_command_that_is_started_twice_is_refused_in_words_and_lives_on() -> None:
    with wasilab.instantiate(COMMAND) as command:
        command.exports._start()
        with pytest.raises(TypeError, match=r"^_start of command\.wasm was called already: a command runs once; make"):
            command.exports._start()
        assert command.exports.count() == 1


def test_a_reactor_is_initialised_once_and_its_exports_stay_callable() -> None:
    with wasilab.instantiate(REACTOR) as reactor:
        assert [reactor.exports.get(one) for one in (1, 2, 3)] == [41, 42, 43]
        with pytest.raises(TypeError, match=r"_initialize of reactor\.wasm was called already: an instance"):
            reactor.exports._initialize()
        assert reactor.exports.get(0) == 40


def test_an_export_has_a_typed_signature_and_help() -> None:
    with wasilab.instantiate(REACTOR) as reactor:
        get, scale = reactor.exports.get, reactor.exports.scale
        assert str(inspect.signature(get)) == "(i32_0: int, /) -> int"
        assert str(inspect.signature(scale)) == "(f64_0: float, i64_1: int, /) -> list"
        assert (get.__name__, get.__doc__) == ("get", "get(i32) -> (i32)")
        assert repr(get) == "<export get(i32) -> (i32)>"


def listening(channel: Channel) -> Any:
    return wasilab.instantiate(REACTOR, Grants.nothing(sockets=[channel.right]))


def test_the_event_loop_goes_on_while_a_guest_waits() -> None:
    async def main() -> list[int]:
        first, second = Channel(), Channel()
        with listening(first) as one, listening(second) as two:
            waiting = asyncio.gather(one.exports.listen.call_async(), two.exports.listen.call_async())
            await asyncio.sleep(0)  # both have begun, and neither has anything to read
            assert not waiting.done()
            second.left.send(b"12345")
            first.left.send(b"123")
            return list(await waiting)

    assert asyncio.run(main()) == [3, 5]


def test_one_call_at_a_time_and_errors_come_out_of_the_await() -> None:
    async def main() -> None:
        channel = Channel()
        with listening(channel) as guest:
            waiting = asyncio.ensure_future(guest.exports.listen.call_async())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="one call at a time"):
                await guest.exports.get.call_async(1)
            channel.left.send(b"x")
            assert await waiting == 1
            with pytest.raises(TypeError, match="get takes 1 argument "):
                await guest.exports.get.call_async()
            assert await guest.exports.get.call_async(2) == 42
            with pytest.raises(GuestError, match="unreachable"):
                await guest.exports.boom.call_async()
            with pytest.raises(GuestError):
                await guest.exports.get.call_async(1)

    asyncio.run(main())


@pytest.mark.parametrize("export", ["spin", "listen"])
def test_cancelling_an_await_interrupts_the_guest_and_ends_the_instance(export: str) -> None:
    async def main() -> str:
        channel = Channel()  # held: a read of the guest's end finds the end of input when the other end is gone
        with listening(channel) as guest:
            waiting = asyncio.ensure_future(guest.exports[export].call_async())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert guest.closed
            with pytest.raises(GuestError) as over:
                guest.exports.get(1)
            return over.value.outcome.kind

    assert asyncio.run(main()) == "interrupt"


def test_limits_hold_while_awaited() -> None:
    async def main() -> None:
        guest = wasilab.instantiate(REACTOR, Grants.nothing(limits=Limits(fuel=10_000)))
        with pytest.raises(GuestError, match="fuel of 10,000"):
            await guest.exports.spin.call_async()
        guest.close()

    asyncio.run(main())
