"""Claims on the functions of a trace: those of preview1, the library's look-up, and a list of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.trace.errors import QueryError, TraceError
from wasilab.trace.formats.suffixes import READABLE, WRITABLE
from wasilab.trace.record.functions import (
    FIRST_FURTHER,
    OTHER,
    Bytes,
    Function,
    Functions,
    pack_values,
    unpack_values,
)
from wasilab.trace.record.payload import pack_payload
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.library import LIBRARY_LOOKUP
from wasilab.wasi.operations import Operation
from wasilab.wasi.preview1.spec import BY_NUMBER

from .building import Builder

OPEN_AT = Function(
    "[method]descriptor.open-at", "filesystem", "wasi:filesystem/types", "0.2.12", Operation.OPEN,
    (("self", "borrow<descriptor>"), ("path-flags", "path-flags"), ("path", "string")),
    (("result", "own<descriptor>"),),
)  # fmt: skip
READ = Function(
    "[method]input-stream.read", "io", "wasi:io/streams", "0.2.12", Operation.READ,
    (("len", "u64"),), (("data", "list<u8>"),),
)  # fmt: skip


def components() -> Recorder:
    """Two calls of WASI 0.2, one that failed, and one of preview1 between them."""
    recorder = Recorder()
    write = recorder.make_writer()
    start = recorder.start_clock()
    opening, reading = recorder.function_number(OPEN_AT), recorder.function_number(READ)
    aux = pack_values([3, {"symlink-follow": True}, "a\n\u202e.txt"])
    write(start + 10, 5, 0, 0, b"a.txt", pack_payload(aux, pack_values([4])), opening, 0, 0, 0, 0, 0, 0, 0)
    write(start + 20, 5, 0, 0, None, None, 24, 0, 0, 0, 3, 0, 0, 0)
    packed = pack_payload(pack_values([100]), pack_values([b"hello world"], 5))
    write(start + 30, 5, 0, 0, None, packed, reading, 0, 0, 0, 0, 0, 0, 0)
    write(start + 40, 5, 0, 0, None, pack_payload(pack_values([1])), reading, 29, 0, 0, 0, 0, 0, 0)
    return recorder


TEXT = [
    r'[method]descriptor.open-at(self=3, path-flags={symlink-follow=true}, path="a\n\xe2\x80\xae.txt") = 0 {result=4}',
    f"{BY_NUMBER[24].name}(fd=3",
    '[method]input-stream.read(len=100) = 0 {data="hello"...}',
    "[method]input-stream.read(len=1) = err io",
]


def test_a_function_of_the_traces_own_list_is_shown_with_its_values() -> None:
    lines = Trace.from_recorder(components()).text(pid=False, time="none", durations=False).splitlines()
    assert [line.startswith(start) for line, start in zip(lines, TEXT, strict=True)] == [True] * 4


@pytest.mark.parametrize("suffix", READABLE)
def test_every_lossless_format_keeps_the_list(tmp_path: Path, suffix: str) -> None:
    trace = Trace.from_recorder(components())
    loaded = Trace.load(trace.save(tmp_path / f"t{suffix}"))
    assert loaded.functions.further == (OPEN_AT, READ)
    assert loaded.text() == trace.text()
    assert loaded[2].result == {"data": Bytes(b"hello", 11)}
    assert loaded[0].args["path"] == "a\n\u202e.txt"
    assert loaded[3].result == {}


@pytest.mark.parametrize("suffix", sorted(set(WRITABLE) - set(READABLE)))
def test_every_further_format_names_the_functions(tmp_path: Path, suffix: str) -> None:
    written = Trace.from_recorder(components()).save(tmp_path / f"t{suffix}")
    assert b"input-stream.read" in written.read_bytes()


def test_the_filter_and_the_summary_know_the_list() -> None:
    trace = Trace.from_recorder(components())
    assert len(trace.filter("call=*read errno=0")) == 1
    assert len(trace.filter("family=filesystem")) == len(trace.filter("filesystem")) == 1
    assert trace.summary()["[method]input-stream.read"].calls == 2
    with pytest.raises(QueryError, match=r"did you mean '\[method\]descriptor.open-at'"):
        trace.filter("call='method]descriptor.open-at'")


def test_two_traces_that_number_their_functions_otherwise_are_compared_by_name() -> None:
    recorder = Recorder()
    recorder.function_number(READ)
    opening = recorder.function_number(OPEN_AT)
    recorder.record(recorder.start_clock(), 5, 0, 0, b"a.txt", None, opening, 0, 0, 0, 0, 0, 0, 0)
    diff = Trace.from_recorder(components())[:1].diff(Trace.from_recorder(recorder))
    assert len(diff.added) == len(diff.removed) == 0


def test_a_full_list_shares_one_number() -> None:
    recorder = Recorder()
    numbers = [recorder.function_number(Function(f"f{i}", "x", "m")) for i in range(300)]
    assert numbers[:2] == [FIRST_FURTHER, FIRST_FURTHER + 1]
    assert numbers[-1] == numbers[OTHER - FIRST_FURTHER] == OTHER
    assert recorder.function_number(Function("f5", "x", "m")) == FIRST_FURTHER + 5
    functions = Functions(recorder.functions)
    assert (functions.names[OTHER], functions.names[255], functions.names[50]) == ("other", "unknown_255", "unknown_50")


@pytest.mark.parametrize(
    "lie",
    [5, [5], [{"name": 5}], [{"name": "x" * 5000}], [{"params": 5}], [{"params": [["a"]]}], [{"params": [[1, 2]]}],
     [{"params": [["a", "b"]] * 1000}]],
)  # fmt: skip
def test_a_corrupt_list_is_refused(tmp_path: Path, lie: object) -> None:
    path = Trace.from_recorder(components()).save(tmp_path / "t.jsonl")
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(head) | {"functions": lie}), *lines]) + "\n")
    with pytest.raises(TraceError):
        Trace.load(path)


@pytest.mark.parametrize("data", [b"", b"{", b"5", b"[" * 100_000, b'[{"bytes": "zz", "length": 1}]', b"\xff"])
def test_corrupt_values_are_none(data: bytes) -> None:
    assert unpack_values(data) is None


def looked_up() -> Trace:
    """A program that opened one file and named one path that its own library refused."""
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.path_open(3, b"a.txt", errno=44)
    b.library_lookup(b"/etc/pass\x1bwd")
    return b.trace()


def test_the_library_look_up_is_declared_as_a_call_and_numbered_after_them() -> None:
    assert LIBRARY_LOOKUP.number == len(BY_NUMBER) < FIRST_FURTHER
    assert LIBRARY_LOOKUP.signature == ("i32", "i32")
    assert Functions().names[LIBRARY_LOOKUP.number] == "library_lookup"


def test_a_library_look_up_is_shown_and_marked_as_no_wasi_call() -> None:
    trace = looked_up()
    line = trace.text(pid=False, time="none", durations=False).splitlines()[1]
    assert line == (
        r'library_lookup(path="/etc/pass\x1bwd") = -1 ENOTCAPABLE (Capabilities insufficient) (NO WASI CALL) '
        r"(DENIED: the program's own C library refused '/etc/pass\x1bwd' without asking the host: no granted directory "
        "(/data) holds it)"
    )
    assert (trace[1].path, trace[1].need) == ("/etc/pass\x1bwd", Need(NeedKind.DIRECTORY, "/etc/pass\x1bwd"))


def test_a_library_look_up_is_counted_as_no_wasi_call() -> None:
    trace = looked_up()
    assert (len(trace), trace.wasi_calls) == (2, 1)
    assert repr(trace) == "<Trace of 1 WASI call and 1 refusal by the program's own library>"
    summary = trace.summary()
    assert (summary["library_lookup"].calls, summary.total.calls) == (1, 1)
    assert "library_lookup is not a WASI call" in str(summary)


def test_a_library_look_up_can_be_filtered_compared_and_asked_of() -> None:
    trace = looked_up()
    assert len(trace.filter("library")) == len(trace.filter("call=library_lookup")) == len(trace.filter("refused")) == 1
    diff = trace[:1].diff(trace)
    assert [event.name for event in diff.added] == ["library_lookup"]
    pytest.importorskip("duckdb")
    assert trace.sql("select path from calls where family = 'library'").rows == [("/etc/pass\x1bwd",)]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_library_look_up_is_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = looked_up().save(tmp_path / f"t{suffix}")
    if suffix in READABLE:
        assert Trace.load(path)[1].name == "library_lookup"
    elif suffix != ".wtrace":
        assert b"library_lookup" in path.read_bytes()


def test_a_library_look_up_is_a_refusal_with_its_path_and_need() -> None:
    (refusal,) = looked_up().denied
    assert refusal.sentence == (
        r"The program's own C library refused '/etc/pass\x1bwd' without asking the host: no granted directory (/data) "
        "holds it"
    )
    assert refusal.need == Need(NeedKind.DIRECTORY, "/etc/pass\x1bwd")
