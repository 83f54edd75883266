"""Merges several traces: the calls of several instances, in the order in which they ended, with one time origin.

For: a lab of several instances, a pipeline of programs. The column `instance` tells which instance made a call, and the
metadata's "instances" names them. Every instance has its own descriptors, so a life's number has the instance in its
upper bits (`store.LIFE_BITS`). Not for: comparing traces (`answers/diff.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..record.functions import FIRST_FURTHER, OTHER, Function
from ..record.layout import Life
from ..record.reasons import Reason
from ..record.tables import Frame, Tables
from .part import Part, PartContent
from .records import RECORD, Array
from .store import LIFE_BITS, Store

MOST_INSTANCES = 255
MOST_PASSED = 10_000
"""Passed descriptors that the metadata keeps: the first ones."""
_MOST_REASONS = 0xFFFF
_MOST_RIGHTS = 64


class PassedOn(NamedTuple):
    """A descriptor that one instance passed to another, or a number that was refused (`receiver_life` 0)."""

    at: int
    """ns on the axis of the trace."""
    call: str
    """The function whose argument it was, as `instance.function`, or "channel"."""
    sender: str
    sender_fd: int
    sender_life: int
    """The life in the merged trace; 0 if the number was not open."""
    receiver: str
    receiver_fd: int
    receiver_life: int
    withheld: tuple[str, ...] = ()
    """The sender's rights that were not passed, by preview1's names."""
    kept: bool = False
    """Whether the receiver kept it after the call."""


def life_of(instance: int, life: int) -> int:
    """The number in a merged trace of a descriptor's life in an instance's own; 0 stays 0."""
    return life + (instance << LIFE_BITS) if life else 0


def passed_on(store: Store) -> list[PassedOn]:
    """The descriptors that instances of a merged trace passed to each other, in order; none for other traces.

    They are metadata, which a file can hold too: entries of another form are left out.
    """
    found = store.meta.get("passed")
    entries = found[:MOST_PASSED] if isinstance(found, list) else ()
    return [each for entry in entries if (each := _passed_on(entry)) is not None]


def _passed_on(entry: object) -> PassedOn | None:
    """An entry of the metadata, in the form of this version or of the one before; None for anything else."""
    types = (int, str, str, int, int, str, int, int)
    if not isinstance(entry, (list, tuple)) or len(entry) not in (len(types), len(types) + 2):
        return None
    if not all(type(value) is kind for value, kind in zip(entry, types, strict=False)):
        return None
    if any(isinstance(value, int) and abs(value) >= 1 << 63 for value in entry):
        return None
    withheld, kept = entry[len(types) :] or ((), False)
    if type(kept) is not bool or not isinstance(withheld, (list, tuple)):
        return None
    if len(withheld) > _MOST_RIGHTS or not all(type(name) is str for name in withheld):
        return None
    return PassedOn(*entry[: len(types)])._replace(withheld=tuple(withheld), kept=kept)


def merged(stores: Sequence[tuple[str, Store]], meta: dict[str, Any]) -> Store:
    """The calls of all `stores`, each with the name of its instance. Raises `ValueError` for more than 255.

    Times are put on one axis by the wall-clock time at which each recording began. Everything is held in memory.
    """
    if len(stores) > MOST_INSTANCES:
        raise ValueError(f"{len(stores)} traces cannot be merged: an instance is a number below {MOST_INSTANCES}")
    begun = [int(store.meta.get("start_epoch_ns", 0)) for _, store in stores]
    origin = min(begun, default=0)
    whole = _Merging()
    for instance, ((_, store), start) in enumerate(zip(stores, begun, strict=True)):
        whole.add(instance, store, start - origin)
    names = [name for name, _ in stores]
    dropped = sum(store.dropped for _, store in stores)
    return whole.store({**meta, "start_epoch_ns": origin, "instances": names}, dropped)


class _Merging:
    """The state of a merge, instance by instance."""

    def __init__(self) -> None:
        self._records: list[Array] = []
        self._seqs: list[Array] = []
        self._lives: list[tuple[int, Life, bool]] = []
        """(instance, life, whether still open)."""
        self._arena = bytearray()
        self._paths: list[bytes] = []
        self._reasons: list[Reason] = []
        self._stacks: list[list[int]] = []
        self._frames: list[Frame] = []
        self._functions: dict[Function, int] = {}

    def add(self, instance: int, store: Store, shift: int) -> None:
        """Add the calls of one instance, which began `shift` ns after the first."""
        calls = self._calls(store)
        stacks, frames = len(self._stacks), len(self._frames)
        mine: list[Array] = []
        for part in store.parts:
            records = part.records.copy()
            records["t_start"] += np.uint64(shift)
            records["instance"] = instance
            records["call"] = calls[records["call"]]
            for name, base in (("path", len(self._paths)), ("handle", instance << LIFE_BITS), ("stack", stacks)):
                column = records[name]
                records[name] = np.where(column != 0, column + column.dtype.type(base), 0)
            records["payload"] = self._payloads(part, records["payload"])
            self._paths += part.paths
            mine.append(records)
        self._records.append(np.concatenate(mine) if mine else np.zeros(0, RECORD))
        self._seqs.append(np.concatenate([part.numbers() for part in store.parts]) if mine else np.zeros(0, "<i8"))
        self._stacks += [[frame + frames for frame in stack] for stack in store.stacks]
        self._frames += store.frames
        still_open = {life.life for life in store.tables().lives}
        self._lives += [(instance, life, number in still_open) for number, life in store.lives.items()]

    def _calls(self, store: Store) -> Array:
        """The number of each of a store's functions in the merged list."""
        table = np.arange(256, dtype="u1")
        for number, function in enumerate(store.functions.further, FIRST_FURTHER):
            at = self._functions.setdefault(function, len(self._functions))
            table[number] = min(FIRST_FURTHER + at, OTHER)
        return table

    def _payloads(self, part: Part, payloads: Array) -> Array:
        """Add a part's payloads, with new numbers for their reasons; returns their new offsets."""
        arena = bytearray(part.arena)
        arena += bytes(-len(arena) % 4)
        used = np.unique(payloads[payloads != 0]).astype("<i8") - 1
        used = used[used * 4 + 8 <= len(arena)]
        heads = np.frombuffer(arena, "<u2")
        numbers = heads[used * 2].astype("<i8")
        moved = np.where(numbers != 0, numbers + len(self._reasons), 0)
        moved[moved > _MOST_REASONS] = 0
        heads[used * 2] = moved
        del heads
        base = len(self._arena) >> 2
        self._arena += arena
        self._reasons += part.reasons
        return np.asarray(np.where(payloads != 0, payloads + np.uint32(base), 0))

    def store(self, meta: dict[str, Any], dropped: int) -> Store:
        """The store of all added calls."""
        records = np.concatenate(self._records) if self._records else np.zeros(0, RECORD)
        ended = records["t_start"] + records["dur"]
        order = np.argsort(ended, kind="stable")
        places = np.empty(len(order), "<i8")
        places[order] = np.arange(len(order))
        starts = np.cumsum([0, *map(len, self._records)])
        where = [places[start : start + len(seqs)] for start, seqs in zip(starts, self._seqs, strict=False)]
        lives = [(self._moved(*entry[:2], where), entry[2]) for entry in self._lives]
        closed = [life for life, still_open in lives if not still_open]
        content = PartContent(records[order], bytes(self._arena), self._paths, self._reasons, closed)
        functions = list(self._functions)[: OTHER - FIRST_FURTHER]
        opened = [life for life, still_open in lives if still_open]
        tables = Tables(meta, dropped, opened, self._stacks, self._frames, functions=functions)
        return Store([Part(0, len(records), content)], tables)

    def _moved(self, instance: int, life: Life, where: Sequence[Array]) -> Life:
        """A life with its numbers in the merged trace."""
        seqs, places = self._seqs[instance], where[instance]
        total = sum(map(len, self._seqs))

        def place(seq: int) -> int:
            if seq < 0:
                return seq
            at = int(np.searchsorted(seqs, seq))
            return int(places[at]) if at < len(places) else total

        return replace(
            life,
            life=life_of(instance, life.life),
            parent=life_of(instance, life.parent),
            opened_seq=place(life.opened_seq),
            closed_seq=place(life.closed_seq),
            moves=tuple((place(seq), fd, generation) for seq, fd, generation in life.moves),
        )
