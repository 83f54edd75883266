"""Running a compiler: a process group that can be stopped whole, with its output kept within bounds.

The compiler gets no terminal and no stdin. Its stdout and stderr are one stream, as a person would see them. It is
looked at every 50 ms, so that an interrupt ends it well within 0.3 s, grandchildren (linkers, cc1) included. Not
here: what to run and what its output means.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from .diagnostics import CompileInterrupted, ToolchainError

STEP = 0.05
"""Seconds between two looks at the interrupt."""
OUTPUT_LIMIT = 512 * 1024
"""Bytes of compiler output that are kept; templates can write far more than anyone reads."""

Progress = Callable[[float, str], None]
"""Called with the elapsed seconds and one sentence, about four times a second, from the compiling thread."""
Cancelled = Callable[[], bool]
"""Asked every 50 ms; true stops the compile (`threading.Event().is_set`, `Interrupt.is_set`, ...)."""


def never() -> bool:
    """The interrupt of a compile that nobody can interrupt."""
    return False


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended: its exit status (negative: a signal), its output and its wall time in seconds."""

    status: int
    output: str
    seconds: float


_ambient: ContextVar[Cancelled] = ContextVar("wasilab_compile_interrupt", default=never)


@contextlib.contextmanager
def interruptible(cancelled: Cancelled) -> Iterator[None]:
    """Let `cancelled` stop the processes started within, too, that were not given an interrupt: the probes."""
    token = _ambient.set(cancelled)
    try:
        yield
    finally:
        _ambient.reset(token)


_alive: set[subprocess.Popen[bytes]] = set()


def run_group(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    cancelled: Cancelled | None = None,
    on_progress: Progress | None = None,
    sentence: Callable[[float], str] = lambda _seconds: "compiling",
    timeout: float | None = None,
) -> Finished:
    """Run `argv` to its end and return what it wrote.

    Raises `CompileInterrupted` when `cancelled` says so, `ToolchainError` when it cannot be started or takes
    longer than `timeout` seconds. Whatever is raised here (a KeyboardInterrupt too), no process of it is left.
    """
    stop = cancelled or _ambient.get()
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ToolchainError(f"cannot start {argv[0]!r}: {error}") from error
    _alive.add(process)
    kept, total = bytearray(), 0
    next_report = 0.5
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if stop():
                    raise CompileInterrupted("the compile was interrupted")
                elapsed = time.monotonic() - start
                if timeout is not None and elapsed > timeout:
                    raise ToolchainError(f"{argv[0]!r} took longer than {timeout:g} s")
                if on_progress is not None and elapsed >= next_report:
                    on_progress(elapsed, sentence(elapsed))
                    next_report = elapsed + 0.25
                if selector.select(STEP):
                    try:
                        data = os.read(pipe, 65536)
                    except BlockingIOError:
                        continue
                    if not data:
                        break
                    total += len(data)
                    kept += data[: max(0, OUTPUT_LIMIT - len(kept))]
                elif process.poll() is not None:
                    break  # ended, but something it left behind still holds the pipe
        while process.poll() is None:
            if stop():
                raise CompileInterrupted("the compile was interrupted")
            time.sleep(0.002)
    finally:
        _kill(process)
    output = kept.decode("utf-8", "replace")
    if total > len(kept):
        output += f"\n[{total - len(kept)} more bytes of compiler output left out]\n"
    return Finished(process.returncode, output, time.monotonic() - start)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: the children outlive a killed compiler driver otherwise."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _alive.discard(process)


@atexit.register
def _kill_all() -> None:
    for process in list(_alive):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
