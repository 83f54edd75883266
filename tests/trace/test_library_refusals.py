"""Claims on the guess at what a program's own library refused: found where the run shows it, and no surer than that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, MemDir, Run, run
from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.trace.answers.library_refusals import LibraryRefusal, library_refusal
from wasilab.wasi.library import REPORTED

from ..grants.guests import READ, Guest, fd
from .building import Builder

NOWHERE = fd(99)
"""A descriptor that is not open: reading it ends the guest, and is refused by nobody."""
INSUFFICIENT = "Capabilities insufficient"


def guess(guest: Guest, args: tuple[str, ...] = (), **dirs: Any) -> LibraryRefusal | None:
    ran: Run = run(guest.module(), args, Grants(dirs=dirs or {"data": MemDir({"in.txt": "x"})}))
    assert ran.exit_code != 0
    return library_refusal(ran.trace, ran.stderr)


def says(text: str) -> Guest:
    return Guest().write(text + "\n", fd(2)).read(NOWHERE)


@pytest.mark.parametrize(
    "text",
    [
        f"/etc/app.conf: {INSUFFICIENT}",
        f"prog: /etc/app.conf: {INSUFFICIENT}",
        'error: failed to find a pre-opened file descriptor through which "/etc/app.conf" could be opened',
    ],
)
def test_the_librarys_message_with_the_path_is_certain(text: str) -> None:
    finding = guess(says(text))
    assert finding is not None
    assert (finding.path, finding.sure) == ("/etc/app.conf", True)
    assert "stderr says so" in finding.sentence
    assert "(data)" in finding.sentence
    assert finding.need == Need(NeedKind.DIRECTORY, "/etc/app.conf")


def test_a_label_is_not_a_path_and_an_argument_is_probably_it() -> None:
    finding = guess(says(f"copy: {INSUFFICIENT}"), ("-v", "--from=/etc/app.conf"))
    assert finding is not None
    assert (finding.path, finding.sure) == ("/etc/app.conf", False)
    assert "probably refused '/etc/app.conf'" in finding.sentence
    assert "an argument names this one" in finding.sentence
    unknown = guess(says(f"copy: {INSUFFICIENT}"))
    assert unknown is not None
    assert (unknown.path, unknown.sure) == ("", False)
    assert "The program's own library probably refused a path" in unknown.sentence
    assert unknown.need == Need(NeedKind.DIRECTORY)


def test_a_path_that_no_call_named_is_probable() -> None:
    finding = guess(says("cannot open the configuration"), ("/etc/app.conf",))
    assert finding is not None
    assert not finding.sure
    assert "probably refused '/etc/app.conf' without asking the host" in finding.sentence


@pytest.mark.parametrize(
    "path", ["data/in.txt", "/data/in.txt", "./data/none", "/data/../data/x.txt", "verbose", "-v", "7.5"]
)
def test_a_path_inside_a_granted_directory_and_what_is_not_a_path_is_not_guessed(path: str) -> None:
    assert guess(says("cannot open the configuration"), (path,)) is None


def test_every_path_is_inside_a_granted_root() -> None:
    for root in (".", "/"):
        assert guess(says("cannot open it"), ("/etc/app.conf",), **{root: MemDir()}) is None


def test_a_path_that_a_call_named_was_not_refused_by_the_library() -> None:
    guest = Guest().open("etc/app.conf")  # asks below "data", and is told that there is none
    assert guess(guest, ("/etc/app.conf",)) is None


def test_nothing_is_guessed_where_the_host_refused(tmp_path: Path) -> None:
    guest = Guest().write(f"/etc/app.conf: {INSUFFICIENT}\n", fd(2)).open("new", rights=READ | 1 << 6, oflags=1)
    assert guess(guest, ("/etc/app.conf",), data=HostDir(tmp_path)) is None


def test_looking_up_the_directories_after_the_start_is_certain() -> None:
    def guest(late: bool) -> Guest:
        made = Guest().write("x", fd(1)) if late else Guest()
        made.call("fd_prestat_get", "(i32.const 3) (i32.const 4096)")
        return (made if late else made.write("x", fd(1))).read(NOWHERE)

    finding = guess(guest(True), ("/etc/app.conf",))
    assert finding is not None
    assert finding.sure
    assert "at the first use of a path" in finding.sentence
    early = guess(guest(False), ("/etc/app.conf",))
    assert early is not None
    assert not early.sure


def test_hostile_text_is_shown_as_text() -> None:
    finding = guess(says(f"/\x1b[31m/\u202e/evil: {INSUFFICIENT}"))
    assert finding is not None
    assert finding.sentence.isprintable()
    assert finding.path.isprintable()
    flood = "/" + "a/" * 30_000
    assert guess(says(flood[:20_000] + f": {INSUFFICIENT}")) is not None
    assert guess(says("'" * 20_000)) is None


def test_an_error_message_about_a_path_that_no_call_named() -> None:
    finding = guess(says("opening /tmp/a/x.lib: No such file or directory"))
    assert finding is not None
    assert (finding.path, finding.sure) == ("/tmp/a/x.lib", True)
    vague = guess(says("error: could not read '/etc/app.conf'"))
    assert vague is not None
    assert not vague.sure
    assert guess(says("/tmp/a is full")) is None, "a path that is only mentioned"
    assert guess(says("/data/x: No such file or directory")) is None


def test_nothing_is_guessed_where_the_program_reports_what_its_library_refuses() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.library_lookup(b"/etc/app.conf")
    assert library_refusal(b.trace(), f"/etc/app.conf: {INSUFFICIENT}") is None
    silent = Builder(**{REPORTED: True})
    silent.open(3, "/data", preopen="/data", filetype=3)
    silent.call("sched_yield")
    assert library_refusal(silent.trace(), f"/etc/app.conf: {INSUFFICIENT}") is None
