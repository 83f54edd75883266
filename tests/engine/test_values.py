"""Values of core WebAssembly between a person, Python and an export: text, vectors, references."""

from __future__ import annotations

import gc
import math
import struct
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.instances import Live
from wasilab.engine.outcome import Outcome
from wasilab.engine.values import checked_call, references
from wasilab.engine.values.texts import FunctionName, as_f32, parse_value, value_text
from wasilab.engine.values.vector import V128
from wasilab.engine.worker import Pump, execute
from wasilab.module.module import load
from wasilab.wasi.host import Host

VALUES = load(
    b"""(module (table $t 2 funcref) (type $unary (func (param f64) (result f64)))
      (global $kept (mut externref) (ref.null extern))
      (func (export "add") (param f32 f32) (result f32) (f32.add (local.get 0) (local.get 1)))
      (func (export "same") (param f64) (result f64) (local.get 0))
      (func (export "lanes") (param v128 v128) (result v128) (i32x4.add (local.get 0) (local.get 1)))
      (func (export "both") (param v128 externref) (result externref i64 v128)
        (local.get 1) (i64.const -1) (local.get 0))
      (func (export "keep") (param externref) (global.set $kept (local.get 0)))
      (func (export "kept") (result externref) (global.get $kept))
      (func (export "call") (param funcref f64) (result f64)
        (table.set $t (i32.const 0) (local.get 0)) (call_indirect $t (type $unary) (local.get 1) (i32.const 0)))
      (func (export "function") (result funcref) (ref.func $neg))
      (func $neg (export "neg") (param f64) (result f64) (f64.neg (local.get 0)))
      (func (export "structured") (param anyref)))""",
    name="values.wasm",
)
ENGINE = EngineOptions(features=("gc",))


def invoke(name: str, *words: str, raw: bool = True) -> Outcome:
    """What `--invoke name words` ends in."""
    with closing(Host()) as host:
        return execute(VALUES, host, invoke=name, invoke_args=words, pump=Pump(), raw=raw, engine=ENGINE)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("i32", "0xffff_ffff", -1), ("i32", "-2147483648", -(1 << 31)), ("i32", "010", 10), ("i64", "+1_000", 1000),
        ("i64", "0xFFFFFFFFFFFFFFFF", -1), ("f64", "0x1.8p3", 12.0), ("f64", "-inf", -math.inf), ("f64", ".5", 0.5),
        ("f32", "16777217", 16777216.0), ("f32", "1e-50", 0.0), ("externref", "null", None),
        ("externref", "extern: a:b", " a:b"), ("externref", "extern:", ""), ("funcref", "null", None),
        ("funcref", "func:neg", FunctionName("neg")),
        ("v128", "i8x16:" + ",".join(["255"] * 16), V128(b"\xff" * 16)),
        ("v128", "f64x2:1,-inf", V128(struct.pack("<2d", 1, -math.inf))),
    ],
)  # fmt: skip
def test_text_is_read_by_its_type(kind: str, text: str, value: object) -> None:
    assert parse_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("i32", "4294967296", "does not fit i32"), ("i32", "1.5", "is not an i32: write 42, -1 or 0xff"),
        ("i32", "", "is not an i32"), ("i32", "1__0", "is not an i32"), ("i32", "9" * 5000, "5,000 characters"),
        ("i64", "٣", "is not an i64"), ("f64", "nanny", "is not an f64"),
        ("f64", "1e999", "does not fit f64"), ("f64", "_", "is not an f64"),
        ("f32", "1e39", "write inf for infinity"), ("f64", "infinity", "is not an f64"), ("f32", "nan:0x0", "payload"),
        ("f32", "nan:0x1", "signalling"), ("f64", "nan:0x10000000000000", "payload"),
        ("v128", "1", "its shape and lanes"),
        ("v128", "i32x4:1,2,3", "4 lanes, not 3"), ("v128", "i8x16:" + "256," * 15 + "1", "does not fit a lane"),
        ("v128", "i9x9:1", "its shape and lanes"), ("v128", "f32x4:1,2,x,4", "'x' is not an f32"),
        ("externref", "hello", "is not an externref: write null or extern:TEXT"),
        ("funcref", "func:", "is not a funcref"),
    ],
)  # fmt: skip
def test_text_that_is_no_value_is_refused_with_how_to_write_one(kind: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        parse_value(kind, text)
    assert words in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(bits=st.integers(0, (1 << 64) - 1))
def test_what_is_printed_is_read_back_with_all_its_bits(bits: int) -> None:
    (double,) = struct.unpack("<d", struct.pack("<Q", bits))
    assert struct.pack("<d", parse_value("f64", value_text("f64", double))) == struct.pack("<d", double)
    single = as_f32(double)
    assert struct.pack("<d", parse_value("f32", value_text("f32", single))) == struct.pack("<d", single)
    vector = V128(struct.pack("<QQ", bits, bits ^ 0xFF))
    assert parse_value("v128", value_text("v128", vector)) == vector


def test_a_decimal_is_rounded_to_single_precision_once() -> None:
    between = "1.00000005960464477539062500000000000000000000000001"  # a little more than half way between two singles
    assert parse_value("f32", between) == 1 + 2**-23
    assert as_f32(float(between)) == 1.0, "rounding it twice gives the other one"


@pytest.mark.parametrize(
    ("name", "words", "printed"),
    [
        ("add", ["0.1", "0.7"], ["0.8"]), ("same", ["nan:0x1234"], ["nan:0x1234"]), ("same", ["-nan"], ["-nan"]),
        ("lanes", ["i32x4:1,2,3,-1", "i32x4:1,1,1,1"], ["i32x4:0x00000002,0x00000003,0x00000004,0x00000000"]),
        ("both", ["i64x2:1,0", "null"], ["null", "-1", "i32x4:0x00000001,0x00000000,0x00000000,0x00000000"]),
        ("kept", [], ["null"]), ("call", ["func:neg", "7"], ["-7.0"]), ("function", [], ["func"]),
        ("keep", ["extern:x"], []),
    ],
)  # fmt: skip
def test_an_export_is_called_with_texts_and_answers_in_text(name: str, words: list[str], printed: list[str]) -> None:
    outcome = invoke(name, *words)
    assert (outcome.kind, list(outcome.result_texts)) == ("exit", printed)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("add", ["1"], "add takes 2 arguments (f32, f32), not 1"),
        ("call", ["func:gone", "1"], "exports no function 'gone'"),
        ("structured", ["null"], "takes or returns anyref"), ("lanes", ["1", "2"], "its shape and lanes"),
        ("nothing", [], "exports no function 'nothing'"), ("keep", ["thing"], "write null or extern:TEXT"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_made_is_one_sentence(name: str, words: list[str], message: str) -> None:
    outcome = invoke(name, *words)
    assert (outcome.kind, outcome.exit_code) == ("error", 1)
    assert message in outcome.message


def test_without_the_c_api_numbers_and_objects_pass_and_vectors_are_refused() -> None:
    assert invoke("add", "1", "2", raw=False).results == (3.0,)
    outcome = invoke("lanes", "i32x4:1,2,3,4", "i32x4:1,2,3,4", raw=False)
    assert "passes only numbers and external references" in outcome.message


@pytest.mark.parametrize(
    "thing", [object(), "text", 0, "", False, [1]], ids=["object", "text", "0", "empty", "False", "list"]
)
def test_a_guest_hands_back_the_very_object_that_it_was_handed(thing: object) -> None:
    with closing(Host()) as host:
        live = Live.open(VALUES, host, engine=ENGINE)
        live.call("keep", thing)
        assert live.call("kept") is thing
        assert live.call("both", V128.of("i64x2", [5, 6]), thing)[0] is thing
        live.close()


def test_objects_are_let_go_of_with_the_instance() -> None:
    class Thing:
        """Its life can be watched."""

    before = references.held_objects()
    with closing(Host()) as host:
        live = Live.open(VALUES, host, engine=ENGINE)
        for _ in range(100):
            live.call("keep", Thing())
        live.close()
        del live
    gc.collect()
    assert references.held_objects() <= before


def test_a_function_passes_back_to_its_own_instance_and_to_no_other() -> None:
    with closing(Host()) as host, closing(Host()) as other_host:
        one, other = Live.open(VALUES, host, engine=ENGINE), Live.open(VALUES, other_host, engine=ENGINE)
        negate = one.call("function")
        assert one.call("call", negate, 2.5) == -2.5
        with pytest.raises(TypeError, match="belongs to another instance"):
            other.call("call", negate, 2.5)
        assert other.call("add", 1, 2) == 3, "it is still alive"
        for wrong in (7, "func:neg", print):
            with pytest.raises(TypeError, match="not a function reference"):
                one.call("call", wrong, 1.0)
        one.close()
        other.close()


@pytest.mark.parametrize("wrong", [b"short", 5, object(), [1, 2], 1.5])
def test_what_is_no_vector_is_refused(wrong: Any) -> None:
    with closing(Host()) as host:
        live = Live.open(VALUES, host, engine=ENGINE)
        with pytest.raises(TypeError, match="is not a v128"):
            live.call("lanes", wrong, V128(bytes(16)))
        assert live.call("lanes", b"\1" + bytes(15), bytearray(16)) == V128(b"\1" + bytes(15))
        live.close()


def test_vectors_have_lanes_of_every_shape() -> None:
    assert V128.of("i16x8", [65535, -1, 0, 1, 2, 3, 4, 5]).lanes("i16x8") == (-1, -1, 0, 1, 2, 3, 4, 5)
    assert V128.of("f32x4", [1, 2, 3, 4]).lanes("f32x4") == (1.0, 2.0, 3.0, 4.0)
    for shape, lanes in (("i16x8", [1]), ("i3x3", [1]), ("i64x2", [1 << 64, 0]), ("f32x4", [1e300, 0, 0, 0])):
        with pytest.raises(ValueError, match=r"lane|shape"):
            V128.of(shape, lanes)
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        V128(b"abc")


def test_the_wasmtime_that_wasilab_is_tested_with_passes_vectors() -> None:
    assert checked_call.AVAILABLE
