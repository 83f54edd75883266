"""All calls of one trace as columns: one table over parts in memory or in a file.

For: `Calls`, which is a selection of rows of a `Store`. Each column is gathered from the parts at its first use and
then kept, so that a filter on one column of ten million calls reads only that column. Numbers that are local to a part
(paths) become global here. Not for: their meaning (`decode.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from ...wasi.preview1 import spec
from ..record.functions import Functions
from ..record.layout import Chunk, Life, settled
from ..record.payload import HEADER
from ..record.reasons import Reason
from ..record.recorder import Recorder
from ..record.tables import Frame, Resolver, Tables
from .container_reader import read
from .decode import Plan, plan
from .lives import LifeIndex
from .part import ContentCache, Part, PartContent
from .records import COLUMN_NAMES, RECORD, Array, records_of

LIFE_BITS = 24
"""In a merged trace: bits of a life's number for the openings of one instance; the instance is in the upper bits."""
_SYMLINK = spec.SNAPSHOT1["path_symlink"].number
UNPACKED_BYTES = 32 << 20
"""Bytes of a recording's packed calls that stay unpacked in memory for the next access."""
GATHERED_BYTES = 160 << 20
"""Bytes of columns up to which those that nobody asked for yet are gathered with the one that somebody did, because
unpacking a part again costs more than copying: all common columns of four million calls."""
_RARE = frozenset({"payload", "instance", "tid", "args"})
"""Columns that most views do not read, gathered apart from the others: they are a third of the memory."""
_DERIVED_FROM = {
    "nbytes": ("call", "errno", "result"), "gap": ("t_start", "dur"), "t_end": ("t_start", "dur"), "seq": (),
}  # fmt: skip
"""The columns that a column of `Calls` is computed from, where it is not one of its own here."""


class Store:
    """All calls of one trace. Columns are read-only; `notes` and `meta` may change."""

    def __init__(self, parts: Sequence[Part], tables: Tables, resolver: Resolver | None = None) -> None:
        self.parts = [part for part in parts if part.n]
        self.all_parts = list(parts)
        self.meta = tables.meta
        self.dropped = tables.dropped
        self.notes = [(int(first), int(last), str(text)) for first, last, text in tables.notes]
        self.stacks = tables.stacks
        self.functions = Functions(tables.functions)
        """Number in the column `call` -> function."""
        self.modules = tables.modules
        """The program, in a recording; empty in other traces."""
        self.host_calls = tables.host_calls
        """The typed host calls of a component, in a recording; empty in other traces."""
        self._frames = tables.frames
        self._located: dict[int, tuple[str, int, str | None, int]] = {}
        self._open = tables.lives
        self.resolver = resolver
        """Finds source lines; None for a trace from a file, whose frames have them."""
        self._starts: list[int] = []
        total = 0
        for part in self.parts:
            self._starts.append(total)
            total += part.n
        self.n = total
        self._columns: dict[str, Array] = {}

    @classmethod
    def from_recorder(cls, recorder: Recorder, resolver: Resolver | None = None) -> Store:
        """The calls recorded so far; the guest may continue to run."""
        chunks = list(recorder.chunks)
        calls = chunks[-1].first + chunks[-1].n
        parts: list[Part] = []
        if recorder.spooled:
            parts = _spooled(recorder, chunks[0].first)
        cache = ContentCache(UNPACKED_BYTES)
        for chunk in chunks:

            def closed(chunk: Chunk = chunk) -> list[Life]:
                return [settled(life, calls) for life in chunk.closed_lives()]

            def content(chunk: Chunk = chunk) -> PartContent:
                records = records_of(chunk)  # first, so that everything they refer to already exists
                return PartContent(records, chunk.payloads(), list(chunk.paths), list(chunk.reasons), closed(chunk))

            if chunk.is_packed:


                def alone(chunk: Chunk = chunk) -> tuple[Array, Sequence[bytes]]:
                    return records_of(chunk), chunk.paths

                parts.append(Part(chunk.first, chunk.n, content, cache, closed, alone))
                continue
            found = content()
            parts.append(Part(chunk.first, len(found.records), found, closed=closed))
        return cls(parts, recorder.tables(), resolver or recorder.resolver)

    def tables(self) -> Tables:
        """The tables, with the frames' source lines."""
        functions = list(self.functions.further)
        return Tables(
            dict(self.meta), self.dropped, list(self._open), self.stacks, self.frames, list(self.notes), functions,
            self.modules, self.host_calls,
        )  # fmt: skip

    # -- columns -----------------------------------------------------------------------------------------------------

    def column(self, name: str) -> Array:
        """One column of all calls: a field of RECORD (`path` with global numbers), or `seq`."""
        found = self._columns.get(name)
        if found is None:
            self._gather([name])
            found = self._columns[name]
        return found

    def gather(self, *names: str) -> None:
        """Gather the columns that will be asked for: each part of a recording is then unpacked once for all of them.

        `names`: also those that `Calls` derives ("nbytes", "gap", "t_end").
        """
        wanted = dict.fromkeys(each for name in names for each in _DERIVED_FROM.get(name, (name,)))
        missing = [name for name in wanted if name not in self._columns]
        if missing:
            self._gather(missing)

    @property
    def gathered(self) -> frozenset[str]:
        """The columns that are in memory."""
        return frozenset(self._columns)

    def forget_columns(self) -> None:
        """Free the columns that were gathered so far."""
        self._columns.clear()

    def _gather(self, names: list[str]) -> None:
        if names == ["seq"]:
            pieces = [part.numbers() for part in self.parts]
            seqs = np.concatenate(pieces) if pieces else np.zeros(0, "<i8")
            seqs.flags.writeable = False
            self._columns["seq"] = seqs
            return
        names = [*names, *self._further(names)] if any(part.unpacks for part in self.parts) else names
        columns = {each: np.empty((self.n, *RECORD[each].shape), RECORD[each].base) for each in names}
        for part, start in zip(self.parts, self._starts, strict=True):
            records, paths = part.alone()
            for each, column in columns.items():
                piece = self._global_paths(records[each], paths) if each == "path" else records[each]
                column[start : start + part.n] = piece
        for each, column in columns.items():
            column.flags.writeable = False
            self._columns[each] = column

    def _further(self, names: list[str]) -> list[str]:
        """Columns to gather with those asked for: of the same kind, the narrow ones first, while memory is left."""
        room = GATHERED_BYTES - self.n * sum(RECORD[name].itemsize for name in {*names, *self._columns} - {"seq"})
        kinds = {name in _RARE for name in names}
        further = []
        for name in sorted(COLUMN_NAMES, key=lambda name: RECORD[name].itemsize):
            if (name in _RARE) in kinds and name not in names and name not in self._columns:
                room -= self.n * RECORD[name].itemsize
                if room >= 0:
                    further.append(name)
        return further

    @cached_property
    def _path_ids(self) -> dict[bytes, int]:
        return {}

    @cached_property
    def paths(self) -> list[bytes]:
        """Path number - 1 -> path, over all parts."""
        self.column("path")
        return list(self._path_ids)

    def _global_paths(self, local_ids: Array, paths: Sequence[bytes]) -> Array:
        ids = self._path_ids
        table = np.zeros(len(paths) + 1, "<u4")
        for local, path in enumerate(paths, 1):
            table[local] = ids.setdefault(path, len(ids) + 1)
        if len(local_ids) and int(local_ids.max()) >= len(table):  # only if the file is corrupt
            local_ids = np.where(local_ids < len(table), local_ids, 0)
        return np.asarray(table[local_ids])

    # -- what a call acted on ------------------------------------------------------------------------------------------

    @cached_property
    def target_ids(self) -> Array:
        """For every call, the index into `targets` of its file: the path it named, or its descriptor's path."""
        return self._targets[0]

    @cached_property
    def targets(self) -> list[tuple[str, str]]:
        """Pairs of (full path, path as the guest gave it). The first is ("", ""), for calls without a file."""
        return self._targets[1]

    @cached_property
    def _targets(self) -> tuple[Array, list[tuple[str, str]]]:
        handles, paths = self.column("handle"), self.column("path")
        width = len(self.paths) + 1
        highest = int(handles.max(initial=0)) + 1
        pairs = handles.astype("<u8") * np.uint64(width) + paths
        if highest * width <= 4 * self.n + (1 << 20):  # a table is small enough; sorting a million pairs would be slow
            used = np.zeros(highest * width, bool)
            used[pairs] = True
            keys = np.flatnonzero(used)
            number = np.zeros(len(used), "<u4")
            number[keys] = np.arange(len(keys))
            ids = number[pairs]
        else:
            keys, ids = np.unique(pairs, return_inverse=True)
            ids = ids.astype("<u4")
        paths_by_number = [None, *self.paths]
        found = [self._join(key // width, paths_by_number[key % width]) for key in keys.tolist()]
        if not found or found[0] != ("", ""):
            found.insert(0, ("", ""))
            ids = ids + np.uint32(1)
        return self._symlinks(ids, found)

    def target(self, row: int) -> tuple[str, str]:
        """The entry of `targets` for one call, without computing those of all calls."""
        part, index = self.locate(row)
        record = part.records[index]
        if int(record["call"]) == _SYMLINK:
            return self.targets[int(self.target_ids[row])]
        path, paths = int(record["path"]), part.paths
        return self._join(int(record["handle"]), paths[path - 1] if 0 < path <= len(paths) else None)

    def _join(self, handle: int, path: bytes | None) -> tuple[str, str]:
        life = self.lives.get(handle)
        base = "" if life is None else text_of(life.path)
        if path is None:
            return base, ""
        given = text_of(path)
        if not base or given.startswith("/"):
            return given, given
        return base.rstrip("/") + "/" + given.removeprefix("./"), given

    def _symlinks(self, ids: Array, found: list[tuple[str, str]]) -> tuple[Array, list[tuple[str, str]]]:
        """For path_symlink, the column `path` is the link's text; what it acts on is its second path."""
        rows = np.flatnonzero(self.column("call") == _SYMLINK)
        if not len(rows):
            return ids, found
        ids = ids.copy()
        found = list(found)
        numbers: dict[tuple[str, str], int] = {}
        for part, index, at in self.batches(rows):
            for row, record in zip(rows[at].tolist(), part.records[index], strict=True):
                place = header(part, int(record["payload"]))
                if place is None:
                    continue
                aux = place[0] + 4  # after the fifth of its five words
                given = text_of(bytes(part.arena[aux : aux + place[2]]))
                life = self.lives.get(int(record["handle"]))
                base = "" if life is None else text_of(life.path)
                pair = (base.rstrip("/") + "/" + given if base else given, given)
                if pair not in numbers:
                    numbers[pair] = len(found)
                    found.append(pair)
                ids[row] = numbers[pair]
        return ids, found

    # -- payloads ----------------------------------------------------------------------------------------------------

    def batches(self, rows: Array | None = None) -> Iterator[tuple[Part, Array, Array]]:
        """(part, indices into the part, positions in `rows`) for rows in ascending order; `None` means all rows."""
        for part, start in zip(self.parts, self._starts, strict=True):
            if rows is None:
                yield part, np.arange(part.n), np.arange(start, start + part.n)
                continue
            low, high = np.searchsorted(rows, (start, start + part.n))
            if low < high:
                yield part, rows[low:high] - start, np.arange(low, high)

    def plan(self, number: int, unstable: bool = False) -> Plan:
        """How the calls of a function are read."""
        return plan(self.functions, number, unstable)

    def locate(self, row: int) -> tuple[Part, int]:
        """The part with a row, and the index in it."""
        index = bisect_right(self._starts, row) - 1
        return self.parts[index], row - self._starts[index]

    def reason(self, row: int) -> Reason:
        """Why a call was refused: its sentence ("" if none) and what was needed."""
        part, index = self.locate(row)
        return reason_of(part, int(part.records["payload"][index]))

    # -- tables ------------------------------------------------------------------------------------------------------

    @cached_property
    def lives(self) -> dict[int, Life]:
        """Every known opening of a descriptor, by life number."""
        found: dict[int, Life] = {}
        for part in self.all_parts:
            for life in part.closed():
                found[life.life] = life
        for life in self._open:
            found.setdefault(life.life, life)
        return dict(sorted(found.items()))

    @cached_property
    def life_index(self) -> LifeIndex:
        """Finds the life of a call's descriptor."""
        return LifeIndex(self.all_parts, self._open, bits=LIFE_BITS if self.instances else 0)

    @property
    def instances(self) -> list[str]:
        """The names of the instances of a merged trace (`merged.py`), by the column `instance`; else []."""
        found = self.meta.get("instances")
        return [str(name) for name in found] if isinstance(found, list) else []

    def instance_of(self, life: int) -> str:
        """The name of the instance whose descriptor a life is, in a merged trace; else ""."""
        instances, number = self.instances, life >> LIFE_BITS
        return instances[number] if number < len(instances) else ""

    @property
    def raw_frames(self) -> Sequence[Frame]:
        """Every distinct frame as recorded, without its line; the first entry is the function."""
        return self._frames

    @property
    def frames(self) -> list[tuple[str, int, str | None, int]]:
        """Every distinct frame: (function, module offset, file or None, line or 0)."""
        return [self._frame(index) for index in range(len(self._frames))]

    def _frame(self, index: int) -> tuple[str, int, str | None, int]:
        found = self._located.get(index)
        if found is None:
            function, offset, file, line = self._frames[index]
            if file is None and self.resolver is not None:
                better = self.resolver.locate(offset)
                if better is not None:
                    file, line = str(better.file), int(better.line)
            found = self._located[index] = (function, offset, file, line)
        return found

    def own_frame(self, number: int, name: str) -> tuple[str, int, str | None, int] | None:
        """The innermost frame of a stack in the file `name`, else the innermost with a line; None if there is none.

        Reads only the necessary debug information: each unit of a C library takes milliseconds.
        """
        if not 0 < number <= len(self.stacks):
            return None
        indices = self.stacks[number - 1]
        for index in indices:
            if self.resolver is not None and name and index not in self._located:
                of_unit = self.resolver.unit_name(self._frames[index][1]) or ""
                root, of_crate, _ = of_unit.partition("/@/")  # rustc names a unit by its crate's first file
                if (of_crate or of_unit.endswith(_C_FILES)) and PurePosixPath(root).name != name:
                    continue  # of another C file or crate; units of other languages contain code of several files
            frame = self._frame(index)
            if frame[3] and frame[2] and PurePosixPath(frame[2]).name == name:
                return frame
        frames = map(self._frame, indices)
        return next((frame for frame in frames if frame[2] and frame[3]), None)

    def stack(self, number: int) -> list[tuple[str, int, str | None, int]]:
        """The frames of a stack, innermost first; [] for 0 or an unknown number."""
        if not 0 < number <= len(self.stacks):
            return []
        return [self._frame(index) for index in self.stacks[number - 1]]


_C_FILES = (".c", ".s", ".S")


def text_of(path: bytes) -> str:
    """A path as text; bytes that are not UTF-8 as `\\xNN`. Not safe to print yet: see `text.escape.visible`."""
    return path.decode("utf-8", "backslashreplace")


def _spooled(recorder: Recorder, before: int) -> list[Part]:
    assert recorder.spool_path is not None
    parts, _ = read(recorder.spool_path, partial=True)
    return [part for part in parts if part.first < before]


def header(part: Part, payload: int) -> tuple[int, int, int, int] | None:
    """(offset after the header, reason, len(aux), len(data)) of a payload, or None if there is none."""
    at = (payload - 1) << 2
    if payload == 0 or at + 8 > len(part.arena):
        return None
    return (at + 8, *HEADER.unpack_from(part.arena, at))


_NO_REASON = Reason("")


def reason_of(part: Part, payload: int) -> Reason:
    """The reason in a payload of `part`; an empty one if there is none."""
    found = header(part, payload)
    if found is None or not 0 < found[1] <= len(part.reasons):
        return _NO_REASON
    return part.reasons[found[1] - 1]
