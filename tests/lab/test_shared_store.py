"""A lab with one store: memories, tables, globals and references pass; each instance keeps its own grants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wasilab import Grants, GuestError, Lab, Limits, MemDir
from wasilab.engine.stop import LinkError

from .programs import OPENER, READER, text

OWNER = text(
    """(memory (export "memory") 1) (global (export "count") (mut i32) (i32.const 5))
      (table (export "table") 3 funcref) (type $f (func (param i32) (result i32)))
      (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "call") (param i32 i32) (result i32)
        (call_indirect (type $f) (local.get 1) (local.get 0)))
      (func (export "is_null") (param funcref) (result i32) (ref.is_null (local.get 0)))
      (func (export "boom") unreachable)""",
    "owner.wasm",
)
USER = text(
    """(import "owner" "poke" (func $poke (param i32 i32))) (import "owner" "boom" (func $boom))
      (import "owner" "is_null" (func $is_null (param funcref) (result i32)))
      (import "owner" "memory" (memory 1)) (import "owner" "count" (global $count (mut i32)))
      (import "owner" "table" (table $t 3 funcref))
      (func $double (export "double") (param i32) (result i32) (i32.mul (i32.const 2) (local.get 0)))
      (elem declare func $double)
      (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
      (func (export "write_through") (param i32 i32) (call $poke (local.get 0) (local.get 1)))
      (func (export "add") (global.set $count (i32.add (global.get $count) (i32.const 1))))
      (func (export "counted") (result i32) (global.get $count))
      (func (export "install") (param i32) (table.set $t (local.get 0) (ref.func $double)))
      (func (export "asks") (result i32) (call $is_null (ref.func $double)))
      (func (export "boom") (call $boom))""",
    "user.wasm",
)


def lab_of(**limits: object) -> Lab:
    lab = Lab(shared_store=True)
    lab.add("user", USER, Grants.nothing())  # before what it imports from
    lab.add("owner", OWNER, Grants.nothing(**limits))
    return lab.link("user", "owner")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with lab_of() as made:
        yield made


def test_memory_table_and_global_are_one_for_both(lab: Lab) -> None:
    user, owner = lab["user"].exports, lab["owner"].exports
    owner.poke(100, 7)
    assert user.read(100) == 7
    user.write_through(101, 9)
    assert lab["owner"].memory.read(100, 2) == b"\x07\x09"
    user.add()
    assert user.counted() == 6
    user.install(2)
    assert owner.call(2, 21) == 42, "a function of user, called through owner's table"
    assert user.asks() == 0, "a reference passes as an argument"
    assert [event.name for event in lab.trace] == ["poke"], "a linked call of numbers is recorded as ever"


def test_without_a_shared_store_the_remedy_is_named() -> None:
    with Lab() as lab:
        lab.add("user", USER)
        lab.add("owner", OWNER)
        lab.link("user", "owner")
        with pytest.raises(LinkError, match=r"Lab\(shared_store=True\) has one"):
            lab.open()


def test_a_trap_ends_its_member_and_the_caller_and_not_the_rest(lab: Lab) -> None:
    with pytest.raises(GuestError, match="owner ended inside boom"):
        lab["user"].exports.boom()
    with pytest.raises(GuestError):
        lab["owner"].exports.poke(1, 1)
    other = Lab(shared_store=True)
    other.add("a", OWNER)
    other.add("b", OWNER)
    with other:
        with pytest.raises(GuestError):
            other["a"].exports.boom()
        other["b"].exports.poke(3, 3)
        assert other["b"].memory.read(3, 1) == b"\x03"


def test_limits_of_the_store_must_be_the_same() -> None:
    with lab_of(limits=Limits(fuel=1000)) as lab, pytest.raises(LinkError, match=r"give both the same limits\.fuel"):
        lab.open()


def test_both_are_stopped_by_one_tank_of_fuel() -> None:
    spin = text('(func (export "spin") (loop (br 0))) (func (export "one"))', "spin.wasm")
    with Lab(shared_store=True) as lab:
        for name in ("a", "b"):
            lab.add(name, spin, Grants.nothing(limits=Limits(fuel=10_000)))
        with pytest.raises(GuestError, match="the fuel of 10,000 is used up"):
            lab["a"].exports.spin()
        with pytest.raises(GuestError, match="fuel"):
            lab["b"].exports.one()


def test_a_circle_of_memories_and_a_wrong_kind_are_refused_in_words() -> None:
    first = text('(import "b" "memory" (memory 1)) (export "memory" (memory 0))', "a.wasm")
    with Lab(shared_store=True) as lab:
        lab.add("a", first)
        lab.add("b", text('(import "a" "memory" (memory 1)) (export "memory" (memory 0))', "b.wasm"))
        lab.link("a", "b").link("b", "a")
        with pytest.raises(LinkError, match=r"a and b import .* in a circle"):
            lab.open()
    with Lab(shared_store=True) as lab:
        lab.add("a", first)
        lab.add("b", text('(func (export "memory"))', "b.wasm"))
        lab.link("a", "b")
        with pytest.raises(LinkError, match="as a memory, and it is a func"):
            lab.open()
    with Lab(shared_store=True) as lab:
        lab.add("a", text('(import "b" "memory" (memory 9))', "a.wasm"))
        lab.add("b", OWNER)
        lab.link("a", "b")
        with pytest.raises(GuestError, match="a: "):
            lab.open()


def test_descriptors_stay_apart_and_pass_by_the_link() -> None:
    """One store, and still each its own descriptor table: a number of one is not a descriptor of the other."""
    with Lab(shared_store=True) as lab:
        lab.add("opener", OPENER, Grants.nothing(dirs={"/d": MemDir({"a.txt": b"hello"})}))
        lab.add("reader", READER, Grants.nothing())
        lab.link("opener", "reader", passing={"count": 0}).link("reader", "opener")
        opener = lab["opener"].exports
        fd = opener.open()
        assert opener.count(fd) == 5
        assert opener.scribble(fd) == 8, "an undeclared parameter is a bare number: BADF"
