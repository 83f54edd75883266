"""A recording may be hostile, and its answers are written into a guest's memory: nothing in it does harm.

Whatever a file says, a replay ends as an outcome in words, or is refused by `CannotReplay` or `TraceError`. It is never
a failure of the host ("a bug of wasilab"), and the guest's memory outside the bytes that its call names stays as it is.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wasilab
from tests.engine.guests import wat
from wasilab import Grants, MemDir, Trace
from wasilab.engine.stop import CannotReplay
from wasilab.runs.replays.recordings import Recording
from wasilab.runs.replays.replaying import replay
from wasilab.trace.columns.part import Part, PartContent
from wasilab.trace.columns.store import Store
from wasilab.trace.errors import TraceError
from wasilab.trace.record.packing import StoredModule, pack_modules, unpack_modules
from wasilab.trace.record.payload import schema
from wasilab.wasi.preview1.spec import BY_NUMBER

CALLS = (
    "args_sizes_get args_get environ_get path_open fd_read fd_readdir fd_filestat_get random_get poll_oneoff "
    "clock_time_get fd_write proc_exit"
)
GUARD = 0x5A5A5A5A
BODY = """
  (i32.store (i32.const 996) (i32.const 0x5a5a5a5a)) (i32.store (i32.const 1016) (i32.const 0x5a5a5a5a))
  (drop (call $args_sizes_get (i32.const 80) (i32.const 84)))
  (drop (call $args_get (i32.const 200) (i32.const 240)))
  (drop (call $environ_get (i32.const 300) (i32.const 340)))
  (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 2097154)
    (i64.const 0) (i32.const 0) (i32.const 88)))
  (i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 16))
  (drop (call $fd_read (i32.load (i32.const 88)) (i32.const 0) (i32.const 1) (i32.const 8)))
  (drop (call $fd_readdir (i32.const 3) (i32.const 2000) (i32.const 100) (i64.const 0) (i32.const 12)))
  (drop (call $fd_filestat_get (i32.load (i32.const 88)) (i32.const 2200)))
  (drop (call $random_get (i32.const 2400) (i32.const 16)))
  (i32.store (i32.const 516) (i32.const 0)) (i32.store8 (i32.const 508) (i32.const 0))
  (drop (call $poll_oneoff (i32.const 500) (i32.const 600) (i32.const 1) (i32.const 700)))
  (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 96)))
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
  (if (i32.ne (i32.load (i32.const 996)) (i32.const 0x5a5a5a5a)) (then unreachable))
  (if (i32.ne (i32.load (i32.const 1016)) (i32.const 0x5a5a5a5a)) (then unreachable))
  (call $proc_exit (i32.const 0))"""


@pytest.fixture(scope="module")
def recorded() -> wasilab.Run:
    module = wat(CALLS, BODY.replace("(i32.const 500) (i32.const 600)", "(i32.const 504) (i32.const 600)"),
                 extra='(data (i32.const 64) "a.txt")')
    grants = Grants(dirs={"/": MemDir({"a.txt": b"some text to read"})}, env={"A": "1"})
    run = wasilab.run(module, ["one", "two"], grants, record=True)
    assert run.exit_code == 0, run.trace.text()
    assert set(run.trace["errno"].tolist()) == {0, 255}
    return run


def forged(
    recorded: wasilab.Run, change: Callable[[np.ndarray[Any, Any], bytearray], object], **meta: Any
) -> Recording:
    """The recording after `change(records, payloads)`."""
    store = recorded.trace.store
    [part] = store.parts
    records, arena = np.array(part.records), bytearray(part.arena)
    change(records, arena)
    tables = store.tables()
    tables.meta |= meta
    content = PartContent(records, bytes(arena), part.paths, part.reasons, part.closed())
    return Recording(Trace(Store([Part(0, len(records), content)], tables)))


def row(recorded: wasilab.Run, name: str) -> int:
    return [call.name for call in recorded.trace].index(name)


def payload_of(records: np.ndarray[Any, Any], index: int) -> int:
    return (int(records["payload"][index]) - 1) * 4


def test_the_recording_itself_replays(recorded: wasilab.Run) -> None:
    again = replay(forged(recorded, lambda records, arena: None))
    assert again.outcome.ok
    assert again.divergence is None


FORGERIES: dict[str, tuple[str, Callable[[np.ndarray[Any, Any], bytearray, int], object], str]] = {
    "a read of more bytes than the buffer holds": (
        "fd_read", lambda records, arena, at: _lengthen(records, arena, at, 4096), "more than its buffers hold",
    ),
    "a count that does not match the bytes": (
        "fd_read", lambda records, arena, at: records["result"].__setitem__(at, 3), "of the 3 bytes that it moved",
    ),
    "a listing longer than its buffer": (
        "fd_readdir", lambda records, arena, at: _lengthen(records, arena, at, 4096), "bytes into 100",
    ),
    "random bytes longer than asked for": (
        "random_get", lambda records, arena, at: _lengthen(records, arena, at, 70000), "70,000 bytes into 16",
    ),
    "arguments without an end": (
        "args_get", lambda records, arena, at: _last_byte(records, arena, at, 7), "its last string has no end",
    ),
    "arguments that fill more than the memory": (
        "args_get", lambda records, arena, at: _lengthen(records, arena, at, 90000), "outside the memory",
    ),
    "a result that does not fit": (
        "path_open", lambda records, arena, at: records["result"].__setitem__(at, 1 << 40), "does not fit its type",
    ),
    "a structure that is cut": (
        "fd_filestat_get", lambda records, arena, at: _sizes(records, arena, at, 60, 0), "stat is missing",
    ),
    "more events than were asked for": (
        "poll_oneoff", lambda records, arena, at: records["result"].__setitem__(at, 900), "not those of its subscr",
    ),
    "a payload beyond the end": (
        "random_get", lambda records, arena, at: _sizes(records, arena, at, 0, 1 << 31), "payload is cut short",
    ),
    "a payload that is not there": (
        "path_open", lambda records, arena, at: records["payload"].__setitem__(at, 1 << 29), "payload is missing",
    ),
}  # fmt: skip


def _sizes(records: np.ndarray[Any, Any], arena: bytearray, at: int, aux: int, data: int) -> None:
    struct.pack_into("<HI", arena, payload_of(records, at) + 2, aux, data)


def _lengthen(records: np.ndarray[Any, Any], arena: bytearray, at: int, size: int) -> None:
    """Give the call a payload of its own at the end, with `size` bytes of data (text that ends in NUL)."""
    old = payload_of(records, at)
    _, aux, _ = struct.unpack_from("<HHI", arena, old)
    further = schema(BY_NUMBER[int(records["call"][at])]).further_words
    head = bytes(arena[old + 8 : old + 8 + 4 * further + aux])
    arena += bytes(-len(arena) % 4)
    records["payload"][at] = len(arena) // 4 + 1
    records["result"][at] = size if records["result"][at] else 0
    arena += struct.pack("<HHI", 0, aux, size) + head + b"x" * (size - 1) + b"\0"


def _last_byte(records: np.ndarray[Any, Any], arena: bytearray, at: int, value: int) -> None:
    old = payload_of(records, at)
    _, aux, data = struct.unpack_from("<HHI", arena, old)
    arena[old + 8 + aux + data - 1] = value


@pytest.mark.parametrize("what", sorted(FORGERIES))
def test_a_forged_answer_is_not_written(recorded: wasilab.Run, what: str) -> None:
    name, change, sentence = FORGERIES[what]
    at = row(recorded, name)
    recording = forged(recorded, lambda records, arena: change(records, arena, at))
    run = replay(recording)
    assert run.outcome.kind == "error"
    assert sentence in run.outcome.message
    assert "bug of wasilab" not in run.outcome.message
    assert len(run.trace) <= len(recorded.trace)


@pytest.mark.slow
def test_a_recording_with_any_bytes_changed_ends_in_words(recorded: wasilab.Run) -> None:
    kinds = set()
    for seed in range(400):
        rng = random.Random(seed)

        def change(records: np.ndarray[Any, Any], arena: bytearray, rng: random.Random = rng) -> None:
            raw = records.view("u1").reshape(len(records), -1)
            for _ in range(rng.randint(1, 4)):
                if rng.random() < 0.5:
                    raw[rng.randrange(len(records)), rng.randrange(raw.shape[1])] = rng.randrange(256)
                else:
                    arena[rng.randrange(len(arena))] = rng.randrange(256)

        try:
            run = replay(forged(recorded, change))
        except CannotReplay:
            kinds.add("refused")
            continue
        kinds.add(run.outcome.kind)
        assert "bug of wasilab" not in run.outcome.message, (seed, run.outcome.detail)
        overwritten = run.outcome.kind == "trap" and "unreachable" in run.outcome.message
        assert not overwritten, f"{seed}: a byte beside a buffer was written"
    assert {"diverged", "refused", "exit", "error"} <= kinds


def test_a_file_cut_anywhere_is_refused(recorded: wasilab.Run, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.wtrace", tmp_path / "cut.wtrace"
    recorded.trace.save(whole)
    data = whole.read_bytes()
    for size in [*range(64), *range(64, len(data), 97)]:
        cut.write_bytes(data[:size])
        with pytest.raises((TraceError, CannotReplay)):
            Recording.load(cut)
    for at in range(0, len(data), 101):
        cut.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            run = replay(Recording.load(cut))
        except (TraceError, CannotReplay, wasilab.module.module.ModuleError):
            continue
        assert run.outcome.kind in ("exit", "diverged", "error")


def test_a_part_of_a_cut_file_can_be_looked_at_and_not_replayed(recorded: wasilab.Run, tmp_path: Path) -> None:
    recorded.trace.save(tmp_path / "whole.wtrace")
    (tmp_path / "cut.wtrace").write_bytes((tmp_path / "whole.wtrace").read_bytes()[:-40])
    part = Trace.load(tmp_path / "cut.wtrace", partial=True)
    assert len(part) == len(recorded.trace)
    with pytest.raises(CannotReplay):
        Recording(part, recorded.module)


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        ({"sha256": "0" * 64}, "not the program that was recorded"),
        ({"sha256": None}, "not the program that was recorded"),
        ({"replay": {"version": 99}}, "a newer version"),
        ({"replay": {"version": "1"}}, "does not say how"),
        ({"replay": [1]}, "does not say how"),
        ({"replay": {"version": 1, "invoke": 7}}, "does not say how"),
        ({"partial": "cut"}, "cut short"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_is_refused(recorded: wasilab.Run, meta: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CannotReplay, match=sentence):
        forged(recorded, lambda records, arena: None, **meta)


@pytest.mark.parametrize(
    "engine", [{"max_stack": 1}, {"unknown_imports": "x"}, {"nan_canonical": 3}, {"max_stack": []}]
)
def test_an_engine_that_cannot_be_is_refused(recorded: wasilab.Run, engine: dict[str, Any]) -> None:
    changed = {**recorded.trace.meta["replay"], "engine": engine}
    with pytest.raises(CannotReplay, match="how its program was compiled"):
        replay(forged(recorded, lambda records, arena: None, replay=changed))


@pytest.mark.parametrize(
    "how",
    [
        {"invoke": "nowhere"}, {"args": "text"}, {"args": [1, None, {}]}, {"engine": 7}, {"engine": {"other": 1}},
        {"limits": [1]},
        {"limits": {"memory": -1, "instances": 0, "table_elements": "x"}}, {"limits": {"memory": 1}},
    ],
)  # fmt: skip
def test_a_strange_start_does_no_harm(recorded: wasilab.Run, how: dict[str, Any]) -> None:
    changed = {**recorded.trace.meta["replay"], **how}
    run = replay(forged(recorded, lambda records, arena: None, replay=changed))
    assert run.outcome.kind in ("exit", "error", "limit")
    assert "bug of wasilab" not in run.outcome.message


def test_the_program_inside_is_bounded_by_who_replays_it(recorded: wasilab.Run) -> None:
    endless = wasilab.load(b'(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))')
    first = wasilab.run(endless, grants=Grants(limits=wasilab.Limits(fuel=1000)), record=True)
    run = replay(Recording(first.trace), limits=wasilab.Limits(seconds=0.2))
    assert run.outcome.kind == "limit"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\0" * 8, struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 3) + b"[1]", struct.pack("<Q", 40) + b'[{"preload": "", "name": "", "size": 5}]',
        struct.pack("<Q", 41) + b'[{"preload": "", "name": "", "size": -5}]',
        struct.pack("<Q", 41) + b'[{"preload": "a", "name": "", "size": 0}]',
        struct.pack("<Q", 40) + b'[{"preload": "", "name": "", "size": 0}]' + b"more",
    ],
)  # fmt: skip
def test_a_list_of_modules_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        unpack_modules(memoryview(body))


def test_modules_are_packed_and_unpacked() -> None:
    modules = [StoredModule("", "program", b"abc"), StoredModule("lib", "a library", b"")]
    found = unpack_modules(memoryview(b"".join(pack_modules(modules))))
    assert [(each.preload, each.name, bytes(each.data)) for each in found] == [
        ("", "program", b"abc"), ("lib", "a library", b""),
    ]  # fmt: skip


def test_a_file_enables_no_feature_that_foreign_modules_lack(tmp_path: Path) -> None:
    module = wasilab.load(b"""(module (type $s (struct (field i32)))
      (func (export "_start") (drop (struct.new $s (i32.const 1)))))""")
    first = wasilab.run(module, grants=Grants(features=["gc"]), record=True)
    assert first.outcome.ok
    assert first.replay().outcome.ok
    first.trace.meta["lang"] = "c"  # as if a compiler had made it here
    first.trace.save(tmp_path / "a.wtrace")
    recording = Recording.load(tmp_path / "a.wtrace")
    refused = replay(recording)
    assert refused.outcome.kind == "error"
    assert "gc" in refused.outcome.message
    assert replay(recording, features=["gc"]).outcome.ok
