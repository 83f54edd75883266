"""What `wasilab run --explain` says on stderr of what a program was not given, and that it is enough."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from wasilab.cli import main

from ..grants.guests import READ, WRITE, Guest, fd

Explained = Callable[..., tuple[int, str]]


@pytest.fixture
def explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Explained:
    """(guest, *flags) -> the exit status of a guest and what was said on stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()

    def run(guest: Guest, *flags: str) -> tuple[int, str]:
        Path("guest.wasm").write_bytes(guest.module().bytes)
        capfd.readouterr()
        status = main(["run", *flags, "guest.wasm"])
        return status, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("guest", "flags", "remedy"),
    [
        (Guest().open("new", rights=READ | WRITE, oflags=1), ["--dir", "out"], "--dir out:rw"),
        (Guest().write("x", fd(1)), ["--no-stdout"], "--stdout"),
        (Guest().read(fd(0)), ["--stdin", "none"], "--stdin -"),
    ],
)
def test_the_remedy_is_the_shortest_flag_and_enough(
    explained: Explained, guest: Guest, flags: list[str], remedy: str
) -> None:
    status, said = explained(guest, "--explain", *flags)
    assert status != 0
    assert said.splitlines()[-1] == f"  to allow it: {remedy}"
    more = [word for word in flags if word != "--no-stdout"] if remedy == "--stdout" else flags
    assert explained(guest, *more, *shlex.split(remedy))[0] == 0


def test_it_is_silent_unless_asked_where_stderr_is_no_terminal(explained: Explained) -> None:
    guest = Guest().open("new", rights=WRITE, oflags=1)
    assert explained(guest, "--dir", "out")[1] == ""


def test_a_refusal_without_a_call_is_reported(explained: Explained) -> None:
    guest = Guest().write("in: Capabilities insufficient\n", fd(2)).read(fd(9))
    status, said = explained(guest, "--explain", "--dir", "out")
    assert status != 0
    assert "library probably refused a path without asking the host: no granted directory (out) holds it" in said


def test_a_path_that_no_call_asked_for_is_named_where_it_is_outside_every_grant(explained: Explained) -> None:
    def said(message: str) -> str:
        return explained(Guest().write(message, fd(2)).read(fd(9)), "--explain", "--dir", "out::/out")[1]

    for message in ("opening /tmp/a-0/x.lib: No such file or directory\n", "/tmp/a-0/x.lib: no such file or directory"):
        assert "The program's own library refused '/tmp/a-0/x.lib' without asking the host" in said(message)
        assert "an empty folder in memory may be enough" in said(message)
    for message in ("/out/x: No such file or directory\n", "out/x: No such file or directory\n", "/tmp is full\n"):
        assert "own library" not in said(message)
    hostile = "/tmp/\x1b[31m/x\u202e: No such file or directory " + "/a" * 5000
    assert "\x1b" not in said(hostile).split("No such file")[-1]
