"""A recorded run is replayed: same calls, output and outcome; and where another program diverges from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wasilab
from tests.engine.guests import wat
from wasilab import Grants, HostDir, Limits, MemDir, Trace
from wasilab.cli import main
from wasilab.engine.replay.replay_link import ReplayLink
from wasilab.engine.stop import CannotReplay
from wasilab.runs.replays.recordings import Recording
from wasilab.runs.replays.replaying import ReplayedRun, replay

READS = "fd_prestat_get path_open fd_read fd_write clock_time_get random_get proc_exit"
COPY = """
  (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 2)
    (i64.const 0) (i32.const 0) (i32.const 80)))
  (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 9000))
  (drop (call $fd_read (i32.load (i32.const 80)) (i32.const 0) (i32.const 1) (i32.const 8)))
  (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 96)))
  (drop (call $random_get (i32.const 112) (i32.const 16)))
  (i32.store (i32.const 4) (i32.load (i32.const 8)))
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
  (i32.store (i32.const 0) (i32.const 96)) (i32.store (i32.const 4) (i32.const 32))
  (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
  (call $proc_exit (i32.const {status}))"""
THREE = COPY.replace("{status}", "3")
NAME = '(data (i32.const 64) "a.txt")'


def copying(status: int = 3, extra: str = NAME, before: str = "") -> wasilab.Module:
    """Copies `a.txt` to stdout, and the time and random bytes to stderr."""
    return wat(READS, before + COPY.replace("{status}", str(status)), extra=extra)


@pytest.fixture
def recorded(tmp_path: Path) -> wasilab.Run:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes(bytes(range(256)) * 20)
    return wasilab.run(copying(), grants=Grants(dirs={"/in": HostDir(str(tmp_path / "in"))}), record=True)


def assert_same(first: wasilab.Run, again: wasilab.Run) -> None:
    assert isinstance(again, ReplayedRun)
    assert again.divergence is None
    ends = [(run.outcome.kind, run.exit_code, run.outcome.message, run.outcome.results) for run in (first, again)]
    assert ends[0] == ends[1]
    assert first.output == again.output
    assert len(first.trace.diff(again.trace)) == 0
    assert [life.path for life in first.trace.store.lives.values()] == [
        life.path for life in again.trace.store.lives.values()
    ]


def test_one_file_is_enough_and_no_host_is_asked(recorded: wasilab.Run, tmp_path: Path) -> None:
    recorded.trace.save(tmp_path / "a.wtrace")
    (tmp_path / "in" / "a.txt").unlink()
    (tmp_path / "in").rmdir()
    recording = Recording.load(tmp_path / "a.wtrace")
    again = replay(recording)
    assert recorded.exit_code == 3
    assert recorded.stdout_bytes == bytes(range(256)) * 20
    assert len(recorded.stderr_bytes) == 32
    assert_same(recorded, again)
    assert len(again._prepared.host.fds.entries) == 0  # nothing was open, from the first call to the last
    again.trace.save(tmp_path / "b.wtrace")  # the trace of a replay is a recording as well
    assert_same(recorded, replay(Recording.load(tmp_path / "b.wtrace")))


def test_the_public_functions_of_wasmtime_replay_the_same(recorded: wasilab.Run) -> None:
    assert_same(recorded, replay(Recording(recorded.trace), raw=False))


def test_stacks_can_be_taken_that_the_recording_lacks(recorded: wasilab.Run) -> None:
    assert not recorded.trace.store.stacks
    again = recorded.replay(stacks=True)
    assert (again.trace.column("stack") > 0).all()
    assert again.trace[0].stack[0].function == "start"


def test_it_stops_before_a_call_and_keeps_the_memory(recorded: wasilab.Run) -> None:
    stopped = recorded.replay(until=2)
    assert isinstance(stopped, ReplayedRun)
    assert stopped.memory is not None
    assert len(stopped.memory) == 65536
    assert stopped.memory[1024 : 1024 + 5120] == bytes(range(256)) * 20  # what the second call read
    assert stopped.memory[96:128] == bytes(32)  # and neither the time nor the random bytes
    assert (len(stopped.trace), stopped.calls, stopped.exit_code) == (2, 2, 0)
    assert stopped.outcome.frames[0].function == "start"
    assert str(stopped).partition(",")[0].endswith("Stopped before call 2"), "it did not end"
    with pytest.raises(CannotReplay, match="no call 99 to stop at: the recording has 7 calls"):
        recorded.replay(until=99)


@pytest.mark.parametrize(
    ("other", "call", "difference"),
    [
        (copying(status=4), 6, "its argument 'rval' is 4, and was 3"),
        (copying(extra='(data (i32.const 64) "b.txt")'), 0, "its path is b'b.txt', and was b'a.txt'"),
        (copying(before="(drop (call $fd_prestat_get (i32.const 3) (i32.const 80)))"), 0, "it calls fd_prestat_get"),
        (copying(extra=NAME.replace("64", "63").replace("a.txt", "xa.txt")), None, ""),
        (wat("path_open proc_exit", COPY.split("(i32.store")[0], extra=NAME), 1, "the program ended there"),
        (wat(READS, THREE.replace("i32.const 16))", "i32.const 8))"), extra=NAME), 3, "'buf_len'"),
        (wat(READS, THREE.replace("(i32.const 32)", "(i32.const 24)"), extra=NAME), 5, "its buffers have 24 bytes"),
    ],
)  # fmt: skip
def test_another_program_diverges_at_the_call_that_differs(
    recorded: wasilab.Run, other: wasilab.Module, call: int | None, difference: str
) -> None:
    found = replay(Recording(recorded.trace, other)).divergence
    assert (found.seq if found else None) == call
    if found is not None:
        assert difference in found.difference
        assert call == 1 or found.came
        assert found.recorded


NO_DESCRIPTOR = "(drop (call $fd_write (i32.const 77) (i32.const {}) (i32.const 1) (i32.const 8)))"


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (NO_DESCRIPTOR.format(0), ['iovs=[{buf="", len=0}]']),
        ("(drop (memory.grow (i32.const 1))) (i32.store (i32.const 70004) (i32.const 3))" + NO_DESCRIPTOR.format(70000),
         ["iovs=[{len=3}]"]),
        (NO_DESCRIPTOR.format(0x7FFFFFFF), ["iovs=[]"]),
        (NO_DESCRIPTOR.format(-1), ["iovs=[]"]),
        (NO_DESCRIPTOR.format(0) + "(drop (memory.grow (i32.const 1)))" + NO_DESCRIPTOR.format(131070),
         ['iovs=[{buf="", len=0}]', "iovs=[]"]),
    ],
)  # fmt: skip
def test_what_a_call_without_a_descriptor_asked_is_recorded_though_it_is_the_first_to_use_the_memory(
    body: str, shown: list[str], native: bool
) -> None:
    run = wasilab.run(wat(READS, body), record=True, native=native)
    assert [line.partition("iovs=")[2].partition(")")[0] for line in run.trace.text().splitlines()] == [
        words.removeprefix("iovs=") for words in shown
    ]
    assert run.replay().divergence is None


def test_a_call_without_a_descriptor_and_without_a_memory_is_answered() -> None:
    text = """(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (func (export "_start") (if (i32.ne (call $w (i32.const 77) (i32.const 0) (i32.const 1) (i32.const 8))
        (i32.const 8)) (then unreachable))))"""
    for native in (True, False):
        assert wasilab.run(text.encode(), native=native).outcome.kind == "exit"


def test_the_same_program_at_other_addresses_asks_the_same(recorded: wasilab.Run) -> None:
    moved = COPY.replace("{status}", "3").replace("i32.const 1024", "i32.const 2048")
    again = replay(Recording(recorded.trace, wat(READS, moved, extra=NAME)))
    assert again.divergence is None
    assert again.stdout_bytes == recorded.stdout_bytes


@pytest.mark.parametrize(
    ("body", "kind", "extra"),
    [
        ("(drop (call $random_get (i32.const 8) (i32.const 8))) unreachable", "trap", ""),
        ("(drop (call $random_get (i32.const 65530) (i32.const 8)))", "trap", ""),
        ("(drop (call $fd_write (i32.const 77) (i32.const 0) (i32.const 1) (i32.const 8)))", "exit", ""),
        ("(loop $l (drop (call $random_get (i32.const 8) (i32.const 8))) (br $l))", "limit", ""),
        ("(drop (call $random_get (i32.const 8) (i32.const 8))) (loop $l (br $l))", "limit", ""),
        ("(call $nowhere (i32.const 5) (i64.const 1) drop)", "exit", "(drop"),
    ],
)  # fmt: skip
def test_every_end_is_the_same_again(body: str, kind: str, extra: str) -> None:
    if extra:
        text = """(module (import "wasi_snapshot_preview1" "nowhere" (func $nowhere (param i32 i64) (result i32)))
          (memory (export "memory") 1) (func (export "_start") (drop (call $nowhere (i32.const 5) (i64.const 1)))))"""
        module = wasilab.load(text.encode())
    else:
        module = wat(READS, body)
    first = wasilab.run(module, grants=Grants(limits=Limits(fuel=20_000)), record=True)
    assert first.outcome.kind == kind
    assert_same(first, first.replay())


def test_an_export_with_arguments_and_a_library_are_replayed(tmp_path: Path) -> None:
    library = wasilab.load(b"""(module
      (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "dice") (result i32) (drop (call $r (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))))""")
    program = wasilab.load(b"""(module (import "lib" "dice" (func $dice (result i32)))
      (func (export "add") (param i32 f64) (result i32) (i32.add (call $dice) (local.get 0))))""")
    first = wasilab.run(program, ["5", "2.5"], invoke="add", preload={"lib": library}, record=True)
    first.trace.save(tmp_path / "a.wtrace")
    again = replay(Recording.load(tmp_path / "a.wtrace"))
    assert first.outcome.results == again.outcome.results != ()
    assert_same(first, again)


def test_more_than_the_trace_may_hold_is_recorded_into_a_file(tmp_path: Path) -> None:
    chatter = wat(READS, """
      (loop $l (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const 60000))
        (drop (call $random_get (i32.const 256) (i32.const 60000)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 120))))""")
    grants = Grants(limits=Limits(trace=1 << 20))
    dropped = wasilab.run(chatter, grants=grants, record=True)
    with pytest.raises(CannotReplay, match=r"calls were dropped .* record into a file"):
        dropped.replay()
    first = wasilab.run(chatter, grants=grants, record=True, spool=tmp_path / "spool")
    first.trace.save(tmp_path / "a.wtrace")
    again = replay(Recording.load(tmp_path / "a.wtrace"))
    assert again.divergence is None
    assert again.stdout_bytes == first.stdout_bytes
    assert len(first.stdout_bytes) == 120 * 60000


def test_what_python_answered_is_replayed_without_it() -> None:
    def dice(original: Any, buffer: memoryview) -> None:
        buffer[:] = b"\x04" * len(buffer)

    rolls = "(drop (call $random_get (i32.const 8) (i32.const 8))) (call $proc_exit (i32.load8_u (i32.const 9)))"
    module = wat(READS, rolls)
    first = wasilab.run(module, grants=Grants(overrides={"random_get": dice}), record=True)
    assert first.exit_code == 4
    assert_same(first, first.replay())


def test_a_recording_computes_the_same_bits_on_every_machine() -> None:
    """The sign of the NaN that 0/0 makes is the machine's own, unless it is made canonical."""
    module = wasilab.load(b"""(module (func (export "nan") (param f32) (result i32)
      (i32.reinterpret_f32 (f32.div (local.get 0) (local.get 0)))))""")
    first = wasilab.run(module, ["0"], invoke="nan", record=True)
    assert first.outcome.results == (0x7FC00000,)
    assert first.replay().outcome.results == (0x7FC00000,)
    assert Recording(first.trace).engine().nan_canonical


def test_what_cannot_be_replayed_says_why(tmp_path: Path, recorded: wasilab.Run) -> None:
    folder = MemDir({"a.txt": b"x" * 5000})
    short = wasilab.run(copying(), grants=Grants(dirs={"/in": folder}))
    with pytest.raises(CannotReplay, match=r"call 1 \(fd_read\) transferred more bytes than the trace kept"):
        short.replay()
    small = wasilab.run(copying(), grants=Grants(dirs={"/in": MemDir({"a.txt": b"x"})}))
    assert small.replay().exit_code == 3  # nothing was cut, so nothing is missing
    with pytest.raises(CannotReplay, match="some of a run's calls"):
        Recording(recorded.trace[1:])
    with pytest.raises(CannotReplay, match="does not contain its program"):
        Recording(small.trace)
    with pytest.raises(CannotReplay, match="records nothing"):
        wasilab.run(copying(), record=True, trace=False)
    with wasilab.instantiate(copying()) as instance, pytest.raises(CannotReplay, match="not made by a run"):
        Recording(instance.trace, instance.module)
    large = wasilab.run(copying(), grants=Grants(limits=Limits(memory=2 << 30)), record=True)
    with pytest.raises(CannotReplay, match=r"limits.memory=2,147,483,648, .* raise it with --max-memory"):
        large.replay()
    assert replay(Recording(large.trace), limits=Limits(memory=4 << 30)).exit_code == 3


def test_some_calls_of_a_recording_are_saved_without_the_program(recorded: wasilab.Run, tmp_path: Path) -> None:
    recorded.trace[:3].save(tmp_path / "some.wtrace")
    assert not Trace.load(tmp_path / "some.wtrace").store.modules
    recorded.trace.save(tmp_path / "all.wtrace")
    stored = Trace.load(tmp_path / "all.wtrace").store.modules
    assert [bytes(each.data) for each in stored] == [recorded.module.bytes]
    assert Trace.load(tmp_path / "all.wtrace").text() == recorded.trace.text()


def test_the_descriptors_of_a_replay_live_as_they_did(recorded: wasilab.Run) -> None:
    again = recorded.replay()
    lives = [list(run.trace.store.lives.values()) for run in (recorded, again)]
    assert lives[0] == lives[1]
    assert [life.path for life in lives[0]][-1] == b"/in/a.txt"
    assert np.array_equal(again.trace.column("handle"), recorded.trace.column("handle"))


def test_a_replay_can_be_shown_as_a_run(recorded: wasilab.Run) -> None:
    again = recorded.replay()
    assert "exit" in repr(again)
    parted = replay(Recording(recorded.trace, copying(status=4)))
    assert "iverged from its recording" in parted._repr_mimebundle_()["text/html"]
    assert_same(recorded, again.replay())
    assert ReplayLink.__doc__


# --- the command ---


def test_the_command_records_and_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "copy.wasm").write_bytes(copying().bytes)
    (tmp_path / "other.wasm").write_bytes(copying(status=9).bytes)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("the text\n")
    file = str(tmp_path / "a.wtrace")
    status = main(["run", "--record", file, "--no-stderr", "--dir", f"{tmp_path}/in::/in", str(tmp_path / "copy.wasm")])
    said = capsys.readouterr()
    assert (status, said.out) == (3, "the text\n")
    assert f"{file}: 7 calls that moved" in said.err
    (tmp_path / "in" / "a.txt").write_text("another\n")
    assert main(["replay", file]) == 3
    said = capsys.readouterr()
    assert said.out == "the text\n"
    assert "replayed 7 calls: the same calls, output and end" in said.err
    assert main(["replay", file, "--until", "1", "--strace"]) == 0
    said = capsys.readouterr()
    assert "stopped before call 1: fd_read(fd=4</in/a.txt>" in said.err
    assert "path_open(" in said.err
    assert main(["replay", file, "--from-file", str(tmp_path / "other.wasm")]) == 1
    said = capsys.readouterr()
    assert "diverges from the recording at call 6: its argument 'rval' is 9, and was 3" in said.err
    assert "recorded: proc_exit(rval=3)" in said.err
    assert "    at start" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--record", "a.json", "x.wasm"], "ends in .wtrace"),
        (["run", "--record", "a.wtrace", "--trace", "b.wtrace", "x.wasm"], "omit --trace"),
        (["run", "--record", "a.wtrace", "--no-trace", "x.wasm"], "--no-trace records nothing"),
        (["run", "--snapshots", "x.wasm"], "--snapshots: name the file that keeps them, with --trace FILE.wtrace"),
        (["run", "--snapshots", "--trace", "a.parquet", "x.wasm"], "with --trace FILE.wtrace"),
        (["run", "--snapshots", "--no-trace", "x.wasm"], "--no-trace records nothing"),
        (["run", "--snapshots", "--trace", "a.wtrace", "c.wasm"], "--snapshots is not for c.wasm, a component"),
        (["replay", "nowhere.wtrace"], "there is no trace 'nowhere.wtrace'"),
        (["replay", "x.wasm"], "is a program, not a trace"),
        (["replay", "x.wtrace", "--until", "-1"], "is not a call number"),
        (["replay", "x.wtrace", "--until", "x"], "is not a call number"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wasm").write_bytes(copying().bytes)
    Path("c.wasm").write_bytes(wasilab.compile("(component)", "wat").bytes)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
