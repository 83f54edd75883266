"""The changes of a run in a copied folder: found by comparing inodes, and shown as a diff.

A `Baseline` remembers the state of a tree in memory; `changes()` compares. Because files in memory keep their inode
when renamed, a renamed file is recognised and not guessed from its contents. Writing the changes to a host is done by a
function from the copy's creator (`host/copies/copydir.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ...text.escape import cut_lines, visible
from ...text.numbers import counted
from .memdir import walk_nodes
from .memtree import DirNode, FileNode, Node

T = TypeVar("T")

_MAX_DIFF, _MAX_LINES = 1 << 20, 5000
"""Bytes and lines of a file above which no line diff is made (the time can grow quadratically)."""

# Limits on the display of changes: a guest decides how much it changes, so the display is bounded.
NAMES_SHOWN, DIFFS_SHOWN = 30, 8
"""The maximum entries shown of each kind, and files shown with a line diff."""
DIFF_BYTES, DIFF_LINES, LINES_SHOWN = 1 << 16, 1000, 60
"""The maximum size of a file whose diff is shown, and the maximum lines shown of it."""


class ApplyError(RuntimeError):
    """The changes cannot be applied. The message says why; nothing was changed unless it says so."""


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
        """The difference for display: its first lines, with control characters escaped; one line for a large file."""
        sides = (self.before, self.after)
        if any(len(side) > DIFF_BYTES or side.count(b"\n") > DIFF_LINES for side in sides):
            return f"({visible(self.path)}: {len(self.before)} -> {len(self.after)} bytes, too large to show)"
        text, left = cut_lines(self.diff, lines=LINES_SHOWN, characters=LINES_SHOWN * 200)
        return visible(text.rstrip("\n"), lines=True) + (f"\n... {counted(left, 'more line')}" if left else "")


@dataclass(frozen=True, slots=True)
class Changes:
    """How a copied folder differs from the original; paths are relative to it and sorted.

    `created` and `deleted` name files, links and directories, `renamed` (old, new). The contents of a renamed directory
    are not listed unless they changed as well. It is true if anything differs. Printing it shows the first changes,
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
        """Make the same changes to the host folder, all of them or none.

        Raises `ApplyError` if that fails: an affected file on the host is not as it was copied any more, or the host
        refuses a step. Afterwards these changes are the baseline.
        """
        if self._apply is None:
            raise ApplyError("these changes do not belong to a host folder")
        self._apply(self)


class Baseline:
    """The state of a tree: which inode had which name in which directory, and the contents of the files."""

    def __init__(self, root: DirNode) -> None:
        self.root = root
        self.remember()

    def remember(self) -> None:
        """Use the current tree as the baseline."""
        self.contents: dict[FileNode, bytes] = {}
        self.paths: dict[str, Node] = {}
        for path, node in walk_nodes(self.root):
            self.paths[path] = node
            if isinstance(node, FileNode):
                self.contents[node] = node.frozen_data()

    def changes(self, apply: Callable[[Changes], None] | None = None) -> Changes:
        """The current differences; `apply` writes changes to the original folder."""
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
                # Written to a new file and renamed over the old one: another inode, but for a user the same, modified
                # file.
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
    """A line for each of the first items, and one with the number of further items."""
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
    import difflib  # imported only when needed, to keep the start fast

    lines = list(difflib.unified_diff(old, new, f"a/{visible(path)}", f"b/{visible(path)}", lineterm=""))
    return "\n".join(lines) + "\n" if lines else f"({visible(path)}: only the ends of lines differ, {sizes})\n"
