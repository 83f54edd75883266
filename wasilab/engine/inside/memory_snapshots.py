"""Copies of a guest's memory at some of its calls, as pages; equal pages of neighbouring copies are kept once.

For: replays that go to a call (`replays/memories.py`), and instances that keep their memory at each call.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from typing import NamedTuple

from ..calls.memory import GuestMemory

Point = tuple[int, bool]
"""A place in a run: the number of a call, and whether it has been answered. Points compare in order of time."""
MOST_BYTES = 64 << 20
"""Bytes of the pages that are kept; the newest copy stays in any case."""
_PAGE = 4096


class MemoryThen(NamedTuple):
    """A guest's linear memory at one moment, and the value of its stack pointer (None if it is not known)."""

    data: bytes
    stack_pointer: int | None


class MemorySnapshots:
    """The memory at some points. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Point, list[bytes]] = OrderedDict()
        self._pointers: dict[Point, int | None] = {}
        self._uses: Counter[int] = Counter()  # id of a page -> snapshots that have it
        self._lock = threading.Lock()

    def add(self, point: Point, view: memoryview, pointer: int | None) -> None:
        """Keep a copy of `view` with the stack pointer, and drop the snapshots used longest ago above `MOST_BYTES`."""
        with self._lock:
            near: list[bytes] = next(reversed(self._kept.values()), [])
            pages = []
            for index, at in enumerate(range(0, len(view), _PAGE)):
                page = view[at : at + _PAGE].tobytes()
                old = near[index] if index < len(near) else b""
                pages.append(old if old == page else page)
            self._drop(point)
            self._kept[point] = pages
            self._pointers[point] = pointer
            self._uses.update(map(id, pages))
            while len(self._kept) > 1 and len(self._uses) * _PAGE > MOST_BYTES:
                self._drop(next(iter(self._kept)))

    def watch(self, point: Point, memory: GuestMemory, pointer: int | None) -> None:
        """`add` the memory of a guest that is at a call."""
        self.add(point, memory.view, pointer)

    def get(self, point: Point) -> MemoryThen | None:
        """The memory at a point; None where it is not kept."""
        with self._lock:
            pages = self._kept.get(point)
            if pages is None:
                return None
            self._kept.move_to_end(point)
            return MemoryThen(b"".join(pages), self._pointers[point])

    @property
    def size(self) -> tuple[int, int]:
        """How many there are, and the bytes of their pages."""
        with self._lock:
            return len(self._kept), len({id(page) for pages in self._kept.values() for page in pages}) * _PAGE

    @property
    def calls(self) -> list[int]:
        """The calls at which the memory is kept."""
        with self._lock:
            return sorted({call for call, _ in self._kept})

    def _drop(self, point: Point) -> None:
        self._pointers.pop(point, None)
        for page in self._kept.pop(point, ()):
            self._uses[id(page)] -= 1
            if not self._uses[id(page)]:
                del self._uses[id(page)]
