"""Runs in a confined process: they look like any run, and a guest that escapes the engine reaches nothing."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, Run, run
from wasilab.capabilities.streams import QueueInput
from wasilab.course.prebuilt import program
from wasilab.engine.isolate import confined_process, sandbox, seccomp
from wasilab.grants.value import GrantError
from wasilab.module.module import Module, from_wat
from wasilab.runs.isolated import outside

from ..components.making import command
from ..grants.guests import READ, WRITE, Guest, fd
from ..waiting import until
from . import holes

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"),
    pytest.mark.usefixtures("waiting"),
]
HOLES = Path(holes.__file__)
LOOP = from_wat('(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))', name="loop")


COMPONENT = from_wat("""(component
  (core module $m (func (export "run") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))""", name="component")


@pytest.fixture(scope="module")
def active() -> list[str]:
    """The sandbox layers of this machine."""
    return outside.doctor()


def needs(active: list[str], *names: str) -> None:
    if lacking := set(names) - set(active):
        pytest.skip(f"this machine has no {', '.join(sorted(lacking))}")


def without_times(run: Run) -> str:
    return re.sub(r"^(?:[0-9.]+ )+| <[0-9.]+>$", "", run.trace.text(), flags=re.MULTILINE)


def test_it_looks_as_a_run_in_this_process(tmp_path: Path) -> None:
    guest = Guest().open("in.txt").read().write("out", fd(1)).write("error", fd(2))
    guest.open("new.txt", fd=4, rights=WRITE, oflags=1).write("made").open("made.txt", fd=5, rights=WRITE, oflags=1)
    guest.write("in memory").open("copied.txt", fd=6, rights=WRITE, oflags=1).write("in a copy")
    guest.call("random_get", "(i32.const 5000) (i32.const 8)").open("/etc/passwd")
    seen = []
    for isolate in (False, True):
        root = tmp_path / str(isolate)
        for name in ("ro", "rw", "copy"):
            (root / name).mkdir(parents=True)
        (root / "ro" / "in.txt").write_text("text")
        memory = MemDir({"old": "x"})
        folders = {
            "/ro": HostDir(root / "ro"), "/rw": HostDir(root / "rw", "rw"), "/m": memory,
            "/copy": HostDir(root / "copy", "copy"),
        }  # fmt: skip
        grants = Grants(dirs=folders, env={"A": "b"}, stdin=b"in", random=Random.seeded(1), clocks=Clocks.frozen(5))
        done = run(guest.module(), ["x"], grants, isolate=isolate)
        assert (done.stdout, done.stderr) == ("out", "error")
        assert (root / "rw" / "new.txt").read_text() == "made"
        assert memory.files() == {"old": b"x", "made.txt": b"in memory"}
        assert not (root / "copy" / "copied.txt").exists()
        assert "copied.txt" in str(done.changes)
        done.changes["/copy"].apply()
        assert (root / "copy" / "copied.txt").read_text() == "in a copy"
        seen.append((done.exit_code, done.outcome.kind, without_times(done), str(done.denied).replace(str(root), "")))
    assert seen[0] == seen[1]


def test_results_of_an_export_and_the_place_of_a_trap_come_back() -> None:
    module = from_wat(
        '(module (func (export "add") (param i64 f64) (result i64 f64)'
        ' (i64.add (local.get 0) (i64.const 1)) (local.get 1))'
        ' (func $deep unreachable) (func (export "trap") (call $deep)))'
    )
    plain = run(module, ["41", "0.5"], invoke="add").outcome
    outcome = run(module, ["41", "0.5"], invoke="add", isolate=True).outcome
    assert (outcome.results, outcome.result_texts) == (plain.results, plain.result_texts) == ((42, 0.5), ("42", "0.5"))
    trapped = run(module, invoke="trap", isolate=True).outcome
    assert (trapped.kind, trapped.exit_code) == ("trap", 134)
    assert trapped.frames == run(module, invoke="trap").outcome.frames != ()


def test_a_stack_has_its_source_lines_and_readable_names() -> None:
    stopped = run(program("feed"), ["9999"], Grants(limits=Limits(fuel=100_000)), isolate=True).outcome
    assert "feed.c" in [frame.file for frame in stopped.frames if frame.line], stopped
    mangled = from_wat('(module (func $_ZN3lab3BoxIiE3getEv (export "trap") unreachable))')
    trapped = run(mangled, invoke="trap", isolate=True).outcome
    assert [frame.function for frame in trapped.frames] == ["lab::Box<...>::get"], trapped.message


def test_limits_end_it() -> None:
    assert "time limit" in run(LOOP, (), Grants(limits=Limits(seconds=0.1)), isolate=True).outcome.message
    fuel = run(LOOP, (), Grants(limits=Limits(fuel=1000)), isolate=True).outcome
    assert (fuel.kind, fuel.exit_code) == ("limit", 137)


def test_stop_ends_it_and_its_process(waiting: None) -> None:
    started = run(LOOP, isolate=True, detach=True)
    running = started._running
    assert isinstance(running, outside.IsolatedRunning)
    until(lambda: running.state == "running")
    assert started.running
    started.stop(timeout=None)
    assert started.outcome.kind == "interrupt"
    process = running.process
    assert process is not None
    until(lambda: not process.alive)


def test_stdin_is_sent_to_it() -> None:
    guest = Guest().read(fd(0))
    guest.call("fd_write", f"{fd(1)} (i32.const 4096) (i32.const 1) (i32.const 4200)")
    lines = iter(["typed"])
    asked = run(guest.module(), (), Grants(stdin="ask"), isolate=True, on_input=lambda: next(lines))
    assert asked.stdout.startswith("typed\n")
    started = run(guest.module(), (), Grants(stdin="ask"), isolate=True, detach=True)
    started.send("sent")
    assert started.wait().stdout.startswith("sent")


def test_a_grant_is_taken_back_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    guest = Guest().open("a.txt").again().read()
    started = run(guest.module(), (), Grants(dirs={"/d": HostDir(tmp_path)}), isolate=True, detach=True)
    until(lambda: len(started.trace) > 2)
    started.live.revoke("/d")
    assert started.wait().exit_code == 76
    assert "granted, then taken back" in str(started.denied)


def test_less_is_given_and_no_other_folder_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    guest = Guest().again().open("a.txt", rights=READ | WRITE).call("fd_close", "(local.get $fd)")
    grants = Grants(dirs={"/d": HostDir(tmp_path, "rw")})
    started = run(guest.module(), (), grants, isolate=True, detach=True)
    until(lambda: len(started.trace) > 2)
    other = started.regrant(grants.with_(dirs={"/d": HostDir("/usr")}))
    assert "/d" in other
    assert started.running
    assert started.regrant(grants.with_(dirs={"/d": HostDir(tmp_path)})) == {}
    assert started.wait().exit_code == 76


def hole(number: int, grants: Grants | None = None, isolate: Any = True) -> Run:
    module = from_wat(
        '(module (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))'
        f'(memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const {number})))))'
    )
    return run(module, (), grants or Grants(), isolate=isolate)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_TEST_HOLE", str(HOLES))
    confined_process.PREPARED.clear()


@pytest.fixture(autouse=True)
def not_planted(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "planted" in request.fixturenames:
        confined_process.PREPARED.clear()


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("number", "signal", "status"),
    [pytest.param(holes.ABORT, "SIGABRT", 134, marks=pytest.mark.slow), (holes.FAULT, "SIGSEGV", 139)],
)
def test_an_abort_of_its_process_is_the_end_of_the_run_only(number: int, signal: str, status: int) -> None:
    done = hole(number)
    assert (done.outcome.kind, done.exit_code) == ("error", status)
    assert signal in str(done.error)
    assert run(LOOP, (), Grants(limits=Limits(fuel=10)), isolate=True).outcome.kind == "limit"


@pytest.mark.slow
@pytest.mark.usefixtures("planted")
def test_its_process_takes_no_more_memory_than_it_may() -> None:
    limits = Limits(memory=1 << 20, trace=1 << 20, output=1 << 20, io=1 << 20)
    done = hole(holes.EAT, Grants(limits=limits))
    assert json.loads(done.outcome.detail)["eaten"] <= 400 << 20


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("name", ["execve", "socket", "ptrace", "fork", "unshare"])
def test_a_fatal_system_call_ends_its_process(name: str, active: list[str]) -> None:
    needs(active, "system calls")
    done = hole(holes.SYSCALL + seccomp.here().fatal[name])
    assert "SIGSYS" in str(done.error)
    assert "forbid" in str(done.error)


@pytest.mark.usefixtures("planted")
def test_an_escaped_guest_reaches_only_the_granted_folders(
    tmp_path: Path, active: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(active, *sandbox.LAYERS)
    monkeypatch.setenv("SECRET_TOKEN", "x")
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "inside").write_text("")
    (tmp_path / "outside").write_text("")
    found = json.loads(hole(holes.LOOK, Grants(dirs={"/d": HostDir(granted)})).outcome.detail)
    assert "SECRET_TOKEN" not in found["environment"]
    assert found["granted"] == ["done"]
    assert found["above"] == ["Permission denied"]
    assert found["create"] == ["Permission denied"]
    assert found["root"] == "done" or "denied" in found["root"]
    assert found["passwd"] != "done"
    assert found["processes"] != "done"
    assert {found["kill"], found["file in memory"], found["shared memory"]} == {"Operation not permitted"}
    assert not (granted / "new").exists()


@pytest.mark.slow
def test_all_that_its_process_said_is_there_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    read, started = os.read, list[confined_process.ConfinedProcess]()

    def late(descriptor: int, size: int) -> bytes:
        if threading.current_thread().name == "wasilab confined stderr":
            until(lambda: started and not started[0].alive)
            time.sleep(0.2)  # far later than the end of its process is noticed
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", late)
    started.append(confined_process.ConfinedProcess("wasilab.no_such_module"))
    until(lambda: not started[0].alive)  # `end` kills one that is slow to begin
    assert started[0].end() == 70
    assert "no_such_module" in started[0].told


@pytest.mark.slow
@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("number", "ask"),
    [(holes.LIE, False), (holes.FORGE, False), (holes.FLOOD, False), (holes.FORGE, True), (holes.FLOOD, True)],
)
def test_a_process_that_sends_false_messages_is_ended(
    number: int, ask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("kill", "end"):
        step = getattr(confined_process.ConfinedProcess, name)
        noted = lambda self, step=step: (steps.append(step.__name__), step(self))[1]  # noqa: E731
        monkeypatch.setattr(confined_process.ConfinedProcess, name, noted)
    grants = Grants.nothing(ask=ask)
    done = hole(number, grants)
    assert "taken it over" in str(done.error)
    assert done.outcome.kind == "error"
    assert steps[0] == "kill", "it is given no time to exit"


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["seccomp", "landlock", "namespaces"])
def test_strict_runs_nothing_without_all_layers(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_TEST_WITHOUT", layer)
    strict = run(LOOP, isolate="strict")
    assert strict.outcome.kind == "error"
    assert not len(strict.trace)
    assert "strict isolation needs sandbox layers" in str(strict.error)
    assert not strict.outcome.warnings, "it did not run without them"


@pytest.mark.parametrize("level", ["strickt", "off", 2])
def test_an_unknown_level_is_refused(level: Any) -> None:
    with pytest.raises(ValueError, match=f"isolate is {level!r}: give True, False or 'strict'"):
        run(LOOP, isolate=level)


@pytest.mark.slow
def test_a_missing_layer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_TEST_WITHOUT", "seccomp")
    done = run(Guest().module(), isolate=True)
    assert done.exit_code == 0
    assert any("without some sandbox layers" in line and "system calls" in line for line in done.outcome.warnings)


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        (Grants(overrides={"sched_yield": lambda original: None}), "sched_yield"),
        (Grants(stdin=QueueInput()), "stdin"),
        (Grants(faults=("fd_write:error=EIO",)), r"faults \(--inject\)"),
    ],
)  # fmt: skip
def test_what_cannot_go_into_its_process_is_refused(grants: Grants, words: str) -> None:
    with pytest.raises(GrantError, match=words):
        run(LOOP, (), grants, isolate=True)


@pytest.mark.slow
def test_machine_code_is_kept_for_the_next_process_only() -> None:
    module = Module(Guest().write("x", fd(1)).module().bytes, "again")
    first, second = (run(module, isolate=True).outcome for _ in range(2))
    assert first.compile_seconds > second.compile_seconds == 0.0


@pytest.mark.slow
def test_a_recording_of_an_isolated_run_can_be_replayed() -> None:
    guest = Guest().call("random_get", "(i32.const 5000) (i32.const 8)").write("out", fd(1))
    done = run(guest.module(), isolate=True, record=True)
    assert done.replay().outcome.kind == "exit"
    assert done.replay().stdout == "out"


def test_a_damaged_component_is_reported_as_in_this_process() -> None:
    cut = Module(COMPONENT.bytes[:-20], "cut")
    isolated = run(cut, isolate=True).outcome
    assert "is not a valid component" in isolated.message
    assert isolated.message == run(cut).outcome.message


@pytest.mark.slow
def test_a_socket_of_a_component_is_refused_and_does_not_end_its_process() -> None:
    makes = """(import "wasi:sockets/udp-create-socket@V" "create-udp-socket" (func $make (param i32 i32)))
      (func $run (result i32) (call $make (i32.const 0) (i32.const 16)) (i32.load8_u (i32.const 16)))"""
    done = run(Module(command(makes), "makes"), isolate=True)
    assert (done.outcome.kind, done.outcome.exit_code) == ("exit", 1), done.outcome.message
    assert "an isolated run has no network" in str(done.denied)


def test_a_component_runs_in_its_own_process() -> None:
    done = run(COMPONENT, isolate=True)
    assert done.error is None
    assert done.exit_code == 0
