"""Threads: interrupts, limits, output and input by the pump, detached runs, compiling; the process outlives it all."""

from __future__ import annotations

import contextvars
import os
import signal
import threading
import time
from typing import Any

import pytest

from wasilab.capabilities.streams import AskInput, CallbackOutput, QueueInput
from wasilab.capabilities.waiting import Interrupt
from wasilab.engine.compiling import engines
from wasilab.engine.limits import Limits
from wasilab.engine.threads import Worker
from wasilab.engine.worker import MAX_PIECES, Pump, Running, start
from wasilab.module.module import load
from wasilab.wasi.host import Host

from .guests import run, wat

ENDLESS = "(loop $l (br $l))"
SLEEP = """
  (i64.store (i32.const 0) (i64.const 1)) (i32.store (i32.const 16) (i32.const 1))
  (i64.store (i32.const 24) (i64.const 9223372036854775807))
  (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"""
YIELDING = "(loop $l (drop (call $sched_yield)) (br $l))"
READ = """
  (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
  (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"""


class KeyboardAfter:
    """A pump's `on_tick` that raises KeyboardInterrupt, as Ctrl-C does, once the guest has had time to begin."""

    def __init__(self, seconds: float = 0.15, times: int = 1) -> None:
        self.at = time.monotonic() + seconds
        self.times = times

    def __call__(self) -> None:
        if self.times and time.monotonic() > self.at:
            self.times -= 1
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("names", "body"),
    [("", ENDLESS), ("poll_oneoff", SLEEP), ("sched_yield", YIELDING)],
    ids=["loop", "sleep", "calls"],
)
def test_an_interrupt_ends_loops_and_waits_with_the_guests_stack(names: str, body: str) -> None:
    ran = run(wat(names, body), pump=Pump(on_tick=KeyboardAfter()))
    assert (ran.outcome.kind, ran.outcome.exit_code) == ("interrupt", 130)
    assert ran.outcome.message == "the run was interrupted"
    assert ran.outcome.frames[0].function == "start"


def test_a_real_sigint_in_the_main_thread_ends_the_run() -> None:
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ran = run(wat("", ENDLESS))
    finally:
        signal.signal(signal.SIGINT, before)
    assert ran.outcome.kind == "interrupt"


def test_a_second_interrupt_stops_waiting_for_a_call_that_cannot_be_stopped() -> None:
    release = threading.Event()

    def stuck(original: Any, buffer: memoryview) -> None:
        release.wait(60)

    body = "(drop (call $random_get (i32.const 0) (i32.const 1)))"
    ran = run(
        wat("random_get", body), overrides={"random_get": stuck}, pump=Pump(on_tick=KeyboardAfter(times=2))
    )
    assert ran.outcome.kind == "interrupt"
    assert "has not returned yet" in ran.outcome.message
    release.set()


def test_interrupting_from_another_thread_early_late_and_often_is_safe() -> None:
    for delay in (0.0, 0.0, 0.001, 0.005, 0.02):
        host = Host()
        running = start(wat("", ENDLESS), host)
        time.sleep(delay)
        for _ in range(3):
            running.interrupt()
        outcome = running.wait(60)
        assert outcome is not None
        assert outcome.kind == "interrupt"
        running.interrupt()
        host.close()
    assert run(wat("", "")).outcome.ok  # the same engines serve on: no late interrupt reaches them


def test_seconds_bounds_loops_and_waits() -> None:
    for names, body in (("", ENDLESS), ("poll_oneoff", SLEEP)):
        ran = run(wat(names, body), limits=Limits(seconds=0.1))
        assert (ran.outcome.kind, ran.outcome.exit_code) == ("limit", 137)
        assert ran.outcome.message == "the time limit of 0.1 s is over"
    assert run(wat("", ""), limits=Limits(seconds=60)).outcome.ok


def test_fuel_is_counted_and_bounded() -> None:
    ran = run(wat("", ENDLESS), limits=Limits(fuel=100_000))
    assert (ran.outcome.kind, ran.outcome.exit_code) == ("limit", 137)
    assert ran.outcome.message == "the fuel of 100,000 is used up"
    small = run(wat("", "nop nop nop"), limits=Limits(fuel=100_000)).outcome
    assert small.ok
    assert small.fuel_used is not None
    assert 0 < small.fuel_used < 100
    assert run(wat("", "")).outcome.fuel_used is None


def test_memory_is_bounded_at_the_start_and_when_it_grows() -> None:
    big = run(wat("", "", memory="100"), limits=Limits(memory=1 << 20)).outcome
    assert (big.kind, big.exit_code) == ("limit", 137)
    assert big.message == (
        "module starts with 6,553,600 bytes of memory, above the limit of 1,048,576 bytes; raise it with --max-memory"
    )
    body = """(if (i32.ne (memory.grow (i32.const 20)) (i32.const -1)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const 15)) (i32.const 1)) (then unreachable))
      (call $proc_exit (memory.size))"""
    assert run(wat("proc_exit", body), limits=Limits(memory=1 << 20)).outcome.exit_code == 16
    full = "(drop (memory.grow (i32.const 15))) unreachable"
    said = run(wat("", full), limits=Limits(memory=1 << 20)).outcome.message
    assert "1,048,576 of the 1,048,576 bytes allowed" in said


def test_tables_and_many_memories_are_bounded() -> None:
    grow = "(if (i32.ne (table.grow 0 (ref.null func) (i32.const 2000)) (i32.const -1)) (then unreachable))"
    ran = run(wat("", grow, extra="(table 1 funcref)"), limits=Limits(table_elements=1000))
    assert ran.outcome.ok, ran.outcome
    many = load(f'(module {"(memory 10)" * 20} (func (export "_start")))'.encode())
    outcome = run(many, limits=Limits(memory=10 << 20)).outcome
    assert (outcome.kind, "shared by 20 memories" in outcome.message) == ("limit", True)


def test_endless_recursion_is_a_trap_in_words() -> None:
    guest = load(b'(module (func $f (call $f)) (func (export "_start") (call $f)))')
    ran = run(guest)
    assert ran.outcome.message == "the program's call stack is exhausted: endless recursion, most likely"
    assert ran.outcome.frames[0].function == "f"


# ---- output and input


def write(text: str, times: int = 1) -> str:
    return f"""
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {len(text)}))
      (local.set $i (i32.const {times}))
      (loop $w
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $w (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"""


def pumped(pump: Pump) -> dict[str, Any]:
    return {"pump": pump, "stdout": CallbackOutput(pump.stdout), "stderr": CallbackOutput(pump.stderr)}


def test_output_arrives_whole_in_order_and_in_the_serving_thread() -> None:
    got: list[tuple[str, bytes]] = []
    threads = set()

    def sink(name: str) -> Any:
        def take(data: bytes) -> None:
            got.append((name, data))
            threads.add(threading.current_thread())

        return take

    pump = Pump(sink("out"), sink("err"))
    ran = run(wat("fd_write", write("ab", 20_000), extra='(data (i32.const 64) "ab")'), **pumped(pump))
    assert ran.outcome.ok
    assert threads == {threading.current_thread()}
    assert b"".join(data for name, data in got if name == "out") == b"ab" * 20_000
    assert b"".join(data for name, data in got if name == "err") == b"ab" * 20_000
    assert [name for name, _ in got[:4]] == ["out", "err", "out", "err"]


def test_an_error_of_the_listener_ends_the_run_and_comes_out() -> None:
    def broken(data: bytes) -> None:
        raise BrokenPipeError

    body = write("ab") + ENDLESS
    with pytest.raises(BrokenPipeError):
        run(wat("fd_write", body, extra='(data (i32.const 64) "ab")'), **pumped(Pump(broken)))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("grüße", "grüße\n".encode()), (b"raw", b"raw"), (None, b""), (b"", b""), (EOFError(), b"")],
)
def test_input_is_asked_for_in_the_serving_thread(answer: Any, expected: bytes) -> None:
    asked = []

    def ask() -> Any:
        asked.append(threading.current_thread())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    pump = Pump(on_input=ask)
    interrupt = Interrupt()
    pump.stdin = AskInput(pump.want_input, interrupt)
    body = READ + "(call $proc_exit (i32.load (i32.const 8)))"
    ran = run(wat("fd_read proc_exit", body), pump=pump, stdin=pump.stdin, interrupt=interrupt)
    assert ran.outcome.exit_code == len(expected)
    assert asked == [threading.current_thread()]
    assert ran.calls[0].data == expected


def test_an_interrupt_while_a_person_types_ends_the_run() -> None:
    def ask() -> str:
        raise KeyboardInterrupt

    pump = Pump(on_input=ask)
    interrupt = Interrupt()
    pump.stdin = AskInput(pump.want_input, interrupt)
    ran = run(wat("fd_read", READ + ENDLESS), pump=pump, stdin=pump.stdin, interrupt=interrupt)
    assert ran.outcome.kind == "interrupt"


def test_without_a_listener_input_is_at_its_end() -> None:
    pump = Pump()
    pump.stdin = QueueInput(pump.want_input)
    assert run(wat("fd_read", READ), pump=pump, stdin=pump.stdin).outcome.ok


def test_the_guest_runs_in_the_context_of_its_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("cell", default="none")
    seen = []

    def note(original: Any, buffer: memoryview) -> None:
        seen.append((variable.get(), threading.current_thread().name))

    variable.set("this cell")
    run(wat("random_get", "(drop (call $random_get (i32.const 0) (i32.const 1)))"), overrides={"random_get": note})
    assert seen[0][0] == "this cell"
    assert seen[0][1].startswith("wasilab")


# ---- detached, compiling, engines


def test_a_detached_run_goes_on_and_tells_when_it_is_done() -> None:
    host = Host()
    told = threading.Event()
    running = start(wat("", ENDLESS), host)
    running.on_done(told.set)
    assert running.wait(0.05) is None
    assert running.state in ("compiling", "running")
    running.interrupt()
    assert running.wait(60) is not None
    assert told.is_set()
    again: list[bool] = []
    running.on_done(lambda: again.append(running.done.is_set()))
    assert again == [True]
    host.close()


def test_listeners_run_before_the_run_counts_as_done() -> None:
    order: list[bool] = []
    host = Host()
    running = start(wat("", ENDLESS), host)
    running.on_done(lambda: order.append(running.done.is_set()))
    running.interrupt()
    running.wait(60)
    assert order == [False]
    host.close()


def test_compiling_is_told_of_and_an_interrupt_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = engines.acquire
    release = threading.Event()
    returned: list[Any] = []

    def slow(*args: Any, **more: Any) -> Any:
        release.wait(60)
        lent = real(*args, **more)
        returned.append(lent)
        return lent

    monkeypatch.setattr(engines, "acquire", slow)
    told: list[float] = []

    def compiling(elapsed: float) -> None:
        told.append(elapsed)
        if len(told) == 3:
            raise KeyboardInterrupt

    closed = threading.Event()
    host = Host()
    running = start(wat("", ENDLESS), host)
    running.on_done(closed.set)
    outcome = Pump(on_compiling=compiling).serve(running)
    assert outcome.message == "the run was interrupted while it was compiled"
    assert closed.is_set()
    assert told[0] > 0.5
    release.set()
    host.close()


def test_the_next_run_of_the_same_bytes_does_not_compile() -> None:
    guest = wat("", f"(drop (i32.const {time.time_ns() % 10**9}))")
    assert run(guest).outcome.compile_seconds > 0
    assert run(guest).outcome.compile_seconds == 0
    engines.clear()
    assert run(guest).outcome.compile_seconds > 0


def test_two_runs_at_once_have_engines_of_their_own() -> None:
    guest = wat("", ENDLESS)
    hosts = [Host(), Host()]
    first, second = (start(guest, host) for host in hosts)
    while "compiling" in (first.state, second.state):
        time.sleep(0.001)
    first.interrupt()
    assert first.wait(60) is not None
    assert second.wait(0.1) is None
    second.interrupt()
    assert second.wait(60) is not None
    for host in hosts:
        host.close()


def test_a_task_that_fails_is_an_outcome() -> None:
    from wasilab.engine.session import Session

    def task() -> Any:
        raise RuntimeError("boom")

    host = Host()
    worker = Worker("test")
    running = Running(Session(wat("", ""), host, None, Limits()), task, worker, None).begin()
    outcome = running.wait(60)
    worker.end()
    assert outcome is not None
    assert (outcome.kind, "RuntimeError: boom" in outcome.message) == ("error", True)
    assert "boom" in outcome.detail
    host.close()


def test_output_that_nobody_takes_yet_costs_its_bytes_and_keeps_each_streams_order() -> None:
    """A guest that prints one byte at a time, to both streams in turn, while the pump waits for a person."""
    seen: list[tuple[int, bytes]] = []
    pump = Pump(on_stdout=lambda data: seen.append((1, data)), on_stderr=lambda data: seen.append((2, data)))
    out, err = b"", b""
    for number in range(3 * MAX_PIECES):
        pump.stdout(b"")
        pump.stdout(bytes([number & 255]))
        pump.stderr(bytes([number >> 4 & 255]))
        out += bytes([number & 255])
        err += bytes([number >> 4 & 255])
    assert len(pump._pending) == MAX_PIECES
    host = Host()
    running = start(wat("", ""), host)
    assert pump.serve(running).ok
    assert b"".join(data for stream, data in seen if stream == 1) == out
    assert b"".join(data for stream, data in seen if stream == 2) == err
    assert seen[:3] == [(1, b"\0"), (2, b"\0"), (1, b"\1")]
    assert len(seen) == MAX_PIECES
    host.close()


def test_a_run_ends_even_when_its_end_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no warnings to be had")

    monkeypatch.setattr(Host, "remarks", broken)
    ran = run(wat("", ""))
    assert ran.outcome.kind == "error"
    assert "This is a bug of wasilab" in ran.outcome.message
    assert "no warnings to be had" in ran.outcome.detail
