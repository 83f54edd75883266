"""What a kind of program cannot use: a grant has no effect and a note says so, all else is refused before the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

import wasilab
from wasilab import Channel, Grants, cli, listen
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.grants.fields import grant_fields
from wasilab.grants.fitting import DoesNotFit
from wasilab.module.module import Module, from_wat

CORE = '(module (import "{}" "proc_exit" (func (param i32))) (memory (export "memory") 1) (func (export "_start")))'
NETWORK = ["--connect", "127.0.0.1:1", "--resolve", "example.org", "--http", "http://example.org"]


def core(wasi: str = "wasi_snapshot_preview1") -> Module:
    return from_wat(CORE.format(wasi), name="core.wasm")


def component() -> Module:
    return Module(bytes(wasmtime.wat2wasm("(component)")), "c.wasm")


@pytest.mark.parametrize("isolated", [[], ["--isolate"]], ids=["here", "isolated"])
def test_a_core_module_is_told_that_what_only_components_use_has_no_effect(
    tmp_path: Path, isolated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "core.wasm"
    file.write_bytes(core().bytes)
    assert cli.main(["run", *isolated, *NETWORK, str(file)]) == 0
    said = capsys.readouterr().err
    for flag, call in (("connect", "connects"), ("resolve", "looks up a name"), ("http", "sends a request")):
        assert f"--{flag} has no effect on core.wasm: preview 1 has no call that {call}; only components have" in said


def test_every_grant_that_says_it_is_for_components_is_one_of_them() -> None:
    fields = grant_fields(Grants)
    assert {name for name, about in fields.items() if about.component_only} == {
        name for name, about in fields.items() if "let a component" in about.words
    }


def test_a_note_is_made_only_where_there_is_no_effect() -> None:
    assert wasilab.run(core()).outcome.warnings == ()
    assert wasilab.run(core(), grants=Grants(sockets=(listen("127.0.0.1:0"),))).outcome.warnings == ()
    old = wasilab.run(core("wasi_unstable"), grants=Grants(sockets=(listen("127.0.0.1:0"),)))
    assert [words.partition(":")[0] for words in old.outcome.warnings] == ["--listen has no effect on core.wasm"]
    channel = Grants(sockets=(Channel().left,))  # a descriptor that it can read
    assert wasilab.run(core("wasi_unstable"), grants=channel).outcome.warnings == ()
    run = wasilab.run(component(), invoke="f", grants=Grants(connect=("127.0.0.1:1",)))
    assert not any("no effect" in words for words in run.outcome.warnings)


def test_a_preload_that_nothing_imports_has_no_effect() -> None:
    lib = from_wat('(module (func (export "f")))', name="lib.wasm")
    user = from_wat('(module (import "lib" "f" (func)) (func (export "_start")))', name="user.wasm")
    assert wasilab.run(user, preload={"lib": lib}).outcome.warnings == ()
    other = from_wat('(module (import "more" "f" (func)) (func (export "f")))', name="other.wasm")
    assert wasilab.run(user, preload={"lib": other, "more": lib}).outcome.warnings == ()
    run = wasilab.run(user, preload={"lib": lib, "lob": lib})
    assert run.outcome.warnings == ("--preload lob has no effect on user.wasm: no import is of 'lob', only of 'lib'",)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--inject", "fd_write:error=EIO"], "--inject is not for c.wasm, a component: faults are injected"),
        (["--unknown-imports", "trap"], "--unknown-imports is not for c.wasm, a component"),
        (["--unknown-imports", "default"], "--unknown-imports is not for c.wasm, a component"),
        (["--trap-on-grow-failure"], "--trap-on-grow-failure is not for c.wasm, a component"),
        (["--coredump", "core"], "--coredump is not for c.wasm, a component: core dumps are made of core modules"),
        (["--profile", "guest"], "--profile guest is not for c.wasm, a component"),
        (["--snapshots", "--trace", "t.wtrace"], "--snapshots is not for c.wasm, a component: the memory at a call"),
        (["--preload", "lib=c.wasm"], "--preload is not for c.wasm, a component: its imports are interfaces"),
    ],
)
def test_a_component_is_refused_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.wasm").write_bytes(component().bytes)
    assert cli.main(["run", *flags, "c.wasm"]) == 2
    assert why in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c.wasm"]


def test_python_refuses_the_same() -> None:
    for engine in (EngineOptions(coredump=True), EngineOptions(profile="guest"), EngineOptions(unknown_imports="trap")):
        with pytest.raises(DoesNotFit, match="a component"):
            wasilab.run(component(), engine=engine)
        with pytest.raises(DoesNotFit, match="a component"):
            wasilab.instantiate(component(), engine=engine)
    with pytest.raises(DoesNotFit, match="the memory at a call"):
        wasilab.instantiate(component(), snapshots=True)
    assert "is not for" not in wasilab.run(component(), engine=EngineOptions(unknown_imports="error")).outcome.message


def test_an_isolated_run_cannot_write_what_perf_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "core.wasm"
    file.write_bytes(core().bytes)
    assert cli.main(["run", "--isolate", "--profile", "perfmap", str(file)]) == 2
    assert "that of an isolated run can write none" in capsys.readouterr().err
