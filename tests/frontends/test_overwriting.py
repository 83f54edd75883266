"""A command writes to no file that it reads and to none twice, and other slips of a new user are told what to write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from wasilab import cli

FAILS = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const {}))))"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("p.wat").write_text(FAILS.format(0))
    Path("fails.wat").write_text(FAILS.format(3))
    Path("input").write_text("some input")
    Path("policy.toml").write_text("[stdio]\nargv = true\n")
    os.symlink("p.wat", "link.wat")
    wasilab.run("p.wat", record=True).trace.save("r.wtrace")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["run", "--strace=p.wat", "p.wat"], "--strace p.wat"),
        (["run", "--strace-file", "./p.wat", "p.wat"], "--strace ./p.wat"),
        (["run", "--strace-file", "p.wat", "link.wat"], "--strace p.wat"),
        (["run", "--coredump", "p.wat", "--fuel", "0", "p.wat"], "--coredump p.wat"),
        (["run", "--profile", "guest=p.wat", "p.wat"], "--profile p.wat"),
        (["run", "--stdin", "input", "--strace=input", "p.wat"], "--strace input"),
        (["run", "--policy", "policy.toml", "--strace=policy.toml", "p.wat"], "--strace policy.toml"),
        (["run", "--preload", "x=fails.wat", "--strace=fails.wat", "p.wat"], "--strace fails.wat"),
        (["trace", "r.wtrace", "--export", "r.wtrace", "--filter", "call=fd_write"], "--export r.wtrace"),
        (["replay", "--trace", "r.wtrace", "r.wtrace"], "--trace r.wtrace"),
        (["advise", "r.wtrace", "-o", "r.wtrace"], "-o r.wtrace"),
    ],
)
def test_a_file_that_is_read_is_not_overwritten(
    here: Path, words: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert cli.main(words) == 2
    assert f"{flag}: that file is read here, and would be lost; name another" in capsys.readouterr().err
    assert contents(here) == before


def test_a_file_is_not_written_twice_but_a_device_may_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--trace", "x.strace", "--strace=x.strace", "p.wat"]) == 2
    assert "--trace x.strace: --strace writes to that file" in capsys.readouterr().err
    assert not Path("x.strace").exists()
    assert cli.main(["run", "--record", "y.wtrace", "--trace", "y.wtrace", "p.wat"]) == 0
    assert cli.main(["run", f"--strace={os.devnull}", "--coredump", os.devnull, "p.wat"]) == 0
    assert cli.main(["code", "--trace", "r.wtrace", "p.wat", "1"]) == 0  # there it is read


def test_compiling_into_its_own_folder_does_not_overwrite_the_program(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("p.wasm").write_bytes(wasilab.load("p.wat").bytes)
    assert cli.main(["compile", "p.wasm", "-o", "."]) == 2
    assert "is the program itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trace", "p.wasm"], "'p.wasm' is a program, not a trace: wasilab run --trace FILE.wtrace p.wasm saves one"),
        (["run", "r.wtrace"], "'r.wtrace' is a trace, not a program: wasilab trace shows it, wasilab replay"),
        (["trace", ""], "the trace's name is empty"),
        (["sweep", ""], "name the file of the sweep"),
        (["grade", ""], "the name of the folder is empty"),
        (["replay", "--stdin", "p.wasm", "r.wtrace"], "a replay has no host and takes no grants: with --continue"),
        (["replay", "--stdin-text", "x" * 200, "r.wtrace"], "): with --continue the program goes on live"),
        (["cache", "clear"], "'clear' is one argument too many; did you mean '--clear'?"),
        (["trace", "r.wtrace", "--at", "1"], "unknown option --at (wasilab trace --help lists them)"),
        (["run", "--fuel", str(1 << 63), "p.wat"], "is too large: write less than 2**63"),
        (["run", "--http", "https://user@example.org", "p.wat"], "is not an origin"),
        (["run", "--http", "https://example.org#x", "p.wat"], "is not an origin"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(
    here: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("p.wasm").write_bytes(wasilab.load("p.wat").bytes)
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_a_cell_saves_no_two_things_in_one_file(here: Path) -> None:
    shell = InteractiveShell()
    wasilab.load_ipython_extension(shell)
    shell.history_manager.enabled = False
    before = contents(here)
    for line, flag in (("wat --save x --strace=x", "--strace x"), ("wat --stdin input --save input", "--save input")):
        with pytest.raises(UsageError, match=flag):
            shell.run_cell_magic("wasi", line, FAILS.format(0))
    with pytest.raises(UsageError, match=r"a name has no / \\ \. or :"):
        shell.run_cell_magic("wasi", "wat --name a/b", FAILS.format(0))
    assert contents(here) == before


def test_too_little_memory_is_told_in_a_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object) -> object:
        raise MemoryError

    monkeypatch.setattr(cli, "execute", full)
    assert cli.main(["inspect", "p.wat"]) == 1
    assert capsys.readouterr().err == "wasilab inspect: there is not enough memory\n"


def test_a_flag_behind_a_program_that_failed_is_told_where_it_belongs(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "--dir stands after the program and is its argument; options of wasilab stand before it: wasilab run --dir"
    for args in (["--dir", "."], ["x", "--dir=."]):
        assert cli.main(["run", "fails.wat", *args]) == 3
        assert told in capsys.readouterr().err
    assert cli.main(["run", "p.wat", "--dir", "."]) == 0  # all went well: it may be the program's own
    assert cli.main(["run", "fails.wat", "--", "--dir", "."]) == 3
    assert cli.main(["run", "fails.wat", "--directory", "."]) == 3
    assert "stands after" not in capsys.readouterr().err
