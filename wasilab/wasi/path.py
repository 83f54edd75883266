"""Semantics of path_*: what can be done with names beneath an open directory.

Resolving a path, and refusing one that leaves its directory, is the directory's work (`capabilities/`); this file
decodes names and flags, enforces the rights of `path_open`, and gives the opened thing its descriptor.
"""

from __future__ import annotations

import errno
import os
import posixpath
from functools import cache
from typing import TYPE_CHECKING

from ..capabilities.protocols import FileType, OpenHow
from ..capabilities.refusal import DeniedBy, Need, NeedKind, Refused
from . import rights as r
from .errnos import Errno, WasiError
from .fd import filestat, times
from .fdtable import Descriptor
from .types import Fdflags, Filestat, Oflags, Rights

if TYPE_CHECKING:
    from .host import Host

MAX_PATH = 4096
"""Bytes of a path (POSIX PATH_MAX on Linux)."""

_DIRECTORY = int(FileType.DIRECTORY)
_REGULAR = int(FileType.REGULAR_FILE)
_CREAT, _ODIRECTORY, _EXCL, _TRUNC = (int(f) for f in Oflags)
_APPEND, _DSYNC, _NONBLOCK, _RSYNC, _SYNC = (int(f) for f in Fdflags)
_READ, _WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)
_CREATE_FILE, _SET_SIZE = int(Rights.PATH_CREATE_FILE), int(Rights.PATH_FILESTAT_SET_SIZE)
_FD_DATASYNC, _FD_SYNC = int(Rights.FD_DATASYNC), int(Rights.FD_SYNC)


def _name(raw: bytes) -> str:
    """A guest's path as text; INVAL for a NUL, ILSEQ (UnicodeError) for what is not UTF-8, NOENT for nothing."""
    if len(raw) > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG, f"a path of {len(raw)} bytes; {MAX_PATH} are allowed")
    if b"\0" in raw:
        raise WasiError(Errno.INVAL, f"the path {raw[:64]!r} holds a NUL")
    if not raw:
        raise WasiError(Errno.NOENT, "the path is empty")
    return raw.decode()


def _follow(flags: int) -> bool:
    if flags & ~1:
        raise WasiError(Errno.INVAL, f"undefined lookupflags in {flags:#x}")
    return flags == 1


def path_create_directory(host: Host, d: Descriptor, path: bytes) -> None:
    """Create a directory."""
    d.object.mkdir(_name(path))


def path_filestat_get(host: Host, d: Descriptor, flags: int, path: bytes) -> Filestat:
    """The attributes of what a path names."""
    return filestat(d.object.stat_path(_name(path), _follow(flags)))


def path_filestat_set_times(
    host: Host, d: Descriptor, flags: int, path: bytes, atim: int, mtim: int, fst_flags: int
) -> None:
    """Set the times of what a path names."""
    follow = _follow(flags)
    d.object.set_times_path(_name(path), follow, *times(host, atim, mtim, fst_flags))


def path_link(host: Host, old: Descriptor, old_flags: int, old_path: bytes, new: Descriptor, new_path: bytes) -> None:
    """Create a hard link."""
    follow = _follow(old_flags)
    name, new_name = _name(old_path), _name(new_path)
    try:
        old.object.link(name, new.object, new_name, follow)
    except Refused as error:
        raise _of_two(host, error, old, name, new, new_name) from None


def path_readlink(host: Host, d: Descriptor, path: bytes, buffer: memoryview) -> int:
    """The text of a symbolic link, cut to the buffer; the bytes used."""
    text = d.object.readlink(_name(path)).encode("utf-8", "surrogateescape")[: len(buffer)]
    buffer[: len(text)] = text
    return len(text)


def path_remove_directory(host: Host, d: Descriptor, path: bytes) -> None:
    """Remove an empty directory."""
    d.object.rmdir(_name(path))


def path_rename(host: Host, old: Descriptor, old_path: bytes, new: Descriptor, new_path: bytes) -> None:
    """Rename or move."""
    name, new_name = _name(old_path), _name(new_path)
    try:
        old.object.rename(name, new.object, new_name)
    except Refused as error:
        raise _of_two(host, error, old, name, new, new_name) from None


def _of_two(host: Host, error: Refused, old: Descriptor, name: str, new: Descriptor, new_name: str) -> BaseException:
    """The failure of a call on two directories, explained by the directory that refused."""
    need, writable = error.need, bool(old.object.writable)
    if need is not None and need.kind is NeedKind.WRITE and writable != bool(new.object.writable):
        second = writable
    else:
        second = need is not None and need.guest == new_name != name
    return host.explain(error, new if second else old) or error


def path_symlink(host: Host, target: bytes, d: Descriptor, path: bytes) -> None:
    """Create a symbolic link; the directory refuses an absolute target, which could only lead out."""
    d.object.symlink(_name(target), _name(path))


def path_unlink_file(host: Host, d: Descriptor, path: bytes) -> None:
    """Remove a name."""
    d.object.unlink(_name(path))


def _check_flags(dirflags: int, oflags: int, fdflags: int) -> None:
    if dirflags & ~1 or oflags & ~15 or fdflags & ~31:
        raise WasiError(
            Errno.INVAL, f"undefined flags: dirflags {dirflags:#x}, oflags {oflags:#x}, fdflags {fdflags:#x}"
        )
    if oflags & _ODIRECTORY and oflags & (_CREAT | _EXCL | _TRUNC):
        raise WasiError(Errno.INVAL, "directory cannot be combined with creat, excl or trunc")


def _check_rights(host: Host, d: Descriptor, name: str, oflags: int, base: int, fdflags: int) -> None:
    """The rights that the flags need, in strict mode; and that nobody writes through a read-only grant."""
    needed = (_CREATE_FILE if oflags & _CREAT else 0) | (_SET_SIZE if oflags & _TRUNC else 0)
    if needed & ~d.allowed:
        host.check(d, needed)
    if base & _WRITE and d.withheld.read_only:
        raise WasiError(
            Errno.NOTCAPABLE,
            f"{name!r} was asked to be opened for writing, and {d.path!r} is granted read-only; grant it with :rw",
            DeniedBy.GRANT,
            Need(NeedKind.WRITE, d.withheld.guest),
        )
    passed = (_FD_DATASYNC if fdflags & _DSYNC else 0) | (_FD_SYNC if fdflags & (_SYNC | _RSYNC) else 0)
    if passed & ~d.inheriting:
        raise WasiError(
            Errno.NOTCAPABLE,
            f"{d.path!r} does not pass on the right {r.names(passed & ~d.inheriting)}",
            DeniedBy.RIGHT,
            Need(NeedKind.COMPAT),
        )


def _check_withheld(host: Host, d: Descriptor, name: str, oflags: int, base: int, cut: int) -> None:
    """In any mode: nothing is opened to do what the grant withholds (`cut`). A directory is opened to be looked at with
    fd_read among the rights (wasi-libc does), which means nothing there."""
    asked = (_CREATE_FILE if oflags & _CREAT else 0) | (_SET_SIZE if oflags & _TRUNC else 0)
    asked |= base & (_WRITE if oflags & _ODIRECTORY else _READ | _WRITE)
    if asked & cut:
        raise host.withheld(f"{name!r} in {d.path!r} was asked to be opened with", asked & cut, d)


def _rights(host: Host, d: Descriptor, filetype: int, how: OpenHow, base: int, inheriting: int) -> tuple[int, int]:
    """The rights of what has been opened beneath `d`."""
    of_type = r.of_type(filetype)
    if not host.strict:
        kept = of_type & ~(0 if how.read else _READ) & ~(0 if how.write else _WRITE)
        return kept & ~_SET_SIZE, r.INHERITING if filetype == _DIRECTORY else 0
    if filetype == _REGULAR and not how.write:
        of_type &= ~r.WRITING
    return base & of_type & d.inheriting & ~d.withheld.named, inheriting & d.inheriting


@cache
def _how(read: bool, write: bool, oflags: int, fdflags: int, follow: bool) -> OpenHow:
    """The flags as a capability takes them; valid ones only, so there are no more than some thousand."""
    return OpenHow(
        read=read,
        write=write,
        create=oflags & _CREAT != 0,
        exclusive=oflags & _EXCL != 0,
        truncate=oflags & _TRUNC != 0,
        directory=oflags & _ODIRECTORY != 0,
        follow=follow,
        append=fdflags & _APPEND != 0,
        nonblock=fdflags & _NONBLOCK != 0,
        dsync=fdflags & _DSYNC != 0,
        rsync=fdflags & _RSYNC != 0,
        sync=fdflags & _SYNC != 0,
    )


def path_open(
    host: Host, d: Descriptor, dirflags: int, path: bytes, oflags: int, base: int, inheriting: int, fdflags: int
) -> int:
    """Open or create; the number of the new descriptor.

    The rights asked for are masked by the directory's inheriting set (and by the type of what was opened), but writing
    that is asked for in a read-only grant is refused rather than masked: a program should learn it here.
    """
    _check_flags(dirflags, oflags, fdflags)
    name = _name(path)
    cut = d.withheld.cut
    if cut:
        _check_withheld(host, d, name, oflags, base, cut)
    if host.strict:
        _check_rights(host, d, name, oflags, base, fdflags)
        base &= d.inheriting
    host.fds.require_room()
    write = base & _WRITE != 0
    how = _how(base & _READ != 0 or not write, write, oflags, fdflags, dirflags == 1)
    opened = d.object.open(name, how)
    try:
        filetype = int(opened.filetype)
        if write and filetype == _DIRECTORY:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        kept, passed = _rights(host, d, filetype, how, base, inheriting)
        descriptor = Descriptor(
            opened,
            kept,
            passed,
            posixpath.normpath(f"{d.path.rstrip('/')}/{name}"),
            strict=host.strict,
            # A directory has no flags of its own (POSIX lets O_NONBLOCK and the like pass unheard there).
            fdflags=0 if filetype == _DIRECTORY else fdflags,
            withheld=d.withheld,
        )
        return host.fds.open(descriptor).fd
    except BaseException:
        opened.close()
        raise
