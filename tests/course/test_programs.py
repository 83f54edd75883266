"""The programs of the lessons: prebuilt modules that belong to their sources."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from wasilab.cli import main
from wasilab.course import program, program_names
from wasilab.course.prebuilt import FLAGS, FURTHER_FLAGS, program_source
from wasilab.course.rebuild import MOST_BYTES, PROGRAMS, RECORD, toolchain
from wasilab.course.rebuild import main as rebuild
from wasilab.module.module import ModuleError


def test_every_module_is_that_of_its_source() -> None:
    built = json.loads(RECORD.read_text())["modules"]
    c_programs = {name for name in program_names() if program_source(name).lang == "c"}
    assert built.keys() == c_programs, "run python -m wasilab.course.rebuild"
    assert {path.stem for path in PROGRAMS.glob("*.wasm")} == c_programs
    for name, record in built.items():
        text = program_source(name).text
        assert record["source"] == hashlib.sha256(text.encode()).hexdigest(), f"{name}: run wasilab.course.rebuild"
        assert record["module"] == hashlib.sha256((PROGRAMS / f"{name}.wasm").read_bytes()).hexdigest(), name
        assert record["flags"] == " ".join((*FLAGS, *FURTHER_FLAGS.get(name, ())))


def test_all_modules_together_are_small() -> None:
    assert sum(path.stat().st_size for path in PROGRAMS.glob("*.wasm")) < MOST_BYTES


@pytest.mark.parametrize("name", program_names())
def test_every_program_loads_with_its_source_and_says_what_it_does(name: str) -> None:
    source, module = program_source(name), program(name)
    assert module.source == source.text
    assert module.has_dwarf is (source.lang == "c")
    assert 10 < len(source.about) < 300
    assert b"/tmp/" not in module.bytes
    assert b"/work/" not in module.bytes


def test_a_program_runs_and_names_its_source_lines() -> None:
    run = wasilab.run(program("copy"), ["a", "b"], stacks=True)
    assert run.exit_code == 1
    assert "copy.c" in run.denied[0].line


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ModuleError, match="did you mean 'copy'"):
        program("coppy")


def test_a_program_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["program"]) == 0
    assert "\ncopy " in capsys.readouterr().out
    assert main(["program", "copy"]) == 0
    assert capsys.readouterr().out == program_source("copy").text
    assert main(["program", "copy", "-o", str(tmp_path / "c.wasm")]) == 0
    assert (tmp_path / "c.wasm").read_bytes() == program("copy").bytes
    capsys.readouterr()
    for wrong in (["program", "coppy"], ["program", "-o", "x"], ["program", "copy", "-o", str(tmp_path)]):
        assert main(wrong) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_program_in_a_cell_is_kept_under_its_name(
    capsys: pytest.CaptureFixture[str], ipython: InteractiveShell
) -> None:
    shell = ipython
    shell.run_line_magic("load_ext", "wasilab")
    shell.run_line_magic("wasi", "program cost")
    assert "// Forty bytes" in capsys.readouterr().out
    shell.run_cell("less = %wasi run cost raw")
    assert shell.user_ns["less"].trace.count("call")["fd_write"] == 40


@pytest.mark.toolchain
def test_the_same_compiler_makes_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        here = toolchain()
    except OSError as error:
        pytest.skip(f"no such compiler: {error}")
    if here != json.loads(RECORD.read_text())["toolchain"]:
        pytest.skip("another compiler or wasi-libc")
    assert rebuild(["--check"]) == 0, capsys.readouterr().out
