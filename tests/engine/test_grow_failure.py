"""`trap_on_grow_failure`: growing that fails ends the program; all else, offsets of instructions too, is as without."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab import EngineOptions, Grants, Limits, cli
from wasilab.grants.value import GrantError
from wasilab.module.grow_traps import trapping_on_grow_failure
from wasilab.module.module import Module, ModuleError, from_wat

GROWS = """(module (memory (export "memory") 1 10) (memory $large i64 1 2)
  (table $t (export "t") 1 3 funcref) (table $initial 1 2 (ref null func) (ref.null func))
  (func $inner (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "memory32") (param i32) (result i32) (call $inner (local.get 0)))
  (func (export "memory64") (param i64) (result i64) (memory.grow $large (local.get 0)))
  (func (export "table") (param i32) (result i32)
    (drop (i32.const 64)) (block (br 0)) (table.grow $t (ref.null func) (local.get 0)))
  (func (export "second") (param i32) (result i32) (table.grow $initial (ref.null func) (local.get 0)))
  (func (export "nothing") (param i32) (result i32) (local.get 0)))"""
ENDS = EngineOptions(trap_on_grow_failure=True)
TYPED = Grants(features=["function-references"])  # for a table with an initial value


@pytest.mark.parametrize(
    ("function", "fits", "before", "too_much"),
    [("memory32", 9, 1, 10), ("memory64", 1, 1, 2), ("table", 2, 1, 3), ("second", 1, 1, 2)],
)
def test_growing_that_fails_ends_the_program(function: str, fits: int, before: int, too_much: int) -> None:
    module = from_wat(GROWS)
    for engine in (EngineOptions(), ENDS):
        assert wasilab.run(module, [str(fits)], TYPED, invoke=function, engine=engine).outcome.results == (before,)
    assert wasilab.run(module, [str(too_much)], TYPED, invoke=function).outcome.results == (-1,)
    outcome = wasilab.run(module, [str(too_much)], TYPED, invoke=function, engine=ENDS).outcome
    assert (outcome.kind, outcome.exit_code) == ("trap", 134)
    assert outcome.message.startswith("the program could not grow a memory or table, and --trap-on-grow-failure ends")
    assert outcome.frames[-1].function == function


def test_a_limit_of_the_run_counts() -> None:
    module = from_wat("""(module (memory (export "memory") 1)
      (func (export "f") (result i32) (memory.grow (i32.const 99))))""")
    grants = Grants(limits=Limits(memory=1 << 20))
    assert wasilab.run(module, grants=grants, invoke="f").outcome.results == (-1,)
    assert wasilab.run(module, grants=grants, invoke="f", engine=ENDS).outcome.kind == "trap"


def test_a_library_that_grows_in_vain_ends_it_too() -> None:
    library = from_wat('(module (memory 1 1) (func (export "g") (result i32) (memory.grow (i32.const 1))))', name="lib")
    program = from_wat('(module (import "lib" "g" (func $g (result i32))) (func (export "f") (result i32) (call $g)))')
    assert wasilab.run(program, invoke="f", preload={"lib": library}).outcome.results == (-1,)
    assert wasilab.run(program, invoke="f", preload={"lib": library}, engine=ENDS).outcome.kind == "trap"


def test_an_imported_table_is_watched() -> None:
    library = from_wat('(module (table (export "t") 1 1 externref))', name="lib")
    program = from_wat("""(module (import "lib" "t" (table $t 1 externref))
      (func (export "f") (result i32) (table.grow $t (ref.null extern) (i32.const 1))))""")
    assert wasilab.run(program, invoke="f", preload={"lib": library}).outcome.results == (-1,)
    assert wasilab.run(program, invoke="f", preload={"lib": library}, engine=ENDS).outcome.kind == "trap"


@pytest.mark.parametrize("functions", [0, 126])
def test_stacks_have_the_offsets_of_the_program_itself(functions: int) -> None:
    """Also where the call that replaces an instruction is longer than it."""
    grow = "(drop (memory.grow (i32.const 1)))"
    module = from_wat(f"""(module (memory (export "memory") 1) {"(func)" * functions}
      (func $a {grow} (call $b) {grow}) (func $b {grow} {grow} (call $c)) (func $c {grow} unreachable)
      (func (export "f") (drop (i32.const 1)) {grow} (call $a)))""")
    plain = wasilab.run(module, invoke="f").outcome
    changed = wasilab.run(module, invoke="f", engine=ENDS).outcome
    assert len(plain.frames) == 4
    assert changed.frames == plain.frames
    assert changed.message == plain.message


def test_recorded_stacks_have_them_too() -> None:
    module = from_wat("""(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
      (memory (export "memory") 1)
      (func $in (drop (memory.grow (i32.const 1))) (drop (call $yield)))
      (func (export "_start") (drop (memory.grow (i32.const 1))) (call $in)))""")
    traces = [wasilab.run(module, stacks=True, engine=engine).trace for engine in (EngineOptions(), ENDS)]
    plain, changed = ([frame.offset for frame in trace[0].stack] for trace in traces)
    assert plain == changed
    assert len(plain) == 2


def test_a_module_that_grows_nothing_is_unchanged() -> None:
    module = from_wat('(module (memory 1) (func (export "f") (block) (drop (i32.const 64))))')
    assert trapping_on_grow_failure(module) is module
    assert trapping_on_grow_failure(from_wat("(module)")).changed is None


def test_a_component_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    component = tmp_path / "c.wasm"
    component.write_bytes(wasmtime.wat2wasm("(component)"))
    assert cli.main(["run", "--trap-on-grow-failure", str(component)]) == 2
    assert "--trap-on-grow-failure is not for c.wasm, a component" in capsys.readouterr().err
    with pytest.raises(GrantError, match="--trap-on-grow-failure is not for c"):
        wasilab.run(component, engine=ENDS)


def test_damaged_modules_raise_one_error_and_nothing_else() -> None:
    data, chance = bytes(wasmtime.wat2wasm(GROWS)), random.Random(1)
    for _ in range(3_000):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
        try:
            changed = trapping_on_grow_failure(Module(bytes(damaged)))
        except ModuleError:
            continue
        assert changed.bytes[:8] == data[:8]
