"""What a run changed in a copied folder: found by comparing inodes, shown as a diff, applied to the host if wanted.

A `Baseline` remembers a tree in memory as it was copied; `changes()` compares. Because files in memory keep their
inode under a rename, a renamed file is known as such and not guessed from its contents.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..protocols import FileType, OpenHow
from .memdir import walk_nodes
from .memtree import DirNode, FileNode, LinkNode, Node

if TYPE_CHECKING:
    from ..host.hostdir import HostDir

T = TypeVar("T")

_MAX_DIFF, _MAX_LINES = 1 << 20, 5000
"""Bytes and lines of a file beyond which no line diff is made (its time can grow with their square)."""
_MAX_SHOWN = 100
"""Entries of a kind that are shown; a guest can make many."""


class ApplyError(RuntimeError):
    """The changes cannot be applied: the folder on the host is no longer as it was copied. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Modified:
    """A file whose contents differ."""

    path: str
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)

    @property
    def diff(self) -> str:
        """The difference as a unified diff; one line for binary and very large files."""
        return _diff(self.path, self.before, self.after)


@dataclass(frozen=True, slots=True)
class Changes:
    """How a copied folder differs from what was copied; paths are relative to it, in order.

    `created` and `deleted` name files, links and directories, `renamed` (old, new). What lies in a renamed directory
    is not listed again unless it changed as well. True if anything differs; printing it shows a diff.
    """

    created: tuple[str, ...] = ()
    modified: tuple[Modified, ...] = ()
    deleted: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    _baseline: Baseline | None = field(default=None, repr=False, compare=False)
    _folder: str = field(default="", repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.created or self.modified or self.deleted or self.renamed)

    def __str__(self) -> str:
        lines = _some(self.renamed, lambda pair: f"renamed  {_shown(pair[0])} -> {_shown(pair[1])}")
        lines += _some(self.deleted, lambda path: f"deleted  {_shown(path)}")
        lines += _some(self.created, lambda path: f"created  {_shown(path)}")
        lines += _some(self.modified, lambda change: f"modified {_shown(change.path)}\n" + change.diff.rstrip("\n"))
        return "\n".join(lines) if lines else "nothing changed"

    def apply(self) -> None:
        """Make the same changes to the folder on the host.

        Raises `ApplyError`, having done nothing, if a file concerned is no longer on the host as it was copied;
        `OSError` if the host refuses a step (the steps before it are done). Afterwards these changes are the baseline.
        """
        if self._baseline is None:
            raise ApplyError("these changes belong to no folder")
        from ..host.hostdir import HostDir

        _Applier(self, HostDir(self._folder, "rw"), self._baseline).apply()
        self._baseline.remember()


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
                node.data = self.contents[node] = bytes(node.data)  # the same object until the file is written to

    def changes(self, folder: str) -> Changes:
        """What differs now."""
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
        return Changes(tuple(created), in_order, tuple(sorted(gone)), tuple(renamed), self, folder)


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


class _Applier:
    """Does the changes on the host, through a `HostDir`, so that nothing outside the folder can be reached."""

    def __init__(self, changes: Changes, host: HostDir, baseline: Baseline) -> None:
        self._changes = changes
        self._host = host
        self._baseline = baseline
        self._now = dict(walk_nodes(baseline.root))

    def apply(self) -> None:
        self._check()
        self._take_away()
        self._put_in_place()

    def _check(self) -> None:
        """Every path that is to go or to change must be as it was copied, every new one must be free."""
        changes, before = self._changes, self._baseline.paths
        leaving = [*changes.deleted, *(old for old, _ in changes.renamed)]
        wrong = [path for path in leaving if not self._same(path, before[path])]
        for change in changes.modified:
            path = self._path_before(change.path)
            if self._host_bytes(path) != change.before:
                wrong.append(path)
        for path in [*changes.created, *(new for _, new in changes.renamed)]:
            if path not in before and self._type(path) is not None:
                wrong.append(path)
        if wrong:
            names = ", ".join(_shown(path) for path in sorted(set(wrong))[:5])
            raise ApplyError(
                f"the folder {self._host.path!r} has changed since it was copied ({names}): nothing was applied; "
                "run again on the folder as it is now"
            )

    def _same(self, path: str, node: Node) -> bool:
        if isinstance(node, FileNode):
            return self._host_bytes(path) == self._baseline.contents[node]
        if not isinstance(node, DirNode) or self._type(path) is not FileType.DIRECTORY:
            return self._type(path) == node.filetype
        # A name in it that was not copied (new, or a FIFO) would keep the directory from being removed.
        folder = self._host.open(path, OpenHow(directory=True, follow=False))
        try:
            entries = folder.list()  # type: ignore[union-attr]
        finally:
            folder.close()
        return folder.hidden == 0 and all(f"{path}/{entry.name}" in self._baseline.paths for entry in entries)  # type: ignore[union-attr]

    def _path_before(self, path: str) -> str:
        """Where the file that is now at `path` was when the folder was copied."""
        above = [pair for pair in self._changes.renamed if f"{path}/".startswith(f"{pair[1]}/")]
        best = max(above, key=lambda pair: len(pair[1]), default=None)
        return best[0] + path[len(best[1]) :] if best else path

    def _type(self, path: str) -> FileType | None:
        try:
            return self._host.stat_path(path, False).filetype
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise

    def _host_bytes(self, path: str) -> bytes | None:
        if self._type(path) is not FileType.REGULAR_FILE:
            return None
        file = self._host.open(path, OpenHow(follow=False))
        try:
            buffer = bytearray(file.stat().size + 1)
            return bytes(buffer[: file.read([memoryview(buffer)])])  # type: ignore[union-attr]
        finally:
            file.close()

    def _kept(self, number: int) -> str:
        return f".wasilab-moving-{os.getpid()}-{number}"

    def _take_away(self) -> None:
        """Deepest first: a deletion frees its directory, a renamed thing waits under a passing name."""
        steps: list[tuple[str, int | None]] = [(path, None) for path in self._changes.deleted]
        steps += [(old, number) for number, (old, _) in enumerate(self._changes.renamed)]
        for path, number in sorted(steps, key=lambda step: (-step[0].count("/"), step[0])):
            if number is not None:
                self._host.rename(path, self._host, self._kept(number))
            elif isinstance(self._baseline.paths[path], DirNode):
                self._host.rmdir(path)
            else:
                self._host.unlink(path)

    def _put_in_place(self) -> None:
        """Shallowest first: a directory before what goes into it."""
        numbers = {new: number for number, (_, new) in enumerate(self._changes.renamed)}
        for path in sorted([*self._changes.created, *numbers], key=lambda path: (path.count("/"), path)):
            node = self._now[path]
            if path in numbers:
                self._host.rename(self._kept(numbers[path]), self._host, path)
            elif isinstance(node, DirNode):
                self._host.mkdir(path)
            elif isinstance(node, LinkNode):
                self._host.symlink(node.text, path)
            elif isinstance(node, FileNode):
                self._write(path, bytes(node.data), OpenHow(write=True, create=True, exclusive=True, follow=False))
        for change in self._changes.modified:
            self._write(change.path, change.after, OpenHow(write=True, truncate=True, follow=False))

    def _write(self, path: str, data: bytes, how: OpenHow) -> None:
        file = self._host.open(path, how)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write([rest]) :]  # type: ignore[union-attr]
        finally:
            file.close()


def _some(things: Sequence[T], line: Callable[[T], str]) -> list[str]:
    """A line for each of the first things, and one that says how many more there are."""
    more = len(things) - _MAX_SHOWN
    return [line(thing) for thing in things[:_MAX_SHOWN]] + ([f"... and {more} more"] if more > 0 else [])


def _shown(path: str) -> str:
    """A guest's file name for a person: as it is if harmless, quoted and escaped if not."""
    return path if path.isprintable() else repr(path)


def _diff(path: str, before: bytes, after: bytes) -> str:
    sizes = f"{len(before)} -> {len(after)} bytes"
    if max(len(before), len(after)) > _MAX_DIFF:
        return f"({_shown(path)}: {sizes}, too large for a line diff)\n"
    try:
        if b"\0" in before or b"\0" in after:
            raise UnicodeError
        old, new = before.decode().splitlines(), after.decode().splitlines()
        if max(len(old), len(new)) > _MAX_LINES:
            return f"({_shown(path)}: {len(old)} -> {len(new)} lines, too many for a line diff)\n"
    except UnicodeError:
        return f"({_shown(path)}: binary, {sizes})\n"
    lines = list(difflib.unified_diff(old, new, f"a/{_shown(path)}", f"b/{_shown(path)}", lineterm=""))
    return "\n".join(lines) + "\n" if lines else f"({_shown(path)}: only the ends of lines differ, {sizes})\n"
