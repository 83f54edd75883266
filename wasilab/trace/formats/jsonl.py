"""`.jsonl`: one JSON object per line, lossless and readable by any tool.

The first line is {"wasilab": 1, ...} with the tables; every other line is one call with decoded `args` and `result` for
people and tools, and `raw` (numbers and hex) from which the trace is rebuilt exactly. Not for: speed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...capabilities.refusal import DeniedBy
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES
from ..columns.part import Part, PartContent, ascending
from ..columns.records import COLUMN_NAMES, RECORD
from ..columns.size_bound import SizeBound
from ..columns.store import Store, reason_of
from ..columns.subset import blobs
from ..errors import TraceError
from ..record.reasons import Reason, need_from_value, need_value
from ..record.tables import Tables, encodable
from .plain import decoded

VERSION = 1
_PART = 8192
_PART_BYTES = 32 << 20
"""Bytes of lines that are parsed before they become records."""
_RAW = [name for name in COLUMN_NAMES if name not in ("args", "path", "payload")]
_LONGEST_LINE = 1 << 28


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the header line and one line per call."""
    tables = trace.store.tables()
    lives = tables.packed_lives(list(trace.store.lives.values()))
    head = {"wasilab": VERSION, "calls": len(trace), **tables.document(), "lives": lives}
    file.write(json.dumps(head, default=str).encode() + b"\n")
    dumps = json.JSONEncoder(separators=(",", ":")).encode
    full = trace.column("full_path").tolist()
    nbytes = trace.column("nbytes").tolist()
    noted, functions = trace.notes, trace.functions.names
    for rows in decoded(trace):
        part, index, records, at, args, results = rows.part, rows.index, rows.records, rows.at, rows.args, rows.results
        seqs = part.numbers(index).tolist()
        payloads = blobs(trace.store, part, index)
        raws = zip(*(records[name].tolist() for name in _RAW), strict=True)
        words = records["args"].tolist()
        names = [None, *part.paths]
        out = []
        for i, raw in enumerate(raws):
            record = records[i]
            path = int(record["path"])
            line: dict[str, object] = {
                "seq": seqs[i], "t_start": raw[0], "dur": raw[1], "call": functions[int(record["call"])],
                "errno": ERRNO_NAMES[int(record["errno"])], "path": full[at[i]], "nbytes": nbytes[at[i]],
                "args": args[i], "result": results[i],
            }  # fmt: skip
            if record["denied_by"]:
                line["denied_by"] = _denied(int(record["denied_by"]))
                reason = reason_of(part, int(record["payload"]))
                line["reason"] = reason.text
                if reason.need is not None:
                    line["need"] = need_value(reason.need)
            notes = [text for first, last, text in noted if first <= seqs[i] <= last]
            if notes:
                line["notes"] = notes
            rest: dict[str, object] = {"record": raw, "args": words[i]}
            name = names[path] if 0 < path < len(names) else None
            if name is not None:
                rest["path"] = name.hex()
            if payloads[i]:
                rest["payload"] = payloads[i][2:].hex()
            line["raw"] = rest
            out.append(dumps(line))
        file.write(("\n".join(out) + "\n").encode() if out else b"")


def _denied(number: int) -> str | int:
    return DeniedBy(number).name.lower() if number <= max(DeniedBy) else number


def read(path: Path, *, partial: bool = False, max_bytes: int | None = None) -> Store:
    """Rebuild the trace from the `raw` of each line; raises TraceError."""
    parts: list[Part] = []
    lines: list[dict[str, Any]] = []
    number, size = 1, 0
    bound = SizeBound(path, max_bytes)
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline(_LONGEST_LINE))
            if not isinstance(head, dict) or head.get("wasilab") != VERSION:
                raise TraceError(f"{path} is not a wasilab trace: its first line is not the header of a trace")
            tables = Tables.from_document(head, str(head["lives"]))
            claimed = int(head["calls"])
            while raw := file.readline(_LONGEST_LINE):
                number += 1
                lines.append(json.loads(raw))
                size += len(raw)
                if len(lines) == _PART or size > _PART_BYTES:
                    parts.append(_part(lines))
                    bound.add(parts[-1].content.nbytes)
                    lines, size = [], 0
            if lines:
                parts.append(_part(lines))
                bound.add(parts[-1].content.nbytes)
    except TraceError:
        raise
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, AttributeError, IndexError) as error:
        raise TraceError(f"{path} is a damaged trace, near line {number} ({type(error).__name__}: {error})") from None
    calls = sum(part.n for part in parts)
    if calls != claimed and not partial:
        raise TraceError(f"{path} is truncated: it contains {calls:,} of {claimed:,} calls")
    return Store(parts, tables)


def _part(lines: list[dict[str, Any]]) -> Part:
    records = np.zeros(len(lines), RECORD)
    raws = [line["raw"] for line in lines]
    columns = list(zip(*(raw["record"] for raw in raws), strict=True))
    if len(columns) != len(_RAW):
        raise ValueError("a record has the wrong number of fields")
    for name, column in zip(_RAW, columns, strict=True):
        records[name] = np.array(column, RECORD[name])
    records["args"] = np.array([raw["args"] for raw in raws], "<u4").reshape(len(lines), 4)
    paths: dict[bytes, int] = {}
    reasons: dict[Reason, int] = {}
    arena = bytearray()
    for i, (line, raw) in enumerate(zip(lines, raws, strict=True)):
        if "path" in raw:
            records["path"][i] = paths.setdefault(bytes.fromhex(raw["path"]), len(paths) + 1)
        reason = Reason(encodable(str(line.get("reason") or "")), need_from_value(line.get("need")))
        payload = bytes.fromhex(raw.get("payload", ""))
        if payload:
            number = reasons.setdefault(reason, len(reasons) + 1) if reason.text else 0
            records["payload"][i] = (len(arena) >> 2) + 1
            arena += number.to_bytes(2, "little") + payload + bytes(-(len(payload) + 2) & 3)
    seqs = ascending(np.array([line["seq"] for line in lines], "<i8"))
    return Part(int(seqs[0]), len(lines), PartContent(records, bytes(arena), list(paths), list(reasons), (), seqs))
