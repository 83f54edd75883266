"""`HostDir(path, mode="copy")`: the guest works on a copy in memory, and its changes are shown before they are real.

`CopyDir` copies the folder once, bounded, when a run starts (`fresh()`) or at the first use, and hands every operation
to that `MemDir`. `changes()` says how the copy differs from what was copied (`changes.py`), `changes().apply()` writes
the differences to the host. The guest itself never reaches the host.
"""

from __future__ import annotations

import errno
import os
import stat as modes

from ..host.hostdir import BadFolder, HostDir, Mode
from ..host.resolve import fail, refuse_procfs, resolve
from ..protocols import Directory, Entry, File, OpenHow, Stat
from ..refusal import DeniedBy, Refused
from .changes import Baseline, Changes
from .memdir import MAX_NAMES, MemDir
from .memtree import DirNode, FileNode, LinkNode, Node

MAX_COPY = 256 << 20
"""Bytes (256 MiB): the folder may hold at most so much, and the guest's copy of it grow to so much."""


class CopyDir(HostDir):
    """A host folder whose copy in memory the guest may change. Made by `HostDir(path, mode="copy")`.

    Raises `BadFolder` as `HostDir` does, and, when the copy is made, for a folder beyond `max_bytes` or `max_names`.
    """

    skipped: dict[str, str]
    """What was left out of the copy: path to reason (special files, names that are not UTF-8, unreadable files)."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "copy",
        *,
        max_bytes: int = MAX_COPY,
        max_names: int = MAX_NAMES,
    ) -> None:
        super().__init__(path, mode)
        self.skipped = {}
        self._max_bytes = max_bytes
        self._max_names = max_names
        self._copy: MemDir | None = None
        self._baseline: Baseline | None = None

    def fresh(self) -> CopyDir:
        """A copy of the folder as it is now, for one run."""
        copy = CopyDir(self.real, "copy", max_bytes=self._max_bytes, max_names=self._max_names)
        copy.path = self.path
        copy.memory()
        return copy

    def memory(self) -> MemDir:
        """The copy, made now if it was not yet."""
        if self._copy is None:
            copy = MemDir(max_bytes=self._max_bytes, max_names=self._max_names)
            try:
                _Copier(copy, self.skipped).copy(self._fd)
            except Refused as error:
                raise BadFolder(
                    f"cannot copy the folder {self.path!r}: {error.reason}; grant a smaller folder, or this one as ro"
                ) from None
            self._copy = copy
            self._baseline = Baseline(copy._node)
        return self._copy

    def changes(self) -> Changes:
        """How the copy differs from the folder as it was copied (from what was applied, if that is later)."""
        self.memory()
        assert self._baseline is not None
        return self._baseline.changes(self.real)

    # Every operation of a Directory is the copy's.

    def open(self, path: str, how: OpenHow) -> File | Directory:
        return self.memory().open(path, how)

    def stat_path(self, path: str, follow: bool) -> Stat:
        return self.memory().stat_path(path, follow)

    def stat(self) -> Stat:
        return self.memory().stat()

    def list(self) -> list[Entry]:
        return self.memory().list()

    def mkdir(self, path: str) -> None:
        self.memory().mkdir(path)

    def rmdir(self, path: str) -> None:
        self.memory().rmdir(path)

    def unlink(self, path: str) -> None:
        self.memory().unlink(path)

    def symlink(self, target: str, path: str) -> None:
        self.memory().symlink(target, path)

    def readlink(self, path: str) -> str:
        return self.memory().readlink(path)

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        self.memory().rename(path, target, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        self.memory().rename_from(source, path, target_path)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        self.memory().link(path, target, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        self.memory().link_from(source, path, target_path, follow)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.memory().set_times(atim, mtim)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        self.memory().set_times_path(path, follow, atim, mtim)

    def sync(self) -> None:
        return


class _Copier:
    """Copies a host tree by descriptors: nothing is followed, only regular files are opened."""

    def __init__(self, copy: MemDir, skipped: dict[str, str]) -> None:
        self._root = copy._node
        self._tree = copy._tree
        self._skipped = skipped
        self._linked: dict[tuple[int, int], FileNode] = {}  # files with several names stay one file

    def copy(self, root: int) -> None:
        """Copy what is in the directory `root` (a descriptor)."""
        todo = [("", self._root)]  # by path and not by descriptor: a tree may be deeper and wider than these reach
        while todo:
            path, node = todo.pop()
            try:
                with resolve(root, path or ".", False) as found:
                    fd = os.open(
                        found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent
                    )
                try:
                    st = os.fstat(fd)
                    refuse_procfs(st.st_dev, fd)
                    todo += self._copy_names(fd, f"{path}/" if path else "", node)
                    node.atim, node.mtim = st.st_atime_ns, st.st_mtime_ns
                finally:
                    os.close(fd)
            except OSError as error:
                if isinstance(error, Refused) and error.by is DeniedBy.QUOTA:
                    raise
                self._skipped[path] = error.strerror or str(error)

    def _copy_names(self, place: int, prefix: str, into: DirNode) -> list[tuple[str, DirNode]]:
        """Copy the names in the directory `place`; return its subdirectories, to be filled."""
        inner = []
        for name in sorted(os.listdir(place)):
            try:
                name.encode()
                node = self._copy_one(place, name)
            except UnicodeEncodeError:
                self._skipped[prefix + name] = "its name is not UTF-8"
            except OSError as error:
                if isinstance(error, Refused) and error.by is DeniedBy.QUOTA:
                    raise
                self._skipped[prefix + name] = error.strerror or str(error)
            else:
                if node is None:
                    self._skipped[prefix + name] = "it is a FIFO, device or socket"
                    continue
                into.add(name, node)
                if isinstance(node, DirNode):
                    inner.append((prefix + name, node))
        return inner

    def _copy_one(self, place: int, name: str) -> Node | None:
        st = os.stat(name, dir_fd=place, follow_symlinks=False)
        node: Node
        if modes.S_ISDIR(st.st_mode):
            return DirNode(self._tree, None)  # its times are set when it has been filled
        if modes.S_ISLNK(st.st_mode):
            node = LinkNode(self._tree, os.readlink(name, dir_fd=place))
        elif modes.S_ISREG(st.st_mode):
            key = (st.st_dev, st.st_ino)
            if key in self._linked:
                return self._linked[key]
            node = FileNode(self._tree, self._read(place, name))
            if st.st_nlink > 1:
                self._linked[key] = node
        else:
            return None
        node.atim, node.mtim = st.st_atime_ns, st.st_mtime_ns
        return node

    def _read(self, place: int, name: str) -> bytes:
        room = self._tree.max_bytes - self._tree.used_bytes
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
        try:
            st = os.fstat(fd)
            if not modes.S_ISREG(st.st_mode):
                raise fail(errno.EPERM)
            refuse_procfs(st.st_dev, fd)
            with open(fd, "rb", closefd=False) as file:
                return file.read(room + 1)  # one byte too many is enough for the quota to refuse it
        finally:
            os.close(fd)
