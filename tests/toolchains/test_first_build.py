"""The first build of zig's libraries: shared, visible, and at low priority in the background."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pretend_zig import PretendZig, ended
from tests.waiting import until
from wasilab.toolchains import doctor
from wasilab.toolchains.compile import compile_source
from wasilab.toolchains.libraries import first_build
from wasilab.toolchains.libraries.first_build import FirstBuild
from wasilab.toolchains.process import ProcessBounds, run_group

SOURCE = "int main(void) { return %d; }\n"


@pytest.fixture
def zig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendZig:
    pretend = PretendZig(tmp_path)
    for name, value in pretend.variables.items():
        monkeypatch.setenv(name, value)
    return pretend


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_one_compile_builds_the_library_and_the_others_see_how_far_it_is(zig: PretendZig) -> None:
    said: list[str] = []
    first = in_thread(lambda: compile_source(SOURCE % 1, "c"))
    until(lambda: len(zig.started) == 1)
    told = lambda _seconds, sentence: said.append(sentence)  # noqa: E731
    second = in_thread(lambda: compile_source(SOURCE % 2, "c", on_progress=told))
    until(lambda: any("zig builds its C library" in sentence for sentence in said))
    assert said[0].startswith("waiting for another compile")
    assert len(zig.started) == 1
    cold = doctor.status("c").cold
    assert cold is not None
    assert cold.startswith("its library is being built now: first compile: zig builds its C library")
    zig.open()
    first.join()
    second.join()
    assert len(zig.started) == 2
    assert doctor.status("c").cold is None


def test_a_background_build_gives_way_to_a_compile(zig: PretendZig) -> None:
    stop = doctor.warm_in_background("c")
    until(lambda: len(zig.started) == 1)
    waited = in_thread(lambda: compile_source(SOURCE % 1, "c"))
    until(lambda: len(zig.started) == 2)
    until(lambda: ended(zig.started[0]))
    zig.open()
    waited.join()
    stop()


def test_a_background_build_stops_when_told_to(zig: PretendZig) -> None:
    stop = doctor.warm_in_background("c")
    until(lambda: len(zig.started) == 1)
    stop()
    until(lambda: ended(zig.started[0]))


def test_a_compile_that_fails_lets_the_next_one_try(zig: PretendZig) -> None:
    zig.program.write_text(zig.program.read_text().replace("while", "case $* in *$gate*) ;; esac; exit 1\nwhile"))
    for _ in range(2):
        with pytest.raises(Exception, match="ended with status 1"):
            compile_source(SOURCE % 1, "c")
    assert len(zig.started) == 2


@pytest.mark.procfs
def test_a_background_process_has_one_processor_and_the_lowest_priority() -> None:
    before = os.sched_getaffinity(0)
    look = "import os; print(os.nice(0), len(os.sched_getaffinity(0)))"
    assert run_group([sys.executable, "-c", look], bounds=ProcessBounds(60, background=True)).output == "19 1\n"
    assert os.sched_getaffinity(0) == before
    done = run_group(["/bin/sh", "-c", "echo said; exit 3"], bounds=ProcessBounds(60, background=True))
    assert (done.status, done.output) == (3, "said\n")


@pytest.mark.procfs
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_background_process_ends_with_the_one_that_started_it(end: int, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "from wasilab.toolchains.process import *\n"
        f"run_group(['/bin/sh', '-c', 'echo $$ > {note}; exec sleep 1000'], bounds=ProcessBounds(background=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    until(lambda: note.exists() and note.read_text().endswith("\n"))
    child = int(note.read_text())
    assert not ended(child)
    os.kill(parent.pid, end)
    parent.wait()
    until(lambda: ended(child))


def test_an_estimate_is_not_contradicted_by_the_clock() -> None:
    build = FirstBuild("its C library")
    assert build.sentence(5).endswith("once; it takes about a minute")
    assert build.sentence(61).endswith("once; it takes longer than usual")
    assert FirstBuild("its runtime", 15).sentence(5).endswith("once; it takes about 15 seconds")
    assert FirstBuild("its runtime", 15).sentence(16).endswith("it takes longer than usual")
    build.part = "compiler_rt"
    assert build.sentence(200).endswith("once: compiler_rt")
    build.part, build.files = "wasi libc.a", 138
    assert build.sentence(200).endswith("once: wasi libc.a, 138 of about 621 files")
    build.files = 700
    assert build.sentence(200).endswith("once: wasi libc.a, 700 files")


def message(*nodes: tuple[int, str, int], size: int = 40) -> bytes:
    """A report of zig: (count, name, parent) of each node."""
    stored = b"".join(struct.pack("<II", count, 0) + name.encode().ljust(size, b"\0") for count, name, _ in nodes)
    return bytes([len(nodes)]) + stored + bytes(parent for _, _, parent in nodes)


def test_zigs_reports_are_read_in_pieces_of_any_size() -> None:
    whole = message((0, "", 255), (1, "Linking", 0), (16, "wasi libc.a", 0), (1, "poll.c", 2))
    for step in (1, 7, len(whole) + 3):
        build, left = FirstBuild("x"), b""
        for at in range(0, 2 * len(whole), step):
            left = first_build._take(left + (2 * whole)[at : at + step], 40, build)
        assert (build.part, build.files, left) == ("wasi libc.a", 16, b"")


def test_reports_that_make_no_sense_are_no_error() -> None:
    source = random.Random(1)
    for _ in range(300):
        build = FirstBuild("x")
        first_build._take(source.randbytes(source.randrange(4000)), 40, build)
        assert build.sentence(1).isprintable()
    build = FirstBuild("x")
    first_build._take(message((0, "", 255), (1, "\x1b[31m", 0)), 40, build)
    assert build.part == ""
