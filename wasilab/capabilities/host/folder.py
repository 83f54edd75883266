"""An open host folder: access to one tree of real files, by descriptors.

Every path is resolved beneath the descriptor held here (`resolve.py`), and the operation on the last name never follows
links. Only regular files and directories are opened. `HostDir` (`hostdir.py`) is the grant; this is the object that a
run holds. Rights and descriptor numbers are handled in `wasi/`.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable
from contextlib import closing

from ..paths import MAX_PATH, Resolved, check_link_text, escape, fail, is_utf8
from ..protocols import Directory, Entry, File, FileType, OpenHow, Stat
from ..refusal import DeniedBy, Refused, refused_change
from ..uncopyable import Uncopyable
from .features import LINUX, NO_REPLACE, O_CLOEXEC, O_NOFOLLOW, O_PATH, READ_DIRECTORY, TRY_RENAME
from .hostfile import HostFile, first_bytes, host_filetype, host_stat, host_times, leave_some
from .resolve import cannot_be_procfs, refuse_procfs, rename, rename_over, rename_to_free_name, resolve

MAX_COPY = 256 << 20
"""The maximum bytes (256 MiB) of a folder to be copied and of the guest's copy."""

_ALWAYS = O_NOFOLLOW | O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_EXCL = os.O_EXCL
_NO_NAMES = ("", ".", "..")
_ATTEMPTS = 100
"""How often a file is opened or created again, because others create and remove it at the same time."""
_NO_FILE = 0o170000  # no st_mode has this type: there is no file
_FILE = FileType.REGULAR_FILE
_new = tuple.__new__  # makes an `Entry` without its constructor: a listing may have many


class BadFolder(ValueError):
    """A folder that cannot be granted; the message says which one, why, and what to do."""


class HostFolder(Uncopyable):
    """A `Directory` over the open descriptor `fd`, which it takes over; `name` is its name in messages.

    `writable` is the policy of the whole tree: directories opened beneath it share it. A folder that is `granted`
    serves many runs: `close()` on it does nothing, and its descriptor is closed with the object.
    """

    filetype = FileType.DIRECTORY
    lasting = True
    """Whether files that a guest writes to it stay on the host."""
    tells_replaced = True
    """As of every directory."""
    __slots__ = ("_fd", "_granted", "_ino", "before_close", "hidden_names", "name", "writable")

    def __init__(self, fd: int, name: str, *, writable: bool, granted: bool = False) -> None:
        self._fd = fd
        self.name = name
        self.writable = writable
        self._granted = granted
        self.before_close: Callable[[], object] | None = None
        """As `HostFile.before_close`; for a folder that the guest opened."""
        self._ino = -1
        self.hidden_names: list[str] = []
        """The names that the last `list()` left out because they are not UTF-8, so no WASI program could use them."""

    @property
    def hidden(self) -> int:
        """The number of names that the last `list()` left out."""
        return len(self.hidden_names)

    # -- for wasilab itself, not for a guest ------------------------------------------------------------------------

    @property
    def descriptor(self) -> int:
        """The descriptor of this process; -1 if closed."""
        return self._fd

    def reopened(self, *, writable: bool) -> HostFolder:
        """The same open folder with a new descriptor."""
        return HostFolder(os.dup(self._fd), self.name, writable=writable)

    def is_at(self, path: str) -> bool:
        """Whether `path` leads to this folder now: the same device and inode."""
        try:
            there = os.stat(path)
        except OSError:
            return False
        here = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def link_text(self, path: str) -> str:
        """The text of a link, even if it is absolute; `readlink` refuses that, because it is a host path."""
        with self._find(path) as found:
            return os.readlink(found.name, dir_fd=found.parent)

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of a file; a final link is not followed."""
        with closing(self.open(path, OpenHow(follow=False))) as opened:
            return first_bytes(opened, limit)

    def move(self, path: str, new_path: str) -> None:
        """Rename within this folder, replacing nothing: EEXIST if the new name is taken."""
        self._check_writable(path)
        with self._find(path) as old, self._find(new_path) as new:
            rename_to_free_name(old, new)

    # -- finding ----------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Resolved[int]:
        """(parent, name) of `path`, a final link not followed."""
        if _is_name(path):
            return Resolved(self._fd, path, False)  # the common case, without a system call
        return resolve(self._fd, path, False)

    def _look(self, path: str, follow: bool) -> tuple[Resolved[int], os.stat_result | None]:
        """Find `path` and its stat (None if missing), following a final link if `follow` or a slash requires it."""
        found = self._find(path)
        try:
            st = self._lstat(found)
            if st is not None and modes.S_ISLNK(st.st_mode) and (follow or found.must_be_dir):
                found.close()
                found = resolve(self._fd, path, True)
                st = self._lstat(found)
        except OSError:
            found.close()
            raise
        return found, st

    def _look_at(self, path: str, follow: bool) -> tuple[Resolved[int], os.stat_result]:
        """Find an existing file, which must be a directory if a slash follows: ENOENT, ENOTDIR."""
        found, st = self._look(path, follow)
        if st is None or (found.must_be_dir and not modes.S_ISDIR(st.st_mode)):
            found.close()
            raise fail(errno.ENOENT if st is None else errno.ENOTDIR)
        return found, st

    def _lstat(self, found: Resolved[int]) -> os.stat_result | None:
        try:
            st = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not cannot_be_procfs(st):
            fd = os.open(found.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, dir_fd=found.parent)
            try:
                refuse_procfs(st, fd)
            finally:
                os.close(fd)
        return st

    def _check_writable(self, path: str) -> None:
        if not self.writable:
            raise refused_change(path)

    # -- opening and looking ----------------------------------------------------------------------------------------

    def open(self, path: str, how: OpenHow) -> File | Directory:
        if how.changes and not self.writable:
            raise refused_change(path)
        if how.create:
            if how.directory:
                raise fail(errno.EINVAL)
            if _is_name(path):
                fd = self._create(path, how)
                if fd >= 0:
                    return HostFile(fd, how, self.writable, True)
        found, st = self._look(path, how.follow and not (how.create and how.exclusive))
        try:
            if how.create and found.must_be_dir and not found.dots:
                raise fail(errno.EISDIR)
            mode = modes.S_IFMT(st.st_mode) if st is not None else _NO_FILE
            if mode == _NO_FILE and not how.create:
                raise fail(errno.ENOENT)
            if mode != _NO_FILE and how.create and how.exclusive:
                raise fail(errno.EEXIST)
            if mode == modes.S_IFDIR:
                if how.write or how.create or how.truncate:
                    raise fail(errno.EISDIR)
                return self._open_directory(found)
            if mode != _NO_FILE and (how.directory or found.must_be_dir):
                raise fail(errno.ENOTDIR)
            if mode == modes.S_IFLNK:
                raise fail(errno.ELOOP)
            if mode not in (modes.S_IFREG, _NO_FILE):
                raise _special(path)
            return self._open_file(found, how, path, mode == _NO_FILE)
        finally:
            found.close()

    def _create(self, name: str, how: OpenHow) -> int:
        """Create the file `name` in this folder and open it; -1 if that fails, which `open` then explains.

        Usually it is not there: it is only looked up if it is. The system makes a regular file for O_EXCL, and none in
        procfs, so what was opened need not be checked.
        """
        try:
            fd = os.open(name, open_flags(how) | _EXCL, 0o666, dir_fd=self._fd)
        except OSError:
            return -1
        try:
            leave_some(fd)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _open_directory(self, found: Resolved[int]) -> HostFolder:
        fd = os.open(found.name, READ_DIRECTORY, dir_fd=found.parent)
        try:
            leave_some(fd)
            refuse_procfs(os.fstat(fd), fd)
        except OSError:
            os.close(fd)
            raise
        return HostFolder(fd, f"{self.name}/...", writable=self.writable)

    def _open_file(self, found: Resolved[int], how: OpenHow, path: str, new: bool) -> HostFile:
        fd, created = _open_or_create(found, how, new)
        try:  # it may have been replaced since the lookup: check the opened file
            leave_some(fd)
            st = os.fstat(fd)
            if not modes.S_ISREG(st.st_mode):
                raise _special(path)
            refuse_procfs(st, fd)
        except OSError:
            os.close(fd)
            raise
        return HostFile(fd, how, self.writable, created)

    def stat_path(self, path: str, follow: bool) -> Stat:
        if _is_name(path) or path == ".":
            st = os.stat(path, dir_fd=self._fd, follow_symlinks=False)
            if st.st_mode & 0o170000 != 0o120000 and cannot_be_procfs(st):
                return host_stat(st)
        found, looked = self._look_at(path, follow)
        found.close()
        return host_stat(looked)

    def stat(self) -> Stat:
        return host_stat(os.fstat(self._fd))

    @property
    def ino(self) -> int:
        """The inode in `stat`, which an open folder keeps."""
        if self._ino < 0:
            self._ino = os.fstat(self._fd).st_ino
        return self._ino

    def list(self) -> list[Entry]:
        self.hidden_names = []
        # Its own descriptor: scandir moves the offset, which duplicates share.
        fd = os.open(".", READ_DIRECTORY, dir_fd=self._fd)
        try:
            found = os.scandir(fd)
            try:
                return [
                    _new(Entry, (name, one.inode(), _FILE if one.is_file(follow_symlinks=False) else _type(one)))
                    for one in found
                    if (name := one.name).isascii() or self._shows(name)
                ]
            finally:
                found.close()
        finally:
            os.close(fd)

    def _shows(self, name: str) -> bool:
        """Whether a listing has a name; it is noted if not."""
        if is_utf8(name):
            return True
        self.hidden_names.append(name)
        return False

    def readlink(self, path: str) -> str:
        with self._find(path) as found:
            if not found.must_be_dir:
                text = os.readlink(found.name, dir_fd=found.parent)
                if text[:1] == "/":  # such a text is a host path
                    raise escape(path, "it is a link with an absolute target")
                try:
                    text.encode()
                except UnicodeEncodeError:
                    raise fail(errno.EILSEQ) from None
                return text
        self.stat_path(path, True)  # "link/" names the link's target, which is not a link
        raise fail(errno.EINVAL)

    # -- changing ---------------------------------------------------------------------------------------------------

    # A name is in this folder: to find it, nothing needs to be opened and closed. The short functions have `_is_name`
    # written out, because the call takes as long as the checks.

    def mkdir(self, path: str) -> None:
        if not self.writable:
            raise refused_change(path)
        if "/" not in path and path.isascii() and "\0" not in path and path not in _NO_NAMES:
            return os.mkdir(path, 0o777, dir_fd=self._fd)
        with self._find(path) as found:
            if found.dots:
                raise fail(errno.EEXIST)
            os.mkdir(found.name, 0o777, dir_fd=found.parent)

    def rmdir(self, path: str) -> None:
        if not self.writable:
            raise refused_change(path)
        if "/" not in path and path.isascii() and "\0" not in path and path not in _NO_NAMES:
            return os.rmdir(path, dir_fd=self._fd)
        with self._find(path) as found:
            if found.dots:
                raise fail(errno.EINVAL if found.dots == "." else errno.ENOTEMPTY)
            os.rmdir(found.name, dir_fd=found.parent)

    def unlink(self, path: str) -> None:
        if not self.writable:
            raise refused_change(path)
        if "/" not in path and path.isascii() and "\0" not in path and path not in _NO_NAMES and LINUX:
            return os.unlink(path, dir_fd=self._fd)
        with self._find(path) as found:
            if found.must_be_dir or not LINUX:  # elsewhere unlink(2) of a directory is EPERM, or removes it
                st = self._lstat(found)
                if st is None or found.dots or modes.S_ISDIR(st.st_mode):
                    raise fail(errno.ENOENT if st is None else errno.EISDIR)
                if found.must_be_dir:
                    raise fail(errno.ENOTDIR)
            os.unlink(found.name, dir_fd=found.parent)

    def symlink(self, target: str, path: str) -> None:
        if not self.writable:
            raise refused_change(path)
        if len(target) > MAX_PATH or not _is_name(target):  # a name that is not too long is valid and relative
            check_link_text(target)
        if "/" not in path and path.isascii() and "\0" not in path and path not in _NO_NAMES:
            return os.symlink(target, path, dir_fd=self._fd)
        with self._find(path) as found:
            self._check_new_name(found)
            os.symlink(target, found.name, dir_fd=found.parent)

    def _check_new_name(self, found: Resolved[int]) -> None:
        """A new name of a non-directory cannot end with a slash."""
        if found.must_be_dir:
            st = self._lstat(found)
            if st is None:
                raise fail(errno.ENOENT)
            # A slash after a file is ENOTDIR by POSIX path resolution (the public suite asks for it; Linux has EEXIST).
            raise fail(errno.ENOTDIR if modes.S_ISREG(st.st_mode) else errno.EEXIST)

    def rename(self, path: str, target: Directory, target_path: str) -> bool | None:
        if not self.writable:
            raise refused_change(path)
        return target.rename_from(self, path, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> bool:
        if not self.writable:
            raise refused_change(target_path)
        if not isinstance(source, HostFolder):
            raise fail(errno.EXDEV)
        if not source.writable:
            raise refused_change(path)
        if _is_name(path) and _is_name(target_path):
            if TRY_RENAME and TRY_RENAME(source._fd, path.encode(), self._fd, target_path.encode(), NO_REPLACE) == 0:
                return False  # as in `rename`, with names that need no particular encoding
            return rename_over(source._fd, path, self._fd, target_path)
        with source._find(path) as old, self._find(target_path) as new:
            if old.dots or new.dots:
                raise fail(errno.EBUSY)
            if old.must_be_dir or new.must_be_dir:
                st = source._lstat(old)
                if st is None or not modes.S_ISDIR(st.st_mode):
                    raise fail(errno.ENOENT if st is None else errno.ENOTDIR)
            return rename(old.parent, old.name, new.parent, new.name)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        self._check_writable(path)  # a second name in a writable folder would make it writable
        target.link_from(self, path, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        self._check_writable(target_path)
        if not isinstance(source, HostFolder):
            raise fail(errno.EXDEV)
        source._check_writable(path)
        old, _ = source._look_at(path, follow)
        with old, self._find(target_path) as new:
            if new.dots:
                raise fail(errno.EEXIST)
            self._check_new_name(new)
            os.link(old.name, new.name, src_dir_fd=old.parent, dst_dir_fd=new.parent, follow_symlinks=False)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._check_writable(".")
        os.utime(self._fd, ns=host_times(os.fstat(self._fd), atim, mtim))

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        self._check_writable(path)
        found, st = self._look_at(path, follow)
        with found:
            os.utime(found.name, ns=host_times(st, atim, mtim), dir_fd=found.parent, follow_symlinks=False)

    def sync(self) -> None:
        os.fsync(self._fd)

    # -- the object -------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor, which this object keeps."""
        return self._fd

    def close(self) -> None:
        if not self._granted:
            if self.before_close is not None:
                self.before_close()
            self._release()

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self._release()

    def __repr__(self) -> str:
        return f"<folder {self.name!r}{'' if self.writable else ', read-only'}>"


def _is_name(path: str) -> bool:
    """Whether a path is the name of something in the folder itself, and so cannot leave it; False if in doubt."""
    return "/" not in path and path.isascii() and "\0" not in path and path not in _NO_NAMES


def _open_or_create(found: Resolved[int], how: OpenHow, new: bool) -> tuple[int, bool]:
    """Open a file, and whether that created it; `new`: there was none.

    Creating a file is a step of its own (O_EXCL): who created it is known even if others create and remove the name.
    """
    flags = open_flags(how)
    if not how.create:
        return os.open(found.name, flags, dir_fd=found.parent), False
    for _ in range(_ATTEMPTS):
        if new:
            try:
                return os.open(found.name, flags | os.O_EXCL, 0o666, dir_fd=found.parent), True
            except FileExistsError:
                if how.exclusive:
                    raise
        try:
            return os.open(found.name, flags & ~os.O_CREAT, dir_fd=found.parent), False
        except FileNotFoundError:
            new = True
    raise fail(errno.EAGAIN)


def open_flags(how: OpenHow) -> int:
    """The flags of openat(2) to open a regular file."""
    flags = _flags_known.get(how.number)
    if flags is None:
        flags = _flags_known[how.number] = _open_flags(how)
    return flags


_flags_known: dict[int, int] = {}  # by `OpenHow.number`


def _open_flags(how: OpenHow) -> int:
    access = (os.O_RDWR if how.read else os.O_WRONLY) if how.write else os.O_RDONLY
    return (
        _ALWAYS
        | access
        | (os.O_CREAT if how.create else 0)
        | (os.O_EXCL if how.exclusive else 0)
        | (os.O_TRUNC if how.truncate else 0)
        | (os.O_APPEND if how.append else 0)
        | (os.O_DSYNC if how.dsync else 0)
        | (os.O_SYNC if how.sync or how.rsync else 0)
    )


def _special(path: str) -> Refused:
    return Refused(
        errno.EPERM, f"{path!r} is a FIFO, device or socket: only files and directories can be opened", DeniedBy.POLICY
    )


def _type(entry: os.DirEntry[str]) -> FileType:
    """The type of what is not a regular file."""
    # These two are known from the listing (d_type), as regular files are; the others need an lstat.
    if entry.is_dir(follow_symlinks=False):
        return FileType.DIRECTORY
    if entry.is_symlink():
        return FileType.SYMBOLIC_LINK
    try:
        return host_filetype(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return FileType.UNKNOWN
