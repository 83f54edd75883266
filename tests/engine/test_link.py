"""Linking: both ways into Python give the same trace; start functions; absent, odd, many and missing imports."""

from __future__ import annotations

from typing import Any

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import BytesInput
from wasilab.engine.calls import raw as raw_calls
from wasilab.module.module import load
from wasilab.trace.record.recorder import Flag
from wasilab.wasi.types import Errno, ProcExit, WasiError

from .guests import imports, run, wat

EVERYTHING = """
  (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
  (i32.store (i32.const 8) (i32.const 69)) (i32.store (i32.const 12) (i32.const 6))
  (drop (call $args_sizes_get (i32.const 512) (i32.const 516)))
  (drop (call $args_get (i32.const 520) (i32.const 600)))
  (drop (call $clock_time_get (i32.const 0) (i64.const -1) (i32.const 512)))
  (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 128) (i32.const 5) (i32.const 1)
    (i64.const 0x1fffffff) (i64.const -1) (i32.const 0) (i32.const 40)))
  (drop (call $fd_write (i32.load (i32.const 40)) (i32.const 0) (i32.const 2) (i32.const 48)))
  (drop (call $fd_pwrite (i32.load (i32.const 40)) (i32.const 0) (i32.const 1) (i64.const 0x100000002) (i32.const 48)))
  (drop (call $fd_seek (i32.load (i32.const 40)) (i64.const -3) (i32.const 1) (i32.const 48)))
  (drop (call $fd_seek (i32.load (i32.const 40)) (i64.const -9223372036854775808) (i32.const 0) (i32.const 48)))
  (drop (call $fd_read (i32.load (i32.const 40)) (i32.const 0) (i32.const 1) (i32.const 48)))
  (drop (call $fd_read (i32.const 77) (i32.const 0) (i32.const 1) (i32.const 48)))
  (drop (call $fd_filestat_get (i32.load (i32.const 40)) (i32.const 1024)))
  (drop (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 1024)))
  (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 140) (i32.const 11) (i32.const 0)
    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 44)))
  (drop (call $path_link (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 3) (i32.const 152)
    (i32.const 4)))
  (drop (call $fd_readdir (i32.const 3) (i32.const 2048) (i32.const 100) (i64.const 0) (i32.const 48)))
  (drop (call $random_get (i32.const 4096) (i32.const 200)))
  (i64.store (i32.const 3000) (i64.const 7)) (i32.store8 (i32.const 3008) (i32.const 1))
  (i32.store (i32.const 3016) (i32.load (i32.const 40)))
  (drop (call $poll_oneoff (i32.const 3000) (i32.const 3200) (i32.const 1) (i32.const 48)))
  (drop (call $fd_renumber (i32.load (i32.const 40)) (i32.const 0)))
  (drop (call $fd_close (i32.const 0)))
  (call $proc_exit (i32.const -1))"""
NAMES = (
    "args_sizes_get args_get clock_time_get path_open fd_write fd_pwrite fd_seek fd_read fd_filestat_get "
    "path_filestat_get path_link fd_readdir random_get poll_oneoff fd_renumber fd_close proc_exit"
)
DATA = '(data (i32.const 64) "helloworld!") (data (i32.const 128) "a.txt") (data (i32.const 140) "../etc/pass") ' \
       '(data (i32.const 152) "b.tx")'  # fmt: skip


def columns(ran: Any) -> list[tuple[Any, ...]]:
    """All of the trace but the times."""
    return [
        (
            c.name, c.errno, c.denied_by, c.reason, c.args, c.result, c.path, c.flags, c.nbytes, c.data,
            [f.function for f in c.stack],
        )
        for c in ran.calls
    ]  # fmt: skip


@pytest.mark.parametrize("module", ["wasi_snapshot_preview1", "wasi_unstable"])
def test_the_raw_and_the_public_way_give_the_same_trace(module: str) -> None:
    assert raw_calls.AVAILABLE, "this wasmtime-py has no raw callbacks: the tested range in pyproject.toml is wrong"
    guest = wat(NAMES, EVERYTHING, extra=DATA, module=module)
    rans = [
        run(
            guest, raw=raw, stacks=True, args=[b"prog", b"x y"], preopens={"/": MemDir()}, stdin=BytesInput(b"in"),
            clocks=Clocks.frozen(5), random=Random.seeded(1),
        )
        for raw in (True, False)
    ]  # fmt: skip
    quick, slow = (columns(ran) for ran in rans)
    times = {"dev", "ino", "atim", "mtim", "ctim"}
    assert len(quick) == len(slow) == len(NAMES.split()) + 3
    for one, other in zip(quick, slow, strict=True):
        if "filestat" in one[0]:
            assert one[5]["filestat"]._replace(**dict.fromkeys(times, 0)) == other[5]["filestat"]._replace(
                **dict.fromkeys(times, 0)
            )
            one, other = one[:5] + one[6:], other[:5] + other[6:]
        assert one == other
    assert [ran.outcome.exit_code for ran in rans] == [0xFFFFFFFF] * 2
    assert all(bool(c.flags & Flag.UNSTABLE) == (module == "wasi_unstable") for c in rans[0].calls)
    by_name = {c.name: c for c in rans[0].calls}
    assert by_name["clock_time_get"].args["precision"] == 2**64 - 1
    assert by_name["clock_time_get"].result == {"time": 5}
    assert by_name["path_link"].args["new_path"] == "b.tx"
    assert by_name["args_get"].data == b"prog\0x y\0"
    refused = [(c.name, c.errno, c.denied_by.name) for c in rans[0].calls if c.denied_by]
    assert refused == [("fd_pwrite", Errno.NOSPC, "QUOTA"), ("path_open", Errno.PERM, "PATH")]
    seeks = [c for c in rans[0].calls if c.name == "fd_seek"]
    assert seeks[0].args["offset"] == -3
    assert rans[0].calls[0].stack[0].function == "start"


def test_without_the_private_bindings_the_public_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_calls, "AVAILABLE", False)
    monkeypatch.setattr(raw_calls, "function", None)
    monkeypatch.setattr("wasilab.engine.calls.stacks._RAW", False)
    ran = run(wat("sched_yield proc_exit", "(call $proc_exit (call $sched_yield))"), stacks=True)
    assert ran.outcome.ok
    assert [call.stack[0].function for call in ran.calls] == ["start", "start"]


def test_whence_is_numbered_otherwise_in_the_old_snapshot() -> None:
    body = """
      (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 0)
        (i64.const 0x26) (i64.const 0) (i32.const 0) (i32.const 40)))
      (if (call $fd_seek (i32.load (i32.const 40)) (i64.const -1) (i32.const 1) (i32.const 48)) (then unreachable))
      (call $proc_exit (i32.wrap_i64 (i64.load (i32.const 48))))"""
    guest = wat("path_open fd_seek proc_exit", body, extra=DATA, module="wasi_unstable")
    ran = run(guest, preopens={"/": MemDir({"a.txt": b"0123456789"})})
    assert ran.outcome.exit_code == 9  # 1 is END there, CUR in preview 1


def test_a_start_function_may_call_wasi_during_instantiation() -> None:
    text = f"""(module {imports("fd_write", "proc_exit")} (memory (export "memory") 1) (data (i32.const 64) "early")
      (func $first (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
      (start $first) (func (export "_start")))"""
    for raw in (True, False):
        ran = run(load(text.encode()), raw=raw)
        assert ran.outcome.ok
        assert ran.stdout == b"early"
    leaving = text.replace("(i32.const 8))))", "(i32.const 8))) (call $proc_exit (i32.const 7)))")
    assert run(load(leaving.encode())).outcome.exit_code == 7
    trapping = text.replace("(i32.const 8))))", "(i32.const 8))) unreachable)")
    outcome = run(load(trapping.encode())).outcome
    assert (outcome.kind, outcome.frames[0].function) == ("trap", "first")


@pytest.mark.parametrize("raw", [True, False])
def test_an_unknown_name_and_another_signature_answer_enosys_and_are_recorded(raw: bool) -> None:
    text = """(module
      (import "wasi_snapshot_preview1" "fd_teleport" (func $t (param i32 i64 f64) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $x (param i32)))
      (import "wasi_unstable" "sock_accept" (func $a (param i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "note" (func $n (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (if (i32.ne (call $t (i32.const -1) (i64.const 2) (f64.const 3)) (i32.const 52)) (then unreachable))
        (if (i32.ne (call $w (i32.const 9)) (i32.const 52)) (then unreachable))
        (if (i32.ne (call $a (i32.const 3) (i32.const 0) (i32.const 0)) (i32.const 52)) (then unreachable))
        (call $n (i32.const 4))
        (call $x (i32.const 3))))"""
    ran = run(load(text.encode()), raw=raw)
    assert ran.outcome.exit_code == 3
    assert [int(c.flags) & Flag.NOSYS for c in ran.calls] == [Flag.NOSYS] * 4 + [0]
    assert [c.errno for c in ran.calls] == [Errno.NOSYS] * 4 + [None]
    assert ran.calls[1].name == "fd_write"
    assert ran.calls[0].reason == "wasi_snapshot_preview1.fd_teleport is not a call of WASI preview 1"
    assert "imported as (i32) -> (i32), not as (i32, i32, i32, i32) -> (i32)" in ran.calls[1].reason
    assert len(ran.outcome.warnings) == 4
    assert "sock_accept" in " ".join(ran.outcome.warnings)


def test_an_unknown_name_that_returns_something_else_ends_the_program_when_called() -> None:
    text = """(module (import "wasi_snapshot_preview1" "pi" (func $pi (result f64))) (memory (export "memory") 1)
      (func (export "_start") (drop (call $pi))))"""
    for raw in (True, False):
        outcome = run(load(text.encode()), raw=raw).outcome
        assert (outcome.kind, outcome.message) == ("trap", "wasi_snapshot_preview1.pi is not a call of WASI preview 1")


def test_the_same_name_may_be_imported_twice_with_two_signatures() -> None:
    text = """(module
      (import "wasi_snapshot_preview1" "sched_yield" (func $a (result i32)))
      (import "wasi_snapshot_preview1" "sched_yield" (func $b (param i64) (result i32)))
      (import "wasi_snapshot_preview1" "sched_yield" (func $c (result i32)))
      (func (export "_start")
        (if (call $a) (then unreachable)) (if (call $c) (then unreachable))
        (if (i32.ne (call $b (i64.const 1)) (i32.const 52)) (then unreachable))))"""
    ran = run(load(text.encode()))
    assert ran.outcome.ok
    assert [c.errno for c in ran.calls] == [0, 0, Errno.NOSYS]


def test_ten_thousand_imports_are_linked() -> None:
    lines = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func (param {params}) (result i32)))'
        for name, params in (("sched_yield", ""), ("fd_close", "i32"), ("nothing_like_it", "i64"))
        for _ in range(3334)
    )
    body = "(drop (call 0)) (drop (call 3333)) (drop (call 3334 (i32.const 9)))"
    text = f'(module {lines} (func (export "_start") {body}))'
    ran = run(load(text.encode()))
    assert ran.outcome.ok, ran.outcome
    assert [c.name for c in ran.calls] == ["sched_yield", "sched_yield", "fd_close"]


def test_missing_imports_are_named_in_one_sentence() -> None:
    text = """(module (import "env" "sin" (func (param f64) (result f64))) (import "env" "table" (table 1 funcref))
      (import "env" "memory" (memory 1)) (import "my lib" "g" (global i32)) (func (export "_start")))"""
    outcome = run(load(text.encode())).outcome
    assert (outcome.kind, outcome.exit_code) == ("error", 1)
    assert outcome.message.startswith("module imports what nothing here provides: function env.sin, table env.table, ")
    assert "memory env.memory, global my lib.g;" in outcome.message
    assert "--preload env=FILE" in outcome.message


def test_a_preload_has_its_own_memory_and_its_own_column_in_the_trace() -> None:
    library = load(
        f"""(module {imports("random_get", "fd_write")} (memory (export "memory") 1) (data (i32.const 64) "lib\\n")
          (func (export "say") (param i32) (result i32)
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 4))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.add (local.get 0) (i32.const 1))))""".encode(),
        name="lib",
    )
    text = f"""(module (import "lib" "say" (func $say (param i32) (result i32))) {imports("fd_write", "proc_exit")}
      (memory (export "memory") 1) (data (i32.const 64) "main\\n")
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $proc_exit (call $say (i32.const 41)))))"""
    ran = run(load(text.encode()), preload={"lib": library})
    assert ran.outcome.exit_code == 42
    assert ran.stdout == b"main\nlib\n"
    assert [(c.name, c.instance) for c in ran.calls] == [("fd_write", 0), ("fd_write", 1), ("proc_exit", 0)]
    missing = run(load(text.encode()), preload={"lib": load(b"(module)")}).outcome
    assert "function lib.say" in missing.message
    wrong = run(load(text.encode()), preload={"lib": load(b'(module (func (export "say")))')}).outcome
    assert wrong.kind == "error"
    assert "incompatible import type" in wrong.message


# ---- what goes wrong in the host


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), KeyError("x"), GeneratorExit()])
def test_an_exception_in_a_capability_is_a_report_never_a_dead_process(raw: bool, error: BaseException) -> None:
    class BadFile(BytesInput):
        def read(self, buffers: Any) -> int:
            raise error

    body = """(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"""
    ran = run(wat("fd_read", body), stdin=BadFile(b""), raw=raw)
    assert (ran.outcome.kind, ran.outcome.exit_code) == ("error", 1)
    assert f"wasilab failed in fd_read: {type(error).__name__}" in ran.outcome.message
    assert "in read" in ran.outcome.detail
    assert ran.calls[-1].errno is None
    assert run(wat("", "")).outcome.ok


@pytest.mark.parametrize(
    ("error", "errno"),
    [
        (ValueError("x"), Errno.INVAL), (OverflowError(), Errno.INVAL), (OSError(5, "io"), Errno.IO),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "y"), Errno.ILSEQ), (MemoryError(), Errno.NOMEM),
        (WasiError(Errno.DQUOT, "enough"), Errno.DQUOT),
    ],
)  # fmt: skip
def test_an_expected_exception_is_an_errno(error: Exception, errno: Errno) -> None:
    class BadFile(BytesInput):
        def read(self, buffers: Any) -> int:
            raise error

    body = """(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
      (call $proc_exit (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"""
    ran = run(wat("fd_read proc_exit", body), stdin=BadFile(b""))
    assert ran.outcome.exit_code == errno
    assert ran.calls[0].errno == errno
    assert [(v.ptr, v.len) for v in ran.calls[0].args["iovs"]] == [(64, 5)]


def test_path_open_with_a_bad_result_pointer_opens_nothing() -> None:
    directory = MemDir({"a.txt": b"x"})
    body = """(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 9)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 65534)))"""
    opened = []
    ran = run(
        wat("path_open", body, extra=DATA), preopens={"/": directory},
        overrides={"path_open": lambda original, *a: opened.append(a) or original(*a)},
    )  # fmt: skip
    assert ran.outcome.kind == "trap"
    assert not opened
    assert directory.stat_path("a.txt", True).size == 1  # not truncated either


# ---- overrides


@pytest.mark.parametrize("raw", [True, False])
def test_an_override_answers_asks_the_original_refuses_or_exits(raw: bool) -> None:
    seen: list[Any] = []

    def clock(original: Any, clock_id: int, precision: int) -> int:
        seen.append((clock_id, precision))
        return original(clock_id, precision) + 5 if clock_id else 99

    def random(original: Any, buffer: memoryview) -> None:
        raise WasiError(Errno.ACCES, "not today")

    def leave(original: Any, code: int) -> None:
        raise ProcExit(code + 1)

    body = """
      (drop (call $clock_time_get (i32.const 0) (i64.const 3) (i32.const 8)))
      (if (i64.ne (i64.load (i32.const 8)) (i64.const 99)) (then unreachable))
      (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
      (if (i64.ne (i64.load (i32.const 8)) (i64.const 5)) (then unreachable))
      (if (i32.ne (call $random_get (i32.const 0) (i32.const 4)) (i32.const 2)) (then unreachable))
      (call $proc_exit (i32.const 20))"""
    ran = run(
        wat("clock_time_get random_get proc_exit", body), raw=raw, clocks=Clocks.frozen(1000),
        overrides={"clock_time_get": clock, "random_get": random, "proc_exit": leave},
    )  # fmt: skip
    assert ran.outcome.exit_code == 21
    assert seen == [(0, 3), (1, 0)]
    flags = [c.flags for c in ran.calls]
    assert flags == [Flag.OVERRIDE | Flag.INJECTED, Flag.OVERRIDE, *[Flag.OVERRIDE | Flag.INJECTED] * 2]
    assert ran.calls[2].reason == "not today"


@pytest.mark.parametrize(
    "wrong", [lambda o, *a: 1 / 0, lambda o, *a: "text", lambda o, *a: -1, lambda o, *a: None, lambda o: 1]
)
def test_a_failing_override_gives_the_guest_eio_and_is_shown(wrong: Any) -> None:
    body = """(call $proc_exit (call $clock_time_get (i32.const 0) (i64.const 3) (i32.const 8)))"""
    ran = run(wat("clock_time_get proc_exit", body), overrides={"clock_time_get": wrong})
    assert ran.outcome.exit_code == Errno.IO
    assert ran.calls[0].reason.startswith("the override of clock_time_get failed: ")
    assert any("the override of clock_time_get failed 1 time " in w for w in ran.outcome.warnings)
