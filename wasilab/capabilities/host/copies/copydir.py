"""A copy of a host folder in memory: the guest changes the copy, and its changes can be inspected before applying them.

`CopyDir` copies the folder once, within bounds, when it is created. `changes()` tells how the copy differs from the
original (`memory/changes.py`), and `changes().apply()` writes the differences to the host (`apply.py`), through the
folder that was copied. The guest itself never accesses the host.
"""

from __future__ import annotations

from ...memory.changes import Baseline, Changes
from ...memory.memdir import MAX_NAMES, MemDir
from ...memory.memtree import DirNode, FileNode, LinkNode, Node
from ...protocols import Entry, FileType, OpenHow
from ...refusal import DeniedBy, Refused
from ...uncopyable import Uncopyable
from ..folder import MAX_COPY, BadFolder, HostFolder
from .apply import Applier
from .plainfolder import PlainFolder


class CopyDir(Uncopyable, MemDir):
    """A copy in memory of the open `folder`, whose absolute path is `real`.

    Raises `BadFolder` for a folder above `max_bytes` or `max_names`.
    """

    lasting = True
    """Its files may later be written to the host."""

    def __init__(
        self, folder: HostFolder | PlainFolder, real: str, *, max_bytes: int = MAX_COPY, max_names: int = MAX_NAMES
    ) -> None:
        super().__init__(max_bytes=max_bytes, max_names=max_names)
        self.skipped: dict[str, str] = {}
        """Files left out of the copy: path -> reason (special files, names that are not UTF-8, unreadable files)."""
        self._copied = folder
        self._copied_path = real
        try:
            _Copier(folder, self._node, self.skipped).copy()
        except Refused as error:
            raise BadFolder(
                f"cannot copy the folder {folder.name!r}: {error.reason}; grant a smaller folder, or this one as ro"
            ) from None
        self._baseline = Baseline(self._node)

    def changes(self) -> Changes:
        """How the copy differs from the folder as it was copied, or as it was after the last `apply`."""
        return self._baseline.changes(self._apply)

    def _apply(self, changes: Changes) -> None:
        Applier(changes, self._baseline, self._copied, self._copied_path).apply()

    def __repr__(self) -> str:
        return f"<copy of the folder {self._copied.name!r}>"


class _Copier:
    """Copies a tree into memory: links are not followed, and only regular files are opened."""

    def __init__(self, folder: HostFolder | PlainFolder, into: DirNode, skipped: dict[str, str]) -> None:
        self._folder = folder
        self._into = into
        self._tree = into.tree
        self._skipped = skipped
        self._linked: dict[tuple[int, int], FileNode] = {}  # files with several names stay one file

    def copy(self) -> None:
        """Copy the folder's contents; `Refused` (by QUOTA) if the tree in memory cannot hold them."""
        todo = [("", self._into)]  # paths, not descriptors: a deep or wide tree would need too many
        while todo:
            path, node = todo.pop()
            try:
                place = self._folder.open(path or ".", OpenHow(directory=True, follow=False))
                try:
                    assert isinstance(place, (HostFolder, PlainFolder))
                    stat = place.stat()  # before it is listed, which changes its access time
                    todo += self._copy_names(place, f"{path}/" if path else "", node)
                    node.atim, node.mtim = stat.atim, stat.mtim
                finally:
                    place.close()
            except OSError as error:
                self._skip(path, error)

    def _copy_names(self, place: HostFolder | PlainFolder, prefix: str, into: DirNode) -> list[tuple[str, DirNode]]:
        """Copy the names in the directory `place`; return its subdirectories, to be filled."""
        inner = []
        entries = sorted(place.list())
        for name in place.hidden_names:
            self._skipped[prefix + name] = "its name is not UTF-8"
        for entry in entries:
            try:
                node = self._copy_one(place, entry)
            except OSError as error:
                self._skip(prefix + entry.name, error)
                continue
            if node is None:
                self._skipped[prefix + entry.name] = "it is a FIFO, device or socket"
                continue
            into.add(entry.name, node)
            if isinstance(node, DirNode):
                inner.append((prefix + entry.name, node))
        return inner

    def _skip(self, path: str, error: OSError) -> None:
        if isinstance(error, Refused) and error.by is DeniedBy.QUOTA:
            raise error
        self._skipped[path] = error.strerror or str(error)

    def _copy_one(self, place: HostFolder | PlainFolder, entry: Entry) -> Node | None:
        stat = place.stat_path(entry.name, False)
        node: Node
        if stat.filetype is FileType.DIRECTORY:
            return DirNode(self._tree, None)  # its times are set when it has been filled
        if stat.filetype is FileType.SYMBOLIC_LINK:
            node = LinkNode(self._tree, place.link_text(entry.name))
        elif stat.filetype is FileType.REGULAR_FILE:
            key = (stat.dev, stat.ino)
            if key in self._linked:
                return self._linked[key]
            # One byte more than fits is enough for the quota to refuse it.
            room = self._tree.max_bytes - self._tree.used_bytes
            node = FileNode(self._tree, place.read_bytes(entry.name, room + 1))
            if stat.nlink > 1:
                self._linked[key] = node
        else:
            return None
        node.atim, node.mtim = stat.atim, stat.mtim
        return node
