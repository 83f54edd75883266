"""The process that runs scripts. It reads one JSON line for each script from stdin: the folder with `script.json` and
its modules, the features, the seconds for a command, and what another validator says of its components. It writes a
JSON line for each verdict that the user wants to see, and after each script whether the process can run another one.

`script_process.py` starts it and trusts nothing that it writes.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import threading
from pathlib import Path

from ..compiling.compile_child import limit
from .progress import PROGRESS, ScriptProgress
from .script import Script, ScriptVerdict

SHOWN = 10_000
"""The most verdicts of a script that are written; the rest is counted."""
LONGEST = 2_000
"""The maximum characters of a verdict's text."""


class Reporter:
    """Counts verdicts in a shared file, which the parent reads even if this process dies, and writes the others."""

    def __init__(self, shared: mmap.mmap, out: int) -> None:
        self._shared = shared
        self._out = out
        self._lock = threading.Lock()
        self._now = ScriptProgress()
        self._written = 0

    def restart(self) -> None:
        """Begin a script."""
        self._now, self._written = ScriptProgress(), 0
        self._save()

    def begin(self, line: int) -> None:
        """A command is about to be carried out."""
        with self._lock:
            self._now = self._now._replace(line=line)
            self._save()

    def report(self, verdict: ScriptVerdict) -> None:
        """A command has been carried out."""
        with self._lock:
            self._now = self._now.counting(verdict.command, verdict.outcome, bool(verdict.words))
            self._save()
            if verdict.words and self._written < SHOWN:
                self._written += 1
                self.write([verdict.line, verdict.command, verdict.outcome, verdict.words[:LONGEST]])

    def write(self, record: object) -> None:
        """Write a line for the parent."""
        data = json.dumps(record).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def _save(self) -> None:
        self._shared[: PROGRESS.size] = PROGRESS.pack(*self._now)


def main() -> None:
    """Run the scripts that the parent names, one after the other."""
    path, memory = sys.argv[2], int(sys.argv[3])
    limit(0, memory)
    out = os.dup(1)
    os.dup2(2, 1)  # nothing else may write between the verdicts
    with open(path, "r+b") as file:
        reporter = Reporter(mmap.mmap(file.fileno(), PROGRESS.size), out)
    reporter.write({"ready": True})
    for line in sys.stdin.buffer:
        task = json.loads(line)
        reporter.restart()
        reporter.write({"reusable": _run(task, reporter)})


def _run(task: dict[str, object], reporter: Reporter) -> bool:
    """Run one script; returns False if a thread of it cannot be ended."""
    folder = Path(str(task["folder"]))
    features, seconds, judged = task["features"], task["seconds"], task["judged"]
    assert isinstance(features, list)
    assert isinstance(judged, dict)
    assert isinstance(seconds, (int, float))
    try:
        commands = json.loads((folder / "script.json").read_bytes())["commands"]
        if not isinstance(commands, list):
            raise TypeError("its commands are not a list")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        words = f"what the parser wrote cannot be read: {type(error).__name__}: {error}"
        reporter.report(ScriptVerdict(0, "script", "failed", words))
        return True
    chosen = tuple((str(name), bool(on)) for name, on in features)
    script = Script(folder, chosen, seconds, reporter.report, reporter.begin, judged=judged)
    script.run(commands)
    return not script.stuck


if __name__ == "__main__":
    main()
