"""Synthetic runs for the views, recorded by the real `Recorder`: a copy program, and any number of calls; a browser."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wasilab import panel
from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.engine.outcome import Outcome
from wasilab.panels.panel import Panel
from wasilab.trace.record.recorder import Recorder, pack_payload
from wasilab.trace.trace import Trace
from wasilab.views.interactive.widget import TimelineWidget
from wasilab.wasi.preview1.spec import SNAPSHOT1

from .bare import BarePage
from .fakes import FakeRun
from .lab import CHROMIUM, Lab, Page

EVIL = "<script>alert(1)</script>\x1b[31mred\u202egpj.exe"
SOURCE = """#include <stdio.h>

int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "r");
    if (!in) { perror(argv[1]); return 1; }
    char line[80];
    while (fgets(line, sizeof line, in)) fputs(line, stdout);
    fclose(in);
}"""


class Book:
    """Writes calls into a recorder as the engine does, at times of its own."""

    def __init__(self, stacks: bool = True) -> None:
        self.recorder = Recorder(meta={"source": SOURCE, "source_name": "copy.c", "dirs": {"/data": "data"}})
        self.write = self.recorder.make_writer()
        self.now = 0
        self.lives: dict[int, int] = {}
        self.paths: dict[int, bytes] = {}
        self.next_life = 1
        self.stacks = stacks
        for fd, path in ((0, b"<stdin>"), (1, b"<stdout>"), (2, b"<stderr>")):
            self.open(fd, path)
        self.open(3, b"/data", preopen="/data")

    def open(self, fd: int, path: bytes, preopen: str | None = None) -> None:
        self.lives[fd], self.paths[fd] = self.next_life, path
        self.next_life += 1
        self.recorder.on_open(self.descriptor(fd, preopen))

    def close(self, fd: int) -> None:
        self.recorder.on_close(self.descriptor(fd))
        del self.lives[fd]

    def descriptor(self, fd: int, preopen: str | None = None) -> Any:
        filetype = 3 if preopen else 4
        return SimpleNamespace(fd=fd, life=self.lives[fd], path=self.paths[fd], preopen=preopen, filetype=filetype)

    def call(
        self, name: str, *words: int, fd: int = -1, gap: int = 2000, dur: int = 1500, result: int = 0, errno: int = 0,
        by: int = 0, flags: int = 0, path: bytes | None = None, data: bytes = b"", aux: bytes = b"", reason: str = "",
        line: int = 0, closing: bool = False, need: Need | None = None,
    ) -> None:  # fmt: skip
        self.now += gap
        more = words[4:]
        payload = None
        number = self.recorder.intern_reason(reason, need) if reason else 0
        if data or aux or more or reason:
            payload = pack_payload(aux, data[:64], more, number)
        stack = self.recorder.intern_stack([(f"main copy.c:{line}", line * 10)]) if line and self.stacks else 0
        w = [*words[:4], 0, 0, 0, 0]
        life = self.lives.get(fd, 0)
        if closing:
            self.close(fd)
        self.write(self.recorder.origin_ns + self.now, dur, result, life, path, payload,
                   SNAPSHOT1[name].number, errno, by, flags, w[0], w[1], w[2], w[3], stack)  # fmt: skip
        self.now += dur

    def trace(self) -> Trace:
        return Trace.from_recorder(self.recorder, _Lines())


class _Lines:
    """Finds the line that the frame's offset is made of."""

    def locate(self, offset: int) -> Any:
        return SimpleNamespace(file="/cell/copy.c", line=offset // 10)

    def unit_name(self, offset: int) -> str | None:
        return None


def copied(evil: bool = False) -> Book:
    """A program that copies a file line by line to stdout, after two refusals."""
    book = Book()
    book.call("args_sizes_get", 1, 2, dur=900)
    book.call("clock_time_get", 0, 1, 0, 0, dur=400, result=10**18)
    book.call("fd_prestat_get", 3, 100, fd=3, aux=bytes(8))
    book.call("path_open", 3, 1, 200, 6, 0, 64, 0, 64, 0, 0, 300, fd=3, path=b"passwd", errno=76, by=1, line=4,
              need=Need(NeedKind.DIRECTORY, "/etc/passwd"), reason="no granted directory contains it")  # fmt: skip
    name = EVIL.encode() if evil else b"out.txt"
    book.call("path_open", 3, 1, 200, 6, 9, 64, 0, 64, 0, 0, 300, fd=3, path=name, errno=63, by=1, line=5,
              need=Need(NeedKind.WRITE, "/data"), reason=f"{name.decode()!r}: /data is granted read-only")  # fmt: skip
    book.open(4, b"/data/in.txt")
    book.call("path_open", 3, 1, 200, 6, 0, 64, 0, 64, 0, 0, 300, fd=3, path=b"in.txt", result=4, line=4, dur=30000)
    for i in range(12):
        text = f"line {i} of the file{' ' + EVIL if evil and i == 3 else ''}\n".encode()
        moved: dict[str, Any] = {"result": len(text), "data": text, "line": 7}
        book.call("fd_read", 4, 64, 1, 80, fd=4, aux=struct.pack("<II", 64, 80), dur=2500, **moved)
        book.call("fd_write", 1, 64, 1, 80, fd=1, aux=struct.pack("<II", 64, len(text)), **moved)
    book.call("path_filestat_get", 3, 1, 20, 7, 400, fd=3, path=b"missing", errno=44)
    book.call("fd_close", 4, fd=4, line=8, closing=True)
    book.call("random_get", 100, 16, data=bytes(range(16)), flags=1)
    book.call("proc_exit", 0, errno=255, dur=100)
    return book


def many(n: int, seed: int = 1) -> Book:
    """`n` calls of ten kinds on eleven descriptors, some refused, with bursts and pauses."""
    book = Book()
    dice = random.Random(seed)
    for fd in range(4, 12):
        book.open(fd, f"/data/file{fd}.txt".encode())
    kinds = [*["clock_time_get"] * 4, *["fd_read"] * 5, *["fd_write"] * 5, "fd_seek", *["path_open"] * 2, "random_get"]
    choose, fraction = dice.choice, dice.random
    origin, write, lives = book.recorder.origin_ns, book.write, book.lives
    numbers = {name: SNAPSHOT1[name].number for name in set(kinds)}
    now = 0
    for i in range(n):
        name = choose(kinds)
        dur = int(600 / (fraction() + 0.02))
        now += int(900 / (fraction() + 0.01)) + (2_000_000 if i % 5000 == 0 else 0)
        fd = 3 if name == "path_open" else 4 + i % 8
        refused = name == "path_open" and i % 997 == 0
        missing = name == "path_open" and i % 61 == 0
        life = lives[fd] if name.startswith(("fd_", "path_")) else 0
        write(origin + now, dur, 64, life, b"some/file.txt" if fd == 3 else None, None, numbers[name],
              76 if refused else 44 if missing else 0, 1 if refused else 0, 0, fd, 64, 1, 80)  # fmt: skip
        now += dur
    book.now = now
    return book


def run_of(book: Book | Trace, **given: Any) -> FakeRun:
    """A run of the calls in `book`, which ended well unless `given` says otherwise."""
    trace = book if isinstance(book, Trace) else book.trace()
    seconds = book.now / 1e9 if isinstance(book, Book) else 0.001
    return FakeRun(**{"trace": trace, "outcome": Outcome("exit", 0, seconds=seconds), **given})



@pytest.fixture(scope="session")
def empty_run() -> Any:
    return run_of(Book())


@pytest.fixture(scope="session")
def copy_run() -> Any:
    return run_of(copied())


@pytest.fixture(scope="session")
def evil_run() -> Any:
    output = {"stdout_bytes": f"out {EVIL}\n".encode(), "stderr_bytes": b"\xff\x00\x1b]0;title\x07"}
    return run_of(copied(evil=True), name=f"evil {EVIL}", **output)


@pytest.fixture(scope="session")
def many_run() -> Callable[[int], Any]:
    kept: dict[int, Any] = {}

    def of(n: int) -> Any:
        if n not in kept:
            kept[n] = run_of(many(n))
        return kept[n]

    return of


@pytest.fixture
def new_book() -> Callable[[], Book]:
    return Book


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("text")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shown() -> Iterator[Callable[..., Panel]]:
    panels: list[Panel] = []

    def make(*given: Any, **more: Any) -> Panel:
        panels.append(panel(*given, **more))
        return panels[-1]

    yield make
    for each in panels:
        if each.run is not None:
            each.run.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra installs Playwright")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page_of(browser: Any) -> Iterator[Callable[..., BarePage]]:
    """A function that opens a widget in a page of its own, closed after the test."""
    pages: list[BarePage] = []

    def make(widget: Any, **options: Any) -> BarePage:
        pages.append(BarePage(browser, widget, **options))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def bare(page_of: Callable[..., BarePage]) -> Callable[..., BarePage]:
    """A function that opens the timeline of a run in a page of its own."""
    return lambda run, **options: page_of(TimelineWidget(run), **options)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def opened(lab: Lab, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that writes a notebook, opens it and runs it; closes it and checks for page errors after the test."""
    pages: list[Page] = []

    def make(*cells: str, run: bool = True, **size: int) -> Page:
        name = f"{request.node.name.split('[')[0]}-{len(pages)}.ipynb"
        lab.write(name, cells)
        page = lab.open(browser, name, **size)
        pages.append(page)
        if run:
            page.run_all()
        return page

    yield make
    for page in pages:
        page.close()
        assert page.errors == []
