"""Copies some calls of a trace into new parts, to save a slice or a filtered trace.

Only their own payloads, paths and reasons are copied. So a file of some calls does not contain the data of the others.
Not for: choosing the calls (`filter/`).
"""

from __future__ import annotations

import struct

import numpy as np

from ..record.layout import Flag
from ..record.reasons import Reason
from .decode import Batch
from .part import Part, PartContent
from .records import RECORD, Array
from .store import Store


def parts_of(store: Store, rows: Array | None) -> list[Part]:
    """Parts that hold `rows` (ascending; None: all) and all descriptor lives, and nothing else."""
    if rows is None:
        return store.all_parts
    found = []
    for part, index, _ in store.batches(rows):
        found.append(part if len(index) == part.n else _pick(store, part, index))
    whole = {id(part) for part in found}
    lives = [life for part in store.all_parts if id(part) not in whole for life in part.closed()]
    if lives:
        found.append(Part(0, 0, PartContent(np.zeros(0, RECORD), b"", [], [], lives)))
    return found


def _pick(store: Store, part: Part, index: Array) -> Part:
    records = part.records[index].copy()
    payloads = blobs(store, part, index)
    arena = bytearray()
    reasons: dict[Reason, int] = {}
    for i, blob in enumerate(payloads):
        if not blob:
            records["payload"][i] = 0
            continue
        records["payload"][i] = (len(arena) >> 2) + 1
        number = int.from_bytes(blob[:2], "little")
        if 0 < number <= len(part.reasons):
            number = reasons.setdefault(part.reasons[number - 1], len(reasons) + 1)
        else:
            number = 0
        arena += struct.pack("<H", number) + blob[2:] + bytes(-len(blob) & 3)
    used = np.unique(records["path"])
    used = used[(used > 0) & (used <= len(part.paths))]
    numbers = np.zeros(max(len(part.paths), int(records["path"].max(initial=0))) + 1, "<u4")
    numbers[used] = np.arange(1, len(used) + 1)
    records["path"] = numbers[records["path"]]
    paths = [part.paths[i - 1] for i in used.tolist()]
    seqs = part.numbers(index)
    return Part(int(seqs[0]), len(index), PartContent(records, bytes(arena), paths, list(reasons), (), seqs))


def blobs(store: Store, part: Part, index: Array) -> list[bytes]:
    """The payload of each call with its header; b"" where there is none or it is cut short."""
    out: list[bytes] = [b""] * len(index)
    records = part.records[index]
    keys = records["call"].astype("<u2") | ((records["flags"] & int(Flag.UNSTABLE)) << 8)
    for key in np.unique(keys).tolist():
        chosen = np.flatnonzero(keys == key)
        batch = Batch(part, index[chosen], store.plan(key & 0xFF, bool(key >> 8)))
        arena = batch.arena
        starts, ends, good = batch.extents()
        for i, start, end, has in zip(chosen.tolist(), starts, ends, good, strict=True):
            if has:
                out[i] = arena[start:end]
    return out
