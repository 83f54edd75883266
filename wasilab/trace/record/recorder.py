"""The recorder: writes one fixed-size record for every WASI call, while the guest waits.

For: the hot path of a traced run. A record contains only raw integers; they are decoded when the trace is read
(`columns/decode.py`). `writing.py` has the code that writes a record. Not for: reading a trace (`trace.py`), or the
bytes of a trace file (`container.py`).

A trace is a list of chunks. Each chunk is self-contained (records, arena, paths, reasons, descriptor lives closed in
it), so a memory budget is kept by dropping or spooling the oldest one. Only the guest's thread writes. Any thread may
read at the same time (`Trace.from_recorder`): chunks only grow, and records up to `chunk.n` are complete.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ...capabilities.refusal import Need
from ...text.escape import visible
from .container import Section, Writer
from .functions import FIRST_FURTHER, OTHER, Function
from .layout import (
    CALL_AT,
    CHUNK_BYTES,
    CHUNK_RECORDS,
    DID_NOT_RETURN,
    MAX_FRAMES,
    MAX_MOVES,
    MAX_STACKS,
    PATH_BYTES,
    RECORD_BYTES,
    SIDE_BYTES,
    WORDS_AT,
    Chunk,
    Flag,
    Life,
    settled,
)  # fmt: skip
from .packing import StoredModule
from .payload import pack_payload
from .reasons import Reason
from .tables import Resolver, Tables, number_frames
from .writing import Write, WriteFailure, failure_writer, writer

__all__ = ["CHUNK_RECORDS", "DID_NOT_RETURN", "SIDE_BYTES", "Chunk", "Flag", "Life", "Recorder", "pack_payload"]


PACKED_TOGETHER = 8
"""The number of full chunks packed at a time. Packing imports NumPy, so only long runs do it."""


class Lived(Protocol):
    """Something with a serial number among all openings."""

    @property
    def life(self) -> int: ...


class OpenedDescriptor(Lived, Protocol):
    """The recorded attributes of an open descriptor."""

    @property
    def fd(self) -> int: ...
    @property
    def path(self) -> bytes | str: ...
    @property
    def preopen(self) -> bytes | str | None: ...
    @property
    def filetype(self) -> int: ...


class RecordWriter(Protocol):
    """Writes the records of a run in place of the generated lines; see `Recorder.write_by`."""

    def new_chunk(self, first: int) -> Chunk:
        """The next chunk to write; the previous one is closed."""
        ...

    def writer(self, instance: int, tid: int) -> Write:
        """The function that records one call; see `Recorder.make_writer`."""
        ...

    def failure_writer(self, now: Callable[[], int], instance: int) -> WriteFailure:
        """The function that records a failed call; see `Recorder.make_failure_writer`."""
        ...

    def open_lives(self) -> list[Life]:
        """Open descriptors that the recorder does not know yet."""
        ...

    def generation(self, fd: int) -> int:
        """How often the number has been opened, including the opening in progress."""
        ...


class Recorder:
    """Records the calls of one run.

    `budget_bytes`: memory for chunks. Over it the oldest chunk is written to the `spool` file, if one is named, or
    dropped and counted in `dropped`. `snaplen`: bytes of data kept per call (None: all). `stacks`: at which calls the
    engine takes the guest's call stack: True for every call, a number N for the first N calls and, after them, the
    first N refused ones. `meta`: metadata of the run (see `Trace.meta`).
    """

    def __init__(
        self,
        budget_bytes: int = 256 << 20,
        snaplen: int | None = 64,
        stacks: bool | int = False,
        *,
        spool: str | Path | None = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        if budget_bytes < 0:
            raise ValueError(f"the trace budget must be 0 or more bytes, not {budget_bytes}")
        if snaplen is not None and snaplen < 0:
            raise ValueError(f"snaplen must be 0 or more bytes or None for all, not {snaplen}")
        self.budget_bytes = budget_bytes
        self.snaplen = snaplen
        if stacks < 0:
            raise ValueError(f"stacks must be True, False or a number of calls, not {stacks}")
        self.stacks = bool(stacks)
        self.stacks_left = math.inf if stacks is True else int(stacks)
        """The number of further calls whose stack is taken."""
        self.refused_stacks_left = self.stacks_left
        """The number of further refused calls whose stack is taken, once `stacks_left` is 0."""
        self.meta: dict[str, Any] = dict(meta or {})
        if self.stacks:
            self.meta["stacks"] = "all" if stacks is True else int(stacks)
        self.origin_ns = time.perf_counter_ns()
        """perf_counter_ns at the run's start, which is subtracted from every `t_start`."""
        self.meta.setdefault("start_epoch_ns", time.time_ns())
        self.dropped = 0
        """Calls that are neither in memory nor on disk any more."""
        self.resolver: Resolver | None = None
        """Finds source lines; set by the runner."""
        self.spool_error: str | None = None
        """Why spooling stopped (a full disk, ...), or None; after that the oldest calls are dropped."""
        self.packs = True
        """Whether full chunks are packed: not if NumPy cannot be imported any more."""
        self._written_by: RecordWriter | None = None
        self.chunk = Chunk(0)
        self.chunks: list[Chunk] = [self.chunk]
        self.open_lives: dict[int, Life] = {}
        self.stack_table: list[tuple[tuple[str, int], ...]] = []
        """Stack id - 1 -> frames, innermost first, each (function name, module offset)."""
        self.stacks_dropped = 0
        self.functions: list[Function] = []
        """The trace's own list of functions (`functions.py`)."""
        self.modules: Sequence[StoredModule] = ()
        """The program, if it is part of the record."""
        self.host_calls: list[bytes | memoryview] | None = None
        """The typed host calls of a component, as the engine packs them, if the run is recorded for a replay."""
        self.host_call_bytes = 0
        """The bytes of `host_calls`."""
        self._function_numbers: dict[Function, int] = {}
        self._stack_ids: dict[tuple[tuple[str, int], ...], int] = {}
        self._generations: dict[int, int] = {}
        self._held = 0
        self._unpacked: list[Chunk] = []
        """Full chunks that are not packed yet."""
        self._spool_path = Path(spool) if spool is not None else None
        self._spool: Writer | None = None
        self.spooled = 0
        """Calls written to the spool file."""
        self._closed = False
        self._begun = False

    # -- writing: the guest's thread ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Calls so far, including dropped and spooled ones: the `seq` of the next one."""
        return self.chunk.first + self.chunk.n

    def make_writer(self, instance: int = 0, tid: int = 1) -> Write:
        """The function that records one call of an instance and thread. Get it once and keep it.

        write(t_start, dur, result, handle, path, payload, call, errno, denied_by, flags, w0, w1, w2, w3, stack=0): see
        `writing.Write`. The engine's trampolines record their calls themselves, with the same code.
        """
        return writer(self, instance, tid) if self._written_by is None else self._written_by.writer(instance, tid)

    def make_failure_writer(self, now: Callable[[], int], instance: int = 0) -> WriteFailure:
        """The function that records a call that failed or did not return; `now` is the clock that measures calls. Get
        it once and keep it."""
        by = self._written_by
        return failure_writer(self, now, instance) if by is None else by.failure_writer(now, instance)

    def write_by(self, other: RecordWriter | None) -> None:
        """Let `other` write the records from now on; None: the generated code again. Only between two calls."""
        self._written_by = other
        former = self.chunk
        if former.n:
            self._begin_chunk()  # without checking the budget, which is done when calls are added
            return
        former.close()
        self.chunk = self.chunks[-1] = self._new_chunk(former.first)
        self.chunk.lives.extend(former.lives)

    def _new_chunk(self, first: int) -> Chunk:
        return Chunk(first) if self._written_by is None else self._written_by.new_chunk(first)

    def start_clock(self, at: tuple[int, int] | None = None) -> int:
        """Start the clock of the trace, just before the guest is entered. Returns `origin_ns`, which no longer changes
        once a call is recorded. `at`: the moment, as (`time.perf_counter_ns`, `time.time_ns`), if it is not now.

        Descriptors that are open now count as open from the start; later ones are opened by calls.
        """
        self._begun = True
        if not len(self):
            self.origin_ns, self.meta["start_epoch_ns"] = at or (time.perf_counter_ns(), time.time_ns())
        return self.origin_ns

    @property
    def record(self) -> Write:
        """The writer of instance 0 (`make_writer`). Get it once and keep it."""
        return self.make_writer()

    def intern_reason(self, text: str, need: Need | None = None) -> int:
        """The number of a refusal's reason and need, for the payload of the next record.

        Makes room for that record first. The number is valid for the next record only.
        """
        self.next_chunk()
        chunk = self.chunk
        index = chunk.reason_ids.get((text, need))
        if index is None:
            chunk.reasons.append(Reason(visible(text[:PATH_BYTES])[:PATH_BYTES], need))
            index = chunk.reason_ids[text, need] = len(chunk.reasons)
            chunk.side += 2 * len(text) + (160 if need is None else 480 + len(need.guest))
        return index

    def intern_stack(self, frames: Sequence[tuple[str, int]]) -> int:
        """The number of a guest stack, innermost frame first, each (function name, module offset).

        0 once 65536 distinct stacks are stored (`stacks_dropped` counts the rest). Frames after the first 256 are cut.
        """
        key = tuple(frames[:MAX_FRAMES])
        index = self._stack_ids.get(key)
        if index is None:
            if len(self.stack_table) >= MAX_STACKS:
                self.stacks_dropped += 1
                return 0
            self.stack_table.append(key)
            index = self._stack_ids[key] = len(self.stack_table)
        return index

    def function_number(self, function: Function) -> int:
        """The number of a function that is not one of preview1, for the column `call`.

        Adds it to the trace's own list at its first use. Once the list is full, all further ones share `OTHER`.
        """
        number = self._function_numbers.get(function)
        if number is None:
            number = FIRST_FURTHER + len(self.functions)
            if number >= OTHER:
                return OTHER
            self.functions.append(function)
            self._function_numbers[function] = number
        return number

    def on_open(self, descriptor: OpenedDescriptor) -> None:
        """Record that `descriptor` (wasi.fdtable.Descriptor) is open; hook of `FdTable`.

        Before the first call this is a preopen or a standard stream. A known life is a descriptor that moved to another
        number (fd_renumber).
        """
        chunk, fd, life = self.chunk, descriptor.fd, descriptor.life
        seq = chunk.first + chunk.n
        generation = self._count_opening(fd)
        known = self.open_lives.get(life)
        if known is not None:
            known.moves = (*known.moves, (seq, fd, generation))[-MAX_MOVES:]
            return
        path, preopen = _as_bytes(descriptor.path), descriptor.preopen
        if preopen is None and (seq or self._begun):
            self.open_lives[life] = Life(life, fd, generation, path, descriptor.filetype, seq)
        else:
            name = None if preopen is None else _as_bytes(preopen)
            self.open_lives[life] = Life(life, fd, generation, path, descriptor.filetype, -1, -1, name)

    def open_resource(
        self, life: int, number: int, path: str, preopen: str | None, filetype: int, type_: str, parent: int
    ) -> None:
        """Record that a component got a handle of the resource type `type_`; `parent` is the life of its parent."""
        seq = len(self)
        self.open_lives[life] = Life(
            life, number, self._count_opening(number), _as_bytes(path), filetype,
            seq if preopen is None and (seq or self._begun) else -1,
            -1, None if preopen is None else _as_bytes(preopen), (), type_, parent,
        )  # fmt: skip

    def _count_opening(self, number: int) -> int:
        if self._written_by is not None:
            return self._written_by.generation(number)
        generation = self._generations[number] = self._generations.get(number, 0) + 1
        return generation

    def enter_life(self, life: Life) -> None:
        """Add an open descriptor that another writer has opened (`RecordWriter`)."""
        self.open_lives[life.life] = life

    def count_openings(self, generations: Mapping[int, int]) -> None:
        """Set how often numbers have been opened, for openings by another writer (`RecordWriter`)."""
        self._generations.update(generations)

    def on_close(self, descriptor: Lived) -> None:
        """Record that `descriptor` is closed by the call in progress; hook of `FdTable`."""
        life = self.open_lives.pop(descriptor.life, None)
        if life is not None:
            chunk = self.chunk
            life.closed_seq = chunk.first + chunk.n
            chunk.lives.append(life)
            chunk.side += 240 + len(life.path)

    # -- the budget --------------------------------------------------------------------------------------------------

    def next_chunk(self, force: bool = False) -> None:
        """Begin a new chunk if the current one is full (or `force`), and keep to the budget."""
        chunk = self.chunk
        if not chunk.full and not (force and chunk.n):
            return
        self._begin_chunk()
        growth = CHUNK_BYTES + min(2 * SIDE_BYTES, self.budget_bytes // 4)  # the possible size of the new chunk
        if len(self._unpacked) >= PACKED_TOGETHER or self._held + growth > self.budget_bytes:
            self._pack()
        while self._held + growth > self.budget_bytes and len(self.chunks) > 1:
            oldest = self.chunks[0]
            if not self._spool_chunk(oldest):
                self.dropped += oldest.n
            del self.chunks[0]
            self._held -= oldest.nbytes()

    def _begin_chunk(self) -> None:
        chunk = self.chunk
        chunk.close()
        self._held += chunk.nbytes()
        self._unpacked.append(chunk)
        self.chunk = self._new_chunk(chunk.first + chunk.n)
        self.chunks.append(self.chunk)

    def _pack(self) -> None:
        for chunk in self._unpacked if self.packs else ():
            before = chunk.nbytes()
            chunk.pack()
            self._held += chunk.nbytes() - before
        self._unpacked.clear()

    def _spool_chunk(self, chunk: Chunk) -> bool:
        """Write a complete chunk to the spool file; False if there is none or it cannot be written."""
        if self._spool_path is None or self.spool_error is not None:
            return False
        try:
            if self._spool is None:
                self._spool = Writer(self._spool_path)
            self._spool.chunk(Section.of_chunk(chunk))
        except OSError as error:
            self.spool_error = f"the trace could not be written to {self._spool_path}: {error.strerror or error}"
            return False
        self.spooled += chunk.n
        return True

    def close(self) -> None:
        """End the recording: complete the spool file, if there is one. Closing twice does nothing.

        A spool file that was begun then contains the whole trace and can be opened with `Trace.load`.
        """
        if self._closed:
            return
        self._closed = True
        if self._written_by is None:
            self.chunk.trim()
        if self._spool_path is None or self.spool_error is not None:
            return
        self.chunk.lives = [settled(life, len(self)) for life in self.chunk.lives]
        for chunk in list(self.chunks):
            if chunk.n and not self._spool_chunk(chunk):
                return
        if self._spool is None:
            return
        tables = self.tables()
        if self.resolver is not None:
            tables.locate(self.resolver)
        try:
            self._spool.tables(tables)
            self._spool.close()
        except OSError as error:
            self.spool_error = f"the trace could not be written to {self._spool_path}: {error.strerror or error}"

    def move_to(self, path: Path) -> None:
        """Move all calls to a file that `Trace.load` can open.

        Only after `close`, and only if none were spooled. Existing traces keep their calls. Raises OSError for a file
        that cannot be written; the calls then stay here.
        """
        assert self._closed, "a recorder that is still written to keeps its calls"
        assert not self.spooled, "a trace of which a part is in a file already"
        with open(path, "xb") as file:
            writer = Writer(file)
            for chunk in self.chunks:
                if chunk.n or chunk.lives:
                    writer.chunk(Section.of_chunk(chunk))
            writer.tables(self.tables())
            writer.close()
        self.host_calls, self.host_call_bytes = None, 0
        empty = Chunk(len(self))
        empty.trim()
        self.chunk, self.chunks, self._held = empty, [empty], 0
        self._unpacked.clear()

    # -- reading: any thread -----------------------------------------------------------------------------------------

    def nbytes(self) -> int:
        """Approximate bytes of memory used by the trace now."""
        return self._held + self.chunk.nbytes() + self.host_call_bytes

    def has_call(self, number: int, word: int) -> bool:
        """Whether one of the calls in memory is `number` with `word` as its first argument. Unlike the trace, it needs
        no NumPy."""
        wanted = word.to_bytes(4, "little")
        for chunk in list(self.chunks):
            records = chunk.records()
            numbers = records[CALL_AT::RECORD_BYTES]
            at = numbers.find(number)
            while at >= 0:
                start = at * RECORD_BYTES + WORDS_AT
                if records[start : start + 4] == wanted:
                    return True
                at = numbers.find(number, at + 1)
        return False

    @property
    def spool_path(self) -> Path | None:
        """The spool file, if one was named."""
        return self._spool_path

    def tables(self) -> Tables:
        """The current tables of the trace: metadata, stacks, open descriptors."""
        stacks, frames = number_frames(list(self.stack_table))
        meta = dict(self.meta)
        if self.stacks_dropped:
            meta["stacks_dropped"] = self.stacks_dropped
        if self.spool_error:
            meta["spool_error"] = self.spool_error
        lives = [replace(life) for life in list(self.open_lives.values())]
        if self._written_by is not None:
            lives += self._written_by.open_lives()
        return Tables(
            meta, self.dropped, lives, stacks, frames, functions=list(self.functions), modules=self.modules,
            host_calls=self.host_calls or (),
        )  # fmt: skip

    def add_flag(self, seq: int, flag: Flag) -> None:
        """Set a flag of the call `seq`, if it is still in memory; a spooled or dropped call is not changed."""
        for chunk in list(self.chunks):
            if chunk.first <= seq < chunk.first + chunk.n:
                chunk.set_flag(seq - chunk.first, flag)


def _as_bytes(path: bytes | str) -> bytes:
    return path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
