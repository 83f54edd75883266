"""What the README and ARCHITECTURE.md name is there: files, rooms, the commands of the table of what can be run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from wasilab.cli import main

from .test_architecture import ORDER

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "wasilab" / "ARCHITECTURE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = tuple(path.name for path in (ROOT / "wasilab").iterdir() if path.is_dir() and not path.name.startswith("_"))


def paths(text: str) -> set[str]:
    """What stands in backquotes and looks like a path of the repository or of the package."""
    quoted = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text))
    return {word for word in quoted if "/" in word or word.endswith((".py", ".md", ".c"))}


def missing(text: str) -> list[str]:
    """Those that are not below the repository or the package, nor, as the folders in a row of a room, below a room."""
    roots = (ROOT, ROOT / "wasilab", *(ROOT / "wasilab" / room for room in ROOMS))
    return sorted(path for path in paths(text) if not any((root / path).exists() for root in roots))


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below a heading, without its own heading."""
    part = text.split(f"\n## {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[0].splitlines()[2:]]


def test_every_path_that_the_architecture_names_exists() -> None:
    assert len(paths(DOCUMENT)) > 60
    assert missing(DOCUMENT) == []


def test_every_path_that_the_security_document_names_exists() -> None:
    text = (ROOT / "wasilab" / "SECURITY.md").read_text(encoding="utf-8")
    assert len(paths(text)) > 10
    assert missing(text) == []


def test_every_place_for_something_new_exists() -> None:
    part = README.split("\n## How to contribute\n", 1)[1]
    assert len(paths(part)) > 12
    assert missing(part) == []


def test_the_rooms_are_listed_in_the_enforced_order() -> None:
    told = [re.sub(r"[`/]|\.py", "", cells[0]) for cells in table(DOCUMENT, "Rooms and their order")]
    enforced = [room for room in ORDER if room in told]
    assert told == enforced
    assert {room for room in ROOMS if list((ROOT / "wasilab" / room).glob("*.py"))} <= set(told)


def test_the_glossary_has_forty_words_in_order() -> None:
    words = [cells[0] for cells in table(DOCUMENT, "Glossary")]
    assert len(words) >= 40
    assert words == sorted(words, key=str.casefold)
    assert all(len(cells) == 2 and cells[1] for cells in table(DOCUMENT, "Glossary"))


RUNS = {
    "hello.c": (0, "Hello, WASI!"),
    "hello.wasm": (0, "Hello, WASI!"),
    "adder.wat": (0, "3\n"),
    "app.wat": (0, "4\n"),
    "component.wat": (0, "3\n"),
}
"""What each command of the README's table of what can be run ends with and says, by its program."""
ADDER = """(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""
LIBRARY = """(module (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"""
APP = """(module (import "library" "twice" (func $twice (param i32) (result i32)))
  (func (export "four") (param i32) (result i32) (call $twice (call $twice (local.get 0)))))"""
COMPONENT = f"""(component (core module $m {ADDER.removeprefix("(module ").removesuffix(")")})
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"""


def commands() -> list[str]:
    """The commands of the table."""
    return [cells[1].strip("`") for cells in table(README, "What can be run")]


def test_each_row_of_what_can_be_run_is_tried() -> None:
    assert {program for line in commands() for program in RUNS if program in line} == set(RUNS)
    assert len(commands()) == len(RUNS)


@pytest.mark.toolchain
def test_what_can_be_run_is_run_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("hello.c", "hello.wat"):
        shutil.copy(ROOT / "wasilab" / "examples" / name, tmp_path)
    for name, text in {"adder": ADDER, "library": LIBRARY, "app": APP, "component": COMPONENT}.items():
        (tmp_path / f"{name}.wat").write_text(text, encoding="utf-8")
    assert main(["compile", "hello.wat", "-o", "hello.wasm"]) == 0
    capfd.readouterr()
    for line in commands():
        (expected,) = [answer for program, answer in RUNS.items() if program in line]
        words = shlex.split(line)
        assert words[0] == "wasilab"
        status = main(words[1:])
        said = "".join(capfd.readouterr())
        assert (status, expected[1] in said) == (expected[0], True), f"{line}\n{said}"


NOT_RUN = {
    "threads": ('(module (import "env" "memory" (memory 1 1 shared)) (func (export "_start")))', "threads"),
    "64-bit": (
        """(module (import "wasi_snapshot_preview1" "fd_close" (func $f (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") i64 1) (func (export "_start")
        (drop (call $w (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))))""",
        "64-bit memory",
    ),
    "Emscripten": (
        '(module (import "env" "emscripten_resize_heap" (func (param i32) (result i32))) (func (export "_start")))',
        "env.emscripten_resize_heap",
    ),
    "interfaces": ('(component (import "acme:shop/cart@1.0.0" (instance)))', "acme:shop/cart@1.0.0"),
}  # fmt: skip
"""What the README says is not run: a program, and what the one line about it names."""


@pytest.mark.parametrize("word", NOT_RUN)
def test_what_is_not_run_is_refused_in_one_sentence(
    word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert word in README.split("\n## What can be run\n")[1].split("\n## ")[0]
    source, named = NOT_RUN[word]
    (tmp_path / "program.wat").write_text(source, encoding="utf-8")
    assert main(["run", str(tmp_path / "program.wat")]) != 0
    said = capfd.readouterr().err
    assert named in said
    assert "Traceback" not in said
