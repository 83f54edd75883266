"""Languages by name, alias and suffix; unknown ones get a suggestion."""

from __future__ import annotations

import re
import subprocess

import pytest

from wasilab.toolchains.base import Toolchain
from wasilab.toolchains.diagnostics import ToolchainError
from wasilab.toolchains.registry import LANGUAGES, NAMES, language_name, language_of_path, toolchain_for


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_complete(language: str) -> None:
    toolchain = toolchain_for(language)
    assert isinstance(toolchain, Toolchain)
    assert toolchain.language == language
    assert toolchain.template.strip()
    assert "install" in toolchain.install or "rustup" in toolchain.install
    assert all(language_name(alias) == language for alias in toolchain.aliases)
    assert all(language_of_path("x" + suffix) == language for suffix in toolchain.suffixes if suffix != ".c++")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_install_line_can_be_pasted_into_a_shell(language: str) -> None:
    line = toolchain_for(language).install
    if line.startswith("install rustup"):  # there is no one command for it
        assert "https://rustup.rs" in line
        return
    checked = subprocess.run(["sh", "-n", "-c", line], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, ""), line


def test_names_aliases_and_suffixes() -> None:
    assert [language_name(name) for name in ("C", "cpp", ".rs", "golang", "AS", " wat ")] == [
        "c", "c++", "rust", "go", "assemblyscript", "wat",
    ]  # fmt: skip
    assert set(LANGUAGES) <= set(NAMES)


def test_an_unknown_language_is_told_with_a_suggestion() -> None:
    with pytest.raises(ToolchainError, match=r"unknown language 'rusty'; did you mean 'rust'\? \(known: c, c\+\+, zig"):
        toolchain_for("rusty")
    with pytest.raises(ToolchainError, match=r"unknown language 'brainfuck' \(known"):
        toolchain_for("brainfuck")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("typescript", "assemblyscript"), ("tinygo", "go"), ("gcc", "c"), ("g++", "c++"), ("wasm", "wat")],
)
def test_a_neighbouring_language_is_answered_with_the_one_that_is_here(name: str, meant: str) -> None:
    with pytest.raises(ToolchainError, match=rf"did you mean '{re.escape(meant)}'\? "):
        language_name(name)


@pytest.mark.parametrize("path", ["a.lua", "Makefile", "a.h", "a.", ""])
def test_a_file_of_no_language_is_told_what_to_give(path: str) -> None:
    with pytest.raises(ToolchainError, match="give --lang"):
        language_of_path(path)
