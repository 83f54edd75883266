"""What a cell, and `%wasi compile`, tell the compiler: reactors, emulations, modules to link, files beside the cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from wasilab.magics.cells.failures import CompileFailed
from wasilab.magics.wasi_magics import keep_empty_cell, load_ipython_extension
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import LANGUAGES, toolchain_for

pytestmark = pytest.mark.toolchain

ADD = '__attribute__((export_name("add"))) int add(int a, int b) { return a + b; }\n'
EMULATED = {
    "mman": (
        "#include <sys/mman.h>\nint main(void) {\n"
        "  return mmap(0, 9, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 1 : 7; }\n"
    ),
    "signal": (
        "#include <signal.h>\nstatic int got;\nstatic void note(int s) { got = s; }\n"
        "int main(void) { signal(SIGINT, note); raise(SIGINT); return got == SIGINT ? 7 : 1; }\n"
    ),
    "process-clocks": "#include <time.h>\nint main(void) { return clock() == (clock_t)-1 ? 1 : 7; }\n",
    "getpid": "#include <unistd.h>\nint main(void) { return getpid() > 0 ? 7 : 1; }\n",
}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ipython: InteractiveShell) -> InteractiveShell:
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.chdir(tmp_path)
    load_ipython_extension(ipython)
    return ipython


def wasi(shell: InteractiveShell, line: str, cell: str) -> Any:
    return shell.run_cell_magic("wasi", line, cell)


def test_a_reactor_needs_no_flag_of_the_compiler(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run = wasi(shell, "c --reactor --invoke add --args '40 2'", ADD)
    assert run.exit_code == 0
    assert capsys.readouterr().out == "42\n"
    Path("add.c").write_text(ADD)
    assert shell.run_line_magic("wasi", "compile --reactor add.c").kind == "reactor"


@pytest.mark.parametrize("name", EMULATED)
def test_what_libc_emulates_is_named(shell: InteractiveShell, name: str) -> None:
    try:
        said = wasi(shell, "c", EMULATED[name]).module.warnings  # zig's libc links some of them all the same
    except CompileFailed as failure:
        said = str(failure)
    assert f"-lwasi-emulated-{name}" in said
    assert wasi(shell, f"c --emulate {name}", EMULATED[name]).exit_code == 7


def test_an_emulation_that_does_not_exist_lists_those_that_do(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="it has getpid, mman, process-clocks, signal"):
        wasi(shell, "c --emulate mman,fork", "int main(void) { return 0; }\n")
    with pytest.raises(UsageError, match="for C and C"):
        wasi(shell, "wat --emulate mman", "(module)")


def test_a_module_is_linked_under_its_files_name(shell: InteractiveShell) -> None:
    wasi(
        shell, "wat --compile-only --save lib.wasm",
        '(module (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))',
    )  # fmt: skip
    source = (
        '__attribute__((import_module("lib"), import_name("twice"))) int twice(int);\n'
        "int main(void) { return twice(21); }\n"
    )
    assert wasi(shell, "c --link lib.wasm", source).exit_code == 42
    with pytest.raises(UsageError, match="none"):
        wasi(shell, "c --link none.wasm", source)


def test_a_source_of_the_lab_that_is_not_linked_is_named(shell: InteractiveShell) -> None:
    shell.run_cell_magic("wasi_file", "util.c", "int three(void) { return 3; }\n")
    source = "int three(void);\nint main(void) { return three(); }\n"
    with pytest.raises(CompileFailed, match=r"util\.c seems to define three") as caught:
        wasi(shell, "c", source)
    assert not re.search(r"/\S*cell", str(caught.value)), "no folder of this machine is named"
    assert "cell.o: undefined symbol: three" in str(caught.value)
    assert wasi(shell, "c -- util.c", source).exit_code == 3
    shell.run_cell_magic("wasi_file", "util.c", "int three(void) { return 4; }\n")
    assert wasi(shell, "c -- util.c", source).exit_code == 4


def test_an_error_names_the_cell_and_the_line_in_which_the_file_was_written(shell: InteractiveShell) -> None:
    cells = ("1 + 1", "%%wasi_file broken.h\nint fine;\nint broken(int x) { return y; }\n")
    for cell in cells:
        assert shell.run_cell(cell, store_history=True).success
    failed = shell.run_cell(
        '%%wasi c\n#include "broken.h"\nint main(void) {\n  return missing;\n}\n', store_history=True
    )
    assert isinstance(failed.error_in_exec, CompileFailed)
    assert failed.error_in_exec.places == ((2, 3), (3, 4))


def test_a_file_is_compiled_and_runs_by_its_name(shell: InteractiveShell) -> None:
    Path("answer.c").write_text("int main(void) { return ANSWER; }\n")
    shell.run_line_magic("wasi", "compile answer.c --name answer -- -DANSWER=42")
    assert shell.run_line_magic("wasi", "run answer").exit_code == 42
    assert shell.run_line_magic("wasi", "run answer.wasm").exit_code == 42


@pytest.mark.parametrize("language", ["c", "rust", "wat"])
def test_an_empty_cell_is_given_a_program(
    shell: InteractiveShell, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run_cell(f"%%wasi {language} --name x").success
    assert "the cell was empty" in capsys.readouterr().err
    assert shell.rl_next_input == f"%%wasi {language} --name x\n{toolchain_for(language).template}".rstrip("\n")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", ["hello", "words"])
def test_a_template_is_a_new_cell(shell: InteractiveShell, language: str, program: str) -> None:
    shell.run_line_magic("wasi", f"template {language} {program}")
    line, _, source = shell.rl_next_input.partition("\n")
    assert line.startswith(f"%%wasi {language}")
    assert source == toolchain_for(language).example(program).rstrip("\n")


def test_help_of_a_cell_needs_no_body(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell("%%wasi --help").success
    assert "usage: %%wasi" in capsys.readouterr().out
    assert keep_empty_cell(["%%wasi c\n", "int main;\n"]) == ["%%wasi c\n", "int main;\n"]
    assert keep_empty_cell(["%%wasi_file x.h\n"]) == ["%%wasi_file x.h\n"]
    assert keep_empty_cell([]) == []


def test_a_cell_that_is_being_typed_in_a_terminal_goes_on_until_an_empty_line(shell: InteractiveShell) -> None:
    for typed in ("%%wasi c", "%%wasi c\nint main(void) {"):
        assert shell.check_complete(typed)[0] == "incomplete"
    assert shell.check_complete("%%wasi c\nint main(void) { return 0; }\n\n")[0] == "complete"
