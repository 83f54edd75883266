"""The history of a run: its state at any call, derived from the trace without running it again.

For: `Trace.moment`, `Run.at` and the widget's time cursor. Stepping backwards costs as much as stepping forwards: every
query is a search in columns that are computed once. Not for: replay, which runs the program again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from ...wasi import types as t
from ..answers.event import CallEvent, StackFrame
from ..calls import Calls
from ..columns.decode import Batch
from ..columns.places import Places
from ..columns.records import Array
from ..columns.store import LIFE_BITS, Store, text_of
from ..record.layout import Life
from ..strace.values import SHORT_RIGHTS, names_of
from .files import FD_WRITE, FileContent, Files, FileStory, output_column
from .life_columns import LifeColumns
from .moment import FileThen, HeldGrant, Moment, OpenDescriptor, OutputThen, without_memory

MOST_WRITES = 256
"""Maximum writes from which a moment's output is made, if the output was not kept separately: the newest."""
MOST_FILES = 500
"""Maximum files in a moment; changed files come first."""


class History:
    """The state of a run at any of its calls.

    `before`: the initial contents of its folders in memory, full path -> contents (None: a folder). `folders`: the
    guest paths of these folders. `outputs`: the bytes of stdout and stderr, if they were kept separately. `memory`:
    rebuilds the linear memory after a call, if possible.
    """

    def __init__(
        self, calls: Calls, before: Mapping[str, bytes | None] | None = None, folders: tuple[str, ...] = (),
        outputs: tuple[bytes, bytes] | None = None, grants: Mapping[str, str] | None = None,
        memory: Callable[[int], bytes] | None = None,
    ) -> None:  # fmt: skip
        self.calls = Calls(calls.store)
        """All calls of the run, even if `calls` is a selection."""
        self._before = before or {}
        self._folders = folders
        self._outputs = outputs
        self._grants = grants or {}
        self._memory = memory or without_memory
        self._lives = LifeColumns(self.calls)
        self._places = Places(self.calls.store)

    @cached_property
    def files(self) -> Files:
        """The files of the trace."""
        return Files(self._lives, self._before, self._folders)

    def row_of(self, seq: int) -> int:
        """The row of a call. Raises IndexError, whose message lists the existing calls."""
        row = self._lives.row_of(seq)
        if row is None:
            seqs = self.calls.column("seq")
            there = f"the trace has calls {seqs[0]} to {seqs[-1]}" if len(seqs) else "the trace has no calls"
            raise IndexError(f"there is no call {seq}; {there}")
        return row

    def at(self, seq: int) -> Moment:
        """The state after call `seq` had returned. Raises IndexError for a call that is not in the trace."""
        row = self.row_of(seq)
        event = CallEvent(self.calls, row)
        return Moment(
            seq=seq,
            call=event.text(),
            time=event.t_start + event.dur,
            place=self._places.get(event.stack_id),
            descriptors=tuple(self._descriptor(life, row, seq) for life in self._open(seq)),
            grants=self._held(seq),
            files=tuple(self._files(row)),
            stdout=self._output(0, row),
            stderr=self._output(1, row),
            memory_then=lambda: self._memory(seq),
        )

    def stack(self, seq: int) -> list[StackFrame]:
        """The guest's stack at a call, innermost frame first; [] if it was not taken."""
        return CallEvent(self.calls, self.row_of(seq)).stack

    # -- descriptors ---------------------------------------------------------------------------------------------------

    @cached_property
    def _table(self) -> tuple[list[Life], Array, Array]:
        lives = list(self.calls.lives.values())
        opened = np.array([life.opened_seq for life in lives], np.int64)
        closed = np.array([life.closed_seq if life.closed_seq >= 0 else 1 << 62 for life in lives], np.int64)
        return lives, opened, closed

    def _open(self, seq: int) -> list[Life]:
        lives, opened, closed = self._table
        found = [lives[at] for at in np.flatnonzero((opened <= seq) & (closed > seq)).tolist()]
        bits = LIFE_BITS if self.calls.store.instances else 64
        return sorted(found, key=lambda life: (life.life >> bits, life.number_at(seq + 1)))

    def _descriptor(self, life: Life, row: int, seq: int) -> OpenDescriptor:
        regular = life.kind == t.Filetype.REGULAR_FILE and not life.type
        held = self._lives.held_at(life, row)
        offset = self._lives.offset_at(life, row) if regular else -1
        append = bool((held.flags or 0) & t.Fdflags.APPEND)
        kind = life.type or names_of(t.Filetype)[life.kind].lower().replace("_", " ")
        shown = "" if held.rights is None else SHORT_RIGHTS[held.rights]
        return OpenDescriptor(
            life.number_at(seq + 1)[0], text_of(life.path), kind, None if offset < 0 else offset, held.rights, shown,
            held.exact, append and regular, life.opened_seq, life.life, self.calls.store.instance_of(life.life),
        )  # fmt: skip

    # -- grants --------------------------------------------------------------------------------------------------------

    def _held(self, seq: int) -> tuple[HeldGrant, ...]:
        states = dict.fromkeys(self._grants, "granted")
        for when, name, state in switches(self.calls.store):
            if when <= seq:
                states[name] = state
        return tuple(HeldGrant(name, self._grants.get(name, ""), state) for name, state in states.items())

    # -- files ---------------------------------------------------------------------------------------------------------

    def _files(self, row: int) -> list[FileThen]:
        found = [file for path in self.files.paths if (file := self._file(path, row)) is not None]
        if len(found) > MOST_FILES:
            found.sort(key=lambda file: -file.row)
            found = sorted(found[:MOST_FILES], key=lambda file: file.path)
        return found

    def _file(self, path: str, row: int) -> FileThen | None:
        files = self.files
        node = files.node_at(path, row)
        entries = [entry for entry in files.names[path] if entry[0] <= row]
        since = entries[-1][0] if entries else -1
        if node is None:
            gone = any(before is not None for _, before in entries)
            return FileThen(path, False, None, "deleted", since) if gone else None
        steps = bisect_right(node.steps, row, key=lambda step: step[0])
        changed = [node.steps[steps - 1][0]] if steps else []
        last = max([since, node.created if node.created <= row else -1, *changed])
        if last < 0 and not files._inside(path):
            return None  # only opened, or changed later
        if 0 <= node.created == since:
            change = "created"
        elif since >= 0 and any(before is not node for _, before in entries[:-1]):
            change = "replaced"
        elif since >= 0:
            change = "renamed"
        else:
            change = "changed" if changed else ""
        size = node.size_at(row)
        return FileThen(
            path, node.directory, None if size < 0 or node.directory else size, change, last, self._content(node, row)
        )

    def _content(self, node: FileStory, row: int) -> Callable[[], FileContent | None]:
        return lambda: None if node.directory else self.files.content_at(node, row)

    # -- output --------------------------------------------------------------------------------------------------------

    @cached_property
    def _written(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return output_column(self.calls, b"<stdout>"), output_column(self.calls, b"<stderr>")

    def _output(self, which: int, row: int) -> OutputThen:
        rows, totals = self._written[which]
        last = int(np.searchsorted(rows, row, side="right"))
        length = int(totals[last - 1]) if last else 0
        if self._outputs is not None and (length <= len(self._outputs[which])):
            return OutputThen(length, self._outputs[which][:length], True)
        newest = rows[max(last - MOST_WRITES, 0) : last]
        pieces: list[bytes] = []
        for part, index, _ in self.calls.store.batches(newest):
            pieces += Batch(part, index, self.calls.store.plan(FD_WRITE)).data
        data = b"".join(pieces)
        return OutputThen(length, data, len(data) == length)


def switches(store: Store) -> list[tuple[int, str, str]]:
    """(seq of the last call before it, name, "granted", "revoked" or "read-only") of each switched grant, in order."""
    found = []
    entries = store.meta.get("switches")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], int):
            found.append((entry[0], str(entry[1]), str(entry[2])))
    return sorted(found, key=lambda entry: entry[0])

