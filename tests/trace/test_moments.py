"""The state of a run at each of its calls, against what the calls did; and at any call of traces made to mislead."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import wasilab
from wasilab.text.escape import visible
from wasilab.trace.trace import Trace
from wasilab.wasi.types import Fdflags, Oflags, Rights

from .building import Builder, anything, copying, many
from .scripted import program

ALL = int(Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK | Rights.FD_TELL | Rights.FD_FILESTAT_SET_SIZE)
CREATE, EMPTY = int(Oflags.CREAT), int(Oflags.CREAT | Oflags.TRUNC)


def opening(path: bytes, oflags: int = 0, fdflags: int = 0, rights: int = ALL) -> tuple[str, tuple[int | bytes, ...]]:
    return ("path_open", (3, 0, path, oflags, rights, 0, fdflags))


STEPS: list[tuple[tuple[str, tuple[int | bytes, ...]], dict[str, bytes | None], dict[int, int | None]]] = [
    # the call, what the folder then holds, and the offset of each open file
    (opening(b"old.txt"), {"old.txt": b"before"}, {4: 0}),
    (("fd_read", (4, b"123")), {"old.txt": b"before"}, {4: 3}),
    (("fd_write", (4, b"ORE")), {"old.txt": b"befORE"}, {4: 6}),
    (opening(b"new.txt", EMPTY), {"old.txt": b"befORE", "new.txt": b""}, {4: 6, 5: 0}),
    (("fd_write", (5, b"hello")), {"old.txt": b"befORE", "new.txt": b"hello"}, {4: 6, 5: 5}),
    (("fd_pwrite", (5, b"EY", 1)), {"old.txt": b"befORE", "new.txt": b"hEYlo"}, {4: 6, 5: 5}),
    (("fd_seek", (5, 8, 0)), {"old.txt": b"befORE", "new.txt": b"hEYlo"}, {4: 6, 5: 8}),
    (("fd_write", (5, b"!")), {"old.txt": b"befORE", "new.txt": b"hEYlo\0\0\0!"}, {4: 6, 5: 9}),
    (("fd_filestat_set_size", (5, 3)), {"old.txt": b"befORE", "new.txt": b"hEY"}, {4: 6, 5: 9}),
    (("path_rename", (3, b"new.txt", 3, b"moved.txt")), {"old.txt": b"befORE", "moved.txt": b"hEY"}, {4: 6, 5: 9}),
    (("fd_pwrite", (5, b"h", 0)), {"old.txt": b"befORE", "moved.txt": b"hEY"}, {4: 6, 5: 9}),
    (("path_unlink_file", (3, b"old.txt")), {"moved.txt": b"hEY"}, {4: 6, 5: 9}),
    (("fd_close", (4,)), {"moved.txt": b"hEY"}, {5: 9}),
    (opening(b"moved.txt", 0, int(Fdflags.APPEND)), {"moved.txt": b"hEY"}, {4: 0, 5: 9}),
    (("fd_write", (4, b"+more")), {"moved.txt": b"hEY+more"}, {4: None, 5: 9}),
    (("fd_renumber", (4, 5)), {"moved.txt": b"hEY+more"}, {5: None}),
    (("path_create_directory", (3, b"sub")), {"moved.txt": b"hEY+more"}, {5: None}),
    (opening(b"sub/x", CREATE), {"moved.txt": b"hEY+more", "sub/x": b""}, {4: 0, 5: None}),
    (("path_rename", (3, b"sub", 3, b"dir")), {"moved.txt": b"hEY+more", "dir/x": b""}, {4: 0, 5: None}),
    (("fd_write", (1, b"out\n")), {"moved.txt": b"hEY+more", "dir/x": b""}, {4: 0, 5: None}),
]
MIDDLE = 5


@pytest.fixture(scope="module")
def run() -> wasilab.Run:
    module = wasilab.compile(program(*(call for call, _, _ in STEPS)), "wat", name="steps")
    folder = wasilab.MemDir({"old.txt": "before"})
    done = wasilab.run(module, grants=wasilab.Grants(dirs={"/d": folder}))
    assert len(done.trace) == len(STEPS)
    assert [event.errno_name for event in done.trace] == [""] * len(STEPS)
    return done


def test_every_call_leaves_the_state_that_it_left_then(run: wasilab.Run) -> None:
    for seq in [*range(len(STEPS)), *reversed(range(len(STEPS)))]:  # forwards and back
        moment = run.at(seq)
        _, files, offsets = STEPS[seq]
        held = {f.path: f.data for f in moment.files if not f.directory and f.change != "deleted"}
        assert held == {f"/d/{name}": content for name, content in files.items()}, seq
        assert {d.fd: d.offset for d in moment.descriptors if d.fd > 3} == offsets, seq
        assert moment.seq == seq
        assert moment.stdout.data == (b"out\n" if seq == len(STEPS) - 1 else b"")


def test_a_moment_names_what_was_done(run: wasilab.Run) -> None:
    last = run.at(run.trace[-1])
    changes = {file.path: file.change for file in last.files}
    assert changes["/d/old.txt"] == "deleted"
    assert changes["/d/moved.txt"] == "renamed"
    assert changes["/d/dir"] == "renamed"
    assert run.at(4)["/d/new.txt"].change == "created"
    assert run.at(1)["/d/old.txt"].change == ""
    assert run.at(2)["/d/old.txt"].change == "changed"
    assert run.at(4).fd(5).rights == ALL
    with pytest.raises(KeyError, match="descriptor 4 was not open after call 12"):
        run.at(12).fd(4)
    with pytest.raises(KeyError, match="no file '/d/none'; the files are /d/dir"):
        last["/d/none"]
    with pytest.raises(IndexError, match=r"there is no call 99; the trace has calls 0 to 19"):
        run.at(99)
    grants = {grant.name: grant.state for grant in last.grants}
    assert grants["/d"] == "granted"
    text = str(last)
    assert "moved.txt" in text
    assert "at the end" in text
    assert "<table" in last._repr_html_()


def test_a_saved_trace_has_the_states_of_its_record(run: wasilab.Run, tmp_path: Path) -> None:
    loaded = Trace.load(run.trace.save(tmp_path / "x.wtrace"))
    moment = loaded.moment(4)
    assert moment["/d/new.txt"].data == b"hello"
    assert moment["/d/old.txt"].size is None, "what it held before is not in the record"
    assert {d.fd: d.offset for d in moment.descriptors if d.fd > 3} == {4: 6, 5: 5}
    assert loaded[3:5].moment(4).descriptors == moment.descriptors, "a part of a trace has the state of the whole"


def test_what_was_not_kept_is_marked() -> None:
    b = Builder()
    b.open(3, "/d", preopen="/d", filetype=3)
    b.open(4, "/d/f")
    b.call("path_open", 3, 1, 0, 1, 9, 0, 0, 0, 0, 0, 0, path=b"f", result=4, fd=3)
    b.write_text(4, b"x" * 100)
    moment = b.trace().moment(1)
    content = moment["/d/f"].content
    assert content is not None
    assert list(content.pieces()) == [b"x" * 64, 36]
    assert moment["/d/f"].data is None
    assert moment["/d/f"].size == 100


def test_a_revoked_grant_is_so_from_then_on() -> None:
    module = wasilab.compile(program(("sched_yield", ()), ("poll_oneoff", (0, 0, 0, 0))), "wat")
    run = wasilab.run(module, grants=wasilab.Grants(dirs={"/d": wasilab.MemDir()}), detach=True)
    run.wait()
    run.live.revoke("/d")
    assert run.at(0).grants != run.at(1).grants
    states = {grant.name: grant.state for grant in run.at(len(run.trace) - 1).grants}
    assert states["/d"] == "revoked"
    assert {grant.name: grant.state for grant in run.at(0).grants}["/d"] == "granted"


@pytest.mark.parametrize("seed", range(6))
def test_traces_made_to_mislead_have_a_state_at_every_call(seed: int) -> None:
    trace = anything(150, seed, unstable=seed % 2 == 1).trace()
    for event in trace:
        moment = trace.moment(event)
        text = str(moment)
        assert visible(text, lines=True) == text
        for file in moment.files:
            content = file.content
            assert content is None or len(content.data) == len(content.kept) <= 1 << 16


def test_a_step_back_costs_what_a_step_forward_costs() -> None:
    trace = many(50_000)
    trace.moment(0)
    steps = [range(0, 50_000, 500), range(49_999, -1, -500)]
    for there in steps:
        begun = time.process_time()
        for seq in there:
            assert trace.moment(seq).seq == seq
        print(f"{(time.process_time() - begun) / 100 * 1e3:.2f} ms a step, {'back' if there.step < 0 else 'forward'}")
    assert copying().trace().moment(0).descriptors[3].path == "/data"
