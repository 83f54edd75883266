"""Running a compiler: its output is bounded, and it ends, with its children, when told to."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wasilab.toolchains import process
from wasilab.toolchains.diagnostics import CompileInterrupted, ToolchainError
from wasilab.toolchains.process import OUTPUT_LIMIT, ProcessBounds, interruptible, run_group

SH = ["/bin/sh", "-c"]


@pytest.fixture(params=["select", "thread"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to read a pipe: on Windows only a thread can."""
    monkeypatch.setattr(process, "PIPES_CAN_BE_SELECTED", request.param == "select")


def _wait_for(path: Path) -> str:
    for _ in range(3000):
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def _ended(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    for _ in range(300):
        try:
            if "\nState:\tZ" in status.read_text():
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_output_and_status_come_back() -> None:
    done = run_group([*SH, "echo out; echo err >&2; exit 3"])
    assert (done.status, done.output) == (3, "out\nerr\n")


def test_what_is_written_between_a_read_and_the_end_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = process._reading

    @contextlib.contextmanager
    def slow(pipe: int) -> Iterator[Callable[[float], bytes | None]]:
        with reading(pipe) as read:
            first = [True]

            def late(seconds: float) -> bytes | None:
                if first.pop() if first else False:
                    time.sleep(0.5)  # the program writes and ends after this read has found nothing
                    return None
                return read(seconds)

            yield late

    monkeypatch.setattr(process, "_reading", slow)
    for _ in range(3):
        assert run_group([*SH, "echo free"]).output == "free\n"


def test_an_interrupt_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & child=$!; echo $$ $child > {pids}; wait"
    stop = threading.Event()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run_group([*SH, script], cancelled=stop.is_set)
        except CompileInterrupted as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    shell, child = (int(word) for word in _wait_for(pids).split())
    stop.set()
    thread.join(60)
    assert len(caught) == 1
    assert _ended(shell)
    assert _ended(child)


def test_a_process_without_its_own_interrupt_uses_the_enclosing_one() -> None:
    with pytest.raises(CompileInterrupted), interruptible(lambda: True):
        run_group([*SH, "sleep 1000"])
    assert run_group([*SH, "echo free"]).output == "free\n"


@pytest.mark.slow
def test_whatever_a_callback_raises_leaves_no_process(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def interrupted(_seconds: float, _sentence: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_group([*SH, f"echo $$ > {pids}; exec sleep 1000"], on_progress=interrupted)
    assert _ended(int(_wait_for(pids)))


def test_a_child_that_keeps_the_pipe_open_does_not_keep_the_compile(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    done = run_group([*SH, f"sleep 1000 & echo $! > {pids}; echo done"], bounds=ProcessBounds(60))
    assert done.output == "done\n"
    assert _ended(int(_wait_for(pids)))


def test_a_flood_is_cut_and_counted() -> None:
    flood = "import sys; sys.stdout.write('x' * 3_000_000)"
    done = run_group([sys.executable, "-c", flood])
    assert done.output.startswith("x" * OUTPUT_LIMIT)
    assert f"[{3_000_000 - OUTPUT_LIMIT:,} more bytes of compiler output left out]" in done.output
    assert len(done.output) < OUTPUT_LIMIT + 100


def test_output_that_is_not_utf8_is_shown_all_the_same() -> None:
    assert run_group([*SH, r"printf 'a\377b'"]).output == "a\ufffdb"


@pytest.mark.slow
def test_progress_tells_seconds_and_the_sentence() -> None:
    said: list[tuple[float, str]] = []
    run_group([*SH, "sleep 0.8"], on_progress=lambda s, t: said.append((s, t)), sentence=lambda s: f"{s > 0.4}")
    assert said
    assert all(text == "True" and seconds >= 0.5 for seconds, text in said)


def test_what_cannot_start_is_one_clear_error() -> None:
    with pytest.raises(ToolchainError, match="cannot start '/no/such/compiler'"):
        run_group(["/no/such/compiler"])


def test_a_timeout_is_an_error_that_names_the_command() -> None:
    with pytest.raises(ToolchainError, match=r"longer than 0\.2 s"):
        run_group([*SH, "sleep 1000"], bounds=ProcessBounds(0.2))
