"""Inspecting modules: what is found, and one clear sentence for a file that is not a module."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.module.binary import FuncType, Reader, WasmFormatError
from wasilab.module.module import Module, ModuleError, from_wat, load

WAT = """(module $hello
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_frobnicate" (func (result i32)))
  (import "env" "t" (table 1 9 funcref)) (import "env" "g" (global (mut i64)))
  (memory (export "memory") 2 10)
  (func $helper (param f32 f64) (result i64 i32) i64.const 1 i32.const 2)
  (func $main (export "_start"))
  (start $main))"""


def wasm(text: str = WAT) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ('(item "c" (func (result i32))) (item "d" (memory 1 2))', ["() -> i32", None]),
        ('(item "c") (item "d") (func (result i32))', ["() -> i32", "() -> i32"]),
        ('(item "c") (item "d") (memory 1 2)', [None, None]),
    ],
)
def test_imports_that_share_a_module_or_a_type(text: str, types: list[str | None]) -> None:
    module = Module(wasm(f'(module (import "ab" {text}) (import "x" "y" (global i32)))'))
    assert [(i.module, i.name) for i in module.imports] == [("ab", "c"), ("ab", "d"), ("x", "y")]
    assert module.memories == [i.type for i in module.imports if type(i.type).__name__ == "MemoryType"]
    found = [str(i.type) if isinstance(i.type, FuncType) else None for i in module.imports]
    assert found == [None if one is None else str(FuncType((), ("i32",))) for one in [*types, None]]


def test_a_module_describes_itself() -> None:
    module = Module(wasm(), "hello.wasm")
    assert module.kind == "command"
    assert [(i.module, i.name) for i in module.imports][:2] == [
        ("wasi_snapshot_preview1", "fd_write"), ("wasi_snapshot_preview1", "path_open"),
    ]  # fmt: skip
    assert module.imports[0].type == FuncType(("i32",) * 4, ("i32",))
    assert [str(i.type) for i in module.imports[3:]] == ["table of funcref 1..9", "global mut i64"]
    assert [(e.name, e.kind) for e in module.exports] == [("memory", "memory"), ("_start", "func")]
    assert module.memory is not None
    assert (module.memory.min_bytes, module.memory.max_bytes) == (131072, 655360)
    assert module.start is not None
    assert module.function_type(3) == FuncType(("f32", "f64"), ("i64", "i32"))
    assert module.function_type(99) is None
    assert module.function_names == {0: "w", 3: "helper", 4: "main"}
    assert (module.function_name(4), module.function_name(1)) == ("main", None)
    assert module.asks() == {"fd": ["fd_write"], "path": ["path_open"], "unknown": ["fd_frobnicate"]}
    assert not module.has_dwarf
    assert len(module.sha256) == 64
    assert module == Module(wasm(), "another name")
    assert json.loads(json.dumps(module.to_dict()))["memory"] == {"min": 131072, "max": 655360}
    assert "imports 3 WASI calls" in repr(module)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('(module (func (export "_start")))', "command"),
        ('(module (func (export "_initialize")))', "reactor"),
        ('(module (func (export "add")))', "library"),
        ('(module (memory (export "_start") 1))', "library"),
        ("(module)", "library"),
    ],
)
def test_the_kind_follows_the_exported_functions(text: str, kind: str) -> None:
    assert Module(wasm(text)).kind == kind


def test_a_component_is_recognised() -> None:
    assert Module(b"\0asm\x0d\0\1\0").kind == "component"


def test_types_of_the_gc_proposal_are_skipped() -> None:
    text = """(module
      (rec (type $a (struct (field i32) (field (mut (ref null $a))))) (type $b (array (mut i8))))
      (type $c (sub (struct (field i64)))) (type $d (sub final $c (struct (field i64) (field anyref))))
      (type $f (func (param (ref $a) externref v128) (result (ref func))))
      (import "x" "f" (func (type $f))) (import "x" "m" (memory i64 1 2)) (import "x" "tag" (tag (param i32)))
      (memory 1) (memory 2))"""
    module = Module(wasm(text))
    assert str(module.imports[0].type) == "((ref 0), externref, v128) -> ((ref func))"
    assert [m.is_64 for m in module.memories] == [True, False, False]
    assert str(module.imports[2].type).startswith("tag of type")


def test_a_path_a_text_and_bytes_load(tmp_path: Path) -> None:
    (tmp_path / "a.wasm").write_bytes(wasm())
    (tmp_path / "a.wat").write_text("\n  ;; a comment\n" + WAT)
    assert load(tmp_path / "a.wasm").name == "a.wasm"
    text = load(str(tmp_path / "a.wat"), name="mine")
    assert (text.name, text.lang, text.bytes) == ("mine", "wat", wasm())
    assert text.source is not None
    assert load(wasm()).name == "module"
    assert load(WAT.encode()).kind == "command"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "f.wasm is empty"),
        (b"\0as", "starts with b'\\x00as'"),
        (b"\0asm\1", "ends after 5 bytes"),
        (b"\0asm\2\0\0\0", "version 2"),
        (b"\x7fELF" + b"x" * 90, "a native Linux program: compile it for the target wasm32-wasi"),
        (b"MZ" + b"x" * 90, "a native Windows program"),
        (b"PK\x03\x04zip", "a zip file: unpack it first"),
        (b"int main() {}", "starts with b'int main'"),
        (b"(module (func", "does not assemble"),
        (b"(module (func (bogus)))", "does not assemble"),
        (b"\0asm\1\0\0\0\1\x7f", "truncated: 127 bytes are declared"),
        (b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f", "4,294,967,295 bytes are declared"),
        (b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x7f", "more than 32 bits"),
        (b"\0asm\1\0\0\0\1\x80\x80\x80\x80\x80\x80\x00", "too long"),
        (b"\0asm\1\0\0\0\1\x80\x80\x80\x80\x80\x00", "the number at byte 14 is too long"),  # 5 bytes are the most
        (b"\0asm\1\0\0\0\1\x81\x80\x80\x80\x00", "truncated: 1 byte is declared"),  # 5 bytes of the number 1
        (b"\0asm\1\0\0\0\1\5\xff\xff\xff\xff\x0f", "4,294,967,295 items are declared"),
        (b"\0asm\1\0\0\0\2\7\1\1a\1\xff\0\0", "not UTF-8"),
        (b"\0asm\1\0\0\0\x63\0", "section 99"),
        (b"\0asm\1\0\0\0\1\2\1\x10", "is not a type"),
        (b"\0asm\1\0\0\0\2\7\1\1a\1b\0\5", "names type 5"),
    ],
)
def test_a_file_that_is_not_a_module_gets_one_clear_sentence(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "f.wasm"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(ModuleError) as caught:
            load(source, name="f.wasm")
        assert said in str(caught.value)
        assert "f.wasm" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"\x00", 0), (b"\x7f", -1), (b"\xff\xff\xff\xff\x07", 2**31 - 1), (b"\x80\x80\x80\x80\x78", -(2**31))],
)
def test_the_last_bit_of_a_signed_number_is_its_sign(data: bytes, value: int) -> None:
    assert Reader(data).signed(32) == value


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x70", b"\x80\x80\x80\x80\x08"])
def test_the_spare_bits_of_a_signed_number_repeat_its_sign(data: bytes) -> None:
    """The binary format of WebAssembly: the last byte of an sN may not say more than N bits."""
    with pytest.raises(WasmFormatError, match="more than 32 bits"):
        Reader(data).signed(32)


def test_a_large_file_that_is_not_a_module_is_refused_by_its_head(tmp_path: Path) -> None:
    path = tmp_path / "big.wasm"
    with path.open("wb") as file:
        file.write(b"not wasm")
        file.truncate(100 << 20)
    with pytest.raises(ModuleError, match=r"big\.wasm is not a WebAssembly module"):
        load(path)
    with path.open("r+b") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(ModuleError, match="1,073,741,825 bytes; modules above"):
        load(path)


def test_the_code_of_a_large_module_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.wasm"
    size = 100 << 20
    leb = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    with path.open("wb") as file:
        file.write(wasm('(module (func (export "_start")))') + b"\0" + leb + b"\4code")
        file.truncate(len(wasm('(module (func (export "_start")))')) + 1 + 4 + size)
    module = load(path)
    assert module.kind == "command"
    assert module.custom_sections["code"] == size - 5


def test_paths_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match=r"missing\.wasm cannot be read: No such file"):
        load(tmp_path / "missing.wasm")
    with pytest.raises(ModuleError, match="is a directory"):
        load(tmp_path)


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # to open it would wait for a writer
    with pytest.raises(ModuleError, match="is a FIFO, socket or device"):
        load(tmp_path / "fifo")


def test_every_truncation_of_a_module_is_a_module_or_a_clear_error() -> None:
    whole = wasm()
    outcomes = []
    for size in range(len(whole)):
        try:
            outcomes.append(Module(whole[:size]).kind and "module")
        except ModuleError:
            outcomes.append("error")
    assert outcomes.count("module") < 10  # only where a section ends
    assert outcomes[:8] == ["error"] * 8


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_arbitrary_bytes_raise_nothing_else(tail: bytes, at: int, value: int) -> None:
    changed = bytearray(wasm())
    changed[at % len(changed)] = value
    for data in (b"\0asm\1\0\0\0" + tail, bytes(changed)):
        try:
            module = Module(data)
        except ModuleError:
            continue
        module.to_dict()
        assert isinstance(module.function_names, dict)


def test_a_damaged_name_section_keeps_the_names_before_the_damage() -> None:
    plain = wasm("(module (func) (func))")
    section = bytes([1, 8, 2, 0, 2]) + b"ok" + bytes([1, 100]) + b"x"
    data = plain + b"\0" + bytes([5 + len(section)]) + b"\4name" + section
    assert Module(data).function_names == {0: "ok"}


def test_custom_sections_are_found_and_dwarf_is_noticed() -> None:
    def custom(name: bytes, payload: bytes) -> bytes:
        return b"\0" + bytes([1 + len(name) + len(payload), len(name)]) + name + payload

    data = wasm("(module)") + custom(b".debug_info", b"i") + custom(b".debug_line", b"l") + custom(b"x", b"1")
    module = Module(data + custom(b"x", b"22"))
    assert module.has_dwarf
    assert module.custom("x") == b"1"
    assert module.custom("y") is None
    assert module.custom_sections == {".debug_info": 1, ".debug_line": 1, "x": 1}


def test_assembling_names_the_place_of_a_mistake() -> None:
    with pytest.raises(ModuleError) as caught:
        from_wat("(module\n  (func (i32.bogus)))", name="cell")
    assert "cell does not assemble:" in str(caught.value)
    assert ":2:" in str(caught.value)


def test_the_reader_never_reads_past_its_end() -> None:
    reader = Reader(struct.pack("<B", 0x80))
    with pytest.raises(WasmFormatError, match="truncated at byte 1"):
        reader.u32()
    inner: Any = Reader(b"\1\2\3").sub(2)
    assert (inner.byte(), inner.byte(), inner.at_end) == (1, 2, True)
    with pytest.raises(WasmFormatError):
        inner.byte()
