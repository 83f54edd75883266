"""A directory tree in memory that behaves like a POSIX file system, bounded by a quota.

It behaves like `HostDir` (a test runs the same operations on both): hard links, links, renames over other names, files
unlinked while open, directories removed while open. It never accesses the host. The inodes and open files are in
`memtree.py`, the walk over paths in `capabilities/paths.py`.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias, Union

from ..paths import Resolved, check_link_text, escape, fail, walk
from ..protocols import Directory, Entry, File, FileType, OpenHow, Stat
from ..refusal import Refused, refused_change
from .memtree import DirNode, FileNode, LinkNode, MemFile, MemTree, Node

MAX_BYTES = 64 << 20
"""The default quota: 64 MiB of file contents."""
MAX_NAMES = 100_000
"""The default limit on names in the whole tree."""


class Symlink(str):
    """The text of a symbolic link, as a value in the mapping from which a `MemDir` is created."""


Files: TypeAlias = Mapping[str, Union[bytes, str, Symlink, "Files"]]
"""The contents of a tree: names to bytes, text (stored as UTF-8), `Symlink`, or the mapping of a directory."""


class _Nodes:
    """The tree in memory, for `walk`: a place is a `DirNode`."""

    most_open = 1 << 30

    def enter(self, place: DirNode, name: str) -> DirNode:
        node = lookup(place, name)
        if node is None:
            raise fail(errno.ENOENT)
        if not isinstance(node, DirNode):
            raise fail(errno.ENOTDIR)
        return node

    def read_link(self, place: DirNode, name: str) -> str | None:
        node = lookup(place, name)
        return node.text if isinstance(node, LinkNode) else None

    def search(self, place: DirNode) -> None:
        return  # memory has no permission bits

    def leave(self, place: DirNode) -> None:
        return


_NODES = _Nodes()


def lookup(place: DirNode, name: str) -> Node | None:
    """The node called `name` in `place` ("." is the place itself), or None."""
    node = place.entries.get(name)
    if node is not None:
        return node
    if name == ".":
        return place
    if len(name) > 63 and len(name.encode()) > 255:  # a character is at most four bytes
        raise fail(errno.ENAMETOOLONG)
    return None


def _is_plain(name: str) -> bool:
    """Whether a path's last name is sure to need none of the rules of `walk`. Its length is checked by `lookup`."""
    return name.isascii() and name not in ("", ".", "..") and "\0" not in name


class MemDir:
    """A directory in memory holding `files` (`{"a.txt": "text", "sub": {"b.bin": b"..."}}`; "sub/b.bin" works too).

    `max_bytes` bounds the contents (default 64 MiB), `max_names` the number of names: above either a guest gets ENOSPC.
    With `mode="ro"` a guest can only read. The tree exists as long as this object, over many runs: `close()` does
    nothing. Directories opened beneath share the tree. Raises `ValueError` for an invalid file name.
    """

    filetype = FileType.DIRECTORY
    writable: bool

    def __init__(
        self,
        files: Files | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        max_names: int = MAX_NAMES,
        mode: Literal["ro", "rw"] = "rw",
    ) -> None:
        if mode not in ("ro", "rw"):
            raise ValueError(f"unknown mode {mode!r} of a folder in memory: use ro or rw")
        self._tree = MemTree(max_bytes, max_names)
        self._node = DirNode(self._tree, None)
        self.writable = mode == "rw"
        try:
            self._fill(self._node, files or {})
        except Refused as error:
            raise ValueError(f"{error.reason} (max_bytes={max_bytes}, max_names={max_names})") from None

    # -- for its owner, not for a guest -----------------------------------------------------------------------------

    def contents(self) -> dict[str, bytes | None]:
        """The current files and folders: path -> contents, None for a folder. No file is copied until it changes."""
        return {
            path: node.frozen_data() if isinstance(node, FileNode) else None
            for path, node in walk_nodes(self._node)
            if isinstance(node, (FileNode, DirNode))
        }

    def _fill(self, place: DirNode, files: Files) -> None:
        for path, value in files.items():
            *parents, name = path.split("/")
            here = place
            for parent in parents:
                here = self._folder(here, parent)
            if isinstance(value, Mapping):
                self._fill(self._folder(here, name), value)
            elif isinstance(value, Symlink):
                self._put(here, name, LinkNode(self._tree, str(value)))
            else:
                self._put(here, name, FileNode(self._tree, value.encode() if isinstance(value, str) else bytes(value)))

    def _folder(self, place: DirNode, name: str) -> DirNode:
        node = place.entries.get(name)
        if node is None:
            node = DirNode(self._tree, place)
            self._put(place, name, node)
        if not isinstance(node, DirNode):
            raise ValueError(f"{name!r} is named both as a file and as a folder")
        return node

    def _put(self, place: DirNode, name: str, node: Node) -> None:
        if name in ("", ".", "..") or "\0" in name or len(name.encode(errors="replace")) > 255:
            raise ValueError(f"{name!r} is not a valid file name: 1 to 255 bytes, no NUL, not '.' or '..'")
        if name in place.entries:
            raise ValueError(f"{name!r} is named twice")
        place.add(name, node)

    def files(self) -> dict[str, bytes | Symlink | dict[str, bytes]]:
        """The current contents by path, in the form that the constructor takes; an empty directory is `{}`."""
        contents: dict[str, bytes | Symlink | dict[str, bytes]] = {}
        for path, node in walk_nodes(self._node):
            if isinstance(node, FileNode):
                contents[path] = bytes(node.data)
            elif isinstance(node, LinkNode):
                contents[path] = Symlink(node.text)
            elif isinstance(node, DirNode) and not node.entries:
                contents[path] = {}
        return contents

    def become(self, files: Mapping[str, bytes | Symlink | dict[str, bytes]]) -> None:
        """Replace the contents by these files, in the form of `files()`; equal files are left as they are.

        Raises `ValueError` for an invalid file name, and if the quota is exceeded.
        """
        now = self.files()
        try:
            for path in sorted(now, reverse=True):
                if files.get(path) != now[path] or type(files[path]) is not type(now[path]):
                    self._remove(path)
            self._fill(self._node, {path: node for path, node in files.items() if not self._holds(path)})
        except Refused as error:
            raise ValueError(f"{error.reason} (max_bytes={self.max_bytes}, max_names={self.max_names})") from None

    def _remove(self, path: str) -> None:
        """Remove a name, and the parent folders that are then empty."""
        *parents, name = path.split("/")
        places = [self._node]
        for parent in parents:
            found = places[-1].entries[parent]
            assert isinstance(found, DirNode)
            places.append(found)
        for place, each in zip(reversed(places), reversed([*parents, name]), strict=True):
            place.remove(each)
            if place.entries:
                return

    def _holds(self, path: str) -> bool:
        here: Node | None = self._node
        for name in path.split("/"):
            here = here.entries.get(name) if isinstance(here, DirNode) else None
        return here is not None

    def read_bytes(self, path: str) -> bytes:
        """The current contents of the file `path`; links are followed."""
        node = self._look(path, True)[1]
        if not isinstance(node, FileNode):
            raise fail(errno.ENOENT if node is None else errno.EISDIR)
        return bytes(node.data)

    @property
    def max_bytes(self) -> int:
        """The quota in bytes."""
        return self._tree.max_bytes

    @property
    def max_names(self) -> int:
        """The quota in names."""
        return self._tree.max_names

    @property
    def used_bytes(self) -> int:
        """The bytes of the quota in use."""
        return self._tree.used_bytes

    def make_repeatable(self, now: Callable[[], int], device: int) -> Callable[[], None]:
        """Make everything that a guest can observe reproducible, for runs that are compared bit for bit.

        From now on times come from `now` (ns since the epoch; a virtual clock's), all existing times are set to one
        reading of it, and `device` is the tree's st_dev (use a different one for each tree of a run). Returns a
        function that ends this; call it after the run, because the next run may have another clock.
        """
        tree = self._tree
        tree.tell_time_by(now)
        tree.device = device
        start = now()
        for node in [self._node, *(node for _, node in walk_nodes(self._node))]:
            node.atim = node.mtim = node.ctim = start

        def end() -> None:
            if tree.now is now:  # unless a later run has already replaced it
                tree.tell_time_by(time.time_ns)
                tree.device = tree.own_device

        return end

    # -- finding ----------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Resolved[DirNode]:
        """(parent, name) of `path`, a final link not followed."""
        here: Node | None = self._node
        if "/" not in path:
            if path in self._node.entries or _is_plain(path):
                return Resolved(self._node, path, False)
            name = path
        elif len(path) < 1000:
            *parents, name = path.split("/")
            for parent in parents:
                here = here.entries.get(parent) if isinstance(here, DirNode) else None
        else:
            return walk(_NODES, self._node, path, False)
        # The common case: only directories on the way, and a last name that exists or could.
        if isinstance(here, DirNode) and (name in here.entries or _is_plain(name)):
            return Resolved(here, name, False)
        return walk(_NODES, self._node, path, False)

    def _look(self, path: str, follow: bool) -> tuple[Resolved[DirNode], Node | None]:
        """Find `path` and its node, following a final link if `follow` or a slash requires it."""
        node = self._node.entries.get(path)
        if node is not None and not isinstance(node, LinkNode):
            return Resolved(self._node, path, False), node
        found = self._find(path)
        node = lookup(found.parent, found.name)
        if isinstance(node, LinkNode) and (follow or found.must_be_dir):
            found = walk(_NODES, self._node, path, True)
            node = lookup(found.parent, found.name)
        return found, node

    def _get(self, path: str, follow: bool) -> Node:
        found, node = self._look(path, follow)
        if node is None:
            raise fail(errno.ENOENT)
        if found.must_be_dir and not isinstance(node, DirNode):
            raise fail(errno.ENOTDIR)
        return node

    def _check_writable(self, path: str) -> None:
        if not self.writable:
            raise refused_change(path)

    def _child(self, node: DirNode) -> MemDir:
        child = object.__new__(MemDir)
        child._tree, child._node, child.writable = self._tree, node, self.writable
        return child

    # -- opening and looking ----------------------------------------------------------------------------------------

    def open(self, path: str, how: OpenHow) -> File | Directory:
        here = self._node.entries.get(path)
        if isinstance(here, FileNode) and not (how.changes or how.directory):
            return MemFile(here, how, self.writable)  # the common case needs none of the rules below
        if how.changes:
            self._check_writable(path)
        if how.create and how.directory:
            raise fail(errno.EINVAL)
        found, node = self._look(path, how.follow and not (how.create and how.exclusive))
        if how.create and found.must_be_dir and not found.dots:
            raise fail(errno.EISDIR)
        created = node is None
        if node is None:
            if not how.create:
                raise fail(errno.ENOENT)
            node = FileNode(self._tree)
            found.parent.add(found.name, node)
        elif how.create and how.exclusive:
            raise fail(errno.EEXIST)
        if isinstance(node, DirNode):
            if how.write or how.create or how.truncate:
                raise fail(errno.EISDIR)
            return self._child(node)
        if how.directory or found.must_be_dir:
            raise fail(errno.ENOTDIR)
        if not isinstance(node, FileNode):
            raise fail(errno.ELOOP)
        if how.truncate:
            node.resize(0)
            node.touch()
        return MemFile(node, how, self.writable, created)

    def stat_path(self, path: str, follow: bool) -> Stat:
        node = self._node.entries.get(path)
        if node is None or isinstance(node, LinkNode):
            node = self._get(path, follow)
        return node.stat()

    def has_name(self, path: str) -> bool:
        """Whether `path` exists, a final link not followed. False if it cannot be looked up."""
        try:
            found = self._find(path)
            return lookup(found.parent, found.name) is not None
        except OSError:
            return False

    def stat(self) -> Stat:
        return self._node.stat()

    def list(self) -> list[Entry]:
        return [Entry(name, node.ino, node.filetype) for name, node in self._node.entries.items()]

    def readlink(self, path: str) -> str:
        node = self._get(path, False)
        if not isinstance(node, LinkNode):
            raise fail(errno.EINVAL)
        if node.text[:1] == "/":
            raise escape(path, "it is a link with an absolute target")
        return node.text

    # -- changing ---------------------------------------------------------------------------------------------------

    def _new_name(self, path: str, directory: bool) -> Resolved[DirNode]:
        """The parent for a new name: EEXIST if it exists; only a directory's name may end with a slash."""
        self._check_writable(path)
        found = self._find(path)
        node = None if found.dots else lookup(found.parent, found.name)
        if found.must_be_dir and not directory and isinstance(node, FileNode):
            raise fail(errno.ENOTDIR)
        if found.dots or node is not None:
            raise fail(errno.EEXIST)
        if found.must_be_dir and not directory:
            raise fail(errno.ENOENT)
        return found

    def mkdir(self, path: str) -> None:
        found = self._new_name(path, True)
        found.parent.add(found.name, DirNode(self._tree, found.parent))

    def symlink(self, target: str, path: str) -> None:
        self._check_writable(path)
        check_link_text(target)
        found = self._new_name(path, False)
        found.parent.add(found.name, LinkNode(self._tree, target))

    def rmdir(self, path: str) -> None:
        self._check_writable(path)
        found = self._find(path)
        if found.dots:
            raise fail(errno.EINVAL if found.dots == "." else errno.ENOTEMPTY)
        node = lookup(found.parent, found.name)
        if not isinstance(node, DirNode):
            raise fail(errno.ENOENT if node is None else errno.ENOTDIR)
        if node.entries:
            raise fail(errno.ENOTEMPTY)
        found.parent.remove(found.name)

    def unlink(self, path: str) -> None:
        self._check_writable(path)
        found = self._find(path)
        node = lookup(found.parent, found.name)
        if node is None or isinstance(node, DirNode):
            raise fail(errno.ENOENT if node is None else errno.EISDIR)
        if found.must_be_dir:
            raise fail(errno.ENOTDIR)
        found.parent.remove(found.name)

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        self._check_writable(path)
        target.rename_from(self, path, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        self._check_writable(target_path)
        if not isinstance(source, MemDir) or source._tree is not self._tree:
            raise fail(errno.EXDEV)
        source._check_writable(path)
        old, new = source._find(path), self._find(target_path)
        if old.dots or new.dots:
            raise fail(errno.EBUSY)
        node = lookup(old.parent, old.name)
        if node is None:
            raise fail(errno.ENOENT)
        there = lookup(new.parent, new.name)
        is_dir = isinstance(node, DirNode)
        if not is_dir and (old.must_be_dir or new.must_be_dir):
            raise fail(errno.ENOTDIR)
        if new.parent.is_beneath(node):
            raise fail(errno.EINVAL)
        if there is not None and old.parent.is_beneath(there):
            raise fail(errno.ENOTEMPTY)
        if there is node:
            return  # two names of one file: POSIX does nothing
        if there is not None:
            if is_dir != isinstance(there, DirNode):
                raise fail(errno.ENOTDIR if is_dir else errno.EISDIR)
            if isinstance(there, DirNode) and there.entries:
                raise fail(errno.ENOTEMPTY)
        new.parent.check_new(new.name, node)
        if there is not None:
            new.parent.remove(new.name)
        old.parent.move(old.name, new.parent, new.name)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        self._check_writable(path)  # a second name in a writable folder would make it writable
        target.link_from(self, path, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        self._check_writable(target_path)
        if not isinstance(source, MemDir) or source._tree is not self._tree:
            raise fail(errno.EXDEV)
        source._check_writable(path)
        node = source._get(path, follow)
        found = self._new_name(target_path, False)
        if isinstance(node, DirNode):
            raise fail(errno.EPERM)
        found.parent.add(found.name, node)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._check_writable(".")
        self._node.set_times(atim, mtim)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        self._check_writable(path)
        self._get(path, follow).set_times(atim, mtim)

    def sync(self) -> None:
        return

    def close(self) -> None:
        return


def walk_nodes(root: DirNode) -> Iterator[tuple[str, Node]]:
    """Every path and node beneath `root`, a directory before its contents; without recursion, for any depth."""
    places = [("", root)]
    while places:
        prefix, place = places.pop()
        for name, node in place.entries.items():
            yield prefix + name, node
            if isinstance(node, DirNode):
                places.append((f"{prefix}{name}/", node))
