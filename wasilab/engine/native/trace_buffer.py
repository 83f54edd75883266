"""The trace written by the library: one buffer, and the chunks into which it is packed when full.

The library appends to the buffer without the GIL. When the buffer is full it calls `turn`, which packs the chunk and
starts a new one in the same buffer. A reader on another thread copies the complete records under the chunk's lock.
`NativeChunk.close` takes the same lock, so nothing is overwritten while it is copied.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from ...capabilities.refusal import Need
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
from ...trace.record.payload import HEADS, RECORD_WORDS, pack_payload
from ...trace.record.recorder import Recorder
from ...trace.record.writing import FLAGS_SHIFT, Write, WriteFailure, meta
from .binding import Library, library
from .layouts import CHUNK, MOST_PATHS, PATHS, STRUCTS, TEXT, RunState

SLACK = 128 << 10
"""Bytes of payload that always fit after `Recorder.next_chunk`: more than a failed call can have."""
_ARENA_BYTES = SIDE_BYTES + 2 * SLACK
_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
"""Private, unlike mmap's default: no process limit counts shared memory, so a confined process may not have any."""
_N, _RECORDS, _BEGAN = (field.offset // 8 for field in (RunState.n, RunState.records, RunState.began))
_TRUNCATED = int(Flag.TRUNCATED)
_FAILED = tuple(
    struct.Struct(f"<Q16xI4xI4xQ{count}I{4 * (RECORD_WORDS - count)}x").pack for count in range(RECORD_WORDS + 1)
)
"""The record of a failed call with so many words: when it began, life, stack, columns from `call` to `tid`, words. The
library adds its duration, path and payload."""
_PACKED_RECORD = 81
"""Maximum bytes of a packed record."""


class NativeBlock:
    """Zeroed memory for the library, freed with this object. Untouched pages use no memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.view = mmap.mmap(-1, max(size, 1), **_PRIVATE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.view))

    def read(self, size: int, start: int = 0) -> bytes:
        """A copy of `size` bytes."""
        return self.view[start : start + size]

    def write(self, start: int, data: bytes) -> None:
        """Overwrite the bytes there."""
        ctypes.memmove(self.address + start, data, len(data))


class Openings(Protocol):
    """Files that the library opened while it wrote a chunk (`openings.OpenedFiles`)."""

    def lives(self, paths: list[bytes], *, closed: bool) -> list[Life]:
        """The closed files, or the open ones; `paths` are the chunk's."""
        ...

    def nbytes(self) -> int:
        """Their size in bytes."""
        ...


class PathTable:
    """The distinct paths of the chunk being written, shared with `state`."""

    def __init__(self, library: Library, state: RunState) -> None:
        self._seen = library.seen
        self._state = state
        self._at = ctypes.addressof(state)
        self._text, self._starts, self._sizes = NativeBlock(TEXT), NativeBlock(4 * PATHS), NativeBlock(4 * PATHS)
        self._start_of, self._size_of = (memoryview(block.view).cast("I") for block in (self._starts, self._sizes))
        self._table = NativeBlock(4 * PATHS)
        state.text, state.path_table = self._text.address, self._table.address
        state.path_at, state.path_size = self._starts.address, self._sizes.address

    def path(self, number: int) -> bytes:
        """The path of a number, from 1, that the library has given; on the guest's thread."""
        start, size = self._start_of[number - 1], self._size_of[number - 1]
        return self._text.read(size, start)

    def read(self) -> list[bytes]:
        """The complete paths in order of their numbers; from any thread."""
        seen = (ctypes.c_uint64 * 3)()
        self._seen(self._at, seen)
        count = seen[2]
        starts = memoryview(self._starts.read(4 * count)).cast("I")
        sizes = memoryview(self._sizes.read(4 * count)).cast("I")
        text = self._text.read(starts[-1] + sizes[-1] if count else 0)
        return [text[start : start + size] for start, size in zip(starts, sizes, strict=True)]


class NativeChunk(Chunk):
    """A chunk written by the library. Once closed it holds its records and payloads packed."""

    __slots__ = ("_arena_words", "_buffer", "_lock", "_packed", "_packed_payloads", "_records", "_texts", "opened")

    def __init__(self, first: int, buffer: TraceBuffer) -> None:
        # Unlike in a chunk written by Python, the data are in the buffer.
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
        return self._records if buffer is None else buffer.words[_N]

    @property
    def paths(self) -> list[bytes]:  # type: ignore[override]
        """The paths referred to by number, from 1, in its records."""
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
        return  # it has no unused space


class OpenFiles(Protocol):
    """The parts of the descriptor table that the trace needs (`slots.SlotTable`)."""

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
        self.words = memoryview(state).cast("B").cast("Q")
        """The state as 64-bit words: reading one takes a third of the time of a field of a ctypes structure."""
        self.paths = paths
        self.records = NativeBlock(CHUNK_BYTES)
        self._table = table
        self.generation = table.generation
        """How often a number has been opened; without a call between, for every opening asks."""
        self._library = library
        self._at = ctypes.addressof(state)
        self._append: Callable[..., int] = library.note
        self._run, self._payload_size = ctypes.c_void_p(self._at), ctypes.c_uint64()
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
        """Start a chunk in the buffer, whose previous contents are already packed."""
        if self.arena.size > _ARENA_BYTES:
            self._use_arena(NativeBlock(_ARENA_BYTES))
        self._library.fresh(self._at, first)
        chunk = self._table.chunk = NativeChunk(first, self)
        return chunk

    def open_lives(self) -> list[Life]:
        """Open files that the library opened and Python does not know yet."""
        return self.pending().lives(self.paths.read(), closed=False)

    def pending(self) -> Openings:
        """Files that the library opened, and perhaps closed, and Python does not know yet."""
        return self._table.pending()

    def writer(self, instance: int, tid: int) -> Write:
        """The function that records a call that Python has answered. The call's end is the time of recording; a
        `t_start` of 0 means the call that Python is now answering for the library."""

        def write(
            t_start: int, dur: int, result: int, handle: int, path: bytes | None, payload: bytes | None, call: int,
            errno: int, denied_by: int, flags: int, w0: int, w1: int, w2: int, w3: int, stack: int = 0,
        ) -> None:  # fmt: skip
            if self.words[_RECORDS] != self.records.address:  # the run and this buffer have ended
                self._recorder.make_writer(instance, tid)(
                    t_start, dur, result, handle, path, payload, call, errno, denied_by, flags, w0, w1, w2, w3, stack
                )  # fmt: skip
                return
            if path is not None and len(path) > PATH_BYTES:
                path = path[:PATH_BYTES]
                flags |= int(Flag.TRUNCATED)
            record = RECORD.pack(
                t_start or self.words[_BEGAN], 0, result, handle, 0, stack, 0, call, errno, denied_by, instance, flags,
                tid, w0, w1, w2, w3,
            )  # fmt: skip
            if not self._note(record, path, payload or b""):
                self.turn(len(payload or b""))
                self._note(record, path, payload or b"")

        return write

    def _note(self, record: bytes, path: bytes | None, payload: bytes) -> int:
        """Append a record and what it refers to; 0 if the chunk has no room for them."""
        size = self._payload_size
        size.value = len(payload)
        return self._append(self._run, record, path, 0 if path is None else len(path), payload, size)

    def failure_writer(self, now: Callable[[], int], instance: int) -> WriteFailure:
        """The same for a call that failed or did not return."""
        state, mine, recorder = self.words, self.records.address, self._recorder
        append, run, size = self._append, self._run, self._payload_size
        columns = meta(0, instance, 0)

        def write_failure(
            start: int, life: int, path: bytes | None, call: int, errno: int, denied_by: int, flags: int, reason: str,
            need: Need | None, aux: bytes, words: Sequence[int], stack: Callable[[], int] | None,
        ) -> None:  # fmt: skip
            if state[_RECORDS] != mine:
                by_python = recorder.make_failure_writer(now, instance)
                by_python(start, life, path, call, errno, denied_by, flags, reason, need, aux, words, stack)
                return
            if path is not None and len(path) > PATH_BYTES:
                path = path[:PATH_BYTES]
                flags |= _TRUNCATED
            first, further = (words[:RECORD_WORDS], words[RECORD_WORDS:]) if len(words) > RECORD_WORDS else (words, ())
            record = _FAILED[len(first)](
                start or state[_BEGAN], life, 0 if stack is None else stack(),
                columns | call | errno << 8 | denied_by << 16 | flags << FLAGS_SHIFT, *first,
            )  # fmt: skip
            length, index, payload = 0 if path is None else len(path), 0, b""
            for last in (False, True):
                if reason:  # a number that the chunk has given needs no look at the room left: the library tells
                    index = recorder.chunk.reason_ids.get((reason, need)) or recorder.intern_reason(reason, need)
                if aux:
                    payload = pack_payload(aux, b"", further, index)
                elif index or further:
                    payload = HEADS[len(further)](index, 0, 0, *further)
                size.value = len(payload)
                if append(run, record, path, length, payload, size) or last:
                    return
                self.turn(len(payload))

        return write_failure

    # ---- for the library

    def turn(self, need: int) -> int:
        """Start a new chunk with room for `need` bytes of payload. Called by the library; raises nothing."""
        try:
            self._table.enter_opened()  # it refers to paths by their numbers in this chunk
            self._recorder.next_chunk(force=True)
            if self.state.used + need > self.arena.size:
                with self._lock_of_chunk():
                    larger = NativeBlock(self.state.used + 2 * need)
                    larger.write(0, self.arena.read(self.state.used))
                    self._use_arena(larger)
        except MemoryError:
            pass  # without room, the library records no payload, or counts the lost call
        return 0

    def _lock_of_chunk(self) -> threading.Lock:
        chunk = self._recorder.chunk
        assert isinstance(chunk, NativeChunk)
        return chunk._lock

    # ---- for a chunk, under its lock

    def has_room(self, payload: int) -> bool:
        """Whether a record with `payload` bytes of payload and a path is sure to fit."""
        state = self.state
        fits = state.n < CHUNK and state.used + payload <= state.room
        return bool(fits and state.npaths < MOST_PATHS - 1 and state.text_used + PATH_BYTES <= TEXT)

    def seen(self) -> tuple[int, int, int]:
        """Numbers of complete records, payload bytes and paths; all references of these records are complete."""
        self._library.seen(self._at, self._seen)
        n, used, npaths = self._seen
        return n, used, npaths

    def pack(self) -> tuple[bytes, bytes]:
        """The chunk's packed records and payloads."""
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
