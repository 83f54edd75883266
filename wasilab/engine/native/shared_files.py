"""In-memory files shared with the library: both can reach their bytes, position and quota.

An unchanged file keeps the `bytes` that it was made from, and the library reads those. The first change is made by
Python, which moves the file to a block with room to grow; from then on the library writes into that room. Any access to
the bytes holds the file's lock, because two runs may share a folder.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from ...capabilities.memory.memtree import Cursor, FileNode, MemFile, MemTree, Quota
from .binding import Library
from .layouts import Content, OpenContent, QuotaState

_LEAST = 4096


class SharedQuota:
    """The quota of a folder, counted in a `QuotaState` (as `memtree.Quota`)."""

    def __init__(self, library: Library, former: Quota) -> None:
        self.meter = QuotaState(former.used, former.most, former.real, 0)
        self.address = ctypes.addressof(self.meter)
        self._charge = library.charge

    @property
    def used(self) -> int:
        return int(self.meter.used)

    @property
    def most(self) -> int:
        return int(self.meter.most)

    @property
    def real(self) -> bool:
        return bool(self.meter.real)

    @real.setter
    def real(self, value: bool) -> None:
        self.meter.real = value

    def take(self, size: int) -> bool:
        return bool(self._charge(self.address, size))


class SharedFile:
    """The bytes of one in-memory file (`memtree.SharedData`)."""

    def __init__(self, library: Library, node: FileNode, quota: SharedQuota) -> None:
        self.content = Content(meter=quota.address)
        self.address = ctypes.addressof(self.content)
        self._library = library
        self._quota = quota
        self._holds: object = None
        if isinstance(node.data, bytes):
            self.show(node.data)
        else:
            node.data = self.writable(bytes(node.data))

    @contextmanager
    def locked(self) -> Iterator[Content]:
        """The file's bytes, locked against other access."""
        self._library.lock(self.address)
        try:
            yield self.content
        finally:
            self._library.unlock(self.address)

    def show(self, data: bytes) -> None:
        with self.locked() as content:
            content.data = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
            content.size, content.capacity = len(data), 0
            self._holds = data

    def writable(self, data: bytes) -> bytearray:
        with self.locked():
            self.reserve(0, len(data))
            ctypes.memmove(self.content.data, data, len(data))
        return cast(bytearray, GrowingBytes(self))

    def reserve(self, kept: int, size: int) -> None:
        """Resize the file to `size` bytes in its own block. The first `kept` bytes are kept, the rest is zero. The
        caller holds its lock."""
        content = self.content
        if size > content.capacity or not content.capacity:
            block = bytearray(size + size // 2 + _LEAST)
            hold = (ctypes.c_char * len(block)).from_buffer(block)
            if kept:
                ctypes.memmove(hold, content.data, kept)
            content.data, content.capacity, self._holds = ctypes.addressof(hold), len(block), hold
        elif size > kept:
            ctypes.memset(content.data + kept, 0, size - kept)
        content.size = size

    def take_touched(self) -> int:
        touched = int(self.content.touched)
        if touched:
            self.content.touched = 0
        return touched


class GrowingBytes:
    """The bytes of a file that is being written, with the part of the `bytearray` API that `memtree` uses."""

    __slots__ = ("_file",)

    def __init__(self, file: SharedFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return int(self._file.content.size)

    def __bytes__(self) -> bytes:
        return self[:]

    def __eq__(self, other: object) -> bool:
        return bytes(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, part: slice) -> bytes:
        with self._file.locked() as content:
            start, stop, _ = part.indices(content.size)
            return ctypes.string_at(content.data + start, max(stop - start, 0))

    def __setitem__(self, part: slice, data: bytes | memoryview) -> None:
        with self._file.locked() as content:
            start, stop, _ = part.indices(content.size)
            source = bytes(data)
            ctypes.memmove(content.data + start, source, min(len(source), max(stop - start, 0)))

    def __delitem__(self, part: slice) -> None:
        """Truncate: `part` must reach to the end."""
        with self._file.locked() as content:
            content.size = min(part.indices(content.size)[0], content.size)

    def __iadd__(self, data: bytes | memoryview) -> GrowingBytes:
        self.extend(data)
        return self

    def extend(self, data: bytes | memoryview) -> None:
        """Append."""
        source = bytes(data)
        with self._file.locked() as content:
            before = content.size
            self._file.reserve(before, before + len(source))
            ctypes.memmove(content.data + before, source, len(source))


def share(library: Library, file: MemFile) -> int:
    """Let the library read and write an open in-memory file; returns the address of its `OpenContent`."""
    cursor = OpenContent()
    node = file.share(cast(Cursor, cursor))
    shared = node.shared
    if not isinstance(shared, SharedFile):
        shared = node.shared = SharedFile(library, node, _quota(library, node.tree))
    cursor.content = shared.address
    return ctypes.addressof(cursor)


def _quota(library: Library, tree: MemTree) -> SharedQuota:
    quota: object = tree.quota
    if not isinstance(quota, SharedQuota):
        quota = SharedQuota(library, tree.quota)
        tree.quota = cast(Quota, quota)
    return quota
