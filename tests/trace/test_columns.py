"""Columns of a recording: each packed part is unpacked once for all that are asked for, and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from wasilab.trace import calls as calls_module
from wasilab.trace.calls import Calls
from wasilab.trace.columns import decode, store
from wasilab.trace.columns.part import Part
from wasilab.trace.columns.records import COLUMN_NAMES, RECORD, Array
from wasilab.trace.columns.store import Store
from wasilab.trace.trace import Trace

from .building import many

PART = 500
UNPACKED: Counter[int] = Counter()
"""How often each part was unpacked."""


@pytest.fixture
def packed() -> Calls:
    """3,000 calls in six parts that are unpacked again at each access, as those of a recorder."""
    whole = many(3000).store
    records = np.concatenate([part.records for part in whole.parts])

    def part_of(number: int) -> Part:
        def alone() -> tuple[Array, Sequence[bytes]]:
            UNPACKED[number] += 1
            return records[number * PART : (number + 1) * PART], whole.parts[0].paths

        def content() -> Any:
            raise AssertionError("a column needs no payloads")

        return Part(number * PART, PART, content, alone=alone)

    UNPACKED.clear()
    assert len(whole.parts) == 1
    return Calls(Store([part_of(number) for number in range(len(records) // PART)], whole.tables()))


@pytest.mark.parametrize("bound", [0, 10 * 3000, 160 << 20])
def test_a_summary_unpacks_each_part_once(packed: Calls, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    monkeypatch.setattr(store, "GATHERED_BYTES", bound)
    summary = Trace.summary(Trace(packed.store))
    assert summary.guest > 0
    assert summary.total.calls == 3000
    assert set(UNPACKED.values()) == {1}
    assert len(UNPACKED) == 6


def test_what_nobody_asked_for_comes_along_while_memory_is_left(packed: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 3000 * RECORD["dur"].itemsize
    monkeypatch.setattr(store, "GATHERED_BYTES", asked + 3000 * 5)
    packed.column("dur")
    narrow = {"call", "errno", "denied_by", "flags"}
    assert packed.store.gathered == {"dur", *narrow}, "five bytes a call"
    for name in ("errno", "flags", "call"):
        packed.column(name)
    assert set(UNPACKED.values()) == {1}
    packed.column("result")
    assert set(UNPACKED.values()) == {2}
    assert packed.store.gathered == {"dur", "result", *narrow}, "memory is used up"
    monkeypatch.setattr(store, "GATHERED_BYTES", 160 << 20)
    packed.column("args")
    assert "handle" not in packed.store.gathered, "rare columns bring only rare ones along"
    assert set(UNPACKED.values()) == {3}
    packed.column("path")
    assert packed.store.gathered == {*COLUMN_NAMES}
    assert set(UNPACKED.values()) == {4}


def test_gathered_columns_are_those_gathered_one_by_one(packed: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    packed.gather("call", "gap", "nbytes", "seq", "path")
    together = {name: packed.column(name) for name in ("call", "gap", "nbytes", "seq", "path", "t_end")}
    assert set(UNPACKED.values()) == {1}
    monkeypatch.setattr(store, "GATHERED_BYTES", 0)
    packed.forget_columns()
    for name, column in together.items():
        assert np.array_equal(packed.column(name), column), name
        assert not packed.store.column("call").flags.writeable


@pytest.mark.parametrize("block", [1, 7, 3000])
def test_gaps_and_bytes_do_not_depend_on_the_blocks_they_are_computed_in(
    packed: Calls, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    start, dur = packed.column("t_start").astype("i8"), packed.column("dur").astype("i8")
    reach = np.maximum.accumulate(start + dur)
    gaps = np.maximum(start - np.concatenate(([0], reach[:-1])), 0)
    assert gaps.any()
    whole = packed.column("nbytes").tolist()
    assert any(whole)
    monkeypatch.setattr(calls_module, "_BLOCK", block)
    monkeypatch.setattr(decode, "_BLOCK", block)
    packed.forget_columns()
    assert packed.column("gap").tolist() == gaps.tolist()
    assert packed.column("nbytes").tolist() == whole
