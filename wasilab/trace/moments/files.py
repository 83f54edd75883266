"""The files of a run over time: which file a path named, its size, and its contents.

For: `history.py`. Everything is derived from the trace: the files that calls opened, wrote, resized, renamed and
removed. The initial contents are known if the caller gives them (folders in memory and copies); written data as far as
the trace kept it (`--snaplen`). Paths are those that the guest named: links are not followed. Not for: descriptors.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...wasi import types as t
from ...wasi.preview1.spec import BY_NUMBER, SNAPSHOT1
from ..answers.event import CallEvent
from ..calls import Calls
from ..columns.decode import Batch
from ..columns.records import Array
from .life_columns import LifeColumns

LARGEST_CONTENT = 1 << 16
"""Maximum size in bytes of a file whose contents are reconstructed."""
MOST_STEPS = 5000
"""Maximum writes to a file, since it was empty, for which its contents are reconstructed."""
MOST_CHANGES = 300_000
"""Maximum calls that change names (open, rename, remove) which are followed."""
_NAMES = ("path_open", "path_rename", "path_unlink_file", "path_remove_directory", "path_create_directory", "path_link",
          "path_symlink")  # fmt: skip
_NUMBER = {name: SNAPSHOT1[name].number for name in (*_NAMES, "fd_write", "fd_pwrite", "fd_filestat_set_size",
                                                     "fd_allocate")}  # fmt: skip
FD_WRITE = _NUMBER["fd_write"]
_WRITE, _RESIZE, _EXTEND = 0, 1, 2


@dataclass(slots=True, eq=False)
class FileStory:
    """One file, independent of its names."""

    before: bytes | None
    """Its initial contents; None if unknown."""
    directory: bool = False
    created: int = -1
    """The row of the call that created it, if known; -1: it existed before."""
    steps: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(row, _WRITE, _RESIZE or _EXTEND, offset, bytes) of each change, in order; an offset of -1: its end."""
    _sizes: Array | None = None

    def sizes(self) -> Array:
        """Its size after each step; -1 if unknown."""
        if self._sizes is None:
            size = -1 if self.before is None else len(self.before)
            found = []
            for _, kind, at, length in self.steps:
                if kind == _RESIZE:
                    size = at
                elif size >= 0:
                    size = size + length if at < 0 else max(size, at + length)
                found.append(size)
            self._sizes = np.array(found, np.int64)
        return self._sizes

    def size_at(self, row: int) -> int:
        """Its size after the call at `row`; -1 if unknown."""
        at = bisect_right(self.steps, row, key=lambda step: step[0]) - 1
        if at < 0:
            return -1 if self.before is None else len(self.before)
        return int(self.sizes()[at])


@dataclass(frozen=True, slots=True)
class FileContent:
    """The contents of a file. `kept` tells for each byte whether it is known; unknown bytes of `data` are 0."""

    data: bytes
    kept: bytes

    @property
    def whole(self) -> bool:
        """Whether every byte is known."""
        return 0 not in self.kept

    def pieces(self) -> Iterator[bytes | int]:
        """The known bytes, and between them the numbers of unknown bytes."""
        at = 0
        while at < len(self.data):
            known = self.kept[at] == 1
            end = self.kept.find(b"\0" if known else b"\1", at)
            end = len(self.data) if end < 0 else end
            yield self.data[at:end] if known else end - at
            at = end


class Files:
    """The files of a trace.

    `before`: the initial contents of folders, full path -> contents (None: a folder).
    """

    def __init__(self, lives: LifeColumns, before: Mapping[str, bytes | None], folders: tuple[str, ...]) -> None:
        self.lives = lives
        self.calls = lives.calls
        self._folders = folders
        """Folders whose initial contents `before` lists completely."""
        self.names: dict[str, list[tuple[int, FileStory | None]]] = {}
        for path, content in before.items():
            self.names[path] = [(-1, FileStory(content, directory=content is None))]
        self._of_life: dict[int, FileStory] = {}
        self._follow()

    # -- following names -----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        lives, calls = self.lives, self.calls
        naming = lives.builtin & np.isin(lives.number, [_NUMBER[name] for name in _NAMES])
        rows = np.flatnonzero(naming)[:MOST_CHANGES]
        flags = self._open_flags(rows)
        opened = {life.opened_seq: life for life in calls.lives.values() if life.opened_seq >= 0 and not life.type}
        paths, targets = calls.target_ids[rows], calls.store.targets
        seqs = calls.column("seq")[rows].tolist()
        for row, seq, number, target in zip(rows.tolist(), seqs, lives.number[rows].tolist(), paths.tolist(),
                                            strict=True):  # fmt: skip
            name, path = BY_NUMBER[number].name, _normal(targets[target][0])
            if name == "path_open":
                life = opened.get(seq)
                directory = life is not None and life.kind == t.Filetype.DIRECTORY
                node = self._opened(row, path, flags.get(row, 0), directory)
                if life is not None and node is not None:
                    self._of_life[life.life] = node
            elif name in ("path_unlink_file", "path_remove_directory"):
                self._name(row, path, None)
            elif name == "path_create_directory":
                self._name(row, path, FileStory(None, directory=True, created=row))
            elif name == "path_symlink":
                self._name(row, path, FileStory(None, created=row))
            else:
                self._second_name(row, path, moved=name == "path_rename")
        for life_number, node in self._of_life.items():
            if not node.directory:
                self._writes(life_number, node)
        for node in set(self._of_life.values()):
            node.steps.sort(key=lambda step: step[0])

    def _open_flags(self, rows: Array) -> dict[int, int]:
        """Row -> oflags of each path_open."""
        found: dict[int, int] = {}
        opens = rows[self.lives.number[rows] == _NUMBER["path_open"]]
        for row, value in self._argument("path_open", "oflags", opens):
            found[row] = value
        return found

    def _argument(self, call: str, name: str, rows: Array) -> Iterator[tuple[int, int]]:
        """(row, value) of a numeric argument of calls of one function."""
        calls = self.calls
        of_store = rows if calls.rows is None else calls.rows[rows]
        plan = calls.store.plan(_NUMBER[call])
        one = next(param for param in plan.params if param.name == name)
        for part, index, at in calls.store.batches(of_store):
            for place, value in zip(at.tolist(), Batch(part, index, plan).values(one), strict=True):
                yield int(rows[place]), value if isinstance(value, int) else 0

    def _name(self, row: int, path: str, node: FileStory | None) -> None:
        self.names.setdefault(path, []).append((row, node))

    def _now(self, path: str) -> FileStory | None:
        known = self.names.get(path)
        return known[-1][1] if known else None

    def _inside(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in self._folders)

    def _opened(self, row: int, path: str, flags: int, directory: bool) -> FileStory | None:
        node = self._now(path)
        if node is None:
            new = flags & t.Oflags.CREAT and (flags & t.Oflags.EXCL or self._inside(path) or path in self.names)
            node = FileStory(b"" if new else None, directory=directory, created=row if new else -1)
            self._name(row if new else -1, path, node)
        if flags & t.Oflags.TRUNC:
            node.steps.append((row, _RESIZE, 0, 0))
        return node

    def _second_name(self, row: int, path: str, *, moved: bool) -> None:
        event = CallEvent(self.calls, self.calls.row(row))
        given, new_fd = event.args.get("new_path"), event.args.get("new_fd")
        if not isinstance(given, str):
            return
        base = getattr(new_fd, "path", "")
        target = _normal(given if given.startswith("/") or not base else base.rstrip("/") + "/" + given)
        node = self._now(path)
        if node is None:
            node = FileStory(None)
            self._name(-1, path, node)
        if moved:
            below = [name for name in self.names if name.startswith(path + "/") and self._now(name) is not None]
            for name in below if node.directory else ():
                self._name(row, target + name[len(path) :], self._now(name))
                self._name(row, name, None)
            self._name(row, path, None)
        self._name(row, target, node)

    def _writes(self, life_number: int, node: FileStory) -> None:
        lives = self.lives
        life = self.calls.lives[life_number]
        rows, offsets = lives.offsets(life)
        good = lives.builtin[rows]
        number = lives.number[rows]
        results = self.calls.column("result")
        wrote = np.flatnonzero(good & (number == _NUMBER["fd_write"]))
        lengths = np.minimum(results[rows[wrote]], np.uint64(1 << 40)).astype(np.int64)
        starts = np.where(offsets[wrote] < 0, -1, offsets[wrote] - lengths)
        node.steps += [(row, _WRITE, at, length) for row, at, length in
                       zip(rows[wrote].tolist(), starts.tolist(), lengths.tolist(), strict=True)]  # fmt: skip
        for name, argument, kind in (("fd_pwrite", "offset", _WRITE), ("fd_filestat_set_size", "size", _RESIZE)):
            chosen = rows[good & (number == _NUMBER[name])]
            for row, value in self._argument(name, argument, chosen):
                length = min(int(results[row]), 1 << 40) if kind == _WRITE else 0
                node.steps.append((row, kind, min(value, 1 << 62), length))
        chosen = rows[good & (number == _NUMBER["fd_allocate"])]
        ends = zip(self._argument("fd_allocate", "offset", chosen), self._argument("fd_allocate", "len", chosen),
                   strict=True)  # fmt: skip
        node.steps += [(row, _EXTEND, min(at, 1 << 62), min(length, 1 << 62)) for (row, at), (_, length) in ends]

    # -- queries -------------------------------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> list[str]:
        """Every path that named a file at some time."""
        return sorted(self.names)

    def node_at(self, path: str, row: int) -> FileStory | None:
        """The file that a path named after the call at `row`."""
        entries = self.names[path]
        at = bisect_right(entries, row, key=lambda entry: entry[0]) - 1
        return entries[at][1] if at >= 0 else None

    def content_at(self, node: FileStory, row: int) -> FileContent | None:
        """The contents of a file after the call at `row`; None if unknown, or too large to show."""
        size = node.size_at(row)
        last = bisect_right(node.steps, row, key=lambda step: step[0])
        first = last
        while first > 0 and not (node.steps[first - 1][1] == _RESIZE and node.steps[first - 1][2] == 0):
            first -= 1
            if last - first > MOST_STEPS:
                return None
        start = node.before if first == 0 else b""
        if not 0 <= size <= LARGEST_CONTENT or start is None or len(start) > LARGEST_CONTENT:
            return None
        data, kept = bytearray(start), bytearray(b"\1" * len(start))
        for step in node.steps[first:last]:
            if not self._apply(data, kept, step):
                return None
        return FileContent(bytes(data), bytes(kept))

    def _apply(self, data: bytearray, kept: bytearray, step: tuple[int, int, int, int]) -> bool:
        row, kind, at, length = step
        if kind == _RESIZE:
            if at > LARGEST_CONTENT:
                return False
            del data[at:], kept[at:]
            end = at
        else:
            at = len(data) if at < 0 else at
            end = at + length
        if end > LARGEST_CONTENT:
            return False
        more = end - len(data)
        if more > 0:
            data += bytes(more)
            kept += b"\1" * more
        if kind == _WRITE:
            written = CallEvent(self.calls, self.calls.row(row)).data[:length]
            data[at:end] = written + bytes(length - len(written))
            kept[at:end] = b"\1" * len(written) + bytes(length - len(written))
        return True


def _normal(path: str) -> str:
    return posixpath.normpath(path) if path else ""


def output_column(calls: Calls, path: bytes) -> tuple[Array, Array]:
    """(rows of the writes to a stream, the total bytes written to it after each)."""
    streams = [life.life for life in calls.lives.values() if life.path == path]
    good = (calls.column("errno") == 0) & np.isin(calls.column("handle"), streams)
    rows = np.flatnonzero(good & (calls.column("call") == _NUMBER["fd_write"]))
    lengths = np.minimum(calls.column("result")[rows], np.uint64(1 << 40)).astype(np.int64)
    return rows, np.cumsum(lengths)

