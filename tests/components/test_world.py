"""The world of a component, read from its bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab.cli import main
from wasilab.engine.components.world import MAX_TEXT, unprovided, world_of
from wasilab.module.binary import WasmFormatError

from .test_abi_hostile import HANDLES
from .test_exports import ADDING, COUNTING


def lines(text: str) -> list[str]:
    return [line.strip() for line in world_of(wasilab.compile(text, "wat")).wit()]


def test_it_is_written_as_wit() -> None:
    assert lines(COUNTING) == [
        "world root {",
        "export my:pkg/counting@1.0.0 {",
        "resource counter {",
        "constructor(n: u32);",
        "get-value: func() -> u32;",
        "best-of: static func() -> u32;",
        "}",
        "dropped: func() -> u32;",
        "}",
        "}",
    ]
    assert "export x-of: func(point: point) -> u32;" in lines(ADDING)
    assert "ready: func() -> bool;" in lines(HANDLES)


def test_a_used_type_names_its_interface() -> None:
    text = """(component
      (import "wasi:io/error@0.2.0" (instance $e (export "error" (type (sub resource)))))
      (alias export $e "error" (type $error))
      (import "wasi:io/streams@0.2.0" (instance
        (alias outer 1 $error (type $e)) (export "error" (type (eq $e))) (export "failure" (type (eq $e))))))"""
    found = lines(text)
    assert "use wasi:io/error@0.2.0.{error};" in found
    assert "use wasi:io/error@0.2.0.{error as failure};" in found


def test_types_within_types_stay_short() -> None:
    types = "(type $t0 (tuple u8 u8))" + "".join(f"(type $t{n + 1} (tuple $t{n} $t{n}))" for n in range(60))
    text = f'(component {types} (type $f (func (param "x" $t60))) (import "f" (func (type $f))))'
    (line,) = [line for line in world_of(_module(text)).wit() if "import" in line]
    assert len(line) < MAX_TEXT + 60


def _module(text: str) -> wasilab.Module:
    return wasilab.compile(text, "wat")


def test_what_is_not_provided_is_named() -> None:
    text = '(component (import "my:own/thing@1.0.0" (instance)) (import "wasi:io/poll@0.2.0" (instance)))'
    assert unprovided(world_of(_module(text))) == ["my:own/thing@1.0.0"]


def test_damaged_bytes_end_in_words() -> None:
    data = bytes(wasmtime.wat2wasm(HANDLES))
    rng = random.Random(11)
    module = _module(HANDLES)
    sentences, worlds = [], 0
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(8, len(damaged))] = rng.randrange(256)
        module.bytes = bytes(damaged)
        try:
            worlds += "\n".join(world_of(module).wit()).startswith("world root {")
        except WasmFormatError as error:
            sentences.append(str(error))
    assert all(sentences)
    assert len(sentences) > 100
    assert worlds == 1000 - len(sentences)


def test_inspect_shows_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "handles.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(HANDLES)))
    assert main(["inspect", str(path)]) == 0
    found = capfd.readouterr().out
    assert "a component: its imports and exports are interfaces with types" in found
    assert "clocks     the time, and sleeping" in found
    assert "import wasi:io/poll@0.2.0 {" in found


def test_a_damaged_component_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.wasm"
    cut.write_bytes(bytes(wasmtime.wat2wasm(COUNTING))[:100])
    for options in ([], ["--json"]):
        assert main(["inspect", *options, str(cut)]) == 2
        assert "cut.wasm is a damaged component" in capfd.readouterr().err
