"""What a module consists of: sections, functions, tables, memory; and that damaged modules give one clear error."""

from __future__ import annotations

import html
import itertools
import json

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

import wasilab
from wasilab.cli import main
from wasilab.module.inside.function_bodies import bodies, find_body, reach
from wasilab.module.inside.function_tables import tables_of
from wasilab.module.inside.memory_layout import MemoryLayout, Region, memory_layout, with_stack_pointer
from wasilab.module.inside.wasm_globals import globals_of
from wasilab.module.inside.wasm_sections import sections
from wasilab.module.module import Module, ModuleError, from_wat
from wasilab.views.inside.module_picture import look_inside

WAT = """(module $m
  (import "env" "asked" (func $asked))
  (global $__stack_pointer (mut i32) (i32.const 4096)) (global $after i32 (i32.const 7))
  (memory (export "memory") 2)
  (table $t 4 funcref)
  (elem (i32.const 1) $pointed $twice)
  (func $main (export "_start") (local i32) (call $called) (call_indirect (i32.const 1)) (local.set 0 (i32.const -5)))
  (func $called (call $asked))
  (func $pointed) (func $twice)
  (func $lost (call $lost_too)) (func $lost_too (i64.const 1) drop (f64.const 2) drop)
  (data $.rodata (i32.const 4096) "hello") (data $.data (i32.const 5000) "xy"))"""


@pytest.fixture(scope="module")
def module() -> Module:
    return from_wat(WAT, name="m.wasm")


def test_sections_cover_the_file_without_a_gap(module: Module) -> None:
    found = sections(module)
    assert [one.name for one in found] == [
        "type", "import", "function", "table", "memory", "global", "export", "element", "code", "data", "name",
    ]  # fmt: skip
    assert found[0].begin == 8
    assert all(one.end == other.begin for one, other in itertools.pairwise(found))
    assert found[-1].end == len(module.bytes)


def test_functions_are_named_and_found_by_name_export_and_number(module: Module) -> None:
    assert [(body.number, body.name) for body in bodies(module)] == [
        (1, "main"), (2, "called"), (3, "pointed"), (4, "twice"), (5, "lost"), (6, "lost_too"),
    ]  # fmt: skip
    assert find_body(module, "main") == find_body(module, "_start") == find_body(module, "1")
    for wanted, said in (
        ("mian", "did you mean 'main'"), ("0", "is imported, and has no code here"), ("7", "its functions are 1 to 6"),
        ("9" * 40, "there is no function 999999999999"), ("", "defines no function ''"),
    ):  # fmt: skip
        with pytest.raises(ModuleError, match=said):
            find_body(module, wanted)


def test_what_nothing_reaches_is_told_apart_from_what_a_table_holds(module: Module) -> None:
    assert {body.name for body in reach(module).unreachable} == {"lost", "lost_too"}
    without = from_wat(WAT.replace("(call_indirect (i32.const 1))", ""), name="m.wasm")
    assert {body.name for body in reach(without).unreachable} == {"lost", "lost_too", "pointed", "twice"}


def test_index_0_of_the_function_table(module: Module) -> None:
    assert tables_of(module).entries() == {1: 3, 2: 4}
    assert "index 0 is empty" in look_inside(module).text()
    full = from_wat(WAT.replace("(elem (i32.const 1)", "(elem (i32.const 0)"), name="m.wasm")
    assert "index 0 holds pointed" in look_inside(full).text()
    by_expression = "(elem (i32.const 1) funcref (ref.func $pointed) (ref.null func) (ref.func $twice))"
    written = from_wat(WAT.replace("(elem (i32.const 1) $pointed $twice)", by_expression), name="m.wasm")
    assert tables_of(written).entries() == {1: 3, 3: 4}


def test_stack_data_and_heap_in_memory(module: Module) -> None:
    layout = memory_layout(module)
    assert layout is not None
    assert (layout.stack_low, layout.stack_top, layout.heap_base, layout.data_end) == (0, 4096, 5002, 5002)
    assert layout.regions() == [
        Region("stack", "stack", 0, 4096), Region("data", ".rodata", 4096, 4101), Region("unused", "", 4101, 5000),
        Region("data", ".data", 5000, 5002), Region("heap", "heap", 5002, 131072),
    ]  # fmt: skip
    above = memory_layout(from_wat(WAT.replace("(i32.const 4096))", "(i32.const 9000))", 1), name="m.wasm"))
    assert above is not None
    assert (above.stack_low, above.stack_top, above.heap_base) == (5002, 9000, 9000)
    assert memory_layout(from_wat("(module)")) is None


def test_the_stack_pointer_of_a_module_can_be_read(module: Module) -> None:
    readable = with_stack_pointer(module)
    assert [e.name for e in readable.exports] == ["memory", "_start", "__stack_pointer"]
    assert [export.name for export in module.exports] == ["memory", "_start"]
    wasmtime.Module.validate(wasmtime.Engine(), readable.bytes)
    assert with_stack_pointer(readable) is readable
    assert globals_of(module)[0].value == 4096
    stripped = from_wat(WAT.replace("$__stack_pointer", ""), name="m.wasm")
    assert with_stack_pointer(stripped) is stripped


def test_names_debug_information_and_dead_functions_could_be_dropped(module: Module) -> None:
    said = "\n".join(look_inside(module).dropped_lines())
    assert "2 functions that nothing reaches" in said
    assert "the section name" in said
    assert look_inside(from_wat("(module (func (export \"f\")))")).dropped_lines() == ["nothing"]


def test_every_instruction_of_this_wasmtime_is_known() -> None:
    """A module with an instruction of each family: what follows it is still found."""
    body = """(v128.const i32x4 1 2 3 4) (i8x16.extract_lane_s 3) drop (i32x4.splat (i32.const 1)) drop
      (v128.load8_lane 1 (i32.const 0) (v128.const i64x2 0 0)) drop
      (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 0 0) (v128.const i64x2 0 0)) drop
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
      (table.grow $t (ref.null func) (i32.const 0)) drop (i32.trunc_sat_f64_s (f64.const 1)) drop
      (block (br_table 0 0 (i32.const 0))) (block (result i32) (i32.const 1)) drop
      (select (result i32) (i32.const 1) (i32.const 2) (i32.const 0)) drop (ref.is_null (ref.null extern)) drop
      (i64.atomic.load (i32.const 0)) drop (i32.load8_u offset=70000 (i32.const 0)) drop (ref.i31 (i32.const 1)) drop
      (i31.get_s (ref.i31 (i32.const 1))) drop (array.len (array.new_default $a (i32.const 2))) drop
      (try_table (catch_all 0) (throw $e)) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))
      drop drop"""
    module = from_wat(
        f"""(module (type $a (array i32)) (memory 1) (table $t 1 funcref) (tag $e)
          (func (export "f") {body} (call $last)) (func $last))"""
    )
    assert reach(module) == reach(from_wat("(module)")), "$last is reached: all instructions were stepped over"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_bytes_give_a_picture_or_a_clear_error(data: st.DataObject) -> None:
    good = bytearray(from_wat(WAT).bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(8, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        module = Module(bytes(good), "m")
        picture = look_inside(module)
    except ModuleError:
        return
    picture.text(), picture.to_dict(), picture._repr_html_(), with_stack_pointer(module)


def test_huge_announced_sizes_cost_nothing() -> None:
    """An element segment that announces 4 billion entries, a data segment at an address beyond the memory."""
    head = b"\0asm\1\0\0\0"
    with pytest.raises(ModuleError, match="items are"):
        look_inside(Module(head + b"\x09\x0a\x01\x00\x41\x00\x0b\xff\xff\xff\xff\x0f", "m"))
    far = from_wat('(module (memory 1) (data (i32.const -1) "x"))')
    layout = memory_layout(far)
    assert isinstance(layout, MemoryLayout)
    assert [region.kind for region in layout.regions()] == ["unused"]


def test_names_in_a_foreign_module_are_escaped() -> None:
    evil = from_wat('(module (func $"<script>\\1b[31m" (export "_start") nop) (func nop))')
    picture = look_inside(evil)
    shown = picture._repr_html_()
    assert "<script" not in shown
    assert "<script" not in html.unescape(shown.partition('srcdoc="')[2].partition('"')[0]), "nor inside the frame"
    assert "\x1b" not in picture.text()


def test_inspect_shows_it_in_a_terminal_and_as_json(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"{tmp_path}/m.wat"
    with open(path, "w") as file:
        file.write(WAT)
    assert main(["inspect", path]) == 0
    said = capsys.readouterr().out
    for words in ("sections", "function table", "memory at the start", "largest functions", "could be dropped"):
        assert words in said
    assert main(["inspect", "--json", path]) == 0
    inside = json.loads(capsys.readouterr().out)["inside"]
    assert set(inside["unreachable"]) == {"lost", "lost_too"}
    assert inside["table"] == {"1": "pointed", "2": "twice"}


def test_a_component_is_refused_in_words() -> None:
    component = wasilab.load(b"\0asm\x0d\0\x01\0")
    with pytest.raises(ModuleError, match="is a component"):
        look_inside(component)
