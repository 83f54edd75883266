"""A small trace file that unpacks to gigabytes is refused, in a process that may not have them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from wasilab.trace.columns.size_bound import LEAST
from wasilab.trace.errors import TraceError
from wasilab.trace.record.container import BLOCK, CHUNK, MAGIC
from wasilab.trace.trace import Trace

from .building import copying, many

CHILD = """
import re, resource, sys
room = int(sys.argv[2]) << 20
resource.setrlimit(resource.RLIMIT_AS, (room, room))
from wasilab.trace.errors import TraceError
from wasilab.trace.trace import Trace
try:
    trace = Trace.load(sys.argv[1])
    print("opened", len(trace), len(trace.text(limit=3)), str(trace.summary())[:1])
except TraceError as error:
    print(error)
print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def opened(path: Path, room: int = 3 << 10) -> tuple[str, int]:
    """What a child says of a file, and the memory in KiB that it took. `room`: MiB of address space, most of which
    NumPy and pyarrow map for themselves.
    """
    command = [sys.executable, "-c", CHILD, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said, _, peak = done.stdout.strip().rpartition("\npeak ")
    return said, int(peak)


def deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def block(kind: bytes, raw: bytes) -> bytes:
    body = deflated(raw)
    return BLOCK.pack(kind, 1, zlib.crc32(body), len(body), len(raw)) + body + bytes(-len(body) & 7)


def test_a_wtrace_of_seven_megabytes_does_not_take_seven_gigabytes(tmp_path: Path) -> None:
    size = 64 << 20  # of one block: a call with a payload of zeros
    chunk = CHUNK.pack(0, 1, size, 4, 4, 8, 0) + bytes(-(CHUNK.size + BLOCK.size) & 7) + bytes(64 + size)
    chunk += struct.pack("<I", 0) * 2 + struct.pack("<II", 0, 0)
    one = block(b"CHNK", chunk)
    path = tmp_path / "bomb.wtrace"
    path.write_bytes(MAGIC + one * 110)
    assert path.stat().st_size < 8_000_000
    said, peak = opened(path)
    assert "if you trust it" in said.lower()
    assert peak < 500_000


@pytest.mark.slow
def test_a_parquet_of_repeated_rows_does_not_take_a_thousand_times_its_size(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = copying().trace().save(tmp_path / "t.parquet")
    table = pq.read_table(path)
    rows = table.take(pa.array(np.zeros(3_000_000, "i8")))
    pq.write_table(rows, tmp_path / "bomb.parquet", compression="zstd", write_statistics=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 300_000
    said, peak = opened(tmp_path / "bomb.parquet")
    assert "if you trust it" in said.lower()
    assert peak < 700_000


@pytest.mark.parametrize("encoding", ["dictionary", "delta"])
def test_a_payload_that_is_repeated_is_counted_before_it_is_written_out(encoding: str, tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = copying().trace().save(tmp_path / "t.parquet")
    table = pq.read_table(path).take(pa.array(np.zeros(20_000, "i8")))
    large = pa.array([bytes(8) + bytes(1 << 20)], pa.binary())
    table = table.set_column(table.column_names.index("payload"), "payload", _repeated(pa, large, 20_000))
    table = table.set_column(table.column_names.index("seq"), "seq", pa.array(range(20_000), pa.int64()))
    more = {"use_dictionary": True} if encoding == "dictionary" else {
        "use_dictionary": False, "column_encoding": {"payload": "DELTA_BYTE_ARRAY"}
    }  # fmt: skip
    if encoding == "delta":
        table = table.slice(0, 80)
        table = table.set_column(
            table.column_names.index("payload"), "payload", pa.array([large[0].as_py()] * 80, pa.binary())
        )
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd", **more)
    assert (tmp_path / "bomb.parquet").stat().st_size < 300_000
    said, peak = opened(tmp_path / "bomb.parquet")
    assert "if you trust it" in said.lower() or "an encoding that traces do not use" in said
    assert peak < 700_000


def _repeated(pa, values, n: int):  # type: ignore[no-untyped-def]
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, "i4")), values)


@pytest.mark.slow
def test_a_jsonl_line_of_many_values_ends_in_a_trace_error(tmp_path: Path) -> None:
    path = copying().trace().save(tmp_path / "t.jsonl")
    head, first, *_ = path.read_text().splitlines()
    line = json.loads(first)
    with open(tmp_path / "bomb.jsonl", "w") as file:
        file.write(head + "\n")
        file.write(json.dumps(line)[:-1] + ', "more": [' + "[]," * (8 << 20) + "[]]}\n")
    said, _ = opened(tmp_path / "bomb.jsonl", 640)
    assert "does not fit into memory" in said


def test_the_bound_can_be_raised_and_lowered(tmp_path: Path) -> None:
    trace = many(3000)
    for suffix in (".wtrace", ".parquet", ".jsonl"):
        path = trace.save(tmp_path / f"t{suffix}")
        with pytest.raises(TraceError, match="would take more than 1,000 in memory"):
            Trace.load(path, max_bytes=1000)
        assert len(Trace.load(path, max_bytes=LEAST)) == 3000


def test_the_calls_of_a_compressed_file_are_inflated_when_they_are_asked_for(tmp_path: Path) -> None:
    path = many(30_000).save(tmp_path / "t.wtrace")
    trace = Trace.load(path)
    assert len(trace) == 30_000
    assert len(trace.store.parts) == 4
    assert [part.is_loaded for part in trace.store.parts] == [False] * 4
    trace[9000:9010].text()
    assert [part.is_loaded for part in trace.store.parts] == [False, True, False, False]
