"""Sends the trace of a confined run as it grows, to the parent's recorder.

The process sends the new part of each chunk (`TraceSender`); the parent appends it to a chunk of the same number
(`TraceMirror`). So budget, spool file and readers are the same as for any run. Sizes and numbers are checked here;
references in the records are checked when they are read, as for an untrusted file.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable

from ...trace.record.layout import CHUNK_RECORDS, RECORD_BYTES, SIDE_BYTES, Chunk
from ...trace.record.packing import pack_list, pack_lives, unpack_list, unpack_lives
from ...trace.record.reasons import Reason, pack_reason, unpack_reason
from ...trace.record.recorder import Recorder
from ...trace.record.tables import Tables
from .messages import MOST_RECORD_BYTES, BadMessage, MessageKind

Send = Callable[..., None]
"""`MessageChannel.send`."""
_CALLS = struct.Struct("<QI4I")
"""First call of the chunk, records sent before, and the lengths of records, payloads, paths and reasons."""
_FIRST = struct.Struct("<Q")
_LAST_SEQ = 1 << 48
_MOST_ARENA = SIDE_BYTES + (160 << 20)
_MOST_LIVES = 1 << 16
_MOST_REASONS = 0xFFFF
_TABLES_SECONDS = 0.25
"""Minimum seconds between tables, which are always sent whole."""
_DAMAGES = (ValueError, struct.error, KeyError, TypeError, RecursionError)


class TraceSender:
    """Sends a recorder's new data since the last time. For use by one thread."""

    def __init__(self, recorder: Recorder, send: Send) -> None:
        self._recorder = recorder
        self._send = send
        self._first = -1
        self._sent = (0, 0, 0, 0)
        """Sent of the chunk `_first`: records, bytes of payload, paths, reasons."""
        self._tables_at = 0.0

    def tick(self, last: bool = False) -> None:
        """Send what is new; the last call sends everything."""
        gained = False
        chunks = list(self._recorder.chunks)
        for chunk in chunks:
            if chunk.first >= self._first:
                gained |= self._gain(chunk)
                if chunk is not chunks[-1] or last:
                    self._send(MessageKind.LIVES, _FIRST.pack(chunk.first), pack_lives(chunk.closed_lives()))
        now = time.monotonic()
        if last or (gained and now - self._tables_at >= _TABLES_SECONDS):
            self._tables_at = now
            tables = self._recorder.tables()
            meta = {"start_epoch_ns": tables.meta["start_epoch_ns"]}
            document = json.dumps({**tables.document(), "meta": meta}, ensure_ascii=True, default=str).encode()
            self._send(MessageKind.TABLES, _FIRST.pack(len(document)), document, pack_lives(tables.lives))

    def _gain(self, chunk: Chunk) -> bool:
        if chunk.first != self._first:
            self._first, self._sent = chunk.first, (0, 0, 0, 0)
        n, used, paths, reasons = self._sent
        if chunk.n == n:
            return False
        records = memoryview(chunk.records())[n * RECORD_BYTES :]  # first, so that what they refer to is complete
        payload = memoryview(chunk.payloads())[used:]
        named, why = list(chunk.paths)[paths:], list(chunk.reasons)[reasons:]
        parts = records, payload, pack_list(named), pack_list([pack_reason(reason) for reason in why])
        self._send(MessageKind.CALLS, _CALLS.pack(chunk.first, n, *map(len, parts)), *parts)
        self._sent = (
            n + len(records) // RECORD_BYTES, used + len(payload), paths + len(named), reasons + len(why)
        )  # fmt: skip
        return True


class TraceMirror:
    """Appends received data to `recorder`. For use by one thread; every method raises `BadMessage` for invalid data."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def calls(self, body: bytearray) -> None:
        """Append records to their chunk."""
        view = memoryview(body)
        try:
            first, n, *lengths = _CALLS.unpack_from(view)
            if _CALLS.size + sum(lengths) != len(view):
                raise ValueError("lengths that do not add up")
            at, parts = _CALLS.size, []
            for length in lengths:
                parts.append(view[at : at + length])
                at += length
            records, payload, paths, reasons = parts
            named = unpack_list(paths, 2 * CHUNK_RECORDS)
            why = [unpack_reason(entry) for entry in unpack_list(reasons, _MOST_REASONS)]
            self._append(self._chunk(first, n), records, payload, named, why)
        except _DAMAGES as error:
            raise BadMessage(f"calls that cannot be read: {error}") from None

    def _chunk(self, first: int, n: int) -> Chunk:
        recorder = self._recorder
        chunk = recorder.chunk
        if first != chunk.first:
            expected = chunk.first + chunk.n
            if n or not expected <= first < _LAST_SEQ:
                raise ValueError("calls out of their order")
            recorder.next_chunk(force=True)
            chunk = recorder.chunk
            recorder.dropped += first - expected
            chunk.first = first
        if chunk.n != n:
            raise ValueError("calls out of their order")
        return chunk

    def _append(
        self, chunk: Chunk, records: memoryview, payload: memoryview, paths: list[bytes], reasons: list[Reason]
    ) -> None:
        count, rest = divmod(len(records), RECORD_BYTES)
        if rest or chunk.n + count > CHUNK_RECORDS or len(chunk.arena) + len(payload) > _MOST_ARENA:
            raise ValueError("more than a chunk holds")
        if len(chunk.paths) + len(paths) > 2 * CHUNK_RECORDS or len(chunk.reasons) + len(reasons) > _MOST_REASONS:
            raise ValueError("more texts than a chunk holds")
        at = chunk.n * RECORD_BYTES
        chunk.arena += payload
        chunk.paths += paths
        chunk.reasons += reasons
        chunk.side += sum(len(path) + 120 for path in paths) + sum(640 + 2 * len(reason.text) for reason in reasons)
        chunk.buf[at : at + len(records)] = records
        chunk.n += count  # last: readers use it as the number of complete records

    def lives(self, body: bytearray) -> None:
        """Store which descriptors the calls of a chunk closed."""
        try:
            (first,) = _FIRST.unpack_from(body)
            lives = unpack_lives(memoryview(body)[_FIRST.size :])
            if len(lives) > _MOST_LIVES:
                raise ValueError("too many")
        except _DAMAGES as error:
            raise BadMessage(f"descriptors that cannot be read: {error}") from None
        for chunk in reversed(self._recorder.chunks):
            if chunk.first == first:
                chunk.side += 240 * (len(lives) - len(chunk.lives))
                chunk.lives = lives
                return
        last = self._recorder.chunk
        if first == last.first + last.n and len(last.lives) <= _MOST_LIVES:  # closed after the last call
            last.lives = [*last.lives, *lives]
            last.side += 240 * len(lives)

    def tables(self, body: bytearray) -> None:
        """Store the stacks, the functions, the open descriptors and the start time."""
        recorder = self._recorder
        try:
            (length,) = _FIRST.unpack_from(body)
            if length > MOST_RECORD_BYTES:
                raise ValueError("too long")
            text = bytes(body[_FIRST.size : _FIRST.size + length])
            tables = Tables.from_document(json.loads(text), memoryview(body)[_FIRST.size + length :])
            if len(tables.lives) > _MOST_LIVES:
                raise ValueError("too many descriptors")
        except _DAMAGES as error:
            raise BadMessage(f"tables that cannot be read: {error}") from None
        recorder.meta["start_epoch_ns"] = tables.meta.get("start_epoch_ns", recorder.meta["start_epoch_ns"])
        recorder.functions[:] = tables.functions
        frames = [(frame[0], frame[1]) for frame in tables.frames]
        recorder.stack_table[:] = [tuple(frames[index] for index in stack) for stack in tables.stacks]
        recorder.open_lives = {life.life: life for life in tables.lives}
