"""Runs scripts in a process of their own.

A script is untrusted, and a hostile or unlucky one can end its process: by using up memory, by waiting in an atomic
instruction that nothing can end, by an error in Wasmtime. Then the process is replaced, and the script's report says
how it ended.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from ..compiling.wasm_features import Features
from .progress import PROGRESS, ScriptProgress
from .script import NOT_JUDGED, ScriptVerdict

_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); "
    f"runpy.run_module({f'{__package__}.script_child'!r}, run_name='__main__')"
)
MEMORY_BYTES = 4 << 30
"""The most bytes of data of the process."""
_START_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""Seconds beyond the limit of a command after which the process is killed."""
_STEP = 0.1
_LONGEST_LINE = 1 << 16
ScriptRecord = ScriptVerdict | dict[str, object]
_OUTCOMES = ("passed", "failed", "skipped")


class ScriptsCannotRun(Exception):
    """No process for scripts can be started; the message is for the user."""


class ScriptProcess:
    """The process for scripts: started when the first script comes, and again if it has died. `close` it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = bytearray()
        self._shared: mmap.mmap | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self.ended = ""
        """Why the last script did not run to its end; "" if it did."""

    @property
    def progress(self) -> ScriptProgress:
        """How far the script is, or was when it ended."""
        if self._shared is None:
            return ScriptProgress()
        return ScriptProgress(*PROGRESS.unpack(self._shared[: PROGRESS.size]))

    def run(
        self, folder: Path, features: Features, seconds: float, judged: Mapping[str, str] = NOT_JUDGED
    ) -> Iterator[ScriptVerdict]:
        """Run the script in `folder` (`script.json` and its modules); yields each verdict that has words.

        `seconds` is the limit of each command; `judged` as in `Script`. Afterwards `progress` has the counts, and
        `ended` why it ended early. Leaving the iteration early kills the process. Raises `ScriptsCannotRun`.
        """
        self.ended = ""
        process = self._started()
        assert process.stdin is not None
        chosen = [list(one) for one in features]
        task = {"folder": str(folder), "features": chosen, "seconds": seconds, "judged": dict(judged)}
        finished = False
        try:
            with contextlib.suppress(OSError):  # it has died: reading says so
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
            for record in self._records(process, seconds + GRACE_SECONDS):
                if isinstance(record, dict):
                    finished = record.get("reusable") is True
                    return
                yield record
        finally:
            if not finished:
                self.kill()

    def kill(self) -> None:
        """End the process now."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def close(self) -> None:
        """End the process and free what belongs to it."""
        self.kill()
        self._errors.close()
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    # ---- the process

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.kill()
        if os.name == "nt":
            raise ScriptsCannotRun("running scripts needs Linux or another POSIX system")
        if not sys.executable or getattr(sys, "frozen", False):
            raise ScriptsCannotRun("scripts need a Python to start, and this one is built into another program")
        self._pending.clear()
        self._errors.seek(0)
        self._errors.truncate()
        with tempfile.NamedTemporaryFile(prefix="wasilab-") as shared:
            shared.truncate(PROGRESS.size)
            if self._shared is not None:
                self._shared.close()
            self._shared = mmap.mmap(shared.fileno(), PROGRESS.size)
            paths = [path for path in map(os.path.abspath, sys.path) if os.path.exists(path)]
            command = [sys.executable, "-I", "-S", "-c", _START, json.dumps(paths), shared.name, str(MEMORY_BYTES)]
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                    start_new_session=True,  # Ctrl-C is for us; we end it
                )  # fmt: skip
            except OSError as error:
                raise ScriptsCannotRun(f"scripts need a process of their own, which cannot start: {error}") from None
            try:
                ready = next(self._records(self._process, _START_SECONDS), None)
            except BaseException:
                self.kill()
                raise
        if not isinstance(ready, dict):
            told = self._told()
            self.kill()
            raise ScriptsCannotRun(f"the process for scripts did not start: {told or 'it said nothing'}")
        return self._process

    def _records(self, process: subprocess.Popen[bytes], patience: float) -> Iterator[ScriptRecord]:
        """What the process writes: verdicts, and at last a dict. Sets `ended` and stops if it dies, writes something
        else, or shows no progress for `patience` seconds.
        """
        assert process.stdout is not None
        seen, since = self.progress, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                while b"\n" in self._pending:
                    line, _, rest = bytes(self._pending).partition(b"\n")
                    self._pending[:] = rest
                    record = _record(line)
                    if record is None:
                        self.ended = self._at("its process wrote something else than verdicts, and was ended")
                        return
                    yield record
                if len(self._pending) > _LONGEST_LINE:
                    self.ended = self._at("its process wrote something else than verdicts, and was ended")
                    return
                now = self.progress
                if now != seen:
                    seen, since = now, time.monotonic()
                if time.monotonic() - since > patience:
                    self.ended = self._at(f"the command did not end within {patience - GRACE_SECONDS:g} s")
                    return
                if not selector.select(_STEP):
                    continue
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    status = process.wait()
                    how = f"by signal {-status}" if status < 0 else f"with status {status}"
                    told = self._told()
                    self.ended = self._at(f"its process ended {how}" + (f" ({told})" if told else ""))
                    return
                self._pending += data

    def _at(self, words: str) -> str:
        line = self.progress.line
        return f"line {line}: {words}" if line else words

    def _told(self) -> str:
        """The last line of its stderr."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _record(line: bytes) -> ScriptRecord | None:
    """A line of the process; None if it is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        return found
    if not isinstance(found, list) or len(found) != 4:
        return None
    number, command, outcome, words = found
    if not isinstance(number, int) or outcome not in _OUTCOMES or not all(isinstance(one, str) for one in found[1:]):
        return None
    return ScriptVerdict(number, command, outcome, words)
