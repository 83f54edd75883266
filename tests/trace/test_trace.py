"""A trace: slices, columns, calls as objects, summary, descriptors, lines, notes."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wasilab.capabilities.refusal import DeniedBy
from wasilab.module.dwarf import Location
from wasilab.trace.answers.event import StackFrame, data_of
from wasilab.trace.columns import container_reader
from wasilab.trace.columns.part import Part
from wasilab.trace.formats.suffixes import WRITABLE
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi import types as t

from .building import Builder, Lines, copying, many


def test_slices_share_the_store_and_compose() -> None:
    trace = many(1000)
    assert [e.seq for e in trace[10:20][2:4]] == [12, 13]
    assert trace[::100].seq.tolist() == list(range(0, 1000, 100))
    assert trace[-1].seq == 999
    assert trace[10:20].store is trace.store
    with pytest.raises(IndexError, match="1,000 calls"):
        trace[1000]
    with pytest.raises(ValueError, match="positive step"):
        trace[::-1]


def test_an_empty_trace_answers_everything() -> None:
    trace = Builder().trace()
    assert (len(trace), trace.text(), len(trace.denied), bool(trace)) == (0, "", 0, False)
    assert "0 WASI calls" in repr(trace)
    assert len(trace.summary()) == 0
    assert str(trace.summary())
    assert len(trace.fds()) == 3
    assert len(trace.by_line()) == 0
    assert trace.diff(trace).same
    for name in ("seq", "gap", "path", "full_path", "fd", "generation", "line", "args", "nbytes"):
        assert len(trace[name]) == 0


def test_columns_are_arrays_of_one_entry_a_call() -> None:
    trace = copying().trace()
    assert trace["name"].tolist()[:2] == ["path_open", "fd_read"]
    assert trace["nbytes"].tolist() == [0, 6, 6, 0, 0, 0]
    assert trace["fd"].tolist() == [3, 4, 1, 4, 4, -1]
    assert trace["full_path"].tolist()[:3] == ["/data/a.txt", "/data/a.txt", "<stdout>"]
    assert trace["generation"].tolist()[1] == 1
    assert trace["gap"].tolist() == [1000] * 6
    assert (trace["t_end"] - trace["t_start"] == trace["dur"]).all()
    assert trace.filter("call=fd_read")["gap"].tolist() == [1000, 1000]
    with pytest.raises(KeyError, match="nbytes"):
        trace.column("nbites")


def test_the_column_of_a_whole_trace_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        copying().trace()["dur"][0] = 1


def test_the_descriptor_of_path_symlink_is_its_second_argument() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    b.call("path_symlink", 16, 6, 3, 32, 4, path=b"target", aux=b"link", fd=3)
    b.path_open(3, b"target", errno=44)
    trace = b.trace()
    assert trace["fd"].tolist() == [3, 3]
    assert trace["full_path"].tolist() == ["/data/link", "/data/target"]
    assert trace[0].path == "/data/link"


def test_the_numbers_of_packed_calls_are_known_without_unpacking_them() -> None:
    def unpack() -> Any:
        raise AssertionError("unpacked")

    part = Part(8, 3, unpack, alone=unpack)
    assert part.numbers().tolist() == [8, 9, 10]
    assert part.numbers(np.array([2])).tolist() == [10]


def test_the_file_of_one_call_is_that_of_the_table_of_all() -> None:
    store = Trace.from_recorder(copying().recorder).store
    found = [store.target(row) for row in range(store.n)]
    assert found == [store.targets[number] for number in store.target_ids.tolist()]
    assert len({full for full, _ in found}) > 2


def test_the_data_of_many_calls_is_that_of_each() -> None:
    trace = Trace.from_recorder(copying().recorder)
    rows = np.arange(len(trace))[::-1]
    assert data_of(trace, rows) == [trace[row].data for row in rows.tolist()]
    some = trace.filter("call=fd_*")
    assert data_of(some, np.array([2, 0])) == [some[2].data, some[0].data]
    assert any(data_of(some, np.arange(len(some))))


def test_a_call_as_an_object_is_typed_by_the_spec() -> None:
    event = copying().trace()[0]
    assert event.name == "path_open"
    assert event.args["fd"] == 3
    assert event.args["fd"].path == "/data"
    assert event.args["path"] == "a.txt"
    assert event.args["dirflags"] is t.Lookupflags.SYMLINK_FOLLOW
    assert event.args["fs_rights_base"] == t.Rights.FD_READ
    assert repr(event.result) == "{'opened_fd': 4</data/a.txt>}"
    assert event.errno is t.Errno.SUCCESS
    assert (event.path, event.family, event.tid, event.dur) == ("/data/a.txt", "path", 1, 500)
    read = copying().trace()[1]
    assert read.args["iovs"][0].data == read.data == b"hello\n"
    assert read.nbytes == 6


def test_a_refused_call_as_an_object() -> None:
    event = copying(granted=False).trace()[0]
    assert event.denied_by is DeniedBy.GRANT
    assert "granted for nothing" in event.reason
    assert event.errno is t.Errno.NOTCAPABLE
    assert event.result == {}


def test_a_call_that_did_not_return_has_no_errno() -> None:
    assert copying().trace()[-1].errno is None


def test_summary_counts_as_strace_c_does() -> None:
    trace = many(5000)
    summary = trace.summary()
    assert sum(row.calls for row in summary) == len(trace)
    one = summary["path_open"]
    mine = trace.filter("call=path_open")
    assert (one.calls, one.errors, one.refused) == (len(mine), len(mine.filter("failed")), len(mine.filter("refused")))
    durations = np.sort(mine["dur"])
    assert (one.min, one.max, one.total) == (durations[0], durations[-1], durations.sum())
    assert one.median == durations[(len(durations) - 1) // 2]
    assert one.p99 == durations[int(len(durations) * 0.99)]
    assert summary["fd_read"].bytes == 16 * summary["fd_read"].calls
    assert [row.total for row in summary] == sorted((row.total for row in summary), reverse=True)
    with pytest.raises(KeyError, match="fd_read"):
        summary["fd_raed"]


def test_a_call_that_did_not_return_is_not_an_error() -> None:
    assert copying().trace().summary()["proc_exit"].errors == 0


def test_each_descriptor_has_a_life_with_its_traffic() -> None:
    b = copying()
    b.path_open(3, b"b.txt", opened=4)
    b.write_text(4, b"12345")
    fds = b.trace().fds()
    first, second = [row for row in fds if row.fd == 4]
    assert (first.reads, first.bytes_read, first.closed_by, first.leaked) == (2, 6, 4, False)
    assert (second.generation, second.writes, second.bytes_written, second.leaked) == (2, 1, 5, True)
    assert fds.leaked == [second]
    assert "LEAKED" in str(fds)
    assert "4 (2)" in str(fds)
    assert next(row for row in fds if row.fd == 3).preopen


def stacked(**meta: object) -> Recorder:
    recorder = Recorder(stacks=True, meta=meta)
    recorder.resolver = Lines({1: ("write.c", 900), 2: ("prog.c", 3), 3: ("prog.c", 7)})
    write = recorder.make_writer()
    inner = recorder.intern_stack([("write", 1), ("main", 2)])
    other = recorder.intern_stack([("main", 3)])
    unknown = recorder.intern_stack([("libc", 99)])
    for stack, denied, dur in ((inner, 0, 10), (inner, 0, 20), (other, 1, 5), (unknown, 0, 1), (0, 0, 1)):
        write(recorder.origin_ns, dur, 0, 0, None, None, 40, 76 if denied else 0, denied, 0, 0, 0, 0, 0, stack)
    return recorder


def test_calls_belong_to_the_innermost_line_of_the_users_own_file() -> None:
    lines = Trace.from_recorder(stacked(source_name="prog.c")).by_line()
    assert [(row.file, row.line, row.calls, row.time, row.refused) for row in lines] == [
        ("prog.c", 3, 2, 30, 0),
        ("prog.c", 7, 1, 5, 1),
    ]
    assert lines.without == 2
    assert Trace.from_recorder(stacked()).by_line().rows[-1].file == "write.c"


@pytest.mark.parametrize(
    ("own", "others", "read"),
    [
        ("prog.rs/@/prog.7rc-cgu.0", "library/std/src/lib.rs/@/std.c8f-cgu.0", {2, 3, 99}),
        ("prog.c", "/src/libc/write.c", {2, 3, 99}),  # 99: a stack with nothing of the program in it
        ("prog.zig", "std.zig", {1, 2, 3, 99}),
        ("prog.rs/@/prog.7rc-cgu.0", None, {1, 2, 3, 99}),
    ],
)
def test_the_units_of_another_crate_or_c_file_are_not_read_for_a_line(
    own: str, others: str | None, read: set[int]
) -> None:
    name = own.partition("/")[0]
    asked: list[int] = []

    class Units:
        def unit_name(self, offset: int) -> str | None:
            return own if offset in (2, 3) else others

        def locate(self, offset: int) -> Location | None:
            asked.append(offset)
            return Location(name, offset) if offset in (2, 3) else None

    recorder = stacked(source_name=name)
    trace = Trace.from_recorder(recorder, Units())
    assert [(row.line, row.calls) for row in trace.by_line()] == [(2, 2), (3, 1)]
    assert set(asked) == read


def test_annotated_source_shows_figures_and_marks_refusals() -> None:
    source = "\n".join(f"line {n}; <i>" for n in range(1, 9))
    trace = Trace.from_recorder(stacked(source_name="prog.c", source=source))
    shown = str(trace.annotate()).splitlines()
    assert shown[3].split() == ["2", "30", "ns", "3", "line", "3;", "<i>"]
    assert "!" in shown[7]
    assert "<i>" not in trace.annotate()._repr_html_()
    with pytest.raises(ValueError, match="source"):
        Trace.from_recorder(stacked()).annotate()


def test_without_stacks_by_line_says_what_to_do() -> None:
    assert "run with stacks recorded" in str(copying().trace().by_line())


def test_frames_of_a_call() -> None:
    event = Trace.from_recorder(stacked())[0]
    assert event.stack == [StackFrame("write", 1, "write.c", 900), StackFrame("main", 2, "prog.c", 3)]
    assert Trace.from_recorder(stacked())[4].stack == []


def test_notes_label_calls_and_spans() -> None:
    trace = copying().trace()
    trace.note(1, "here", until=3)
    assert trace[2].notes == ["here"]
    assert trace[4].notes == []
    assert trace.filter("noted").seq.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="from 3 to 1"):
        trace.note(3, "x", until=1)


def test_notes_are_in_every_view(tmp_path: Path) -> None:
    trace = copying().trace()
    trace.note(1, "here it leaks", until=2)
    trace.note(2, "twice")
    for suffix in set(WRITABLE) - {".speedscope", ".folded"}:  # those two add calls up by their stacks
        assert b"here it leaks" in _uncompressed(trace.save(tmp_path / f"t{suffix}")), suffix
    pytest.importorskip("duckdb")
    rows = trace.sql("select seq, note from calls where note is not null order by seq").rows
    assert rows == [(1, "here it leaks"), (2, "here it leaks; twice")]


def _uncompressed(path: Path) -> bytes:
    if path.suffix != ".wtrace":
        return path.read_bytes()
    blocks = container_reader.blocks(memoryview(path.read_bytes()), True)
    return b"".join(zlib.decompress(body, -15) for _, codec, body, _, _ in blocks if codec)


def test_counting_by_column() -> None:
    trace = copying().trace()
    assert trace.count("call") == {"fd_read": 2, "path_open": 1, "fd_write": 1, "fd_close": 1, "proc_exit": 1}
    assert trace.count("errno") == {"": 5, "?": 1}


def test_a_record_array_numbers_paths_over_the_whole_trace() -> None:
    trace = many(20_000)
    records = trace.records
    row = int(np.flatnonzero(records["path"])[-1])
    assert trace.paths[records["path"][row] - 1].decode() == trace[row].args["path"]


@pytest.mark.parametrize("call", range(0, 256, 5))
def test_calls_and_numbers_that_the_spec_lacks_are_shown_raw(call: int) -> None:
    recorder = Recorder()
    lie = b"\1\0\xff\xff\xff\xff\xff\xff"
    recorder.record(recorder.origin_ns, 1, 2, 3, b"p", lie, call, 200, 99, 0xFFFF, 1, 2, 3, 4)
    trace = Trace.from_recorder(recorder)
    assert trace.text().count("\n") == 1
    assert trace[0].args is not None
    assert len(trace.denied) == 1
    assert trace.summary().total.calls == 1


def test_a_summary_in_a_notebook_begins_with_the_call_and_has_no_empty_column() -> None:
    shown = copying().trace().filter("ok").summary()._repr_html_()
    head, first = re.findall(r"<tr>(.*?)</tr>", shown)[:2]
    assert re.findall(r">([^<>]+)<", head) == ["call", "% time", "total", "calls", "min", "median", "p99", "bytes"]
    assert re.findall(r">([^<>]+)<", first)[0] in copying().trace().summary().text()
    assert '<td style="white-space:nowrap">' in first
