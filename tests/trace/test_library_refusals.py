"""What a program's library refused without asking: told where the run shows it, as surely as it shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, MemDir, Run, run
from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.trace.answers.library_refusals import LibraryRefusal, library_refusal

from ..grants.guests import READ, Guest, fd

NOWHERE = fd(99)
"""A descriptor that is not open: reading it ends the guest, and is refused by nobody."""
INSUFFICIENT = "Capabilities insufficient"


def found(guest: Guest, args: tuple[str, ...] = (), **dirs: Any) -> LibraryRefusal | None:
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
def test_the_librarys_own_words_with_the_path_are_sure(text: str) -> None:
    told = found(says(text))
    assert told is not None
    assert (told.path, told.sure) == ("/etc/app.conf", True)
    assert "says so in stderr" in told.sentence
    assert "(data)" in told.sentence
    assert told.need == Need(NeedKind.DIRECTORY, "/etc/app.conf")


def test_a_label_is_no_path_and_an_argument_is_most_likely_it() -> None:
    told = found(says(f"copy: {INSUFFICIENT}"), ("-v", "--from=/etc/app.conf"))
    assert told is not None
    assert (told.path, told.sure) == ("/etc/app.conf", False)
    assert "most likely '/etc/app.conf', which an argument names" in told.sentence
    unknown = found(says(f"copy: {INSUFFICIENT}"))
    assert unknown is not None
    assert (unknown.path, unknown.sure) == ("", False)
    assert "refused by the program's own library" in unknown.sentence
    assert unknown.need == Need(NeedKind.DIRECTORY)


def test_a_path_that_nobody_asked_for_is_likely_and_no_more() -> None:
    told = found(says("cannot open the configuration"), ("/etc/app.conf",))
    assert told is not None
    assert not told.sure
    assert "likely here, not certain" in told.sentence


@pytest.mark.parametrize(
    "path", ["data/in.txt", "/data/in.txt", "./data/none", "/data/../data/x.txt", "verbose", "-v", "7.5"]
)
def test_what_a_granted_directory_holds_or_is_no_path_is_not_told(path: str) -> None:
    assert found(says("cannot open the configuration"), (path,)) is None


def test_a_root_holds_everything() -> None:
    for root in (".", "/"):
        assert found(says("cannot open it"), ("/etc/app.conf",), **{root: MemDir()}) is None


def test_a_path_that_a_call_named_was_not_refused_by_the_library() -> None:
    guest = Guest().open("etc/app.conf")  # asks below "data", and is told that there is none
    assert found(guest, ("/etc/app.conf",)) is None


def test_nothing_is_told_of_a_run_in_which_the_host_refused(tmp_path: Path) -> None:
    guest = Guest().write(f"/etc/app.conf: {INSUFFICIENT}\n", fd(2)).open("new", rights=READ | 1 << 6, oflags=1)
    assert found(guest, ("/etc/app.conf",), data=HostDir(tmp_path)) is None


def test_looking_directories_up_after_it_has_begun_is_sure() -> None:
    def guest(late: bool) -> Guest:
        made = Guest().write("x", fd(1)) if late else Guest()
        made.call("fd_prestat_get", "(i32.const 3) (i32.const 4096)")
        return (made if late else made.write("x", fd(1))).read(NOWHERE)

    told = found(guest(True), ("/etc/app.conf",))
    assert told is not None
    assert told.sure
    assert "at the first use of a path" in told.sentence
    early = found(guest(False), ("/etc/app.conf",))
    assert early is not None
    assert not early.sure


def test_hostile_words_stay_words() -> None:
    told = found(says(f"/\x1b[31m/\u202e/evil: {INSUFFICIENT}"))
    assert told is not None
    assert told.sentence.isprintable()
    assert told.path.isprintable()
    flood = "/" + "a/" * 30_000
    assert found(says(flood[:20_000] + f": {INSUFFICIENT}")) is not None
    assert found(says("'" * 20_000)) is None


def test_an_error_message_that_speaks_of_a_path_nobody_asked_for() -> None:
    told = found(says("opening /tmp/a/x.lib: No such file or directory"))
    assert told is not None
    assert (told.path, told.sure) == ("/tmp/a/x.lib", True)
    vague = found(says("error: could not read '/etc/app.conf'"))
    assert vague is not None
    assert not vague.sure
    assert found(says("/tmp/a is full")) is None, "a path that is only spoken of"
    assert found(says("/data/x: No such file or directory")) is None
