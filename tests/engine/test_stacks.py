"""The guest's stack at every call: by both ways, the same few stacks, with names and lines."""

from __future__ import annotations

import pytest

from wasilab.module.dwarf import source_map
from wasilab.module.module import load

from .guests import imports, run, wat

GUEST = f"""(module {imports("sched_yield", "fd_write")} (memory (export "memory") 1)
  (func $leaf (drop (call $sched_yield)))
  (func $branch (param i32)
    (if (local.get 0) (then (call $branch (i32.sub (local.get 0) (i32.const 1)))) (else (call $leaf))))
  (func (export "_start") (local i32)
    (loop $l (call $branch (i32.const 2)) (call $leaf)
      (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 50))))))"""


@pytest.mark.parametrize("raw", [True, False])
def test_each_call_has_its_stack_and_equal_stacks_are_kept_once(raw: bool) -> None:
    ran = run(load(GUEST.encode()), stacks=True, raw=raw)
    assert ran.outcome.ok
    assert len(ran.calls) == 100
    assert len(ran.recorder.stack_table) == 2
    assert [f.function for f in ran.calls[0].stack] == ["leaf", "branch", "branch", "branch", "_start"]
    assert [f.function for f in ran.calls[1].stack] == ["leaf", "_start"]


def test_failed_calls_and_exits_have_stacks_too() -> None:
    body = "(drop (call $fd_close (i32.const 9))) (call $proc_exit (i32.const 1))"
    ran = run(wat("fd_close proc_exit", body), stacks=True)
    assert [[f.function for f in c.stack] for c in ran.calls] == [["start"], ["start"]]


def test_without_stacks_none_are_taken() -> None:
    assert run(load(GUEST.encode())).calls[0].stack == []


def test_a_very_deep_stack_is_cut_not_fatal() -> None:
    deep = GUEST.replace("(call $branch (i32.const 2))", "(call $branch (i32.const 3000))")
    ran = run(load(deep.encode()), stacks=True)
    assert ran.outcome.ok
    assert 1 < len(ran.calls[0].stack) <= 256


def test_a_stack_taken_with_little_fuel_left_is_no_fault() -> None:
    from wasilab.engine.limits import Limits

    ran = run(load(GUEST.encode()), stacks=True, limits=Limits(fuel=300))
    assert (ran.outcome.kind, ran.outcome.message) == ("limit", "the fuel of 300 is used up")
    assert ran.calls[0].stack[0].function == "leaf"


def test_a_module_without_dwarf_has_no_source_map() -> None:
    assert source_map(load(GUEST.encode())) is None
