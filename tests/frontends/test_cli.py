"""The command line by exit status, stdout and stderr, as a shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import wasilab
from wasilab.cli import main
from wasilab.commands.catalog import command_names
from wasilab.commands.machine.doctor_command import native_words
from wasilab.engine.session import why_not_native

from . import programs


class Shell:
    """`wasilab` in a folder of its own, with the programs as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PYTHONPATH": str(Path(wasilab.__file__).parent.parent),
            "WASILAB_CACHE_DIR": str(folder / ".cache"),
        }

    def program(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "wasilab", *words],
            cwd=self.folder, env=self.env, input=stdin, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "wasilab", *words],
            cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


class Here(Shell):
    """The same in this process, where that a command is a process does not matter. It reads nothing from stdin."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]
    ) -> None:
        super().__init__(folder)
        self.capture = capture
        monkeypatch.chdir(folder)
        monkeypatch.setenv("WASILAB_CACHE_DIR", self.env["WASILAB_CACHE_DIR"])

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        assert not stdin
        self.capture.readouterr()
        status = main(words)
        return subprocess.CompletedProcess(words, status, *self.capture.readouterr())


@pytest.fixture
def process(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Shell:
    return Here(tmp_path, monkeypatch, capfdbinary)


@pytest.mark.slow
def test_the_guests_output_is_passed_on_byte_for_byte(process: Shell) -> None:
    done = process.run("run", process.program("hello.wat", programs.HELLO))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"oops\n")


@pytest.mark.parametrize(
    ("name", "options", "status", "said"),
    [
        ("EXIT_7", [], 7, ""),
        ("TRAP", [], 134, "trap"),
        ("LOOP", ["--fuel", "100000"], 137, "fuel"),
        ("LOOP", ["--timeout", "0.3"], 137, "time"),
        ("SLEEP", ["--timeout", "0.3"], 137, "time"),
    ],
)
def test_the_exit_status_says_how_it_ended(shell: Shell, name: str, options: list[str], status: int, said: str) -> None:
    done = shell.run("run", *options, shell.program("p.wat", getattr(programs, name)))
    assert done.returncode == status
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_an_invoked_function_prints_its_result(shell: Shell) -> None:
    done = shell.run("run", "--invoke", "add", shell.program("add.wat", programs.ADD), "40", "2")
    assert (done.returncode, done.stdout.strip()) == (0, b"42")


@pytest.mark.slow
def test_the_real_stdin_is_the_guests_when_it_is_granted(process: Shell) -> None:
    done = process.run("run", "--stdin", "-", process.program("echo.wat", programs.ECHO), stdin=b"caf\xc3\xa9\x00\xff")
    assert (done.returncode, done.stdout) == (0, b"ready\ncaf\xc3\xa9\x00\xff")


@pytest.mark.slow
def test_an_ungranted_pipe_is_not_read_and_the_user_is_informed(process: Shell) -> None:
    done = process.run("run", process.program("echo.wat", programs.ECHO), stdin=b"secret")
    assert (done.returncode, done.stdout) == (0, b"ready\n")
    assert b"write --stdin - to give it this input" in done.stderr
    quiet = process.run("run", "--stdin-text", "", process.program("echo.wat", programs.ECHO), stdin=b"secret")
    assert (quiet.stdout, quiet.stderr) == (b"ready\n", b"")


def test_the_port_chosen_for_port_0_is_printed(shell: Shell) -> None:
    done = shell.run("run", "--listen", "127.0.0.1:0", shell.program("hello.wat", programs.HELLO))
    assert done.returncode == 0
    assert done.stderr.decode().startswith("listening on 127.0.0.1:")


@pytest.mark.slow
def test_deny_all_leaves_the_guest_nothing(process: Shell) -> None:
    done = process.run("run", "--deny-all", process.program("echo.wat", programs.ECHO), stdin=b"x")
    assert done.returncode == 9
    assert done.stdout == b""


@pytest.mark.slow
def test_ctrl_c_ends_a_computing_guest_with_130(process: Shell) -> None:
    for name in ("LOOP", "SLEEP", "ECHO"):
        started = process.start("run", "--stdin", "-", process.program("p.wat", getattr(programs, name)))
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=30) == 130, name
        _, errors = started.communicate()
        assert b"Traceback" not in errors


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(process: Shell) -> None:
    started = process.start("run", process.program("flood.wat", programs.FLOOD))
    assert started.stdout is not None
    assert started.stdout.readline() == b"yyyyyyy\n"
    started.stdout.close()
    assert started.stderr is not None
    errors = started.stderr.read()
    assert started.wait(timeout=30) == 141
    assert errors == b""


def test_a_refusal_is_explained_with_the_grant_that_would_allow_it(shell: Shell) -> None:
    (shell.folder / "secret.txt").write_text("s")
    name = shell.program("open.wat", programs.OPEN_SECRET)
    refused = shell.run("run", "--explain", name)
    assert refused.returncode != 0
    assert "refused: " in refused.stderr.decode()
    assert "--dir" in refused.stderr.decode()
    assert shell.run("run", "--no-explain", name).stderr == b""
    assert shell.run("run", "--dir", ".", name).returncode == 0


def test_strace_summary_and_a_saved_trace_agree(shell: Shell) -> None:
    name = shell.program("hello.wat", programs.HELLO)
    done = shell.run("run", "--strace", "--summary", "--trace", "t.jsonl", name)
    assert done.stdout == b"hello\n"
    assert "fd_write(fd=1<stdout>" in done.stderr.decode()
    shown = shell.run("trace", "t.jsonl")
    assert shown.returncode == 0
    assert shown.stdout.decode().count("fd_write(") == 2
    only = shell.run("trace", "t.jsonl", "--filter", "fd=2")
    assert only.stdout.decode().count("fd_write(") == 1
    assert shell.run("trace", "t.jsonl", "--plot", "t.png").returncode == 0
    assert (shell.folder / "t.png").read_bytes().startswith(b"\x89PNG")


def test_a_trace_to_a_file_leaves_stderr_alone(shell: Shell) -> None:
    done = shell.run("run", "--strace=out.txt", shell.program("hello.wat", programs.HELLO))
    assert done.stderr == b"oops\n"
    assert "fd_write(fd=1<stdout>" in (shell.folder / "out.txt").read_text()


def test_diff_says_by_its_status_whether_two_runs_do_the_same(shell: Shell) -> None:
    hello = shell.program("hello.wat", programs.HELLO)
    for trace, name in (("a.jsonl", hello), ("b.jsonl", hello), ("c.jsonl", shell.program("x.wat", programs.EXIT_7))):
        shell.run("run", "--trace", trace, name)
    assert shell.run("diff", "a.jsonl", "b.jsonl").returncode == 0
    assert shell.run("diff", "a.jsonl", "c.jsonl").returncode == 1


def test_advice_written_as_a_policy_lets_the_program_run_again(shell: Shell) -> None:
    (shell.folder / "secret.txt").write_text("s")
    name = shell.program("open.wat", programs.OPEN_SECRET)
    assert shell.run("run", "--dir", ".", "--trace", "t.jsonl", name).returncode == 0
    advice = shell.run("advise", "t.jsonl")
    assert "--deny-all" in advice.stdout.decode()
    assert shell.run("advise", "t.jsonl", "-o", "p.toml").returncode == 0
    assert shell.run("run", "--policy", "p.toml", name).returncode == 0


def test_what_a_policy_of_another_folder_grants_is_said_before_the_run(shell: Shell) -> None:
    lab = shell.folder / "lab"
    (shell.folder / "real").mkdir()
    lab.mkdir()
    (lab / "data").symlink_to(shell.folder / "real")
    policy = '[dirs]\n"/d" = { host = "data", mode = "rw" }\n[env]\nLONG = "%s"\n[random]\nkind = "seeded:1"\n'
    (lab / "p.toml").write_text(policy % ("x" * 5000))
    hello = shell.program("hello.wat", programs.HELLO)
    said = shell.run("run", "--policy", "lab/p.toml", hello).stderr.decode().splitlines()[0]
    assert said.startswith(f"lab/p.toml grants: --dir {shell.folder / 'real'}::/d:rw --env 'LONG=xxx")
    assert said.endswith("--random seeded:1")
    assert len(said) < 400
    assert b" grants: " not in shell.run("run", "--quiet", "--policy", "lab/p.toml", hello).stderr
    (shell.folder / "here.toml").write_text('rights = "compat"\n')
    assert shell.run("run", "--policy", "here.toml", hello).stderr == b"oops\n"
    assert shell.run("run", "--policy", "here.toml", "--policy", "lab/p.toml", hello).stderr.startswith(
        b"here.toml, lab/p.toml grants: "
    )


def test_learning_names_what_is_needed_and_changes_nothing(shell: Shell) -> None:
    (shell.folder / "secret.txt").write_text("s")
    done = shell.run("run", "--learn", shell.program("open.wat", programs.OPEN_SECRET))
    assert "--dir ." in done.stderr.decode()


def test_a_template_is_a_program_that_runs(shell: Shell) -> None:
    written = shell.run("template", "wat")
    assert written.returncode == 0
    (shell.folder / "mine.wat").write_bytes(written.stdout)
    assert shell.run("run", "mine.wat").stdout == b"Hello, WASI!\n"
    assert shell.run("template", "cobol").returncode == 2


def test_repeat_shows_the_output_once(shell: Shell) -> None:
    done = shell.run("run", "--repeat", "3", "--time", shell.program("hello.wat", programs.HELLO))
    assert done.stdout == b"hello\n"
    assert "3 runs" in done.stderr.decode()


def test_a_bad_query_or_picture_is_one_line(shell: Shell) -> None:
    shell.run("run", "--trace", "t.jsonl", shell.program("hello.wat", programs.HELLO))
    for words, said in (
        (["--filter", "colour=red"], "colour"),
        (["--filter", "dur>1parsec"], "parsec"),
        (["--sql", "selekt"], "selekt"),
        (["--plot", "t.doc"], ".png"),
        (["--export", "t.doc"], ".jsonl"),
        (["--export", "no/t.csv"], "no"),
    ):
        done = shell.run("trace", "t.jsonl", *words)
        assert done.returncode == 2, words
        assert len(done.stderr.decode().splitlines()) == 1
        assert said in done.stderr.decode()


def test_inspect_says_what_a_module_can_ask_for(shell: Shell) -> None:
    name = shell.program("hello.wat", programs.HELLO)
    done = shell.run("inspect", name)
    assert done.returncode == 0
    assert "path_open" in done.stdout.decode()
    facts = json.loads(shell.run("inspect", "--json", name).stdout)
    assert facts["kind"] == "command"
    assert "fd_write" in facts["asks"]["fd"]


@pytest.mark.slow
def test_doctor_lists_wat_on_every_system(shell: Shell) -> None:
    facts = json.loads(shell.run("doctor", "--json").stdout)
    assert facts["languages"]["wat"]["uses"] is not None
    assert set(facts["languages"]) == {
        "c", "c++", "zig", "rust", "go", "assemblyscript", "wat", "python", "javascript",
    }  # fmt: skip
    assert all(language["install"] for language in facts["languages"].values())
    assert facts["native"] == {"used": not why_not_native(), "why_not": why_not_native()}


@pytest.mark.slow
def test_doctor_says_whether_calls_are_answered_natively() -> None:
    said = {}
    for setting in ("1", "0", "/nowhere/libturbo.so"):
        environment = {**os.environ, "WASILAB_NATIVE": setting}
        command = [sys.executable, "-c", "from wasilab.engine.session import why_not_native; print(why_not_native())"]
        said[setting] = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said["0"] == "it is switched off by WASILAB_NATIVE=0\n"
    assert "libturbo.so" in said["/nowhere/libturbo.so"]
    assert native_words("") == "calls are answered by the native library where they succeed"
    for setting in ("0", "/nowhere/libturbo.so"):
        assert said[setting].strip() in native_words(said[setting].strip())


def test_the_cache_can_be_emptied(shell: Shell) -> None:
    shell.run("run", shell.program("hello.wat", programs.HELLO))
    assert shell.run("cache", "--clear").returncode == 0
    assert shell.run("cache").stdout.decode().startswith("0 modules")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--starce", "x.wasm"], "did you mean '--strace'?"),
        (["run", "--dir", "nowhere", "hello.wat"], "nowhere"),
        (["run", "--dir", "hello.wat", "hello.wat"], "hello.wat"),
        (["run", "--dir", ".:rx", "hello.wat"], "rx"),
        (["run", "--clock", "sundial", "hello.wat"], "sundial"),
        (["run", "--random", "dice", "hello.wat"], "dice"),
        (["run", "--policy", "none.toml", "hello.wat"], "none.toml"),
        (["run", "--listen", "everywhere", "hello.wat"], "everywhere"),
        (["run", "--stdin", "none.txt", "hello.wat"], "none.txt"),
        (["run", "--trace", "no/such/t.jsonl", "hello.wat"], "no/such"),
        (["run", "-e", "path_opne", "hello.wat"], "did you mean 'path_open'?"),
        (["run", "--filter", "dur>1parsec", "hello.wat"], "parsec"),
        (["run", "--filter", "call=path_opne", "hello.wat"], "did you mean 'path_open'?"),
        (["run", "--filter", "refused", "--no-trace", "hello.wat"], "--no-trace records nothing"),
        (["run", "--isolate=strickt", "hello.wat"], "--isolate=strickt: choose on or strict or off"),
        (["run", "--max-fds", "0", "hello.wat"], "--max-fds: '0' is not a whole number of at least 1"),
        (["run", "--timeout", "0", "hello.wat"], "--timeout: '0' is not a number of seconds above 0"),
        (["run", "hallo.wat"], "did you mean 'hello.wat'?"),
        (["run", "."], "folder"),
        (["run", "text.txt"], "text.txt"),
        (["run", "fake.wasm"], "not a WebAssembly module"),
        (["run", "cut.wasm"], "damaged"),
        (["inspect", "fake.wasm"], "not a WebAssembly module"),
        (["trace", "fake.wasm"], "fake.wasm"),
        (["trace", "none.jsonl"], "none.jsonl"),
        (["compile", "none.c"], "none.c"),
        (["compile", "hello.wat", "-o", "hello.wat"], "that file is read here, and would be lost"),
        (["grade", "text.txt"], "is a file: name the folder that it is in"),
        (["course", "text.txt"], "'text.txt' is a file: name a new folder"),
        (["program", "copy", "-o", "."], "-o .: that is a folder; name a file in it"),
        (["rnu", "hello.wat"], "did you mean 'run'?"),
        (["hello.wat"], "wasilab run hello.wat"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(shell: Shell, words: list[str], said: str) -> None:
    shell.program("hello.wat", programs.HELLO)
    shell.program("text.txt", "some text")
    shell.program("fake.wasm", "#!/bin/sh\n")
    (shell.folder / "cut.wasm").write_bytes(b"\0asm\1\0\0\0\1\xff")
    done = shell.run(*words)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2, lines
    assert len(lines) == 1, lines
    assert said in lines[0]
    assert lines[0].startswith("wasilab")
    assert not done.stdout, "the program ran before its request was found to be wrong"


def test_a_fault_that_no_call_matches_is_reported(shell: Shell) -> None:
    name = shell.program("hello.wat", programs.HELLO)
    for rule, said in (("fd_write:error=EIO:path=*.db", True), ("fd_write:delay=1ms", False)):
        assert (b"no fault was injected" in shell.run("run", "--inject", rule, name).stderr) == said, rule


def test_the_names_of_the_commands_stand_apart_from_their_summaries(shell: Shell) -> None:
    rows = [line for line in shell.run("--help").stdout.decode().splitlines() if line.startswith("  ")]
    assert len(rows) == len(command_names("cli"))
    for row, name in zip(rows, command_names("cli"), strict=True):
        assert row.startswith(f"  {name}  ")


def test_a_source_that_does_not_compile_shows_the_compilers_words(shell: Shell) -> None:
    done = shell.run("run", shell.program("bad.wat", "(module\n  (func (export))\n)"))
    assert done.returncode == 1
    assert "bad.wat:2" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_name_that_holds_escapes_is_shown_escaped(shell: Shell) -> None:
    done = shell.run("run", "no\x1b[31m.wasm")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr


def test_changes_to_a_copy_are_shown_and_written_only_when_asked(shell: Shell) -> None:
    (shell.folder / "d").mkdir()
    program = shell.program("make.wat", programs.MAKE_FILE)
    done = shell.run("run", "--explain", "--dir", "d:copy", program)
    assert done.returncode == 0
    assert b"changed in the copy of d: 1 created; the folder itself is unchanged\n  created  made.txt" in done.stderr
    assert b"--apply" in done.stderr
    assert list((shell.folder / "d").iterdir()) == []
    done = shell.run("run", "--apply", "--dir", "d:copy", program)
    assert (done.returncode, done.stderr) == (0, b"wasilab: written to the folder of d: 1 created\n")
    assert [path.name for path in (shell.folder / "d").iterdir()] == ["made.txt"]


def test_changes_of_a_program_that_failed_are_not_written(shell: Shell) -> None:
    (shell.folder / "d").mkdir()
    done = shell.run("run", "--apply", "--dir", "d:copy", shell.program("make.wat", programs.MAKE_FILE), "x")
    assert done.returncode == 1
    assert b"created  made.txt" in done.stderr
    assert done.stderr.endswith(b"--apply wrote nothing to the host, because the program failed\n")
    assert list((shell.folder / "d").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--apply"], b"--apply writes what changed in a copied folder: grant one with --dir HOST::GUEST:copy"),
        (["--apply", "--dir", ".:rw"], b"--apply writes what changed in a copied folder"),
        (["--apply", "--learn", "--dir", ".:copy"], b"--learn changes nothing on the host: omit --apply"),
    ],
)
def test_apply_says_what_it_needs(shell: Shell, options: list[str], said: bytes) -> None:
    done = shell.run("run", *options, shell.program("hello.wat", programs.HELLO))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == b""
