"""The inodes of a tree of files in memory, their quota, and open files.

`MemDir` (`memdir.py`) names inodes and has the rules of paths. This file has the data of files, directories and links,
their cost, and reading and writing at a position. It never accesses the host.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable
from typing import Protocol

from ...text.numbers import counted
from ..paths import fail
from ..protocols import Buffers, FileFlags, FileType, OpenHow, Stat
from ..refusal import DeniedBy, Need, NeedKind, Refused

MAX_FILE = 2**44 - 4096
"""The maximum size of a file in bytes (as in ext4); above it is EFBIG."""
MAX_DEPTH = 1000
"""The maximum nesting of directories."""
_LAST_OFFSET = 2**63 - 1

_devices = itertools.count(0x57415349)


class Quota:
    """The bytes used by all files of a tree, and their limit.

    Code that reads and writes files in place of `MemFile` puts an object of the same kind here (`engine/native`).
    """

    __slots__ = ("most", "real", "used")

    def __init__(self, most: int) -> None:
        self.used = 0
        self.most = most
        self.real = True
        """Whether the tree's times come from the machine's clock."""

    def take(self, size: int) -> bool:
        """Allocate `size` bytes, or free them if negative; False if the quota is exceeded."""
        if size > 0 and self.used + size > self.most:
            return False
        self.used += size
        return True


class MemTree:
    """One tree: its device number, the quota that all its files share, and its source of times.

    `max_bytes` bounds the bytes in files and link texts, `max_names` the names in all directories.
    """

    def __init__(self, max_bytes: int, max_names: int) -> None:
        self.device = self.own_device = next(_devices)
        self.now: Callable[[], int] = time.time_ns
        self.quota = Quota(max_bytes)
        self.max_names = max_names
        self.used_names = 0
        self.numbers = itertools.count(1)  # of inodes

    @property
    def max_bytes(self) -> int:
        """The maximum bytes of its files."""
        return self.quota.most

    @property
    def used_bytes(self) -> int:
        """The bytes used by its files."""
        return self.quota.used

    def tell_time_by(self, now: Callable[[], int]) -> None:
        """Take times from `now` (ns since the epoch)."""
        self.now = now
        self.quota.real = now is time.time_ns

    def charge(self, size: int) -> None:
        """Allocate `size` bytes of the quota; `Refused` (ENOSPC, by QUOTA) if it is exceeded."""
        if not self.quota.take(size):
            raise Refused(
                errno.ENOSPC,
                f"the in-memory folder is full: {size} more bytes than the {self.used_bytes} in use would exceed its "
                f"limit of {self.max_bytes}",
                DeniedBy.QUOTA,
                Need(NeedKind.QUOTA, limit="max_bytes"),
            )

    def charge_name(self, node: Node) -> None:
        """Allocate one name of the quota, for `node`."""
        if self.used_names >= self.max_names:
            node.dropped()
            reason = f"the in-memory folder is full: it has reached its limit of {counted(self.max_names, 'name')}"
            raise Refused(errno.ENOSPC, reason, DeniedBy.QUOTA, Need(NeedKind.QUOTA, limit="max_names"))
        self.used_names += 1


class Node:
    """An inode, independent of its names. Times in ns since the epoch."""

    __slots__ = ("atim", "ctim", "ino", "mtim", "nlink", "tree")
    filetype: FileType

    def __init__(self, tree: MemTree) -> None:
        self.tree = tree
        self.ino = next(tree.numbers)
        self.nlink = 0
        self.atim = self.mtim = self.ctim = tree.now()

    def size(self) -> int:
        """Its size in bytes, as stat(2) shows it."""
        return 0

    def touch(self) -> None:
        """Its contents changed: mtim and ctim are now."""
        self.note_time()
        self.mtim = self.ctim = self.tree.now()

    def note_time(self) -> None:
        """Update its times after a change made elsewhere; called before its times are read or set."""

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set its times; ctim is now."""
        self.note_time()
        self.atim = self.atim if atim is None else atim
        self.mtim = self.mtim if mtim is None else mtim
        self.ctim = self.tree.now()

    def dropped(self) -> None:
        """Called after a name or an open handle was removed: free data that is no longer reachable."""

    def stat(self) -> Stat:
        """Its attributes."""
        self.note_time()
        return Stat(self.tree.device, self.ino, self.filetype, self.nlink, self.size(), self.atim, self.mtim, self.ctim)


class SharedData(Protocol):
    """The bytes of one file, shared with code that reads and writes them in place of `MemFile`."""

    def show(self, data: bytes) -> None:
        """Share the file's bytes for reading."""
        ...

    def writable(self, data: bytes) -> bytearray:
        """A copy of the file's bytes that both sides can change in place, with the interface of `bytearray`."""
        ...

    def take_touched(self) -> int:
        """When the other side last wrote to it, ns since the epoch; 0 if there was no new write."""
        ...


class FileNode(Node):
    """A regular file: its bytes, and the number of open handles.

    `data` is the `bytes` object from which the file was created until the first change (`writable_data`): a copied
    folder uses memory once, and unchanged files are recognised by identity.
    """

    __slots__ = ("data", "opens", "shared")
    filetype = FileType.REGULAR_FILE

    def __init__(self, tree: MemTree, data: bytes = b"") -> None:
        Node.__init__(self, tree)  # `super()` takes longer, and programs make many files
        if data:
            tree.charge(len(data))
        self.data: bytes | bytearray = data
        self.opens = 0
        self.shared: SharedData | None = None

    def writable_data(self) -> bytearray:
        """Its bytes, which can be changed in place."""
        data = self.data
        if isinstance(data, bytes):
            data = self.data = bytearray(data) if self.shared is None else self.shared.writable(data)
        return data

    def frozen_data(self) -> bytes:
        """Its bytes; this object is its `data` until it is changed."""
        data = self.data = bytes(self.data)
        if self.shared is not None:
            self.shared.show(data)
        return data

    def touch(self) -> None:
        if self.shared is not None:
            self.note_time()
        self.mtim = self.ctim = self.tree.now()

    def note_time(self) -> None:
        if self.shared is not None:
            touched = self.shared.take_touched()
            if touched:
                self.mtim = self.ctim = touched

    def size(self) -> int:
        return len(self.data)

    def resize(self, size: int) -> None:
        """Truncate it, or extend it with zeros, within the quota."""
        if size > MAX_FILE:
            raise fail(errno.EFBIG)
        self.tree.charge(size - len(self.data))
        data = self.writable_data()
        if size < len(data):
            del data[size:]
        else:
            data.extend(bytes(size - len(data)))

    def dropped(self) -> None:
        if self.nlink == 0 and self.opens == 0 and self.data:
            self.tree.charge(-len(self.data))
            self.data = b""
            if self.shared is not None:
                self.shared.show(b"")


class LinkNode(Node):
    """A symbolic link."""

    __slots__ = ("text",)
    filetype = FileType.SYMBOLIC_LINK

    def __init__(self, tree: MemTree, text: str) -> None:
        super().__init__(tree)
        self.text = text

    def size(self) -> int:
        return len(self.text.encode())

    def dropped(self) -> None:
        if self.nlink == 0:
            self.tree.charge(-self.size())


class DirNode(Node):
    """A directory: names in order of creation, and its parent directory (None for a root)."""

    __slots__ = ("entries", "parent")
    filetype = FileType.DIRECTORY

    def __init__(self, tree: MemTree, parent: DirNode | None) -> None:
        super().__init__(tree)
        self.entries: dict[str, Node] = {}
        self.parent = parent
        self.nlink = 2 if parent is None else 0  # "." and the name; each subdirectory's ".." adds one

    def size(self) -> int:
        return len(self.entries)

    def add(self, name: str, node: Node) -> None:
        """Add the new name `name` for `node`."""
        self.check_new(name, node)
        if not node.nlink and isinstance(node, LinkNode):
            self.tree.charge(node.size())
        self.tree.charge_name(node)
        self.entries[name] = node
        self.mtim = self.ctim = now = self.tree.now()
        if isinstance(node, DirNode):
            node.nlink = 2
            node.parent = self
            self.nlink += 1
        else:
            node.nlink += 1
            node.note_time()
            node.ctim = now

    def check_new(self, name: str, node: Node) -> None:
        """Raise the error that adding `name` for `node` would cause."""
        if self.nlink == 0:  # removed, but still held open
            raise fail(errno.ENOENT)
        if len(name) > 63 and len(name.encode()) > 255:  # a character is at most four bytes
            raise fail(errno.ENAMETOOLONG)
        if isinstance(node, DirNode):
            self._check_depth(node)

    def _check_depth(self, node: DirNode) -> None:
        """Bound the nesting of directories, for code that walks a whole tree."""
        depth, here = 1, self.parent
        while here is not None:
            depth, here = depth + 1, here.parent
        level = [node]
        while level:
            depth += 1
            if depth > MAX_DEPTH:
                raise Refused(
                    errno.ENOSPC, f"the in-memory folder nests at most {MAX_DEPTH} directories", DeniedBy.QUOTA
                )
            level = [child for place in level for child in place.entries.values() if isinstance(child, DirNode)]

    def remove(self, name: str) -> None:
        """Remove the name `name`."""
        node = self.entries.pop(name)
        self.tree.used_names -= 1
        self.mtim = self.ctim = now = self.tree.now()
        if isinstance(node, DirNode):
            node.nlink = 0
            node.parent = None
            self.nlink -= 1
        else:
            node.nlink -= 1
            node.note_time()
            node.ctim = now
        node.dropped()

    def move(self, name: str, target: DirNode, new_name: str) -> None:
        """Let what is called `name` be `new_name` in `target` instead, where it must be allowed and free."""
        node = self.entries.pop(name)
        target.entries[new_name] = node
        self.mtim = self.ctim = target.mtim = target.ctim = now = self.tree.now()
        if isinstance(node, DirNode):
            node.parent = target
            self.nlink -= 1
            target.nlink += 1
        else:
            node.note_time()
            node.ctim = now

    def is_beneath(self, other: Node) -> bool:
        """Whether `other` is this directory or one of its ancestors."""
        here: DirNode | None = self
        while here is not None:
            if here is other:
                return True
            here = here.parent
        return False


class Cursor:
    """The position of an open file in memory, a separate object so that it can be shared."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position = 0


class MemFile:
    """An open file in memory, with its own position. Reading does not change atim (as on a noatime mount)."""

    filetype = FileType.REGULAR_FILE
    __slots__ = ("_cursor", "_flags", "_node", "_open", "_read", "_writable", "_write", "created")

    def __init__(self, node: FileNode, how: OpenHow, writable: bool, created: bool = False) -> None:
        self._open = True
        self._node = node
        self.created = created
        """Whether opening it created it."""
        self._read = how.read or not how.write
        self._write = how.write
        self._writable = writable
        self._flags = how.flags
        self._cursor = Cursor()
        node.opens += 1

    def share(self, cursor: Cursor) -> FileNode:
        """Keep the position in `cursor` from now on; returns the file's node."""
        cursor.position = self._cursor.position
        self._cursor = cursor
        return self._node

    def read(self, buffers: Buffers) -> int:
        done = self.pread(buffers, self._cursor.position)
        self._cursor.position += done
        return done

    def pread(self, buffers: Buffers, offset: int) -> int:
        _check_offset(offset if offset <= MAX_FILE else offset + sum(map(len, buffers)))
        if not (self._read and self._open):
            raise fail(errno.EBADF)
        data = self._node.data
        size = len(data)
        start = offset
        for buffer in buffers:
            room = len(buffer)
            if start + room <= size:
                buffer[:] = data[start : start + room]
                start += room
            elif start < size:
                buffer[: size - start] = data[start:]
                return size - offset
            else:
                break
        return start - offset

    def write(self, buffers: Buffers) -> int:
        at = len(self._node.data) if self._flags.append else self._cursor.position
        done = self._write_at(buffers, at)
        if done:  # a write of no bytes has no other result (POSIX write), also in append mode
            self._cursor.position = at + done
        return done

    def pwrite(self, buffers: Buffers, offset: int) -> int:
        """Write at `offset`; with the append flag at the end, as Linux does."""
        if not 0 <= offset <= MAX_FILE:
            _check_offset(offset)
        return self._write_at(buffers, len(self._node.data) if self._flags.append else offset)

    def _write_at(self, buffers: Buffers, offset: int) -> int:
        if not (self._write and self._open):
            raise fail(errno.EBADF)
        total = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if not total:
            return 0
        node = self._node
        end = offset + total
        size = len(node.data)
        if end > MAX_FILE:
            _check_offset(end)
            raise fail(errno.EFBIG)
        if offset == size:
            node.tree.charge(total)  # appending is the common case: no zeros needed
            data = node.writable_data()
            for buffer in buffers:
                data += buffer
        else:
            if end > size:
                node.resize(end)
            data = node.writable_data()  # not through a view of it: while one exists, no other thread can let it grow
            for buffer in buffers:
                data[offset : offset + len(buffer)] = buffer
                offset += len(buffer)
        node.touch()
        return total

    def seek(self, offset: int, whence: int) -> int:
        if not self._open:
            raise fail(errno.EBADF)
        position = offset
        if whence == os.SEEK_CUR:
            position += self._cursor.position
        elif whence == os.SEEK_END:
            position += len(self._node.data)
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END) or not 0 <= position <= _LAST_OFFSET:
            raise fail(errno.EINVAL)
        self._cursor.position = position
        return position

    def tell(self) -> int:
        if not self._open:
            raise fail(errno.EBADF)
        return self._cursor.position

    def stat(self) -> Stat:
        if not self._open:
            raise fail(errno.EBADF)
        return self._node.stat()

    def set_size(self, size: int) -> None:
        self._check_writable("size")
        if not self._write or size < 0:
            raise fail(errno.EINVAL)
        self._node.resize(size)
        self._node.touch()

    def allocate(self, offset: int, length: int) -> None:
        self._check_writable("size")
        if not self._write:
            raise fail(errno.EBADF)
        if offset < 0 or length <= 0:
            raise fail(errno.EINVAL)
        if offset + length > len(self._node.data):
            self._node.resize(offset + length)
            self._node.touch()

    def advise(self, offset: int, length: int, advice: int) -> None:
        if not 0 <= advice <= 5 or min(offset, length) < 0:
            raise fail(errno.EINVAL)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._check_writable("times")
        self._node.set_times(atim, mtim)

    def sync(self) -> None:
        return

    datasync = sync

    def flags(self) -> FileFlags:
        return self._flags

    def set_flags(self, flags: FileFlags) -> None:
        self._flags = flags

    def fileno(self) -> int | None:
        return None  # never blocks

    def available(self) -> int:
        return max(0, len(self._node.data) - self._cursor.position)

    def close(self) -> None:
        if self._open:
            self._open = False
            node = self._node
            node.opens -= 1
            if not node.nlink:
                node.dropped()

    def _check_writable(self, what: str) -> None:
        if not self._open:
            raise fail(errno.EBADF)
        if not self._writable:
            reason = f"the file's {what} cannot be changed: its folder is granted read-only"
            raise Refused(errno.EPERM, reason, need=Need(NeedKind.WRITE))

    def __del__(self) -> None:
        if self._open:
            self.close()


def _check_offset(offset: int) -> None:
    """POSIX: a negative offset, or a range that ends above the maximum, is EINVAL."""
    if not 0 <= offset <= _LAST_OFFSET:
        raise fail(errno.EINVAL)
