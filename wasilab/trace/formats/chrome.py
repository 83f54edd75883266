"""`.json`: Chrome's trace event format, for viewers that do not read Perfetto's protobuf.

Calls are complete events (`X`) with times in microseconds from the run's start; descriptor lives, which overlap, are
asynchronous ones (`b`, `e`); openings and closings are joined by flows (`s`, `f`); bytes and open descriptors are
counters (`C`). Not for: loading again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

import numpy as np

from ...text.escape import visible
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES
from ..columns.records import Array
from ..columns.store import reason_of
from ..record.layout import DID_NOT_RETURN
from ..strace.lines import denied_name
from .plain import decoded

_PID = 1


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write {"traceEvents": [...]} some thousands of events at a time."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    name = visible(str(trace.meta.get("module") or trace.meta.get("name") or "wasm module"))
    head = [_meta("process_name", 0, name)]
    head += [
        _meta("thread_name", tid, "guest" if tid == 1 else f"guest thread {tid}")
        for tid in np.unique(trace.column("tid")).tolist()
    ]
    file.write(b'{"displayTimeUnit":"ns","traceEvents":[\n' + ",\n".join(map(encode, head)).encode())
    for events in (*_calls(trace), _lives(trace)):
        if events:
            file.write((",\n" + ",\n".join(map(encode, events))).encode())
    file.write(b"\n]}\n")


def _meta(name: str, tid: int, value: str) -> dict[str, object]:
    return {"ph": "M", "name": name, "pid": _PID, "tid": tid, "args": {"name": value}}


def _calls(trace: Calls) -> Iterator[list[dict[str, object]]]:
    total = 0
    noted = trace.notes
    functions, families = trace.functions.names, trace.functions.families
    for rows in decoded(trace):
        records = rows.records
        names = ("t_start", "dur", "call", "errno", "denied_by", "tid", "payload")
        columns = (records[name].tolist() for name in names)
        moved = trace.column("nbytes")[rows.at].tolist()
        seqs = rows.part.numbers(rows.index).tolist()
        out: list[dict[str, object]] = []
        for (start, dur, call, errno, denied, tid, payload), args, results, seq, count in zip(
            zip(*columns, strict=True), rows.args, rows.results, seqs, moved, strict=True
        ):
            extra: dict[str, object] = {"seq": seq, **args}
            extra["errno"] = "?" if errno == DID_NOT_RETURN else ERRNO_NAMES[errno] or "SUCCESS"
            if results:
                extra["result"] = results
            notes = [visible(note) for first, last, note in noted if first <= seq <= last]
            if notes:
                extra["note"] = "; ".join(notes)
            if denied:
                extra["denied"] = visible(reason_of(rows.part, payload).text) or denied_name(denied)
            out.append({
                "ph": "X", "name": functions[call], "cat": f"wasi,wasi.{families[call]}", "pid": _PID, "tid": tid,
                "ts": start / 1000, "dur": dur / 1000, "args": extra,
            })  # fmt: skip
            if count:
                total += count
                out.append(_counter("bytes moved", start + dur, total))
        yield out


def _counter(name: str, time: int, value: int) -> dict[str, object]:
    return {"ph": "C", "name": name, "pid": _PID, "ts": time / 1000, "args": {name: value}}


def _lives(trace: Calls) -> list[dict[str, object]]:
    seqs, starts, ends = trace.seq, trace.column("t_start"), trace.column("t_end")
    if not len(seqs):
        return []
    tids = trace.column("tid")
    last = int(ends.max())
    out: list[dict[str, object]] = []
    steps: list[tuple[int, int]] = []
    for life in trace.lives.values():
        opened, closed = _row(seqs, life.opened_seq), _row(seqs, life.closed_seq)
        begin = int(ends[opened]) if opened >= 0 else 0
        end = max(begin, int(starts[closed])) if closed >= 0 else last
        name = f"fd {' -> '.join(map(str, life.numbers))} {visible(life.path)}"
        event = {"cat": "wasi.descriptor", "name": name, "pid": _PID, "tid": 0,
                 "id2": {"local": hex(life.life)}}  # fmt: skip
        out.append({"ph": "b", "ts": begin / 1000, "args": {"generation": life.generation}, **event})
        out.append({"ph": "e", "ts": end / 1000, **event})
        steps.append((begin, 1))
        if closed >= 0:
            steps.append((end, -1))
        if opened >= 0 and closed >= 0:
            flow = {"cat": "wasi.descriptor", "name": "open to close", "id": life.life, "pid": _PID}
            out.append({"ph": "s", "tid": int(tids[opened]), "ts": int(starts[opened]) / 1000, **flow})
            out.append({"ph": "f", "bp": "e", "tid": int(tids[closed]), "ts": int(starts[closed]) / 1000, **flow})
    now = 0
    for time, step in sorted(steps):
        now += step
        out.append(_counter("open descriptors", time, now))
    return out


def _row(seqs: Array, seq: int) -> int:
    """The position of the call with this number, -1 if it is not there."""
    at = int(np.searchsorted(seqs, seq)) if seq >= 0 else len(seqs)
    return at if at < len(seqs) and seqs[at] == seq else -1
