"""A trace: the calls of a run, to be sliced, filtered, read, saved and compared.

For: everything a person asks of a recorded run. A `Trace` is a selection of rows of a `Store`; slicing and filtering
make another selection of the same store and copy nothing. The work is done in the files beside this one, each of which
says what its method's options mean. Not for: drawing (`views/`).
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np

from ..wasi import signature as sig
from .answers.event import CallEvent
from .answers.summary import Summary
from .columns import query
from .columns.decode import ERRNO_NAMES, FAMILY_OF, NAMES, bytes_moved, plan
from .columns.store import Resolver, Store
from .record.container import TraceError
from .record.layout import RECORD, Flag, Life
from .record.recorder import Recorder
from .record.tables import encodable
from .strace.lines import Style, StyleOptions, blocks

if TYPE_CHECKING:
    from .answers.descriptors import Fds
    from .answers.diff import Diff
    from .answers.refusals import Refusals
    from .answers.source_lines import Annotation, Lines

__all__ = ["Trace", "TraceError"]

Array = np.ndarray[Any, Any]

_DERIVED = (
    "seq", "t_end", "gap", "nbytes", "fd", "generation", "line", "name", "family", "errno_name", "full_path",
)  # fmt: skip
COLUMNS = (*(RECORD.names or ()), *_DERIVED)
"""The columns of `Trace.column`."""


class Trace:
    """The WASI calls of one run, in the order in which they ended.

    `len(trace)`, `trace[3]` (a `CallEvent`), `trace[10:20]`, iteration. `trace["dur"]` is a column as a NumPy array.
    """

    def __init__(self, store: Store, rows: Array | None = None) -> None:
        self.store = store
        self.rows = rows
        """Rows of the store, ascending; None for all."""

    @classmethod
    def of_recorder(cls, recorder: Recorder, resolver: Resolver | None = None) -> Trace:
        """What a recorder holds now; `resolver` finds source lines (`source.py`)."""
        return cls(Store.of_recorder(recorder, resolver))

    @classmethod
    def load(cls, path: str | Path, *, partial: bool = False) -> Trace:
        """Open a saved trace: `.wtrace`, `.parquet` or `.jsonl`.

        Raises TraceError (a ValueError) for a file that is not one, or is damaged or cut short; `partial=True` opens
        what is whole of a `.wtrace` that was cut short.
        """
        from .formats import load

        return load(path, partial=partial)

    def save(self, path: str | Path) -> Path:
        """Write the trace in the format that the suffix names (`formats.WRITERS`); return the path.

        `.wtrace`, `.parquet` and `.jsonl` are lossless. Raises TraceError for an unknown suffix, a missing extra (and
        names it) or a file that cannot be written.
        """
        from .formats import save

        return save(self, path)

    # -- selection ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.store.n if self.rows is None else len(self.rows)

    def __bool__(self) -> bool:
        return len(self) > 0

    @overload
    def __getitem__(self, key: int) -> CallEvent: ...
    @overload
    def __getitem__(self, key: slice) -> Trace: ...
    @overload
    def __getitem__(self, key: str) -> Array: ...
    def __getitem__(self, key: int | slice | str) -> CallEvent | Trace | Array:
        if isinstance(key, str):
            return self.column(key)
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step < 0:
                raise ValueError("a trace is in the order of its calls: slice it with a positive step")
            rows = np.arange(start, max(start, stop), step)
            return Trace(self.store, rows if self.rows is None else self.rows[rows])
        index = int(key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"the trace has {len(self):,} calls; there is no call {index}")
        index %= len(self)
        return CallEvent(self, index if self.rows is None else int(self.rows[index]))

    def __iter__(self) -> Iterator[CallEvent]:
        for row in range(self.store.n) if self.rows is None else self.rows.tolist():
            yield CallEvent(self, row)

    def at(self, row: int) -> Trace:
        """The trace of one row of the store."""
        return Trace(self.store, np.array([row]))

    def where(self, mask: Array) -> Trace:
        """The calls for which `mask` (one bool a call) is true."""
        rows = np.flatnonzero(mask)
        return Trace(self.store, rows if self.rows is None else self.rows[rows])

    def filter(self, expression: str | None = None, /, **conditions: Unpack[query.Conditions]) -> Trace:
        """The calls that satisfy an expression and all keyword conditions.

        `trace.filter("call=path_* errno!=0 dur>1ms refused")`, `trace.filter(call=["fd_read", "fd_write"], fd=3)`,
        `trace.filter(path="/data/*", refused=True)`: see `query.py`. Raises QueryError (a ValueError) which names what
        is wrong and shows the valid names.
        """
        return self.where(query.select(self, expression, conditions))

    # -- columns -----------------------------------------------------------------------------------------------------

    @cached_property
    def _cache(self) -> dict[str, Array]:
        return {}

    def column(self, name: str) -> Array:
        """One column, an entry a call: the fields of `record.RECORD` (`path` numbers into `store.paths`, from 1), and
        `seq`, `t_end`, `gap` (ns of guest time since the call before it ended), `nbytes`, `fd` (-1: none),
        `generation`, `line` (0: unknown), `name`, `family`, `errno_name`, `full_path` (text).
        """
        found = self._cache.get(name)
        if found is None:
            if name in ("gap",) or name in (RECORD.names or ()) or name == "seq":
                column = self._gaps() if name == "gap" else self.store.column(name)
                found = column if self.rows is None else np.asarray(column[self.rows])
            elif name in _DERIVED:
                found = np.asarray(getattr(self, f"_column_{name}")())
            else:
                raise KeyError(f"there is no column {name!r}; the columns are {', '.join(COLUMNS)}")
            self._cache[name] = found
        return found

    def _gaps(self) -> Array:
        start, dur = self.store.column("t_start").astype("<i8"), self.store.column("dur").astype("<i8")
        reach = np.maximum.accumulate(start + dur) if len(start) else start
        before = np.concatenate((np.zeros(min(1, len(start)), "<i8"), reach[:-1]))
        return np.asarray(np.maximum(start - before, 0))

    def _column_t_end(self) -> Array:
        return np.asarray(self.column("t_start") + self.column("dur"))

    def _column_nbytes(self) -> Array:
        return bytes_moved(self.column("call"), self.column("errno"), self.column("result"), self.column("args"))

    def _column_fd(self) -> Array:
        word = np.full(256, -1)
        for number in range(len(NAMES)):
            word[number] = next((f.word for f in plan(number).params if f.kind == sig.FD), -1)
        where = word[self.column("call")]
        args = self.column("args")
        found = args[:, 0].astype("<i8")
        odd = where > 0
        if odd.any():
            found[odd] = args[odd, where[odd]]
        found[where < 0] = -1
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
        from .answers.source_lines import places

        table = np.array([place[1] if place else 0 for place in places(self)], "<u4")
        stack = self.column("stack")
        return table[np.where(stack < len(table), stack, 0)]

    def _column_name(self) -> Array:
        return _texts([*NAMES, *(f"unknown_{n}" for n in range(len(NAMES), 256))])[self.column("call")]

    def _column_family(self) -> Array:
        return _texts([*FAMILY_OF, *["unknown"] * (256 - len(FAMILY_OF))])[self.column("call")]

    def _column_errno_name(self) -> Array:
        return _texts(list(ERRNO_NAMES))[self.column("errno")]

    def _column_full_path(self) -> Array:
        return _texts([full for full, _ in self.store.wheres])[self.where_ids]

    @property
    def where_ids(self) -> Array:
        """For every call the index into `store.wheres` of what it acted on."""
        ids = self.store.where_ids
        return ids if self.rows is None else ids[self.rows]

    @cached_property
    def records(self) -> Array:
        """All calls as one structured array of dtype `record.RECORD`, with `path` as a number into `store.paths`.

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

    # -- what is known beside the calls ------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the run: module, args, grants, versions, `start_epoch_ns`, exit status, source, ..."""
        return self.store.meta

    @property
    def lives(self) -> Mapping[int, Life]:
        """Every opening of a descriptor, by its life number (the column `handle`)."""
        return self.store.lives

    @property
    def paths(self) -> list[bytes]:
        """The paths that calls named; the column `path` counts them from 1."""
        return self.store.paths

    @property
    def dropped(self) -> int:
        """Calls that were not kept, because the trace's budget was used up."""
        return self.store.dropped

    @property
    def truncated(self) -> int:
        """Calls of which some bytes (data, path, buffers) were longer than what was kept."""
        return int(np.count_nonzero(self.column("flags") & int(Flag.TRUNCATED)))

    @property
    def notes(self) -> list[tuple[int, int, str]]:
        """(first seq, last seq, text) of each note, in order."""
        return sorted(self.store.notes)

    def note(self, seq: int, text: str, *, until: int | None = None) -> None:
        """Label a call, or the span of calls from `seq` to `until`; saved with the trace and shown in every view."""
        last = int(seq) if until is None else int(until)
        if last < seq or seq < 0:
            raise ValueError(f"a note spans calls from a first to a last one, not from {seq} to {last}")
        self.store.notes.append((int(seq), last, encodable(str(text))))

    # -- views -------------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Calls, errors, times and bytes by call, as `strace -c`."""
        return Summary.of(self)

    def text(
        self,
        *,
        trace: str | None = None,
        path: str | None = None,
        successful: bool = False,
        failed: bool = False,
        count: bool = False,
        limit: int | None = None,
        **style: Unpack[StyleOptions],
    ) -> str:
        """The calls as strace prints them, one line each, ending in a line end.

        `trace="path,fd_*,/re/"` (--trace), `path` (-P), `successful` (-z), `failed` (-Z) choose calls; `count` (-c)
        gives the summary instead; `limit` shows the first so many. The rest are fields of `text.Style`: `durations`
        (-T), `time="relative"` (-r), `fd_paths` (-y), `stacks` (-k), `strings` (-s), `verbose` (-v), `pid`, `notes`.
        """
        chosen = self
        if trace is not None or path is not None:
            chosen = chosen.filter(call=trace, path=path)
        if successful or failed:
            chosen = chosen[:0] if successful and failed else chosen.filter("ok" if successful else "failed")
        if count:
            return f"{chosen.summary()}\n"
        left = len(chosen) if limit is None else limit
        out = list(blocks(chosen[:left] if left < len(chosen) else chosen, Style.of(style)))
        if len(chosen) > left:
            out.append(f"... {len(chosen) - left:,} more calls\n")
        return "".join(out)

    def fds(self) -> Fds:
        """Each descriptor's life: opened by which call, path, reads, writes, bytes, closed or leaked."""
        from .answers.descriptors import Fds

        return Fds.of(self)

    @cached_property
    def denied(self) -> Refusals:
        """The refused calls, each with a sentence and the smallest grant that would allow it."""
        from .answers.refusals import Refusals

        return Refusals.of(self)

    def diff(self, other: Trace) -> Diff:
        """How `other` differs from this trace: calls added, removed, and those with another outcome."""
        from .answers.diff import Diff

        return Diff.of(self, other)

    def by_line(self) -> Lines:
        """Calls, bytes and time by source line of the guest (needs stacks and DWARF)."""
        from .answers.source_lines import Lines

        return Lines.of(self)

    def annotate(self, source: str | None = None, file: str | None = None) -> Annotation:
        """The guest's source with the figures of `by_line` in the margin; refusals marked.

        `source` is by default what the trace's metadata holds.
        """
        from .answers.source_lines import Annotation

        return Annotation.of(self, source, file)

    # -- other libraries (extra `arrow`) -------------------------------------------------------------------------------

    def to_arrow(self) -> Any:
        """A pyarrow.Table, one row a call (see `table.SCHEMA`); needs the extra `arrow`."""
        from .answers.arrow import to_arrow

        return to_arrow(self)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, one row a call; needs the extra `arrow`."""
        from .answers.arrow import to_pandas

        return to_pandas(self)

    def sql(self, statement: str) -> Any:
        """Ask in SQL, through DuckDB, of the views `calls, fds, paths, lines, output`; needs the extra `arrow`."""
        from .answers.sql import sql

        return sql(self, statement)

    # -- looking at it -----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Trace of {self._headline()}>"

    def _headline(self) -> str:
        text = f"{len(self):,} WASI call{'' if len(self) == 1 else 's'}"
        refused = int(np.count_nonzero(self.column("denied_by")))
        if refused:
            text += f", {refused:,} refused"
        if self.dropped:
            text += f"; {self.dropped:,} earlier ones dropped"
        return text

    def _repr_html_(self) -> str:
        shown = self.text(limit=200, pid=False, time="run")
        return (
            f"<details open><summary>Trace of {html.escape(self._headline())}</summary>"
            f'<pre dir="ltr" style="max-height:24em;overflow:auto">{html.escape(shown)}</pre></details>'
        )


def _texts(values: list[str]) -> Array:
    table = np.empty(len(values), object)
    table[:] = values
    return table


