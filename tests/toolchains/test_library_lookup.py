"""A program that reports the paths that its own C library refuses: linked so, run, traced, explained; or portable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import wasilab
from wasilab.cli import main
from wasilab.engine.outcome import Outcome
from wasilab.module.module import ModuleError, load
from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.diagnostics import CompileError, ToolchainMissing
from wasilab.toolchains.languages.zig_tool import find_zigs, without_link
from wasilab.toolchains.linking import library_lookup
from wasilab.toolchains.registry import toolchain_for
from wasilab.trace.answers.completeness import missing_for_replay
from wasilab.views.report.refused import refusals
from wasilab.wasi.preview1.spec import SNAPSHOT1

pytestmark = pytest.mark.toolchain
SOURCES = {
    "c": '#include <stdio.h>\nint main(void) {\n  return !fopen("/etc/passwd", "r");\n}\n',
    "c++": '#include <cstdio>\nint main() {\n  return !std::fopen("/etc/passwd", "r");\n}\n',
    "zig": 'extern "c" fn fopen(path: [*:0]const u8, mode: [*:0]const u8) ?*anyopaque;\n'
    'pub fn main() u8 {\n  return @intFromBool(fopen("/etc/passwd", "r") == null);\n}\n',
    "rust": 'fn main() {\n  let f = std::fs::File::open("/etc/passwd");\n  std::process::exit(f.is_err() as i32);\n}\n',
}
LINES = {"c": "cell.c:3", "c++": "cell.cpp:3", "zig": "cell.zig:3", "rust": "cell.rs:2"}


def compiled(language: str, source: str | None = None, flags: Sequence[str] = (), **options: bool) -> wasilab.Module:
    """The module of a program, which skips the test where its language has no compiler."""
    try:
        toolchain_for(language).find()
    except ToolchainMissing as error:
        pytest.skip(str(error).splitlines()[0])
    flags = ["-lc", *flags] if language == "zig" else flags
    return wasilab.compile(source or SOURCES[language], language, flags=flags, **options)


@pytest.fixture(params=SOURCES)
def refused(request: pytest.FixtureRequest) -> tuple[str, wasilab.Run]:
    """A language, and the run of a program that opens a file outside of its folder."""
    grants = wasilab.Grants(dirs={"/in": wasilab.MemDir({"a": "text"})})
    return request.param, wasilab.run(compiled(request.param), grants=grants, stacks=True)


def test_a_refused_path_is_an_event_with_its_line_and_its_remedy(refused: tuple[str, wasilab.Run]) -> None:
    language, run = refused
    assert run.exit_code == 1
    event = next(event for event in run.trace if event.name == "library_lookup")
    assert event.path == "/etc/passwd"
    assert run.trace.wasi_calls == len(run.trace) - 1
    group = refusals(run)[0]
    assert not group.inferred
    assert group.line == LINES[language]
    assert "program's own C library refused '/etc/passwd' without asking the host" in group.sentence
    assert group.remedy is not None
    assert group.remedy.text.endswith("::/etc")
    assert 'library_lookup(path="/etc/passwd")' in run.trace.text()
    assert run.trace.meta["library_lookups"] is True


@pytest.mark.timeout(900)  # zig builds its C library first, where no other test has
@pytest.mark.parametrize("flags", [["-OReleaseFast"], ["-OReleaseSmall"], ["-fno-entry", "-rdynamic"]])
def test_a_zig_program_reports_whatever_it_is_optimized_for(flags: list[str]) -> None:
    source = SOURCES["zig"].replace("pub fn main", "export fn look") if "-fno-entry" in flags else None
    module = compiled("zig", source, flags)
    run = wasilab.run(module) if source is None else wasilab.run(module, invoke="look")
    assert [event.path for event in run.trace if event.name == "library_lookup"] == ["/etc/passwd"]
    assert "library_lookup" not in {item.name for item in module.portable().imports}


def test_a_zig_program_without_the_c_library_asks_the_host() -> None:
    source = """const std = @import("std");
pub fn main() void {
    var file: std.os.wasi.fd_t = undefined;
    _ = std.os.wasi.path_open(3, .{}, "notes.txt", 9, .{}, .{}, .{}, .{}, &file);
}
"""
    module = wasilab.compile(source, "zig")
    assert not module.reports_lookups
    run = wasilab.run(module, stacks=True)
    group = refusals(run)[0]
    assert (group.inferred, group.line) == (False, "cell.zig:4")
    assert group.remedy is not None
    assert "--dir HOST::." in group.remedy.text
    assert not wasilab.run(module, grants=wasilab.Grants(dirs={".": wasilab.MemDir({"notes.txt": "x"})})).denied


def test_a_path_in_a_granted_folder_is_no_event() -> None:
    module = compiled("c", '#include <stdio.h>\nint main(void) { return !fopen("/in/a", "r"); }\n')
    run = wasilab.run(module, grants=wasilab.Grants(dirs={"/in": wasilab.MemDir({"a": "text"})}))
    assert run.exit_code == 0
    assert not run.denied


def test_without_any_folder_each_path_is_reported_and_a_programs_errno_is_its_own() -> None:
    source = """#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void) { fopen("/a", "r"); int first = errno; unlink("/b"); return first != ENOENT && first != ENOTCAPABLE; }
"""
    run = wasilab.run(compiled("c", source))
    assert run.exit_code == 0
    assert [event.path for event in run.trace if event.name == "library_lookup"] == ["/a", "/b"]


def test_a_portable_module_has_the_imports_of_wasi_alone() -> None:
    reporting = compiled("c")
    assert reporting.reports_lookups
    portable = reporting.portable()
    assert portable.bytes == compiled("c", portable=True).bytes
    assert {item.module for item in portable.imports} == {"wasi_snapshot_preview1"}
    assert portable.portable() is portable
    with pytest.raises(ModuleError, match="its source is not available: compile it again"):
        load(reporting.bytes).portable()


@pytest.mark.parametrize("flags", [[], ["--reports"]])
def test_what_is_written_out_is_portable_unless_asked_for(flags: list[str], tmp_path: Path) -> None:
    compiled("c")
    source, output = tmp_path / "a.c", tmp_path / "a.wasm"
    source.write_text(SOURCES["c"])
    assert main(["compile", str(source), "-o", str(output), "--quiet", *flags]) == 0
    assert load(output).reports_lookups == bool(flags)


def test_a_program_that_opens_nothing_has_no_such_import() -> None:
    module = compiled("c", "int main(void) { return 0; }\n")
    assert not module.reports_lookups
    assert {item.name for item in module.imports} <= set(SNAPSHOT1)


def test_a_program_without_a_c_library_links_all_the_same() -> None:
    module = wasilab.compile("void _start(void) {}\n", "c", flags=["-nostdlib", "-O1"])
    assert outcome_of(module).ok


def outcome_of(module: wasilab.Module) -> Outcome:
    outcome = wasilab.run(module).outcome
    assert outcome is not None
    return outcome


def test_an_error_of_the_program_is_shown_without_what_wasilab_adds() -> None:
    with pytest.raises(CompileError) as caught:
        compiled("c", "int absent(void);\nint main(void) { return absent(); }\n")
    assert "absent" in str(caught.value)
    assert "library_lookup" not in str(caught.value)


@pytest.mark.toolchain
@pytest.mark.timeout(900)  # zig builds its C library first, where no other test has
def test_a_program_of_zigs_c_compiler_reports_too(monkeypatch: pytest.MonkeyPatch) -> None:
    zig = next((path for _, path in find_zigs()), None)
    if zig is None:
        pytest.skip("there is no zig")
    monkeypatch.setenv("WASILAB_CC", f"{zig} cc")
    done = compile_source(SOURCES["c"], "c", reports=True)
    assert b"library_lookup" in done.wasm
    assert done.warnings == ""
    with pytest.raises(CompileError) as caught:
        compile_source("int absent(void);\nint main(void) { return absent(); }\n", "c", reports=True)
    assert "wasm-ld --" not in str(caught.value)


def test_zigs_link_commands_are_not_taken_for_warnings() -> None:
    said = "a.c:1: warning: x\nwasm-ld --error-limit=0 -o a.wasm a.o\nar rcs lib.a a.o\nmore\n"
    assert without_link(said) == "a.c:1: warning: x\nmore\n"


def test_reports_by_a_foreign_module_give_it_nothing() -> None:
    text = b"""(module (import "wasilab" "library_lookup" (func $f (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (data (i32.const 0) "/\\1b[31mx")
      (func (export "_start") (call $exit (call $f (i32.const ARGS)))))"""
    run = wasilab.run(load(text.replace(b"ARGS", b"0) (i32.const 7")))
    assert run.exit_code == 76
    assert "\x1b" not in str(run.denied)
    run = wasilab.run(load(text.replace(b"ARGS", b"65530) (i32.const 100")))
    assert run.exit_code == 134
    run = wasilab.run(load(text.replace(b"ARGS", b"0) (i32.const -1")))
    assert run.exit_code == 134


def test_a_recording_with_such_an_event_is_replayed(tmp_path: Path) -> None:
    run = wasilab.run(compiled("c"), grants=wasilab.Grants(dirs={"/in": wasilab.MemDir({})}), snaplen=None)
    assert missing_for_replay(run.trace) is None
    (tmp_path / "a.c").write_text(SOURCES["c"])
    recording = str(tmp_path / "a.wtrace")
    assert main(["run", "--quiet", "--record", recording, str(tmp_path / "a.c")]) == 1
    assert main(["replay", "--quiet", recording]) == 1


def test_other_names_of_that_module_are_not_provided() -> None:
    outcome = outcome_of(load(b'(module (import "wasilab" "more" (func)) (func (export "_start")))'))
    assert outcome.kind == "error"
    assert "imports what nothing here provides: function wasilab.more" in outcome.message


def test_the_object_is_complete() -> None:
    found = library_lookup.object_file()
    assert found[:8] == b"\0asm\1\0\0\0"
    assert found.count(b"library_lookup") == 2
    assert library_lookup.concerns("wasm-ld: error: unknown argument: --wrap=x")
    assert not library_lookup.concerns("undefined symbol: absent")
