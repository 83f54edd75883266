"""Ask mode in a confined process: the user is asked, and the run looks, as in a run in this process."""

from __future__ import annotations

import os
import re
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, Limits, MemDir, Run, run
from wasilab.capabilities.streams import DescriptorInput
from wasilab.engine.isolate import confined_process
from wasilab.grants.live.ask import Answer, Question
from wasilab.trace.record.recorder import Flag
from wasilab.wasi.types import Errno

from ..grants.guests import READ, SCRATCH, WRITE, Guest, fd
from ..waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"),
    pytest.mark.usefixtures("waiting"),
]


class Wide(Guest):
    """A guest that makes every call on paths."""

    imports = """
(import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_filestat_get"
  (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_filestat_set_times"
  (func $path_filestat_set_times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_readlink"
  (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_link" (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_remove_directory"
  (func $path_remove_directory (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
""" + Guest.imports

    def enter(self, path: str) -> Wide:
        """Opens a folder, with the rights to list it and to open what is in it."""
        self.open(path, rights=READ | 3 << 13, oflags=2, passed=READ)
        return self

    def look(self, path: str) -> Wide:
        self.call("path_filestat_get", f"{fd(3)} (i32.const 1) {self.text(path)} (i32.const {SCRATCH})")
        return self

    def listed(self) -> Wide:
        self.call(
            "fd_readdir",
            f"(local.get $fd) (i32.const {SCRATCH}) (i32.const 4096) (i64.const 0) (i32.const {SCRATCH + 4096})",
        )
        return self

    def polled(self) -> Wide:
        """Polls stdin and a clock that is due."""
        at = f"(i32.const {SCRATCH})"
        self._lines.append(f"(i32.store8 offset=8 {at} (i32.const 1)) (i32.store8 offset=88 {at} (i32.const 1))")
        self.call("poll_oneoff", f"{at} (i32.const {SCRATCH + 200}) (i32.const 2) (i32.const {SCRATCH + 400})")
        return self

    def moved(self, name: str, old: str, new: str, source: int = 3, target: int = 3) -> Wide:
        first, second = self.text(old), self.text(new)
        follow = "" if name == "path_rename" else "(i32.const 0)"
        self.call(name, f"{fd(source)} {follow} {first} {fd(target)} {second}")
        return self


def stat_all(guest: Wide) -> Wide:
    return guest.look("a.txt").enter("sub").listed()


def change_all(guest: Wide) -> Wide:
    guest.call("path_create_directory", f"{fd(3)} {guest.text('made')}")
    target, link = guest.text("a.txt"), guest.text("link")
    guest.call("path_symlink", f"{target} {fd(3)} {link}")
    guest.call("path_readlink", f"{fd(3)} {link} (i32.const {SCRATCH}) (i32.const 64) (i32.const {SCRATCH + 64})")
    guest.moved("path_link", "a.txt", "second").moved("path_rename", "second", "made/third")
    guest.call(
        "path_filestat_set_times",
        f"{fd(3)} (i32.const 1) {target} (i64.const 1000000000) (i64.const 2000000000) (i32.const 5)",
    )
    guest.call("path_unlink_file", f"{fd(3)} {guest.text('made/third')}")
    guest.call("path_remove_directory", f"{fd(3)} {guest.text('made')}")
    guest.open("new", rights=READ | WRITE, oflags=1).write("made")
    return guest


def uses(guest: Wide) -> Wide:
    guest.call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")
    guest.call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})")
    guest.write("hello", fd(1)).write("again", fd(1)).write("error", fd(2)).read(fd(0))
    return guest


def opened(*paths: str) -> Callable[[Wide], Guest]:
    def write(guest: Wide) -> Guest:
        for path in paths:
            guest.open(path).read()
        return guest

    return write


Case = tuple[Callable[[Wide], Guest], "list[str | None]", Callable[[Path], Grants]]


def asked(root: Path) -> Grants:
    return Grants(ask=True)


def nothing(root: Path) -> Grants:
    return Grants.nothing(ask=True)


def with_folder(root: Path) -> Grants:
    return Grants(ask=True, dirs={"/rw": HostDir(root / "rw", "rw")})


CASES: dict[str, Case] = {
    "once": (opened("a.txt", "a.txt"), ["o", "d"], asked),
    "for the run": (opened("a.txt", "a.txt", "a.txt"), ["r"], asked),
    "for the run is not to change": (
        lambda g: g.open("a.txt").open("a.txt").open("a.txt", rights=READ | WRITE), ["r", "d"], asked
    ),
    "deny": (opened("a.txt"), ["d"], asked),
    "deny all": (uses, ["a"], nothing),
    "nobody": (opened("a.txt"), [None], asked),
    "a folder": (lambda g: g.open("sub", oflags=2).open("sub/b.txt").read(), ["r"], asked),
    "in an opened folder": (lambda g: g.enter("sub").open("b.txt", fd=4).read(), ["o", "o"], asked),
    "looking": (stat_all, ["o"] * 3, asked),
    "changing": (change_all, ["o"] * 11, asked),
    "uses once": (uses, ["o"] * 6, nothing),
    "uses for the run": (uses, ["r"] * 5, nothing),
    "streams denied": (lambda g: g.write("x", fd(1)), ["d"], nothing),
    "leaving": (opened("../x"), [], asked),
    "leaving by a link": (opened("out/passwd"), [], asked),
    "elsewhere": (opened("etc/hostname"), ["d"], asked),
    "no such file": (opened("none"), ["o"], asked),
    "too long": (opened("x/" * 2048), [], asked),
    "a long name": (opened("x" * 300), ["o"], asked),
    "hostile": (opened("a\n\x1b[2J\u202e"), ["d"], asked),
    "out of a granted folder": (
        lambda g: g.moved("path_rename", "g.txt", "here", 3, 4).moved("path_link", "here", "there", 4, 4),
        ["o"] * 3, with_folder,
    ),
    "into a granted folder": (lambda g: g.moved("path_rename", "a.txt", "there", 4, 3), ["o"], with_folder),
    "into a folder in memory": (
        lambda g: g.moved("path_rename", "a.txt", "there", 4, 3), ["o"],
        lambda root: Grants(ask=True, dirs={"/m": MemDir({"x": "y"})}),
    ),
    "out of a folder in memory": (
        lambda g: g.moved("path_rename", "x", "there", 3, 4), ["o"],
        lambda root: Grants(ask=True, dirs={"/m": MemDir({"x": "y"})}),
    ),
    "granted": (
        lambda g: g.open("x").read(), [], lambda root: Grants(ask=True, dirs={".": MemDir({"x": "y"})}),
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def fill(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "sub").mkdir(parents=True)
    (folder / "rw").mkdir()
    os.chdir(folder)
    for name in ("a.txt", "sub/b.txt", "rw/g.txt"):
        (folder / name).write_text("text")
    (folder / "out").symlink_to("/etc")


def shown(finished: Run) -> str:
    """Its trace without what differs between two runs: times, inodes."""
    text = re.sub(r"^(?:[0-9.]+ )+| <[0-9.]+>$", "", finished.trace.text(), flags=re.MULTILINE)
    text = re.sub(r'\bbuf="(?:[^"\\]|\\.)*"', "buf", text)
    return re.sub(r"\b(dev|ino|atim|mtim|ctim|time|d_ino)=[^,}\]]+", r"\1=", text)


FIRST = {"once", "deny all", "in an opened folder", "uses once"}
"""The cases that are tested in every run of the tests: each starts a process."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST else [pytest.mark.slow]) for name in CASES]
)
def test_it_looks_as_a_run_in_this_process(name: str, folder: Path) -> None:
    write, answers, grants = CASES[name]
    module = write(Wide()).module()
    seen = []
    for isolate in (False, True):
        fill(folder)
        prompts: list[str] = []
        left = list(answers)

        def typed(prompt: str, prompts: list[str] = prompts, left: list[str | None] = left) -> str | None:
            prompts.append(prompt)
            return left.pop(0)

        done = run(module, (), grants(folder), isolate=isolate, on_question=typed, on_input=iter(["typed"]).__next__)
        tree = {str(path.relative_to(folder)): path.is_dir() or path.read_bytes() for path in folder.rglob("*")
                if path.is_dir() or path.exists()}  # fmt: skip
        seen.append((
            done.exit_code, done.outcome.kind, done.error, done.stdout, done.stderr, prompts, shown(done), tree,
            str(done.denied), [(one.answer, one.seq) for one in done.asked], done.outcome.warnings,
        ))  # fmt: skip
    assert seen[0] == seen[1]
    assert not left or answers == [None], "every answer was used"


@pytest.mark.slow
def test_a_terminals_input_is_asked_for_before_it_is_read(folder: Path) -> None:
    fill(folder)
    for isolate in (False, True):
        ends = os.pipe()
        os.write(ends[1], b"typed\n")
        answers = iter(["o", "d"])

        def own(interrupt: Any, end: int = ends[0]) -> DescriptorInput:
            return DescriptorInput(end, interrupt)

        done = run(
            Guest().read(fd(0)).read(fd(0)).module(), (), Grants.nothing(ask=True), isolate=isolate, own_stdin=own,
            on_question=lambda prompt, answers=answers: next(answers),  # type: ignore[misc]
        )  # fmt: skip
        for end in ends:
            os.close(end)
        assert [call.nbytes for call in done.trace.filter(call="fd_read")] == [6, 0]
        assert [bool(call.flags & Flag.ASKED) for call in done.trace] == [True, True, False]
        assert done.exit_code == int(Errno.NOTCAPABLE)


@pytest.mark.slow
def test_an_answer_at_the_terminal_is_not_taken_for_input(folder: Path) -> None:
    fill(folder)
    ends = os.pipe()
    left: list[bool] = []

    def typed(prompt: str) -> str:
        if "a.txt" in prompt:
            os.write(ends[1], b"typed\n")
            time.sleep(0.3)  # long enough for it to be read, if anything did
            left.append(bool(select.select([ends[0]], [], [], 0)[0]))
        return "r"

    guest = Wide().polled().open("a.txt").read(fd(0))
    done = run(
        guest.module(), (), Grants(ask=True, stdin=None), isolate=True, on_question=typed,
        own_stdin=lambda interrupt: DescriptorInput(ends[0], interrupt),
    )  # fmt: skip
    for end in ends:
        os.close(end)
    assert (done.exit_code, left) == (0, [True])
    assert done.trace.filter(call="fd_read")[0].nbytes == 6


@pytest.mark.slow
def test_output_is_shown_before_the_question_that_follows_it(folder: Path) -> None:
    fill(folder)
    order: list[str] = []
    module = Guest().write("first", fd(1)).open("a.txt").write("second", fd(1)).open("a.txt").module()

    def typed(prompt: str) -> str:
        order.append("question")
        return "o"

    for isolate in (False, True):
        order.clear()
        said: Callable[[bytes], object] = lambda data: order.append(data.decode())  # noqa: E731
        run(module, (), Grants(ask=True), isolate=isolate, on_question=typed, on_stdout=said)
        assert order == ["first", "question", "second", "question"]


@pytest.mark.slow
def test_the_time_to_answer_does_not_count_and_a_limit_still_ends_it(folder: Path) -> None:
    fill(folder)

    def slow(prompt: str) -> str:
        time.sleep(0.6)
        return "o"

    grants = Grants(ask=True, limits=Limits(seconds=1))
    done = run(opened("a.txt", "sub/b.txt")(Wide()).module(), (), grants, isolate=True, on_question=slow)
    assert done.exit_code == 0, "two answers took longer than the limit"
    assert done.outcome.seconds < 0.6
    assert all(call.dur < 0.6e9 for call in done.trace)
    assert done.trace[-1].t_start < 0.6e9
    loop = Guest().open("a.txt").again().call("fd_seek", f"{fd(4)} (i64.const 0) (i32.const 0) (i32.const {SCRATCH})")
    limited = Grants(ask=True, limits=Limits(seconds=0.3))
    over = run(loop.module(), (), limited, isolate=True, on_question=lambda prompt: "r")
    assert over.outcome.kind == "limit"


def interrupting(prompt: str) -> str:
    raise KeyboardInterrupt


def test_an_interrupt_ends_a_question(folder: Path) -> None:
    fill(folder)
    seen = []
    for isolate in (False, True):
        done = run(
            opened("a.txt", "sub/b.txt")(Wide()).module(), (), Grants(ask=True), isolate=isolate,
            on_question=interrupting,
        )  # fmt: skip
        seen.append((done.outcome.kind, done.exit_code, done.outcome.message, shown(done), done.asked))
    assert seen[0] == seen[1]
    assert seen[1][0] == "interrupt"


@pytest.fixture
def detached() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(guest: Guest, isolate: bool, grants: Grants | None = None) -> Run:
        started = run(
            guest.module(), (), grants or Grants(ask=True), isolate=isolate, detach=True, on_asked=lambda question: None
        )
        runs.append(started)
        return started

    yield start
    for each in runs:
        each.stop()


def question(started: Run) -> Question:
    until(lambda: started.question is not None)
    assert started.question is not None
    return started.question


@pytest.mark.parametrize("isolate", [False, True])
def test_a_detached_run_is_answered_by_another_thread(
    folder: Path, detached: Callable[..., Run], isolate: bool
) -> None:
    fill(folder)
    started = detached(opened("a.txt")(Wide()), isolate)
    assert question(started).subject == str(folder / "a.txt")
    assert started.answer(Answer.ONCE)
    assert started.wait(60).exit_code == 0
    assert not started.answer(Answer.ONCE)


@pytest.mark.slow
def test_stopping_ends_a_question(folder: Path, detached: Callable[..., Run]) -> None:
    fill(folder)
    started = detached(opened("a.txt")(Wide()), True)
    question(started)
    started.stop()
    assert started.outcome.kind == "interrupt"
    assert started.question is None


def test_what_is_revoked_while_the_user_is_asked_is_refused_afterwards(
    folder: Path, detached: Callable[..., Run]
) -> None:
    fill(folder)
    seen = []
    for isolate in (False, True):
        started = detached(opened("a.txt", "sub/b.txt")(Wide()), isolate)
        question(started)
        started.live.revoke("/")
        assert started.answer(Answer.RUN)
        assert started.wait(60).exit_code == int(Errno.NOTCAPABLE)
        seen.append((shown(started), str(started.denied)))
    assert seen[0] == seen[1]
    assert "granted, then taken back" in seen[1][1]


@pytest.mark.slow
def test_other_grants_leave_what_asks_in_place(folder: Path, detached: Callable[..., Run]) -> None:
    fill(folder)
    grants = Grants.nothing(ask=True, dirs={"/m": MemDir({"x": "y"})})
    guest = Guest().open("x").again().open("x").call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")
    guest.write("out", fd(1)).call("fd_close", "(local.get $fd)")
    for isolate in (False, True):
        started = detached(guest, isolate, grants)
        assert question(started).subject == "random"
        assert started.regrant(grants.with_(env={"A": "b"})) == {}
        assert started.answer(Answer.RUN)
        until(lambda started=started: started.question is not None and started.question.subject == "stdout")
        assert started.answer(Answer.RUN)
        at = len(started.trace)
        until(lambda started=started, at=at: len(started.trace) > at + 20)
        started.live.revoke("random")
        assert started.wait(60).exit_code == int(Errno.NOTCAPABLE)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[confined_process.ConfinedProcess]:
    """The processes that runs took."""
    taken: list[confined_process.ConfinedProcess] = []
    take = confined_process.PREPARED.take

    def noted(*args: Any) -> confined_process.ConfinedProcess:
        taken.append(take(*args))
        return taken[-1]

    monkeypatch.setattr(confined_process.PREPARED, "take", noted)
    return taken


@pytest.mark.slow
def test_a_process_that_dies_while_the_user_is_asked_ends_the_question(
    folder: Path, detached: Callable[..., Run], processes: list[confined_process.ConfinedProcess]
) -> None:
    fill(folder)
    started = detached(opened("a.txt")(Wide()), True)
    question(started)
    processes[0].kill()
    assert started.wait(60).outcome.kind == "error"
    assert "ended before its program did" in started.outcome.message
    assert started.question is None
    assert started.asked == []
