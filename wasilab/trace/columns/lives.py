"""Finds the life of a call's descriptor without reading the lives of the whole trace.

A life is stored with the part in which it ended, or with those still open at the end. A call's descriptor was open at
the call, so its life is among the open ones, in the call's part or in a later one. They are searched in this order, and
each is indexed when it is first searched, so that the text of 200 calls out of a million reads one part. Not for: all
lives (`Store.lives`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import itemgetter

import numpy as np

from ..record.layout import Life
from .part import Part


class LifeIndex:
    """The lives of one trace, found by life number or by descriptor number and time."""

    def __init__(self, parts: Sequence[Part], still_open: Sequence[Life], *, bits: int = 0) -> None:
        """`bits`: of a merged trace, the bits of a life's number below that of its instance; 0: one table for all."""
        self._bits = bits
        self._open = _Group(still_open)
        self._parts = parts
        self._groups: list[_Group | None] = [None] * len(parts)
        self._positions = {id(part): position for position, part in enumerate(parts)}
        self._found: dict[int, Life | None] = {}

    def get(self, life: int, part: Part) -> Life | None:
        """The life with this number, which was open at a call of `part`."""
        if not life:  # the call had no descriptor
            return None
        if life not in self._found:
            in_groups = (group.by_life.get(life) for group in self._from(part))
            self._found[life] = next((found for found in in_groups if found is not None), None)
        return self._found[life]

    def at(self, fd: int, seq: int, part: Part, *, opened: bool = False) -> Life | None:
        """The life that number `fd` stood for at call `seq` of `part`; with `opened`, the one that the call opened."""
        instance = -1
        if self._bits:
            instance = int(part.records["instance"][int(np.searchsorted(part.numbers(), seq))])
        for group in self._from(part):
            found = group.at(fd, seq, opened, self._bits, instance)
            if found is not None:
                return found
        return None

    def _from(self, part: Part) -> Iterator[_Group]:
        yield self._open
        for position in range(self._positions.get(id(part), 0), len(self._parts)):
            group = self._groups[position]
            if group is None:
                group = self._groups[position] = _Group(self._parts[position].closed())
            yield group


class _Group:
    """Some lives and their indexes."""

    def __init__(self, lives: Sequence[Life]) -> None:
        self._lives = lives

    @cached_property
    def by_life(self) -> dict[int, Life]:
        return {life.life: life for life in self._lives}

    @cached_property
    def _by_number(self) -> dict[int, list[tuple[int, Life]]]:
        """fd number -> (the call that gave it that number, life) in order; -1 for the start."""
        entries: dict[int, list[tuple[int, Life]]] = {}
        for life in self._lives:
            entries.setdefault(life.fd, []).append((life.opened_seq, life))
            for seq, fd, _ in life.moves:
                entries.setdefault(fd, []).append((seq, life))
        for some in entries.values():
            some.sort(key=itemgetter(0))
        return entries

    def at(self, fd: int, seq: int, opened: bool, bits: int, instance: int) -> Life | None:
        """The life that `fd` stood for at call `seq` (of an instance, where `bits` says so), if it is one of these."""
        entries = self._by_number.get(fd, [])
        if bits:
            entries = [entry for entry in entries if entry[1].life >> bits == instance]
        position = (bisect_right if opened else bisect_left)(entries, seq, key=itemgetter(0))
        if not position:
            return None
        life = entries[position - 1][1]
        gone = -1 < life.closed_seq < seq or life.number_at(seq + opened)[0] != fd
        return None if gone else life
