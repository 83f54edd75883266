"""A trace: the calls of a run, with methods to slice, filter, print, analyse, save and compare them.

For: all uses of a recorded run. `Trace` is a thin facade: the data is `Calls` (`calls.py`), and each method calls a
function of `filter/`, `strace/`, `answers/`, `sql/` or `formats/`. Not for: drawing (`views/`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np

from ..text.numbers import counted
from .answers.descriptors import Fds
from .answers.diff import Diff
from .answers.event import CallEvent, events
from .answers.refusals import Refusals
from .answers.source_lines import Annotation, Lines
from .answers.summary import Summary
from .calls import Calls
from .columns.merged import merged
from .columns.records import Array
from .columns.store import Store
from .errors import TraceError
from .filter.query import Conditions, matching
from .formats.storage import load, save
from .maps.call_tree import CallTree
from .maps.file_tree import FileTree
from .moments.history import History
from .moments.moment import Moment
from .record.recorder import Recorder
from .record.tables import Resolver
from .sql import arrow
from .sql.statements import MEMORY, SECONDS, SqlResult, sql
from .strace.lines import blocks
from .strace.style import Style, StyleOptions

__all__ = ["Trace", "TraceError"]

MOST_PRINTED = 1000
"""Calls that a printed trace shows."""


class Trace(Calls):
    """The WASI calls of one run, in the order in which they ended.

    `len(trace)`, `trace[3]` (a `CallEvent`), `trace[10:20]`, iteration. `trace["dur"]` is a column as a NumPy array.
    """

    @classmethod
    def from_recorder(cls, recorder: Recorder, resolver: Resolver | None = None) -> Trace:
        """The calls that a recorder has now; can be called from any thread while the guest runs.

        `resolver` finds source lines (`module/dwarf.py`); by default it is the recorder's.
        """
        return cls(Store.from_recorder(recorder, resolver))

    @classmethod
    def merged(cls, stores: Sequence[tuple[str, Store]], meta: dict[str, Any]) -> Trace:
        """One trace of several instances, each with its name (`columns/merged.py`)."""
        return cls(merged(stores, meta))

    @classmethod
    def load(cls, path: str | Path, *, partial: bool = False, max_bytes: int | None = None) -> Trace:
        """Open a saved trace: `.wtrace`, `.parquet` or `.jsonl`.

        Raises TraceError (a ValueError) for a file that is not a trace, damaged or truncated; `partial=True` opens the
        complete part of a truncated `.wtrace`. A file that would take much more memory than its size (100 times, at
        least 64 MiB) is refused as well; `max_bytes` sets another limit, for a file that you trust.
        """
        return cls(load(path, partial=partial, max_bytes=max_bytes))

    def save(self, path: str | Path) -> Path:
        """Write the trace in the format that the suffix names (`formats/suffixes.py`); return the path.

        `.wtrace`, `.parquet` and `.jsonl` are lossless. Raises TraceError for an unknown suffix, a missing extra (which
        it names) or a file that cannot be written.
        """
        return save(self, path)

    # -- selection ---------------------------------------------------------------------------------------------------

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
            return self.slice(key)
        return CallEvent(self, self.row(int(key)))

    def __iter__(self) -> Iterator[CallEvent]:
        return events(self)

    def filter(self, expression: str | None = None, /, **conditions: Unpack[Conditions]) -> Trace:
        """The calls that satisfy an expression and all keyword conditions.

        `trace.filter("call=path_* errno!=0 dur>1ms refused")`, `trace.filter(call=["fd_read", "fd_write"], fd=3)`,
        `trace.filter(path="/data/*", refused=True)`: see `filter/query.py`. Raises QueryError (a ValueError) which
        names what is wrong and shows the valid names.
        """
        return self.select(matching(self, expression, conditions))

    # -- answers -----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Calls, errors, times and bytes by call, as `strace -c`."""
        return Summary.from_calls(self)

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
        """The calls as strace prints them, one line each, with a final line end.

        `trace="path,fd_*,/re/"` (--trace), `path` (-P), `successful` (-z), `failed` (-Z) select calls; `count` (-c)
        gives the summary instead; `limit` is the maximum number of lines. The rest are fields of `strace.style.Style`:
        `durations` (-T), `time="relative"` (-r), `fd_paths` (-y), `stacks` (-k), `strings` (-s), `verbose` (-v), `pid`,
        `notes`.
        """
        chosen = self
        if trace is not None or path is not None:
            chosen = chosen.filter(call=trace, path=path)
        if successful or failed:
            chosen = chosen[:0] if successful and failed else chosen.filter("ok" if successful else "failed")
        if count:
            return f"{chosen.summary()}\n"
        left = len(chosen) if limit is None else limit
        out = list(blocks(chosen[:left] if left < len(chosen) else chosen, Style.from_options(style)))
        if len(chosen) > left:
            out.append(f"... {counted(len(chosen) - left, 'more call')}\n")
        return "".join(out)

    def fds(self) -> Fds:
        """Each descriptor's life: opened by which call, path, reads, writes, bytes, closed or leaked."""
        return Fds.from_calls(self)

    @property
    def files(self) -> FileTree:
        """The files that the calls acted on, as a tree: read, written, created, removed, refused; bytes and counts."""
        return FileTree.from_calls(self)

    def call_tree(self) -> CallTree:
        """The calls by function of the guest (needs stacks): host time, calls and bytes."""
        return CallTree.from_calls(self)

    @cached_property
    def denied(self) -> Refusals:
        """The refused calls, each with a sentence and what was needed."""
        return Refusals.from_calls(self)

    @cached_property
    def history(self) -> History:
        """The state at any call, computed at the first access."""
        return History(self)

    def moment(self, call: int | CallEvent) -> Moment:
        """The state of the run after `call` (its `seq`, or the call itself), derived from the trace.

        Open descriptors with offsets and rights, files that were written, output. `Run.at` knows more: the initial
        contents of folders, and the grants. Raises IndexError for a call that is not in the trace.
        """
        return self.history.at(call.seq if isinstance(call, CallEvent) else call)

    def diff(self, other: Trace, *, ignore: Sequence[str] = (), by: str | None = None) -> Diff[Trace]:
        """How `other` differs from this trace: calls added, removed, and those with another outcome or content.

        `ignore` names what is not compared of matched calls: "arguments", "data", "results". `by` sets how calls are
        matched: by "call" (name and path), or by "operation" and path, which is the way for two versions of WASI and
        the default if the traces have no calls in common.
        """
        return Diff.from_calls(self, other, ignore, by)

    def by_line(self) -> Lines:
        """Calls, bytes and time by source line of the guest (needs stacks and DWARF)."""
        return Lines.from_calls(self)

    def annotate(self, source: str | None = None, file: str | None = None) -> Annotation:
        """The guest's source with the figures of `by_line` in the margin; refusals marked.

        `source` is by default taken from the trace's metadata.
        """
        return Annotation.from_calls(self, source, file)

    # -- other libraries (extra `arrow`) -------------------------------------------------------------------------------

    def to_arrow(self) -> Any:
        """A pyarrow.Table, one row a call (columns: `sql/arrow.py`); needs the extra `arrow`."""
        return arrow.to_arrow(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, one row a call; needs the extra `arrow`."""
        return arrow.to_pandas(self)

    def sql(self, statement: str, *, seconds: float = SECONDS, memory: int = MEMORY) -> SqlResult:
        """Query the views `calls, fds, paths, lines, output` with SQL, in DuckDB; needs the extra `arrow`.

        The statement is one SELECT. It may take `seconds` and about `memory` bytes, in a separate process.
        """
        return sql(self, statement, seconds=seconds, memory=memory)

    # -- looking at it -----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Trace of {self._headline()}>"

    def __str__(self) -> str:
        """What printing a trace shows: the calls as `text` gives them, without times, `MOST_PRINTED` at most."""
        return self.text(time="none", durations=False, pid=False, limit=MOST_PRINTED).rstrip("\n")

    def _headline(self) -> str:
        calls = self.wasi_calls
        by_library = len(self) - calls
        text = counted(calls, "WASI call")
        refused = int(np.count_nonzero(self.column("denied_by"))) - by_library
        if refused:
            text += f", {refused:,} refused"
        if by_library:
            text += f" and {counted(by_library, 'refusal')} by the program's own library"
        if self.dropped:
            text += f"; {self.dropped:,} earlier ones dropped"
        return text

    def _repr_html_(self) -> str:
        shown = self.text(limit=200, pid=False, time="run")
        return (
            f"<details open><summary>Trace of {html.escape(self._headline())}</summary>"
            f'<pre dir="ltr" style="max-height:24em;overflow:auto">{html.escape(shown)}</pre></details>'
        )
