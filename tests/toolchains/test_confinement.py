"""What a compiler gets: few variables, bounded time and memory, no file that was not named. The source is hostile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import wasilab
from wasilab.capabilities.host import landlock
from wasilab.cli import main
from wasilab.magics.wasi_magics import WasiMagics
from wasilab.toolchains import confinement
from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.confinement import CompileLimits
from wasilab.toolchains.diagnostics import CompileError, ToolchainError, ToolchainMissing
from wasilab.toolchains.process import ProcessBounds, run_group
from wasilab.toolchains.registry import toolchain_for

SECRET = "the secret of this machine"
confined = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the person's that no flag names."""
    path = tmp_path / "private" / "secret.h"
    path.parent.mkdir()
    path.write_text(f'char secret[] = "{SECRET}";\n')
    return path


def require(language: str) -> None:
    """Skip the test where the language has no compiler."""
    try:
        toolchain_for(language).find()
    except ToolchainMissing as error:
        pytest.skip(str(error).splitlines()[0])


def stealing(path: Path) -> dict[str, str]:
    """Language -> a program that builds the contents of a file into the module."""
    return {
        "c": f'__asm__(".section .rodata.a,\\"\\",@\\n.incbin \\"{path}\\"\\n");\nint main(void) {{ return 0; }}\n',
        "c++": f'#include "{path}"\nint main() {{ return secret[0]; }}\n',
        "rust": f'fn main() {{ println!("{{}}", include_str!("{path}")); }}\n',
        "zig": f'const t = @embedFile("{path}");\npub fn main() void {{ @import("std").debug.print(t, .{{}}); }}\n',
        "go": f'package main\n\nimport _ "embed"\n\n//go:embed {path}\nvar s string\n\nfunc main() {{ println(s) }}\n',
        "assemblyscript": f'import {{ a }} from "{path.with_suffix("")}"\nconsole.log(a)\n',
    }


@confined
@pytest.mark.toolchain
@pytest.mark.parametrize("language", list(stealing(Path("x"))))
def test_a_source_cannot_read_files_that_no_flag_names(language: str, secret: Path) -> None:
    require(language)
    with pytest.raises(CompileError) as caught:
        compile_source(stealing(secret)[language], language)
    assert SECRET not in str(caught.value)


@confined
@pytest.mark.toolchain
def test_the_error_says_what_a_compiler_can_open(secret: Path) -> None:
    with pytest.raises(CompileError, match="can open its own installation, the files of the cell, and the files and"):
        compile_source(stealing(secret)["c++"], "c++")


@pytest.mark.toolchain
@pytest.mark.parametrize("flags", [["-I{}"], ["-I", "{}"], ["-isystem", "{}"], ["-include", "{}/secret.h"]])
def test_a_folder_that_a_flag_names_can_be_read(flags: list[str], secret: Path) -> None:
    source = "int main(void) { return secret[0]; }\n"
    source = source if flags[0] == "-include" else "#include <secret.h>\n" + source
    compiled = compile_source(source, "c", [flag.format(secret.parent) for flag in flags])
    assert SECRET.encode() in compiled.wasm


@pytest.mark.toolchain
def test_a_relative_folder_is_resolved_against_the_users(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(secret.parent.parent)
    source = '#include "secret.h"\nint main(void) { return secret[0]; }\n'
    assert SECRET.encode() in compile_source(source, "c", ["-Iprivate"]).wasm


@pytest.mark.toolchain
def test_the_users_environment_variables_are_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    require("rust")
    monkeypatch.setenv("API_TOKEN", SECRET)
    with pytest.raises(CompileError, match="API_TOKEN"):
        compile_source('fn main() { println!("{}", env!("API_TOKEN")); }', "rust")


def test_the_environment_keeps_what_compilers_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("CPATH", "/include")
    env = confinement.environment({"GOOS": "wasip1", "NO_COLOR": None}, tmp_path)
    assert SECRET not in env.values()
    assert env["CPATH"] == "/include"
    assert env["PATH"] == os.environ["PATH"]
    assert (env["GOOS"], env["TMPDIR"]) == ("wasip1", str(tmp_path))
    assert "NO_COLOR" not in env


@confined
def test_a_compiler_cannot_write_outside_the_work_folder(
    pretend_clang: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_clang(f"echo no > {tmp_path}/made 2>/dev/null; ok")
    monkeypatch.delenv(confinement.FOLDERS_VARIABLE)
    (tmp_path / "clang").rename(tmp_path / "cc")
    (tmp_path / "bin").mkdir()
    (tmp_path / "cc").rename(tmp_path / "bin" / "clang")
    monkeypatch.setenv("WASILAB_CC", str(tmp_path / "bin" / "clang"))
    compile_source("int main(void) { return 0; }", "c")
    assert not (tmp_path / "made").exists()


def test_the_time_of_a_compile_is_limited(pretend_clang: Callable[..., Path]) -> None:
    pretend_clang("sleep 1000")
    with pytest.raises(ToolchainError, match=r"took longer than 0\.3 s"):
        compile_source("", "c", limits=CompileLimits(seconds=0.3))


def test_the_users_limits_bound_the_compiler_too(
    pretend_clang: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_clang("sleep 1000")
    with pytest.raises(ToolchainError, match=r"took longer than 0\.3 s; raise it with --max-compile-time"):
        wasilab.compile("", "c", limits=wasilab.Limits(compile_seconds=0.3))
    (tmp_path / "a.c").write_text("int main(void) { return 0; }")
    assert main(["run", "--max-compile-time", "0.3", str(tmp_path / "a.c")]) == 2
    pretend_clang(f"ulimit -d > {tmp_path}/limit; ok")
    wasilab.compile("", "c", limits=wasilab.Limits(compile_memory=512 << 20))
    assert (tmp_path / "limit").read_text() == f"{512 << 10}\n"
    wasilab.compile(" ", "c")
    assert (tmp_path / "limit").read_text() == f"{confinement.COMPILE_MEMORY >> 10}\n"


@pytest.mark.parametrize("command", ["compile", "run"])
def test_help_says_that_a_compiler_reads_files_and_variables(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "can have its compiler read your files and variables" in capsys.readouterr().out
    assert "can have its compiler read your files and variables" in (WasiMagics.wasi.__doc__ or "")


@pytest.mark.toolchain
def test_the_memory_of_a_compile_is_limited() -> None:
    # Each level doubles the text that the preprocessor holds.
    rows = ["#define A0 1, 2, 3, 4, 5, 6, 7, 8,", *(f"#define A{n} A{n - 1} A{n - 1}" for n in range(1, 28))]
    source = "\n".join([*rows, "int a[] = { A27 };", "int main(void) { return a[0]; }"])
    with pytest.raises(CompileError, match="may take 256m of memory"):
        compile_source(source, "c", limits=CompileLimits(seconds=120, memory=256 << 20))


@pytest.mark.toolchain
def test_a_fifo_among_the_included_files_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.h")
    with pytest.raises(ToolchainError, match="waits to open a FIFO without a writer"):
        compile_source('#include "fifo.h"\nint main(void) { return 0; }\n', "c", [f"-I{tmp_path}"])


def test_a_fifo_that_somebody_writes_to_is_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    thread = threading.Thread(target=lambda: fifo.write_text("text\n"))
    thread.start()
    assert run_group(["/bin/cat", str(fifo)], bounds=ProcessBounds(60)).output == "text\n"
    thread.join()


def test_limits_hold_for_everything_that_a_compiler_starts() -> None:
    done = run_group(["/bin/sh", "-c", "sh -c 'ulimit -d; ulimit -t'"], bounds=ProcessBounds(99.5, 1 << 30))
    assert done.output.split() == ["1048576", "100"]


def test_programs_in_a_home_folder_open_no_more_than_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("bin/tool", "sdk/bin/clang", "zig-1.0/zig"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = [confinement.installation(str(tmp_path / path)) for path in ("bin/tool", "sdk/bin/clang", "zig-1.0/zig")]
    assert found == [[str(tmp_path / "bin/tool")], [str(tmp_path / "sdk")], [str(tmp_path / "zig-1.0")]]
