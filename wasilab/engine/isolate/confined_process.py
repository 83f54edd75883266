"""Starts, ends and keeps confined processes.

Starting one takes as long as importing wasilab. So one is started ahead (`PREPARED.keep`), in its namespaces, with
everything imported and no guest data. A run takes it and sends it grants; the process ends with the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from .messages import BadMessage, MessageChannel, MessageKind, record_of
from .sandbox import LAYERS

_SCRIPT = Path(__file__).with_name("first_steps.py")
_VARIABLES = frozenset({
    "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "WASILAB_NATIVE", "WASILAB_TEST_HOLE",
})  # fmt: skip
"""The environment variables that the process gets: those that Python and our library need. Others may hold secrets."""
_TOLD_BYTES = 1 << 14
_LONGEST_WAIT = 10.0
"""Seconds to wait for a killed process, and for the end of its stderr."""


class CannotIsolate(Exception):
    """No confined process can be started; the message is for the user."""


def why_not() -> str:
    """Why no process can be confined on this system; "" if one can."""
    if not hasattr(os, "fork") or not hasattr(socket, "AF_UNIX"):
        return "isolating a run needs Linux or another POSIX system"
    if not sys.executable or getattr(sys, "frozen", False):
        return "isolating a run needs a Python to start, and this one is built into another program"
    return ""


class ConfinedProcess:
    """A confined process; `channel` connects to it. Raises `CannotIsolate` if it cannot be started."""

    def __init__(self, module: str, without: Sequence[str] = ()) -> None:
        why = why_not()
        if why:
            raise CannotIsolate(why)
        self._told = bytearray()
        self._lock = threading.Lock()
        self._ready: dict[str, object] | None = None
        ours, theirs = socket.socketpair()
        life_end, self._lifeline = os.pipe()
        self._errors, errors_end = os.pipe()
        given = {
            "paths": [path for path in map(os.path.abspath, sys.path) if os.path.exists(path)], "module": module,
            "control": theirs.fileno(), "lifeline": life_end, "errors": errors_end, "without": list(without),
        }  # fmt: skip
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT), json.dumps(given)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors_end, cwd="/",
                env=_environment(os.environ), pass_fds=(theirs.fileno(), life_end, errors_end),
                start_new_session=True,  # Ctrl-C is for us; we end it
            )  # fmt: skip
        except OSError as error:
            ours.close()
            for end in (self._lifeline, self._errors):
                os.close(end)
            why = f"isolating a run needs a process of its own, which cannot be started: {error}"
            raise CannotIsolate(why) from None
        finally:
            theirs.close()
            os.close(life_end)
            os.close(errors_end)
        self.channel = MessageChannel(ours)
        self._listener = threading.Thread(target=self._listen, name="wasilab confined stderr", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Keep the end of its stderr: a panic, or a traceback of ours."""
        errors = self._errors
        with contextlib.suppress(OSError):
            while data := os.read(errors, 1 << 14):
                self._told += data
                del self._told[:-_TOLD_BYTES]
        os.close(errors)

    @property
    def told(self) -> str:
        """The end of its stderr; complete once `end` has returned."""
        return bytes(self._told).decode("utf-8", "replace")

    def ready(self) -> list[str]:
        """Wait until it has imported everything; returns its namespaces. Raises `CannotIsolate`."""
        if self._ready is None:
            try:
                message = self.channel.receive()
                found = None if message is None or message[0] is not MessageKind.READY else record_of(message[1])
            except (BadMessage, OSError):
                found = None
            if found is None:
                self.end()
                lines = self.told.strip().splitlines() or ["it said nothing"]
                raise CannotIsolate(f"the process for the run did not start: {lines[-1]}")
            self._ready = found
        entered = self._ready.get("entered")
        return [name for name in entered if name in LAYERS] if isinstance(entered, list) else []

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill it and every process it started."""
        with self._lock, contextlib.suppress(OSError):
            lifeline, self._lifeline = self._lifeline, -1
            if lifeline >= 0:
                os.close(lifeline)

    def end(self) -> int:
        """End it if it is running, and release it; returns its status (above 128: killed by a signal)."""
        status: int | None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)  # one that has just died has a status
        self.kill()
        try:
            status = self._process.wait(_LONGEST_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._listener.join(_LONGEST_WAIT)  # only then is `told` complete
        self.channel.close()
        return status

    def __del__(self) -> None:
        if hasattr(self, "_lifeline"):
            self.kill()


def signal_name(status: int) -> str:
    """The signal in a status of `ConfinedProcess.end`, such as "SIGSYS"; "" for none."""
    try:
        return signal.Signals(status - 128).name if status > 128 else ""
    except ValueError:
        return f"signal {status - 128}"


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if name in _VARIABLES}


class WaitingProcess:
    """The process prepared for the next run, if enabled."""

    def __init__(self) -> None:
        self.keep = False
        """Whether to start a process for the next run once one has been taken and has ended."""
        self._lock = threading.Lock()
        self._waiting: ConfinedProcess | None = None

    def take(self, module: str, without: Sequence[str] = ()) -> ConfinedProcess:
        """The prepared process, or a new one."""
        with self._lock:
            found, self._waiting = self._waiting, None
        if found is not None and found.alive and not without:
            return found
        return ConfinedProcess(module, without)

    def start(self, module: str) -> None:
        """Start the process for the next run unless one is prepared. Returns at once; the run reports a failure."""
        with self._lock, contextlib.suppress(CannotIsolate):
            if self._waiting is None or not self._waiting.alive:
                self._waiting = ConfinedProcess(module)

    def clear(self) -> None:
        """End the prepared process."""
        with self._lock:
            found, self._waiting = self._waiting, None
        if found is not None:
            found.kill()
            found.end()


PREPARED = WaitingProcess()
"""The prepared process of this process."""
