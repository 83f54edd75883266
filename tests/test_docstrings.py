"""What the public docstrings tell a reader to write, written: every call and index in backticks, taken from them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab import Clocks, Grants

P1 = "wasi_snapshot_preview1"
READS = f"""(module
  (import "{P1}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $again
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (i32.const 20))))))"""
WAITS = f"""(module
  (import "{P1}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))
    (loop $l (br $l))))"""
ADDS = """(module (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""


def members() -> Iterator[tuple[str, Any, Any]]:
    """(public name, it, and it or one of its public members)."""
    for name in wasilab.__all__:
        thing = getattr(wasilab, name)
        yield name, thing, thing
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    yield name, thing, value.__func__ if isinstance(value, (classmethod, staticmethod)) else value


def quoted() -> Iterator[tuple[str, Any, str]]:
    """(public name, it, code in backticks that calls or indexes something)."""
    for name, thing, member in members():
        texts = [inspect.getdoc(member) or ""]
        if member is thing and inspect.isclass(thing):  # the texts below its attributes
            texts += re.findall(r'"""(.*?)"""', inspect.getsource(thing), re.DOTALL)
        for text in texts:
            for code in re.findall(r"`([^`]+)`", text):
                if re.search(r"[\w\])][(\[]", code):
                    yield name, thing, " ".join(code.split())


FOUND = sorted({(name, code) for name, _, code in quoted()})

COUNTS = '(module (memory (export "memory") 1) (func (export "count") (param i32) (result i32) (local.get 0)))'
CALLS_B = '(module (import "b" "count" (func (param i32) (result i32))) (memory (export "memory") 1))'


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the docstrings' examples are about."""
    reads = wasilab.compile(READS, "wat", name="reads")
    waits = wasilab.compile(WAITS, "wat", name="waits")
    run = wasilab.run(waits, (), Grants(dirs={"/data": wasilab.HostDir(str(tmp_path))}, stdin="ask"), detach=True)
    over = wasilab.run(reads)
    inst = wasilab.instantiate(wasilab.compile(ADDS, "wat", name="adds"))
    lab = wasilab.Lab()
    lab.add("b", wasilab.compile(COUNTS, "wat", name="b"))
    lab.add("a", wasilab.compile(CALLS_B, "wat", name="a"))
    public = {name: getattr(wasilab, name) for name in wasilab.__all__}
    yield {
        **public, "run": run, "run2": over, "over": over, "trace": over.trace, "inst": inst, "ptr": 0, "n": 16,
        "lab": lab, "name": "b",
        "mine": Clocks.real().monotonic, "value": str(tmp_path), "panel": wasilab.panel,
    }  # fmt: skip
    run.stop()
    inst.close()
    lab.close()


RETURN_NOTHING = ("run.live.revoke", "inst.close")


def is_expression(code: str) -> bool:
    return bool(re.match(r"(run|trace|inst|len|panel|listen|lab|Fault|Grants|HostDir|Clocks)\b", code))


@pytest.mark.parametrize(("name", "code"), [pair for pair in FOUND if is_expression(pair[1])])
def test_an_example_of_a_docstring_works_as_written(names: dict[str, Any], name: str, code: str) -> None:
    if code.startswith("run.plot"):
        names["run"].stop()
        names["run"] = names["over"]
    code = code.replace("mine, ...", "mine, mine, mine").replace("(...)", "('no')")
    if code.startswith("run.wait("):
        names["run"].stop()
    if code.startswith("lab["):
        names["lab"].link("a", "b")
    value = eval(code, names)
    assert (value is None) == code.startswith(RETURN_NOTHING), value


@pytest.mark.parametrize(("name", "code"), [pair for pair in FOUND if not is_expression(pair[1])])
def test_a_call_that_a_docstring_names_exists(names: dict[str, Any], name: str, code: str) -> None:
    called = re.match(r"\.?(\w+)\(([\w, ]*)\)", code)
    assert called, code
    thing = getattr(wasilab, name)
    if called[1].startswith("on_") or called[1] in ("own_stdin", "cancelled", "decide"):  # what the caller hands in
        assert called[1] in inspect.signature(thing).parameters
        return
    owners = [thing, wasilab.Run, wasilab.Instance, Clocks, type(names["inst"].memory), type(names["over"].changes)]
    method = next(getattr(owner, called[1]) for owner in owners if hasattr(owner, called[1]))
    required = [
        p for p in inspect.signature(method).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"
    ]  # fmt: skip
    given = [word for word in called[2].split(",") if word.strip()]
    assert len(given) >= len(required), f"{code} leaves out {required}"


def test_the_docstrings_hold_examples() -> None:
    assert len(FOUND) > 30
    assert sum(is_expression(code) for _, code in FOUND) > 15
