"""Structs of a full chunk kept in fewer bytes, and all of them given back."""

from __future__ import annotations

import random

import numpy as np
import pytest

from wasilab.trace.columns.records import records_of
from wasilab.trace.record.compact import WORTH, compacted
from wasilab.trace.record.recorder import CHUNK_RECORDS, PACKED_TOGETHER, Chunk
from wasilab.wasi import types as t

from .building import Builder, anything


def stats(n: int, *, others: int = 0, seed: int = 0) -> Builder:
    """Looks at `n` files that are all different, as in a tree of files; after each, `others` other calls."""
    r = random.Random(seed)
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for i in range(n):
        times = [10**18 + r.getrandbits(50) for _ in range(3)]
        aux = t.FILESTAT.pack(2049, 1_000_000 + r.getrandbits(20), 4, 1, r.getrandbits(22), *times)
        b.call("path_filestat_get", 3, 1, 16, 5, 64, path=b"f%d" % i, aux=aux)
        for k in range(others):
            b.write_text(1, b"%d of %d" % (k, i))
    return b


def raw(chunk: Chunk) -> memoryview:
    """The records of a chunk as they lie in memory."""
    return memoryview(chunk.buf)[: 64 * chunk.n]


@pytest.mark.parametrize("others", [0, 1, 5])
def test_structs_that_are_all_different_take_less_and_come_back_whole(others: int) -> None:
    n = CHUNK_RECORDS // (1 + others) + 50
    b = stats(n, others=others)
    chunk = b.recorder.chunks[0]
    assert len(b.recorder.chunks) == 2
    chunk.pack()
    assert chunk.compact is not None
    trace = b.trace()
    seen = [event.result["filestat"] for event in trace.filter("call=path_filestat_get")]
    r = random.Random(0)
    for stat in seen:
        times = tuple(10**18 + r.getrandbits(50) for _ in range(3))
        assert (stat.ino, stat.size) == (1_000_000 + r.getrandbits(20), r.getrandbits(22))
        assert (stat.dev, stat.filetype, stat.nlink, stat.atim, stat.mtim, stat.ctim) == (2049, 4, 1, *times)
    assert len(seen) == n
    if not others:
        assert 64 + chunk.compact.nbytes / CHUNK_RECORDS <= 100
        assert 64 + len(chunk.payloads()) / CHUNK_RECORDS == 140


@pytest.mark.parametrize("seed", range(4))
def test_any_arena_comes_back_byte_for_byte(seed: int) -> None:
    r = np.random.default_rng(seed)
    for chunk in (anything(5000, seed).recorder.chunk, stats(300, others=seed).recorder.chunk):
        whole = compacted(chunk.arena, raw(chunk))
        assert whole is None or bytes(whole) == bytes(chunk.arena)
        # The offsets of a chunk are the engine's own; wrong ones must still give back the same bytes.
        records = records_of(chunk).copy()
        records["payload"] = r.integers(0, (len(chunk.arena) >> 2) + 2, len(records))
        torn = compacted(chunk.arena, memoryview(records.tobytes()))
        assert torn is None or bytes(torn) == bytes(chunk.arena)


def test_full_chunks_are_packed_when_there_are_several_or_the_budget_asks_for_it() -> None:
    several = stats(PACKED_TOGETHER * CHUNK_RECORDS + 1).recorder
    assert [chunk.compact is not None for chunk in several.chunks] == [True] * PACKED_TOGETHER + [False]
    assert several.nbytes() == sum(chunk.nbytes() for chunk in several.chunks)
    few = Builder(1 << 21)
    for i in range(CHUNK_RECORDS + 1):
        few.call("fd_filestat_get", 3, 64, aux=t.FILESTAT.pack(1, i, 4, 1, i, i, i, i))
    assert few.recorder.chunks[0].compact is not None


def test_few_structs_and_those_that_share_nothing_stay_as_they_are() -> None:
    assert compacted(bytearray(), memoryview(b"")) is None
    chunk = stats(WORTH - 1).recorder.chunk
    assert compacted(chunk.arena, raw(chunk)) is None
    b = Builder()
    for seed in range(WORTH * 2):
        b.call("fd_filestat_get", 3, 64, aux=random.Random(seed).randbytes(64))
    assert compacted(b.recorder.chunk.arena, raw(b.recorder.chunk)) is None


@pytest.mark.slow
def test_a_saved_and_a_spooled_trace_contain_what_was_recorded(tmp_path) -> None:  # type: ignore[no-untyped-def]
    b = stats(2 * CHUNK_RECORDS)
    lines = b.trace().text()
    for suffix in (".wtrace", ".parquet", ".jsonl"):
        trace = b.trace()
        assert type(trace).load(trace.save(tmp_path / f"t{suffix}")).text() == lines
    spooled = Builder(1 << 20, spool=tmp_path / "run.wtrace")
    aux = [t.FILESTAT.pack(1, i, 4, 1, i * i, 10**18 + i, i, i) for i in range(3 * CHUNK_RECORDS)]
    for one in aux:
        spooled.call("fd_filestat_get", 3, 64, aux=one)
    spooled.recorder.close()
    trace = type(b.trace()).load(tmp_path / "run.wtrace")
    assert [event.result["filestat"].size for event in trace[::1000]] == [i * i for i in range(len(aux))][::1000]
