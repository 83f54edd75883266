"""Trace files from others: truncated, damaged, or complete but false. They may raise only TraceError."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wasilab.trace.columns.subset import parts_of
from wasilab.trace.errors import TraceError
from wasilab.trace.formats.suffixes import READABLE, WRITABLE
from wasilab.trace.record import container
from wasilab.trace.trace import Trace

from .building import Builder, anything


def hostile() -> Trace:
    recorder = anything(60).recorder
    recorder.stack_table.append((("main", 16), ("_start", 32)))
    trace = Trace.from_recorder(recorder)
    trace.meta["args"] = ["a", "b"]
    trace.note(3, "here", until=5)
    return trace


def use(path: Path, folder: Path, seen: set[str], *, partial: bool = False) -> None:
    """Open a file and look at it in every way; note how that ended."""
    try:
        trace = Trace.load(path, partial=partial)
        assert trace.text(stacks=True).count("\n") >= len(trace)
        for view in (trace.denied, trace.summary(), trace.fds(), trace.by_line(), trace.diff(trace[:5])):
            assert str(view)
        assert len(trace.records) == len(trace.filter("path~. or ok or failed or unreturned"))
        assert all(event.args is not None and event.result is not None for event in trace)
        for suffix in WRITABLE:
            trace.save(folder / f"again{suffix}")
    except TraceError as error:
        said = str(error)
    else:
        seen.add("opened")
        return
    assert "\n" not in said
    assert path.name in said or "damaged" in said
    assert len(said) < 600
    seen.add("refused")


@pytest.mark.parametrize("suffix", READABLE)
def test_a_file_cut_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    path = hostile().save(tmp_path / f"t{suffix}")
    raw = path.read_bytes()
    for length in range(0, len(raw), 64):
        path.write_bytes(raw[:length])
        with pytest.raises(TraceError):
            Trace.load(path)
        seen: set[str] = set()
        if length % 640 == 0:
            use(path, tmp_path, seen, partial=True)
            assert seen


@pytest.mark.slow
@pytest.mark.parametrize("suffix", READABLE)
def test_a_file_with_changed_bytes_is_refused_or_harmless(suffix: str, tmp_path: Path) -> None:
    path = hostile().save(tmp_path / f"t{suffix}")
    raw = path.read_bytes()
    r = random.Random(1)
    seen: set[str] = set()
    for _ in range(120):
        broken = bytearray(raw)
        for _ in range(r.choice([1, 1, 4])):
            broken[r.randrange(len(broken))] = r.choice([0, 0xFF, 0x7F, 0x2D, 0x5B, r.randrange(256)])
        path.write_bytes(broken)
        use(path, tmp_path, seen)
    assert "refused" in seen


def mended(raw: bytes, r: random.Random) -> bytes:
    """The blocks of a raw .wtrace, one of them changed, with checksums that are right again."""
    blocks, at = [], len(container.MAGIC)
    while at < len(raw):
        kind, codec, _, stored, _ = container.BLOCK.unpack_from(raw, at)
        at += container.BLOCK.size
        blocks.append((kind, codec, bytearray(raw[at : at + stored])))
        at += stored + (-stored & 7)
    body = r.choice(blocks)[2]
    for _ in range(r.choice([1, 2, 8])):
        i = r.randrange(min(len(body), r.choice([60, len(body)])))
        size, code = r.choice([(1, "B"), (4, "I"), (8, "Q")])
        top = (1 << 8 * size) - 1
        body[i : i + size] = struct.pack(f"<{code}", r.choice([0, 1, top, top >> 1, top - 3, r.randint(0, top)]))
    out = bytearray(container.MAGIC)
    for kind, codec, body in blocks:
        out += container.BLOCK.pack(kind, codec, zlib.crc32(body), len(body), len(body)) + body
        out += bytes(-len(body) & 7)
    return bytes(out)


@pytest.mark.slow
def test_a_corrupt_wtrace_with_right_checksums_is_refused_or_harmless(tmp_path: Path) -> None:
    trace = hostile()
    path = tmp_path / "t.wtrace"
    with open(path, "wb") as file:
        writer = container.Writer(file)
        for part in parts_of(trace.store, trace.rows):
            writer.chunk(part.section(compress=False))
        writer.tables(trace.store.tables())
        writer.close()
    raw = path.read_bytes()
    r = random.Random(2)
    seen: set[str] = set()
    for _ in range(200):
        path.write_bytes(mended(raw, r))
        use(path, tmp_path, seen)
    assert seen == {"opened", "refused"}


LIES: list[Any] = [
    None, -1, 0, 1, 1 << 31, 1 << 32, 1 << 63, 1 << 70, 1e308, float("inf"), "", "x", "00", "zz", [], {}, [[]], [-1],
    True, "\ud800", "ff" * 9,
]  # fmt: skip


def lied(document: Any, r: random.Random) -> Any:
    """A JSON document with one of its values, however deep, replaced or left out."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(document)
    where, key = r.choice(places)
    if r.random() < 0.2:
        del where[key]
    else:
        where[key] = r.choice(LIES)
    return document


@pytest.mark.slow
def test_a_jsonl_of_any_values_is_refused_or_harmless(tmp_path: Path) -> None:
    path = hostile().save(tmp_path / "t.jsonl")
    lines = path.read_text().splitlines()
    r = random.Random(3)
    seen: set[str] = set()
    for _ in range(300):
        number = r.choice([0, r.randrange(len(lines))])
        line = json.dumps(lied(json.loads(lines[number]), r))
        path.write_text("\n".join([*lines[:number], line, *lines[number + 1 :]]) + "\n")
        use(path, tmp_path, seen)
    assert seen == {"opened", "refused"}


@pytest.mark.slow
def test_a_parquet_of_any_columns_is_refused_or_harmless(tmp_path: Path) -> None:
    path = hostile().save(tmp_path / "t.parquet")
    good = pq.read_table(path)
    r = random.Random(4)
    seen: set[str] = set()
    for turn in range(150):
        table = good
        i = r.randrange(len(good.column_names))
        name, kind = good.column_names[i], good.schema.field(i).type
        values = good[name].to_pylist()
        if turn % 5 == 0:
            table = table.drop_columns([name])
        elif turn % 5 == 1:
            head = lied(json.loads(good.schema.metadata[b"wasilab"]), r)
            table = table.replace_schema_metadata({b"wasilab": json.dumps(head).encode()})
        elif pa.types.is_integer(kind):
            top = (1 << kind.bit_width) - 1 >> (not str(kind).startswith("u"))
            values[r.randrange(len(values))] = r.choice([0, None, top, top - 1, top >> 1])
            table = table.set_column(i, name, pa.array(values, kind))
        else:
            lies = [None, b"", b"x" * 4, b"\xff" * 8, b"\xff" * 12, bytes(64), b"abc"]
            shown = [value.encode() if isinstance(value, str) else value for value in values]
            shown[r.randrange(len(shown))] = r.choice(lies)
            table = table.set_column(i, name, pa.array(shown, pa.binary()))
        pq.write_table(table, path)
        use(path, tmp_path, seen)
    assert seen == {"opened", "refused"}


def test_a_lone_surrogate_in_a_note_can_be_saved_in_every_format(tmp_path: Path) -> None:
    b = Builder()
    b.call("sched_yield")
    trace = b.trace()
    trace.note(0, "half \ud83d")
    assert trace.notes == [(0, 0, "half \\ud83d")]
    for suffix in WRITABLE:
        assert trace.save(tmp_path / f"t{suffix}").stat().st_size
