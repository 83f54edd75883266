"""Writes the changes of a copied folder to the host: all of them, or none.

Everything is done through the open folder that was copied, and resolved beneath it, so nothing outside can be changed
even if its path now leads elsewhere. Deleted files are first moved to random names and removed at the very end, so that
every step before that can be undone if a later one fails.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from functools import partial

from ....text.escape import visible
from ....text.numbers import listed
from ...memory.changes import ApplyError, Baseline, Changes, Modified
from ...memory.memdir import walk_nodes
from ...memory.memtree import DirNode, FileNode, LinkNode, Node
from ...protocols import FileType, OpenHow
from ..folder import HostFolder
from ..hostfile import HostFile
from .plainfolder import PlainFolder

_NAMED = 5
"""The maximum number of paths in an error message."""


class Applier:
    """Applies `changes`, made against `baseline`, to the open `folder` whose absolute path was `real`."""

    def __init__(self, changes: Changes, baseline: Baseline, folder: HostFolder | PlainFolder, real: str) -> None:
        self._changes = changes
        self._baseline = baseline
        self._folder = folder
        self._real = real
        self._before = baseline.paths
        self._now = dict(walk_nodes(baseline.root))
        self._host: HostFolder | PlainFolder = folder
        self._path = ""
        """The path of the current step."""
        self._undo: list[tuple[str, Callable[[], None]]] = []
        """(path, how to undo it) of each step done, in order."""
        self._parked: dict[str, str] = {}
        """Path of a deleted or renamed file -> its temporary random name."""

    def apply(self) -> None:
        """Apply the changes. Raises `ApplyError` if that fails; then nothing has changed, unless its message says
        so."""
        if not self._folder.is_at(self._real):
            raise ApplyError(
                f"the folder {self._folder.name!r} is not the one that was copied any more: {visible(self._real)} "
                "is gone or leads to another folder; nothing was applied"
            )
        self._host = self._folder.reopened(writable=True)
        try:
            try:
                self._check()
            except OSError as error:
                raise ApplyError(
                    f"cannot apply the changes to the folder {self._folder.name!r}: {error.strerror or error}; nothing "
                    "was applied"
                ) from error
            try:
                self._take_away()
                self._put_in_place()
            except OSError as error:
                raise ApplyError(self._failure(error, self._undo_all())) from error
            self._baseline.remember()
            self._remove()
        finally:
            self._host.close()

    # -- before anything is done ------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Check that every path to delete or change is as it was copied, and that every new path is free."""
        changes, before = self._changes, self._before
        leaving = [*changes.deleted, *(old for old, _ in changes.renamed)]
        wrong = [path for path in leaving if not self._same(path, before[path])]
        for change in changes.modified:
            path = self._path_before(change.path)
            if not self._holds(path, change.before):
                wrong.append(path)
        for path in [*changes.created, *(new for _, new in changes.renamed)]:
            if path not in before and self._type(path) is not None:
                wrong.append(path)
        if wrong:
            raise ApplyError(
                f"the folder {self._folder.name!r} has changed since it was copied ({_names(wrong)}): nothing was "
                "applied; run the program again"
            )

    def _same(self, path: str, node: Node) -> bool:
        """Whether `path` on the host is as it was copied."""
        if isinstance(node, FileNode):
            return self._holds(path, self._baseline.contents[node])
        if not isinstance(node, DirNode) or self._type(path) is not FileType.DIRECTORY:
            return self._type(path) == node.filetype
        # A name in it that was not copied (new, or a FIFO) would prevent the removal of the directory.
        folder = self._host.open(path, OpenHow(directory=True, follow=False))
        try:
            assert isinstance(folder, (HostFolder, PlainFolder))
            entries = folder.list()
            return not folder.hidden and all(f"{path}/{entry.name}" in self._before for entry in entries)
        finally:
            folder.close()

    def _holds(self, path: str, data: bytes) -> bool:
        """Whether `path` is a file with these contents. Its size is compared before it is read."""
        try:
            stat = self._host.stat_path(path, False)
            if stat.filetype is not FileType.REGULAR_FILE or stat.size != len(data):
                return False
            return self._host.read_bytes(path, len(data) + 1) == data
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return False
            raise

    def _path_before(self, path: str) -> str:
        """The path that the file now at `path` had when the folder was copied."""
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

    # -- the steps --------------------------------------------------------------------------------------------------

    def _take_away(self) -> None:
        """Move deleted and renamed files to random names, deepest first, so that all new names are free."""
        deleted = set(self._changes.deleted)
        leaving = [path for path in deleted if deleted.isdisjoint(_above(path))]
        leaving += [old for old, _ in self._changes.renamed]
        for path in sorted(leaving, key=_deepest_first):
            parked = f".wasilab-{os.urandom(12).hex()}"
            try:
                self._move(path, parked)
            except OSError as error:
                if error.errno != errno.EXDEV or path not in deleted:
                    raise
                parked = path  # a mount point: removed at the end, under its own name
            self._parked[path] = parked

    def _put_in_place(self) -> None:
        """Create new files and give renamed ones their names: shallowest first, a directory before its contents."""
        old_names = {new: old for old, new in self._changes.renamed}
        for path in sorted([*self._changes.created, *old_names], key=lambda path: (path.count("/"), path)):
            node = self._now[path]
            if path in old_names:
                self._move(self._parked[old_names[path]], path)
            elif isinstance(node, DirNode):
                self._do(path, partial(self._host.mkdir, path), partial(self._host.rmdir, path))
            elif isinstance(node, LinkNode):
                self._do(path, partial(self._host.symlink, node.text, path), partial(self._host.unlink, path))
            elif isinstance(node, FileNode):
                self._create(path, bytes(node.data))
        for change in self._changes.modified:
            self._overwrite(change)

    def _do(self, path: str, step: Callable[[], None], undo: Callable[[], None]) -> None:
        self._path = path
        step()
        self._undo.append((path, undo))

    def _move(self, path: str, new_path: str) -> None:
        self._do(path, partial(self._host.move, path, new_path), partial(self._host.move, new_path, path))

    def _create(self, path: str, data: bytes) -> None:
        self._path = path
        file = self._host.open(path, OpenHow(write=True, create=True, exclusive=True, follow=False))
        self._undo.append((path, partial(self._host.unlink, path)))
        _fill(file, data)

    def _overwrite(self, change: Modified) -> None:
        """Write new contents to the same file, which keeps its permissions and other names."""
        self._path = path = change.path
        file = self._host.open(path, OpenHow(write=True, follow=False))
        self._undo.append((path, partial(self._restore, path, change.before)))
        _fill(file, change.after)

    def _restore(self, path: str, data: bytes) -> None:
        _fill(self._host.open(path, OpenHow(write=True, follow=False)), data)

    # -- afterwards -------------------------------------------------------------------------------------------------

    def _undo_all(self) -> list[str]:
        """Undo every step, the last one first; returns the paths whose steps could not be undone."""
        left = []
        for path, undo in reversed(self._undo):
            try:
                undo()
            except OSError:
                left.append(path)
        return left

    def _failure(self, error: OSError, left: list[str]) -> str:
        what = f"cannot apply the changes to the folder {self._folder.name!r}: {visible(self._path)}: "
        what += f"{error.strerror or error}; "
        if not left:
            return what + "all changes were undone"
        parked = [name for path, name in self._parked.items() if path in left]
        waiting = f" (the old files may be at {', '.join(parked[:_NAMED])})" if parked else ""
        return what + f"the changes of {_names(left)} could not be undone{waiting}"

    def _remove(self) -> None:
        """Remove the deleted files. This is the last step and cannot be undone."""
        left = []
        for path in self._changes.deleted:
            parked = self._parked.get(path)
            if parked is None:  # its directory was deleted too
                continue
            inner = [p for p in self._changes.deleted if p == path or p.startswith(f"{path}/")]
            try:
                for each in sorted(inner, key=_deepest_first):
                    remove = self._host.rmdir if isinstance(self._before[each], DirNode) else self._host.unlink
                    remove(parked + each[len(path) :])
            except OSError as error:
                left.append(f"{visible(path)} ({error.strerror or error}; now named {parked})")
        if left:
            raise ApplyError(
                f"the changes were applied to the folder {self._folder.name!r}, but some deleted files could not be "
                f"removed: {', '.join(left[:_NAMED])}"
            )


def _fill(file: object, data: bytes) -> None:
    """Set the whole contents of an open file, and close it."""
    assert isinstance(file, HostFile)
    try:
        file.set_size(0)
        rest = memoryview(data)
        while rest:
            rest = rest[file.write([rest]) :]
    finally:
        file.close()


def _above(path: str) -> list[str]:
    """The directories that contain `path`."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _deepest_first(path: str) -> tuple[int, str]:
    return -path.count("/"), path


def _names(paths: Iterable[str]) -> str:
    """Some paths for a message."""
    return listed(map(visible, sorted(set(paths))), _NAMED)
