"""The files that a run used, as a tree of folders with the operations on each.

For: `Trace.files`, the widget's file tree. Figures are computed on whole columns, once for each distinct path. Not for:
the contents of files (`moments/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...text.escape import shorten, visible
from ...text.numbers import counted, size
from ...wasi.operations import Operation
from ..calls import Calls
from ..columns.records import Array
from ..filter.by_example import path_term

MOST_PATHS = 3000
"""Maximum paths in a tree: those with the most calls."""
_KINDS: dict[str, tuple[Operation, ...]] = {
    "reads": (Operation.READ, Operation.LIST, Operation.READ_LINK), "writes": (Operation.WRITE, Operation.RESIZE),
    "opens": (Operation.OPEN,), "made": (Operation.MAKE, Operation.SYMLINK, Operation.LINK),
    "removed": (Operation.REMOVE,), "renamed": (Operation.RENAME,),
}  # fmt: skip


@dataclass(slots=True)
class FileUse:
    """A file or folder, and the run's operations on it. The figures of a folder include its contents."""

    name: str
    """The last part of its path; not safe to print (`text.escape.visible`)."""
    path: str
    calls: int = 0
    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    opens: int = 0
    made: int = 0
    removed: int = 0
    renamed: int = 0
    refused: int = 0
    failed: int = 0
    children: dict[str, FileUse] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The operations on it, as text."""
        parts = [
            f"read {size(self.bytes_read)}" if self.bytes_read else "read" if self.reads else "",
            f"written {size(self.bytes_written)}" if self.bytes_written else "written" if self.writes else "",
            "made" if self.made else "", "removed" if self.removed else "", "renamed" if self.renamed else "",
            f"{self.refused:,} refused" if self.refused else "", f"{self.failed:,} failed" if self.failed else "",
        ]  # fmt: skip
        return ", ".join(part for part in parts if part) or ("opened" if self.opens else "")

    @property
    def term(self) -> str:
        """The filter for its calls, including those on its contents."""
        own = path_term(self.path)
        return f"({own} or {path_term(self.path, below=True)})" if self.children else own

    def add(self, other: FileUse) -> None:
        """Add the figures of another one."""
        for name in _FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def sorted(self) -> list[FileUse]:
        """Its contents: folders first, sorted by name."""
        return sorted(self.children.values(), key=lambda use: (not use.children, use.name))


_FIGURES = ("calls", "reads", "writes", "bytes_read", "bytes_written", "opens", "made", "removed", "renamed", "refused",
            "failed")  # fmt: skip


@dataclass(frozen=True)
class FileTree:
    """The files of a run. `root` has the top folders, such as "/data"; `more` counts paths that are left out."""

    root: FileUse
    more: int = 0

    @classmethod
    def from_calls(cls, calls: Calls) -> FileTree:
        """The files that these calls acted on."""
        return _tree(calls)

    def __iter__(self) -> Iterator[tuple[int, FileUse]]:
        """(depth, file or folder), a folder before its contents."""
        todo = [(0, use) for use in reversed(self.root.sorted())]
        while todo:
            depth, use = todo.pop()
            yield depth, use
            todo += [(depth + 1, child) for child in reversed(use.sorted())]

    def __getitem__(self, path: str) -> FileUse:
        """The file or folder with this path; KeyError if the run did not use it."""
        for _, use in self:
            if use.path == path:
                return use
        raise KeyError(path)

    def __str__(self) -> str:
        lines = []
        for depth, use in self:
            name = shorten(visible(use.name), 80) + ("/" if use.children else "")
            lines.append(f"{'  ' * depth}{name}  {use.words}".rstrip())
            if len(lines) == 400:
                lines.append("...")
                break
        if self.more:
            lines.append(f"and {counted(self.more, 'more path')}")
        return "\n".join(lines) or "no files"

    __repr__ = __str__


def _tree(calls: Calls) -> FileTree:
    targets = calls.store.targets
    ids = calls.target_ids
    paths = ["" if full.startswith("<") else full for full, _ in targets]  # ".." is kept: it shows the attempt
    per_target = np.bincount(ids, minlength=len(targets))
    for number, path in enumerate(paths):
        if not path:
            per_target[number] = 0
    chosen = np.argsort(-per_target, kind="stable")[:MOST_PATHS]
    chosen = chosen[per_target[chosen] > 0]
    figures = _figures(calls, ids, len(targets))
    root = FileUse("", "")
    for number in chosen.tolist():
        own = FileUse("", paths[number])
        for name, column in figures.items():
            setattr(own, name, int(column[number]))
        _place(root, paths[number], own)
    _only_tops(root)
    return FileTree(root, int(np.count_nonzero(per_target)) - len(chosen))


_NUMBER = {operation: number for number, operation in enumerate(Operation)}


def _figures(calls: Calls, ids: Array, n: int) -> dict[str, Array]:
    """A column for each figure, one entry per target."""
    errno, refused = calls.column("errno"), calls.column("denied_by") != 0
    good = errno == 0
    operation = np.array([_NUMBER[op] for op in calls.functions.operations])[calls.column("call")]
    moved = np.minimum(calls.column("nbytes"), np.uint64(1 << 50)).astype(np.float64)

    def total(mask: Array, weights: Array | None = None) -> Array:
        return np.bincount(ids[mask], weights=None if weights is None else weights[mask], minlength=n)

    masks = {
        name: good & np.isin(operation, [_NUMBER[each] for each in kinds])
        for name, kinds in _KINDS.items()
    }
    found = {name: total(mask) for name, mask in masks.items()}
    found["calls"] = np.bincount(ids, minlength=n)
    found["bytes_read"], found["bytes_written"] = total(masks["reads"], moved), total(masks["writes"], moved)
    found["refused"], found["failed"] = total(refused), total(~good & ~refused & (errno != 255))
    return found


def _place(root: FileUse, path: str, own: FileUse) -> None:
    """Add the figures of a path to its node and to every parent folder."""
    here = root
    at = "/" if path.startswith("/") else ""
    parts: Sequence[str] = [part for part in path.split("/") if part and part != "."] or ["/"]
    for part in parts:
        at = f"{at.rstrip('/')}/{part}" if at else part
        here = here.children.setdefault(part, FileUse(part, at if part != "/" else "/"))
        here.add(own)


def _only_tops(root: FileUse) -> None:
    """Name the top folders by their full path: "/data", not "data" in a folder that is not granted."""
    for name, use in list(root.children.items()):
        if use.path.startswith("/") and not name.startswith("/"):
            use.name = use.path
