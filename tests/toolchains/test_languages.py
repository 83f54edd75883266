"""Seven languages, one program: each counts the words of a granted file, with the same output.

The modules run on wasmtime's own WASI here: this floor knows nothing of wasilab's host. What is made a component
is run in `tests/components/test_languages_as_components.py`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import wasmtime

from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.diagnostics import CompileError, ToolchainError, ToolchainMissing
from wasilab.toolchains.registry import COMPONENT_LANGUAGES, LANGUAGES, toolchain_for

pytestmark = [pytest.mark.toolchain, pytest.mark.slow, pytest.mark.timeout(240)]

TEXT = "one two\nthree\v four\tfive\n\n six" * 3000


@pytest.fixture(params=[name for name in LANGUAGES if name not in COMPONENT_LANGUAGES])
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        toolchain_for(name).find()
    except ToolchainMissing as error:
        pytest.skip(str(error).splitlines()[0])
    return name


def example(program: str, language: str) -> str:
    return (resources.files("wasilab") / "examples" / (program + toolchain_for(language).suffixes[0])).read_text(
        "utf-8"
    )


def run(wasm: bytes, folder: Path, argv: list[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a module that sees `folder` as /data."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    wasi = wasmtime.WasiConfig()
    wasi.argv = argv
    wasi.preopen_dir(str(folder), "/data")
    wasi.stdout_file, wasi.stderr_file = str(folder / "out"), str(folder / "err")
    store.set_wasi(wasi)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    status = 0
    instance = linker.instantiate(store, wasmtime.Module(engine, wasm))
    start = instance.exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    try:
        start(store)
    except wasmtime.ExitTrap as trap:
        status = trap.code
    return status, (folder / "out").read_text(), (folder / "err").read_text()


def test_hello(language: str, tmp_path: Path) -> None:
    result = compile_source(example("hello", language), language, name="hello")
    assert run(result.wasm, tmp_path, ["hello"])[:2] == (0, "Hello, WASI!\n")


def test_words(language: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    wasm = compile_source(example("words", language), language, name="words").wasm
    assert run(wasm, tmp_path, ["words", "/data/text.txt"]) == (
        0, "/data/text.txt: 9000 lines, 15001 words, 90000 bytes\n", "",
    )  # fmt: skip
    status, out, err = run(wasm, tmp_path, ["words", "/data/none.txt"])
    assert (status, out) == (1, "")
    assert "/data/none.txt: " in err or "/data/none.txt" in err
    assert run(wasm, tmp_path, ["words"]) == (2, "", "usage: words FILE\n")


def test_a_second_compile_is_a_hit_with_the_same_module(language: str) -> None:
    first = compile_source(example("hello", language), language, name="hello")
    second = compile_source(example("hello", language), language, name="hello")
    assert second.cached
    assert second.wasm == first.wasm


REACTORS = {
    "c": '__attribute__((export_name("add"))) int add(int a, int b) { return a + b; }\n',
    "c++": 'extern "C" __attribute__((export_name("add"))) int add(int a, int b) { return a + b; }\n',
    "zig": "export fn add(a: i32, b: i32) i32 {\n    return a + b;\n}\n",
    "rust": '#[no_mangle]\npub extern "C" fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n',
    "go": "package main\n\n//go:wasmexport add\nfunc add(a, b int32) int32 { return a + b }\n\nfunc main() {}\n",
    "assemblyscript": "export function add(a: i32, b: i32): i32 {\n  return a + b;\n}\n",
    "wat": '(module (func (export "add") (param i32 i32) (result i32)\n  (i32.add (local.get 0) (local.get 1))))\n',
}


def test_a_reactor_exports_its_functions_and_no_start(language: str) -> None:
    flags = toolchain_for(language).reactor_flags
    wasm = compile_source(REACTORS[language], language, flags, name="adder").wasm
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    exports = linker.instantiate(store, wasmtime.Module(engine, wasm)).exports(store)
    assert "_start" not in exports
    if "_initialize" in exports:
        exports["_initialize"](store)
    assert exports["add"](store, 40, 2) == 42


TWO_FILES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "c": (
        "int util(void);\nint main(void) { return util(); }\n", "util.c", "int util(void) { return 7; }\n", ("util.c",),
    ),
    "c++": (
        '#include "util.hpp"\nint main() { return util(); }\n', "util.hpp", "inline int util() { return 7; }\n", (),
    ),
    "zig": (
        'const std = @import("std");\npub fn main() void {\n    std.process.exit(@import("util.zig").util());\n}\n',
        "util.zig", "pub fn util() u8 {\n    return 7;\n}\n", (),
    ),
    "rust": (
        "mod util;\nfn main() { std::process::exit(util::util()) }\n", "util.rs", "pub fn util() -> i32 { 7 }\n", (),
    ),
    "go": (
        'package main\nimport "os"\nfunc main() { os.Exit(util()) }\n', "util.go",
        "package main\nfunc util() int { return 7 }\n", ("util.go",),
    ),
    "assemblyscript": (
        'import { util } from "./util";\nprocess.exit(util());\n', "util.ts",
        "export function util(): i32 { return 7; }\n", (),
    ),
}  # fmt: skip


def test_a_program_of_two_files(language: str, tmp_path: Path) -> None:
    if language == "wat":
        assert language not in TWO_FILES  # WAT has no way to name another file
        return
    source, name, text, flags = TWO_FILES[language]
    wasm = compile_source(source, language, flags, files={name: text}).wasm
    assert run(wasm, tmp_path, ["two"])[0] == 7
    changed = compile_source(source, language, flags, files={name: text.replace("7", "8")})
    assert not changed.cached
    assert run(changed.wasm, tmp_path, ["two"])[0] == 8


BROKEN = {
    "c": "int main(void) {\n  return missing;\n}\n",
    "c++": "int main() {\n  return missing;\n}\n",
    "zig": "pub fn main() void {\n  missing();\n}\n",
    "rust": "fn main() {\n  missing();\n}\n",
    "go": "package main\nfunc main() { missing() }\n",
    "assemblyscript": "let a = 1;\nmissing();\n",
    "wat": '(module\n  (func (export "f") (call $missing)))\n',
}


def test_an_error_is_mapped_to_the_line_of_the_cell(language: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_source(BROKEN[language], language, name="demo", first_line=2)
    file_name = "demo" + toolchain_for(language).suffixes[0]
    errors = [d for d in caught.value.diagnostics if d.severity == "error" and d.file == file_name]
    assert errors[0].line == 3
    assert "missing" in errors[0].source_line
    assert file_name in str(caught.value)
    assert str(Path("work")) + "/" not in str(caught.value)


def test_a_flag_that_would_move_the_output_is_refused(language: str) -> None:
    with pytest.raises(ToolchainError):
        compile_source("", language, ["-o", "/tmp/elsewhere.wasm"])


def test_an_awkward_cell_name_compiles(language: str) -> None:
    for name in ("my cell_test", "1st.try", "x_windows"):
        assert compile_source(example("hello", language), language, name=name).wasm.startswith(b"\0asm")
