"""`wasilab demo`: what the README's first command does, from the compile to the pages it leaves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from wasilab.cli import main
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for

pytestmark = pytest.mark.toolchain


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a demo in an empty folder prints, to stdout and to stderr."""
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.chdir(tmp_path)
    status = main(["demo"])
    out, err = capsys.readouterr()
    assert status == 0, out + err
    return out, err


def test_the_demo_is_refused_then_granted_and_leaves_its_pictures(said: tuple[str, str], tmp_path: Path) -> None:
    out, err = said
    refused, granted = out.split("== 3.")
    assert re.search("in/hello.txt: (Capabilities insufficient|No such file)", err + refused)  # by its libc
    assert "refused: " in refused
    assert "--dir" in refused
    assert "exit status 1" in refused
    assert 'path_open(fd=3<in>, dirflags=SYMLINK_FOLLOW, path="hello.txt"' in granted
    assert "exit status 0" in granted
    assert " 0 refused" in granted
    folder = tmp_path / "wasilab-demo"
    assert (folder / "out" / "hello.txt").read_text() == (folder / "in" / "hello.txt").read_text() != ""
    assert (folder / "copy.c").read_text().startswith("// copy FROM TO")
    for name in ("refused", "granted"):
        assert (folder / f"timeline-{name}.png").read_bytes().startswith(b"\x89PNG")
        page = (folder / f"report-{name}.html").read_text()
        assert "hello.txt" in page
        assert "</html>" in page
    assert "wasilab lab lessons" in granted


def test_the_demos_last_command_works_as_printed(
    said: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said[0].rstrip().splitlines()[-1]
    (tmp_path / "wasilab-demo" / "out" / "hello.txt").unlink()
    assert main(shlex.split(line)[1:]) == 0
    capsys.readouterr()
    assert (tmp_path / "wasilab-demo" / "out" / "hello.txt").is_file()


def test_a_demo_that_cannot_write_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--into", str(tmp_path / "file")]) == 2
    assert "--into" in capsys.readouterr().err
