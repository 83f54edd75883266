"""The trampolines' source: every call in every variant compiles, and reads as a person would write it."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

from wasilab.engine.calls.codegen import code, source
from wasilab.engine.calls.record_lines import Variant
from wasilab.wasi.preview1.spec import MODULES

CALLS = [call for module in MODULES.values() for call in module.values()]
VARIANTS = [Variant(*flags) for flags in itertools.product([True, False], repeat=4)]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_call_has_a_trampoline_in_every_variant(variant: Variant) -> None:
    for call in CALLS:
        text = source(call, variant)
        function = ast.parse(text).body[0]
        assert isinstance(function, ast.FunctionDef)
        expected = 4 if variant.raw else 1 + len(call.signature)
        assert len(function.args.args) == expected
        last = function.body[-1]
        assert isinstance(last, ast.Try), "every line that can fail stands inside the try"
        assert isinstance(last.handlers[0].type, ast.Name)
        assert last.handlers[0].type.id == "BaseException"


def test_an_untraced_trampoline_neither_reads_the_clock_nor_records() -> None:
    for call in CALLS:
        text = source(call, Variant(traced=False))
        assert "now()" not in text
        assert "PACK(" not in text


def test_result_pointers_are_checked_before_anything_is_done() -> None:
    for call in CALLS:
        text = source(call, Variant())
        for result in call.results:
            assert 0 < text.index(f"'result.{result.name}'") < text.index(f"S_{call.name}")


def test_code_is_made_once() -> None:
    call = MODULES["wasi_snapshot_preview1"]["fd_write"]
    assert code(call, Variant()) is code(call, Variant())
    assert code(call, Variant()) is not code(call, Variant(traced=False))


def test_the_text_of_a_short_one() -> None:
    text = source(MODULES["wasi_snapshot_preview1"]["sched_yield"], Variant(raw=False, traced=False))
    assert text == (
        "def sched_yield(c):\n"
        "    d0 = s0 = None\n"
        "    try:\n"
        "        S_sched_yield(H)\n"
        "        return 0\n"
        "    except BaseException as error:\n"
        "        code = FAIL(error, CALL_sched_yield, c, 0, d0, s0, ())\n"
        "        if code < 0:\n"
        "            raise STOP\n"
        "        return code\n"
    )


def test_equal_structs_are_kept_once_and_read_back_for_every_call(tmp_path: Path) -> None:
    import wasilab

    (tmp_path / "a").write_bytes(b"12345")
    wat = """(module
      (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 64) "a")
      (func (export "_start") (local $i i32) (local.set $i (i32.const 1000))
        (loop $again
          (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
          (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))"""
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(tmp_path))})
    run = wasilab.run(wasilab.compile(wat, "wat"), grants=grants)
    recorder = run._prepared.recorder
    assert recorder is not None
    assert len(recorder.chunk.arena) < 200
    assert {event.result["filestat"].size for event in run.trace} == {5}
    assert len(run.trace) == 1000
    path = run.trace.filter("path=*a").save(tmp_path / "t.wtrace")
    assert {event.result["filestat"].size for event in wasilab.Trace.load(path)} == {5}
