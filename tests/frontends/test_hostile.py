"""Programs that no one should have to run: each is one clear sentence and an exit status, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab.cli import main

from .conftest import Kernel
from .test_cli import Here, Shell

WASI = '(import "wasi_snapshot_preview1"'

TEXTS = {
    "start-loops": (
        '(module (memory (export "memory") 1) (start $f) (func $f (loop (br 0))) (func (export "_start")))',
        137,
        "time limit",
    ),
    "four-gib": ('(module (memory (export "memory") 65536) (func (export "_start")))', 137, "--max-memory"),
    "no-start": ('(module (func (export "foo")))', 1, "--invoke: foo"),
    "nothing": ("(module)", 1, "exports no function"),
    "no-memory": (
        f'(module {WASI} "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))'
        '(func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))',
        134,
        'under the name "memory"',
    ),
    "ten-thousand-imports": (
        "(module " + " ".join(f'(import "env" "f{n}" (func))' for n in range(10_000)) + '(func (export "_start")))',
        1,
        "9,992 more",
    ),
    "endless-recursion": ('(module (func $f (call $f)) (func (export "_start") (call $f)))', 134, "recursion"),
    "an-escape-in-a-name": (
        '(module (import "\\1b[31mevil\\u{202e}" "\\0a<script>" (func)) (func (export "_start")))',
        1,
        "\\x1b[31mevil",
    ),
}

BYTES = {
    "empty": (b"", "empty"),
    "magic-only": (b"\0asm", "damaged"),
    "truncated": (b"\0asm\1\0\0\0\1\x7f", "damaged"),
    "a-component": (b"\0asm\x0d\0\1\0", "component"),
    "a-native-program": (b"\x7fELF" + bytes(100), "native Linux program"),
    "a-hundred-megabytes": (bytes(100_000_000), "not a WebAssembly module"),
    "a-section-without-end": (b"\0asm\1\0\0\0\2\xff\xff\xff\xff\x0f", "damaged"),
}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    return Here(tmp_path, monkeypatch, capfdbinary)


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_program_ends_in_one_sentence(shell: Shell, name: str) -> None:
    text, status, said = TEXTS[name]
    patience = "0.2" if said == "time limit" else "60"
    done = shell.run("run", "--timeout", patience, shell.program("p.wat", text))
    errors = done.stderr.decode()
    assert done.returncode == status, errors
    assert said in errors
    assert errors.count("wasilab: ") == 1
    assert "Traceback" not in errors
    assert "\x1b" not in errors
    assert "\u202e" not in errors


@pytest.mark.parametrize("name", BYTES)
def test_a_file_that_is_not_a_module_is_one_line(shell: Shell, name: str) -> None:
    data, said = BYTES[name]
    (shell.folder / "p.wasm").write_bytes(data)
    done = shell.run("run", "p.wasm")
    assert done.returncode != 0
    assert len(done.stderr.decode().splitlines()) == 1
    assert said in done.stderr.decode()


def test_ten_thousand_unknown_wasi_names_are_a_short_warning(shell: Shell) -> None:
    names = " ".join(f'{WASI} "f{n}" (func))' for n in range(10_000))
    done = shell.run(
        "run", shell.program("p.wat", f'(module {names} (memory (export "memory") 1) (func (export "_start")))')
    )
    assert done.returncode == 0
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "wasilab: ... and 9,990 warnings more"


@pytest.mark.kernel
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_cell_ends_in_one_sentence_of_its_report(kernel: Kernel, name: str) -> None:
    text, status, said = TEXTS[name]
    done = kernel.run(f"%%wasi wat --timeout 2\n{text}\n")
    assert (done.status, done.traceback) == ("ok", "")
    verdict = " ".join(done.text.split())
    assert said in verdict
    assert verdict.count("cell: ") == 1
    for shown in (done.text, done.value["text/html"], done.stderr):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert kernel.run("_.exit_code").text == str(status)


@pytest.mark.kernel
@pytest.mark.parametrize("name", BYTES)
def test_a_file_that_is_not_a_module_is_one_line_of_a_cell(kernel: Kernel, name: str, tmp_path: Path) -> None:
    data, said = BYTES[name]
    (tmp_path / "p.wasm").write_bytes(data)
    done = kernel.run(f"%wasi run {tmp_path}/p.wasm")
    told = done.stderr + done.text
    assert said in told
    assert len(told.strip().splitlines()) <= 2
    assert done.traceback == ""


@pytest.mark.parametrize("command", ["sweep", "run --inject-file", "run --policy"])
@pytest.mark.parametrize(
    ("data", "words"), [(b"\xac\xff", "not UTF-8 text"), (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply")],
    ids=["no text", "deep"],
)  # fmt: skip
def test_a_damaged_toml_file_is_one_sentence(
    command: str, data: bytes, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, program = tmp_path / "damaged.toml", tmp_path / "hello.wasm"
    file.write_bytes(data)
    program.write_bytes(b"\0asm\1\0\0\0")
    assert main([*command.split(), str(file), str(program)][: 2 if command == "sweep" else 4]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert words in line


def test_a_sweep_whose_policy_is_no_text_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.toml").write_bytes(b"\xac")
    (tmp_path / "program.wasm").write_bytes(b"\0asm\1\0\0\0")
    plan = tmp_path / "plan.toml"
    plan.write_text('program = "program.wasm"\npolicy = "policy.toml"\n[over]\n"limits.fuel" = [100]\n')
    assert main(["sweep", str(plan)]) == 2
    assert "policy policy.toml: not UTF-8 text" in capfd.readouterr().err
