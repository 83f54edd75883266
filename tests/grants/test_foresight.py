"""The predictions from a module's imports agree with what the host answers when it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wasilab
from wasilab import Grants, HostDir, MemDir
from wasilab.cli import main
from wasilab.grants.advice.foresight import ABILITIES, differing, foresee
from wasilab.module.module import Module, load
from wasilab.wasi.preview1.spec import SNAPSHOT1

PATH = "(i32.const 3) (i32.const 16) (i32.const 1)"
CALLS = {
    "path_create_directory": PATH,
    "path_remove_directory": PATH,
    "path_unlink_file": PATH,
    "path_symlink": "(i32.const 16) (i32.const 1) (i32.const 3) (i32.const 18) (i32.const 1)",
    "path_filestat_get": "(i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 256)",
    "fd_readdir": "(i32.const 3) (i32.const 256) (i32.const 100) (i64.const 0) (i32.const 64)",
    "clock_time_get": "(i32.const 0) (i64.const 0) (i32.const 64)",
    "random_get": "(i32.const 64) (i32.const 4)",
}


def calling(name: str) -> Module:
    """A command that makes one call."""
    types = " ".join(SNAPSHOT1[name].signature)
    return load(
        f"""(module (import "wasi_snapshot_preview1" "{name}" (func $f (param {types}) (result i32)))
          (memory (export "memory") 1) (data (i32.const 16) "n m")
          (func (export "_start") (drop (call $f {CALLS[name]}))))""".encode()
    )


GRANTS = {
    "nothing": lambda folder: Grants.nothing(),
    "ro": lambda folder: Grants(dirs={"/d": HostDir(folder)}),
    "rw": lambda folder: Grants(dirs={"/d": HostDir(folder, "rw")}),
    "memory": lambda folder: Grants(dirs={"/d": MemDir()}),
    "withheld": lambda folder: Grants(
        dirs={"/d": MemDir()}, withheld={"/d": ["path_unlink_file", "path_symlink", "fd_readdir"]}
    ),
    "usual": lambda folder: Grants(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", GRANTS)
def test_predictions_match_what_happens(name: str, given: str, tmp_path: Path) -> None:
    grants = GRANTS[given](str(tmp_path))
    module = calling(name)
    (told,) = foresee(module, grants).imports
    run = wasilab.run(module, grants=grants)
    refused = bool(run.denied) or int(run.trace[0].errno or 0) == 8  # BADF: there is no such descriptor
    assert told.refused == refused, f"{told}; {run.trace.text()}"


def test_what_is_not_imported_can_never_be_done() -> None:
    found = foresee(calling("path_unlink_file"), Grants())
    assert "cannot delete: imports neither path_unlink_file nor path_remove_directory" not in found.never
    assert "cannot list a folder: does not import fd_readdir" in found.never
    empty = foresee(load(b"(module)"), Grants())
    assert len(empty.never) == len(ABILITIES)
    assert empty.imports == ()
    for _, calls in ABILITIES:
        assert set(calls) <= set(SNAPSHOT1)


def test_unknown_imports_and_other_modules_are_named() -> None:
    module = load(
        b"""(module (import "wasi_snapshot_preview1" "fd_teleport" (func)) (import "env" "help" (func))
          (import "wasi_unstable" "fd_close" (func (param i32) (result i32))))"""
    )
    found = foresee(module, Grants())
    assert found.unknown == ("wasi_snapshot_preview1.fd_teleport",)
    assert found.elsewhere == ("env",)
    assert [one.refused for one in found.imports] == [True, False]


def test_two_modules_are_compared() -> None:
    assert differing(calling("random_get"), calling("clock_time_get")) == (["random_get"], ["clock_time_get"], [])


def test_inspect_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("path_unlink_file", "random_get"):
        Path(f"{name}.wasm").write_bytes(calling(name).bytes)
    assert main(["inspect", "random_get.wasm"]) == 0
    said = capsys.readouterr().out
    assert "it can never\n" in said
    assert "  delete (imports neither path_unlink_file nor path_remove_directory)\n" in said
    assert main(["inspect", "--under", "--dir . --no-stdout", "path_unlink_file.wasm"]) == 0
    said = capsys.readouterr().out
    assert "1 import of 1 would be refused" in said
    assert "not in '.'" in said
    assert main(["inspect", "path_unlink_file.wasm", "random_get.wasm"]) == 0
    assert "random_get.wasm cannot delete, and path_unlink_file.wasm could" in capsys.readouterr().out
    assert main(["inspect", "--json", "--under", "--dir .:rw", "path_unlink_file.wasm"]) == 0
    assert json.loads(capsys.readouterr().out)["imports"][0]["refused"] is False


@pytest.mark.parametrize(
    ("flags", "words"),
    [("--frob x", "'--frob' is not a grant"), ("'", "--under"), ("--dir /nowhere/at", "/nowhere/at"), ("x", "no")],
)  # fmt: skip
def test_flags_that_are_no_grants_are_refused(
    flags: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.wat"
    file.write_text("(module)")
    assert main(["inspect", f"--under={flags}", str(file)]) == 2
    assert words in capsys.readouterr().err
