"""The threads behind a run: one for all calls of an instance, gone with it; one sleeper for all its time limits."""

from __future__ import annotations

import contextvars
import gc
import signal
import threading
import time
from typing import Any

import pytest

import wasilab
from wasilab.engine.threads import TimeLimit, Worker
from wasilab.module.module import from_wat

LIBRARY = from_wat(
    """(module
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "spin") (loop $l (br $l))))""",
    name="threaded",
)


def named(name: str) -> list[threading.Thread]:
    """The living threads of that name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


def gone(name: str) -> bool:
    """Whether there is no thread of that name, those that are just ending given the time."""
    deadline = time.monotonic() + 60
    while named(name) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return not named(name)


def test_all_calls_of_an_instance_share_one_thread_that_goes_with_it() -> None:
    with wasilab.instantiate(LIBRARY) as inst:
        (thread,) = named("wasilab threaded")
        for number in range(50):
            assert inst.exports.add(number, 1) == number + 1
        assert named("wasilab threaded") == [thread]
    assert gone("wasilab threaded")


def test_an_instance_that_is_forgotten_leaves_no_thread() -> None:
    inst = wasilab.instantiate(LIBRARY, wasilab.Grants(limits=wasilab.Limits(seconds=1000)))
    assert inst.exports.add(1, 1) == 2
    del inst
    assert gone("wasilab threaded")


def test_an_interrupted_call_ends_the_instance_and_its_thread() -> None:
    """A real SIGINT while the main thread waits for the instance's own."""
    inst = wasilab.instantiate(LIBRARY)
    assert inst.exports.add(1, 1) == 2
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    timer.start()
    with pytest.raises(wasilab.GuestError, match="interrupted"):
        inst.exports.spin()
    assert gone("wasilab threaded")
    assert inst.closed
    inst.close()


def test_the_time_limit_is_of_each_call_and_not_of_all() -> None:
    grants = wasilab.Grants(limits=wasilab.Limits(seconds=0.3))
    with wasilab.instantiate(LIBRARY, grants) as inst:
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            assert inst.exports.add(2, 2) == 4
        assert len(named("wasilab time limit")) == 1
        with pytest.raises(wasilab.GuestError, match=r"the time limit of 0\.3 s is over"):
            inst.exports.spin()
    assert gone("wasilab time limit")


def test_tasks_come_in_order_each_in_the_context_of_its_giver() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    worker, seen, done = Worker("in order"), [], threading.Event()
    for number in range(5):
        variable.set(number)
        worker.do(lambda: seen.append((variable.get(), threading.current_thread().name)))
    worker.do(done.set)
    assert done.wait(60)
    assert seen == [(number, "in order") for number in range(5)]
    worker.end()
    worker.end()
    assert gone("in order")


def test_a_worker_holds_nothing_of_a_task_that_is_over() -> None:
    import weakref

    class Thing:
        pass

    worker, done = Worker("holding"), threading.Event()
    thing = Thing()
    known = weakref.ref(thing)

    def task(held: Any = thing) -> None:
        assert held is not None
        done.set()

    worker.do(task)
    assert done.wait(60)
    del thing, task
    deadline = time.monotonic() + 5
    while known() is not None and time.monotonic() < deadline:
        gc.collect()
    assert known() is None
    worker.end()


def test_a_time_limit_fires_once_and_not_when_disarmed_or_closed() -> None:
    fired: list[str] = []
    limit = TimeLimit(0.1)
    limit.arm(lambda: fired.append("disarmed"))
    limit.disarm()
    limit.arm(lambda: fired.append("replaced"))
    rung = threading.Event()
    limit.arm(lambda: (fired.append("armed"), rung.set()))
    assert rung.wait(60)
    limit.arm(lambda: fired.append("closed"))
    limit.close()
    limit.arm(lambda: fired.append("after"))
    assert gone("wasilab time limit")
    assert fired == ["armed"]


def test_a_call_that_was_given_up_lets_go_when_it_returns() -> None:
    """A host call that cannot be stopped: two interrupts leave it to itself, and its thread ends with it."""
    begun, leave = threading.Event(), threading.Event()

    def stuck(original: Any, buffer: memoryview) -> None:
        begun.set()
        leave.wait(60)

    text = """(module (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
      (memory (export "memory") 1) (func (export "ask") (drop (call $r (i32.const 0) (i32.const 8)))))"""
    inst = wasilab.instantiate(
        from_wat(text, name="stuck"), wasilab.Grants(overrides={"random_get": stuck}),
    )  # fmt: skip

    def twice() -> None:
        assert begun.wait(60)
        for _ in range(2):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.15)

    other = threading.Thread(target=twice)
    other.start()
    with pytest.raises(wasilab.GuestError, match="has not returned yet and is left to itself"):
        inst.exports.ask()
    other.join(60)
    assert inst.closed
    assert len(named("wasilab stuck")) == 1
    inst.close()
    assert len(named("wasilab stuck")) == 1
    leave.set()
    assert gone("wasilab stuck")
