"""`.pftrace`: the trace for Perfetto (https://ui.perfetto.dev), as its protobuf.

One process (the run) has a thread track for each guest thread, with a slice for each call: its arguments, its results
and, if it was refused, why. Further tracks have the descriptors (a slice for each life, a track for each number),
counters (open descriptors, bytes read and written) and the guest's output, as log messages. Flows connect the call that
opened a descriptor with the one that closed it; guest stacks and notes are arguments. The field numbers are those of
Perfetto's perfetto_trace.proto. Not for: loading again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import IO

import numpy as np

from ...text.escape import visible
from ...wasi.preview1.spec import SNAPSHOT1
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES, Batch, built_in_plan
from ..columns.records import Array
from ..columns.store import reason_of
from ..filter.query import matching
from ..record.layout import Flag
from ..strace.lines import denied_name
from .plain import Rows, decoded
from .protobuf import block, fixed64, number, text, varint

_SEQUENCE = number(10, 1)  # TracePacket.trusted_packet_sequence_id
_NEEDS_STATE = number(13, 2)  # TracePacket.sequence_flags = SEQ_NEEDS_INCREMENTAL_STATE
_PROCESS, _FIRST_THREAD, _FDS, _OPEN, _READ, _WRITTEN, _FIRST_FD = 1, 1 << 16, 2, 3, 4, 5, 1 << 32
_PID = 1
_SLICE_BEGIN, _SLICE_END, _INSTANT, _COUNTER = 1, 2, 3, 4
_INFO, _ERROR = 4, 6  # AndroidLogPriority


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the whole file, some thousands of calls at a time."""
    for packets in _packets(trace):
        file.write(b"".join([block(1, packet) for packet in packets]))  # Trace.packet


def _packets(trace: Calls) -> Iterator[list[bytes]]:
    interned = _Interned()
    yield list(_tracks(trace))
    counters = _Counters()
    opens, closes = _flows(trace)
    notes = trace.notes
    names, families = trace.functions.names, trace.functions.families
    for rows in decoded(trace):
        out: list[bytes] = []
        records = rows.records
        seqs = rows.part.numbers(rows.index).tolist()
        columns = zip(
            records["t_start"].tolist(), records["dur"].tolist(), records["call"].tolist(), records["errno"].tolist(),
            records["denied_by"].tolist(), records["tid"].tolist(), records["stack"].tolist(), rows.args, rows.results,
            records["payload"].tolist(), seqs, strict=True,
        )  # fmt: skip
        for start, dur, call, errno, denied, tid, stack, args, results, payload, seq in columns:
            track = number(11, _FIRST_THREAD + tid)
            begin = [
                number(9, _SLICE_BEGIN), track, number(3, interned.of(1, "wasi")),
                number(3, interned.of(1, f"wasi.{families[call]}")), number(10, interned.of(2, names[call])),
                *(_argument(interned, k, v) for k, v in args.items()), _argument(interned, "seq", seq),
            ]  # fmt: skip
            if seq in opens:
                begin.append(fixed64(47, opens[seq]))
            if seq in closes:
                begin.append(fixed64(48, closes[seq]))
            if stack:
                begin.append(_stack(trace, interned, stack))
            end = [number(9, _SLICE_END), track, *(_argument(interned, f"result.{k}", v) for k, v in results.items())]
            end.append(_argument(interned, "errno", ERRNO_NAMES[errno] or "SUCCESS"))
            if denied:
                reason = visible(reason_of(rows.part, payload).text) or denied_name(denied)
                end.append(_argument(interned, "denied", reason))
            for first, last, note in notes:
                if first <= seq <= last:
                    begin.append(_argument(interned, "note", visible(note)))
            out.append(_event(start, b"".join(begin), interned))
            out.append(_event(start + dur, b"".join(end), interned))
        yield out
        yield counters.packets(trace, rows, interned)
    yield _logs(trace, interned)
    yield _lives(trace, interned)


def _event(time: int, event: bytes, interned: _Interned) -> bytes:
    """A packet with one track event (field 11) and the texts that it uses first (field 12)."""
    new = interned.take()
    head = number(8, time) + _SEQUENCE + _NEEDS_STATE
    return head + (block(12, new) if new else b"") + block(11, event)


class _Interned:
    """Texts named by number: each is sent once, before it is first used (InternedData)."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, object], int] = {}
        self._new: list[bytes] = []

    def of(self, field: int, value: str) -> int:
        """The number of a text in field 1 (categories), 2 (event names) or 3 (annotation names)."""
        key = (field, value)
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._ids) + 1
            self._new.append(block(field, number(1, found) + text(2, value)))
        return found

    def message(self, field: int, key: Hashable, content: bytes) -> int:
        """The number of another message; `content` follows its number."""
        found = self._ids.get((field, key))
        if found is None:
            found = self._ids[field, key] = len(self._ids) + 1
            self._new.append(block(field, number(1, found) + content))
        return found

    def take(self) -> bytes:
        """The texts added since the last call."""
        if not self._new:
            return b""
        new = b"".join(self._new)
        self._new.clear()
        return new


def _argument(interned: _Interned, name: str, value: object) -> bytes:
    return block(4, number(1, interned.of(3, name)) + _value(value))  # TrackEvent.debug_annotations


def _value(value: object) -> bytes:
    if value is None:
        return text(6, "?")
    if isinstance(value, int):
        # An unsigned 64-bit number is shown as a negative one; times and sizes stay below 2**63.
        return number(4, value) if value < 1 << 63 else text(6, f"{value:#x}")
    if isinstance(value, str):
        return text(6, value)
    if isinstance(value, list):
        return b"".join([block(12, _value(one)) for one in value[:64]]) or text(6, "[]")
    if isinstance(value, dict):
        return b"".join([block(11, text(10, str(key)) + _value(one)) for key, one in value.items()])
    return text(6, str(value))


def _stack(trace: Calls, interned: _Interned, stack: int) -> bytes:
    """A guest stack as an argument: a list of frames, innermost first.

    Not as TrackEvent.callstack: current trace processors (v52) report that field as unknown, which counts as an error.
    """
    frames = []
    for function, offset, file, line in trace.store.stack(stack):
        shown = f"{visible(function)} {visible(file)}:{line}" if file else f"{visible(function)} [{offset:#x}]"
        iid = interned.message(29, shown, block(2, shown.encode()))
        frames.append(block(12, number(17, iid)))
    return block(4, number(1, interned.of(3, "stack")) + b"".join(frames)) if frames else b""


def _tracks(trace: Calls) -> Iterator[bytes]:
    """The descriptors of all tracks; the first packet resets the sequence's state."""
    meta = trace.meta
    name = visible(str(meta.get("module") or meta.get("name") or "wasm module"))
    run = number(1, _PROCESS) + block(3, number(1, _PID) + text(6, name)) + number(11, 3)
    yield _SEQUENCE + number(13, 3) + block(60, run)  # SEQ_INCREMENTAL_STATE_CLEARED | SEQ_NEEDS_INCREMENTAL_STATE
    for tid in np.unique(trace.column("tid")).tolist():
        thread = number(1, _PID) + number(2, tid) + text(5, "guest" if tid == 1 else f"guest thread {tid}")
        track = number(1, _FIRST_THREAD + tid) + number(5, _PROCESS)
        yield _SEQUENCE + block(60, track + block(4, thread) + number(12, 1))
    group = number(1, _FDS) + number(5, _PROCESS) + text(2, "descriptors") + number(11, 3) + number(12, 5)
    yield _SEQUENCE + block(60, group)
    counters = ((_OPEN, "open descriptors", "descriptors"), (_READ, "bytes read", "bytes"),
                (_WRITTEN, "bytes written", "bytes"))  # fmt: skip
    for rank, (uuid, title, unit) in enumerate(counters, 2):
        track = number(1, uuid) + number(5, _PROCESS) + text(2, title)
        yield _SEQUENCE + block(60, track + block(8, text(6, unit)) + number(12, rank))
    for fd in sorted({fd for life in trace.lives.values() for fd in life.numbers}):
        track = number(1, _FIRST_FD + fd) + number(5, _FDS) + text(2, f"fd {fd}")
        yield _SEQUENCE + block(60, track + number(12, min(fd, 1 << 30)))


class _Counters:
    """Bytes read and written so far."""

    def __init__(self) -> None:
        self._read = self._written = 0
        names = ("fd_read", "fd_pread", "sock_recv"), ("fd_write", "fd_pwrite", "sock_send")
        self._reads, self._writes = ([SNAPSHOT1[name].number for name in side] for side in names)

    def packets(self, trace: Calls, rows: Rows, interned: _Interned) -> list[bytes]:
        """One value after each call that moved bytes."""
        records = rows.records
        moved = trace.column("nbytes")[rows.at]
        ends = (records["t_start"] + records["dur"]).tolist()
        out = []
        for calls, track in ((self._reads, _READ), (self._writes, _WRITTEN)):
            where = np.flatnonzero(np.isin(records["call"], calls) & (moved > 0))
            total = self._read if track == _READ else self._written
            for i, count in zip(where.tolist(), moved[where].tolist(), strict=True):
                total += count
                out.append(_event(ends[i], number(9, _COUNTER) + number(11, track) + number(30, total), interned))
            if track == _READ:
                self._read = total
            else:
                self._written = total
        return out


def _flows(trace: Calls) -> tuple[dict[int, int], dict[int, int]]:
    """seq of the opening call -> flow, seq of the closing call -> flow, for lives with both among the calls."""
    seqs = set(trace.seq.tolist())
    lives = [v for v in trace.lives.values() if v.opened_seq in seqs and v.closed_seq in seqs]
    return {v.opened_seq: v.life for v in lives}, {v.closed_seq: v.life for v in lives}


def _logs(trace: Calls, interned: _Interned) -> list[bytes]:
    """The guest's output to stdout and stderr, as log messages (shown in Perfetto's log tab)."""
    out = []
    for name, priority in (("stdout", _INFO), ("stderr", _ERROR)):
        chosen = trace.select(matching(trace, "call=fd_write ok", {"path": f"<{name}>"}))
        for part, index, _ in trace.store.batches(chosen.rows):
            records = part.records[index]
            data = Batch(part, index, built_in_plan(SNAPSHOT1["fd_write"].number)).data
            columns = [records[column].tolist() for column in ("t_start", "tid", "flags")]
            for start, tid, flags, raw in zip(*columns, data, strict=True):
                body = raw.decode("utf-8", "backslashreplace").rstrip("\n") + ("..." if flags & Flag.TRUNCATED else "")
                iid = interned.message(20, body, block(2, body.encode()))
                content = (
                    number(9, _INSTANT) + number(11, _FIRST_THREAD + tid) + number(3, interned.of(1, "wasi.output"))
                    + number(10, interned.of(2, name)) + block(21, number(2, iid) + number(3, priority))
                )  # fmt: skip
                out.append(_event(start, content, interned))
    return out


def _lives(trace: Calls, interned: _Interned) -> list[bytes]:
    """A slice for each descriptor's life, on the track of each of its numbers, and the count of open ones."""
    seqs = trace.seq
    if not len(seqs):
        return []
    starts, ends = trace.column("t_start"), trace.column("t_end")
    last = int(ends.max())
    out: list[bytes] = []
    steps: list[tuple[int, int]] = []
    for life in trace.lives.values():
        opened = _time(seqs, ends, life.opened_seq, 0)
        closed = _time(seqs, starts, life.closed_seq, last) if life.closed_seq >= 0 else last
        closed = max(opened, closed)
        moves = [(_time(seqs, ends, seq, opened), fd, generation) for seq, fd, generation in life.moves]
        for (start, fd, generation), end in zip(
            [(opened, life.fd, life.generation), *moves], [*(move[0] for move in moves), closed], strict=True
        ):
            track = number(11, _FIRST_FD + fd)
            begin = number(9, _SLICE_BEGIN) + track + number(3, interned.of(1, "wasi.descriptor"))
            begin += text(23, visible(life.path)) + _argument(interned, "generation", generation)
            out.append(_event(start, begin, interned))
            out.append(_event(max(start, end), number(9, _SLICE_END) + track, interned))
        steps.append((opened, 1))
        if life.closed_seq >= 0:
            steps.append((closed, -1))
    now = 0
    for time, step in sorted(steps):
        now += step
        out.append(_event(time, number(9, _COUNTER) + number(11, _OPEN) + number(30, now), interned))
    return out


def _time(seqs: Array, times: Array, seq: int, otherwise: int) -> int:
    at = int(np.searchsorted(seqs, seq))
    return int(times[at]) if at < len(seqs) and seqs[at] == seq else otherwise


assert varint(300) == b"\xac\x02"
