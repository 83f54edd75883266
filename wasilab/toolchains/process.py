"""Runs a compiler in a process group that can be stopped as a whole, with limits and confinement.

A compiler gets no terminal and no stdin. Its stdout and stderr are one stream, as in a terminal. It is polled every 50
ms, so that an interrupt ends it and its descendants (linkers, cc1) well within 0.3 s. Not here: the command, and the
meaning of its output.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ..capabilities.host import landlock
from ..text.numbers import counted, exact_size
from .diagnostics import CompileInterrupted, ToolchainError

STEP = 0.05
"""Seconds between checks for an interrupt."""
PIPES_CAN_BE_SELECTED = os.name != "nt"
_FIRST_REPORT, _REPORT_STEP = 0.5, 0.25
"""Seconds before the first progress report, and between reports."""
_STUCK_STEP = 0.5
"""Seconds between checks for a process that waits to open a FIFO; found twice in a row, it is stuck."""
OUTPUT_LIMIT = 512 * 1024
"""Maximum bytes of compiler output kept; C++ templates can produce far more than anyone reads."""

Progress = Callable[[float, str], None]
"""Called with the elapsed seconds and one sentence, about four times a second, from the compiling thread."""
Cancelled = Callable[[], bool]
"""Polled every 50 ms; True stops the compile (`threading.Event().is_set`, `Interrupt.is_set`, ...)."""


def never() -> bool:
    """The interrupt of a compile that cannot be interrupted."""
    return False


@dataclass(frozen=True, slots=True)
class ProcessBounds:
    """The limits and accessible files of a compiler. None: unlimited."""

    seconds: float | None = None
    """Wall-clock time of the whole group, and processor time of each of its processes."""
    memory: int | None = None
    """Bytes of data (heap and private mappings) of each process."""
    reach: landlock.Reach | None = None
    """The files that it can open, if the kernel has Landlock."""
    background: bool = False
    """Whether it runs on one processor at the lowest priority, and ends with this process however that ends."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished process: its exit status (negative: a signal), its output and its wall time in seconds."""

    status: int
    output: str
    seconds: float


_ambient: ContextVar[Cancelled] = ContextVar("wasilab_compile_interrupt", default=never)


@contextlib.contextmanager
def interruptible(cancelled: Cancelled) -> Iterator[None]:
    """Within this context, `cancelled` also stops processes started without their own interrupt, such as probes."""
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
    bounds: ProcessBounds = ProcessBounds(),
    descriptors: Sequence[int] = (),
) -> Finished:
    """Run `argv` to completion and return its output; `descriptors` are inherited under their numbers.

    Raises `CompileInterrupted` if `cancelled` returns True, and `ToolchainError` if the program cannot be started,
    exceeds its time limit, or waits for a FIFO without a writer. After any exception (also a KeyboardInterrupt), no
    process of the group is left.
    """
    stop = cancelled or _ambient.get()
    start = time.monotonic()
    kept, total = bytearray(), 0
    started: list[subprocess.Popen[bytes]] = []
    try:
        process = _start(argv, cwd, env, bounds, started, descriptors)
        watch = _Watch(process.pid, argv[0], start, bounds)
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        next_report = _FIRST_REPORT
        ended = False
        with _reading(pipe) as read:
            while True:
                if stop():
                    raise CompileInterrupted("the compile was interrupted")
                elapsed = time.monotonic() - start
                watch.check(elapsed)
                if on_progress is not None and elapsed >= next_report:
                    on_progress(elapsed, sentence(elapsed))
                    next_report = elapsed + _REPORT_STEP
                data = read(STEP)
                if data == b"":
                    break
                if data is not None:
                    total += len(data)
                    kept += data[: max(0, OUTPUT_LIMIT - len(kept))]
                elif ended:
                    break  # a process that it left behind still holds the pipe
                else:
                    ended = process.poll() is not None  # after the read: what it wrote meanwhile is still to be read
        while process.poll() is None:
            if stop():
                raise CompileInterrupted("the compile was interrupted")
            watch.check(time.monotonic() - start)
            time.sleep(0.002)
    finally:
        for one in started:
            _kill(one)
    output = kept.decode("utf-8", "replace")
    if total > len(kept):
        output += f"\n[{counted(total - len(kept), 'more byte')} of compiler output left out]\n"
    return Finished(process.returncode, output, time.monotonic() - start)


def _start(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    bounds: ProcessBounds,
    started: list[subprocess.Popen[bytes]],
    descriptors: Sequence[int],
) -> subprocess.Popen[bytes]:
    """Start a process with its limits; it is in `started` even if an exception follows."""
    if not shutil.which(argv[0]):  # the shell that sets the limits would give a less clear message
        raise ToolchainError(f"cannot start {argv[0]!r}: there is no such program")
    null = os.open(os.devnull, os.O_RDWR)  # do it here, because a confined thread may not be able to

    def popen() -> subprocess.Popen[bytes]:
        with _on_one_processor() if bounds.background else contextlib.nullcontext():
            process = subprocess.Popen(
                _limited(argv, bounds),
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.PIPE if bounds.background else null,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=descriptors,
            )
            started.append(process)
            _alive.add(process)
        return process

    try:
        if bounds.reach is None or not landlock.abi():
            return popen()
        return landlock.call_confined(bounds.reach, popen)
    except (OSError, ValueError) as error:
        raise ToolchainError(f"cannot start {argv[0]!r}: {error}") from error
    finally:
        os.close(null)


@contextlib.contextmanager
def _on_one_processor() -> Iterator[None]:
    """Bind this thread, and the processes that it starts meanwhile, to one processor, where the system can (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _limited(argv: Sequence[str], bounds: ProcessBounds) -> list[str]:
    """Wrap the command in a shell that sets the resource limits and then execs it, so that they apply from the start.

    Setting them from this process after the start would be a race: the compiler could already have children.
    """
    limits = []
    if bounds.memory is not None:
        limits.append(f"ulimit -d {max(1, bounds.memory >> 10)} 2>/dev/null")
    if bounds.seconds is not None:
        limits.append(f"ulimit -t {max(1, int(bounds.seconds) + 1)} 2>/dev/null")
    if not (limits or bounds.background) or not os.access("/bin/sh", os.X_OK):
        return list(argv)
    if not bounds.background:
        return ["/bin/sh", "-c", "; ".join([*limits, 'exec "$@"']), "sh", *argv]
    if nice := shutil.which("nice"):
        argv = [nice, "-n", "19", *argv]
    return ["/bin/sh", "-c", "; ".join([*limits, _TIED]), "sh", *argv]


_TIED = 'exec 3<&0 </dev/null; "$@" 3<&- & command=$!; (read -r _ <&3; kill -9 0) & wait $command'
"""Runs a command and kills the group when this process ends: stdin is a pipe of which it holds the other end."""


class _Watch:
    """Raises if a group has used up its time, or waits to open a FIFO."""

    def __init__(self, pid: int, name: str, start: float, bounds: ProcessBounds) -> None:
        self._pid = pid
        self._name = name
        self._seconds = bounds.seconds
        self._next_look = _STUCK_STEP
        self._waiting = False

    def check(self, elapsed: float) -> None:
        """Raise `ToolchainError` if one of these is the case."""
        if self._seconds is not None and elapsed > self._seconds:
            raise ToolchainError(
                f"{self._name!r} took longer than {self._seconds:g} s; raise it with --max-compile-time"
            )
        if elapsed < self._next_look:
            return
        self._next_look = elapsed + _STUCK_STEP
        waits = _opens_a_fifo(self._pid)
        if waits and self._waiting:
            raise ToolchainError(
                f"{self._name!r} waits to open a FIFO without a writer: a file that the source includes, or one "
                "named among the flags, is not an ordinary file"
            )
        self._waiting = waits


def _opens_a_fifo(pid: int) -> bool:
    """Whether a thread of a process or of its descendants waits in open(2) for the other end of a FIFO (Linux)."""
    pending, seen = [pid], 0
    while pending and seen < 100:
        process = pending.pop()
        seen += 1
        try:
            tasks = os.listdir(f"/proc/{process}/task")
            for task in tasks[:200]:
                with open(f"/proc/{process}/task/{task}/wchan") as wchan:
                    if wchan.read() == "wait_for_partner":
                        return True
                with open(f"/proc/{process}/task/{task}/children") as children:
                    pending += [int(child) for child in children.read().split()]
        except OSError:
            continue  # it has ended meanwhile, or this system has no such information
    return False


def out_of_memory(output: str, finished: Finished, bounds: ProcessBounds) -> str | None:
    """A message for a compiler that ran out of memory; None for any other end."""
    if bounds.memory is None or finished.status == 0:
        return None
    signs = (
        "out of memory", "bad_alloc", "annot allocate memory", "memory allocation of", "OutOfMemory",
        "error while loading shared libraries",  # before the compiler itself starts
    )  # fmt: skip
    if not any(sign in output for sign in signs):
        return None
    return f"a compiler may take {exact_size(bounds.memory)} of memory; raise it with --max-compile-memory"


Read = Callable[[float], bytes | None]
"""Waits up to that many seconds for output: returns some output, b"" at its end, None if there was none."""


@contextlib.contextmanager
def _reading(pipe: int) -> Iterator[Read]:
    """Read a pipe with a timeout: by a selector, or by a thread if selectors do not support pipes (Windows)."""
    if not PIPES_CAN_BE_SELECTED:
        yield _read_by_thread(pipe)
        return
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)

        def read(seconds: float) -> bytes | None:
            if not selector.select(seconds):
                return None
            try:
                return os.read(pipe, 65536)
            except BlockingIOError:
                return None

        yield read


def _read_by_thread(pipe: int) -> Read:
    found: queue.Queue[bytes] = queue.Queue(maxsize=16)

    def work() -> None:
        data = b"+"
        while data:
            try:
                data = os.read(pipe, 65536)
            except OSError:  # closed, because the compile was ended
                data = b""
            found.put(data)

    threading.Thread(target=work, name="wasilab compiler output", daemon=True).start()

    def read(seconds: float) -> bytes | None:
        try:
            return found.get(timeout=seconds)
        except queue.Empty:
            return None

    return read


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group: otherwise the children would outlive the compiler driver."""
    _kill_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    _alive.discard(process)


@atexit.register
def _kill_all() -> None:
    for process in list(_alive):
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows: taskkill kills a process with its children
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with contextlib.suppress(OSError):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
