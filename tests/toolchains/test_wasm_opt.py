"""A wasm-opt on PATH changes no module, unless it is asked for: it would lose names and source lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import wasilab
from wasilab.module.binary import Reader
from wasilab.module.dwarf import DebugInfo, debug_info, source_map
from wasilab.module.module import Module
from wasilab.toolchains import doctor
from wasilab.toolchains.compile import compile_source

SOURCE = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n"


@pytest.fixture
def wasm_opt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wasm-opt first on PATH; it logs its arguments. Returns the log."""
    folder, log = tmp_path / "bin", tmp_path / "wasm-opt.log"
    folder.mkdir()
    log.touch()
    program = folder / "wasm-opt"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("WASILAB_COMPILER_FOLDERS", str(tmp_path))
    return log


@pytest.mark.toolchain
@pytest.mark.parametrize("flags", [[], ["-O2"], ["-Oz", "-g"]])
def test_it_is_kept_out_of_compiles(wasm_opt: Path, flags: list[str]) -> None:
    compiled = compile_source(SOURCE, "c", flags, use_cache=False)
    assert wasm_opt.read_text() == ""
    module = Module(compiled.wasm)
    assert debug_info(module) is DebugInfo.LINES
    assert "main" in " ".join(module.function_names.values())


@pytest.mark.toolchain
def test_it_runs_when_it_is_asked_for(wasm_opt: Path) -> None:
    # A clang looks beside itself before PATH, and Debian's wasm-opt is there: -B comes first.
    compiled = compile_source(SOURCE, "c", ["--wasm-opt", f"-B{wasm_opt.parent / 'bin'}"], use_cache=False)
    if compiled.toolchain.startswith("clang"):  # zig's linker is its own, and never starts it
        assert wasm_opt.read_text().count(" -o ") == 1


def test_a_clang_without_the_flag_finds_one_that_does_nothing(
    wasm_opt: Path, pretend_clang: Callable[..., Path], tmp_path: Path
) -> None:
    old = "case $* in *--no-wasm-opt*) echo \"clang: error: unsupported option '--no-wasm-opt'\"; exit 1;; esac\n"
    runs_it = f'echo "${{a#-B}}" > {tmp_path}/tools; "${{a#-B}}/wasm-opt" x'
    pretend_clang(f'for a in "$@"; do case $a in -B*) {runs_it};; esac; done; ok')
    script = tmp_path / "clang"
    script.write_text(script.read_text().replace("#!/bin/sh\n", "#!/bin/sh\n" + old))
    compile_source(SOURCE, "c")
    assert (tmp_path / "tools").read_text().endswith("/.tools\n")
    assert wasm_opt.read_text() == ""
    (tmp_path / "tools").unlink()
    compile_source(SOURCE, "c", ["--wasm-opt"])
    assert not (tmp_path / "tools").exists()


@pytest.mark.toolchain
def test_doctor_says_that_it_is_kept_out(wasm_opt: Path) -> None:
    status = doctor.status("c")
    assert status.tool is not None
    if status.tool.kind == "clang":
        assert "wasm-opt is kept out of compiles" in status.notes[0]


@pytest.mark.toolchain
def test_lines_that_do_not_fit_the_code_are_told_and_not_shown() -> None:
    whole = wasilab.compile(SOURCE, "c")
    moved = Module(with_moved_code(whole))
    assert wasilab.run(moved).stdout == "hello\n", "it is a valid module"
    assert (debug_info(whole), debug_info(moved)) == (DebugInfo.LINES, DebugInfo.STALE)
    lines = source_map(moved)
    assert lines is not None
    assert all(lines.locate(at) is None for at in range(0, len(moved.bytes), 97))


def with_moved_code(module: Module) -> bytes:
    """The same module with its code moved, as an optimiser leaves it that knows nothing of DWARF: each function's
    length is written in five bytes, so all addresses are others.
    """
    assert module.code_offset is not None
    reader = Reader(module.bytes, module.code_offset)
    count = reader.u32()
    bodies = bytearray()
    for _ in range(count):
        body = reader.sub(reader.u32())
        bodies += leb5(body.end - body.position) + module.bytes[body.position : body.end]
    payload = leb5(count) + bodies
    head = module.bytes[: module.bytes.rindex(b"\x0a", 0, module.code_offset)]
    return head + b"\x0a" + leb5(len(payload)) + payload + module.bytes[reader.position :]


def leb5(number: int) -> bytes:
    """A number as LEB128 of five bytes."""
    return bytes([number >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)] + [number >> 28])
