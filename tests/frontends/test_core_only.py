"""Without the extras: what the README's install command installs is enough, and what is not there is named.

A process in which the developers' and the optional packages cannot be imported carries out the commands.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for

from . import programs
from .test_cli import Shell

BLOCKED = (
    "pyarrow", "duckdb", "pandas", "polars", "jupyterlab", "notebook", "jupyter_server", "playwright", "perfetto",
    "nbformat", "nbclient", "pytest", "hypothesis", "Cython", "viztracer", "setuptools",
)  # fmt: skip

DRIVER = """
import contextlib, io, json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from wasilab.cli import main

def tried(words):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

asked = json.load(sys.stdin)
answers = [tried(words) for words in asked["commands"]]
exec(asked["code"])
print(json.dumps(answers))
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.program("hello.wat", programs.HELLO)
    made.env.pop("WASILAB_CACHE_DIR")  # the compiler of the demo is warm in the person's own
    return made


def without_extras(shell: Shell, *commands: str, code: str = "") -> list[Any]:
    """What each command ends with and says (status, stdout, stderr), then `code`, all in one poor process."""
    asked = {"commands": [command.split() for command in commands], "code": code}
    done = subprocess.run(
        [sys.executable, "-c", f"BLOCKED = {BLOCKED!r}\n{DRIVER}"],
        input=json.dumps(asked), cwd=shell.folder, env=shell.env, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No module named" not in done.stderr, done.stderr
    answers: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_every_command_but_sql_works_without_the_extras(shell: Shell) -> None:
    commands = [
        "run --trace t.wtrace --stacks hello.wat", "run --trace t.jsonl --strace --summary --explain hello.wat",
        "compile hello.wat", "inspect hello.wasm", "inspect --json hello.wasm", "trace t.wtrace", "trace t.wtrace -c",
        "trace t.wtrace --fds", "trace t.wtrace --by-line", "trace t.wtrace --annotate", "trace t.wtrace --refused",
        "trace t.wtrace --plot t.png", "trace t.wtrace --export t.csv", "trace t.wtrace --export t.json",
        "trace t.wtrace --export t.pftrace", "trace t.wtrace --export t.strace", "trace t.wtrace --note 0=here",
        "diff t.wtrace t.jsonl", "advise t.wtrace", "advise t.wtrace --as toml", "advise t.wtrace --as python",
        "run --learn hello.wat", "run --repeat 2 --time hello.wat", "doctor", "doctor --json", "cache",
    ]  # fmt: skip
    for command, (status, out, errors) in zip(commands, without_extras(shell, *commands), strict=True):
        assert status == 0, f"{command}: {out}{errors}"
        assert "Traceback" not in out + errors


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("sql t.wtrace select", "pip install duckdb pyarrow"),
        ("trace t.wtrace --sql select", "pip install duckdb pyarrow"),
        ("trace t.wtrace --export t.parquet", "pip install pyarrow"),
        ("trace t.parquet", "pip install pyarrow"),
        ("run --trace u.parquet hello.wat", "pip install pyarrow"),
    ],
)
def test_what_needs_an_extra_names_the_line_that_installs_it(shell: Shell, command: str, line: str) -> None:
    wasilab.run((shell.folder / "hello.wat").read_bytes()).trace.save(shell.folder / "t.parquet")
    _, (status, out, errors) = without_extras(shell, "run --trace t.wtrace hello.wat", command)
    assert status == 2
    assert out == ""
    assert errors.startswith("wasilab ")
    assert errors.endswith(f"install it with: {line}\n")
    assert len(errors.splitlines()) == 1


def test_python_works_without_the_extras_and_names_what_it_needs(shell: Shell) -> None:
    without_extras(
        shell,
        code="""
import wasilab
from wasilab.trace.errors import TraceError
run = wasilab.run("hello.wat")
run.to_html("report.html"), run.plot(), run.plots(), repr(run), run._repr_mimebundle_(), wasilab.advise(run)
for name in wasilab.__all__:
    assert getattr(wasilab, name) is not None
for use, line in ((run.trace.to_arrow, "pyarrow"), (run.trace.to_pandas, "pandas pyarrow"),
                  (lambda: run.trace.sql("select 1"), "duckdb pyarrow")):
    try:
        use()
    except TraceError as error:
        assert str(error).endswith("pip install " + line) or str(error).endswith("pip install pyarrow"), error
    else:
        raise AssertionError(line)
try:
    memoryview(run.trace.__arrow_c_stream__())
except TraceError as error:
    assert "pip install pyarrow" in str(error)
""",
    )
    assert (shell.folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.mark.toolchain
def test_the_demo_needs_nothing_but_what_the_install_command_installs(shell: Shell) -> None:
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    ((status, out, errors),) = without_extras(shell, "demo")
    assert status == 0, errors
    assert "timeline-granted.png" in out


def test_a_cell_works_without_the_extras(shell: Shell) -> None:
    without_extras(
        shell,
        code="""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.history_manager.enabled = False
assert shell.run_cell("%load_ext wasilab").success
found = shell.run_cell("%%wasi wat --name hello\\n" + open("hello.wat").read())
assert found.success and found.result.stdout == "hello\\n"
found.result._repr_mimebundle_(), found.result.timeline()
for line in ("list", "grants", "timeline", "plot counts", "trace -c", "advise", "doctor"):
    assert shell.run_cell("%wasi " + line).success, line
assert "pip install duckdb pyarrow" in str(shell.run_cell("%wasi sql select 1").error_in_exec)
""",
    )


def test_what_the_extra_brings_is_what_is_blocked_here() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {line.partition(">")[0] for line in project["optional-dependencies"]["arrow"]}
    core = {line.partition(">")[0] for line in project["dependencies"]}
    assert extra == {"pyarrow", "duckdb", "pandas"}
    assert extra <= set(BLOCKED)
    assert not core & set(BLOCKED)
