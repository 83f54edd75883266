"""Python functions as imports of an instance and in its function table, called by the guest and by an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import wasilab
from wasilab import Grants, GuestError, Instance, Lab
from wasilab.engine.lab.live_table import TableError, read_type
from wasilab.engine.stop import LinkError
from wasilab.module.binary import FuncType
from wasilab.module.module import from_wat

CALLS = from_wat(
    """(module (type $two (func (param i32 i32) (result i32))) (type $none (func)) (type $held (func (param externref)))
      (table (export "table") 2 4 funcref) (memory (export "memory") 1)
      (func $own (export "own") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
      (elem (i32.const 1) $own)
      (func (export "call_two") (param i32 i32 i32) (result i32)
        (call_indirect (type $two) (local.get 1) (local.get 2) (local.get 0)))
      (func (export "call_none") (param i32) (call_indirect (type $none) (local.get 0)))
      (func (export "give") (param externref i32) (call_indirect (type $held) (local.get 0) (local.get 1)))
      (func (export "reference") (param i32) (result funcref) (table.get 0 (local.get 0))))""",
    name="calls.wasm",
)


@pytest.fixture
def calls() -> Iterator[Instance]:
    with wasilab.instantiate(CALLS) as instance:
        yield instance


def test_a_python_function_is_a_function_pointer_of_the_guest(calls: Instance) -> None:
    table = calls.table()
    pointer = table.put(lambda a, b: a * b, "i32, i32 -> i32")
    assert pointer == 2, "entry 0 stays empty: it is C's null pointer; entry 1 is the guest's own"
    assert calls.exports.call_two(pointer, 6, 7) == 42
    assert calls.exports.call_two(1, 6, 7) == -1
    assert (table[0], len(table)) == (None, 3)
    seen: list[object] = []
    thing = object()
    calls.exports.give(thing, table.put(seen.append, "externref ->"))
    assert seen == [thing]
    assert [event.name for event in calls.trace] == ["<lambda>", "append"]
    assert "6" in calls.trace.text()


def test_wrong_signatures_are_one_clear_error_each(calls: Instance) -> None:
    table = calls.table()
    for function, type_, said in (
        (lambda a: a, "i32, i32 -> i32", "cannot be called as (i32, i32) -> (i32): too many positional arguments"),
        (lambda a, b: a, "i32 -> i64", "cannot be called as"),
        (lambda a: a, "i32 -> i64", "calls.wasm never calls a function of type (i32) -> (i64); its function types are"),
        (lambda a: a, "i32 -> string", "'string' is not a type that a Python function can have; use i32"),
        (lambda a: a, "i32", "is not a function type: write for example"),
        (lambda a: a, "", "needs a type, such as type='i32 -> i32'"),
        (17, "i32 -> i32", "17 is neither a function nor a reference"),
    ):
        with pytest.raises(TableError) as caught:
            table.put(function, type_)  # type: ignore[arg-type]
        assert said in str(caught.value)
    assert not calls.closed


def test_a_call_through_a_wrong_type_or_null_ends_the_guest_in_words(calls: Instance) -> None:
    pointer = calls.table().put(lambda a, b: 0, "i32, i32 -> i32")
    with pytest.raises(GuestError, match="called a function pointer of another type"):
        calls.exports.call_none(pointer)
    with wasilab.instantiate(CALLS) as other, pytest.raises(GuestError, match="null function pointer"):
        other.exports.call_none(0)


def test_a_result_that_is_not_of_the_type_and_an_exception_end_the_guest(calls: Instance) -> None:
    pointer = calls.table().put(lambda a, b: "text", "i32, i32 -> i32")
    with pytest.raises(GuestError, match="the Python function returned what its type has not"):
        calls.exports.call_two(pointer, 1, 2)
    with wasilab.instantiate(CALLS) as other:
        pointer = other.table().put(lambda a, b: a // b, "i32, i32 -> i32")
        with pytest.raises(GuestError, match="failed: ZeroDivisionError"):
            other.exports.call_two(pointer, 1, 0)


def test_indexes_names_and_a_full_table(calls: Instance) -> None:
    table = calls.table("table")
    for index in (-1, 99, True, "1"):
        with pytest.raises(TypeError, match="has the entries 0 to 1, and no"):
            table.set(index, None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="has the entries 0 to 1, and no"):
            table[index]  # type: ignore[index]
    pointers = [table.put(lambda a, b: 0, "i32, i32 -> i32") for _ in range(2)]
    with pytest.raises(TableError, match=r"is full: it has 4 entries and cannot grow"):
        table.put(lambda a, b: 0, "i32, i32 -> i32")
    table.set(pointers[0], None)
    assert table.put(lambda a, b: 5, "i32, i32 -> i32") == pointers[0], "a free entry is used again"
    for name, said in (("tabel", "exports table"), ("memory", "it exports table")):
        with pytest.raises(TableError, match=said):
            calls.table(name)
    with wasilab.instantiate(from_wat("(module)")) as bare, pytest.raises(TableError, match="exports none"):
        bare.table()


def test_a_reference_moves_within_its_store_and_is_refused_in_another(calls: Instance) -> None:
    own = calls.exports.reference(1)
    calls.table().set(0, own)
    assert calls.exports.call_two(0, 9, 4) == 5
    with wasilab.instantiate(CALLS) as other:
        with pytest.raises(TableError, match="belongs to another instance's store"):
            other.table().set(1, own)
        assert other.exports.call_two(1, 9, 4) == 5, "nothing was changed"


def test_types_as_text() -> None:
    assert read_type("i32, i64 -> f64") == read_type("(i32 i64) -> (f64)") == FuncType(("i32", "i64"), ("f64",))
    assert read_type("->") == read_type("() -> ()") == FuncType((), ())


def test_python_functions_as_imports_of_an_instance() -> None:
    asks = from_wat(
        """(module (import "host" "now" (func $now (result i64)))
          (func (export "twice") (result i64) (i64.add (call $now) (call $now))))"""
    )
    ticks = iter((40, 2))
    with wasilab.instantiate(asks, functions={"host": {"now": lambda: next(ticks)}}) as instance:
        assert instance.exports.twice() == 42
        assert [event.name for event in instance.trace] == ["now", "now"]
    with pytest.raises(LinkError, match=r"did you mean 'host\.now'"):
        wasilab.instantiate(asks, functions={"host": {"know": lambda: 1}})


def test_an_event_loop_outside_of_the_guest_drives_it(calls: Instance) -> None:
    """Timers call the reactor; while it waits for the next one, no call is in progress."""
    heard: list[int] = []

    def hear(a: int, b: int) -> int:
        heard.append(a)
        return b

    pointer = calls.table().put(hear, "i32, i32 -> i32")

    async def main() -> list[Any]:
        async def timer(n: int) -> Any:
            await asyncio.sleep(0)
            return await calls.exports.call_two.call_async(pointer, n, n + 1)

        return [await timer(n) for n in range(3)]

    assert asyncio.run(main()) == [1, 2, 3]
    assert heard == [0, 1, 2]


def test_a_button_calls_the_guest(calls: Instance) -> None:
    widgets = pytest.importorskip("ipywidgets")
    pointer = calls.table().put(lambda a, b: a + b, "i32, i32 -> i32")
    results: list[int] = []
    button = widgets.Button(description="press")
    button.on_click(lambda _: results.append(calls.exports.call_two(pointer, len(results), 10)))
    button.click()
    button.click()
    assert results == [10, 11]


def test_what_an_ended_member_left_in_a_shared_table_can_still_be_called() -> None:
    """Its callbacks live as long as the store: a freed one would end the process, so this runs in another."""
    code = """
import gc, wasilab
from wasilab import Grants, Lab, GuestError
owner = wasilab.load(b'''(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1) (table (export "t") 2 funcref) (elem (i32.const 0) $calls)
  (func $calls (result i32) (i32.add (i32.const 40) (call $yield))) (func (export "boom") unreachable))''')
user = wasilab.load(b'''(module (import "owner" "t" (table 2 funcref)) (type $f (func (result i32)))
  (func (export "go") (result i32) (call_indirect (type $f) (i32.const 0))))''')
lab = Lab(shared_store=True)
lab.add("owner", owner, Grants()); lab.add("user", user, Grants()); lab.link("user", "owner")
assert lab["user"].exports.go() == 40
try: lab["owner"].exports.boom()
except GuestError: pass
gc.collect()
print([lab["user"].exports.go() for _ in range(3)])
lab.close(); gc.collect(); print("closed")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, ["[40, 40, 40]", "closed"]), done.stderr


def test_a_lab_member_has_tables_too() -> None:
    with Lab() as lab:
        lab.add("calls", CALLS, Grants.nothing())
        pointer = lab["calls"].table().put(lambda a, b: a | b, "i32, i32 -> i32")
        assert lab["calls"].exports.call_two(pointer, 1, 6) == 7
