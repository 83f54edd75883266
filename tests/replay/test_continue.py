"""A recording is replayed up to a call, and the program goes on from there live, under other grants."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wasilab
from tests.engine.guests import wat
from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, Trace
from wasilab.cli import main
from wasilab.runs.replays.recordings import Recording
from wasilab.runs.replays.replaying import ReplayedRun, replay

from .test_replay import copying

CALLS = (
    "path_open path_rename fd_read fd_write fd_renumber fd_fdstat_set_rights fd_readdir clock_time_get random_get "
    "proc_exit args_sizes_get fd_prestat_get"
)
READ_SEEK = "(i64.const 102)"  # FD_READ, FD_SEEK, FD_TELL, FD_WRITE
NAMES = '(data (i32.const 64) "a.txt") (data (i32.const 80) "b.txt") (data (i32.const 96) "sub/c.txt")'


def opening(at: int, length: int, to: int, oflags: int = 0, fdflags: int = 0, fd: str = "(i32.const 3)",
            rights: str = READ_SEEK) -> str:
    return (
        f"(if (call $path_open {fd} (i32.const 0) (i32.const {at}) (i32.const {length}) (i32.const {oflags})"
        f" {rights} (i64.const -1) (i32.const {fdflags}) (i32.const {to})) (then (call $proc_exit (i32.const 99))))"
    )


def moving(call: str, fd: str, length: int) -> str:
    """Read into 1024, or write from there."""
    return (
        f"(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const {length}))"
        f"(drop (call ${call} {fd} (i32.const 0) (i32.const 1) (i32.const 8)))"
    )


A, B = "(i32.load (i32.const 200))", "(i32.load (i32.const 204))"
TO_STDOUT = "(i32.store (i32.const 4) (i32.load (i32.const 8))) (drop (call $fd_write (i32.const 1) (i32.const 0)"
TO_STDOUT += " (i32.const 1) (i32.const 8)))"


def program(*parts: str) -> wasilab.Module:
    return wat(CALLS, "".join(parts) + "(call $proc_exit (i32.const 0))", extra=NAMES)


def record(module: wasilab.Module, files: dict[str, bytes], **more: object) -> wasilab.Run:
    run = wasilab.run(module, grants=Grants(dirs={"/d": MemDir(files)}, **more), record=True)  # type: ignore[arg-type]
    assert run.exit_code == 0, run.trace.text()
    return run


def go_on(run: wasilab.Run, until: int | None, files: dict[str, bytes], **more: object) -> ReplayedRun:
    found = run.replay(until=until, continue_with=Grants(dirs={"/d": MemDir(files)}, **more))  # type: ignore[arg-type]
    assert isinstance(found, ReplayedRun)
    return found


def calls_of(run: wasilab.Run) -> list[str]:
    return [call.name for call in run.trace]


def number_of(run: wasilab.Run, name: str, nth: int = 0) -> int:
    return [call.seq for call in run.trace if call.name == name][nth]


def test_an_open_file_keeps_number_offset_and_flags() -> None:
    run = record(
        program(opening(80, 5, 204), opening(64, 5, 200, fdflags=1), moving("fd_read", A, 4), moving("fd_write", A, 2),
                f"(drop (call $fd_renumber {A} (i32.const 4)))", moving("fd_read", B, 4), TO_STDOUT),
        {"a.txt": b"0123456789", "b.txt": b"second"},
    )  # fmt: skip
    assert run.stdout == ""  # 4 is a.txt now, at its end after the appending write
    last = number_of(run, "fd_read", 1)
    again = go_on(run, last, {"a.txt": b"ABCDEFGHIJKLMNOP"})
    assert (again.exit_code, again.calls, again.is_live) == (0, last, True)
    assert again.stdout == ""
    plain = record(
        program(opening(80, 5, 204), opening(64, 5, 200), moving("fd_read", A, 4),
                f"(drop (call $fd_renumber {A} {B}))", moving("fd_read", B, 4), TO_STDOUT),
        {"a.txt": b"0123456789", "b.txt": b"second"},
    )  # fmt: skip
    assert plain.stdout == "4567"
    for until in range(number_of(plain, "fd_renumber"), len(plain.trace) - 2):
        assert go_on(plain, until, {"a.txt": b"ABCDEFGHIJ", "b.txt": b""}).stdout == "EFGH"
    assert go_on(plain, len(plain.trace) - 2, {"a.txt": b"ABCDEFGHIJ"}).stdout == "4567"  # read before
    assert go_on(plain, 1, {"a.txt": b"ABCDEFGHIJ", "b.txt": b"x"}).stdout == "EFGH"


def test_a_folder_and_a_file_opened_through_it_are_opened_again() -> None:
    module = wat(
        CALLS,
        opening(96, 3, 204, oflags=2, rights="(i64.const 24576)")
        + opening(100, 5, 200, fd="(i32.load (i32.const 204))")
        + moving("fd_read", A, 1) + moving("fd_read", A, 3) + TO_STDOUT
        + "(drop (call $fd_readdir (i32.load (i32.const 204)) (i32.const 1024) (i32.const 512) (i64.const 0)"
        "(i32.const 8)))" + TO_STDOUT + "(call $proc_exit (i32.const 0))",
        extra=NAMES,
    )  # fmt: skip
    run = record(module, {"sub/c.txt": b"inside"})
    again = go_on(run, number_of(run, "fd_read", 1), {"sub/c.txt": b"INSIDE", "sub/new": b""})
    assert again.stdout_bytes.startswith(b"NSI")
    assert b"new" in again.stdout_bytes
    assert b"new" not in run.stdout_bytes
    opened = {life.path: life.fd for life in again.trace.store.lives.values()}
    assert (opened[b"/d/sub"], opened[b"/d/sub/c.txt"]) == (4, 5)


def test_rights_that_were_given_up_stay_given_up() -> None:
    for give_up in (
        opening(64, 5, 200) + f"(drop (call $fd_fdstat_set_rights {A} (i64.const 4) (i64.const 0)))",
        "(drop (call $fd_fdstat_set_rights (i32.const 3) (i64.const 8192) (i64.const 68)))",
    ):
        later = "" if "$path_open" in give_up else opening(64, 5, 200)
        run = record(program(give_up, later, moving("fd_read", A, 4), TO_STDOUT), {"a.txt": b"0123456789"})
        assert run.trace.filter("fd_read")[0].errno_name == "ENOTCAPABLE"
        again = go_on(run, number_of(run, "fd_read"), {"a.txt": b"ABCDEF"})
        assert again.trace.filter("fd_read")[0].errno_name == "ENOTCAPABLE"
        assert again.trace.filter("fd_read")[0].fd == 4


def test_clocks_randomness_and_stdin_are_those_of_the_new_grants() -> None:
    body = (
        "(drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 1024)))"
        "(drop (call $random_get (i32.const 1032) (i32.const 8)))"
        + moving("fd_read", "(i32.const 0)", 3)
    )
    send = "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 16))"
    send += "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))" + TO_STDOUT
    run = record(program(body, send, moving("fd_read", "(i32.const 0)", 3), TO_STDOUT), {}, stdin=b"abcdef")
    grants = Grants(clocks=Clocks.frozen(7), random=Random.seeded(1), stdin=b"XYZ")
    grants = grants.with_(dirs={"/d": MemDir({})})
    again = run.replay(until=0, continue_with=grants)
    assert again.stdout_bytes[3:8] == bytes(5)  # "XYZ" over the frozen time 7
    assert again.trace.filter("clock_time_get")[0].result["time"] == 7
    once_more = run.replay(until=0, continue_with=grants)
    assert once_more.stdout_bytes == again.stdout_bytes
    assert run.replay(until=5, continue_with=grants).stdout_bytes[-3:] == b"XYZ"


def test_a_file_that_the_recorded_part_created_is_created_again() -> None:
    run = record(
        program(opening(80, 5, 200, oflags=1 | 4), "(i32.store (i32.const 1024) (i32.const 0x64636261))",
                moving("fd_write", A, 4), moving("fd_write", A, 2)),
        {},
    )  # fmt: skip
    second = number_of(run, "fd_write", 1)
    again = go_on(run, second, {})
    folder = again.directories["/d"]
    assert isinstance(folder, MemDir)
    assert folder.files() == {"b.txt": b"abcdab"}
    assert go_on(run, 0, {}).exit_code == 0
    kept = go_on(run, second, {"b.txt": b"ABCDEFGH"})  # it is there: neither emptied nor made anew
    folder = kept.directories["/d"]
    assert isinstance(folder, MemDir)
    assert folder.files() == {"b.txt": b"ABCDabGH"}
    read_only = run.replay(until=second, continue_with=Grants(dirs={"/d": MemDir({}, mode="ro")}))
    assert "descriptor 4 (/d/b.txt) was open at call 2" in read_only.outcome.message
    assert read_only.exit_code == 1


def test_a_file_that_was_looked_for_in_vain_and_then_opened_was_created() -> None:
    look = "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 5) (i32.const 0) (i64.const 2)"
    look += "(i64.const 0) (i32.const 0) (i32.const 200)))"
    parts = (opening(80, 5, 200, oflags=1), "(i32.store (i32.const 1024) (i32.const 0x64636261))",
             moving("fd_write", A, 4), moving("fd_write", A, 2))  # fmt: skip
    run = record(program(look, *parts), {})
    again = go_on(run, number_of(run, "fd_write", 1), {})
    folder = again.directories["/d"]
    assert isinstance(folder, MemDir)
    assert folder.files() == {"b.txt": b"abcdab"}
    unknown = record(program(*parts), {})  # it may have been there, with anything in it
    refused = go_on(unknown, number_of(unknown, "fd_write", 1), {})
    assert "does not exist below the new grants" in refused.outcome.message


@pytest.mark.parametrize(
    ("parts", "files", "grants", "why"),
    [
        ((opening(64, 5, 200),), {}, None, "descriptor 4 .* it does not exist below the new grants"),
        ((opening(64, 5, 200),), {}, Grants(), "descriptor 3 .* no folder at '/d': grant one with --dir HOST::/d"),
        ((), {}, Grants(stdin=None, dirs={"/d": MemDir({})}), "descriptor 0 .<stdin>.* the new grants have no stdin"),
        ((opening(64, 5, 200),), {"a.txt/x": b""}, None, "descriptor 4 .* Is a directory"),
        (
            (opening(64, 5, 200), "(drop (call $path_rename (i32.const 3) (i32.const 64) (i32.const 5) (i32.const 3)"
             "(i32.const 80) (i32.const 5)))"),
            {"a.txt": b"other"}, None, "descriptor 4 .* had renamed, removed or replaced the file",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_again_is_refused_by_name(
    parts: tuple[str, ...], files: dict[str, bytes], grants: Grants | None, why: str
) -> None:
    run = record(program(*parts), {"a.txt": b"one"})
    found = run.replay(until=len(run.trace) - 1, continue_with=grants or Grants(dirs={"/d": MemDir(files)}))
    assert found.outcome.kind == "error"
    assert len(found.trace) == len(run.trace) - 1  # nothing ran live
    assert re.search(why, found.outcome.message), found.outcome.message


def test_it_continues_where_another_program_diverges() -> None:
    files = MemDir({"a.txt": b"text"})
    run = wasilab.run(copying(), grants=Grants(dirs={"/in": files}), record=True)
    other = copying(status=4)
    found = replay(Recording(run.trace, other), continue_with=Grants(dirs={"/in": files}))
    assert found.divergence is not None
    assert (found.exit_code, found.calls, found.divergence.seq) == (4, 6, 6)
    assert found.stdout == run.stdout
    different = copying(extra='(data (i32.const 64) "b.txt")')
    found = replay(Recording(run.trace, different), continue_with=Grants(dirs={"/in": MemDir({"b.txt": b"other"})}))
    assert (found.calls, found.stdout) == (0, "other")


def test_bytes_that_differ_are_sent_live_as_they_were_before_the_results() -> None:
    # The program writes 12 bytes from 1024, and the result goes into them.
    body = "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 12))"
    body += "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1024)))"
    run = wasilab.run(wat("fd_write", body, extra='(data (i32.const 1024) "abcdefghijkl")'), record=True)
    other = wat("fd_write", body, extra='(data (i32.const 1024) "ABCDEFGHIJKL")')
    assert replay(Recording(run.trace, other), continue_with=Grants()).stdout == "ABCDEFGHIJKL"


def test_a_run_that_a_limit_ended_continues_after_it() -> None:
    body = "(loop $l (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 8)))"
    body += "(local.set $i (i32.add (local.get $i) (i32.const 1))) "
    body += "(br_if $l (i32.lt_u (local.get $i) (i32.const 500))))"
    module = wat("clock_time_get", body)
    whole = wasilab.run(module, grants=Grants(limits=Limits(fuel=100_000)))
    assert whole.outcome.fuel_used is not None
    run = wasilab.run(module, grants=Grants(limits=Limits(fuel=whole.outcome.fuel_used // 2)), record=True)
    assert (run.outcome.kind, len(run.trace) < 500) == ("limit", True)
    again = run.replay(continue_with=Grants())
    assert isinstance(again, ReplayedRun)
    assert (again.outcome.kind, again.calls, len(again.trace)) == ("exit", len(run.trace), 500)


def test_the_trace_of_both_parts_is_a_recording(tmp_path: Path) -> None:
    files = MemDir({"a.txt": b"text"})
    run = wasilab.run(copying(), grants=Grants(dirs={"/in": files}), record=True)
    both = run.replay(until=3, continue_with=Grants(dirs={"/in": files}))
    both.trace.save(tmp_path / "b.wtrace")
    last = replay(Recording(Trace.load(str(tmp_path / "b.wtrace"))))
    assert (last.divergence, last.exit_code, last.stdout_bytes) == (None, 3, both.stdout_bytes)
    assert len(both.trace.diff(last.trace)) == 0
    public = replay(Recording(run.trace), until=3, continue_with=Grants(dirs={"/in": files}), raw=False)
    assert (public.stdout, public.exit_code, public.is_live) == (run.stdout, 3, True)


def test_more_is_granted_than_in_the_recorded_run() -> None:
    module = program(
        "(drop (call $args_sizes_get (i32.const 8) (i32.const 12)))", moving("fd_read", "(i32.const 3)", 1),
        "(drop (call $fd_prestat_get (i32.const 3) (i32.const 8)))",
    )  # fmt: skip
    run = wasilab.run(module, grants=Grants(stdin=None), record=True)
    again = run.replay(until=1, continue_with=Grants(dirs={"/d": MemDir({})}))
    assert again.trace.filter("fd_prestat_get")[0].errno_name == ""
    assert run.trace.filter("fd_prestat_get")[0].errno_name == "EBADF"


def test_the_command_continues_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = wasilab.run(copying(), grants=Grants(dirs={"/in": MemDir({"a.txt": b"text"})}), record=True)
    run.trace.save("r.wtrace")
    Path("in").mkdir()
    Path("in/a.txt").write_bytes(b"live\n")
    assert main(["replay", "--until", "1", "--continue", "--dir", "in::/in", "r.wtrace"]) == 3
    out, err = capfd.readouterr()
    assert out == "live\n"
    assert "replayed 1 call, then live: 6 calls under the grants" in err
    assert main(["replay", "--until", "1", "--continue", "r.wtrace"]) == 1
    assert "descriptor 3 (/in) was open at call 1" in capfd.readouterr().err
    for wrong, why in (
        (["--dir", "in"], "a replay has no host and takes no grants (--dir in)"),
        (["--until", "1", "--env", "A=1"], "--env A=1"),
        (["--continue", "--until", "77"], "no call 77"),
        (["--continue", "--dir", "nowhere"], "nowhere"),
    ):
        assert main(["replay", *wrong, "r.wtrace"]) == 2
        assert why in capfd.readouterr().err


def test_a_host_file_continues_at_its_offset(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789")
    module = program(opening(64, 5, 200), moving("fd_read", A, 4), moving("fd_read", A, 4), TO_STDOUT)
    grants = Grants(dirs={"/d": HostDir(str(tmp_path), "rw")})
    run = wasilab.run(module, grants=grants, record=True)
    assert run.replay(until=2, continue_with=grants).stdout == "4567"
    read_only = run.replay(until=2, continue_with=Grants(dirs={"/d": HostDir(str(tmp_path))}))
    assert "descriptor 4 (/d/a.txt) was open at call 2" in read_only.outcome.message


@pytest.mark.parametrize(
    "change",
    [
        {"fd": 1 << 31}, {"fd": 1}, {"life": (1 << 32) - 1}, {"path": b"/d/" + b"x" * 100_000}, {"path": b""},
        {"path": b"/d/../../etc/passwd"}, {"path": b"/etc/passwd"}, {"kind": 6}, {"opened_seq": 1}, {"preopen": b"/d"},
        {"opened_seq": -1}, {"moves": ((1, 1 << 30, 1),)},
    ],
)  # fmt: skip
def test_a_hostile_life_opens_nothing_else(change: dict[str, Any]) -> None:
    run = record(program(opening(64, 5, 200), moving("fd_read", A, 4), moving("fd_read", A, 4), TO_STDOUT),
                 {"a.txt": b"0123456789"})  # fmt: skip
    recording = Recording(run.trace)
    lives = recording.trace.store.lives
    opened = next(number for number, life in lives.items() if life.opened_seq >= 0)
    lives[opened] = replace(lives[opened], **change)
    found = replay(recording, until=2, continue_with=Grants(dirs={"/d": MemDir({"a.txt": b"ABCDEFGHIJ"})}))
    assert found.outcome.kind == "error" or found.stdout in ("", "EFGH")
    assert "wasilab failed" not in found.outcome.message
