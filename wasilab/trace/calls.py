"""The core of a trace: some calls of a run, as columns.

For: everything that reads calls (text, summary, diff, files). `Calls` is a selection of rows of a `Store`. It has the
columns, and imports none of its readers. Selecting again gives another selection of the same store without copying. Not
for: the methods for users (`trace.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..text.numbers import counted
from ..wasi.library import LIBRARY_LOOKUP
from ..wasi.preview1 import signature as sig
from .columns.decode import ERRNO_NAMES, bytes_moved, plan
from .columns.places import Places
from .columns.records import COLUMN_NAMES, RECORD, Array
from .columns.store import Store
from .record.functions import Functions
from .record.layout import Flag, Life
from .record.payload import RECORD_WORDS
from .record.tables import encodable

_DERIVED = (
    "seq", "t_end", "gap", "nbytes", "fd", "generation", "line", "name", "family", "operation",
    "errno_name", "full_path",
)  # fmt: skip
COLUMNS = (*COLUMN_NAMES, *_DERIVED)
"""The columns of `Calls.column`."""
_BLOCK = 1 << 14
"""Calls that are computed at once where arrays of all of them would be made in between."""


class Calls:
    """Some WASI calls of one run, in the order in which they ended."""

    def __init__(self, store: Store, rows: Array | None = None) -> None:
        self.store = store
        self.rows = rows
        """Rows of the store, ascending; None for all."""

    # -- selection ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.store.n if self.rows is None else len(self.rows)

    def __bool__(self) -> bool:
        return len(self) > 0

    def row(self, index: int) -> int:
        """The store's row of the call at `index`; a negative index counts from the end. Raises IndexError."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"the trace has {counted(len(self), 'call')}; there is no call {index}")
        index %= len(self)
        return index if self.rows is None else int(self.rows[index])

    def slice(self, key: slice) -> Self:
        """The calls at these positions; ValueError for a step that is not positive."""
        start, stop, step = key.indices(len(self))
        if step < 0:
            raise ValueError("a trace keeps the order of its calls: slice it with a positive step")
        rows = np.arange(start, max(start, stop), step)
        return type(self)(self.store, rows if self.rows is None else self.rows[rows])

    def at(self, row: int) -> Self:
        """The call at one row of the store."""
        return type(self)(self.store, np.array([row]))

    def select(self, mask: Array) -> Self:
        """The calls for which `mask` (one bool a call) is true."""
        rows = np.flatnonzero(mask)
        return type(self)(self.store, rows if self.rows is None else self.rows[rows])

    # -- columns -----------------------------------------------------------------------------------------------------

    def forget_columns(self) -> None:
        """Free the columns computed so far; they are computed again on access."""
        self._cache.clear()
        self.store.forget_columns()

    @cached_property
    def _cache(self) -> dict[str, Array]:
        return {}

    def column(self, name: str) -> Array:
        """One column, an entry a call: the fields of `RECORD` (`path` numbers into `store.paths`, from 1), and `seq`,
        `t_end`, `gap` (ns of guest time since the call before it ended), `nbytes`, `fd` (-1: none), `generation`,
        `line` (0: unknown), `name`, `family`, `operation` (its kind, named alike for all versions of WASI),
        `errno_name`, `full_path` (text). Raises KeyError.
        """
        found = self._cache.get(name)
        if found is None:
            if name in COLUMN_NAMES or name in ("gap", "seq"):
                column = self._gaps() if name == "gap" else self.store.column(name)
                found = column if self.rows is None else np.asarray(column[self.rows])
            elif name in _DERIVED:
                found = np.asarray(getattr(self, f"_column_{name}")())
            else:
                raise KeyError(f"unknown column {name!r}; the columns are {', '.join(COLUMNS)}")
            self._cache[name] = found
        return found

    def gather(self, *names: str) -> None:
        """Gather these columns in one pass; see `Store.gather`."""
        self.store.gather(*names)

    def _gaps(self) -> Array:
        starts, durs = self.store.column("t_start").view("<i8"), self.store.column("dur").view("<i8")
        found = np.empty(len(starts), "<i8")
        ended = 0  # when the calls so far had all ended
        for at in range(0, len(found), _BLOCK):  # blocks stay in the processor's cache
            start = starts[at : at + _BLOCK]
            reach = np.maximum.accumulate(np.concatenate(([ended], start + durs[at : at + _BLOCK])))
            np.maximum(start - reach[:-1], 0, out=found[at : at + _BLOCK])
            ended = int(reach[-1])
        return found

    def _column_t_end(self) -> Array:
        return np.asarray(self.column("t_start") + self.column("dur"))

    def _column_nbytes(self) -> Array:
        call, errno, result = self.column("call"), self.column("errno"), self.column("result")
        return bytes_moved(call, errno, result, lambda: self.column("args"), self.store.functions)

    def _column_fd(self) -> Array:
        word = np.full(256, -1)
        for number in self.store.functions.known:
            params = plan(self.store.functions, number).params
            word[number] = next((f.word for f in params if f.kind == sig.FD and f.word < RECORD_WORDS), -1)
        words = word[self.column("call")]
        args = self.column("args")
        found = args[:, 0].astype("<i8")
        odd = words > 0
        if odd.any():
            found[odd] = args[odd, words[odd]]
        found[words < 0] = -1
        return found

    def _column_generation(self) -> Array:
        handles = self.column("handle")
        lives = self.store.lives
        unique, inverse = np.unique(handles, return_inverse=True)
        found = np.array([lives[h].generation if h in lives else 0 for h in unique.tolist()], "<u4")[inverse]
        for life in [lives[h] for h in unique.tolist() if h in lives and lives[h].moves]:
            rows = np.flatnonzero(handles == life.life)
            found[rows] = [life.number_at(seq)[1] for seq in self.seq[rows].tolist()]
        return found

    def _column_line(self) -> Array:
        table = np.array([place[1] if place else 0 for place in Places(self.store)], "<u4")
        stack = self.column("stack")
        return table[np.where(stack < len(table), stack, 0)]

    def _column_name(self) -> Array:
        return _texts(self.functions.names)[self.column("call")]

    def _column_family(self) -> Array:
        return _texts(self.functions.families)[self.column("call")]

    def _column_operation(self) -> Array:
        return _texts([str(operation) for operation in self.functions.operations])[self.column("call")]

    def _column_errno_name(self) -> Array:
        return _texts(ERRNO_NAMES)[self.column("errno")]

    def _column_full_path(self) -> Array:
        return _texts([full for full, _ in self.store.targets])[self.target_ids]

    @property
    def target_ids(self) -> Array:
        """For every call the index into `store.targets` of the file that it acted on."""
        ids = self.store.target_ids
        return ids if self.rows is None else ids[self.rows]

    @cached_property
    def records(self) -> Array:
        """All calls as one structured array of dtype `RECORD`, with `path` as a number into `store.paths`.

        `payload` has a meaning only within the store.
        """
        pieces = [part.records[index] for part, index, _ in self.store.batches(self.rows)]
        found = np.concatenate(pieces) if pieces else np.zeros(0, RECORD)
        if pieces and not found.flags.writeable:
            found = found.copy()
        found["path"] = self.column("path")
        return found

    @property
    def seq(self) -> Array:
        """The number of each call in the run, from 0; dropped calls are counted."""
        return self.column("seq")

    def count(self, column: str) -> dict[str, int]:
        """How often each value of a column occurs, the most frequent first; `call`, `errno` and paths as text."""
        column = {"call": "name", "errno": "errno_name", "path": "full_path"}.get(column, column)
        values = self.column(column).tolist()
        return {str(value): n for value, n in Counter(values).most_common()}

    # -- metadata and notes ------------------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """Metadata of the run: module, args, grants, versions, `start_epoch_ns`, exit status, source, ..."""
        return self.store.meta

    @property
    def functions(self) -> Functions:
        """The functions that the column `call` refers to."""
        return self.store.functions

    @property
    def wasi_calls(self) -> int:
        """How many of these are WASI calls. The others are refusals by the program's own library (`wasi/library.py`).
        """
        return int(np.count_nonzero(self.column("call") != LIBRARY_LOOKUP.number))

    @property
    def lives(self) -> Mapping[int, Life]:
        """Every opening of a descriptor, by its life number, which is the column `handle`."""
        return self.store.lives

    @property
    def paths(self) -> list[bytes]:
        """The paths that calls named; the column `path` counts them from 1."""
        return self.store.paths

    @property
    def dropped(self) -> int:
        """Calls that were dropped because the trace's memory budget was used up."""
        return self.store.dropped

    @property
    def truncated(self) -> int:
        """Calls whose data, path or buffers were not kept completely."""
        return int(np.count_nonzero(self.column("flags") & int(Flag.TRUNCATED)))

    @property
    def notes(self) -> list[tuple[int, int, str]]:
        """(first seq, last seq, text) of each note, in order."""
        return sorted(self.store.notes)

    def note(self, seq: int, text: str, *, until: int | None = None) -> None:
        """Label a call, or the span of calls from `seq` to `until`; saved with the trace and shown in every view."""
        last = int(seq) if until is None else int(until)
        if last < seq or seq < 0:
            raise ValueError(f"a note cannot be on calls from {seq} to {last}: give the first call, then the last")
        if last >= self.store.n + self.dropped:
            raise ValueError(f"there is no call {last}: the last is {self.store.n + self.dropped - 1}")
        self.store.notes.append((int(seq), last, encodable(str(text))))


def _texts(values: Sequence[str]) -> Array:
    table = np.empty(len(values), object)
    table[:] = values
    return table
