"""What does this module do? The findings of `explore`, also for hostile modules."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import wasilab
from wasilab.cli import main
from wasilab.grants.value import GrantError
from wasilab.runs.experiments import exploring
from wasilab.runs.experiments.exploring import Exploration

EVIL = b"/<img src=x onerror=alert(1)>\x1b[31m\xe2\x80\xae.txt"
OPEN = """(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"""


def wat(body: str, *, imports: str = OPEN, data: bytes = b"") -> str:
    text = "".join(f"\\{byte:02x}" for byte in data)
    start = f'(func (export "_start") {body})'
    return f'(module {imports} (memory (export "memory") 1) (data (i32.const 64) "{text}") {start})'


def opening(length: int, flags: int = 0) -> str:
    return (
        f"(drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const {length}) (i32.const {flags})"
        " (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 8)))"
    )


def explored(text: str, name: str = "unknown.wasm", seconds: float = 20.0) -> Exploration:
    return wasilab.explore(wasilab.compile(text, "wat", name=name), seconds=seconds)


class _Passive(HTMLParser):
    """Fails at what a page could fetch, follow or run."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "iframe", "object", "link", "a", "form")
        assert not {name for name, _ in attrs if name in ("src", "href", "srcdoc") or name.startswith("on")}


def both(found: Exploration, folder: Path) -> str:
    """The text and the page, of which nothing is obeyed."""
    found.to_html(folder / "page.html")
    page, text = (folder / "page.html").read_text(encoding="utf-8"), str(found)
    for shown in (page, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    _Passive().feed(page)
    assert len(page) < 300_000
    assert len(text) < 30_000
    return text


def test_an_unknown_module_is_described_in_plain_words(tmp_path: Path) -> None:
    found = explored(wat(opening(13), data=b"data/text.txt"))
    assert found.run is not None
    assert found.run.outcome is not None
    assert found.run.outcome.ok
    assert found.paths == [("/data/text.txt", "not there")]
    assert found.command() == "wasilab run --deny-all --dir data::/data unknown.wasm"
    text = both(found, tmp_path)
    assert "names in its directories" in text
    assert "get random bytes (does not import random_get)" in text
    assert "--dir data::/data: choose the folder that holds /data/text.txt" in text
    assert "It can never use the network." in text


def test_a_file_that_it_makes_needs_a_folder_to_write(tmp_path: Path) -> None:
    found = explored(wat(opening(8, flags=1), data=b"made.txt"))
    assert [folder.flag for folder in found.folders] == [("--dir", ".::.:rw")]
    assert "made.txt" in both(found, tmp_path)


def test_the_first_run_has_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    real = exploring.run_program
    monkeypatch.setattr(exploring, "run_program", lambda *a, **k: given.append((a, k)) or real(*a, **k))
    explored(wat(""))
    (_, _, grants), options = given[0]
    assert options["isolate"] is True
    assert [type(folder).__name__ for folder in grants.dirs.values()] == ["MemDir"]
    assert not grants.env
    assert not grants.sockets
    assert [grants.connect, grants.resolve, grants.http] == [(), (), ()]
    assert grants.stdin == b""
    assert grants.limits.seconds == 20.0
    assert grants.limits.memory <= 256 << 20


def test_a_component_is_described_in_the_same_words(tmp_path: Path) -> None:
    found = explored("""(component
      (import "wasi:random/random@0.2.0" (instance $r (export "get-random-u64" (func (result u64)))))
      (core func $draw (canon lower (func $r "get-random-u64")))
      (core module $m (import "" "draw" (func $draw (result i64)))
        (func (export "run") (result i32) (drop (call $draw)) (i32.const 0)))
      (core instance $i (instantiate $m (with "" (instance (export "draw" (func $draw))))))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance $run (export "run" (func $run)))
      (export "wasi:cli/run@0.2.0" (instance $run)))""")  # fmt: skip
    assert found.problem == ""
    text = both(found, tmp_path)
    assert "a component" in text
    assert "random bytes (1 call in the first run)" in text
    assert "use the network" in text


HOSTILE = {
    "html in a path": (wat(opening(len(EVIL)), data=EVIL), r"onerror=alert\(1\)>\\x1b\[31m\\u202e\.txt"),
    "an endless loop": (wat("(loop $x (br $x))"), "Stopped by a limit"),
    "calls without end": (wat(f"(loop $x {opening(2)} (br $x))", data=b"ab"), "Stopped by a limit"),
    "memory without end": (
        wat("(loop $x (br_if $x (i32.ne (memory.grow (i32.const 100)) (i32.const -1))))"), "Ended well",
    ),
    "memory from the start": ('(module (memory 65536) (func (export "_start")))', "Stopped by a limit"),
    "long names of imports": (
        wat("", imports=f'(import "{"A" * 5000}\\1b" "<script>{"x" * 9000}" (func))'), "imports from elsewhere",
    ),
    "a name that WASI lacks": (
        wat("", imports=f'(import "wasi_snapshot_preview1" "<script>{"x" * 900}\\1b" (func))'), "unknown",
    ),
    "many imports": (
        wat("", imports="".join(f'(import "wasi_snapshot_preview1" "n{i}" (func))' for i in range(3000))), "unknown",
    ),
    "a trap": (wat("unreachable"), "Trapped"),
    "nothing at all": ("(module)", "nothing of WASI"),
    "many exports": (
        '(module (func $f) ' + "".join(f'(export "<script>{i}" (func $f))' for i in range(2000)) + ")", "a library",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case == "html in a path" else [pytest.mark.slow]) for case in HOSTILE]
)
def test_a_hostile_module_gives_a_page(case: str, tmp_path: Path) -> None:
    text, words = HOSTILE[case]
    found = explored(text, name="<script>alert(1)</script>\x1b.wasm", seconds=0.5)
    assert re.search(words, both(found, tmp_path))


def test_a_program_that_could_not_run_is_not_reported_as_harmless(tmp_path: Path) -> None:
    text = both(explored(wat("", imports='(import "other" "f" (func))')), tmp_path)
    assert "Could not run" in text
    assert "it looked for no file" not in text
    assert "did not" not in text
    assert "to go on with" not in text


def test_a_module_that_cannot_be_isolated_is_described_and_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GrantError("this kernel has no walls <b>")

    monkeypatch.setattr(exploring, "run_program", refuse)
    found = explored(wat(opening(2)))
    assert found.run is None
    assert "it was not run: this kernel has no walls <b>" in both(found, tmp_path)


@pytest.mark.parametrize(
    ("data", "words"), [(b"hi\n", "is not a WebAssembly module"), (b"\0asm\1\0\0\0\xff", "damaged"), (b"", "")]
)
def test_what_is_no_module_is_one_sentence(
    data: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wasm").write_bytes(data)
    assert main(["explore", "x.wasm", "-o", "page.html"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("page.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["x.wat", "-o", "page.txt"], "ends in .html"), (["x.wat", "-o", "no/page.html"], "there is no folder"),
     (["y.wat"], "there is no file"), (["--timeout", "0", "x.wat"], "not a number of seconds"), ([], "FILE missing")],
)  # fmt: skip
def test_a_wrong_command_is_one_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wat").write_text(wat(""))
    assert main(["explore", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_page_is_written_and_arguments_are_the_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wat").write_text(wat(""))
    assert main(["explore", "x.wat", "-o", "page.html", "--", "one", "-o"]) == 0
    page = Path("page.html").read_text()
    assert "wasilab run --deny-all x.wat one -o" in page
    assert "prefers-color-scheme: dark" in page


def test_in_a_notebook_it_is_a_page_with_a_plain_form() -> None:
    found = explored(wat(""))
    bundle = found._repr_mimebundle_()
    assert "sandbox" in bundle["text/html"]
    assert bundle["text/plain"] == str(found)
