"""Other grants for a guest in a confined process while it runs: what was taken back can be given again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, MemDir, Random, Run, listen, run
from wasilab.module.module import from_wat
from wasilab.wasi.types import Errno

from ..grants.guests import READ, WRITE, Guest, fd
from ..waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"),
    pytest.mark.usefixtures("waiting"),
]
STEPS = from_wat(f"""(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 32) "a.txt")
  (func $opened (param $rights i64)
    (if (i32.eqz (call $open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 5) (i32.const 0)
                             (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 64)))
      (then (drop (call $close (i32.load (i32.const 64)))))))
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 96)) (i32.store (i32.const 4) (i32.const 1))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.eqz (i32.load (i32.const 8))) (then (return)))
      (call $opened (i64.const {READ})) (call $opened (i64.const {WRITE}))
      (drop (call $time (i32.const 0) (i64.const 0) (i32.const 80)))
      (drop (call $random (i32.const 200) (i32.const 8)))
      (drop (call $sizes (i32.const 80) (i32.const 84)))
      (br $again))))""", name="steps")  # fmt: skip
"""For each byte of stdin: opens a.txt for reading and for writing, asks for the time, randomness and variables."""


@pytest.fixture
def detached() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(module: Any, grants: Grants) -> Run:
        runs.append(run(module, (), grants, isolate=True, detach=True))
        return runs[-1]

    yield start
    for each in runs:
        each.stop()


def step(started: Run) -> dict[str, Any]:
    """What the guest gets now: the errnos of its calls, and the number of variables."""
    at = len(started.trace)
    started.send("x")
    until(lambda: not started.running or any(c.name == "environ_sizes_get" for c in started.trace[at:]))
    calls = [c for c in started.trace[at:] if c.name not in ("fd_read", "fd_close")]
    names = ("read", "write", "time", "random", "variables")
    found: dict[str, Any] = {name: Errno(c.errno).name for name, c in zip(names, calls, strict=True)}
    found["variables"] = calls[-1].result.get("environc") if calls[-1].errno == 0 else found["variables"]
    return found


ALL = {"read": "SUCCESS", "write": "SUCCESS", "time": "SUCCESS", "random": "SUCCESS", "variables": 1}


def test_what_was_taken_back_is_given_again(tmp_path: Path, detached: Callable[..., Run]) -> None:
    (tmp_path / "a.txt").write_text("x")
    grants = Grants(dirs={"/d": HostDir(tmp_path, "rw")}, env={"A": "b"}, stdin="ask")
    started = detached(STEPS, grants)
    assert step(started) == ALL
    ro = grants.with_(dirs={"/d": HostDir(tmp_path)}, clocks=Clocks.nothing(), random=Random.nothing())
    for _ in range(2):
        assert started.regrant(ro) == {}
        assert step(started) == {**ALL, "write": "NOTCAPABLE", "time": "NOTCAPABLE", "random": "NOTCAPABLE"}
        assert started.regrant(grants.with_(dirs={}, env={})) == {}
        assert step(started) == {**ALL, "read": "NOTCAPABLE", "write": "NOTCAPABLE", "variables": "NOTCAPABLE"}
        assert started.regrant(grants.with_(env={"A": "b", "C": "d"})) == {}
        assert step(started) == {**ALL, "variables": 2}


@pytest.mark.parametrize("again", ["restore", "regrant"])
def test_switches_go_off_and_on(tmp_path: Path, detached: Callable[..., Run], again: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    grants = Grants(dirs={"/d": HostDir(tmp_path, "rw")}, env={"A": "b"}, stdin="ask")
    started = detached(STEPS, grants)
    names = ("/d", "clocks", "random", "env")
    for name in names:
        started.live.revoke(name)
    assert step(started) == dict.fromkeys(ALL, "NOTCAPABLE")
    if again == "regrant":
        assert started.regrant(grants) == {}
    else:
        for name in names:
            started.live.restore(name)
    assert step(started) == ALL


def test_rights_are_withheld_while_it_runs(detached: Callable[..., Run]) -> None:
    grants = Grants(dirs={"/d": MemDir({"a.txt": "x"})}, env={"A": "b"}, stdin="ask")
    started = detached(STEPS, grants)
    assert step(started) == ALL
    assert started.regrant(grants.with_(withheld={"/d": ["fd_write"]})) == {}
    assert step(started) == {**ALL, "write": "NOTCAPABLE"}
    assert started.regrant(grants) == {}
    assert step(started) == ALL


@pytest.mark.slow
def test_a_change_before_the_guest_is_started_is_not_lost(detached: Callable[..., Run]) -> None:
    grants = Grants(dirs={"/d": MemDir({"a.txt": "x"})}, env={"A": "b"}, stdin="ask")
    started = detached(STEPS, grants)
    changed = grants.with_(env={"A": "b", "C": "d"}, clocks=Clocks.nothing(), withheld={"/d": ["fd_write"]})
    assert started.regrant(changed) == {}
    assert started.running
    assert step(started) == {**ALL, "write": "NOTCAPABLE", "time": "NOTCAPABLE", "variables": 2}


@pytest.mark.slow
def test_stdin_is_taken_back_from_a_waiting_guest_and_given_again(detached: Callable[..., Run]) -> None:
    asked = Grants(stdin="ask")
    refused = detached(Guest().write("ready", fd(1)).read(fd(0)).module(), asked)
    until(lambda: len(refused.trace))
    refused.regrant(asked.with_(stdin=None))
    assert refused.wait(60).exit_code == int(Errno.NOTCAPABLE)
    again = detached(Guest().write("ready", fd(1)).again().read(fd(0)).module(), asked)
    again.regrant(asked.with_(stdin=None))
    again.regrant(asked)
    again.send("line\n")
    until(lambda: len(again.trace.filter("nbytes == 5")) == 2)


READS = from_wat("""(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 96)) (i32.store (i32.const 4) (i32.const 64))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $again))))""", name="reads")
"""Reads stdin for ever, whatever the calls return."""


def sizes(started: Run) -> list[int]:
    """The bytes of its reads that got any."""
    return [call.nbytes for call in started.trace.filter("nbytes > 0")]


def refused_since(started: Run, at: int) -> bool:
    return any(call.errno for call in started.trace[at:])


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [False, True])
def test_a_text_that_is_granted_again_begins_anew_and_a_restored_one_goes_on(isolate: bool) -> None:
    grants = Grants(stdin=b"text")
    started = run(READS, (), grants, isolate=isolate, detach=True)
    try:
        until(lambda: sizes(started) == [4])
        at = len(started.trace)
        started.live.revoke("stdin")
        until(lambda: refused_since(started, at))
        started.live.restore("stdin")
        until(lambda: not any(call.errno for call in started.trace[len(started.trace) - 5 :]))
        assert sizes(started) == [4]
        at = len(started.trace)
        started.regrant(grants.with_(stdin=None))
        until(lambda: refused_since(started, at))
        started.regrant(grants)
        until(lambda: sizes(started) == [4, 4])
    finally:
        started.stop()


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("again", ["restore", "regrant"])
def test_what_is_typed_after_stdin_was_given_again_is_read(isolate: bool, again: str) -> None:
    grants = Grants(stdin="ask")
    started = run(READS, (), grants, isolate=isolate, detach=True)
    try:
        started.send("first\n")
        until(lambda: sizes(started) == [6])
        at = len(started.trace)
        if again == "restore":
            started.live.revoke("stdin")
        else:
            started.regrant(grants.with_(stdin=None))
        until(lambda: refused_since(started, at))
        started.send("lost\n")
        if again == "restore":
            started.live.restore("stdin")
        else:
            started.regrant(grants)
        started.send("second\n")
        until(lambda: sizes(started) == [6, 7])
    finally:
        started.stop()


@pytest.mark.slow
def test_what_it_never_had_is_not_given_and_the_reason_is(tmp_path: Path, detached: Callable[..., Run]) -> None:
    grants = Grants(dirs={"/d": MemDir({"a.txt": "x"}), "/h": HostDir(tmp_path)}, env={"A": "b"}, stdin="ask")
    started = detached(STEPS, grants)
    dirs = {**grants.dirs, "/new": MemDir(), "/h": HostDir(tmp_path, "rw")}
    left = started.regrant(grants.with_(dirs=dirs, sockets=(listen("127.0.0.1:0"),), stdin=b"other"))
    assert set(left) == {"/new", "/h", "sockets", "stdin"}
    assert "learns the names of its folders" in left["/new"]
    assert "more access" in left["/h"]
    assert "another input" in left["stdin"]
    assert step(started) == ALL
