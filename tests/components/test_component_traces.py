"""What a trace of a component says: lives, paths, errors by name; and the advice that rests on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.engine.components.abi.emitter import Emitter
from wasilab.engine.components.recording import values_text
from wasilab.trace.record.functions import pack_values
from wasilab.wasi.components.value_types import ResourceType
from wasilab.wasi.components.wit.wit_text import read_type

from ..bench.components import GUEST


@pytest.fixture
def used(tmp_path: Path) -> wasilab.Instance:
    (tmp_path / "data").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "data" / "file").write_bytes(b"x" * 8192)
    dirs = {"/": HostDir(tmp_path / "data", mode="rw"), "/other": HostDir(tmp_path / "other")}
    instance = wasilab.instantiate(wasilab.compile(GUEST, "wat"), wasilab.Grants(dirs=dirs))
    instance.exports.start()
    instance.exports.read()
    return instance


def test_lives_have_types_and_paths(used: wasilab.Instance) -> None:
    lives = list(used.trace.lives.values())
    assert [(life.path, life.type, life.preopen) for life in lives[:3]] == [
        (b"/", "descriptor", b"/"),
        (b"/other", "descriptor", b"/other"),
        (b"/file", "descriptor", None),
    ]
    used.close()


def test_calls_are_shown_with_names_and_values(used: wasilab.Instance) -> None:
    lines = used.trace[:4].text().splitlines()
    assert "get-directories() = 0" in lines[0]
    assert '[method]descriptor.open-at(self=1</>, path-flags=symlink-follow, path="file", open-flags=none' in lines[1]
    assert "flags=read|write) = 0 {result=3</file>}" in lines[1]
    used.close()


def test_a_saved_trace_says_the_same(used: wasilab.Instance, tmp_path: Path) -> None:
    trace = used.trace
    for name in ("t.wtrace", "t.jsonl"):
        trace.save(tmp_path / name)
        assert wasilab.Trace.load(tmp_path / name)[:50].text() == trace[:50].text()
    used.close()


def test_operations_are_named_in_sql_filters_and_selections_as_for_modules(used: wasilab.Instance) -> None:
    pytest.importorskip("duckdb")
    found = used.trace.sql("select operation, count(*) from calls where operation in ('open', 'read') group by 1")
    by_filter = {each: len(used.trace.filter(f"operation={each}")) for each in ("open", "read")}
    assert dict(found.rows) == by_filter
    assert by_filter["open"] == 1
    opened = used.trace.text(trace="operation=open")
    assert "[method]descriptor.open-at(" in opened
    assert len(opened.splitlines()) == 1
    assert used.trace.text(trace="operation=op*,read") == used.trace.filter("operation=open,read").text()
    used.close()


def test_advice_keeps_what_was_used(used: wasilab.Instance) -> None:
    advice = wasilab.advise(used.trace, base=used.grants)
    assert list(advice.grants.dirs) == ["/"]
    assert advice.grants.dirs["/"].mode == "rw"  # type: ignore[attr-defined]  # it was opened to be written
    assert advice.grants.clocks.spec == "real"
    assert advice.grants.random.spec == "none"
    assert not advice.grants.args
    used.close()


def test_advice_is_enough(used: wasilab.Instance) -> None:
    advice = wasilab.advise(used.trace, base=used.grants, limits=True)
    used.close()
    with wasilab.instantiate(wasilab.compile(GUEST, "wat"), advice.grants) as again:
        again.exports.start()
        again.exports.read()
        assert not again.trace.denied


TICKS = 600
CLOCK_GUEST = f"""(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $d (record (field "seconds" u64) (field "nanoseconds" u32))) (export "datetime" (type $t (eq $d)))
    (export "now" (func (result $t)))))
  (core module $memory (memory (export "memory") 1))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (core func $now (canon lower (func $wall "now") (memory $mem)))
  (core module $main
    (import "" "now" (func $now (param i32)))
    (func (export "tick") (local $i i32)
      (loop $calls
        (call $now (i32.const 64)) (call $now (i32.const 1024))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $calls (i32.lt_u (local.get $i) (i32.const {TICKS // 2}))))))
  (core instance $i (instantiate $main (with "" (instance (export "now" (func $now))))))
  (func (export "tick") (canon lift (core func $i "tick"))))"""


@pytest.mark.parametrize("step", [0, 7])
def test_results_of_many_calls_are_told_apart(step: int) -> None:
    """Equal results are stored once, of different ones more than the table of a chunk holds."""
    clocks = Clocks.stepped(step) if step else Clocks.frozen(41)
    with wasilab.instantiate(wasilab.compile(CLOCK_GUEST, "wat"), wasilab.Grants(clocks=clocks)) as instance:
        instance.exports.tick()
        lines = instance.trace.text().splitlines()
    shown = [int(line.split("nanoseconds=")[1].split("}")[0]) for line in lines]
    assert len(shown) == TICKS
    assert shown == ([shown[0] + step * number for number in range(TICKS)])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("tuple<list<u8>, bool>", (b"\x00\xffabc", True)),
        ("tuple<list<u8>, bool>", (memoryview(b""), False)),
        ("tuple<s64, tuple<u8, list<u8>>>", (-(1 << 63), (255, memoryview(b"%s"))),),
        ("tuple<string, u64>", ('"%d\\\x00\u20ac', 1)),
        ("list<tuple<u32, bool>>", [(1, True)]),
        ("f64", 0.5),
    ],
)  # fmt: skip
def test_values_are_written_as_by_pack_values(type_: str, value: Any) -> None:
    emitter = Emitter()
    text = values_text(emitter, read_type(type_, lambda name: ResourceType(name, None)), "r")
    emitter.put(f"return {text}")
    names: dict[str, Any] = {"SNAPLEN": 3, "VALUES": lambda given: pack_values([given], 3)}
    exec("\n".join(["def f(r):", *emitter.lines]), names)
    assert names["f"](value) == pack_values([value], 3)
