"""The command line in unusual environments: closed streams, full disks, locked files, no home directory."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from . import programs
from .test_cli import Shell

LOCKED_OUT = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)
"""Before a command: permissions hold for root as well."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    for name in ("HELLO", "ECHO", "OPEN_SECRET"):
        made.program(f"{name.lower()}.wat", getattr(programs, name))
    return made


def sh(shell: Shell, line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """A line for bash, in which `wasilab` is the command; stdin, stdout and stderr can be redirected."""
    wasilab = shlex.join([*LOCKED_OUT, sys.executable, "-m", "wasilab"])
    return subprocess.run(
        ["bash", "-c", f'wasilab() {{ {wasilab} "$@"; }}; {line}'],
        cwd=shell.folder, env={**shell.env, **env}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["run --stdin - --dir . --strace echo.wat", "inspect hello.wat", "--help"])
def test_a_closed_stream_behaves_like_dev_null(shell: Shell, closed: str, command: str) -> None:
    done = sh(shell, f"wasilab {command} {closed}")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert (done.stdout == b"") == (">&-" in closed.split())


def test_what_a_guest_writes_to_a_closed_stdout_reaches_no_file(shell: Shell) -> None:
    done = sh(shell, "wasilab run --strace=calls.txt --trace calls.jsonl hello.wat >&-")
    assert (done.returncode, done.stderr) == (0, b"oops\n")
    assert not [file for file in shell.folder.iterdir() if file.is_file() and file.read_bytes().startswith(b"hello")]


@pytest.mark.parametrize("command", ["run hello.wat", "inspect hello.wat", "--help", "doctor --json"])
def test_a_full_disk_under_stdout_is_one_sentence(shell: Shell, command: str) -> None:
    done = sh(shell, f"wasilab {command} >/dev/full")
    assert done.returncode == 1
    lines = [line for line in done.stderr.decode().splitlines() if line != "oops"]
    assert len(lines) == 1
    assert lines[0].endswith("stdout cannot be written: No space left on device")


@pytest.mark.parametrize("command", ["run hello.wat", "run nothing.wasm"])
def test_a_full_disk_under_stderr_is_a_status(shell: Shell, command: str) -> None:
    done = sh(shell, f"wasilab {command} 2>/dev/full")
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["--help", "inspect hello.wat", "trace t.jsonl", "run --help", "run hello.wat"])
def test_a_reader_that_is_not_there_ends_any_command_quietly(shell: Shell, command: str) -> None:
    assert shell.run("run", "--trace", "t.jsonl", "hello.wat").returncode == 0
    done = sh(shell, f"(sleep 0.2; wasilab {command} 2>errors; echo $? >status) | true")
    assert done.returncode == 0
    assert (shell.folder / "status").read_text() == "141\n"
    assert (shell.folder / "errors").read_bytes() in (b"", b"oops\n")


WRONG = [
    ("run locked.wat", "locked.wat"),
    ("run closed/hello.wat", "closed/hello.wat"),
    ("run closed", "folder"),
    ("inspect locked.wat", "locked.wat"),
    ("compile locked.wat", "locked.wat"),
    ("compile closed/hello.wat", "closed/hello.wat"),
    ("compile shared/hello.wat", "shared/hello.wasm"),
    ("compile hello.wat -o shared", "shared/hello.wasm"),
    ("compile hello.wat -o nowhere/x.wasm", "nowhere"),
    ("compile shared", "folder"),
    ("compile halo.wat", "did you mean 'hello.wat'?"),
    ("trace locked.jsonl", "locked.jsonl"),
    ("trace closed/t.jsonl", "closed/t.jsonl"),
    ("trace shared", "folder"),
    ("trace /dev/null", "not a regular file"),
    ("trace t.jsonl --export shared/t.csv", "shared"),
    ("trace t.jsonl --export shared", "folder"),
    ("trace t.jsonl --plot shared/t.png", "shared"),
    ("trace shared/t.jsonl --note 0=x", "shared"),
    ("diff locked.jsonl t.jsonl", "locked.jsonl"),
    ("advise locked.jsonl", "locked.jsonl"),
    ("advise t.jsonl -o shared/p.toml", "shared"),
    ("advise t.jsonl -o nowhere/p.toml", "nowhere"),
    ("run --dir closed hello.wat", "closed"),
    ("run --policy locked.wat hello.wat", "locked.wat"),
    ("run --stdin locked.wat hello.wat", "locked.wat"),
    ("run --stdin /dev/zero hello.wat", "pipe it in"),
    ("run --preload a=locked.wat hello.wat", "locked.wat"),
    ("run --trace shared/t.jsonl hello.wat", "shared"),
    ("run --trace closed/t.jsonl hello.wat", "closed"),
    ("run --strace=shared/t.txt hello.wat", "shared"),
    ("run --strace=locked.wat hello.wat", "locked.wat"),
    ("run --strace= hello.wat", "empty"),
    ("run --trace= hello.wat", ".jsonl"),
    ("trace t.jsonl --export=", "empty"),
    ("trace t.jsonl --plot=", "empty"),
    ("trace t.jsonl --sql=", "only one SELECT statement can be run"),
    ("advise t.jsonl -o ''", "empty"),
    ("compile hello.wat -o ''", "empty"),
    ("run ''", "empty"),
    ("demo --into shared/demo", "shared/demo"),
    ("demo --into ''", "empty"),
]
"""A command, and what its one line names."""

DRIVER = """
import contextlib, io, json, shlex, sys
from wasilab.cli import main

def tried(words):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

print(json.dumps({line: tried(shlex.split(line)) for line in json.load(sys.stdin)}))
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A file and a folder that may not be read, a folder that may not be written to."""
    shell = Shell(tmp_path_factory.mktemp("locked"))
    shell.program("hello.wat", programs.HELLO)
    assert shell.run("run", "--trace", "t.jsonl", "hello.wat").returncode == 0
    for name, text in (("locked.wat", programs.HELLO), ("locked.jsonl", (shell.folder / "t.jsonl").read_text())):
        shell.program(name, text)
        (shell.folder / name).chmod(0)
    for name, mode in (("closed", 0), ("shared", 0o555)):
        (shell.folder / name).mkdir()
        (shell.folder / name / "hello.wat").write_text(programs.HELLO)
        (shell.folder / name / "t.jsonl").write_bytes((shell.folder / "t.jsonl").read_bytes())
        (shell.folder / name).chmod(mode)
    return shell


@pytest.fixture(scope="module")
def answers(locked: Shell) -> dict[str, tuple[int, str, str]]:
    """What each of the wrong commands is answered with, all by one process: status, stdout, stderr."""
    done = subprocess.run(
        [*LOCKED_OUT, sys.executable, "-c", DRIVER], input=json.dumps([line for line, _ in WRONG]), text=True,
        cwd=locked.folder, env=locked.env, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    found: dict[str, tuple[int, str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("command", "names"), WRONG)
def test_an_unusable_file_is_one_line_before_anything_runs(
    answers: dict[str, tuple[int, str, str]], command: str, names: str
) -> None:
    status, out, errors = answers[command]
    lines = errors.splitlines()
    assert status == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("wasilab ")
    assert names in lines[0]
    assert out == ""


def test_a_failed_write_of_the_trace_is_reported(shell: Shell) -> None:
    done = sh(shell, "wasilab run --strace=/dev/full hello.wat")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == "wasilab run: --strace /dev/full: No space left on device"


def test_a_deleted_working_folder_is_reported(shell: Shell) -> None:
    for options, status in (("", 0), ("--dir .", 2), ("--learn", 2)):
        done = sh(shell, f'mkdir gone && cd gone && rmdir ../gone && wasilab run {options} "{shell.folder}/hello.wat"')
        assert done.returncode == status
        assert b"Traceback" not in done.stderr
        assert (b"the folder '.'" in done.stderr) == bool(options)


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_it_works_without_a_home_folder(shell: Shell, home: str) -> None:
    (shell.folder / "cache").mkdir()
    line = "wasilab run hello.wat" if home else "unset HOME; wasilab run hello.wat"
    done = sh(shell, line, HOME=home, XDG_CACHE_HOME=str(shell.folder / "cache"))
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr


def test_a_cache_that_cannot_be_written_names_the_variable_that_moves_it(locked: Shell) -> None:
    for cache in ("shared", "hello.wat"):
        done = sh(locked, "wasilab run hello.wat", WASILAB_CACHE_DIR=str(locked.folder / cache))
        assert done.returncode == 2
        assert len(done.stderr.decode().splitlines()) == 1
        assert b"set WASILAB_CACHE_DIR to a writable folder" in done.stderr


def test_a_character_outside_the_locale_is_escaped(shell: Shell) -> None:
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = sh(shell, "wasilab run --time hello.wat", **poor)
    assert done.returncode == 0
    assert b"running" in done.stderr
    for name in ("caf\u00e9.wat", "$'\\xff.wat'"):
        done = sh(shell, f"wasilab run {name}", **poor)
        assert done.returncode == 2
        assert len(done.stderr.decode("ascii").splitlines()) == 1
    shell.program("star.wat", '(module (func (export "caf\u00e9")))')
    done = sh(shell, "wasilab inspect star.wat", **poor)
    assert (done.returncode, b"caf" in done.stdout) == (0, True), done.stderr


def test_no_colour_and_no_width_is_assumed(shell: Shell) -> None:
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "5"}, {"COLUMNS": "x"}):
        done = sh(shell, "wasilab run --help && wasilab run --strace --summary hello.wat 2>&1", **env)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
