r"""Guest text with active content: tags, escape sequences, bidirectional overrides, forged lines, wherever it is shown.

Places where a guest (or the author of a module) chooses text: paths it asks for, names and links in folders, what it
writes, arguments and variables it echoes, import and export names, function and module names of the name section.
Places where a person sees it: `Trace.text`, `summary`, `denied`, events, tables, `repr(run)`, `run.error`, warnings,
the report in a notebook, the report as a file, the command line's stderr. In none of them may be a live control
character, a bidirectional override, a forged line or an unescaped tag. The one exception is the guest's own output,
streamed as it is to a terminal.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab import Limits
from wasilab.module.module import ModuleError, from_wat, load

from .conftest import PYTHON_HERE, Yard
from .guests import ALL, CREAT, OUT, Guest
from .test_memory import BUFFER, IOVECS

TEXTS: dict[str, bytes] = {
    "script": b"<script>alert(1)</script>",
    "breakout": b"</script></style></pre>--><pwned onload=alert(1)>",
    "attribute": b"x\" onmouseover=alert(1) y='",
    "image": b"<img src=x onerror=alert(1)>",
    "entity": b"&lt;b&#x1b;",
    "colour": b"\x1b[31mred\x1b[0m",
    "title": b"\x1b]0;title\x07",
    "link": b"\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "c1": b"\xc2\x9b31m\xc2\x9d0;x\xc2\x9c",
    "cursor": b"\x1b[2J\x1b[1;1H",
    "return": b"real\rforged",
    "lines": b'a\n1 path_open("forged") = 0\nb',
    "backspace": b"evil\x08\x08\x08\x08good",
    "bidi": "\u202etxt.exe\u2066\u2069\u200f".encode(),
    "hidden": "zero\u200bwidth\ufeff\u2060".encode(),
    "separator": "line\u2028paragraph\u2029".encode(),
    "tags": "\U000e0001\U000e0041".encode(),
    "template": b"{{7*7}}${7*7}%s%n{0.__class__}",
    "markdown": b"[x](javascript:alert(1)) ![y](http://evil.example/p.png)",
    "math": b"$$\\href{javascript:alert(1)}{x}$$",
    "long": b"L" * 4000,
}
"""What a name may be: UTF-8 without a NUL."""
BROKEN = {"nul": b"a\0b", "not utf-8": b"\xff\xfe\x80", "surrogate": b"\xed\xa0\x80"}
"""What no name can be, but what is written and passed all the same."""

LIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def dead(text: str, where: str) -> None:
    """Assert that nothing in a text is obeyed by a terminal."""
    found = LIVE.search(text)
    assert found is None, f"{where}: {found.group()!r} in {text[max(0, found.start() - 60) : found.end() + 60]!r}"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def harmless(page: str, where: str) -> None:
    """Assert that a page has no element, script or handler of a guest's making."""
    dead(page, where)
    tags = _Tags()
    tags.feed(page)
    for tag, attributes in tags.seen:
        assert tag != "pwned", where
        assert not [name for name in attributes if name.startswith("on")], (where, tag, attributes)
        for name in ("src", "href", "action", "data", "formaction"):
            value = attributes.get(name) or ""
            assert "javascript:" not in value, (where, tag)
            assert "evil.example" not in value, (where, tag)
        if attributes.get("srcdoc"):
            assert attributes.get("sandbox") == "", (where, "the frame may run scripts")
            harmless(attributes["srcdoc"] or "", where + ", in its frame")
    assert "<script>alert" not in page, where


def shown(run: wasilab.Run, tmp_path: Path) -> None:
    """Look at a run in every way that a person has, and assert that all of it is harmless."""
    trace = run.trace
    dead(trace.text(), "trace.text()")
    assert trace.text().count("\n") <= len(trace) + 5, "a line was forged"
    dead(str(trace.summary()), "summary")
    dead(repr(trace), "repr(trace)")
    dead(str(run.denied), "denied")
    for one in run.denied:
        dead(str(one), "one refusal")
    for event in trace:
        dead(repr(event), "event")
        dead(event.reason or "", "reason")
        harmless(event._repr_html_(), "event as HTML")
    dead(repr(run), "repr(run)")
    dead(run.error or "", "run.error")
    for warning in run.outcome.warnings:
        dead(warning, "warning")
    for frame in run.outcome.frames:
        dead(str(frame), "frame")
    bundle = run._repr_mimebundle_()
    data: dict[str, Any] = bundle[0] if isinstance(bundle, tuple) else bundle
    for kind, value in data.items():
        if kind == "text/html":
            harmless(value, "report")
        elif kind.startswith("text/"):
            dead(value, kind)
        elif isinstance(value, str) and kind.endswith("json"):
            dead(json.dumps(value), kind)
    run.to_html(tmp_path / "report.html")
    harmless((tmp_path / "report.html").read_text(), "report.html")
    for thing in (trace, run.denied, trace.summary()):
        page = getattr(thing, "_repr_html_", lambda: None)()
        if page:
            harmless(page, type(thing).__name__)


def quoted(data: bytes) -> str:
    """As a string of WebAssembly text."""
    return '"' + "".join(f"\\{byte:02x}" for byte in data) + '"'


@pytest.mark.parametrize("kind", TEXTS)
def test_names_paths_links_and_output(yard: Yard, tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind]
    guest = yard.guest(mode="rw").iovec(IOVECS, (BUFFER, len(text))).put(BUFFER, text)
    guest.call("fd_write", 1, IOVECS, 1, OUT).call("fd_write", 2, IOVECS, 1, OUT)
    guest.open(text).open(b"../" + text).open(b"/" + text).open(text[:200], oflags=CREAT, rights=ALL)
    guest.call("path_symlink", text, 3, "link").call("path_readlink", 3, "link", BUFFER, 4096, OUT)
    guest.call("path_create_directory", 3, text[:100] + b".d").call("path_rename", 3, "file.txt", 3, text[:100] + b"2")
    guest.call("path_symlink", b"/" + text, 3, "absolute").call("fd_readdir", 3, BUFFER, 4096, 0, OUT).open("link")
    guest.call("fd_seek", 1, 0, 0, OUT).call("fd_filestat_set_size", 4, 1 << 62)
    run = guest.run()
    assert "SUCCESS" in run.errnos()
    assert run.run.stdout_bytes == text
    shown(run.run, tmp_path)


@pytest.mark.parametrize("kind", BROKEN)
def test_bytes_that_are_not_text(yard: Yard, tmp_path: Path, kind: str) -> None:
    text = BROKEN[kind]
    os.symlink(os.fsdecode(b"\xff\x1b[31m"), yard.inside / "odd")
    (yard.inside / os.fsdecode(b"\xfe\x1b]0;name")).touch()
    guest = yard.guest().iovec(IOVECS, (BUFFER, len(text))).put(BUFFER, text).call("fd_write", 1, IOVECS, 1, OUT)
    guest.open(text).call("path_symlink", text, 3, "link").call("path_rename", 3, "file.txt", 3, text)
    guest.call("fd_readdir", 3, BUFFER, 4096, 0, OUT).call("path_readlink", 3, "odd", BUFFER, 100, OUT)
    run = guest.run()
    assert run.errnos()[0] == "SUCCESS"
    assert set(run.errnos()[1:4]) <= {"INVAL", "ILSEQ"}
    assert run.run.stdout_bytes == text
    shown(run.run, tmp_path)


@pytest.mark.parametrize("kind", TEXTS)
def test_arguments_variables_and_the_run_s_name(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind].decode()
    grants = wasilab.Grants(env={"HOSTILE": text}, dirs={"/" + text[:80]: wasilab.MemDir()})
    guest = Guest(grants=grants).call("args_get", 0, BUFFER).call("environ_get", 0, BUFFER).open("nothing")
    guest.call("fd_prestat_dir_name", 3, BUFFER, 1000)
    module = from_wat(guest.wat(), name=text[:80])
    run = wasilab.run(module, [text, text], grants, name=text[:100])
    assert run.trace["errno"].tolist() == [0, 0, 44, 0]
    shown(run, tmp_path)


def named(text: bytes, body: str, imports: str = "", extra: str = "") -> wasilab.Module:
    """A module whose own name, functions and exports are all called `text`."""
    name = f"(@name {quoted(text[:500])})"
    return from_wat(
        f"""(module {name} {imports} (memory (export "memory") 1) {extra}
        (func $inner {name} {body}) (func $start {name} (call $inner))
        (export "_start" (func $start)) (export {quoted(text[:500])} (func $inner)))"""
    )


@pytest.mark.parametrize("kind", TEXTS)
def test_names_in_a_trap_s_stack(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind]
    yields = '(import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))'
    module = named(text, "(drop (call $y)) unreachable", yields)
    run = wasilab.run(module, stacks=True)
    assert run.outcome.kind == "trap"
    assert run.outcome.frames
    shown(run, tmp_path)
    dead(repr(module), "repr(module)")
    page = getattr(module, "_repr_html_", lambda: "")()
    harmless(page, "module")


@pytest.mark.parametrize("kind", TEXTS)
def test_names_of_imports_and_exports(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind][:500]
    wasi = f'(import "wasi_snapshot_preview1" {quoted(text)} (func $x (result i32)))'
    run = wasilab.run(named(text, "(drop (call $x))", wasi))
    assert run.outcome.warnings
    shown(run, tmp_path)
    foreign = named(text, "", f"(import {quoted(text)} {quoted(text)} (func))")
    run = wasilab.run(foreign)
    assert run.outcome.kind == "error"
    shown(run, tmp_path)
    library = from_wat(f'(module (memory (export "memory") 1) (func (export {quoted(text)})))')
    run = wasilab.run(library)
    assert run.outcome.kind == "error"
    shown(run, tmp_path)
    run = wasilab.run(library, invoke=text.decode() + "x")
    shown(run, tmp_path)


def test_a_module_that_does_not_load_is_named_harmlessly() -> None:
    for text in TEXTS.values():
        for data in (b"not wasm", b"\0asm\1\0\0\0\7\x85", text):
            with pytest.raises(ModuleError) as caught:
                load(data, name=text.decode()[:100])
            dead(str(caught.value), "ModuleError")


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "wasilab", *words],
        capture_output=True,
        timeout=120,
        check=False,
        env=PYTHON_HERE,
        **options,
    )


def test_the_command_line_s_own_words(yard: Yard, tmp_path: Path) -> None:
    """One guest with all of it; stdout is the guest's, stderr without it is ours and must be dead."""
    guest = yard.guest()
    for text in (*TEXTS.values(), *BROKEN.values()):
        guest.open(text).open(b"../" + text[:1000])
    guest.call("proc_exit", 3)
    (tmp_path / "guest.wasm").write_bytes(from_wat(guest.wat()).bytes)
    done = command(
        "run", "--dir", f"{yard.inside}::/d", "--strace", "--summary", "--trace", "t.wtrace", "guest.wasm", cwd=tmp_path
    )
    assert done.returncode == 3, done.stderr[-2000:]
    dead(done.stderr.decode(), "stderr")
    assert done.stdout == b""
    for words in (
        ["trace", "t.wtrace"],
        ["trace", "t.wtrace", "--summary"],
        ["advise", "t.wtrace"],
        ["diff", "t.wtrace", "t.wtrace"],
    ):
        done = command(*words, cwd=tmp_path)
        assert done.returncode in (0, 1), (words, done.stderr[-2000:])
        dead(done.stdout.decode() + done.stderr.decode(), words[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["title", "bidi"])
def test_the_command_line_on_modules_with_such_names(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind]
    (tmp_path / "trap.wasm").write_bytes(named(text, "unreachable").bytes)
    (tmp_path / "link.wasm").write_bytes(named(text, "", f"(import {quoted(text)} {quoted(text)} (func))").bytes)
    (tmp_path / "wasi.wasm").write_bytes(
        named(
            text, "(drop (call $x))", f'(import "wasi_snapshot_preview1" {quoted(text)} (func $x (result i32)))'
        ).bytes
    )
    for file in ("trap.wasm", "link.wasm", "wasi.wasm"):
        for words in (["run", file], ["inspect", file], ["inspect", "--json", file]):
            done = command(*words, cwd=tmp_path)
            dead(done.stderr.decode() + done.stdout.decode(), " ".join(words))


def test_a_flood_of_names_does_not_choke_the_report(tmp_path: Path) -> None:
    guest = Guest(grants=wasilab.Grants(dirs={"/m": wasilab.MemDir()}, limits=Limits(seconds=60)), pages=16)
    for number in range(150):
        guest.open(b"%d" % number + b"<b>" * 300)
    run = guest.run().run
    bundle = run._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert len(data["text/html"]) < 3_000_000
    shown(run, tmp_path)
