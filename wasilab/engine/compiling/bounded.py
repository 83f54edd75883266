"""Compiles in a separate process with limits, which returns the machine code through a pipe.

Cranelift cannot be stopped, and its cost is not proportional to the module's size. A process can be stopped: its limits
apply from the start, and an interrupt ends it. The machine code comes from our own Wasmtime and a module that it has
validated, as it would in this process.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from ...capabilities.waiting import Interrupted
from ...text.numbers import exact_size
from .costs import LIBRARY, CompileLimitReached, Cost

_STEP = 0.05
"""Seconds between checks for an interrupt."""
_SCRIPT = Path(__file__).with_name("compile_child.py")
_PRELOADED = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES")
"""Variables that load libraries into every process: an allocator or a sanitizer would use up the memory allowed."""
_TIME, _MEMORY = "raise it with --max-compile-time", "raise it with --max-compile-memory"
_OUT_OF_TIME = (-27, -24)
"""Exit statuses for SIGPROF and SIGXCPU."""


@dataclass(frozen=True, slots=True)
class CompileBounds:
    """Limits of compiling; None: unlimited."""

    seconds: float | None = None
    """Seconds of processor time."""
    memory: int | None = None
    """Bytes."""


class InvalidModule(Exception):
    """Wasmtime refuses the module; the message is Wasmtime's."""


def available() -> bool:
    """Whether there is a Python executable to start; not if Python is embedded in another program."""
    return bool(sys.executable) and not getattr(sys, "frozen", False) and LIBRARY is not None and _SCRIPT.exists()


def compiled(
    name: str,
    data: bytes,
    settings: Sequence[tuple[str, int]],
    bounds: CompileBounds,
    cancelled: Callable[[], bool],
    kind: Literal["module", "component"] = "module",
) -> tuple[bytes, Cost]:
    """The machine code of a module for an engine with these settings, and its cost.

    A component is only validated and gives no code. `cancelled` is polled every 50 ms; when it returns True,
    `Interrupted` is raised. Raises `CompileLimitReached` and `InvalidModule`.
    """
    command = [
        sys.executable, "-I", "-S", str(_SCRIPT), str(LIBRARY), str(bounds.seconds or 0), str(bounds.memory or 0), kind,
        *(f"{setting}={value}" for setting, value in settings),
    ]  # fmt: skip
    start = time.monotonic()
    with _as_file(data) as given:
        try:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if name not in _PRELOADED},
                start_new_session=os.name != "nt",  # Ctrl-C is for us; we end it
            )
        except OSError as error:
            raise CompileLimitReached(
                f"compiling {name} needs a process of its own, which cannot be started: {error}"
            ) from None
    try:
        reply = _reply(process, bounds, cancelled, start)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    head, _, body = reply.partition(b"\n")
    state = re.fullmatch(rb"(ok|invalid) ([0-9.e-]+) ([0-9]+)", head)
    if state is not None and state[1] == b"ok":
        return body, Cost(float(state[2]), int(state[3]))
    if state is not None:
        raise InvalidModule(body.decode("utf-8", "replace"))
    if bounds.seconds is not None and process.returncode in _OUT_OF_TIME:
        raise CompileLimitReached(
            f"compiling {name} to machine code takes more than {bounds.seconds:g} s of processor time; {_TIME}"
        )
    if bounds.memory is not None:
        raise CompileLimitReached(
            f"compiling {name} to machine code takes more than {exact_size(bounds.memory)} of memory; {_MEMORY}"
        )
    raise CompileLimitReached(f"compiling {name} to machine code ended with status {process.returncode}")


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[IO[bytes]]:
    """The bytes as an unnamed file: unlike a pipe, it does not block if the process never reads it."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("wasilab"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed below
    with file:
        file.write(data)
        file.seek(0)
        yield file


def _reply(
    process: subprocess.Popen[bytes], bounds: CompileBounds, cancelled: Callable[[], bool], start: float
) -> bytes:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=_STEP)[0]
        if cancelled():
            raise Interrupted
        if os.name == "nt" and bounds.seconds is not None and time.monotonic() - start > bounds.seconds:
            process.kill()  # it has no limits of its own there
            process.returncode = _OUT_OF_TIME[0]
            return b""
