"""The memory budget shared by this process's traces.

A notebook keeps every reachable run, with 75 bytes or more per call. So the traces of ended runs share one budget.
Above it, the least recently used traces are moved to files in a folder of this process and loaded again on access. The
folder is deleted with the process.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Keeps(Protocol):
    """An ended run whose trace is kept."""

    @property
    def weight(self) -> int:
        """Approximate bytes of memory that its trace uses now."""
    def unload(self) -> None:
        """Move its trace to a file."""


def eighth_of_memory() -> int:
    """An eighth of the machine's memory, in bytes; 256 MiB if its size is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8
    except (ValueError, OSError, AttributeError):
        return 256 << 20


class KeptTraces:
    """The traces in memory, in order of last use. Thread-safe."""

    def __init__(self, budget: Callable[[], int] = eighth_of_memory) -> None:
        self.budget = budget()
        """Bytes of memory that all traces may use together; the newest always stays in memory."""
        self._runs: OrderedDict[int, weakref.ref[Keeps]] = OrderedDict()
        self._lock = threading.RLock()
        self._folder: Path | None = None
        self._keeper: object = None
        """Removes the folder when the process ends."""
        self._files = 0

    def used(self, run: Keeps) -> None:
        """Mark `run` as most recently used: it has ended, or its trace was accessed."""
        key = id(run)
        with self._lock:
            if key not in self._runs:
                self._runs[key] = weakref.ref(run, lambda _: self._runs.pop(key, None))
            self._runs.move_to_end(key)

    def weight(self) -> int:
        """Approximate bytes of memory that all traces use now."""
        return sum(run.weight for run in self._alive())

    def make_room(self) -> None:
        """Move the least recently used traces to files until the rest fits the budget."""
        runs = self._alive()
        weights = [run.weight for run in runs]
        total = sum(weights)
        for run, weight in zip(runs[:-1], weights, strict=False):
            if total <= self.budget:
                break
            run.unload()
            total -= weight - run.weight

    def new_file(self) -> Path:
        """A new file name in a folder that only this user can read and that is deleted with the process."""
        with self._lock:
            if self._folder is None:
                import tempfile  # imported only when needed, to keep the start fast

                made = tempfile.TemporaryDirectory(prefix="wasilab-traces-", ignore_cleanup_errors=True)
                self._keeper, self._folder = made, Path(made.name)
            self._files += 1
            return self._folder / f"{self._files}.wtrace"

    def _alive(self) -> list[Keeps]:
        references = list(self._runs.values())  # atomic: a run may be collected during the loop
        return [run for run in (reference() for reference in references) if run is not None]


KEPT = KeptTraces()
"""The traces of this process. `KEPT.budget` may be set."""
