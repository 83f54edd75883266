"""What a run changed in a copied folder: found by comparing inodes, and shown as a diff.

A `Baseline` remembers a tree in memory as it was copied; `changes()` compares. Because files in memory keep their
inode under a rename, a renamed file is known as such and not guessed from its contents. Writing the changes to a host
is not done here: whoever made the copy gives the function that does (`host/copies/copydir.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ...text.escape import cut_lines, visible
from .memdir import walk_nodes
from .memtree import DirNode, FileNode, Node

T = TypeVar("T")

_MAX_DIFF, _MAX_LINES = 1 << 20, 5000
"""Bytes and lines of a file beyond which no line diff is made (its time can grow with their square)."""

# What is shown of changes unless more is asked for. A guest chooses how much it changes, so all of it is bounded.
NAMES_SHOWN, DIFFS_SHOWN = 30, 8
"""Entries of each kind that are named, and files whose difference is shown line by line."""
DIFF_BYTES, DIFF_LINES, LINES_SHOWN = 1 << 16, 1000, 60
"""Sizes of a file beyond which its difference is not shown, and the lines shown of one."""


class ApplyError(RuntimeError):
    """The changes cannot be applied. The message says why, and what was done: nothing, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Modified:
    """A file whose contents differ."""

    path: str
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)

    @property
    def diff(self) -> str:
        """The difference as a unified diff; one line for binary and very large files.

        The lines are the file's own: use `shown` to print them.
        """
        return _diff(self.path, self.before, self.after)

    def shown(self) -> str:
        """The difference for a person: its first lines, with control characters escaped; one line for a large file."""
        sides = (self.before, self.after)
        if any(len(side) > DIFF_BYTES or side.count(b"\n") > DIFF_LINES for side in sides):
            return f"({visible(self.path)}: {len(self.before)} -> {len(self.after)} bytes, too large to show)"
        text, left = cut_lines(self.diff, lines=LINES_SHOWN, characters=LINES_SHOWN * 200)
        return visible(text.rstrip("\n"), lines=True) + (f"\n... {left} more lines" if left else "")


@dataclass(frozen=True, slots=True)
class Changes:
    """How a copied folder differs from what was copied; paths are relative to it, in order.

    `created` and `deleted` name files, links and directories, `renamed` (old, new). What lies in a renamed directory
    is not listed again unless it changed as well. It is true if anything differs. Printing it shows the first changes,
    with control characters escaped; the fields have all of them.
    """

    created: tuple[str, ...] = ()
    modified: tuple[Modified, ...] = ()
    deleted: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    _apply: Callable[[Changes], None] | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.created or self.modified or self.deleted or self.renamed)

    def __str__(self) -> str:
        lines = _some(self.renamed, lambda pair: f"renamed  {visible(pair[0])} -> {visible(pair[1])}")
        lines += _some(self.deleted, lambda path: f"deleted  {visible(path)}")
        lines += _some(self.created, lambda path: f"created  {visible(path)}")
        for number, change in enumerate(self.modified[:NAMES_SHOWN]):
            lines.append(f"modified {visible(change.path)}")
            if number < DIFFS_SHOWN:
                lines.append(change.shown())
        lines += _some(self.modified, str)[NAMES_SHOWN:]
        return "\n".join(lines) if lines else "nothing changed"

    def apply(self) -> None:
        """Make the same changes to the folder on the host, all of them or none.

        Raises `ApplyError` where that cannot be done: something concerned is no longer on the host as it was copied, or
        the host refuses a step. Afterwards these changes are the baseline.
        """
        if self._apply is None:
            raise ApplyError("these changes belong to no folder")
        self._apply(self)


class Baseline:
    """A tree as it was: which inode had which name in which directory, and what the files held."""

    def __init__(self, root: DirNode) -> None:
        self.root = root
        self.remember()

    def remember(self) -> None:
        """Take the tree as it is now for the baseline."""
        self.contents: dict[FileNode, bytes] = {}
        self.paths: dict[str, Node] = {}
        for path, node in walk_nodes(self.root):
            self.paths[path] = node
            if isinstance(node, FileNode):
                self.contents[node] = node.frozen_data()

    def changes(self, apply: Callable[[Changes], None] | None = None) -> Changes:
        """What differs now; `apply` writes changes to where the tree was copied from."""
        now = dict(walk_nodes(self.root))
        gone, come = _names_gone_and_come(self.root, self.paths, now)
        old_names: dict[Node, list[str]] = {}
        for path, node in gone.items():
            old_names.setdefault(node, []).append(path)
        renamed: list[tuple[str, str]] = []
        created: list[str] = []
        modified: dict[str, Modified] = {}
        for path, node in sorted(come.items()):
            if old_names.get(node):
                renamed.append((old_names[node].pop(0), path))
                del gone[renamed[-1][0]], come[path]
        for path, node in sorted(come.items()):
            if isinstance(gone.get(path), FileNode) and isinstance(node, FileNode):
                # Written beside and renamed over: another inode, but to a person the same file, modified.
                before, after = self.contents[gone[path]], bytes(node.data)  # type: ignore[index]
                del gone[path]
                if before != after:
                    modified[path] = Modified(path, before, after)
            else:
                created.append(path)
        seen: set[Node] = set()
        new = set(created)
        for path, node in now.items():
            if isinstance(node, FileNode) and node in self.contents and node not in seen and path not in new:
                seen.add(node)
                before = self.contents[node]
                if node.data is not before and node.data != before:
                    modified[path] = Modified(path, before, bytes(node.data))
        in_order = tuple(modified[path] for path in sorted(modified))
        return Changes(tuple(created), in_order, tuple(sorted(gone)), tuple(renamed), apply)


def _names_gone_and_come(
    root: DirNode, before: dict[str, Node], now: dict[str, Node]
) -> tuple[dict[str, Node], dict[str, Node]]:
    """The names that each directory lost and gained, by full path; directories are compared as inodes."""
    had = {(parent, name): (path, node) for path, parent, name, node in _names(root, before)}
    has = {(parent, name): (path, node) for path, parent, name, node in _names(root, now)}
    gone = {path: node for key, (path, node) in had.items() if key not in has or has[key][1] is not node}
    come = {path: node for key, (path, node) in has.items() if key not in had or had[key][1] is not node}
    return gone, come


def _names(root: DirNode, paths: dict[str, Node]) -> Iterator[tuple[str, Node, str, Node]]:
    for path, node in paths.items():
        parent, _, name = path.rpartition("/")
        yield path, paths[parent] if parent else root, name, node


def _some(things: Sequence[T], line: Callable[[T], str]) -> list[str]:
    """A line for each of the first things, and one that says how many more there are."""
    more = len(things) - NAMES_SHOWN
    return [line(thing) for thing in things[:NAMES_SHOWN]] + ([f"... and {more} more"] if more > 0 else [])


def _diff(path: str, before: bytes, after: bytes) -> str:
    sizes = f"{len(before)} -> {len(after)} bytes"
    if max(len(before), len(after)) > _MAX_DIFF:
        return f"({visible(path)}: {sizes}, too large for a line diff)\n"
    try:
        if b"\0" in before or b"\0" in after:
            raise UnicodeError
        old, new = before.decode().splitlines(), after.decode().splitlines()
        if max(len(old), len(new)) > _MAX_LINES:
            return f"({visible(path)}: {len(old)} -> {len(new)} lines, too many for a line diff)\n"
    except UnicodeError:
        return f"({visible(path)}: binary, {sizes})\n"
    import difflib  # when a difference is shown: not at every start

    lines = list(difflib.unified_diff(old, new, f"a/{visible(path)}", f"b/{visible(path)}", lineterm=""))
    return "\n".join(lines) + "\n" if lines else f"({visible(path)}: only the ends of lines differ, {sizes})\n"
