"""Faults are added to and removed from a running run, at once, with and without the native library."""

from __future__ import annotations

import pytest

import wasilab
from tests.engine.guests import wat
from tests.waiting import until
from wasilab import EngineOptions, Grants
from wasilab.grants.value import GrantError

# Ends with 0 when a write of no bytes has failed and then succeeded again; reads the clock all the while.
WATCHES = """
  (loop $good
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 64)))
    (br_if $good (i32.eqz (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
  (loop $bad
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 64)))
    (br_if $bad (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (call $proc_exit (i32.const 0))"""
EIO = "fd_write:error=EIO"


def watching() -> wasilab.Module:
    return wat("fd_write clock_time_get proc_exit", WATCHES)


def start(grants: Grants | None = None, **how: object) -> wasilab.Run:
    return wasilab.run(watching(), grants=grants, detach=True, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "how", [{}, {"native": False}, {"raw": False}, {"stacks": True}, {"stacks": 3}], ids=str
)
def test_a_fault_comes_and_goes_while_it_runs(how: dict[str, object]) -> None:
    run = start(**how)
    until(lambda: len(run.trace) > 10)
    assert run.regrant(Grants(faults=[EIO])) == {}
    until(lambda: len(run.trace.filter("injected")) > 3)
    assert run.running
    assert run.regrant(Grants()) == {}
    until(lambda: not run.running)
    assert (run.outcome.kind, run.exit_code) == ("exit", 0)
    injected = run.trace.filter("injected")
    assert {(call.name, call.errno_name) for call in injected[:100]} == {("fd_write", "EIO")}
    assert len(run.trace.filter("call=fd_write errno=EIO")) == len(injected)
    assert not run.trace.filter("call=clock_time_get injected")
    assert not run.trace[-2:].filter("injected")


def test_faults_of_the_start_stop_and_those_that_stay_go_on_counting() -> None:
    run = start(Grants(faults=["clock_time_get:error=EIO", "fd_write:error=EIO:when=1000000+"]))
    until(lambda: len(run.trace.filter("call=clock_time_get injected")) > 3)
    with_count = Grants(faults=["fd_write:error=EIO:when=1000000+", "fd_write:error=ENOSPC:when=2+"])
    run.regrant(with_count)
    until(lambda: len(run.trace.filter("call=fd_write errno=ENOSPC")) > 3)
    written = [call.errno_name for call in run.trace.filter("call=fd_write")]
    first = written.index("ENOSPC")
    assert set(written[:first]) == {""}  # the new one began to count when it was added
    assert not run.trace[-5:].filter("call=clock_time_get injected")
    run.regrant(Grants())
    until(lambda: not run.running)
    assert run.exit_code == 0


def test_an_override_is_there_again_when_the_fault_has_gone() -> None:
    asked: list[int] = []

    def answer(original: object, *arguments: object) -> int:
        asked.append(1)
        return 0

    grants = Grants(overrides={"fd_write": answer})
    run = start(grants)
    until(lambda: len(asked) > 3)
    run.regrant(grants.with_(faults=[EIO]))
    until(lambda: len(run.trace.filter("errno=EIO")) > 1)
    run.regrant(grants)
    until(lambda: not run.running)
    assert run.exit_code == 0
    assert run.trace[-2].flags & 32  # the override


def test_a_wrong_fault_is_refused_and_changes_nothing() -> None:
    run = start()
    with pytest.raises(GrantError, match="did you mean 'fd_write'"):
        run.regrant(Grants(faults=["fd_wite:error=EIO"]))
    assert run.running
    run.stop()
    assert not run.trace.filter("injected")


def test_a_fault_added_before_the_guest_is_entered_is_there() -> None:
    run = start(engine=EngineOptions(cache=False))
    run.regrant(Grants(faults=[EIO]))  # it may still be compiled
    until(lambda: len(run.trace.filter("injected")) > 0)
    run.regrant(Grants())
    until(lambda: not run.running)
    assert run.exit_code == 0


def test_a_component_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start()
    monkeypatch.setattr(run.module, "is_component", True)
    with pytest.raises(GrantError, match="a component: faults are injected into calls of preview 1 only"):
        run.regrant(Grants(faults=[EIO]))
    monkeypatch.undo()
    run.stop()
