"""Bad modules: not a module at all, malformed, too large, or without end. Each gives one clear sentence.

Everything is loaded, looked at (imports, exports, names, source lines, as `inspect` and the panel do) and run; a
refusal is a `ModuleError`, or a run that ended with kind "error", "trap" or "limit" and a message in one line.
"""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wasilab
from wasilab import Limits
from wasilab.engine.instances import GuestError
from wasilab.module.dwarf import source_map
from wasilab.module.module import Module, ModuleError, from_wat, load

from .fuzz import resident
from .guests import judged, program

MIB = 1 << 20
GRANTS = wasilab.Grants(limits=Limits(seconds=20, memory=64 * MIB))
HEAD = b"\0asm\1\0\0\0"


def leb(number: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def section(kind: int, body: bytes) -> bytes:
    """A section with its length."""
    return bytes([kind]) + leb(len(body)) + body


def custom(name: str, body: bytes) -> bytes:
    """A custom section."""
    return section(0, leb(len(name)) + name.encode() + body)


def looked_at(module: Module) -> None:
    """Everything that is read of a module before it runs."""
    assert module.to_dict()["name"] == module.name
    assert module.name in repr(module)
    assert len(module.function_names) <= len(module.bytes)
    module.asks()
    source_map(module)


def told(data: bytes) -> str:
    """Load, look, run: the sentence in which it was refused; "" if it ran."""
    try:
        module = load(data, name="it")
        looked_at(module)
        run = wasilab.run(module, (), GRANTS)
    except ModuleError as error:
        sentence = str(error)
    else:
        assert run.outcome.kind in ("exit", "error", "trap", "limit"), run.outcome
        assert "bug of wasilab" not in run.outcome.message, run.outcome.detail
        sentence = run.outcome.message
        if run.outcome.kind == "exit":
            return ""
        repr(run)
    assert sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 1500
    return sentence


SMALL = from_wat(
    """(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
    (type (func (param i32 i64) (result f32))) (memory (export "memory") 1 2) (table 3 funcref)
    (global i32 (i32.const 1))
    (elem (i32.const 0) $y) (data (i32.const 8) "data") (func $start (export "_start") (drop (call $y)))
    (func $s) (start $s) (@custom "note" "text"))"""
).bytes

NOT_WASM = {
    "nothing": b"",
    "the magic's half": b"\0as",
    "the magic alone": b"\0asm",
    "version 2": b"\0asm\2\0\0\0",
    "version of the moon": b"\0asm\xff\xff\xff\xff",
    "zeros": bytes(1000),
    "text": b"hello, world\n" * 10,
    "an ELF program": b"\x7fELF\2\1\1" + bytes(100),
    "a script": b"#!/bin/sh\nrm -rf /\n",
    "a zip": b"PK\3\4" + bytes(100),
    "a component": b"\0asm\x0d\0\1\0",
    "ones": b"\xff" * 1000,
    "a section too long": HEAD + b"\1\xff\xff\xff\xff\x0f",
    "a length without end": HEAD + b"\1" + b"\x80" * 100,
    "an unknown section": HEAD + section(99, b"x"),
    "sections out of order": HEAD + section(3, b"\0") + section(1, b"\0"),
    "a count of 4 billion types": HEAD + section(1, leb(0xFFFFFFFF)),
    "a count of 4 billion imports": HEAD + section(2, leb(0xFFFFFFFF)),
    "a name of 4 GiB": HEAD + section(2, b"\1" + leb(0xFFFFFFFF) + b"x"),
    "a name that is not UTF-8": HEAD + section(2, b"\1\1\xff\1x\0\0"),
    "an import of a type that is not there": HEAD + section(2, b"\1\1a\1b\0\x63"),
    "a memory larger than memory": HEAD + section(5, b"\1\0" + leb(1 << 20)),
    "functions without code": HEAD + section(1, b"\1\x60\0\0") + section(3, b"\1\0"),
    "code without functions": HEAD + section(10, b"\1\2\0\x0b"),
    "a start that is not there": HEAD + section(8, b"\x09"),
    "a type that refers to itself": HEAD + section(1, b"\1\x60\1\x64\0\0"),
    "a group of types without end": HEAD + section(1, b"\1\x4e" + leb(0xFFFFFFF)),
    "a subtype of itself": HEAD + section(1, b"\1\x50\1\0\x60\0\0"),
}


@pytest.mark.parametrize("kind", NOT_WASM)
def test_a_file_that_is_not_a_module_is_refused_in_one_sentence(kind: str) -> None:
    assert told(NOT_WASM[kind])


def test_text_with_a_mistake_tells_where() -> None:
    for text in (b"(module (func (export 1)))", b"(module", b"(" * 100_000, b"(module " + b"(block " * 10_000):
        with pytest.raises(ModuleError) as caught:
            load(text, name="it")
        assert len(str(caught.value)) < 300_000


def test_a_module_cut_anywhere_is_refused_in_a_sentence() -> None:
    for length in range(len(SMALL)):
        data = SMALL[:length]
        with contextlib.suppress(ModuleError):
            looked_at(load(data, name="it"))
    cut = [told(SMALL[:length]) for length in range(8, len(SMALL), 9)]
    assert len([sentence for sentence in cut if sentence]) >= len(cut) - 2


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_module_with_bytes_turned_is_refused_or_runs(data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(8, len(SMALL) - 1))] = data.draw(st.integers(0, 255))
    told(bytes(changed))


def test_a_custom_section_of_100_mb() -> None:
    data = SMALL + custom("zeros", bytes(100 * MIB))
    before = resident()
    assert told(data) == ""
    assert resident() - before < 700 * MIB


@pytest.mark.parametrize("count", [10_000])
def test_thousands_of_imports(count: int) -> None:
    foreign = "".join(f'(import "env" "f{n}" (func))' for n in range(count))
    assert "and 9,992 more" in told(
        from_wat(f'(module {foreign} (memory (export "memory") 1) (func (export "_start")))').bytes
    )
    absent = "".join(f'(import "wasi_snapshot_preview1" "f{n}" (func (result i32)))' for n in range(count))
    module = from_wat(f'(module {absent} (memory (export "memory") 1) (func (export "_start") (drop (call 0))))')
    run = wasilab.run(module, (), GRANTS)
    assert run.trace["errno"].tolist() == [52]
    assert len(repr(run)) < 2_000_000
    same = '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))' * count
    assert (
        told(
            from_wat(f'(module {same} (memory (export "memory") 1) (func (export "_start") (drop (call 9999))))').bytes
        )
        == ""
    )


def test_a_memory_of_4_gib_is_above_the_limit() -> None:
    assert "above the limit" in told(
        from_wat('(module (memory (export "memory") 65536) (func (export "_start")))').bytes
    )


def test_a_start_function_that_does_not_end_is_ended() -> None:
    module = from_wat(
        '(module (memory (export "memory") 1) (func $s (loop (br 0))) (start $s) (func (export "_start")))'
    )
    run = wasilab.run(module, (), wasilab.Grants(limits=Limits(seconds=0.3)))
    assert run.outcome.kind == "limit"
    with pytest.raises(GuestError, match=r"0\.3 s is over"):
        wasilab.instantiate(module, wasilab.Grants(limits=Limits(seconds=0.3)))


def test_a_start_function_that_traps_calls_or_exits() -> None:
    trap = '(module (memory (export "memory") 1) (func $s unreachable) (start $s) (func (export "_start")))'
    assert "unreachable" in told(from_wat(trap).bytes)
    bad = "(func $s (drop (call $random_get (i32.const -1) (i32.const 4)))) (start $s)"
    judged(program("random_get", "", extra=bad)).assert_trapped("random_get")
    run = judged(program("proc_exit", "", extra="(func $s (call $proc_exit (i32.const 9))) (start $s)")).run
    assert run.exit_code == 9


EXPORTS = {
    "nothing": "(module)",
    "no start": '(module (memory (export "memory") 1) (func (export "f")))',
    "a start that is no function": '(module (memory (export "memory") 1) (global (export "_start") i32 (i32.const 1)))',
    "a start with parameters": '(module (memory (export "memory") 1) (func (export "_start") (param i32)))',
    "both starts": '(module (memory (export "memory") 1) (func (export "_start")) (func (export "_initialize")))',
    "an initializer with parameters": '(module (memory (export "memory") 1) (func (export "_initialize") (param i32)))',
    "a start that answers": '(module (memory (export "memory") 1) (func (export "_start") (result i32) (i32.const 1)))',
    "a memory of 64 bits": '(module (memory (export "memory") i64 1) (func (export "_start")))',
    "an imported memory": '(module (import "env" "memory" (memory 1)) (func (export "_start")))',
    "an imported global": '(module (import "wasi_snapshot_preview1" "errno" (global i32)) (func (export "_start")))',
    "an imported table": '(module (import "wasi_unstable" "fd_write" (table 1 funcref)) (func (export "_start")))',
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_exports_and_imports_that_do_not_fit(kind: str) -> None:
    sentence = told(from_wat(EXPORTS[kind], name="it").bytes)
    assert sentence or kind in ("a start that answers", "both starts", "a memory of 64 bits")


SIGNATURES = {
    "fewer parameters": ("(param i32)", "(result i32)", "(i32.const 1)"),
    "more parameters": ("(param i32 i32 i32 i32 i32)", "(result i32)", "(i32.const 1) " * 5),
    "other types": (
        "(param f64 i64 f32 i32)",
        "(result i32)",
        "(f64.const 1) (i64.const 1) (f32.const 1) (i32.const 1)",
    ),
    "references": ("(param externref funcref)", "(result i32)", "(ref.null extern) (ref.null func)"),
    "vectors": ("(param v128)", "(result i32)", "(v128.const i64x2 1 2)"),
}


@pytest.mark.parametrize("kind", SIGNATURES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_call_imported_with_another_signature_is_enosys(kind: str, raw: bool) -> None:
    params, result, values = SIGNATURES[kind]
    text = f"""(module (import "wasi_snapshot_preview1" "fd_write" (func $f {params} {result}))
      (import "wasi_snapshot_preview1" "proc_exit" (func $x (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $x (call $f {values}))))"""
    run = judged(text, raw=raw)
    assert run.run.exit_code == 52
    assert run.errnos() == ["NOSYS", "-"]
    assert "fd_write" in run.run.outcome.warnings[0]


@pytest.mark.parametrize("result", ["", "i64", "f64", "externref", "i32 i32", "v128"])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_call_imported_with_another_result(result: str, raw: bool) -> None:
    drops = "(drop) " * len(result.split())
    results = f"(result {result})" if result else ""
    text = f"""(module (import "wasi_snapshot_preview1" "fd_write" (func $f (param i32) {results}))
      (memory (export "memory") 1) (func (export "_start") (call $f (i32.const 1)) {drops}))"""
    run = judged(text, raw=raw).run
    assert run.outcome.kind == ("trap" if result else "exit")
    assert run.outcome.warnings


def test_a_call_imported_twice_and_from_both_snapshots() -> None:
    one = '(import "{}" "sched_yield" (func (result i32)))'
    text = f"""(module {one.format("wasi_snapshot_preview1") * 2} {one.format("wasi_unstable")}
      (memory (export "memory") 1) (func (export "_start") (drop (call 0)) (drop (call 1)) (drop (call 2))))"""
    assert judged(text).errnos() == ["SUCCESS"] * 3


NAMES = {
    "of functions that are not there": b"\1" + leb(6) + b"\1" + leb(1 << 20) + b"\1x",
    "a count of 4 billion": b"\1" + leb(6) + leb(0xFFFFFFFF) + b"x",
    "a length beyond the end": b"\1" + leb(200) + b"\1\0\5ab",
    "twice the same": b"\1" + leb(7) + b"\2\0\1a\0\1b",
    "not UTF-8": b"\1" + leb(4) + b"\1\0\1\xff",
    "cut": b"\1",
    "unknown subsections": b"\x63" + leb(2) + b"xx" + b"\0" + leb(2) + b"\1m",
    "a name of a megabyte": b"\1" + leb(MIB + 5) + b"\1\0" + leb(MIB) + b"n" * MIB,
    "a mangled bomb": b"\1"
    + leb(5000 + 4)
    + b"\1\1"
    + leb(5000)
    + (b"_RNvC" + b"INvC" * 2000)[:5000].ljust(5000, b"E"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_false_name_section(kind: str) -> None:
    trap = from_wat(program("sched_yield", "(drop (call $sched_yield)) unreachable")).bytes
    data = trap + custom("name", NAMES[kind])
    looked_at(load(data, name="it"))
    run = wasilab.run(load(data, name="it"), (), GRANTS, stacks=True)
    assert run.outcome.kind == "trap", run.outcome
    assert len(run.trace) == 1
    assert len(run.trace.text()) < 50_000
    assert repr(run)


DWARF = (".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges", ".debug_loc")


GARBAGE = {
    "empty": b"",
    "zeros": b"\0" * 1000,
    "ones": b"\xff" * 1000,
    "bytes": bytes(range(256)) * 40,
    "long": struct.pack("<IHIB", 0xFFFFFFF0, 4, 0, 4) * 50,
    "leb": struct.pack("<IHB", 100, 5, 1) + b"\x80" * 200,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_debug_sections_of_garbage(kind: str) -> None:
    body = GARBAGE[kind]
    trap = from_wat(program("sched_yield", "(drop (call $sched_yield)) unreachable")).bytes
    data = trap + b"".join(custom(name, body) for name in DWARF)
    looked_at(load(data, name="it"))
    run = wasilab.run(load(data, name="it"), (), GRANTS, stacks=True)
    assert run.outcome.kind in ("trap", "error"), run.outcome
    assert "bug of wasilab" not in run.outcome.message
    if run.outcome.kind == "trap":
        assert run.trace.text()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(DWARF), st.binary(max_size=300), min_size=1), st.binary(max_size=100))
def test_debug_and_name_sections_of_anything(sections: dict[str, bytes], names: bytes) -> None:
    trap = from_wat(program("sched_yield", "(drop (call $sched_yield)) unreachable")).bytes
    data = trap + b"".join(custom(name, body) for name, body in sections.items()) + custom("name", names)
    looked_at(load(data, name="it"))


def test_many_functions_locals_and_a_giant_body() -> None:
    assert (
        told(from_wat('(module (memory (export "memory") 1) (func (export "_start"))' + "(func)" * 50_000 + ")").bytes)
        == ""
    )
    nops = "(nop)" * 100_000
    assert told(from_wat(f'(module (memory (export "memory") 1) (func (export "_start") {nops}))').bytes) == ""
    nested = "(block " * 2000 + ")" * 2000
    told(from_wat(f'(module (memory (export "memory") 1) (func (export "_start") {nested}))').bytes)
    locals_ = (
        HEAD
        + section(1, b"\1\x60\0\0")
        + section(3, b"\1\0")
        + section(10, b"\1" + leb(8) + b"\1" + leb(0xFFFFFFFF) + b"\x7f\x0b")
    )
    assert told(locals_)
