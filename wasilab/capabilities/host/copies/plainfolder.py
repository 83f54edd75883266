"""A host folder accessed by its path, to copy it and to apply changes where there are no directory descriptors.

For: Windows. It does what `HostFolder` does for the copier and the applier, but by names: between a check and the step
after it, another process could replace a directory by a link. So no guest ever holds one; guests on Windows use copies
in memory.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from contextlib import closing

from ...paths import check_path, escape, fail
from ...protocols import Entry, FileType, OpenHow, Stat
from ...uncopyable import Uncopyable
from ..hostfile import HostFile, first_bytes, host_filetype, host_stat


class PlainFolder(Uncopyable):
    """The folder at the absolute path `real`; `name` is its name in messages. Links in it are never followed."""

    filetype = FileType.DIRECTORY
    lasting = True

    def __init__(self, real: str, name: str, *, writable: bool) -> None:
        self._real = real
        self.name = name
        self.writable = writable
        self._identity = _identity(real)
        self.hidden_names: list[str] = []
        """The names that the last `list()` left out because they are not Unicode."""

    @property
    def hidden(self) -> int:
        """The number of names that the last `list()` left out."""
        return len(self.hidden_names)

    def reopened(self, *, writable: bool) -> PlainFolder:
        """The same folder again."""
        return PlainFolder(self._real, self.name, writable=writable)

    def is_at(self, path: str) -> bool:
        """Whether `path` leads to this folder now: the same device and inode."""
        try:
            return _identity(path) == self._identity
        except OSError:
            return False

    def _path(self, path: str) -> str:
        """The host path of `path`, which may go through directories only: links are refused."""
        check_path(path)
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise escape(path, "'..' above it")
        here = self._real
        for depth, part in enumerate(parts):
            if os.sep != "/" and any(char in part for char in '\\:'):
                raise OSError(errno.EINVAL, "a name cannot contain a backslash or a colon on this system")
            here = os.path.join(here, part)
            if depth < len(parts) - 1 and _type(os.lstat(here)) is not FileType.DIRECTORY:
                raise fail(errno.ENOTDIR)
        return here

    def open(self, path: str, how: OpenHow) -> PlainFolder | HostFile:
        host = self._path(path)
        try:
            st = os.lstat(host)
        except FileNotFoundError:
            if not how.create:
                raise
        else:
            if how.create and how.exclusive:
                raise fail(errno.EEXIST)
            if _type(st) is FileType.DIRECTORY:
                return PlainFolder(host, f"{self.name}/...", writable=self.writable)
            if how.directory or _type(st) is not FileType.REGULAR_FILE:
                raise fail(errno.ENOTDIR if how.directory else errno.ELOOP)
        self._check(how.changes)
        access = os.O_RDWR if how.write else os.O_RDONLY
        create = os.O_CREAT | os.O_EXCL if how.create else 0
        return HostFile(os.open(host, access | create | getattr(os, "O_BINARY", 0), 0o666), how, self.writable)

    def stat_path(self, path: str, follow: bool) -> Stat:
        st = os.lstat(self._path(path))
        return host_stat(st)._replace(filetype=_type(st))

    def stat(self) -> Stat:
        return host_stat(os.lstat(self._real))

    def list(self) -> list[Entry]:
        self.hidden_names = []
        found = []
        with os.scandir(self._real) as entries:
            for entry in entries:
                try:
                    entry.name.encode()
                except UnicodeEncodeError:
                    self.hidden_names.append(entry.name)
                    continue
                st = entry.stat(follow_symlinks=False)
                found.append(Entry(entry.name, st.st_ino, _type(st)))
        return found

    def link_text(self, path: str) -> str:
        """The text of a link."""
        return os.readlink(self._path(path))

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of a file; a final link is not followed."""
        with closing(self.open(path, OpenHow(follow=False))) as opened:
            return first_bytes(opened, limit)

    def mkdir(self, path: str) -> None:
        self._check()
        os.mkdir(self._path(path))

    def rmdir(self, path: str) -> None:
        self._check()
        os.rmdir(self._path(path))

    def unlink(self, path: str) -> None:
        self._check()
        os.unlink(self._path(path))

    def symlink(self, target: str, path: str) -> None:
        self._check()
        os.symlink(target, self._path(path))

    def move(self, path: str, new_path: str) -> None:
        """Rename within this folder, replacing nothing: EEXIST if the new name is taken."""
        self._check()
        old, new = self._path(path), self._path(new_path)
        if os.path.lexists(new):
            raise fail(errno.EEXIST)
        os.rename(old, new)

    def close(self) -> None:
        return

    def _check(self, changes: bool = True) -> None:
        if changes and not self.writable:
            raise fail(errno.EROFS)

    def __repr__(self) -> str:
        return f"<folder {self.name!r}>"


def _type(st: os.stat_result) -> FileType:
    """The type of a file. A Windows junction looks like a directory but leads elsewhere, so it is UNKNOWN."""
    if getattr(st, "st_reparse_tag", 0) and not modes.S_ISLNK(st.st_mode):
        return FileType.UNKNOWN
    return host_filetype(st.st_mode)


def _identity(path: str) -> tuple[int, int]:
    st = os.stat(path)
    return st.st_dev, st.st_ino
