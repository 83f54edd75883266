"""Components kept alive: exports with their types, resources as objects; `--invoke` with WAVE."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab.cli import main

COUNTING = """(component
  (component $C
    (core module $dtor
      (global $dropped (mut i32) (i32.const 0))
      (func (export "d") (param i32) (global.set $dropped (i32.add (global.get $dropped) (i32.const 1))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $d (instantiate $dtor))
    (type $r (resource (rep i32) (dtor (core func $d "d"))))
    (core func $new (canon resource.new $r))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "get") (param i32) (result i32) (local.get 0))
      (func (export "seven") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (export $c "counter" (type $r))
    (func (export "[constructor]counter") (param "n" u32) (result (own $c)) (canon lift (core func $i "make")))
    (func (export "[method]counter.get-value") (param "self" (borrow $c)) (result u32)
      (canon lift (core func $i "get")))
    (func (export "[static]counter.best-of") (result u32) (canon lift (core func $i "seven")))
    (func (export "dropped") (result u32) (canon lift (core func $d "dropped"))))
  (instance $x (instantiate $C))
  (export "my:pkg/counting@1.0.0" (instance $x)))"""

ADDING = """(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param i32 f64) (result i32) (local.get 0))
    (func (export "last") (param i32 i32) (result i32) (local.get 1)))
  (core instance $i (instantiate $m))
  (type $point (record (field "x-axis" u32) (field "y" f64))) (export $p "point" (type $point))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (type $shape (variant (case "circle" u32) (case "none"))) (export $s "shape" (type $shape))
  (func (export "sides") (param "shape" $s) (result u32) (canon lift (core func $i "last")))
  (func (export "x-of") (param "point" $p) (result u32) (canon lift (core func $i "swap"))))"""


@pytest.fixture
def adding(tmp_path: Path) -> Path:
    path = tmp_path / "adding.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(ADDING)))
    return path


def test_functions_are_attributes(adding: Path) -> None:
    with wasilab.instantiate(adding) as instance:
        assert instance.exports.add(1, 2) == 3
        assert instance.exports.x_of({"x-axis": 5, "y": 1.5}) == 5
        assert instance.exports["x-of"]({"x-axis": 6, "y": 1.5}) == 6
        with pytest.raises(TypeError, match=r"add takes 2 arguments \(a: u32, b: u32\), not 1"):
            instance.exports.add(1)
        with pytest.raises(TypeError, match="a u32 was expected"):
            instance.exports.add("x", 2)
        with pytest.raises(TypeError, match="a:"):
            instance.exports.add(-1, 2)
        assert instance.exports.add(4294967295, 2) == 1  # it lives on after a refused argument


def test_resources_are_objects() -> None:
    with wasilab.instantiate(wasilab.compile(COUNTING, "wat")) as instance:
        counting = instance.exports.counting
        counter = counting.counter(5)
        assert counter.get_value() == 5
        assert counting.counter.best_of() == 7
        assert "get_value" in dir(counter)
        assert counting.dropped() == 0
        counter.close()
        counter.close()
        assert counting.dropped() == 1
        with pytest.raises(TypeError, match="this counter was given away or closed"):
            counter.get_value()
        with pytest.raises(AttributeError, match="no method 'nothing'"):
            counting.counter(1).nothing()
        assert instance.exports["my:pkg/counting@1.0.0#[static]counter.best-of"]() == 7


def test_a_resource_of_another_instance_is_refused() -> None:
    module = wasilab.compile(COUNTING, "wat")
    with wasilab.instantiate(module) as one, wasilab.instantiate(module) as other:
        counter = one.exports.counting.counter(5)
        with pytest.raises(TypeError, match="of this instance"):
            other.exports["my:pkg/counting@1.0.0#[method]counter.get-value"](counter)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "1", "2"], 0, "3"),
        (["x-of", "{x-axis: 9, y: 1.5}"], 0, "9"),
        (["add", "1"], 1, "takes 2 arguments"),
        (["add", "1", "x"], 1, "a u32 was expected"),
        (["nothing"], 1, "exports no function 'nothing'; it exports add, sides, x-of"),
        (["x-of", "{x-axis: 9, y: 1, y: 2}"], 1, "a field is given twice; the fields are x-axis, y"),
        (["x-of", "{x-axis: 9"], 1, "',' was expected at the end of '{x-axis: 9'"),
        (["sides", "square(2)"], 1, "there is no case 'square'; the cases are circle, none"),
        (["sides", "circle(2)"], 0, "2"),
    ],
)
def test_invoke_reads_wave(
    adding: Path, arguments: list[str], code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name, *rest = arguments
    assert main(["run", "--invoke", name, str(adding), *rest]) == code
    out, err = capfd.readouterr()
    assert words in (err if code else out)


RESULTS = """(component
  (core module $m (memory (export "memory") 1)
    (data (i32.const 16) "\\40\\00\\00\\00\\03\\00\\00\\00") (data (i32.const 64) "a\\0ab")
    (func (export "sixteen") (result i32) (i32.const 16)) (func (export "zero") (result i32) (i32.const 0))
    (func (export "nothing")))
  (core instance $i (instantiate $m))
  (func (export "text") (result string) (canon lift (core func $i "sixteen") (memory (core memory $i "memory"))))
  (func (export "bytes") (result (list u8)) (canon lift (core func $i "sixteen") (memory (core memory $i "memory"))))
  (func (export "pair") (result (tuple u32 u32))
    (canon lift (core func $i "sixteen") (memory (core memory $i "memory"))))
  (func (export "option") (result (option u8))
    (canon lift (core func $i "zero") (memory (core memory $i "memory"))))
  (func (export "truth") (result bool) (canon lift (core func $i "zero")))
  (func (export "nothing") (canon lift (core func $i "nothing"))))"""


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("text", (r'"a\nb"',)), ("bytes", ("[97, 10, 98]",)), ("pair", ("(64, 3)",)), ("option", ("none",)),
        ("truth", ("false",)), ("nothing", ()),
    ],
)  # fmt: skip
def test_invoke_shows_its_result_as_wave(name: str, texts: tuple[str, ...]) -> None:
    assert wasilab.run(wasilab.compile(RESULTS, "wat"), invoke=name).outcome.result_texts == texts
