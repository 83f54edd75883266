"""The strace text is an interface: golden lines, looked at by a person."""

from __future__ import annotations

import re
import struct

import pytest

from wasilab.trace.record.layout import Flag
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.strace import values as show
from wasilab.trace.strace.style import Style, StyleOptions
from wasilab.trace.trace import Trace
from wasilab.wasi import types as t

from .building import Builder, anything, copying

ALL = (1 << 30) - 1


def line(b: Builder, **style: object) -> str:
    return b.trace()[-1:].text(**{"pid": False, "time": "none", "durations": False, **style}).rstrip("\n")


def data() -> Builder:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.open(4, "/data/a.txt")
    return b


def test_a_program_that_copies_a_file() -> None:
    assert copying().trace().text() == (
        '1 1700000000.123457 path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, '
        "fs_rights_base=FD_READ, fs_rights_inheriting=0, fdflags=0) = 0 {opened_fd=4</data/a.txt>} <0.000000>\n"
        '1 1700000000.123458 fd_read(fd=4</data/a.txt>, iovs=[{buf="hello\\n", len=4096}]) = 0 {nread=6} <0.000000>\n'
        '1 1700000000.123460 fd_write(fd=1<stdout>, iovs=[{buf="hello\\n", len=6}]) = 0 {nwritten=6} <0.000000>\n'
        '1 1700000000.123461 fd_read(fd=4</data/a.txt>, iovs=[{buf="", len=4096}]) = 0 {nread=0} <0.000000>\n'
        "1 1700000000.123463 fd_close(fd=4</data/a.txt>) = 0 <0.000000>\n"
        "1 1700000000.123464 proc_exit(rval=0) = ? <0.000000>\n"
    )


def test_a_refused_call_says_why() -> None:
    assert copying(granted=False).trace()[:1].text(pid=False, time="none") == (
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, fs_rights_base=FD_READ, '
        "fs_rights_inheriting=0, fdflags=0) = -1 ENOTCAPABLE (Capabilities insufficient) "
        "(DENIED: 'a.txt' was asked for, and '/data' is granted for nothing) <0.000000>\n"
    )


GOLDEN = {
    "args_get": (
        lambda b: b.call("args_get", 16, 32, data=b"prog\0a b\0\xff\0"),
        'args_get(argv=["prog", "a b", "\\xff"]) = 0',
    ),
    "arguments beyond the snap length": (
        lambda b: b.call("args_get", 16, 32, data=b"prog\0a lo", flags=Flag.TRUNCATED),
        'args_get(argv=["prog", "a lo"...]) = 0',
    ),
    "args_sizes_get": (
        lambda b: b.call("args_sizes_get", 16, 32, result=2, aux=struct.pack("<I", 9)),
        "args_sizes_get() = 0 {argc=2, argv_buf_size=9}",
    ),
    "clock_time_get": (
        lambda b: b.call("clock_time_get", 1, 1000, 0, 64, result=12345),
        "clock_time_get(id=MONOTONIC, precision=1000) = 0 {time=12345}",
    ),
    "unknown clock": (
        lambda b: b.call("clock_res_get", 77, 64, errno=28),
        "clock_res_get(id=77) = -1 EINVAL (Invalid argument)",
    ),
    "fd_write of two buffers": (
        lambda b: b.call(
            "fd_write", 1, 16, 2, 64, aux=struct.pack("<IIII", 1, 3, 9, 2), data=b"abcde", result=5
        ),
        'fd_write(fd=1<stdout>, iovs=[{buf="abc", len=3}, {buf="de", len=2}]) = 0 {nwritten=5}',
    ),
    "data beyond the snap length": (
        lambda b: b.write_text(1, b"x" * 100),
        f'fd_write(fd=1<stdout>, iovs=[{{buf="{"x" * 64}"..., len=100}}]) = 0 {{nwritten=100}}',
    ),
    "fd_read of a failed call": (
        lambda b: b.call("fd_read", 9, 16, 1, 64, aux=struct.pack("<II", 1, 3), errno=8),
        "fd_read(fd=9, iovs=[{buf=\"\", len=3}]) = -1 EBADF (Bad file descriptor)",
    ),
    "fd_seek backwards": (
        lambda b: b.call("fd_seek", 4, 0xFFFFFFFB, 0xFFFFFFFF, 2, 64, result=95),
        "fd_seek(fd=4</data/a.txt>, offset=-5, whence=END) = 0 {newoffset=95}",
    ),
    "fd_fdstat_get": (
        lambda b: b.call("fd_fdstat_get", 4, 64, aux=t.FDSTAT.pack(4, 1, 2 | 64, 0)),
        "fd_fdstat_get(fd=4</data/a.txt>) = 0 "
        "{fdstat={filetype=REGULAR_FILE, flags=APPEND, rights_base=FD_READ|FD_WRITE, rights_inheriting=0}}",
    ),
    "the rights that are given up are all shown": (
        lambda b: b.call("fd_fdstat_set_rights", 4, ALL & ~2, 0, 0, 0),
        "fd_fdstat_set_rights(fd=4</data/a.txt>, fs_rights_base=~[FD_READ], fs_rights_inheriting=0) = 0",
    ),
    "the rights that a library asks for are abbreviated": (
        lambda b: b.call("path_open", 3, 1, 64, 5, 0, ALL & ~64, 0, ALL, 0, 0, 64, path=b"a.txt", errno=44),
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, fs_rights_base=FD_READ|..., fdflags=0)'
        " = -1 ENOENT (No such file or directory)",
    ),
    "few rights are shown by name": (
        lambda b: b.call("path_open", 3, 1, 64, 5, 0, 2 | 4, 0, 2 | 4, 0, 0, 64, path=b"a.txt", errno=44),
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, fs_rights_base=FD_READ|FD_SEEK, '
        "fdflags=0) = -1 ENOENT (No such file or directory)",
    ),
    "rights to pass on that lack some of the rights asked for are shown": (
        lambda b: b.call("path_open", 3, 1, 64, 5, 0, ALL, 0, 2, 0, 0, 64, path=b"a.txt", errno=44),
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, fs_rights_base=FD_READ|FD_WRITE|..., '
        "fs_rights_inheriting=FD_READ, fdflags=0) = -1 ENOENT (No such file or directory)",
    ),
    "path_filestat_get": (
        lambda b: b.stat_path(3, b"a.txt"),
        'path_filestat_get(fd=3</data>, flags=SYMLINK_FOLLOW, path="a.txt") = 0 '
        "{filestat={dev=1, ino=2, filetype=REGULAR_FILE, nlink=1, size=100, atim=2001-09-09T01:46:40.000000000Z, "
        "mtim=2001-09-09T01:46:40.000000001Z, ctim=2001-09-09T01:46:40.000000002Z}}",
    ),
    "path_rename": (
        lambda b: b.call("path_rename", 3, 16, 1, 3, 32, 1, path=b"a", aux=b"b"),
        'path_rename(fd=3</data>, old_path="a", new_fd=3</data>, new_path="b") = 0',
    ),
    "path_symlink": (
        lambda b: b.call("path_symlink", 16, 1, 3, 32, 1, path=b"target", aux=b"link", fd=3),
        'path_symlink(old_path="target", fd=3</data>, new_path="link") = 0',
    ),
    "path_readlink": (
        lambda b: b.call("path_readlink", 3, 16, 4, 32, 10, 64, path=b"link", data=b"target", result=6),
        'path_readlink(fd=3</data>, path="link", buf="target", buf_len=10) = 0 {bufused=6}',
    ),
    "fd_prestat_get": (
        lambda b: b.call("fd_prestat_get", 3, 64, aux=t.PRESTAT.pack(0, 5)),
        "fd_prestat_get(fd=3</data>) = 0 {prestat={tag=DIR, name_len=5}}",
    ),
    "fd_readdir": (
        lambda b: b.call(
            "fd_readdir", 3, 16, 100, 0, 0, 64, data=t.DIRENT.pack(1, 7, 5, 4) + b"a.txt", result=29
        ),
        'fd_readdir(fd=3</data>, buf=[{name="a.txt", type=REGULAR_FILE, ino=7, next=1}], buf_len=100, cookie=0) '
        "= 0 {bufused=29}",
    ),
    "random_get": (
        lambda b: b.call("random_get", 16, 3, data=b"\x00\x1b\xff"),
        'random_get(buf="\\x00\\x1b\\xff", buf_len=3) = 0',
    ),
    "poll_oneoff": (
        lambda b: b.call(
            "poll_oneoff", 16, 32, 2, 64, result=1,
            aux=t.SUBSCRIPTION.pack(7, 0, 1, 5_000_000, 0, 1) + t.SUBSCRIPTION.pack(8, 1, 0, 0, 0, 0)
            + t.EVENT.pack(8, 8, 1, 0, 0),
        ),
        "poll_oneoff(in=[{CLOCK MONOTONIC, timeout=5000000, ABSTIME, userdata=0x7}, {FD_READ fd=0, userdata=0x8}], "
        "out=[{FD_READ, userdata=0x8, errno=EBADF, nbytes=0}], nsubscriptions=2) = 0 {nevents=1}",
    ),
    "sock_recv": (
        lambda b: b.call(
            "sock_recv", 4, 16, 1, 0, 64, 68, aux=struct.pack("<III", 1, 8, 1), data=b"ping", result=4
        ),
        'sock_recv(fd=4</data/a.txt>, ri_data=[{buf="ping", len=8}], ri_flags=0) = 0 '
        "{ro_datalen=4, ro_flags=RECV_DATA_TRUNCATED}",
    ),
    "sched_yield": (lambda b: b.call("sched_yield"), "sched_yield() = 0"),
    "injected": (
        lambda b: b.call("sched_yield", errno=44, flags=Flag.INJECTED),
        "sched_yield() = -1 ENOENT (No such file or directory) (INJECTED)",
    ),
    "not provided": (
        lambda b: b.call("sched_yield", errno=52, flags=Flag.NOSYS),
        "sched_yield() = -1 ENOSYS (Function not supported) (NOT PROVIDED)",
    ),
    "a refusal without a sentence": (
        lambda b: b.call("clock_res_get", 0, 64, errno=76, denied=1),
        "clock_res_get(id=REALTIME) = -1 ENOTCAPABLE (Capabilities insufficient) (DENIED: grant)",
    ),
    "an errno that WASI does not have": (
        lambda b: b.call("sched_yield", errno=99),
        "sched_yield() = -1 E99 (unknown error)",
    ),
    "undefined flag bits": (
        lambda b: b.call("fd_fdstat_set_flags", 4, 0x105),
        "fd_fdstat_set_flags(fd=4</data/a.txt>, flags=APPEND|NONBLOCK|0x100) = 0",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    make, expected = GOLDEN[name]
    b = data()
    make(b)
    assert line(b) == expected


def test_unstable_calls_are_read_by_their_own_layouts() -> None:
    b = Builder(unstable=True)
    b.open(4, "/data/a.txt")
    b.call("fd_seek", 4, 0, 0, 2, 64, result=0)
    assert line(b) == "fd_seek(fd=4</data/a.txt>, offset=0, whence=SET) = 0 {newoffset=0}"
    b.call("fd_filestat_get", 4, 64, aux=t.FILESTAT_UNSTABLE.pack(1, 2, 4, 1, 100, 0, 0, 0))
    assert "nlink=1, size=100, atim=1970-01-01T00:00:00.000000000Z" in line(b)


def test_a_poll_whose_events_were_not_kept_shows_where_they_went() -> None:
    b = data()
    b.call("poll_oneoff", 16, 32, 1, 64, aux=t.SUBSCRIPTION.pack(7, 0, 1, 5, 0, 0), result=5000, flags=Flag.TRUNCATED)
    assert "out=0x20" in line(b)


@pytest.mark.parametrize("unstable", [False, True])
@pytest.mark.parametrize(
    "style",
    [{}, {"strings": 5}, {"fd_paths": False, "verbose": True}, {"time": "run", "pid": False}, {"durations": False}],
)
def test_a_line_is_the_same_alone_and_among_others(style: StyleOptions, unstable: bool) -> None:
    trace = anything(700, unstable=unstable).trace()
    alone = [trace[i : i + 1].text(**style) for i in range(len(trace))]
    assert trace.text(**style) == "".join(alone)
    assert all(line.count("\n") == 1 and line[:-1].isprintable() for line in alone)


def test_more_different_texts_than_count_as_few_are_correct() -> None:
    b = data()
    lives = []
    for i in range(3000):
        b.call("fd_seek", 4, i * 70_000 & 0xFFFFFFFF, 0, i % 3, 64, result=i * 99_991)
        lives.append(b.open(5 + i, f"/data/{i}"))
        b.call("fd_tell", 5 + i, 64, result=i)
    texts = b.trace().text(pid=False, time="none", durations=False).splitlines()
    for i in range(3000):
        whence = ("SET", "CUR", "END")[i % 3]
        assert f"offset={i * 70_000}, whence={whence}) = 0 {{newoffset={i * 99_991}}}" in texts[2 * i]
        assert texts[2 * i + 1] == f"fd_tell(fd={5 + i}</data/{i}>) = 0 {{offset={i}}}"


def test_dates_of_files_keep_all_their_digits() -> None:
    b = data()
    times = [0, 1, 999_999_999, 10**9, 1_700_000_000_123_456_789, (1 << 64) - 1]
    for time in times:
        b.call("fd_filestat_get", 4, 64, aux=t.FILESTAT.pack(1, 2, 4, 1, 100, time, 5, time))
    found = [re.findall(r"[amc]tim=([^,}]+)", text) for text in b.trace().text().splitlines()]
    assert found == [[show.time_text(time), show.time_text(5), show.time_text(time)] for time in times]
    assert found[-1][0] == "2554-07-21T23:34:33.709551615Z"


def test_a_number_opened_thousands_of_times_is_known_by_its_path_each_time() -> None:
    b = data()
    for i in range(2000):
        b.path_open(3, b"f%d" % i, opened=5)
        b.close(5)
        b.call("fd_close", 5)
    texts = b.trace().text(pid=False, time="none", durations=False).splitlines()
    assert all(texts[2 * i].endswith(f"{{opened_fd=5</data/f{i}>}}") for i in range(2000))


def test_times_can_be_relative_from_the_start_or_left_out() -> None:
    b = Builder()
    b.call("sched_yield", dur=1_500_000, gap=2_000_000)
    b.call("sched_yield", gap=500_000)
    trace = b.trace()
    run = trace.text(pid=False, time="run", durations=False)
    assert run == "0.002000 sched_yield() = 0\n0.004000 sched_yield() = 0\n"
    assert trace.text(time="relative").splitlines() == [
        "1 0.000000 sched_yield() = 0 <0.001500>",
        "1 0.002000 sched_yield() = 0 <0.000000>",
    ]


def test_an_option_that_text_does_not_have_is_named_with_those_it_has() -> None:
    assert set(StyleOptions.__annotations__) == set(Style.__dataclass_fields__)
    trace = copying().trace()
    with pytest.raises(TypeError, match=r"unknown option 'times' of text\(\); the options are pid, time, "):
        trace.text(times="none")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="time='day' is not valid; use one of 'epoch', 'relative', 'run', 'none'"):
        trace.text(time="day")  # type: ignore[arg-type]


def test_durations_of_different_widths_line_up_with_their_numbers() -> None:
    b = Builder()
    for dur in (999, 1_000, 12_345_678_901, 3_600_000_000_000):
        b.call("sched_yield", dur=dur)
    found = [text.rsplit(" ", 1)[1] for text in b.trace().text().splitlines()]
    assert found == ["<0.000000>", "<0.000001>", "<12.345678>", "<3600.000000>"]


def test_paths_of_descriptors_can_be_left_out() -> None:
    b = data()
    b.path_open(3, b"b", opened=5)
    assert "fd=3," in line(b, fd_paths=False)
    assert "{opened_fd=5}" in line(b, fd_paths=False)


def test_choosing_calls_as_strace_does() -> None:
    trace = copying().trace()
    assert trace.text(trace="fd_close,/open$/").count("\n") == 2
    assert trace.text(path="/data/a.txt").count("\n") == 4
    assert trace.text(successful=True).count("\n") == 5
    assert copying(granted=False).trace().text(failed=True).count("\n") == 1
    assert "fd_read" in trace.text(count=True)
    assert "... 4 more calls" in trace.text(limit=2)


def test_stacks_stand_under_their_calls() -> None:
    recorder = Recorder(stacks=True)
    number = recorder.intern_stack([("evil\x1bname", 16), ("main", 32)])
    recorder.record(recorder.origin_ns, 1, 0, 0, None, None, 40, 0, 0, 0, 0, 0, 0, 0, stack=number)
    text = Trace.from_recorder(recorder).text(stacks=True, pid=False, time="none", durations=False)
    assert text == "sched_yield() = 0\n > evil\\x1bname() [0x10]\n > main() [0x20]\n"


def test_notes_are_shown_with_their_calls() -> None:
    trace = copying().trace()
    trace.note(1, "reads */ here")
    trace.note(1, "twice", until=2)
    assert "/* reads * / here; twice (until call 2) */ <" in trace.text().splitlines()[1]


HOSTILE = [
    b"\x1b[2J", b"a\nb", "\u202etxt.exe".encode(), b"\xff\xfe", b'"; rm', b"\\", b"\0", "\u2028".encode(), b"\x9b31m",
]  # fmt: skip


@pytest.mark.parametrize("bad", HOSTILE)
def test_no_text_of_a_guest_can_forge_or_hide_a_line(bad: bytes) -> None:
    b = data()
    b.open(7, b"/data/" + bad)
    b.write_text(7, bad)
    b.path_open(3, bad, errno=44, denied=3, reason="refused " + bad.decode("utf-8", "surrogateescape"))
    b.call("args_get", 16, 32, data=bad + b"\0")
    text = b.trace().text()
    assert text.count("\n") == 3
    assert all(char.isprintable() or char == "\n" for char in text)


def test_a_quote_in_a_path_does_not_end_it() -> None:
    b = data()
    b.path_open(3, b'a", oflags=0) = 0', errno=44)
    assert 'path="a\\", oflags=0) = 0", oflags=0' in line(b)


def test_html_shows_guest_text_as_text() -> None:
    b = data()
    b.path_open(3, b"<script>alert(1)</script>", errno=76, denied=1, reason="no <b>")
    trace = b.trace()
    for shown in (trace, trace[0], trace.summary(), trace.fds(), trace.denied, trace.diff(copying().trace())):
        page = shown._repr_html_()
        assert "<script>" not in page
        assert "<b>" not in page


def test_a_printed_trace_is_its_calls_without_times(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = copying().trace()
    assert str(trace) == trace.text(time="none", pid=False, durations=False).rstrip("\n")
    assert str(trace).splitlines()[-2:] == ["fd_close(fd=4</data/a.txt>) = 0", "proc_exit(rval=0) = ?"]
    assert repr(trace) == "<Trace of 6 WASI calls>"
    assert str(trace.filter("call=sock_*")) == ""
    monkeypatch.setattr("wasilab.trace.trace.MOST_PRINTED", 2)
    assert str(trace).splitlines()[2:] == ["... 4 more calls"]
