"""Colours where there is a terminal, the same words without them; a line of progress for what takes long."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from wasilab.cli import TerminalBusy, main
from wasilab.text.palette import ANSI, PLAIN, palette_for

from ..waiting import until
from . import programs
from .test_cli import Shell

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hello.wat").write_text(programs.HELLO)
    (tmp_path / "open.wat").write_text(programs.OPEN_SECRET)
    (tmp_path / "trap.wat").write_text(programs.TRAP)
    (tmp_path / "wrong.wat").write_text("(module (func $f (result i32)))")
    monkeypatch.chdir(tmp_path)
    main(["run", "--trace", "hello.wtrace", "hello.wat"])
    main(["run", "--trace", "open.wtrace", "--dir", ".", "--withhold", ".:path_open", "open.wat"])
    return tmp_path


def said(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    out, err = capfd.readouterr()
    return out + err


@pytest.mark.parametrize(
    ("line", "coloured"),
    [
        ("run --explain --dir . --withhold .:path_open open.wat", "refused:"),
        ("run trap.wat", "wasilab: "),
        ("run wrong.wat", "error:"),
        ("run --frobnicate hello.wat", None),
        ("trace --refused open.wtrace", "path_open("),
        ("trace -c open.wtrace", "% time"),
        ("diff hello.wtrace open.wtrace", "fd_write"),
    ],
)
def test_colours_change_no_word(
    line: str, coloured: str | None, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    command, *words = line.split()
    plain = said(capfd, command, "--color", "never", *words)
    colours = said(capfd, command, "--color", "always", *words)
    untimed = re.compile(r"[\d.,]+ ?(?:ns|µs|ms|s)\b|[\d.]+(?= )")
    assert untimed.sub("#", ESCAPE.sub("", colours)) == untimed.sub("#", plain)
    assert not ESCAPE.search(plain)
    assert said(capfd, command, *words).count("\x1b") == 0, "a pipe or a file has no colours"
    if coloured is not None:
        assert re.search(rf"\x1b\[[0-9;]+m[^\x1b]*{re.escape(coloured)}", colours), colours


def test_a_terminal_has_colours_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert palette_for("auto", terminal=True) is ANSI
    assert palette_for("auto", terminal=False) is PLAIN
    assert palette_for("always", terminal=False) is ANSI
    assert palette_for("never", terminal=True) is PLAIN
    monkeypatch.setenv("TERM", "dumb")
    assert palette_for("auto", terminal=True) is PLAIN
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert palette_for("auto", terminal=True) is PLAIN
    monkeypatch.setenv("NO_COLOR", "")
    assert palette_for("auto", terminal=True) is ANSI


def in_a_terminal(shell: Shell, *words: str) -> str:
    """What a command writes to a terminal that both its streams are."""
    reader, writer = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.chdir(shell.folder)
        for number in (1, 2):
            os.dup2(writer, number)
        os.execve(sys.executable, [sys.executable, "-m", "wasilab", *words], {**shell.env, "TERM": "xterm"})
    os.close(writer)
    text = b""
    try:
        while piece := os.read(reader, 4096):
            text += piece
    except OSError:  # the last writer is gone
        pass
    os.close(reader)
    os.waitpid(pid, 0)
    return text.decode()


@pytest.mark.slow
def test_a_refusal_is_coloured_in_a_terminal_and_the_guests_name_cannot_be(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.env.pop("NO_COLOR", None)
    name = shell.program("open.wat", programs.OPEN_SECRET.replace('"secret.txt"', '"\\1b[31mred.t"'))
    text = in_a_terminal(shell, "run", "--dir", ".", "--withhold", ".:path_open", name)
    assert "refused:\x1b[0m" in text
    assert "\x1b[31m" not in text
    assert "\\x1b[31mred.t" in text
    shell.env["NO_COLOR"] = "1"
    assert "\x1b" not in in_a_terminal(shell, "run", "--dir", ".", "--withhold", ".:path_open", name)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_work_that_takes_long_shows_a_line_and_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    busy = TerminalBusy("reading t.wtrace", after=0.0)
    busy.tick_by_itself()
    until(lambda: "reading t.wtrace ... 0 s" in terminal.getvalue())
    busy.close()
    assert terminal.getvalue().endswith("\r\x1b[K")
    quick = Terminal()
    monkeypatch.setattr(sys, "stderr", quick)
    quiet = TerminalBusy("reading t.wtrace", after=3600.0)
    quiet.tick_by_itself()
    quiet.close()
    assert quick.getvalue() == ""


def test_a_diff_of_one_trace_says_how_to_give_two(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main(["diff", "hello.wtrace"]) == 2
    assert capfd.readouterr().err == (
        "wasilab diff: diff needs two traces: wasilab diff hello.wtrace OTHER "
        "(wasilab run --trace OTHER.wtrace PROGRAM records another)\n"
    )
