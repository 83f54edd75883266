"""Exports that cannot be called from Python: their types would make wasmtime-py end the whole process.

==============================================  ============================================================
guest                                           answer
==============================================  ============================================================
an export of garbage-collected types            one sentence that names the type and the remedy
an export of vectors or function references     passes by the C API; by the public one a sentence, as above
`_start` or `_initialize` of such types         the same
the same as an import of WASI                   ENOSYS, by the C API even where the public one is asked for
==============================================  ============================================================
"""

from __future__ import annotations

import math
import time

import pytest
import wasmtime

import wasilab
from wasilab.engine.calls import raw as raw_way
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.instances import Live
from wasilab.module.module import from_wat
from wasilab.wasi.host import Host

from .guests import judged

RAW = pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
VALUES = {
    "v128": "(v128.const i64x2 1 2)",
    "funcref": "(ref.func $nothing)",
    "anyref": "(ref.i31 (i32.const 5))",
    "eqref": "(struct.new_default $pair)",
    "i31ref": "(ref.i31 (i32.const 5))",
    "structref": "(struct.new_default $pair)",
    "exnref": "(ref.null exn)",
    "nullref": "(ref.null none)",
    "(ref null $none)": "(ref.func $nothing)",
}
"""A type, and an expression of it."""
PASSED = ("v128", "funcref")
"""What passes by the C API (tests/engine/test_values.py has the values), and by nothing else."""
WAYS = pytest.mark.parametrize(
    ("kind", "raw"), [(kind, raw) for kind in VALUES for raw in (True, False) if not (raw and kind in PASSED)]
)
FEATURES = ("gc", "exceptions")
TYPES = "(type $none (func)) (type $pair (struct (field i32))) (func $nothing) (elem declare func $nothing)"


def functions(kind: str, name: str = "f") -> str:
    """A module that exports a function that returns a `kind`, and one that takes it."""
    return f"""(module {TYPES}
      (func (export "{name}") (result {kind}) {VALUES[kind]})
      (func (export "takes") (param {kind}) (result i32) (i32.const 3))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""


@WAYS
def test_an_export_of_a_type_that_cannot_pass_is_one_sentence(kind: str, raw: bool) -> None:
    host = Host()
    inst = Live.open(from_wat(functions(kind)), host, raw=raw, engine=EngineOptions(features=FEATURES))
    for name, arguments in (("f", ()), ("takes", (1,)), ("takes", (None,)), ("takes", (b"\0" * 16,))):
        with pytest.raises(TypeError, match=f"^{name} .*(cannot pass between|passes only numbers)"):
            inst.call(name, *arguments)
    assert inst.call("add", 1, 2) == 3
    inst.close()
    host.close()


@WAYS
def test_invoking_one_is_an_error_of_the_run(kind: str, raw: bool) -> None:
    run = wasilab.run(from_wat(functions(kind)), grants=wasilab.Grants(features=FEATURES), invoke="f", raw=raw)
    assert (run.outcome.kind, run.exit_code) == ("error", 1)
    remedy = "passes only numbers and external references" if kind in PASSED else "export a function of other types"
    assert remedy in run.outcome.message


@RAW
@pytest.mark.parametrize("name", ["_start", "_initialize"])
def test_an_entry_point_of_vectors_does_not_end_the_process(name: str, raw: bool) -> None:
    module = from_wat(functions("v128", name))
    grants = wasilab.Grants(features=FEATURES)
    message = wasilab.run(module, grants=grants, raw=raw).outcome.message
    assert message == "" if raw else "is () -> (v128), and this wasmtime-py passes only numbers" in message
    user = from_wat(
        '(module (import "lib" "add" (func $a (param i32 i32) (result i32)))'
        ' (func (export "_start") (drop (call $a (i32.const 1) (i32.const 2)))))'
    )
    run = wasilab.run(user, grants=grants, preload={"lib": module}, raw=raw)
    assert run.outcome.kind == ("error" if name == "_initialize" and not raw else "exit")


@RAW
@pytest.mark.parametrize("kind", VALUES)
def test_such_an_import_of_wasi_is_enosys_either_way(kind: str, raw: bool) -> None:
    text = f"""(module {TYPES.replace("(func $nothing)", "", 1)}
      (import "wasi_snapshot_preview1" "fd_write" (func $f (param {kind}) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $x (param i32)))
      (func $nothing)
      (func (export "_start") (call $x (call $f {VALUES[kind]}))))"""
    run = judged(text, wasilab.Grants(features=FEATURES), raw=raw)
    assert run.run.exit_code == 52
    assert run.errnos() == ["NOSYS", "-"]


def test_without_the_c_api_such_an_import_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_way, "AVAILABLE", False)
    text = """(module (import "wasi_snapshot_preview1" "fd_write" (func $f (param v128) (result i32)))
      (func (export "_start")))"""
    run = wasilab.run(from_wat(text, name="vectors"), raw=False)
    assert run.outcome.kind == "error"
    assert run.outcome.message == (
        "vectors imports wasi_snapshot_preview1.fd_write as (v128) -> (i32), and this wasmtime-py cannot pass v128: "
        "take the import out, or install the wasmtime that wasilab is tested with"
    )


@RAW
def test_numbers_at_their_edges_pass_alike_both_ways(raw: bool) -> None:
    module = from_wat(
        """(module (func (export "i") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
             (local.get 3) (local.get 2) (local.get 1) (local.get 0))
           (func (export "none")) (func (export "one") (param f32) (result f32) (local.get 0))
           (func (export "ref") (param externref) (result externref) (local.get 0))
           (func (export "null") (result externref) (ref.null extern)))"""
    )
    host = Host()
    inst = Live.open(module, host, raw=raw)
    assert inst.call("i", 2**32 - 1, 2**64 - 1, 1e300, -0.0) == [-0.0, math.inf, -1, -1]
    assert inst.call("i", -(2**31), -(2**63), "-inf", "1e-400") == [0.0, -math.inf, -(2**63), -(2**31)]
    assert math.isnan(inst.call("one", "nan"))
    assert inst.call("one", 0.1) == pytest.approx(0.1, abs=1e-8)
    assert inst.call("none") is None
    assert inst.call("null") is None
    thing = object()
    assert inst.call("ref", thing) is thing
    for bad in (2**32, "one", None, 1.5, 10**400):
        with pytest.raises(TypeError, match="i: "):
            inst.call("i", bad, 0, 0, 0)
    with pytest.raises(TypeError, match="is not an f64"):
        inst.call("i", 0, 0, 0, 10**400)
    inst.close()
    host.close()


@pytest.mark.slow
@RAW
def test_a_hundred_thousand_exports_do_not_hold_the_run_up(raw: bool) -> None:
    """wasmtime-py lists them in time that grows with the square: this was five minutes, past every limit."""
    names = " ".join(f'(export "f{number}" (func $f))' for number in range(100_000))
    text = f'(module (func $f (result i32) (i32.const 7)) {names} (memory 1) (func (export "_start")))'
    module = from_wat(text, name="many")
    before = time.process_time()
    grants = wasilab.Grants(limits=wasilab.Limits(seconds=20))
    assert wasilab.run(module, (), grants, raw=raw).outcome.ok
    assert wasilab.run(module, (), grants, invoke="f99999", raw=raw).outcome.results == (7,)
    user = from_wat(
        '(module (import "many" "f77777" (func $f (result i32))) (import "wasi_snapshot_preview1" "proc_exit"'
        ' (func $x (param i32))) (func (export "_start") (call $x (call $f))))'
    )
    assert wasilab.run(user, (), grants, preload={"many": module}, raw=raw).exit_code == 7
    assert time.process_time() - before < 60


@RAW
@pytest.mark.parametrize("available", [True, False])
def test_exports_are_found_by_name_with_and_without_the_c_api(
    raw: bool, available: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_way, "AVAILABLE", available)
    module = from_wat(
        """(module (func (export "\\22 \\c3\\a9") (result i32) (i32.const 1))
           (func (export "") (result i32) (i32.const 2))
           (memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g") i32 (i32.const 1)))"""
    )
    host = Host()
    inst = Live.open(module, host, raw=raw)
    assert list(inst.exports) == ['" \u00e9', ""]
    assert (inst.exports['" \u00e9'](), inst.exports[""]()) == (1, 2)
    assert sorted(inst.session.exports) == ["", '" \u00e9', "g", "m", "t"]
    assert inst.session.exports["m"].data_len(inst.session.store) == 65536
    for missing in ("f", "g\0", "m\0m"):
        assert missing not in inst.session.exports
        with pytest.raises(TypeError, match="exports no function"):
            inst.call(missing)
    with pytest.raises(TypeError, match="exports no function 'm'"):
        inst.call("m")
    inst.close()
    host.close()


@RAW
def test_imports_of_many_odd_types_are_looked_at_once(raw: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """wasmtime-py makes the list of all imports anew at each look; once every type of its own cost one."""
    looks = []
    imports = wasmtime.Module.imports

    def counted(module: wasmtime.Module) -> object:
        looks.append(module)
        return imports.__get__(module)

    monkeypatch.setattr(wasmtime.Module, "imports", property(counted))
    odd = " ".join(
        f'(import "wasi_snapshot_preview1" "f{n}" (func (param {"externref " * n}) (result i32)))'
        for n in range(1, 200)
    )
    run = wasilab.run(from_wat(f'(module {odd} (func (export "_start")))'), raw=raw)
    assert run.outcome.ok
    assert len(run.outcome.warnings) == 199
    assert len(looks) == 1
