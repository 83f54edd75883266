"""A component's recording may be hostile: whatever it says, its replay ends in words and never as a bug of wasilab."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import wasilab
from tests.bench.components import GUEST
from wasilab import Grants, MemDir
from wasilab.cli import main
from wasilab.engine.components.replayed.host_call_entries import CallEnd, HostCall, pack_call, unpack_calls
from wasilab.engine.components.replayed.typed_bytes import Damaged, ValueReader, get_value
from wasilab.engine.stop import CannotReplay
from wasilab.module.module import ModuleError
from wasilab.runs.replays.recordings import Recording
from wasilab.runs.replays.replaying import replay
from wasilab.trace.columns.store import Store
from wasilab.trace.errors import TraceError
from wasilab.trace.trace import Trace
from wasilab.wasi.components import value_types as v


@pytest.fixture(scope="module")
def recorded() -> wasilab.Run:
    grants = Grants(dirs={"/": MemDir({"file": b"x" * 8192}, mode="rw")})
    run = wasilab.run(wasilab.compile(GUEST, "wat"), grants=grants, invoke="start", record=True)
    assert run.outcome.ok, run.outcome.message
    return run


def forged(recorded: wasilab.Run, *pieces: bytes) -> Recording:
    """The recording with other host calls."""
    store = recorded.trace.store
    tables = store.tables()
    tables.host_calls = pieces
    return Recording(Trace(Store(store.all_parts, tables)))


def calls_of(recorded: wasilab.Run) -> list[HostCall]:
    return [
        replace(call, arguments=bytes(call.arguments), answer=bytes(call.answer), moved=bytes(call.moved))
        for call in unpack_calls(recorded.trace.store.host_calls)
    ]


FORGERIES: dict[str, tuple[int, Callable[[HostCall], HostCall], str]] = {
    "a list longer than its bytes": (
        0, lambda call: replace(call, answer=b"\xff\xff\xff\xff" + call.answer[4:]), "longer than its bytes",
    ),
    "an answer that is cut": (1, lambda call: replace(call, answer=call.answer[:3]), "cut short"),
    "an answer with more": (1, lambda call: replace(call, answer=bytes(call.answer) + b"x"), "longer than its type"),
    "a resource that was never given": (
        1, lambda call: replace(call, answer=b"\xf0\0\0\0" + call.answer[4:]), "there is no resource 240",
    ),
    "an error case that does not exist": (
        1, lambda call: replace(call, kind=CallEnd.ERROR, answer=b"\xff\0\0\0\0"), "there is no case 255",
    ),
    "an unknown error number": (
        1, lambda call: replace(call, kind=CallEnd.ERROR, answer=b"\0\0\0\0\1\xff\xff\0\0\0\0\0"), "no known number",
    ),
    "an error of a function that has none": (
        0, lambda call: replace(call, kind=CallEnd.ERROR, answer=b"\0"), "its type has no error",
    ),
    "a call that the trace does not have": (1, lambda call: replace(call, seq=1 << 60), "does not have this call"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(FORGERIES))
def test_a_forged_answer_is_refused(recorded: wasilab.Run, what: str) -> None:
    at, change, sentence = FORGERIES[what]
    calls = calls_of(recorded)
    calls[at] = change(calls[at])
    run = replay(forged(recorded, *map(pack_call, calls)))
    assert run.outcome.kind == "error"
    assert sentence in run.outcome.message
    assert "the recording is damaged at call" in run.outcome.message
    assert "bug of wasilab" not in run.outcome.message


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\0", "cut short"),
        (struct.pack("<QB3x4I", 0, 0, 1 << 31, 1 << 31, 1 << 31, 1 << 31), "cut short"),
        (struct.pack("<QB3x4I", 0, 99, 0, 0, 0, 0), "unknown kind"),
        (2 * struct.pack("<QB3x4I", 0, 0, 0, 0, 0, 0), "not in order"),
    ],
)  # fmt: skip
def test_entries_that_are_none_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(Damaged, match=sentence):
        list(unpack_calls([data]))


def test_a_record_that_begins_damaged_is_refused(recorded: wasilab.Run) -> None:
    with pytest.raises(CannotReplay, match="damaged at call 0"):
        replay(forged(recorded, b"\0"))


@pytest.mark.parametrize(
    ("type_", "data", "sentence"),
    [
        (v.BOOL, b"\2", "neither 0 nor 1"),
        (v.STRING, b"\1\0\0\0\xff", "not UTF-8"),
        (v.STRING, b"\xff\xff\xff\xff", "cut short"),
        (v.PRIMITIVES["char"], b"\0\xd8\0\0", "does not exist"),
        (v.FlagsType(("a",)), b"\2" + bytes(7), "flags"),
        (v.ListType(v.U32), b"\xff\xff\xff\xff", "longer than its bytes"),
        (v.EnumType(("a",)), b"\1\0\0\0", "no case 1 of 1"),
        (v.U64, b"1234567", "cut short"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_value_are_refused(type_: v.ValueType, data: bytes, sentence: str) -> None:
    with pytest.raises(Damaged, match=sentence):
        get_value(type_, ValueReader(data), None)  # type: ignore[arg-type]


def test_a_record_with_any_bytes_changed_ends_in_words(recorded: wasilab.Run) -> None:
    whole = b"".join(map(bytes, recorded.trace.store.host_calls))
    kinds = set()
    for seed in range(60):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            run = replay(forged(recorded, bytes(data[: rng.choice([len(data), rng.randrange(1, len(data))])])))
        except CannotReplay:
            kinds.add("refused")
            continue
        kinds.add(run.outcome.kind)
        assert "bug of wasilab" not in run.outcome.message, (seed, run.outcome.detail)
    assert {"diverged", "error", "refused"} <= kinds


def test_a_file_cut_or_changed_anywhere_gives_one_line(
    recorded: wasilab.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / "whole.wtrace", tmp_path / "cut.wtrace"
    recorded.trace.save(whole)
    data = whole.read_bytes()
    for size in range(8, len(data), 211):
        cut.write_bytes(data[:size])
        with pytest.raises((TraceError, CannotReplay)):
            Recording.load(cut)
    assert main(["replay", str(cut)]) != 0
    said = capsys.readouterr().err.strip()
    assert "damaged or unfinished" in said
    assert "\n" not in said
    for at in range(0, len(data), 307):
        cut.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            run = replay(Recording.load(cut))
        except (TraceError, CannotReplay, ModuleError):
            continue
        assert run.outcome.kind in ("exit", "diverged", "error")
