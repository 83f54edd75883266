"""The graph of origins: the program, its capabilities, what it opened through them, and what was refused.

For: the capability graph, `Run.plot("capabilities")`. A descriptor's origin is the directory through which it was
opened; openings of the same path through the same directory are counted together. Not for: drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ...capabilities.refusal import DeniedBy
from ...wasi import types as t
from ..calls import Calls
from ..columns.store import text_of
from ..filter.by_example import path_term
from ..moments.life_columns import LifeColumns
from .file_tree import FileTree

MOST = 60
"""Maximum nodes in a graph: those with the most calls. The number of omitted nodes is shown."""
FAMILIES = ("args", "environ", "clock", "random", "sock")
"""Families of calls whose capability is not a descriptor."""

_FOLDER_RIGHTS = {
    "open": t.Rights.PATH_OPEN, "list": t.Rights.FD_READDIR, "create": t.Rights.PATH_CREATE_FILE,
    "remove": t.Rights.PATH_UNLINK_FILE,
}  # fmt: skip
_FILE_RIGHTS = {"read": t.Rights.FD_READ, "write": t.Rights.FD_WRITE}


@dataclass(slots=True, eq=False)
class Origin:
    """Something that the program held or was refused."""

    label: str
    """Not safe to print (`text.escape.visible`)."""
    kind: str
    """"program", "grant", "stream", "folder", "file" or "refused"."""
    edge: str = ""
    """Its rights in short ("" if unknown), or why it was refused."""
    calls: int = 0
    openings: int = 0
    use: str = ""
    term: str = ""
    """The filter for its calls."""
    life: int = 0
    """The life number of one of its openings; 0: none."""
    children: list[Origin] = field(default_factory=list)


@dataclass(frozen=True)
class Origins:
    """The graph of a run, from its root `program`. `more` nodes are left out."""

    program: Origin
    more: int = 0

    @classmethod
    def from_calls(cls, calls: Calls, name: str = "program") -> Origins:
        """The graph of these calls."""
        return _Maker(calls, name).make()

    def all(self) -> Iterable[Origin]:
        """Every node, parents before children."""
        todo = [self.program]
        while todo:
            one = todo.pop()
            yield one
            todo += reversed(one.children)


class _Maker:
    def __init__(self, calls: Calls, name: str) -> None:
        self.calls = calls
        self.program = Origin(name, "program")
        self.files = {use.path: use for _, use in FileTree.from_calls(calls)}
        self.of_life: dict[int, Origin] = {}
        self.known: dict[tuple[int, str, str], Origin] = {}
        handles = calls.column("handle")
        self.counts = np.bincount(handles) if len(handles) and int(handles.max()) < 1 << 24 else np.zeros(1, np.int64)

    def make(self) -> Origins:
        self._families()
        opened = sorted(self.calls.lives.values(), key=lambda life: life.opened_seq)
        parents = self._parents([life.opened_seq for life in opened if life.opened_seq >= 0])
        for life in opened:
            path = text_of(life.path)
            parent = self.of_life.get(life.parent or parents.get(life.opened_seq, 0), self.program)
            folder = life.kind == t.Filetype.DIRECTORY
            kind = "grant" if life.preopen is not None else "stream" if path.startswith("<") else (
                "folder" if folder else "file")  # fmt: skip
            one = self._thing(parent, path or life.type or f"descriptor {life.fd}", kind)
            one.openings += 1
            one.calls += int(self.counts[life.life]) if life.life < len(self.counts) else 0
            one.term = f"handle={life.life}" if one.openings == 1 else path_term(path)
            one.life = one.life or life.life
            self.of_life[life.life] = one
        self._refusals()
        for one in list(Origins(self.program).all()):
            use = self.files.get(one.label) if one.kind in ("file", "folder", "grant") else None
            if one.kind != "refused" and use is not None:
                one.use = use.words
        found = self._bounded()
        self._rights(found)
        return found

    def _rights(self, origins: Origins) -> None:
        """Set the rights on each edge, as they were when the descriptor was opened."""
        columns = LifeColumns(self.calls)
        for one in origins.all():
            life = self.calls.lives.get(one.life)
            if life is None or life.type or one.kind == "refused":
                continue
            rights = columns.held_at(life, -1).rights
            if rights is not None:
                words = _FOLDER_RIGHTS if one.kind in ("grant", "folder") else _FILE_RIGHTS
                held = [word for word, right in words.items() if rights & right]
                if {"create", "remove"} <= set(held):  # the two words are too long for an edge
                    held = [*(word for word in held if word not in ("create", "remove")), "change"]
                one.edge = ", ".join(held) or "nothing"

    def _thing(self, parent: Origin, label: str, kind: str) -> Origin:
        key = (id(parent), label, kind)
        one = self.known.get(key)
        if one is None:
            one = self.known[key] = Origin(label, kind)
            parent.children.append(one)
        return one

    def _parents(self, seqs: list[int]) -> dict[int, int]:
        """`seq` of the call that opened a descriptor -> the life of the directory through which it was opened."""
        calls = self.calls
        rows = np.searchsorted(calls.column("seq"), seqs)
        held = calls.column("seq")
        good = rows < len(held)
        rows = rows[good]
        wanted = np.asarray(seqs, np.int64)[good]
        same = held[rows] == wanted
        handles = calls.column("handle")[rows[same]].tolist()
        return dict(zip(wanted[same].tolist(), handles, strict=True))

    def _families(self) -> None:
        families = np.array(self.calls.functions.families, object)[self.calls.column("call")]
        refused = self.calls.column("denied_by") != 0
        for family in FAMILIES:
            mine = families == family
            count, wrong = int(np.count_nonzero(mine & ~refused)), int(np.count_nonzero(mine & refused))
            for kind, number in (("stream", count), ("refused", wrong)):
                if number:
                    one = self._thing(self.program, family, kind)
                    one.calls, one.term = number, f"family={family}" + (" refused" if kind == "refused" else "")

    def _refusals(self) -> None:
        calls = self.calls
        rows = np.flatnonzero(calls.column("denied_by") != 0)
        columns = (calls.column(name)[rows].tolist() for name in ("call", "handle", "denied_by"))
        seen: dict[tuple[int, int, int, int], list[int]] = {}
        for call, handle, by, target in zip(*columns, calls.target_ids[rows].tolist(), strict=True):
            seen.setdefault((call, handle, by, target), []).append(1)
        for (call, handle, by, target), times in seen.items():
            path = calls.store.targets[target][0]
            if not path or calls.functions.families[call] in FAMILIES:
                continue
            parent = self.of_life.get(handle, self.program)
            one = self._thing(parent, path, "refused")
            one.calls += len(times)
            reason = DeniedBy(by).name.lower() if by <= max(DeniedBy) else str(by)
            words = f"{calls.functions.names[call]}: {reason}"
            if words not in one.edge:
                one.edge = f"{one.edge}; {words}" if one.edge else words
            one.term = f"{path_term(path)} refused"

    def _bounded(self) -> Origins:
        everything = list(Origins(self.program).all())
        if len(everything) <= MOST:
            return Origins(self.program)
        rank = {"program": 0, "grant": 1, "refused": 2, "stream": 3, "folder": 4, "file": 5}
        kept = set(sorted(everything, key=lambda one: (rank[one.kind], -one.calls))[:MOST])
        for one in everything:
            one.children = [child for child in one.children if child in kept]
        return Origins(self.program, len(everything) - sum(1 for _ in Origins(self.program).all()))
