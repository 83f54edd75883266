"""Machine code made ahead of time: loaded only if this user made it here, and everything else refused in a sentence."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab import cli
from wasilab.engine.compiling import ahead_of_time as ahead
from wasilab.engine.compiling.ahead_of_time import AheadOfTimeError, key_path, load_machine_code, own_key, read_key
from wasilab.engine.compiling.elf import wasmtime_object
from wasilab.module.module import ModuleError, load
from wasilab.module.precompiled import MAGIC

HELLO = """(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello\\n") (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """hello.cwasm, made of hello.wat with a new key, in the current folder."""
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("hello.wat").write_text(HELLO)
    assert cli.main(["compile", "--aot", "hello.wat"]) == 0
    assert "hello.cwasm: " in capfd.readouterr().err
    return Path("hello.cwasm")


def refused(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What a run that is refused says: one line that ends in a command."""
    assert cli.main(["run", *words]) in (1, 2)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removesuffix("\n")


def test_it_runs_and_is_not_compiled(
    made: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_machine_code(made)
    assert module.bytes == bytes(wasmtime.wat2wasm(HELLO))
    Path("hello.wat").unlink()
    wasilab.engine.compiling.engines.clear()
    monkeypatch.setattr(wasmtime.Module, "__init__", lambda *given: pytest.fail("it was compiled"))
    assert cli.main(["run", "hello.cwasm"]) == 0
    assert capfd.readouterr().out == "hello\n"
    assert wasilab.run("hello.cwasm").stdout == "hello\n"
    assert wasilab.run(made, engine=wasilab.EngineOptions(max_stack=1 << 16)).outcome.ok


def test_the_key_is_this_users_alone(made: Path) -> None:
    assert key_path().stat().st_mode & 0o777 == 0o600
    assert own_key() == read_key()
    assert len(own_key()) == 32
    assert sorted(path.name for path in key_path().parent.iterdir() if "key" in path.name) == ["aot-key"]


FLIPS = [0, 5, 16, 20, 40, 300, 700, 5_000, 15_000, -33, -32, -1]


@pytest.mark.parametrize("at", FLIPS)
def test_a_flipped_bit_anywhere_is_refused(at: int, made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(made.read_bytes())
    data[at] ^= 1
    Path("bad.cwasm").write_bytes(data)
    said = refused(capfd, "bad.cwasm")
    assert said.endswith("; compile it again: wasilab compile --aot PROGRAM -o bad.cwasm")
    assert "was not made by you on this machine" in said or "is not machine code that wasilab made" in said


@pytest.mark.parametrize("size", [0, 1, 15, 16, 20, 47, 48, 100, 5_000, -1, -32])
def test_a_file_cut_short_is_refused(size: int, made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("bad.cwasm").write_bytes(made.read_bytes()[:size])
    assert "compile it again: wasilab compile --aot PROGRAM -o bad.cwasm" in refused(capfd, "bad.cwasm")


def test_bytes_after_its_end_are_refused(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with made.open("ab") as file:
        file.write(b"\0")
    assert "has changed since" in refused(capfd, "hello.cwasm")


def test_another_key_is_refused(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key_path().write_bytes(bytes(32))
    assert "was not made by you on this machine" in refused(capfd, "hello.cwasm")
    key_path().unlink()
    assert "was not made by you on this machine" in refused(capfd, "hello.cwasm")
    assert not key_path().exists()  # a file that is loaded makes no key


def test_a_module_beside_it_is_named_in_the_command(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("hello.wasm").write_bytes(wasmtime.wat2wasm(HELLO))
    key_path().unlink()
    assert refused(capfd, "hello.cwasm").endswith("wasilab compile --aot hello.wasm -o hello.cwasm")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--fuel", "1000"], "(fuel); compile it again: wasilab compile --aot hello.wat -o hello.cwasm --for-fuel"),
        (["-O", "none"], "(optimisation); compile it again: wasilab compile --aot hello.wat -o hello.cwasm -O none"),
        (["--nan-canonical"], "hello.cwasm --nan-canonical"),
        (["--debug-info"], "(debug-info); compile it again: wasilab compile --aot hello.wat -o hello.cwasm --debug-in"),
        (["--feature", "exceptions"], "(exceptions); compile it again: wasilab compile --aot hello.wat -o hello.cwas"),
        (["--feature", "simd=off"], "hello.cwasm --feature simd=off --feature relaxed-simd=off"),
    ],
)
def test_other_settings_are_refused_and_the_command_has_them(
    words: list[str], named: str, made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refused(capfd, *words, "hello.cwasm")
    assert named in said
    again = said.partition("wasilab compile ")[2].split()
    assert cli.main(["compile", *again]) == 0
    assert cli.main(["run", *words, "hello.cwasm"]) == 0
    assert capfd.readouterr().out == "hello\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("_wasmtime", "49.0.1", "was made for Wasmtime 50.0.1, and this is 49.0.1"),
        ("_target", "riscv64-linux", "and this is riscv64-linux"),
        ("_machine", "other", "was made on another machine"),
    ],
)
def test_another_version_or_machine_is_refused(
    name: str, value: str, said: str, made: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = said.replace("50.0.1", str(wasilab.engine.compiling.advisories.installed()))
    monkeypatch.setattr(ahead, name, lambda *given: value)
    answer = refused(capfd, "hello.cwasm")
    assert said in answer
    assert answer.endswith("compile it again: wasilab compile --aot hello.wat -o hello.cwasm")


def link_to_another(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


KEYS: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.chmod(0o644), "other users can read or change it"),
    (lambda path: path.chmod(0o620), "other users can read or change it"),
    (link_to_another, "it is a link"),
    (lambda path: path.write_bytes(b"short"), "it does not have 32 bytes"),
    (lambda path: path.write_bytes(bytes(33)), "it does not have 32 bytes"),
    (lambda path: (path.unlink(), path.mkdir()), "it is not a file"),
    (lambda path: (path.unlink(), os.mkfifo(path)), "it is not a file"),
]


@pytest.mark.parametrize(("change", "why"), KEYS)
def test_a_key_that_others_could_know_or_choose_is_not_used(
    change: Callable[[Path], object], why: str, made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(key_path())
    assert f"cannot be trusted: {why}; delete it, and compile the programs again" in refused(capfd, "hello.cwasm")
    assert cli.main(["compile", "--aot", "hello.wat", "-o", "new.cwasm"]) == 2
    assert not Path("new.cwasm").exists()


def test_a_cache_folder_that_others_can_write_is_not_used(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key_path().parent.chmod(0o777)
    assert "the cache folder" in refused(capfd, "hello.cwasm")


def test_what_was_verified_is_what_is_loaded(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is exchanged after it was read: the bytes that were read are used."""
    before = ahead.verified

    def exchanged(data: bytes, path: Path) -> ahead.MadeAhead:
        path.write_bytes(b"something else")
        return before(data, path)

    monkeypatch.setattr(ahead, "verified", exchanged)
    assert wasilab.run(load_machine_code(made)).stdout == "hello\n"


def test_wasmtimes_own_file_is_refused_and_named(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = bytes(wasmtime.Module(wasmtime.Engine(), HELLO).serialize())
    Path("cli.cwasm").write_bytes(code)
    said = refused(capfd, "cli.cwasm")
    assert "cli.cwasm is machine code of Wasmtime " in said
    assert "that wasilab did not make, and loading it would run any native code in it" in said
    assert cli.main(["inspect", "cli.cwasm"]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("cli.cwasm: machine code made by Wasmtime ")
    assert "  not run   cli.cwasm is machine code of Wasmtime " in shown


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF", b"\x7fELF\2\1" + b"\xff" * 500, MAGIC])
def test_other_files_with_this_suffix_are_refused(
    content: bytes, tmp_path: Path, made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("x.cwasm").write_bytes(content)
    assert "; compile it again: wasilab compile --aot PROGRAM -o x.cwasm" in refused(capfd, "x.cwasm")
    assert cli.main(["inspect", "x.cwasm"]) == 0
    assert "  not run   " in capfd.readouterr().out


def test_a_name_cannot_write_into_the_command(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("a; b\x1b[2J.cwasm").write_bytes(b"x")
    said = refused(capfd, "a; b\x1b[2J.cwasm")
    assert "\x1b" not in said
    assert said.endswith("-o $'a; b\\x1b[2J.cwasm'")


def test_inspect_says_what_it_is(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "hello.cwasm"]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("hello.cwasm: machine code made ahead of time by wasilab\n")
    assert "  made      by you on this machine, with Wasmtime " in shown
    assert "  settings  no " in shown
    assert "it was made of\nhello.wat: a command" in shown
    assert cli.main(["inspect", "--json", "hello.cwasm"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["runs_here"], told["why_not"], told["name"]) == (True, None, "hello.wat")
    assert told["settings"]["wasm_gc"] == 0


def test_other_readers_name_it(made: Path) -> None:
    with pytest.raises(ModuleError, match="machine code made ahead of time, which only wasilab run and inspect read"):
        load(made)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for-fuel", "hello.wat"], "--for-fuel is about machine code: write --aot too"),
        (["-O", "none", "hello.wat"], "--optimize is about machine code: write --aot too"),
        (["--feature", "gc", "hello.wat"], "--feature is about machine code: write --aot too"),
        (["--aot", "--feature", "gcc", "hello.wat"], "unknown WebAssembly feature 'gcc'; did you mean 'gc'?"),
        (["--aot", "--component", "hello.wat"], "--aot is for core modules, and --component makes a component"),
        (["--aot", "hello.cwasm"], "'hello.cwasm' is machine code already: name the program that it was made of"),
        (["--aot", "component.wasm"], "component.wasm is a component, and --aot is for core modules"),
        (["--aot", "hello.wat", "-o", "absent/x"], "there is no folder 'absent'"),
        (["--aot", "invalid.wasm"], "invalid.wasm is not valid WebAssembly"),
    ],
)
def test_wrong_arguments_give_one_sentence(
    words: list[str], said: str, made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("component.wasm").write_bytes(wasmtime.wat2wasm("(component)"))
    Path("invalid.wasm").write_bytes(wasmtime.wat2wasm("(module (func (result i32)))"))
    assert cli.main(["compile", *words]) == 2
    assert said in capfd.readouterr().err


def test_hostile_objects_are_read_within_bounds() -> None:
    """Every field of the header of an ELF object, and of the table of sections, is set to the extremes."""
    code = bytes(wasmtime.Module(wasmtime.Engine(), "(module)").serialize())
    assert wasmtime_object(code) is not None
    (table,) = struct.unpack_from("<Q", code, 40)
    places = [*range(16, 64), *range(table, min(len(code), table + 64 * 12))]
    for at in places:
        for value in (0, 1, 0x7F, 0xFF):
            wasmtime_object(code[:at] + bytes([value]) + code[at + 1 :])
    for size in range(0, len(code), 97):
        wasmtime_object(code[:size])
    with pytest.raises(AheadOfTimeError):
        ahead.verified(code, Path("x.cwasm"))
