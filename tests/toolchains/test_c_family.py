"""C and C++ with the compiler of this machine: lines, hints, emulations, reactors, debug data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import wasilab
from wasilab.toolchains.base import Job
from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.diagnostics import CompileError, ToolchainError
from wasilab.toolchains.languages.c_family import emulation_flags
from wasilab.toolchains.languages.c_hints import hints
from wasilab.toolchains.probe import Tool
from wasilab.toolchains.registry import toolchain_for

pytestmark = pytest.mark.toolchain


def test_an_error_names_the_line_of_the_cell() -> None:
    with pytest.raises(CompileError) as caught:
        compile_source("int main(void) {\n    return missing;\n}\n", "c", name="demo", first_line=2)
    (first, *_) = caught.value.diagnostics
    assert (first.file, first.line, first.column, first.severity) == ("demo.c", 3, 12, "error")
    assert first.source_line == "    return missing;"
    assert str(caught.value).startswith("demo.c:3:12: error: ")


@pytest.mark.parametrize("name", ["naïve ☃", "it's #1 $x (2)"])
def test_a_name_is_shown_as_it_is_in_errors_and_lines(name: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_source("int main(void) { return missing; }\n", "c", name=name)
    assert str(caught.value).startswith(f"{name}.c:1:25: error: ")
    assert caught.value.diagnostics[0].source_line == "int main(void) { return missing; }"
    module = wasilab.compile("int main(void) { __builtin_trap(); }\n", "c", name=name)
    assert f"{name}.c" in [frame.file for frame in wasilab.run(module).outcome.frames]


def test_a_warning_comes_with_the_module() -> None:
    result = compile_source("int main(void) { int unused; return 0; }\n", "c")
    assert [(d.severity, d.line) for d in result.diagnostics] == [("warning", 1)]
    assert result.wasm.startswith(b"\0asm")


def test_an_emulation_is_suggested_and_the_suggestion_works() -> None:
    source = (
        "#include <sys/mman.h>\nint main(void) { return mmap(0, 1, PROT_READ, MAP_PRIVATE, 3, 0) == MAP_FAILED; }\n"
    )
    with pytest.raises(CompileError) as caught:
        compile_source(source, "c")
    (hint,) = caught.value.hints
    assert hint.endswith("add --emulate mman (flags -D_WASI_EMULATED_MMAN -lwasi-emulated-mman)")
    assert compile_source(source, "c", emulation_flags("mman")).wasm.startswith(b"\0asm")


def test_all_four_emulations_link() -> None:
    source = (
        "#include <signal.h>\n#include <sys/mman.h>\n#include <time.h>\n#include <unistd.h>\n"
        "int main(void) { signal(SIGINT, SIG_IGN); munmap(0, 0); return clock() + getpid() == 0; }\n"
    )
    flags = emulation_flags("mman", "signal", "process-clocks", "getpid")
    assert compile_source(source, "c", flags).wasm.startswith(b"\0asm")


def test_an_unknown_emulation_lists_the_known() -> None:
    with pytest.raises(ToolchainError, match="has no emulation 'fork'; it has getpid, mman, process-clocks, signal"):
        emulation_flags("fork")


def test_a_missing_header_names_its_source() -> None:
    with pytest.raises(CompileError) as caught:
        compile_source('#include "util.h"\nint main(void) { return 0; }\n', "c")
    assert "%%wasi_file util.h" in caught.value.hints[0]
    assert compile_source('#include "util.h"\nint main(void) { return X; }\n', "c", files={"util.h": "#define X 0\n"})


def test_the_hosts_own_headers_are_not_wasis() -> None:
    with pytest.raises(CompileError):
        compile_source("#include <execinfo.h>\nint main(void) { return 0; }\n", "c")


def test_two_sources_link_when_the_second_is_named() -> None:
    files = {"util.h": "int util(void);\n", "util.c": '#include "util.h"\nint util(void) { return 0; }\n'}
    source = '#include "util.h"\nint main(void) { return util(); }\n'
    assert compile_source(source, "c", ["util.c"], files=files).wasm.startswith(b"\0asm")


@pytest.mark.parametrize("name", ["own.h", "it's #1 $x.h", "naïve ☃.h"])
def test_a_header_in_a_folder_that_a_flag_names_is_watched(tmp_path: Path, name: str) -> None:
    header = tmp_path / name
    header.write_text("#define X 0\n")
    source = f'#include "{header}"\nint main(void) {{ return X; }}\n'
    flags = [f"-I{tmp_path}"]
    assert not compile_source(source, "c", flags).cached
    assert compile_source(source, "c", flags).cached
    header.write_text("#define X 10\n")
    assert not compile_source(source, "c", flags).cached


def test_relative_folders_start_at_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "own.h").write_text("#define X 0\n")
    monkeypatch.chdir(tmp_path)
    source = "#include <own.h>\nint main(void) { return X; }\n"
    assert compile_source(source, "c", ["-Iinclude"]).wasm.startswith(b"\0asm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["include"]


def test_zig_runs_elsewhere_if_its_library_lies_below_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zig = tmp_path / ".venv" / "ziglang" / "zig"
    tool = Tool("zig", (str(zig), "cc"), "0.17.1", str(zig), "PyPI ziglang")
    for name in ("include", "notebooks", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "util.c").write_text("")
    flags = ("-Iinclude", "-L", "lib", "-I/abs", "-lm", "-O1", "util.c", "cell.c", "-include", "own.h")
    job = Job("", "main.c", flags, {"cell.c": ""}, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "notebooks")
    beside = toolchain_for("c").command(tool, job)
    assert beside.cwd == tmp_path / "notebooks"
    assert {"-Iinclude", "lib", "util.c"} <= set(beside.argv)
    monkeypatch.chdir(tmp_path)
    above = toolchain_for("c").command(tool, job)
    assert above.cwd == job.folder
    at = above.argv.index(f"-I{tmp_path}/include")
    assert above.argv[at : at + 10] == (
        f"-I{tmp_path}/include", "-L", f"{tmp_path}/lib", "-I/abs", "-lm", "-O1", f"{tmp_path}/util.c",
        f"{tmp_path}/work/cell.c", "-include", f"{tmp_path}/own.h",
    )  # fmt: skip
    clang = Tool("clang", ("clang",), "22", str(zig), "PATH")
    assert toolchain_for("c").command(clang, job).cwd == tmp_path


def test_a_reactor_has_initialize_and_its_exports() -> None:
    source = '__attribute__((export_name("add"))) int add(int a, int b) { return a + b; }\n'
    wasm = compile_source(source, "c", ["-mexec-model=reactor"]).wasm
    assert b"_initialize" in wasm
    assert b"\x03add\x00" in wasm
    assert b"\x06_start" not in wasm


def test_the_module_is_the_same_from_any_folder_and_names_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    source = "#include <assert.h>\nint main(int n, char **v) { assert(n < 9); return 0; }\n"
    modules = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / name / "cache"))
        modules.append(compile_source(source, "c", name="demo").wasm)
    assert modules[0] == modules[1]
    assert os.fsencode(tmp_path) not in modules[0]
    assert b".debug_line" in modules[0]
    assert b"demo.c" in modules[0]


@pytest.mark.parametrize("flag", ["-o", "-c", "-S", "-E", "-MF"])
def test_flags_that_make_no_module_are_refused_in_words(flag: str) -> None:
    with pytest.raises(ToolchainError, match=f"C flag '{flag}' is not usable here"):
        compile_source("", "c", [flag])


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("wasm-ld: error: a.o: undefined symbol: main", "-mexec-model=reactor"),
        ("wasm-ld: error: a.o: undefined symbol: fork", "no processes: fork"),
        ("x.c:1:1: error: call to undeclared function 'socket'; ISO C99", "cannot open sockets"),
        ("wasm-ld: error: unable to find library -lcurl", "'curl' built for WASI"),
        ('error: unable to find dynamic system library "curl" using strategy', "'curl' built for WASI"),
        ("x.cpp:1:1: error: cannot use 'throw' with exceptions disabled", "exceptions"),
        ("x.cpp:1:1: error: implicit instantiation of undefined template 'std::basic_ifstream<char>'", "std::fopen"),
        ("x.c:1:1: fatal error: 'setjmp.h' file not found", "wasi-libc has no setjmp.h"),
        ("x.c:1:1: fatal error: 'pthread.h' file not found", "wasi-libc has no pthread.h"),
        ("x.c:1:1: warning: 'getpid' is deprecated: -lwasi-emulated-getpid", "-D_WASI_EMULATED_GETPID"),
    ],
)
def test_known_troubles_have_a_remedy(output: str, says: str) -> None:
    assert says in " ".join(hints(output))


def test_what_is_defined_nowhere_is_named_with_its_line() -> None:
    with pytest.raises(CompileError) as caught:
        compile_source("int deflate(int);\nint main(void) {\n    return deflate(1);\n}\n", "c", first_line=2)
    (hint,) = caught.value.hints
    assert hint.startswith("deflate is used (line 4) and defined nowhere: ")
    with pytest.raises(CompileError) as caught:
        compile_source("namespace a { int f(int); }\nint main() { return a::f(1); }\n", "c++")
    assert caught.value.hints[0].startswith("f is used (line 2) and defined nowhere: ")


def test_plain_errors_have_no_hint() -> None:
    assert hints("x.c:1:1: error: expected ';' after expression") == []


@pytest.mark.toolchain
def test_file_streams_of_cxx_read_and_write(tmp_path: Path) -> None:
    source = """#include <fstream>
#include <iostream>
#include <string>
int main() {
  { std::ofstream out("out/b"); out << "written " << 42 << "\\n"; if (!out) return 3; }
  std::ifstream in("out/b"), absent("/etc/passwd");
  std::string line;
  std::getline(in, line);
  std::cout << line << (absent ? " open" : " refused") << "\\n";
}
"""
    grants = wasilab.Grants(dirs={"out": wasilab.MemDir()})
    run = wasilab.run(wasilab.compile(source, "c++"), grants=grants)
    assert run.stdout == "written 42 refused\n"
