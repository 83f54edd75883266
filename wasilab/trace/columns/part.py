"""Consecutive calls in memory or in a file: the parts of a `Store`.

The content of a part from a file is read on access, and kept within the limits of `ContentCache`. Not for: reading
files (`container_reader.py`, `formats/`).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from ..errors import TraceError
from ..record.container import Bytes, Section
from ..record.layout import Life
from ..record.packing import unpack_lives
from ..record.reasons import Reason
from .records import Array, by_column

LAST_SEQ = 1 << 62
"""The maximum number of a call in a file."""
CACHED_BYTES = 256 << 20
"""Maximum bytes of content kept in memory for the parts of one file."""


@dataclass(frozen=True, slots=True)
class PartContent:
    """The calls of a part."""

    records: Array
    arena: Bytes
    """Their payloads."""
    paths: Sequence[bytes]
    reasons: Sequence[Reason]
    lives: Sequence[Life] | memoryview = ()
    """Descriptors closed among these calls; packed (`pack_lives`) when they come from a file."""
    seqs: Array | None = None
    """`seq` of each call if they are not consecutive (a filtered trace)."""

    @property
    def nbytes(self) -> int:
        """Approximate bytes of memory that it uses."""
        return self.records.nbytes + len(self.arena) + 100 * len(self.paths)


class ContentCache:
    """Keeps the most recently used contents. Thread-safe."""

    def __init__(self, limit: int = CACHED_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._contents: OrderedDict[int, PartContent] = OrderedDict()
        self._lock = Lock()

    def holds(self, key: int) -> bool:
        """Whether the content with this key is kept."""
        return key in self._contents

    def get(self, key: int, load: Callable[[], PartContent]) -> PartContent:
        """The content with this key, loaded if necessary."""
        with self._lock:
            content = self._contents.get(key)
            if content is not None:
                self._contents.move_to_end(key)
                return content
        content = load()
        with self._lock:
            if key not in self._contents:
                self._contents[key] = content
                self._held += content.nbytes
            while self._held > self._limit and len(self._contents) > 1:
                _, oldest = self._contents.popitem(last=False)
                self._held -= oldest.nbytes
        return content


class Part:
    """Consecutive calls, in the order in which they ended."""

    __slots__ = ("_alone", "_cache", "_closed", "_content", "_load", "first", "n")

    def __init__(
        self,
        first: int,
        n: int,
        content: PartContent | Callable[[], PartContent],
        cache: ContentCache | None = None,
        closed: Callable[[], Sequence[Life]] | None = None,
        alone: Callable[[], tuple[Array, Sequence[bytes]]] | None = None,
    ) -> None:
        self.first = first
        """`seq` of the first call."""
        self.n = n
        self._content = content if isinstance(content, PartContent) else None
        self._load = content if not isinstance(content, PartContent) else None
        self._cache = cache if cache is not None else _NO_CACHE
        self._closed = closed
        """Gives `closed`, if that can be read without the rest."""
        self._alone = alone
        """Gives records and paths without the payloads; only of parts whose calls are numbered consecutively."""

    @property
    def content(self) -> PartContent:
        """Its calls; TraceError if the file is corrupt there."""
        if self._content is not None:
            return self._content
        assert self._load is not None
        return self._cache.get(id(self), self._load)

    @property
    def is_loaded(self) -> bool:
        """Whether its calls are in memory."""
        return self._content is not None or self._cache.holds(id(self))

    @property
    def unpacks(self) -> bool:
        """Whether its records are unpacked again at each access."""
        return self._alone is not None and not self.is_loaded

    def alone(self) -> tuple[Array, Sequence[bytes]]:
        """Its records and paths, without the payloads if that is less work; for one access, as they are not kept."""
        if self._alone is not None and not self.is_loaded:
            return self._alone()
        return self.records, self.paths

    @property
    def records(self) -> Array:
        """The records of its calls."""
        return self.content.records

    @property
    def arena(self) -> Bytes:
        """The payloads of its calls."""
        return self.content.arena

    @property
    def paths(self) -> Sequence[bytes]:
        """Path number - 1 -> path."""
        return self.content.paths

    @property
    def reasons(self) -> Sequence[Reason]:
        """Reason number - 1 -> why a call was refused or failed."""
        return self.content.reasons

    def numbers(self, index: Array | None = None) -> Array:
        """`seq` of the calls at `index` in the part, or of all."""
        seqs = self.content.seqs if self._alone is None else None
        if seqs is not None:
            return seqs if index is None else np.asarray(seqs[index])
        return np.arange(self.first, self.first + self.n) if index is None else np.asarray(index + self.first)

    def rows(self, index: Array) -> Array:
        """The records at `index` (ascending); not copied if that is all of them."""
        return self.records if len(index) == self.n else np.asarray(self.records[index])

    def section(self, *, compress: bool) -> Section:
        """This part for a `Writer` with or without compression."""
        content = self.content
        numbers = b"" if content.seqs is None else content.seqs.astype("<i8").tobytes()
        records = by_column(content.records) if compress else content.records.tobytes()
        return Section(
            self.first, self.n, records, content.arena, content.paths, content.reasons, content.lives, numbers
        )

    def closed(self) -> Sequence[Life]:
        """The descriptors closed in this part; TraceError if the file is corrupt there."""
        lives = self.content.lives if self._closed is None else self._closed()
        if not isinstance(lives, memoryview):
            return lives
        try:
            return unpack_lives(lives)
        except (ValueError, struct.error) as error:
            raise TraceError(f"the trace file's table of descriptors is damaged ({error})") from None


_NO_CACHE = ContentCache(0)


def ascending(seqs: Array) -> Array:
    """Check the numbers of calls; ValueError if they do not ascend."""
    if len(seqs) and (seqs[0] < 0 or seqs[-1] > LAST_SEQ or not (np.diff(seqs) > 0).all()):
        raise ValueError("the numbers of the calls do not ascend")
    return seqs
