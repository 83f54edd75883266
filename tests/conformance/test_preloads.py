"""WASI functions that reach a program through another module work in the memory of whoever calls, as in Wasmtime."""

from __future__ import annotations

import tempfile

import pytest
import wasmtime

import wasilab
from wasilab.module.module import from_wat

LENDER = """(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\05\\00\\00\\00fromA")
  (type $call (func (param i32 i32 i32 i32) (result i32)))
  (export "fd_write" (func $w)) (export "again" (func $w))
  (table (export "table") funcref (elem $w)) (global (export "global") funcref (ref.func $w))
  (func (export "hand") (result funcref) (ref.func $w))
  (func (export "own") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))"""
"""A library that passes on the WASI function that it imports, in every way there is."""
USES = {
    "an export": ('(import "a" "fd_write" (func $w (type $call)))', "(call $w {})"),
    "a second name": ('(import "a" "again" (func $w (type $call)))', "(call $w {})"),
    "a table": ('(import "a" "table" (table $t 1 funcref))', "(call_indirect $t (type $call) {} (i32.const 0))"),
    "a global": (
        '(import "a" "global" (global $g funcref))',
        "(call_ref $call {} (ref.cast (ref $call) (global.get $g)))",
    ),
    "a result": (
        '(import "a" "hand" (func $h (result funcref)))',
        "(call_ref $call {} (ref.cast (ref $call) (call $h)))",
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_wasi_function_of_another_module_works_in_the_memory_of_the_caller(use: str, raw: bool) -> None:
    """As in Wasmtime (compared with it below), and the library's own calls stay in its own memory, before and after."""
    imported, calling = USES[use]
    text = user_of("a", imported, calling)
    grants = wasilab.Grants(features=("gc",) if "ref.cast" in text else ())
    run = wasilab.run(from_wat(text), grants=grants, preload={"a": from_wat(LENDER)}, raw=raw)
    assert (run.outcome.kind, run.stdout) == ("exit", "fromAfromBfromAfromB")
    assert wasmtimes_own(text) == "fromAfromBfromAfromB"


def user_of(name: str, imported: str, calling: str) -> str:
    """The text of a program that lets the library write, and writes by the library's function, in turn."""
    arguments = "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)"
    return f"""(module (type $call (func (param i32 i32 i32 i32) (result i32))) {imported}
      (import "{name}" "own" (func $own)) (memory (export "memory") 1)
      (data (i32.const 0) "\\08\\00\\00\\00\\05\\00\\00\\00fromB")
      (func $mine (drop {calling.format(arguments)}))
      (func (export "_start") (call $own) (call $mine) (call $own) (call $mine)))"""


def wasmtimes_own(text: str) -> str:
    """What the program prints under Wasmtime's own WASI."""
    engine = wasmtime.Engine()
    linker, store, config = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.WasiConfig()
    linker.define_wasi()
    with tempfile.NamedTemporaryFile() as out:
        config.stdout_file = out.name
        store.set_wasi(config)
        linker.define_instance(store, "a", linker.instantiate(store, wasmtime.Module(engine, LENDER)))
        start = linker.instantiate(store, wasmtime.Module(engine, text)).exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        start(store)
        store.close()
        return out.read().decode()


def test_a_wasi_function_is_passed_on_through_two_modules() -> None:
    between = """(module (import "a" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (import "a" "own" (func $own)) (memory (export "memory") 1)
      (export "fd_write" (func $w)) (export "own" (func $own)))"""
    text = user_of("b", '(import "b" "fd_write" (func $w (type $call)))', "(call $w {})")
    run = wasilab.run(from_wat(text), preload={"a": from_wat(LENDER), "b": from_wat(between)})
    assert (run.outcome.kind, run.stdout) == ("exit", "fromAfromBfromAfromB")
    assert run.trace["instance"].tolist() == [1, 0, 1, 0]


def test_a_passed_on_function_imported_with_another_type_is_refused_by_the_link() -> None:
    text = '(module (import "a" "fd_write" (func (param i64))) (func (export "_start")))'
    run = wasilab.run(from_wat(text), preload={"a": from_wat(LENDER)})
    assert run.outcome.kind == "error"
    assert "incompatible" in run.outcome.message
