"""The accessor: bounds, alignment, wrapping, growth, hostile counts, views that outlive the run."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from wasilab.module.module import Module

from .guests import run, wat

PAGE = 65536


def call_with(name: str, arguments: str, **more: Any) -> Module:
    """A guest that makes one call and exits with its errno."""
    return wat(f"{name} proc_exit", f"(call $proc_exit (call ${name} {arguments}))", **more)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("clock_time_get", "(i32.const 1) (i64.const 0) (i32.const 65536)", "result.time=0x10000"),
        ("clock_time_get", "(i32.const 1) (i64.const 0) (i32.const 65529)", "aligned to 8"),
        ("clock_time_get", "(i32.const 1) (i64.const 0) (i32.const 65528)", None),
        ("clock_time_get", "(i32.const 1) (i64.const 0) (i32.const -8)", "result.time=0xfffffff8"),
        ("clock_time_get", "(i32.const 1) (i64.const 0) (i32.const 0x80000000)", "result.time=0x80000000"),
        ("fd_write", "(i32.const 1) (i32.const 65534) (i32.const 1) (i32.const 0)", "iovs=0xfffe is not aligned"),
        ("fd_write", "(i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 0)", "iovs=0xfffc with 8 bytes"),
        ("fd_write", "(i32.const 1) (i32.const 0) (i32.const 0x20000000) (i32.const 0)", "4,294,967,296 bytes"),
        ("fd_write", "(i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0)", "lies outside"),
        ("fd_write", "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65533)", "not aligned"),
        ("random_get", "(i32.const 1) (i32.const -1)", "buf=0x1 with 4,294,967,295 bytes"),
        ("random_get", "(i32.const 0xffff0000) (i32.const 0x20000)", "buf=0xffff0000"),
        ("random_get", "(i32.const 65536) (i32.const 0)", None),
        ("poll_oneoff", "(i32.const 0) (i32.const 0) (i32.const 0x10000000) (i32.const 0)", "in=0x0 with"),
        ("poll_oneoff", "(i32.const 4) (i32.const 64) (i32.const 1) (i32.const 0)", "in=0x4 is not aligned"),
        ("poll_oneoff", "(i32.const 0) (i32.const 65528) (i32.const 1) (i32.const 0)", "out=0xfff8"),
        ("args_get", "(i32.const 2) (i32.const 0)", "pointer array=0x2 is not aligned"),
        ("args_get", "(i32.const 0) (i32.const 65535)", "string buffer"),
        ("args_sizes_get", "(i32.const 0) (i32.const 65536)", "result.argv_buf_size"),
    ],
)
def test_a_bad_pointer_traps_and_names_call_and_pointer(name: str, arguments: str, said: str | None) -> None:
    ran = run(call_with(name, arguments))
    if said is None:
        assert (ran.outcome.kind, ran.outcome.exit_code) == ("exit", 0)
        return
    assert (ran.outcome.kind, ran.outcome.exit_code) == ("trap", 134)
    assert ran.outcome.message.startswith(name)
    assert said in ran.outcome.message
    assert ran.outcome.frames[0].function in ("start", "_start")
    last = ran.calls[-1]
    assert (last.name, last.errno, last.reason) == (name, None, ran.outcome.message)


def test_growth_during_the_run_is_noticed_and_old_pointers_still_work() -> None:
    body = """
      (if (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)) (then unreachable))
      (loop $grow
        (if (i32.ne (memory.grow (i32.const 1)) (i32.sub (memory.size) (i32.const 1))) (then unreachable))
        (if (call $clock_time_get (i32.const 1) (i64.const 0)
              (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))) (then unreachable))
        (if (i64.eqz (i64.load (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))))
          (then unreachable))
        (if (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)) (then unreachable))
        (br_if $grow (i32.lt_u (memory.size) (i32.const 50))))
      (if (i64.eqz (i64.load (i32.const 16))) (then unreachable))"""
    ran = run(wat("clock_time_get", body))
    assert ran.outcome.ok, ran.outcome
    assert len(ran.trace) == 1 + 2 * 49


def test_pointers_above_two_gigabytes_are_unsigned() -> None:
    body = """
      (i32.store (i32.const 0x90000000) (i32.const 0x90000010)) (i32.store (i32.const 0x90000004) (i32.const 3))
      (i32.store8 (i32.const 0x90000010) (i32.const 97)) (i32.store8 (i32.const 0x90000011) (i32.const 98))
      (i32.store8 (i32.const 0x90000012) (i32.const 99))
      (if (call $fd_write (i32.const 1) (i32.const 0x90000000) (i32.const 1) (i32.const 0x90000020))
        (then unreachable))
      (if (i32.ne (i32.load (i32.const 0x90000020)) (i32.const 3)) (then unreachable))"""
    from wasilab.engine.limits import Limits

    ran = run(wat("fd_write", body, memory="40000"), limits=Limits(memory=4 << 30))
    assert ran.outcome.ok, ran.outcome
    assert ran.stdout == b"abc"
    assert ran.calls[0].args["iovs"][0].ptr == 0x90000010


def test_the_last_byte_of_a_memory_of_four_gigabytes_can_be_used() -> None:
    body = """
      (if (call $random_get (i32.const -1) (i32.const 1)) (then unreachable))
      (if (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const -8)) (then unreachable))
      (if (i64.eqz (i64.load (i32.const -8))) (then unreachable))
      (drop (call $random_get (i32.const -1) (i32.const 2)))"""
    from wasilab.engine.limits import Limits

    ran = run(wat("random_get clock_time_get", body, memory="65536"), limits=Limits(memory=4 << 30))
    assert ran.outcome.kind == "trap"
    assert "buf=0xffffffff with 2 bytes" in ran.outcome.message
    assert [c.errno for c in ran.calls] == [0, 0, None]


def test_too_many_buffers_are_refused_without_reading_them() -> None:
    ran = run(call_with("fd_write", "(i32.const 1) (i32.const 0) (i32.const 1025) (i32.const 0)"))
    assert ran.outcome.exit_code == 28
    assert "1,025 buffers" in ran.calls[0].reason
    ok = run(call_with("fd_write", "(i32.const 1) (i32.const 64) (i32.const 1024) (i32.const 0)"))
    assert ok.outcome.ok


def test_too_many_subscriptions_are_refused() -> None:
    ran = run(call_with("poll_oneoff", "(i32.const 0) (i32.const 0) (i32.const 4097) (i32.const 0)", memory="8"))
    assert ran.outcome.exit_code == 28
    assert "4,097 subscriptions" in ran.calls[0].reason


def test_a_buffer_over_its_own_array_is_read_from_a_snapshot() -> None:
    # Two buffers; the first one, 8 bytes of stdin, lies over the second's entry in the array.
    from wasilab.capabilities.streams import BytesInput

    body = """
      (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 8))
      (i32.store (i32.const 8) (i32.const 512)) (i32.store (i32.const 12) (i32.const 4))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 256)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 512)) (i32.const 0x64636261)) (then unreachable))"""
    ran = run(wat("fd_read", body), stdin=BytesInput(b"\xff" * 8 + b"abcd"))
    assert ran.outcome.ok, ran.outcome
    assert [(v.ptr, v.len) for v in ran.calls[0].args["iovs"]] == [(8, 8), (512, 4)]
    assert ran.calls[0].data == b"\xff" * 8 + b"abcd"


def test_a_path_longer_than_4096_bytes_is_nametoolong_and_not_copied() -> None:
    from wasilab.capabilities.memory.memdir import MemDir

    ran = run(
        call_with("path_create_directory", "(i32.const 3) (i32.const 0) (i32.const 4097)"), preopens={"/": MemDir()}
    )
    assert ran.outcome.exit_code == 37
    assert "4,097 bytes" in ran.calls[0].reason


def test_a_module_without_memory_may_make_calls_without_pointers_only() -> None:
    from wasilab.module.module import load

    from .guests import imports

    text = f"""(module {imports("sched_yield", "random_get")}
      (func (export "_start") (drop (call $sched_yield)) (drop (call $random_get (i32.const 0) (i32.const 1)))))"""
    ran = run(load(text.encode()))
    assert ran.outcome.kind == "trap"
    assert ran.outcome.message == 'random_get needs the module\'s memory, but it exports none under the name "memory"'
    assert [c.errno for c in ran.calls] == [0, None]


def test_a_64_bit_memory_is_refused_when_it_is_used() -> None:
    from wasilab.module.module import load

    from .guests import imports

    text = f"""(module {imports("random_get")} (memory (export "memory") i64 1)
      (func (export "_start") (drop (call $random_get (i32.const 0) (i32.const 1)))))"""
    ran = run(load(text.encode()))
    assert ran.outcome.kind == "trap"
    assert "64-bit memory" in ran.outcome.message


def test_a_kept_view_does_not_dangle_after_the_run() -> None:
    kept: list[memoryview] = []

    def keep(original: Any, buffer: memoryview) -> None:
        buffer[:] = b"k" * len(buffer)
        kept.append(buffer)

    ran = run(call_with("random_get", "(i32.const 100) (i32.const 50)"), overrides={"random_get": keep})
    assert ran.outcome.ok
    del ran
    gc.collect()
    for _ in range(20):  # other memories would take the addresses if they were free
        run(call_with("random_get", "(i32.const 0) (i32.const 65536)"))
    gc.collect()
    assert kept[0].tobytes() == b"k" * 50
    kept[0][0] = 1


def test_limits_io_cuts_a_read_short() -> None:
    from wasilab.capabilities.streams import BytesInput

    body = """
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 32)) (i32.const 100)) (then unreachable))"""
    ran = run(wat("fd_read", body), stdin=BytesInput(b"x" * 1000), max_io=100)
    assert ran.outcome.ok, ran.outcome


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("names", "body"),
    [
        ("random_get", "(drop (call $random_get (i32.const 0) (i32.const 8)))"),
        ("proc_exit", "(call $proc_exit (i32.const 0))"),
        ("random_get", "(drop (call $random_get (i32.const -1) (i32.const 8)))"),
        ("fd_close", "(drop (call $fd_close (i32.const 50))) unreachable"),
    ],
    ids=["return", "exit", "bad pointer", "trap"],
)
def test_the_guests_memory_is_freed_with_the_run_without_the_garbage_collector(
    names: str, body: str, raw: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    import wasmtime

    stores: list[weakref.ref[Any]] = []
    real = wasmtime.Store

    class Watched(real):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            stores.append(weakref.ref(self))

    monkeypatch.setattr(wasmtime, "Store", Watched)
    gc.collect()
    gc.disable()
    try:
        ran = run(wat(names, body), raw=raw, stacks=True)
        assert ran.calls
        assert len(stores) == 1
        assert stores[0]() is None
    finally:
        gc.enable()
