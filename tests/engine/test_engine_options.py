"""How a program is compiled and linked: the options of an engine, and imports that nothing provides."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from wasilab.engine.compiling import engines
from wasilab.engine.compiling.engine_options import EngineOptionError, EngineOptions
from wasilab.engine.limits import Limits
from wasilab.engine.outcome import Outcome
from wasilab.engine.worker import Pump, execute
from wasilab.module.module import Module, load
from wasilab.trace.record.layout import Flag
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.host import Host

LOST = load(
    b"""(module (import "env" "f" (func $f (param i32 f64 i64) (result i32))) (import "env" "v" (func $v (result v128)))
      (import "env" "r" (func $r (result externref))) (import "env" "none" (func $none))
      (import "wasi_snapshot_preview1" "fd_teleport" (func $teleport (result i32)))
      (func (export "f") (result i32) (call $f (i32.const -5) (f64.const 2.5) (i64.const 0x100000000)))
      (func (export "all") (result v128 externref) (call $none) (call $v) (call $r))
      (func (export "teleport") (result i32) (call $teleport))
      (func (export "quiet") (result i32) (i32.const 7)))""",
    name="lost.wasm",
)
THINGS = load(
    b"""(module (import "env" "memory" (memory 2)) (import "env" "n" (global $n i64))
      (import "env" "t" (table 3 funcref)) (import "env" "e" (global $e externref)) (export "memory" (memory 0))
      (func (export "look") (result i32 i64 i32 externref)
        (i32.load (i32.const 65536)) (global.get $n) (table.size 0) (global.get $e)))""",
    name="things.wasm",
)
DEEP = load(
    b"""(module (func $down (param i32) (result i32)
        (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 0))))
      (export "down" (func $down)))"""
)
NAN = load(
    b"""(module (func (export "nan") (param i64) (result i64)
        (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.const 1)))))"""
)


def call(
    module: Module, name: str, *words: str, raw: bool = True, limits: Limits | None = None, **options: Any
) -> Outcome:
    """What calling an export under these options ends in."""
    engine = EngineOptions(**options)
    with closing(Host()) as host:
        return execute(
            module, host, limits=limits, invoke=name, invoke_args=words, engine=engine, pump=Pump(), raw=raw
        )


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_unless_said_an_unknown_import_is_an_error_but_for_wasi(raw: bool) -> None:
    outcome = call(LOST, "quiet", raw=raw)
    assert outcome.kind == "error"
    assert "function env.f, function env.v" in outcome.message
    assert "fd_teleport" not in outcome.message


def test_with_error_names_that_wasi_does_not_have_are_refused_too() -> None:
    only = load(
        b"""(module (import "wasi_snapshot_preview1" "fd_teleport" (func)) (import "wasi_snapshot_preview1" "fd_close"
          (func (param i32) (result i32))) (func (export "_start")))""",
        name="only.wasm",
    )
    with closing(Host()) as host:
        assert execute(only, host, pump=Pump()).ok
        outcome = execute(only, host, engine=EngineOptions(unknown_imports="error"), pump=Pump())
    assert outcome.kind == "error"
    assert "WASI preview 1 does not have: function wasi_snapshot_preview1.fd_teleport;" in outcome.message


def test_with_trap_a_program_runs_until_it_calls_one() -> None:
    assert call(LOST, "quiet", unknown_imports="trap").results == (7,)
    expected = {"f": "env.f is provided by nothing", "all": "env.none", "teleport": "fd_teleport is not a call"}
    for name, words in expected.items():
        outcome = call(LOST, name, unknown_imports="trap")
        assert (outcome.kind, outcome.exit_code) == ("trap", 134)
        assert words in outcome.message
    assert "memory env.memory, global env.n" in call(THINGS, "look", unknown_imports="trap").message


def test_with_default_it_gets_zeros_and_nulls() -> None:
    assert call(LOST, "f", unknown_imports="default").results == (0,)
    zeros = "i32x4:0x00000000,0x00000000,0x00000000,0x00000000"
    assert call(LOST, "all", unknown_imports="default").result_texts == (zeros, "null")
    assert call(LOST, "teleport", unknown_imports="default").results == (0,)
    outcome = call(THINGS, "look", unknown_imports="default")
    assert outcome.result_texts == ("0", "0", "3", "null")
    assert "env.memory is provided by nothing: it is an empty memory" in outcome.warnings


def test_default_stays_within_the_limits_and_invents_no_reference_that_cannot_be_null() -> None:
    outcome = call(THINGS, "look", unknown_imports="default", limits=Limits(memory=65536))
    assert outcome.kind == "limit"
    outcome = call(THINGS, "look", unknown_imports="default", limits=Limits(table_elements=2))
    assert "no table can be made for env.t" in outcome.message
    solid = load(b'(module (type $t (func)) (import "env" "f" (func (result (ref $t)))) (func (export "go")))')
    outcome = call(solid, "go", unknown_imports="default", features=("function-references",))
    assert "function env.f" in outcome.message


def test_a_call_of_an_unknown_import_is_recorded_by_its_name_with_its_arguments() -> None:
    with closing(Host()) as host:
        recorder = Recorder()
        execute(LOST, host, recorder, invoke="f", engine=EngineOptions(unknown_imports="default"), pump=Pump())
        (event,) = Trace.from_recorder(recorder, None)
        assert event.name == "f"
        assert "f($0=-5, $1=2.5, $2=4294967296) = 0 (NOT PROVIDED)" in Trace.from_recorder(recorder, None).text()
        assert event.flags & Flag.NOSYS


def test_the_stack_of_webassembly_can_be_made_smaller_and_larger() -> None:
    assert call(DEEP, "down", "20000", max_stack=2 << 20).results == (20000,)
    outcome = call(DEEP, "down", "20000", max_stack=16 << 10)
    assert outcome.kind == "trap"
    assert "call stack is exhausted" in outcome.message


def test_canonical_nans_have_the_same_bits_whatever_went_in() -> None:
    payload = str(0x7FF8_0000_0000_1234)
    assert call(NAN, "nan", payload, nan_canonical=True).results == (0x7FF8_0000_0000_0000,)


@pytest.mark.parametrize("optimize", ["none", "speed", "size"])
def test_every_level_of_optimisation_computes_the_same(optimize: str) -> None:
    assert call(DEEP, "down", "9", optimize=optimize, debug_info=True).results == (9,)


def test_machine_code_is_shared_only_between_runs_with_the_same_settings() -> None:
    module = load(b'(module (func (export "f") (result i32) (i32.const 1)))')
    engines.clear()
    assert call(module, "f").compile_seconds > 0
    assert call(module, "f").compile_seconds == 0
    assert call(module, "f", optimize="none").compile_seconds > 0
    assert call(module, "f", cache=False).compile_seconds > 0
    assert call(module, "f", cache=False).compile_seconds > 0, "nothing of it is kept"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimize": "fast"}, "write one of 'none', 'speed', 'size'"), ({"optimize": None}, "optimize=None"),
        ({"unknown_imports": "ignore"}, "write one of 'trap', 'default', 'error'"), ({"profile": "gprof"}, "'guest'"),
        ({"max_stack": 4 << 20}, "16,384 to 2,097,152 bytes"), ({"max_stack": 0}, "max_stack=0"),
        ({"max_stack": True}, "max_stack=True"), ({"max_stack": 1e6}, "max_stack=1000000.0"),
        ({"debug_info": 1}, "write True or False"), ({"cache": None}, "write True or False"),
    ],
)  # fmt: skip
def test_an_option_that_no_engine_can_have_is_refused_before_one_is_made(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineOptionError) as refused:
        EngineOptions(**options)
    assert words in str(refused.value)
