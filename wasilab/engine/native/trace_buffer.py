"""The record of a run that the library writes: one buffer, packed when it is full, and the chunks that come of it.

The library appends to the buffer without the GIL. When it is full it calls `turn`: the chunk is packed, a new one
begins, and the buffer is used again. A reader on another thread copies what is complete under the chunk's lock, which
`NativeChunk.close` takes as well: so nothing is overwritten while it is copied.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from typing import Protocol

from ...trace.record.layout import (
    CHUNK_BYTES,
    FLAGS_AT,
    PATH_BYTES,
    RECORD_BYTES,
    SIDE_BYTES,
    Chunk,
    Flag,
    Life,
)
from ...trace.record.layout import PACK as RECORD
from ...trace.record.recorder import Recorder
from ...trace.record.writing import Write
from .binding import CHUNK, PATHS, STRUCTS, TEXT, Library, RunState, library

SLACK = 128 << 10
"""Bytes of payload that always fit once `Recorder.next_chunk` was asked: more than a call that failed can have."""
_ARENA_BYTES = SIDE_BYTES + 2 * SLACK
_MOST_PATHS = PATHS - 1024 - 1
_PRIVATE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
)
"""Not shared, which is mmap's default: no limit of a process counts shared memory, so a confined one has none."""
_PACKED_RECORD = 81
"""Bytes that a packed record takes at most."""


class NativeBlock:
    """Zeroed memory for the library; it goes with the object. Untouched pages take nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.view = mmap.mmap(-1, max(size, 1), **_PRIVATE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.view))

    def read(self, size: int, start: int = 0) -> bytes:
        """A copy of `size` bytes."""
        return ctypes.string_at(self.address + start, size)

    def write(self, start: int, data: bytes) -> None:
        """Overwrite what lies there."""
        ctypes.memmove(self.address + start, data, len(data))


class Openings(Protocol):
    """Files that the library opened while it wrote a chunk (`openings.OpenedFiles`)."""

    def lives(self, paths: list[bytes], *, closed: bool) -> list[Life]:
        """Those that are closed, or those that are open; `paths` are the chunk's."""
        ...

    def nbytes(self) -> int:
        """Bytes that they take."""
        ...


class PathTable:
    """The paths of the chunk being written, each once, shared with `state`."""

    def __init__(self, library: Library, state: RunState) -> None:
        self._seen = library.seen
        self._state = state
        self._at = ctypes.addressof(state)
        self._text, self._starts, self._sizes = NativeBlock(TEXT), NativeBlock(4 * PATHS), NativeBlock(4 * PATHS)
        self._table = NativeBlock(4 * PATHS)
        state.text, state.path_table = self._text.address, self._table.address
        state.path_at, state.path_size = self._starts.address, self._sizes.address

    def read(self) -> list[bytes]:
        """The paths that are complete, in the order of their numbers; from any thread."""
        seen = (ctypes.c_uint64 * 3)()
        self._seen(self._at, seen)
        count = seen[2]
        starts = memoryview(self._starts.read(4 * count)).cast("I")
        sizes = memoryview(self._sizes.read(4 * count)).cast("I")
        text = self._text.read(starts[-1] + sizes[-1] if count else 0)
        return [text[start : start + size] for start, size in zip(starts, sizes, strict=True)]


class NativeChunk(Chunk):
    """A chunk that the library writes. Once closed it holds its records and payloads packed."""

    __slots__ = ("_arena_words", "_buffer", "_lock", "_packed", "_packed_payloads", "_records", "_texts", "opened")

    def __init__(self, first: int, buffer: TraceBuffer) -> None:
        # Not the attributes of a chunk that Python writes: what is there lies in the buffer.
        self.first = first
        self.reasons, self.reason_ids = [], {}
        self.lives, self.side = [], 0
        self._buffer: TraceBuffer | None = buffer
        self._lock = threading.Lock()
        self._packed = self._packed_payloads = b""
        self._records = self._arena_words = 0
        self._texts: list[bytes] = []
        self.opened: list[Openings] = []
        """Files that the library opened while it wrote the chunk."""

    # ---- reading, from any thread

    @property
    def n(self) -> int:  # type: ignore[override]
        """Complete records."""
        buffer = self._buffer
        return self._records if buffer is None else int(buffer.state.n)

    @property
    def paths(self) -> list[bytes]:  # type: ignore[override]
        """The paths that its records name by number, from 1."""
        with self._lock:
            return self._texts if self._buffer is None else self._buffer.paths.read()

    @property
    def is_packed(self) -> bool:
        return self._buffer is None

    @property
    def full(self) -> bool:
        buffer = self._buffer
        return buffer is None or self.side > SIDE_BYTES or not buffer.has_room(SLACK)

    def nbytes(self) -> int:
        buffer = self._buffer
        if buffer is not None:
            state = buffer.state
            return int(state.n * RECORD_BYTES + state.used + state.text_used) + self.side
        texts = sum(map(len, self._texts)) + 60 * len(self._texts)
        opened = sum(batch.nbytes() for batch in self.opened)
        return len(self._packed) + len(self._packed_payloads) + texts + opened + self.side

    def records(self) -> bytes | bytearray:
        with self._lock:
            return self._raw_records()

    def _raw_records(self) -> bytes | bytearray:
        buffer = self._buffer
        if buffer is not None:
            return buffer.records.read(buffer.seen()[0] * RECORD_BYTES)
        raw = bytearray(self._records * RECORD_BYTES)
        if raw:
            _loaded().unpack(self._packed, self._records, ctypes.byref(ctypes.c_char.from_buffer(raw)))
        return raw

    def payloads(self) -> bytes | bytearray:
        with self._lock:
            buffer = self._buffer
            if buffer is not None:
                return buffer.arena.read(buffer.seen()[1])
            raw = bytearray(4 * self._arena_words)
            if raw:
                records, target = self._raw_records(), ctypes.byref(ctypes.c_char.from_buffer(raw))
                packed, words = self._packed_payloads, self._arena_words
                _loaded().payloads(bytes(records), self._records, target, words, packed, 1)
            return raw

    def closed_lives(self) -> list[Life]:
        buffer = self._buffer
        batches = [*self.opened, *([buffer.pending()] if buffer is not None else [])]
        paths = self.paths if batches else []
        return [*self.lives, *(life for batch in batches for life in batch.lives(paths, closed=True))]

    def set_flag(self, index: int, flag: Flag) -> None:
        with self._lock:
            at = index * RECORD_BYTES + FLAGS_AT
            buffer = self._buffer
            if buffer is not None:
                buffer.records.write(at, bytes([buffer.records.read(1, at)[0] | int(flag) & 0xFF]))
                return
            raw = bytearray(self._raw_records())
            raw[at] |= int(flag) & 0xFF
            scratch = NativeBlock(_PACKED_RECORD * self._records)
            self._packed = scratch.read(_loaded().pack(bytes(raw), self._records, scratch.address))

    # ---- writing

    def close(self) -> None:
        with self._lock:
            buffer = self._buffer
            if buffer is None:
                return
            self._records = buffer.state.n
            self._arena_words = buffer.state.used >> 2
            self._packed, self._packed_payloads = buffer.pack()
            self._texts = buffer.paths.read()
            self.reason_ids = {}
            self._buffer = None

    def pack(self) -> None:
        return  # done by `close`

    def trim(self) -> None:
        return  # it holds no room that is not used


class OpenFiles(Protocol):
    """What the record needs of the descriptor table (`slots.SlotTable`)."""

    chunk: NativeChunk | None

    def enter_opened(self) -> int:
        """Take over what the library has opened and closed."""
        ...

    def pending(self) -> Openings:
        """What it has opened and closed since."""
        ...

    def generation(self, fd: int) -> int:
        """How often a number has been opened."""
        ...


class TraceBuffer:
    """The buffer, and the recorder's writer over it (`trace.record.recorder.RecordWriter`)."""

    def __init__(
        self, library: Library, state: RunState, recorder: Recorder, paths: PathTable, table: OpenFiles
    ) -> None:
        self.state = state
        self.paths = paths
        self.records = NativeBlock(CHUNK_BYTES)
        self._table = table
        self._library = library
        self._at = ctypes.addressof(state)
        self._recorder = recorder
        self._seen = (ctypes.c_uint64 * 3)()
        self._structs, self._hashes = NativeBlock(4 * STRUCTS), NativeBlock(4 * STRUCTS)
        self._scratch = NativeBlock(CHUNK * _PACKED_RECORD)
        self._payload_scratch = NativeBlock(0)
        state.struct_table, state.struct_hash = self._structs.address, self._hashes.address
        state.records = self.records.address
        state.snap = (1 << 62) if recorder.snaplen is None else recorder.snaplen
        state.origin = recorder.origin_ns
        self._use_arena(NativeBlock(_ARENA_BYTES))

    def _use_arena(self, block: NativeBlock) -> None:
        self.arena = block
        self.state.arena, self.state.room = block.address, block.size

    # ---- for the recorder

    def new_chunk(self, first: int) -> NativeChunk:
        """Begin a chunk in the buffer; what was in it is packed by now."""
        if self.arena.size > _ARENA_BYTES:
            self._use_arena(NativeBlock(_ARENA_BYTES))
        self._library.fresh(self._at, first)
        chunk = self._table.chunk = NativeChunk(first, self)
        return chunk

    def generation(self, fd: int) -> int:
        """How often the number has been opened."""
        return self._table.generation(fd)

    def open_lives(self) -> list[Life]:
        """Files that the library has opened and Python has not heard of."""
        return self.pending().lives(self.paths.read(), closed=False)

    def pending(self) -> Openings:
        """Files that the library has opened, and perhaps closed, and Python has not heard of."""
        return self._table.pending()

    def writer(self, instance: int, tid: int) -> Write:
        """The function that records a call which failed or did not return. It ends when it is recorded; a `t_start` of
        0 stands for the call that the library has Python answer now."""

        def write(
            t_start: int, dur: int, result: int, handle: int, path: bytes | None, payload: bytes | None, call: int,
            errno: int, denied_by: int, flags: int, w0: int, w1: int, w2: int, w3: int, stack: int = 0,
        ) -> None:  # fmt: skip
            if self.state.records != self.records.address:  # the run is over, and this buffer with it
                self._recorder.make_writer(instance, tid)(
                    t_start, dur, result, handle, path, payload, call, errno, denied_by, flags, w0, w1, w2, w3, stack
                )  # fmt: skip
                return
            if path is not None and len(path) > PATH_BYTES:
                path = path[:PATH_BYTES]
                flags |= int(Flag.TRUNCATED)
            record = RECORD.pack(
                t_start or self.state.began, 0, result, handle, 0, stack, 0, call, errno, denied_by, instance, flags,
                tid, w0, w1, w2, w3,
            )  # fmt: skip
            size = len(payload or b"")
            if not self._library.note(self._at, record, path, len(path or b""), payload, size):
                self.turn(size)
                self._library.note(self._at, record, path, len(path or b""), payload, size)

        return write

    # ---- for the library

    def turn(self, need: int) -> int:
        """Begin a new chunk, with room for `need` bytes of payload. Called by the library; raises nothing."""
        try:
            self._table.enter_opened()  # it names paths by their numbers in this chunk
            self._recorder.next_chunk(force=True)
            if self.state.used + need > self.arena.size:
                with self._lock_of_chunk():
                    larger = NativeBlock(self.state.used + 2 * need)
                    larger.write(0, self.arena.read(self.state.used))
                    self._use_arena(larger)
        except MemoryError:
            pass  # the library finds no room: it records without a payload, or counts what it cannot
        return 0

    def _lock_of_chunk(self) -> threading.Lock:
        chunk = self._recorder.chunk
        assert isinstance(chunk, NativeChunk)
        return chunk._lock

    # ---- for a chunk, under its lock

    def has_room(self, payload: int) -> bool:
        """Whether a record with `payload` bytes of payload and a path surely fits."""
        state = self.state
        fits = state.n < CHUNK and state.used + payload <= state.room
        return bool(fits and state.npaths < _MOST_PATHS and state.text_used + PATH_BYTES <= TEXT)

    def seen(self) -> tuple[int, int, int]:
        """Records, bytes of payload and paths that are complete: what the records refer to is there."""
        self._library.seen(self._at, self._seen)
        n, used, npaths = self._seen
        return n, used, npaths

    def pack(self) -> tuple[bytes, bytes]:
        """The records and the payloads of the chunk, packed."""
        state, library = self.state, self._library
        size = library.pack(self.records.address, state.n, self._scratch.address)
        packed = self._scratch.read(size)
        most = state.used + (state.used >> 5) + CHUNK
        if self._payload_scratch.size < most:
            self._payload_scratch = NativeBlock(max(most, _ARENA_BYTES + (_ARENA_BYTES >> 5) + CHUNK))
        scratch = self._payload_scratch
        size = library.payloads(self.records.address, state.n, self.arena.address, state.used >> 2, scratch.address, 0)
        payloads = scratch.read(size)
        if scratch.size > 4 * _ARENA_BYTES:
            self._payload_scratch = NativeBlock(0)
        return packed, payloads


def _loaded() -> Library:
    found = library()
    assert found is not None, "the library that packed it"
    return found
