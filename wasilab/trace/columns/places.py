"""The source line to which the calls of each recorded stack are attributed.

This is the innermost frame in the user's source file (`meta["source_name"]`) or, if that is not known, the innermost
one with a line. Not for: reading DWARF (`module/dwarf.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from .store import Store

Place = tuple[str, int, str]
"""(file, line, function)."""


class Places:
    """For every stack number (0: no stack) the source line to which its calls are attributed, None if unknown.

    Each is looked up on access, since reading debug information takes time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = PurePosixPath(str(store.meta.get("source_name") or "")).name

    def __len__(self) -> int:
        return len(self._store.stacks) + 1

    def __getitem__(self, number: int) -> Place | None:
        if not 0 <= number < len(self):
            raise IndexError(number)
        best = self._store.own_frame(number, self._own)
        return (str(best[2]), best[3], best[0]) if best else None

    def __iter__(self) -> Iterator[Place | None]:
        return (self[number] for number in range(len(self)))

    def get(self, number: int) -> Place | None:
        """The place of a stack, None also for an unknown number."""
        return self[number] if 0 <= number < len(self) else None

