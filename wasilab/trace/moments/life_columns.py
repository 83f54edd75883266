"""The offset, rights and flags of one descriptor after each call on it.

For: `history.py`. The calls of a descriptor are found by one sort of the whole trace, and its offsets are computed on
columns, so that any moment among a million calls is found quickly. Not for: changes of files (`files.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...wasi import types as t
from ...wasi.operations import Operation
from ...wasi.preview1.spec import BY_NUMBER, SNAPSHOT1
from ..answers.event import CallEvent
from ..calls import Calls
from ..columns.records import Array
from ..record.layout import Life

_MOVES = np.array([c.operation in (Operation.READ, Operation.WRITE) and "offset" not in {p.name for p in c.params}
                   for c in BY_NUMBER])  # fmt: skip
_WRITES = np.array([c.operation is Operation.WRITE for c in BY_NUMBER])
_PLACES = np.isin(np.arange(len(BY_NUMBER)), [SNAPSHOT1["fd_seek"].number, SNAPSHOT1["fd_tell"].number])
_TELLS = [SNAPSHOT1[name].number for name in ("fd_fdstat_get", "fd_fdstat_set_rights", "fd_fdstat_set_flags")]
_LARGEST = 1 << 62
"""The maximum plausible offset; a larger one is from a corrupt trace."""


@dataclass(frozen=True, slots=True)
class Held:
    """The rights and flags of a descriptor, as far as known."""

    rights: int | None = None
    exact: bool = False
    """Whether these are its actual rights; otherwise those requested, which may be more."""
    flags: int | None = None


class LifeColumns:
    """The calls of a trace by descriptor."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.handle = calls.column("handle")
        self._order = np.argsort(self.handle, kind="stable")
        self._sorted = self.handle[self._order]
        self._offsets: dict[int, tuple[Array, Array]] = {}
        self._held: dict[int, list[tuple[int, Held]]] = {}

    @cached_property
    def number(self) -> Array:
        """The number of each call's function, 0 for those of the trace's own list; see `builtin`."""
        call = self.calls.column("call")
        return np.asarray(np.where(call < len(BY_NUMBER), call, 0))

    @cached_property
    def builtin(self) -> Array:
        """The calls of preview1 that succeeded."""
        return np.asarray((self.calls.column("call") < len(BY_NUMBER)) & (self.calls.column("errno") == 0))

    def rows(self, life: int) -> Array:
        """The calls on a descriptor, in order."""
        low, high = np.searchsorted(self._sorted, (life, life + 1))
        return np.asarray(self._order[low:high])

    def offsets(self, life: Life) -> tuple[Array, Array]:
        """(rows of the calls on it, its offset after each): -1 if unknown, as after an appending write."""
        known = self._offsets.get(life.life)
        if known is None:
            if len(self._offsets) > 64:
                self._offsets.clear()
            known = self._offsets[life.life] = self._offset_columns(life)
        return known

    def _offset_columns(self, life: Life) -> tuple[Array, Array]:
        rows = self.rows(life.life)
        number, good = self.number[rows], self.builtin[rows]
        result = np.minimum(self.calls.column("result")[rows], np.uint64(_LARGEST)).astype(np.int64)
        moved = np.where(_MOVES[number] & good, result, 0)
        places = _PLACES[number] & good
        total = np.minimum(np.cumsum(moved, dtype=np.float64), float(_LARGEST)).astype(np.int64)
        last = np.maximum.accumulate(np.where(places, np.arange(len(rows)), -1)) if len(rows) else np.zeros(0, np.int64)
        base = np.where(last >= 0, result[last] - total[last], 0)
        offset = np.clip(base + total, 0, _LARGEST)
        if self._appends(life):
            wrote = np.where(_WRITES[number] & _MOVES[number] & good, np.arange(len(rows)), -1)
            blind = np.maximum.accumulate(wrote) if len(rows) else wrote
            offset = np.where(blind > last, -1, offset)
        return rows, offset

    def offset_at(self, life: Life, row: int) -> int:
        """Its offset after the call at `row` of the trace; -1 if unknown."""
        rows, offsets = self.offsets(life)
        at = int(np.searchsorted(rows, row, side="right")) - 1
        return int(offsets[at]) if at >= 0 else 0

    def _appends(self, life: Life) -> bool:
        return any((held.flags or 0) & t.Fdflags.APPEND for _, held in self.changes(life))

    def changes(self, life: Life) -> list[tuple[int, Held]]:
        """(row, rights and flags from then on) for each call that reveals them; row -1: initially.
        """
        known = self._held.get(life.life)
        if known is None:
            if len(self._held) > 4096:
                self._held.clear()
            known = self._held[life.life] = self._changes(life)
        return known

    def _changes(self, life: Life) -> list[tuple[int, Held]]:
        now = self._opened(life)
        found = [(-1, now)]
        rows = self.rows(life.life)
        told = rows[np.isin(self.number[rows], _TELLS) & self.builtin[rows]]
        numbers = self.number[told]
        changing = np.flatnonzero(numbers != _TELLS[0])
        first = int(changing[0]) if len(changing) else len(told)
        chosen = told[:1].tolist() if first else []  # until the first change every answer is the same
        chosen += told[first : first + 100].tolist()
        for row in chosen:
            event = self._event(row)
            if event.name == "fd_fdstat_get":
                stat = event.result.get("fdstat")
                if not isinstance(stat, t.Fdstat):
                    continue
                now = Held(int(stat.rights_base), True, int(stat.flags))
                if len(found) == 1 and row == chosen[0]:
                    found[0] = (-1, now)
            elif event.name == "fd_fdstat_set_rights":
                now = Held(_int(event.args.get("fs_rights_base")), True, now.flags)
            else:
                now = Held(now.rights, now.exact, _int(event.args.get("flags")))
            found.append((row, now))
        return found

    def _opened(self, life: Life) -> Held:
        if life.opened_seq < 0 or life.type:
            return Held()
        row = self.row_of(life.opened_seq)
        event = self._event(row) if row is not None else None
        if event is None or event.name != "path_open":
            return Held()
        return Held(_int(event.args.get("fs_rights_base")), False, _int(event.args.get("fdflags")))

    def held_at(self, life: Life, row: int) -> Held:
        """Its rights and flags after the call at `row`."""
        now = Held()
        for since, held in self.changes(life):
            if since > row:
                break
            now = held
        return now

    def row_of(self, seq: int) -> int | None:
        """The row of a call; None if it is not in the trace."""
        seqs = self.calls.column("seq")
        at = int(np.searchsorted(seqs, seq))
        return at if 0 <= at < len(seqs) and int(seqs[at]) == seq else None

    def _event(self, row: int) -> CallEvent:
        return CallEvent(self.calls, self.calls.row(row))


def _int(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None
