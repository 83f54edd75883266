"""The guest's memory at any call, rebuilt by a replay that waits between two questions."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from tests.engine.guests import imports, wat
from wasilab import load_ipython_extension
from wasilab.engine.inside import memory_snapshots
from wasilab.engine.stop import CannotReplay
from wasilab.grants.value import GrantError
from wasilab.runs.replays import memories
from wasilab.runs.replays.memories import ReplayedMemory
from wasilab.runs.replays.recordings import Recording
from wasilab.views.interactive.feed import Feed
from wasilab.views.interactive.state import memory_of
from wasilab.views.subject import as_subject

CALLS = 40
COUNTING = f"""
  (local $n i32)
  (loop $again
    (i32.store (i32.const 64) (local.get $n))
    (drop (call $random_get (i32.add (i32.const 1024) (i32.mul (local.get $n) (i32.const 8))) (i32.const 8)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const {CALLS}))))
  (call $proc_exit (i32.const 0))"""


def counting() -> wasilab.Module:
    """Call n stores n at 64 before it, and 8 random bytes at 1024 + 8n."""
    return wat("random_get proc_exit", COUNTING)


@pytest.fixture(scope="module")
def run() -> wasilab.Run:
    return wasilab.run(counting(), record=True)


def random_bytes(memory: bytes) -> list[bytes]:
    return [memory[1024 + 8 * n : 1032 + 8 * n] for n in range(CALLS)]


def test_memory_is_as_it_was_before_and_after_each_call(run: wasilab.Run) -> None:
    answered = [call.data for call in run.trace][:CALLS]
    assert len(set(answered)) == CALLS
    nothing = bytes(8)
    for seq in (0, 7, 8, CALLS - 1, 20, 19, 18, 3, CALLS - 1):
        after, before = run.memory_at(seq), run.memory_at(seq, before=True)
        assert len(after) == 65536
        assert int.from_bytes(after[64:68], "little") == int.from_bytes(before[64:68], "little") == seq
        assert random_bytes(after) == [*answered[: seq + 1], *[nothing] * (CALLS - 1 - seq)]
        assert random_bytes(before) == [*answered[:seq], *[nothing] * (CALLS - seq)]
    assert run.memory_at(CALLS) == run.memory_at(CALLS, before=True) == run.memory_at(CALLS - 1)  # proc_exit
    assert run.at(7).memory == run.memory_at(run.trace[7])


def test_stepping_runs_the_program_once_each_way(run: wasilab.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    start = memories.start
    monkeypatch.setattr(memories, "start", lambda *args, **kwargs: begun.append(1) or start(*args, **kwargs))
    memory = ReplayedMemory(Recording(run.trace))
    for seq in range(CALLS):
        memory.at(seq)
    assert len(begun) == 1
    for seq in reversed(range(CALLS)):
        memory.at(seq)
    assert len(begun) == 1  # all of them are kept
    memory = ReplayedMemory(Recording(run.trace))
    memory.at(CALLS - 1)
    for seq in reversed(range(CALLS - 1 - memories.STEPS_BACK, CALLS - 1)):
        memory.at(seq)
    assert len(begun) == 3  # to the last call, and then once more for the steps back
    memory.close()
    memory.at(2, before=True)
    assert len(begun) == 4


def test_what_is_kept_is_bounded(run: wasilab.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_snapshots, "MOST_BYTES", 40 * 4096)
    memory = ReplayedMemory(Recording(run.trace))
    found = [memory.at(seq) for seq in range(CALLS)]
    count, size = memory.kept
    assert size <= 40 * 4096
    assert 2 < count < CALLS  # equal pages are kept once
    assert [memory.at(seq) for seq in range(CALLS)] == found
    monkeypatch.setattr(memory_snapshots, "MOST_BYTES", 1)
    assert [memory.at(seq) for seq in range(CALLS)] == found
    assert memory.kept[0] == 1


def waiting_threads() -> int:
    return sum(thread.name == "wasilab counting" for thread in threading.enumerate())


def test_replays_that_wait_are_few_and_end_with_their_run() -> None:
    run = wasilab.run(counting(), name="counting", record=True)
    trace = run.trace
    held = [ReplayedMemory(Recording(trace, wasilab.Module(run.module.bytes, "counting"))) for _ in range(7)]
    for each in held:
        each.at(1)
    wait_until(lambda: waiting_threads() == memories.MOST_PAUSED)
    first = held[0].at(1)  # its replay is over; what it kept is not
    assert held[0].at(5) != first
    del each
    held.clear()
    gc.collect()
    wait_until(lambda: waiting_threads() == 0)


def wait_until(condition: object) -> None:
    over = threading.Event()
    for _ in range(2000):
        if condition():  # type: ignore[operator]
            return
        over.wait(0.01)
    raise AssertionError("it never became true")


def test_what_cannot_be_rebuilt_is_refused_with_the_reason(run: wasilab.Run) -> None:
    with pytest.raises(IndexError, match="there is no call 41: the recording has 41 calls, from 0"):
        run.memory_at(41)
    with pytest.raises(IndexError, match="there is no call -1"):
        run.memory_at(-1)
    cut = wasilab.run(wat("random_get", "(drop (call $random_get (i32.const 0) (i32.const 4096)))"))
    with pytest.raises(CannotReplay, match="record=True"):
        cut.memory_at(0)
    with pytest.raises(ValueError, match="a trace alone does not run its program"):
        _ = run.trace.moment(3).memory
    other = wat("random_get proc_exit", COUNTING.replace("8))) (i32.const 8)))", "8))) (i32.const 9)))"))
    memory = ReplayedMemory(Recording(run.trace, other))
    with pytest.raises(CannotReplay, match="did not come to call 3: the program diverges from its recording at call 0"):
        memory.at(3)


def test_a_program_without_a_memory_has_none() -> None:
    text = f"(module {imports('proc_exit')} (func (export \"_start\") (call $proc_exit (i32.const 3))))"
    assert wasilab.run(wasilab.load(text.encode()), record=True).memory_at(0) == b""


# ---- asked for when the run is started: snapshots=True, --snapshots


def filling(size: int) -> wasilab.Module:
    """Reads `size` random bytes at 1024, in one call."""
    return wat("random_get", f"(drop (call $random_get (i32.const 1024) (i32.const {size})))")


def test_a_run_with_snapshots_keeps_all_that_its_memory_needs() -> None:
    run = wasilab.run(filling(4096), snapshots=True, snaplen=8)
    assert run.snapshots
    assert run.at(0).memory[1024:5120] == run.trace[0].data
    assert len(set(run.trace[0].data)) > 100
    assert not any(run.memory_at(0, before=True))
    run.unload()
    assert run.at(0).memory[1024:5120] == run.trace[0].data
    shown = memory_of(run, 0, 0)
    assert shown["size"] == "64.0 KiB"
    again = run.again(run.grants).wait()
    assert again.snapshots
    assert again.at(0).memory[1024:] != run.at(0).memory[1024:]
    plain = wasilab.run(filling(4096))
    assert not plain.snapshots
    with pytest.raises(CannotReplay, match="record=True keeps all"):
        _ = plain.at(0).memory


def test_the_timeline_shows_the_memory_of_such_a_run_only() -> None:
    for snapshots in (True, False):
        run = wasilab.run(filling(16), snapshots=snapshots)
        assert Feed(run).meta()["snapshots"] is snapshots
        assert Feed(as_subject(run.trace)).meta()["snapshots"] is False  # a trace alone does not run its program


@pytest.mark.parametrize("isolate", [False, True])
def test_what_a_snapshot_cannot_be_taken_of_is_refused_before_it_runs(isolate: bool) -> None:
    component = wasilab.compile("(component)", "wat", name="part")
    with pytest.raises(GrantError, match="not for part, a component: the memory at a call is rebuilt"):
        wasilab.run(component, snapshots=True, isolate=isolate)
    with pytest.raises(CannotReplay, match="records nothing"):
        wasilab.run(filling(1), snapshots=True, trace=False, isolate=isolate)


def test_a_trace_that_became_too_large_is_told_after_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ipython: InteractiveShell
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wasm").write_bytes(filling(2_000_000).bytes)
    load_ipython_extension(ipython)
    loop = wat("random_get", """(local $n i32)
      (loop $again (drop (call $random_get (i32.const 0) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 20000))))""")
    Path("loop.wasm").write_bytes(loop.bytes)
    ipython.run_line_magic("wasi", "run --snapshots --max-trace 1m loop.wasm")
    said = "".join(capsys.readouterr())
    assert "wasilab: --snapshots: the memory at a call cannot be rebuilt: " in said
    assert "raise limits.trace, or record into a file (--max-trace SIZE)" in said
    ipython.run_line_magic("wasi", "run --snapshots x.wasm")
    assert "--snapshots" not in "".join(capsys.readouterr())
