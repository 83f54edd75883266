"""Entry points, exit codes, traps in words with frames and source lines, and instances that are kept alive."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

import wasilab
from wasilab.engine.instances import GuestError, Live
from wasilab.engine.limits import Limits
from wasilab.engine.outcome import Frame, Outcome
from wasilab.module.module import Module, from_wat, load
from wasilab.wasi.host import Host

from .guests import imports, run, wat

LIBRARY = load(
    f"""(module {imports("random_get", "proc_exit")} (memory (export "memory") 1)
      (global $n (mut i32) (i32.const 0))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
      (func (export "big") (param i64) (result i64) (local.get 0))
      (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
      (func (export "count") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
      (func (export "fill") (param i32 i32) (result i32) (call $random_get (local.get 0) (local.get 1)))
      (func (export "leave") (call $proc_exit (i32.const 5)))
      (func (export "boom") unreachable)
      (func (export "spin") (loop $l (br $l))))""".encode(),
    name="lib.wasm",
)
REACTOR = load(
    b"""(module (global $n (mut i32) (i32.const 0)) (func (export "_initialize") (global.set $n (i32.const 40)))
      (func (export "get") (param i32) (result i32) (i32.add (global.get $n) (local.get 0))))"""
)


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3), (126, 126), (255, 255), (-1, 0xFFFFFFFF)])
def test_exit_codes_are_reported_as_they_are(code: int, status: int) -> None:
    outcome = run(wat("proc_exit", f"(call $proc_exit (i32.const {code}))")).outcome
    assert (outcome.kind, outcome.exit_code, outcome.message) == ("exit", status, "")
    assert outcome.ok == (status == 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("unreachable", "the program executed 'unreachable'"),
        ("(drop (i32.load (i32.const -4)))", "touched memory outside"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divided an integer by zero"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer division overflowed"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "converted a number"),
        ("(call_indirect (i32.const 0))", "null function pointer"),
        ("(call_indirect (i32.const 9))", "table entry that does not exist"),
        ("(call_indirect (param i32) (i32.const 1) (i32.const 1))", "function pointer of another type"),
    ],
)
def test_traps_are_told_in_words_with_frames(body: str, words: str) -> None:
    extra = "(table 2 funcref) (elem (i32.const 1) $plain) (func $plain)"
    outcome = run(wat("", body, extra=extra)).outcome
    assert (outcome.kind, outcome.exit_code) == ("trap", 134)
    assert words in outcome.message
    assert outcome.frames[0].function == "start"
    assert outcome.frames[0].offset > 0


def test_the_frames_of_a_trap_are_innermost_first() -> None:
    text = """(module (func $inner unreachable) (func $middle (call $inner)) (func (export "_start") (call $middle)))"""
    outcome = run(load(text.encode())).outcome
    assert [f.function for f in outcome.frames] == ["inner", "middle", "_start"]
    assert str(Frame("f", "a.c", 3)) == "f at a.c:3"
    assert str(Frame("f", offset=16)) == "f at offset 0x10"


def test_an_exception_of_the_guest_that_nobody_catches_is_a_trap() -> None:
    text = b'(module (tag $e) (func (export "_start") (throw $e)))'
    outcome = run(load(text), switches=["exceptions"]).outcome
    assert (outcome.kind, outcome.exit_code) == ("trap", 134)
    assert outcome.message == "the program threw an exception that nothing caught"


def test_an_invalid_module_is_one_sentence() -> None:
    good = bytearray(wat("", "(drop (i32.const 1))").bytes)
    at = bytes(good).index(b"\x41\x01\x1a")
    good[at + 2] = 0x6A  # i32.add with one operand
    outcome = run(Module(bytes(good), "bad.wasm")).outcome
    assert (outcome.kind, outcome.exit_code) == ("error", 1)
    assert outcome.message.startswith("bad.wasm is not valid WebAssembly: ")
    assert "\n" not in outcome.message


def test_a_component_that_exports_nothing_is_one_sentence() -> None:
    outcome = run(Module(b"\0asm\x0d\0\1\0", "c.wasm")).outcome
    assert outcome.message == "c.wasm is a component that exports no function to run"


# ---- invoking


@pytest.mark.parametrize(
    ("name", "arguments", "results"),
    [
        ("add", (1, 2), (3,)), ("add", ("0xffffffff", "-5"), (-6,)), ("add", (2**32 - 1, 0), (-1,)),
        ("half", ("3",), (1.5,)), ("big", (2**64 - 1,), (-1,)), ("two", (), (1, 2)), ("boom", None, None),
    ],
)  # fmt: skip
def test_an_export_is_called_with_numbers_or_text(name: str, arguments: Any, results: Any) -> None:
    if arguments is None:
        assert run(LIBRARY, invoke=name).outcome.kind == "trap"
        return
    outcome = run(LIBRARY, invoke=name, invoke_args=arguments).outcome
    assert outcome.ok, outcome
    assert outcome.results == results


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (None, (), "lib.wasm has no _start to run; name a function with --invoke: add, half, big, two, count"),
        ("sub", (), "lib.wasm exports no function 'sub'"),
        ("add", (1,), "add takes 2 arguments (i32, i32), not 1"),
        ("add", ("one", 2), "add: 'one' is not an i32"),
        ("add", (1.5, 2), "add: 1.5 is not an i32"),
        ("add", (2**32, 2), "add: 4294967296 does not fit i32"),
        ("half", ("x",), "half: 'x' is not an f64"),
    ],
)
def test_a_wrong_invocation_is_one_clear_error(name: Any, arguments: Any, said: str) -> None:
    outcome = run(LIBRARY, invoke=name, invoke_args=arguments).outcome
    assert (outcome.kind, outcome.exit_code) == ("error", 1)
    assert said in outcome.message


def test_a_reactor_is_initialized_before_its_export_is_called() -> None:
    assert run(REACTOR, invoke="get", invoke_args=(2,)).outcome.results == (42,)
    assert run(REACTOR).outcome.ok


def test_nothing_to_invoke_is_said() -> None:
    assert "it exports no function at all" in run(load(b"(module)")).outcome.message


# ---- kept alive


def live(module: Module = LIBRARY, **more: Any) -> Live:
    from wasilab.capabilities.random import Random

    return Live.open(module, Host(random=Random.seeded(1)), **more)


def test_exports_are_called_again_and_again_and_keep_their_state() -> None:
    inst = live()
    assert [inst.exports["count"]() for _ in range(3)] == [1, 2, 3]
    assert inst.exports["add"](2, 3) == 5
    assert inst.call("two") == [1, 2]
    assert math.isclose(inst.call("half", 5), 2.5)
    assert set(inst.exports) == {"add", "half", "big", "two", "count", "fill", "leave", "boom", "spin"}
    assert live(REACTOR).call("get", 1) == 41


def test_the_memory_is_read_and_written_within_its_bounds() -> None:
    inst = live()
    assert len(inst.memory) == 65536
    inst.memory.write(10, b"abc")
    assert inst.memory.read(9, 5) == b"\0abc\0"
    assert inst.memory.read(65536, 0) == b""
    inst.memory.write(65536, b"")
    assert inst.call("fill", 0, 8) == 0
    assert inst.memory.read(0, 8) != bytes(8)
    for bad in ((-1, 1), (65536, 1), (65535, 2), (0, -1)):
        with pytest.raises(IndexError, match="outside the memory"):
            inst.memory.read(*bad)
    with pytest.raises(IndexError):
        inst.memory.write(65535, b"ab")
    with pytest.raises(ValueError, match="exports no memory"):
        len(live(REACTOR).memory)


def test_calls_of_a_kept_instance_are_flagged_in_the_trace() -> None:
    from wasilab.capabilities.random import Random
    from wasilab.trace.record.recorder import Flag, Recorder
    from wasilab.trace.trace import Trace

    recorder = Recorder()
    inst = Live.open(LIBRARY, Host(random=Random.seeded(1)), recorder)
    assert inst.call("fill", 0, 8) == 0
    with pytest.raises(GuestError):
        inst.call("fill", -1, 8)
    assert [call.flags for call in Trace.from_recorder(recorder)] == [Flag.DETACHED, Flag.DETACHED]


def test_wrong_arguments_leave_the_instance_alive_and_a_trap_ends_it() -> None:
    inst = live()
    with pytest.raises(TypeError, match="takes 2 arguments"):
        inst.call("add", 1)
    with pytest.raises(TypeError, match="no function 'nope'"):
        inst.call("nope")
    assert inst.call("add", 1, 1) == 2
    with pytest.raises(GuestError, match="unreachable") as caught:
        inst.call("boom")
    assert caught.value.outcome.frames[0].function == "boom"
    with pytest.raises(GuestError, match="unreachable"):
        inst.call("add", 1, 1)


def test_leaving_closing_and_limits_end_an_instance() -> None:
    inst = live()
    with pytest.raises(GuestError, match="exit code 5"):
        inst.call("leave")
    inst = live()
    inst.close()
    inst.close()
    with pytest.raises(GuestError, match="closed"):
        inst.call("add", 1, 2)
    slow = live(limits=Limits(seconds=0.1))
    assert slow.call("add", 1, 2) == 3
    with pytest.raises(GuestError, match=r"time limit of 0\.1 s"):
        slow.call("spin")


def test_one_call_at_a_time() -> None:
    inst = live(limits=Limits(seconds=5))
    errors: list[BaseException] = []

    def spin() -> None:
        try:
            inst.call("spin")
        except GuestError as error:
            errors.append(error)

    thread = threading.Thread(target=spin)
    thread.start()
    refused = False
    while not refused and thread.is_alive():
        try:
            inst.call("add", 1, 2)
        except RuntimeError as error:
            refused = "one call at a time" in str(error)
    inst.session.host.interrupt.set()
    inst.session.stop_reason = "interrupt"
    inst.session.engine.increment_epoch()
    thread.join(60)
    assert refused
    assert isinstance(errors[0], GuestError)


def test_what_cannot_be_instantiated_is_a_guest_error() -> None:
    with pytest.raises(GuestError, match="imports what nothing here provides"):
        live(load(b'(module (import "env" "f" (func)))'))
    with pytest.raises(GuestError, match="unreachable"):
        live(load(b"(module (func $f unreachable) (start $f))"))


@pytest.mark.parametrize(
    ("imported", "preloads", "said"),
    [
        ("env:f", {"env": "ff g"}, "m imports function env.f, and what is given as 'env' does not export it: it "
         "exports ff, g; did you mean 'ff'?"),
        ("env:f env:zzz", {"env": ""}, "m imports function env.f, function env.zzz, and what is given as 'env' does "
         "not export them: it exports nothing"),
        ("other:x env:f", {"env": "g"}, "m imports function env.f, and what is given as 'env' does not export it: it "
         "exports g"),
        ("other:x", {"env": "g"}, "m imports what nothing here provides: function other.x; give a module that exports "
         "it with --preload other=FILE (preload={'other': module})"),
        ("env:f", {"env": "f < b:f", "b": "f"}, "env imports function b.f, and 'b' is given after it: preloads are "
         "instantiated in their order, so give 'b' before env"),
        ("env:f", {"b": "f", "env": "f < b:f"}, ""),
        ("env:f", {"env": " ".join(f"g{n}" for n in range(1010))}, "m imports function env.f, and what is given as "
         "'env' does not export it: it exports g0, g1, g2, g3, g4, g5, g6, g7 and 1,002 more"),
    ],
)  # fmt: skip
def test_a_missing_import_says_what_is_given_instead(imported: str, preloads: dict[str, str], said: str) -> None:
    def module(name: str, exports: str) -> Module:
        names, _, needs = exports.partition(" < ")
        wanted = "".join('(import "{}" "{}" (func))'.format(*each.split(":")) for each in needs.split())
        functions = "".join(f'(func (export "{each}"))' for each in names.split())
        return from_wat(f"(module {wanted} {functions})", name=name)

    outcome = wasilab.run(
        module("m", f"_start < {imported}"), preload={name: module(name, text) for name, text in preloads.items()}
    ).outcome
    assert outcome.message == said


def test_an_outcome_knows_whether_all_went_well() -> None:
    assert Outcome("exit", 0).ok
    assert not Outcome("exit", 1).ok
    assert not Outcome("trap", 0).ok
