"""What Tab offers on our lines, and that it offers nothing on others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from wasilab.magics.cells.completion import paths_of, suggestions

from ..trace.building import Builder
from ..views.fakes import FakeRun

LANGUAGES = ["c", "c++", "zig", "wat"]


def offered(text: str, names: tuple[str, ...] = (), paths: tuple[str, ...] = ()) -> list[str]:
    return suggestions(text, names, LANGUAGES, lambda: list(paths))[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "prog.wasm").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "lab.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_and_languages_come_first() -> None:
    assert "run" in offered("%wasi r")
    assert "inspect" not in offered("%wasi r")
    assert offered("%%wasi z") == ["zig"]
    assert offered("%%wasi ") == LANGUAGES


def test_options_are_those_of_the_command() -> None:
    assert "--dir" in offered("%%wasi c --d")
    assert "--detach" in offered("%%wasi c --d")
    assert "--into" in offered("%wasi demo --")
    assert "--dir" not in offered("%wasi demo --")
    assert offered("%%wasi c -- --d") == []


def test_values_are_those_of_the_option(folder: Path) -> None:
    assert offered("%%wasi c --rights ") == ["strict", "compat"]
    assert offered("%%wasi c --clock f") == ["frozen:0"]
    assert offered("%%wasi c --dir d") == ["data/"]
    assert "data::/" in offered("%%wasi c --dir data")
    assert "data:rw" in offered("%%wasi c --dir data")
    assert offered("%%wasi c --dir data::/x") == ["data::/x:ro", "data::/x:rw", "data::/x:copy"]
    assert offered("%%wasi c --dir ") == [".", "data/"]
    assert offered("%%wasi c --policy ") == ["data/", "lab.toml"]
    assert "notes.txt" in offered("%%wasi c --stdin n")


def test_programs_are_names_and_files(folder: Path) -> None:
    assert offered("%wasi run ", ("hello",)) == ["hello", "data/", "prog.wasm"]
    assert offered("%wasi run h", ("hello", "other")) == ["hello"]


def test_guest_paths_are_those_that_the_last_run_asked_for() -> None:
    paths = ("/books/a.txt", "relative.txt", "/books/b.txt")
    assert offered("%%wasi c --dir .::", paths=paths) == [".::/books", ".::/", ".::/data", ".::/tmp"]
    assert offered("%%wasi c --dir .::/b", paths=paths)[0] == ".::/books"
    assert offered("%wasi run --mem ", paths=paths) == ["/books", "/", "/data", "/tmp"]
    assert offered("%%wasi c -P /books/b", paths=paths) == ["/books/b.txt"]


def test_paths_of_a_run_are_safe_to_type() -> None:
    calls = Builder()
    calls.open(3, "/", preopen="/")
    calls.write_text(1, b"hello")
    calls.call("sched_yield")
    for path in (b"a", b"b c", b"x\x1b[31m", b"q'", b"a", b"d.e"):
        calls.path_open(3, path)
    run = FakeRun(calls.trace(), None)
    assert [call.path for call in run.trace][:4] == ["<stdout>", "", "/a", "/b c"]
    assert paths_of(run) == ["/a", "/d.e"]
    assert paths_of(None) == []
    assert paths_of(replace(run, traced=False)) == []


def test_arguments_are_those_of_the_command(folder: Path) -> None:
    (folder / "t.wtrace").touch()
    assert offered("%wasi template ") == LANGUAGES
    assert offered("%wasi template c w") == ["words"]
    assert "latency" in offered("%wasi plot l")
    assert "latency" in offered("%wasi plot hello ", ("hello",))
    assert "hello" in offered("%wasi plot ", ("hello",))
    assert offered("%wasi trace t", ("hello",)) == ["t.wtrace"]
    assert offered("%wasi doctor ") == []


def test_other_lines_and_broken_ones_get_nothing() -> None:
    assert offered("import os") == []
    assert offered("%%wasi c\nint main() {") == []
    assert offered("%%wasi c --env 'open ") == []
    assert offered("%wasi nonsense ") == []
    assert offered("%%wasi_file u") == []


def test_the_shell_asks_us(ipython: InteractiveShell) -> None:
    from wasilab.magics.wasi_magics import load_ipython_extension

    load_ipython_extension(ipython)
    ipython.Completer.use_jedi = False
    line = "%%wasi c --stra"
    _, found = ipython.complete("--stra", line, len(line))
    assert "--strace" in found
    _, found = ipython.complete("pri", "pri")
    assert "print" in found
