"""Files: what is saved comes back, other tools read the exports, and a bad file is one clear error."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import wasilab.trace
from wasilab.trace.columns import container_reader
from wasilab.trace.columns.part import Part, PartContent
from wasilab.trace.columns.records import records_of
from wasilab.trace.errors import TraceError
from wasilab.trace.formats.suffixes import READABLE, WRITABLE
from wasilab.trace.record import container
from wasilab.trace.record.layout import CHUNK_RECORDS
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.record.tables import Tables
from wasilab.trace.trace import Trace

from .building import Builder, Lines, anything, copying, many
from .strace_grammar import Line, parse

LOSSLESS = sorted(READABLE)


def rich() -> Trace:
    """A trace with everything that a file must keep."""
    b = Builder(module="prog.wasm", sha256="00ff", source="int main(){}\n", args=["prog", "\u00fc"])
    b.recorder.resolver = Lines({5: ("prog.c", 5), 6: ("prog.c", 6)})
    number = b.recorder.intern_stack([("write", 5), ("main", 6)])
    b.open(3, b"/data/\xff\x1b", preopen="/data", filetype=3)
    b.call("path_open", 3, 1, 0x4000, 5, 0, 2, 0, 0, 0, 0, 0x3000, path=b"\xff\n\x1b", fd=3, errno=44, stack=number)
    b.path_open(3, b"x", errno=76, denied=1, reason="no \u202e grant")
    b.path_open(3, b"y", errno=76, denied=1, reason="no other grant")
    b.write_text(1, bytes(range(256)))
    b.call("clock_time_get", 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, result=(1 << 64) - 1)
    b.call("path_symlink", 16, 1, 3, 32, 1, path=b"target", aux=b"link", fd=3)
    b.call("proc_exit", 3, errno=255)
    trace = b.trace()
    trace.note(2, "no \u202e <b>", until=4)
    return trace


def same(a: Trace, b: Trace) -> None:
    assert b.text(stacks=True, verbose=True) == a.text(stacks=True, verbose=True)
    for name in ("seq", "t_start", "dur", "result", "handle", "stack", "call", "errno", "denied_by", "instance",
                 "flags", "tid", "args", "nbytes", "full_path", "line"):  # fmt: skip
        assert np.array_equal(a[name], b[name]), name
    assert [e.data for e in a] == [e.data for e in b]
    assert [e.reason for e in a] == [e.reason for e in b]
    assert b.lives == a.lives
    assert (b.notes, b.meta, b.dropped) == (a.notes, a.meta, a.dropped)
    assert str(b.denied) == str(a.denied)
    assert str(b.by_line()) == str(a.by_line())
    assert str(b.fds()) == str(a.fds())


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_lossless_file_gives_back_everything(suffix: str, tmp_path: Path) -> None:
    trace = rich()
    assert trace.save(tmp_path / f"t{suffix}") == tmp_path / f"t{suffix}"
    same(trace, Trace.load(tmp_path / f"t{suffix}"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_long_trace_of_several_chunks_comes_back(suffix: str, tmp_path: Path) -> None:
    trace = many(CHUNK_RECORDS * 2 + 100)
    trace.save(tmp_path / f"t{suffix}")
    loaded = Trace.load(tmp_path / f"t{suffix}")
    assert loaded.text() == trace.text()
    assert np.array_equal(loaded.records["path"] > 0, trace.records["path"] > 0)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_filtered_trace_saves_its_calls_and_no_data_of_the_others(suffix: str, tmp_path: Path) -> None:
    b = copying()
    b.write_text(1, b"SECRET-IN-ANOTHER-CALL")
    b.path_open(3, b"SECRET-PATH", errno=44)
    b.path_open(3, b"ok", errno=76, denied=1, reason="SECRET-REASON")
    chosen = b.trace().filter("call=fd_read or call=fd_close")
    path = chosen.save(tmp_path / f"t{suffix}")
    loaded = Trace.load(path)
    assert loaded.text() == chosen.text()
    assert loaded.seq.tolist() == chosen.seq.tolist()
    raw = path.read_bytes()
    if suffix == ".wtrace":
        blocks = container_reader.blocks(memoryview(raw), True)
        raw += b"".join(zlib.decompress(body, -15) for _, codec, body, _, _ in blocks if codec)
    assert b"SECRET" not in raw
    assert b"SECRET".hex().encode() not in raw


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_an_empty_trace_can_be_saved(suffix: str, tmp_path: Path) -> None:
    Builder().trace().save(tmp_path / f"t{suffix}")
    assert len(Trace.load(tmp_path / f"t{suffix}")) == 0


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_dropped_calls_are_still_counted_after_loading(suffix: str, tmp_path: Path) -> None:
    b = Builder(budget=0)
    for _ in range(CHUNK_RECORDS + 10):
        b.call("sched_yield")
    trace = b.trace()
    assert trace.dropped
    loaded = Trace.load(trace.save(tmp_path / f"t{suffix}"))
    assert (loaded.dropped, loaded[0].seq) == (trace.dropped, trace[0].seq)


def test_a_wtrace_of_common_calls_takes_at_most_15_bytes_a_call(tmp_path: Path) -> None:
    trace = many(30_000)
    assert trace.save(tmp_path / "t.wtrace").stat().st_size <= 15 * len(trace)


def test_a_suffix_finds_its_format_and_an_unknown_one_names_all(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=re.escape(", ".join(WRITABLE))):
        rich().save(tmp_path / "t.xyz")
    assert not list(tmp_path.iterdir())


def test_a_file_is_known_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    for suffix in LOSSLESS:
        path = rich().save(tmp_path / f"t{suffix}").rename(tmp_path / "renamed.bin")
        assert len(Trace.load(path)) == len(rich())


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be written"):
        rich().save(tmp_path / "missing" / "t.jsonl")
    (tmp_path / "t.jsonl").mkdir()
    with pytest.raises(TraceError, match=r"t\.jsonl"):
        rich().save(tmp_path / "t.jsonl")
    assert [p.name for p in tmp_path.iterdir()] == ["t.jsonl"]


def test_json_lines_are_readable_by_anything(tmp_path: Path) -> None:
    path = copying().trace().save(tmp_path / "t.jsonl")
    head, *lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert head["calls"] == len(lines) == 6
    assert lines[0]["call"] == "path_open"
    assert lines[0]["args"]["path"] == "a.txt"
    assert lines[0]["result"] == {"opened_fd": 4}
    assert lines[1]["args"]["iovs"] == [{"len": 4096, "data": "hello\\n"}]


def test_csv_is_a_table_in_which_no_cell_is_a_formula(tmp_path: Path) -> None:
    b = copying()
    b.open(9, b"=cmd|' /C calc'!A0")
    b.write_text(9, b"=1+1")
    b.path_open(3, b"@SUM(1)", errno=76, denied=1, reason="+2")
    with open(b.trace().save(tmp_path / "t.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert rows[0]["call"] == "path_open"
    assert rows[6]["path"].startswith("'=")
    assert rows[7]["reason"] == "'+2"
    assert not any(cell[:1] in tuple("=+-@\t\r\n") and cell != "-1" for row in rows for cell in row.values() if cell)


def imported(trace: Trace, folder: Path) -> list[Line]:
    """The calls that Perfetto's importer finds in the export; every line must be one."""
    text = trace.save(folder / "t.strace").read_text("utf-8")
    assert text.endswith("\n")  # the importer takes a line by its end
    found = [parse(line) for line in text.removesuffix("\n").split("\n")]
    assert [line for line in found if isinstance(line, str)] == []
    return [line for line in found if isinstance(line, Line)]


def test_strace_text_is_what_perfetto_imports(tmp_path: Path) -> None:
    for trace in (rich(), copying().trace(), anything(1500).trace()):
        found = imported(trace, tmp_path)
        assert [line.syscall for line in found] == trace["name"].tolist()
        assert [line.pid for line in found] == trace["tid"].tolist()
        assert [line.epoch_ns for line in found] == (
            (trace["t_start"].astype("<i8") + trace.meta["start_epoch_ns"]) // 1000 * 1000
        ).tolist()
        outcomes = trace["errno_name"].tolist()
        for line, errno in zip(found, outcomes, strict=True):
            assert line.ret is not None
            assert line.ret.startswith("? " if errno == "?" else f"-1 {errno} (" if errno else "0 ")
            assert re.search(r" <\d+\.\d{6}>$", line.ret)
    assert imported(copying().trace(), tmp_path)[4] == Line(
        1, 1700000000123463000, "fd_close", "fd=4</data/a.txt>", "0 <0.000000>"
    )


FORGED = [
    b"x) = 0 <0.1>", b"<unfinished ...>", b"<... fd_read resumed>) = 3", b") \t= 1", b"a)=b", b")  = 5",
    b"\n1 1.0 evil() = 0",
]  # fmt: skip


@pytest.mark.parametrize("text", FORGED)
def test_no_text_of_a_guest_ends_a_call_early_or_leaves_it_open(text: bytes, tmp_path: Path) -> None:
    b = Builder()
    b.open(3, b"/d/" + text, preopen="/d", filetype=3)
    b.path_open(3, text, errno=44)
    b.path_open(3, text, errno=76, denied=1, reason=f"not {text.decode()}")
    b.write_text(3, text)
    trace = b.trace()
    trace.note(2, f"see {text.decode()}")
    found = imported(trace, tmp_path)
    assert [line.syscall for line in found] == ["path_open", "path_open", "fd_write"]
    assert [(line.ret or "").split(" ")[:2][0] for line in found] == ["-1", "-1", "0"]
    assert [line.args.endswith(("fdflags=0", "}]")) for line in found] == [True] * 3


def test_the_grammar_refuses_what_perfetto_refuses() -> None:
    aligned = parse("1000 1700000052.000007 close(3)       = 0")
    assert aligned == Line(1000, 1700000052000007000, "close", "3", "0")
    assert parse("1 1700000000 read(3, <unfinished ...>") == Line(1, 1700000000 * 10**9, "read", "3", None)
    assert parse("1700000000.1 close(3) = 0") == "strace_missing_pid"
    assert parse("1 14:32:01 close(3) = 0") == "strace_unsupported_timestamp_format"
    assert parse("1 1.2 close") == parse("+++ exited with 0 +++") == "strace_parse_failure"


def test_chrome_json_has_an_event_for_each_call(tmp_path: Path) -> None:
    events = json.loads(copying().trace().save(tmp_path / "t.json").read_text())["traceEvents"]
    calls = [e for e in events if e["ph"] == "X"]
    assert [e["name"] for e in calls] == [e.name for e in copying().trace()]
    assert calls[0]["args"]["result"] == {"opened_fd": 4}
    assert {e["ph"] for e in events} == {"M", "X", "C", "b", "e", "s", "f"}
    assert len([e for e in events if e["ph"] == "b"]) == len(copying().trace().lives)


# -- bad files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"hello\n", b'{"a": 1}\n', b"PK\3\4", pickle.dumps({"a": 1})])
@pytest.mark.parametrize("suffix", [*LOSSLESS, ".bin", ".csv"])
def test_a_foreign_file_is_one_clear_error(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(TraceError) as caught:
        Trace.load(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        Trace.load(tmp_path / "t.wtrace")


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_truncated_file_is_one_clear_error(suffix: str, tmp_path: Path) -> None:
    path = rich().save(tmp_path / f"t{suffix}")
    raw = path.read_bytes()
    for length in range(1, len(raw), max(len(raw) // 60, 1)):
        path.write_bytes(raw[:length])
        with pytest.raises(TraceError):
            Trace.load(path)


@pytest.mark.parametrize("suffix", [".wtrace", ".parquet"])
def test_flipped_bits_are_an_error_or_harmless(suffix: str, tmp_path: Path) -> None:
    path = rich().save(tmp_path / f"t{suffix}")
    raw = bytearray(path.read_bytes())
    outcomes = set()
    for at in range(0, len(raw), max(len(raw) // 150, 1)):
        broken = bytearray(raw)
        broken[at] ^= 0xFF
        path.write_bytes(broken)
        try:
            loaded = Trace.load(path)
            loaded.text()
            outcomes.add(str(loaded.denied) is not None)
        except TraceError:
            outcomes.add(False)
    assert False in outcomes


def test_a_jsonl_with_any_line_damaged_is_one_clear_error(tmp_path: Path) -> None:
    path = rich().save(tmp_path / "t.jsonl")
    lines = path.read_text().splitlines()
    lies = ("", "[]", "null", "{", '{"raw": 5}', '{"raw": {"record": [-1], "args": [1]}, "seq": 1}', "7" * 5000)
    for number in range(len(lines)):
        for lie in lies:
            path.write_text("\n".join([*lines[:number], lie, *lines[number + 1 :]]) + "\n")
            with pytest.raises(TraceError):
                Trace.load(path)


def test_a_killed_run_leaves_a_spool_whose_complete_calls_open(tmp_path: Path) -> None:
    spool = tmp_path / "run.wtrace"
    b = Builder(budget=1 << 20, spool=spool)
    for i in range(6 * CHUNK_RECORDS):
        b.write_text(1, b"%016d" % i)
    cut = spool.read_bytes()[:-1000]
    spool.write_bytes(cut)
    with pytest.raises(TraceError, match=r"partial=True"):
        Trace.load(spool)
    loaded = Trace.load(spool, partial=True)
    assert len(loaded) >= CHUNK_RECORDS
    assert "truncated" in loaded.meta["partial"]
    assert loaded[5].data == b"%016d" % 5


def block(kind: bytes, body: bytes, codec: int = 0, raw: int | None = None, crc: int | None = None) -> bytes:
    head = container.BLOCK.pack(
        kind, codec, zlib.crc32(body) if crc is None else crc, len(body), len(body) if raw is None else raw
    )
    return head + body + bytes(-len(body) & 7)


def wtrace(tmp_path: Path, *blocks: bytes) -> Path:
    path = tmp_path / "lie.wtrace"
    path.write_bytes(container.MAGIC + b"".join(blocks))
    return path


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(bytes(50 << 20)) + packer.flush()
    for raw in (1 << 20, (50 << 20) - 1, 1 << 62):
        with pytest.raises(TraceError):
            Trace.load(wtrace(tmp_path, block(b"CHNK", body, 1, raw)))
    with pytest.raises(TraceError):
        Trace.load(wtrace(tmp_path, block(b"CHNK", body, 1, 50 << 20)))


@pytest.mark.parametrize("n", [0, 1, CHUNK_RECORDS, 1 << 16, (1 << 32) - 1])
@pytest.mark.parametrize("lengths", [(0,) * 5, (1,) * 5, ((1 << 32) - 1,) * 5])
def test_wrong_lengths_are_refused(n: int, lengths: tuple[int, ...], tmp_path: Path) -> None:
    body = struct.pack("<QI5I", 0, n, *lengths) + bytes(64)
    with pytest.raises(TraceError):
        Trace.load(wtrace(tmp_path, block(b"CHNK", body)))


def test_corrupt_tables_are_refused(tmp_path: Path) -> None:
    for document in ({}, [], {"meta": 1}, {"meta": {}, "notes": [[1]], "dropped": 0, "stacks": [[7]], "frames": []}):
        text = json.dumps(document).encode()
        body = struct.pack("<Q", len(text)) + text + struct.pack("<II", 0, 0)
        with pytest.raises(TraceError):
            Trace.load(wtrace(tmp_path, block(b"TABL", body), block(b"TEND", bytes(8))))


def test_a_large_spool_is_checked_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_reader, "EAGER_BYTES", 0)
    spool = tmp_path / "run.wtrace"
    b = Builder(budget=1 << 20, spool=spool)
    for i in range(3 * CHUNK_RECORDS):
        b.write_text(1, b"%016d" % i)
    b.recorder.close()
    assert Trace.load(spool).filter("call=fd_write").seq[-1] == 3 * CHUNK_RECORDS - 1
    raw = bytearray(spool.read_bytes())
    raw[len(raw) // 2] ^= 1
    spool.write_bytes(raw)
    for use in (lambda t: t["dur"], lambda t: t.text(), lambda t: t[len(t) // 2].name):
        with pytest.raises(TraceError, match="checksum"):
            use(Trace.load(spool))


def test_records_that_point_outside_their_part_show_nothing_foreign(tmp_path: Path) -> None:
    recorder = Recorder()
    write = recorder.make_writer()
    write(recorder.origin_ns, 1, 1, 1, b"p", b"\1\0\1\0\1\0\0\0abcd", 31, 0, 1, 0, 1, 2, 3, 4)
    chunk = recorder.chunk
    for payload in (2, 1000, (1 << 32) - 1):
        for path in (5, (1 << 32) - 1):
            records = records_of(chunk).copy()
            records["payload"], records["path"], records["stack"] = payload, path, 77
            lie = Part(0, 1, PartContent(records, bytes(chunk.arena), chunk.paths, chunk.reasons))
            with open(tmp_path / "lie.wtrace", "wb") as file:
                writer = container.Writer(file)
                writer.chunk(lie.section(compress=False))
                writer.tables(Tables())
                writer.close()
            trace = Trace.load(tmp_path / "lie.wtrace")
            assert trace.text().count("\n") == 1
            assert trace.text(stacks=True)
            assert trace[0].args is not None
            assert (trace[0].reason, trace[0].data, trace[0].stack) == ("", b"", [])
            for suffix in WRITABLE:
                trace.save(tmp_path / f"again{suffix}")


def test_nothing_in_a_file_is_executed() -> None:
    for source in Path(wasilab.trace.__file__).parent.rglob("*.py"):
        text = source.read_text().replace("(no pickle)", "")
        assert not re.search(r"\bpickle|\beval\(|\bexec\(|allow_pickle=True", text), source.name


def test_the_file_is_readable_by_others_as_the_umask_says(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        path = rich().save(tmp_path / "t.jsonl")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644
