"""The magics in an IPython shell without a kernel: words, values, failures, and the session that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from wasilab.magics.cells.failures import CellFailure, CompileFailed
from wasilab.magics.cells.live_view import LiveView
from wasilab.magics.wasi_magics import WasiMagics, load_ipython_extension
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for
from wasilab.views.interactive.widget import TimelineWidget

from . import programs


@pytest.fixture
def shell(ipython: InteractiveShell) -> InteractiveShell:
    load_ipython_extension(ipython)
    return ipython


def lab(shell: InteractiveShell) -> Any:
    return next(m for m in shell.magics_manager.registry.values() if isinstance(m, WasiMagics)).session


def wasi(shell: InteractiveShell, line: str, body: str | None = None) -> Any:
    return shell.run_line_magic("wasi", line) if body is None else shell.run_cell_magic("wasi", line, body)


def test_the_value_of_a_cell_is_its_run(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run = wasi(shell, "wat", programs.HELLO)
    assert (run.exit_code, run.stdout, run.stderr) == (0, "hello\n", "oops\n")
    assert run.streamed
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("hello\n", "oops\n")


def test_a_live_timeline_does_not_repeat_the_output_that_the_cell_shows() -> None:
    module = wasilab.compile(programs.HELLO, "wat")
    run = wasilab.run(module, on_started=LiveView().started)
    assert run.stdout == "hello\n"
    assert "hello" not in TimelineWidget(run).get_state("_report")["_report"]
    assert "hello" in TimelineWidget(wasilab.run(module)).get_state("_report")["_report"]


def test_quiet_shows_the_output_and_no_report(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    assert wasi(shell, "wat --quiet", programs.HELLO) is None
    assert capsys.readouterr().out == "hello\n"
    assert lab(shell).last.stdout == "hello\n"


def test_loading_twice_keeps_the_session(shell: InteractiveShell) -> None:
    wasi(shell, "wat --name kept --compile-only", programs.HELLO)
    load_ipython_extension(shell)
    assert "kept" in lab(shell).kept


def test_a_name_keeps_the_module_and_its_last_run(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    wasi(shell, "wat --name seven", programs.EXIT_7)
    again = wasi(shell, "run seven")
    assert again.exit_code == 7
    assert lab(shell).kept["seven"].run.exit_code == 7
    wasi(shell, "list")
    assert "exit status 7" in capsys.readouterr().out


def test_a_named_program_that_is_run_by_its_name_keeps_that_run(shell: InteractiveShell) -> None:
    shell.run_line_magic("wasi", "program hello")
    run = shell.run_line_magic("wasi", "run hello")
    assert shell.run_line_magic("wasi", "grants hello").model.run is run
    detached = shell.run_line_magic("wasi", "run --detach hello")
    assert shell.run_line_magic("wasi", "grants hello").model.run is detached
    detached.wait(60)



def test_arguments_come_as_a_text_or_as_a_list(shell: InteractiveShell) -> None:
    assert wasi(shell, """wat --args "a 'b c'" """, programs.HELLO).args == ("a", "b c")
    shell.user_ns["words"] = ["--dir", "x y"]
    assert wasi(shell, "wat --args {words}", programs.HELLO).args == ("--dir", "x y")
    with pytest.raises(UsageError, match="--args is a dict"):
        wasi(shell, "wat --args {dict()}", programs.HELLO)


def test_nothing_expands_unless_it_is_asked_for(shell: InteractiveShell) -> None:
    shell.user_ns["name"] = "value"
    run = wasi(shell, "wat --env 'A=$name {name}' --env B={name}", programs.HELLO)
    assert dict(run.grants.env) == {"A": "$name {name}", "B": "value"}
    run = shell.run_cell("%wasi run {module}", silent=True)
    assert isinstance(run.error_in_exec, UsageError)


def test_a_dollar_that_ipython_would_expand_is_remarked_on(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["name"] = "value"
    for line, said in (("A=$name", True), ("A=$other", False), ("'A=$name'", False), ("A={name}", False)):
        run = wasi(shell, f"wat --env {line}", programs.HELLO)
        assert run.grants.env["A"] == {"A={name}": "value"}.get(line, line.strip("'").removeprefix("A="))
        assert ("for the value of name write {name}" in "".join(capsys.readouterr())) == said, line


def test_a_python_object_can_be_the_program(shell: InteractiveShell) -> None:
    shell.user_ns["module"] = wasi(shell, "wat --compile-only", programs.HELLO)
    assert wasi(shell, "run {module}").stdout == "hello\n"
    shell.user_ns["data"] = shell.user_ns["module"].bytes
    assert wasi(shell, "run {data}").stdout == "hello\n"


def test_a_path_object_can_be_a_folder(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("s")
    shell.user_ns["folder"] = tmp_path
    assert wasi(shell, "wat --dir {folder}::.", programs.OPEN_SECRET).exit_code == 0


def test_save_writes_the_module(shell: InteractiveShell, tmp_path: Path) -> None:
    shell.user_ns["out"] = tmp_path / "m.wasm"
    wasi(shell, "wat --save {out} --compile-only", programs.HELLO)
    assert (tmp_path / "m.wasm").read_bytes().startswith(b"\0asm")


@pytest.mark.parametrize(
    ("line", "body", "said"),
    [
        ("wat --dirr x", "(module)", "did you mean '--dir'?"),
        ("wta", "(module)", "did you mean 'wat'?"),
        ("wat --name a.b", "(module)", "--name"),
        ("wat --name -x", "(module)", "--name"),
        ("wat extra", "(module)", "one argument too many"),
        ("wat --dir 'no such'", "(module)", "no such"),
        ("wat --env {missing}", "(module)", "NameError"),
        ("wat --env 'A=1", "(module)", "not closed"),
        ("wat --detach --repeat 2", programs.HELLO, "--repeat"),
        ("wat --detach --strace", programs.HELLO, "--strace"),
        ("wat --no-trace --summary", programs.HELLO, "--no-trace"),
    ],
)
def test_a_wrong_line_is_a_usage_error_of_one_line(shell: InteractiveShell, line: str, body: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        wasi(shell, line, body)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_without_a_command_lists_them(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    wasi(shell, "")
    assert "inspect" in capsys.readouterr().out
    wasi(shell, "help cell")
    assert "--detach" in capsys.readouterr().out


def test_a_source_that_does_not_compile_fails_with_the_cells_line(shell: InteractiveShell) -> None:
    with pytest.raises(CompileFailed, match=":3:"):
        wasi(shell, "wat", "(module\n  (func (export))\n)")
    result = shell.run_cell("%%wasi wat\n(module\n  (func (export))\n)", silent=True)
    assert isinstance(result.error_in_exec, CellFailure)


def test_a_script_of_ipython_can_hold_a_cell(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.ipy"
    script.write_text(f"run = get_ipython().run_cell_magic('wasi', 'wat --quiet', {programs.HELLO!r})\n%wasi list\n")
    shell.run_line_magic("run", str(script))
    assert "hello" in capsys.readouterr().out


def test_a_file_of_the_lab_is_seen_by_later_cells_and_its_change_too(shell: InteractiveShell) -> None:
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    body = '#include "answer.h"\nint main(void) { return ANSWER; }\n'
    for answer in (41, 42):
        shell.run_cell_magic("wasi_file", "answer.h", f"#define ANSWER {answer}\n")
        assert wasi(shell, "c", body).exit_code == answer
    with pytest.raises(UsageError, match="relative name"):
        shell.run_cell_magic("wasi_file", "../up.h", "x")


def test_an_error_names_the_cell_and_the_line_as_ipython_does() -> None:
    from wasilab.magics.cells.failures import CompileFailed

    shown = CompileFailed("cell.c:3:5: error: no", [(7, 3), (7, 3), (6, 9)])._render_traceback_()
    assert [line for line in shown if "Cell In[7], line 3" in line]
    assert len(shown) == 3
    assert CompileFailed("out of a file", [(0, 3)])._render_traceback_() == ["out of a file"]
