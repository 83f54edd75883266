"""The calls on paths beneath an open directory.

A path is UTF-8, relative, and resolved beneath its descriptor: no part of it, and no link, may lead out. The directory
resolves the path and refuses one that leaves it (`capabilities/`). This file decodes names and flags, enforces the
rights of `path_open`, and creates the descriptor.
"""

from __future__ import annotations

import errno
import os
from functools import cache

from ...capabilities.protocols import FileType, OpenHow
from ...capabilities.refusal import DeniedBy, Need, NeedKind, Refused
from .. import rights as r
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import MOST_WRITTEN, NAME_COST, WRITTEN, Host, name_cost
from ..operations import Operation as Op
from ..types import Fdflags, Filestat, Oflags
from ..types import Rights as R
from . import signature as s
from .fdstat import filestat, times
from .signature import Param, Result, call

MAX_PATH = 4096
"""Bytes of a path (POSIX PATH_MAX on Linux)."""

PATH_ERRORS = {
    Errno.PERM: "the path leaves the directory, or the grant is read-only (compat rights)",
    Errno.NOTCAPABLE: "the right is missing, or the grant is read-only (strict rights)",
    Errno.NOENT: "something on the path does not exist, or the path is empty",
    Errno.NOTDIR: "the descriptor, or something on the path, is not a directory",
    Errno.LOOP: "more than 40 symbolic links",
    Errno.NAMETOOLONG: "a name over 255 bytes, or a path over 4096",
    Errno.ILSEQ: "the path is not UTF-8",
    Errno.INVAL: "a NUL in the path, or an undefined flag",
}
"""Errno -> condition: what every call on a path may return."""

_DIRECTORY = int(FileType.DIRECTORY)
_REGULAR = int(FileType.REGULAR_FILE)
_CREAT, _ODIRECTORY, _EXCL, _TRUNC = (int(f) for f in Oflags)
_APPEND, _DSYNC, _NONBLOCK, _RSYNC, _SYNC = (int(f) for f in Fdflags)
_READ, _WRITE = int(R.FD_READ), int(R.FD_WRITE)
_CREATE_FILE, _SET_SIZE = int(R.PATH_CREATE_FILE), int(R.PATH_FILESTAT_SET_SIZE)
_READ_ONLY_FILE = r.FILE & ~r.WRITING
_FD_DATASYNC, _FD_SYNC = int(R.FD_DATASYNC), int(R.FD_SYNC)


# -- opening -----------------------------------------------------------------------------------------------------------


@call(
    31, Op.OPEN,
    Param("fd", s.FD_ARGUMENT, R.PATH_OPEN), Param("dirflags", s.LOOKUPFLAGS), Param("path", s.PATH),
    Param("oflags", s.OFLAGS), Param("fs_rights_base", s.RIGHTS), Param("fs_rights_inheriting", s.RIGHTS),
    Param("fdflags", s.FDFLAGS),
    results=(Result("opened_fd", s.FD_RESULT),), errors=PATH_ERRORS,
)  # fmt: skip
def path_open(
    host: Host, d: Descriptor, dirflags: int, path: bytes, oflags: int, base: int, inheriting: int, fdflags: int
) -> int:
    """Open or create a file or directory, as openat(2).

    The new descriptor has the rights asked for, less those that the directory does not pass on and those that make no
    sense for its type. Its number is the smallest free one.

    Writing that is asked for in a read-only grant is refused rather than masked: a program should learn it here.

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)
        writes u32 at result.opened_fd

    Errors (and those of every path, `PATH_ERRORS`):
        ENOTCAPABLE: path_open, or path_create_file for creat, path_filestat_set_size for trunc, is missing, or writing
            is asked for in a read-only grant (strict rights)
        EEXIST: creat and excl are set and the name exists
        EISDIR: writing or truncating is asked for and it is a directory
        ENOTDIR: directory is asked for and it is not one
        ELOOP: the last component is a symbolic link and symlink_follow is not set
        EMFILE: the grant's limit of open descriptors is reached
        ENOSPC: the device or in-memory directory is full, or the limit of names or of bytes written is used up
        EINVAL: an undefined flag, or directory together with creat, excl or trunc

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_open
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/openat.html
    """
    if dirflags & ~1 or oflags & ~15 or fdflags & ~31 or oflags & _ODIRECTORY:
        _check_flags(dirflags, oflags, fdflags)
    name = _name(path)
    withheld, strict = d.withheld, host.strict
    cut = withheld.named | withheld.revoked
    if cut:
        _check_withheld(host, d, name, oflags, base, cut)
    if strict:
        if oflags or fdflags or base & _WRITE:
            _check_rights(host, d, name, oflags, base, fdflags)
        base &= d.inheriting
    host.fds.require_room()
    write = base & _WRITE != 0
    how = _how(base & _READ != 0 or not write, write, oflags, fdflags, dirflags == 1)
    if how.create:
        cost = name_cost(path)
        if not host.has_room_for(cost) and not _exists(d, name, how.follow and not how.exclusive):
            host.require_name(cost)
    opened = d.object.open(name, how)
    if how.create and getattr(opened, "created", True):
        host.names += 1
        host.meter[WRITTEN] += cost
    try:
        filetype = int(opened.filetype)
        if write and filetype == _DIRECTORY:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        kept, passed = _rights(host, d, filetype, how, base, inheriting)
        if filetype == _DIRECTORY:
            fdflags = 0  # a directory has no flags of its own (POSIX ignores O_NONBLOCK and the like there)
        descriptor = Descriptor(opened, kept, passed, d.path_of(name), strict, fdflags, withheld)
        return host.fds.open(descriptor).fd
    except BaseException:
        opened.close()
        raise


def _check_flags(dirflags: int, oflags: int, fdflags: int) -> None:
    if dirflags & ~1 or oflags & ~15 or fdflags & ~31:
        raise WasiError(
            Errno.INVAL, f"undefined flags: dirflags {dirflags:#x}, oflags {oflags:#x}, fdflags {fdflags:#x}"
        )
    if oflags & _ODIRECTORY and oflags & (_CREAT | _EXCL | _TRUNC):
        raise WasiError(Errno.INVAL, "directory cannot be combined with creat, excl or trunc")


def _check_rights(host: Host, d: Descriptor, name: str, oflags: int, base: int, fdflags: int) -> None:
    """In strict mode, check the rights that the flags need, and refuse writing through a read-only grant."""
    needed = (_CREATE_FILE if oflags & _CREAT else 0) | (_SET_SIZE if oflags & _TRUNC else 0)
    if needed & ~d.allowed:
        host.check(d, needed)
    if base & _WRITE and d.withheld.read_only:
        raise WasiError(
            Errno.NOTCAPABLE,
            f"{name!r} was asked to be opened for writing, and {d.path!r} is granted read-only",
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
    """In either mode, refuse to open something with rights that the grant withholds (`cut`).

    wasi-libc requests fd_read when it opens a directory, where that right has no meaning and is ignored.
    """
    asked = (_CREATE_FILE if oflags & _CREAT else 0) | (_SET_SIZE if oflags & _TRUNC else 0)
    asked |= base & (_WRITE if oflags & _ODIRECTORY else _READ | _WRITE)
    if asked & cut:
        raise host.withheld(f"{name!r} in {d.path!r} was asked to be opened with", asked & cut, d)


def _rights(host: Host, d: Descriptor, filetype: int, how: OpenHow, base: int, inheriting: int) -> tuple[int, int]:
    """The rights of a new descriptor opened beneath `d`."""
    if not host.strict:
        kept = r.of_type(filetype) & ~(0 if how.read else _READ) & ~(0 if how.write else _WRITE)
        return kept & ~_SET_SIZE, r.INHERITING if filetype == _DIRECTORY else 0
    of_type = _READ_ONLY_FILE if filetype == _REGULAR and not how.write else r.of_type(filetype)
    return base & of_type & d.inheriting & ~d.withheld.named, inheriting & d.inheriting


@cache
def _how(read: bool, write: bool, oflags: int, fdflags: int, follow: bool) -> OpenHow:
    """The flags as `OpenHow`; only valid ones arrive here, so the cache has at most a few thousand entries."""
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


# -- attributes --------------------------------------------------------------------------------------------------------


@call(
    28, Op.STAT,
    Param("fd", s.FD_ARGUMENT, R.PATH_FILESTAT_GET), Param("flags", s.LOOKUPFLAGS), Param("path", s.PATH),
    results=(Result("filestat", s.FILESTAT),), errors=PATH_ERRORS,
)  # fmt: skip
def path_filestat_get(host: Host, d: Descriptor, flags: int, path: bytes) -> Filestat:
    """The attributes of what a path names, as fstatat(2); of a final symbolic link itself unless symlink_follow.

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)
        writes 64 bytes at result.filestat (in wasi_unstable 56: nlink is a u32 at 20, size follows at 24):
            0      8      16       17     24        32       40       48       56       64
            |dev   |ino   |filetype|      |nlink    |size    |atim ns |mtim ns |ctim ns |

    Errors: those of every path (`PATH_ERRORS`).

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_filestat_get
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/fstatat.html
    """
    return filestat(d.object.stat_path(_name(path), flags == 1 if flags <= 1 else _follow(flags)))


@call(
    29, Op.SET_TIMES,
    Param("fd", s.FD_ARGUMENT, R.PATH_FILESTAT_SET_TIMES), Param("flags", s.LOOKUPFLAGS), Param("path", s.PATH),
    Param("atim", s.TIMESTAMP), Param("mtim", s.TIMESTAMP), Param("fst_flags", s.FSTFLAGS), errors=PATH_ERRORS,
)  # fmt: skip
def path_filestat_set_times(
    host: Host, d: Descriptor, flags: int, path: bytes, atim: int, mtim: int, fst_flags: int
) -> None:
    """Set the times of what a path names, each to a given one or to now, as utimensat(2).

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EINVAL: an undefined flag, or a time both given and now

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_filestat_set_times
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/utimensat.html
    """
    follow = _follow(flags)
    d.object.set_times_path(_name(path), follow, *times(host, atim, mtim, fst_flags))


# -- names -------------------------------------------------------------------------------------------------------------


@call(27, Op.MAKE, Param("fd", s.FD_ARGUMENT, R.PATH_CREATE_DIRECTORY), Param("path", s.PATH), errors=PATH_ERRORS)
def path_create_directory(host: Host, d: Descriptor, path: bytes) -> None:
    """Create a directory, as mkdirat(2).

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EEXIST: the name is taken
        ENOSPC: the device or in-memory directory is full, or the limit of names or of bytes written is used up

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_create_directory
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/mkdirat.html
    """
    name, cost = _new_name(host, path)
    d.object.mkdir(name)
    host.names += 1
    host.meter[WRITTEN] += cost


@call(33, Op.REMOVE, Param("fd", s.FD_ARGUMENT, R.PATH_REMOVE_DIRECTORY), Param("path", s.PATH), errors=PATH_ERRORS)
def path_remove_directory(host: Host, d: Descriptor, path: bytes) -> None:
    """Remove an empty directory, as unlinkat(AT_REMOVEDIR).

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        ENOTEMPTY: the directory is not empty

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_remove_directory
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/unlinkat.html
    """
    d.object.rmdir(path.decode() if 0 < len(path) <= MAX_PATH and 0 not in path else _name(path))
    host.names -= 1


@call(36, Op.REMOVE, Param("fd", s.FD_ARGUMENT, R.PATH_UNLINK_FILE), Param("path", s.PATH), errors=PATH_ERRORS)
def path_unlink_file(host: Host, d: Descriptor, path: bytes) -> None:
    """Remove a name of a file or symbolic link, as unlinkat(2).

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EISDIR: it is a directory

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_unlink_file
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/unlinkat.html
    """
    d.object.unlink(path.decode() if 0 < len(path) <= MAX_PATH and 0 not in path else _name(path))
    host.names -= 1


@call(
    35, Op.SYMLINK, Param("old_path", s.PATH), Param("fd", s.FD_ARGUMENT, R.PATH_SYMLINK), Param("new_path", s.PATH),
    errors=PATH_ERRORS,
)  # fmt: skip
def path_symlink(host: Host, target: bytes, d: Descriptor, path: bytes) -> None:
    """Create a symbolic link at new_path with the text old_path, as symlinkat(2). The directory refuses an absolute
    text, which could only lead out.

    Memory:
        reads old_path_len bytes at old_path and new_path_len bytes at new_path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EEXIST: the name is taken
        ENOSPC: the device or in-memory directory is full, or the limit of names or of bytes written is used up
        EPERM: the text is an absolute path, new_path leaves the directory, or the grant is read-only

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_symlink
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/symlinkat.html
    """
    text = _name(target)
    name, cost = _new_name(host, path, target)
    d.object.symlink(text, name)
    host.names += 1
    host.meter[WRITTEN] += cost
    host.links.made(d.path_of(name))


@call(
    32, Op.READ_LINK, Param("fd", s.FD_ARGUMENT, R.PATH_READLINK), Param("path", s.PATH), Param("buf", s.BUFFER),
    results=(Result("bufused", s.SIZE),), errors=PATH_ERRORS,
)  # fmt: skip
def path_readlink(host: Host, d: Descriptor, path: bytes, buffer: memoryview) -> int:
    """The text of a symbolic link, as readlinkat(2), cut to the buffer.

    Memory:
        reads path_len bytes at path (UTF-8, no NUL needed)
        writes at most buf_len bytes at buf, no NUL; u32 at result.bufused

    Errors (and those of every path, `PATH_ERRORS`):
        EINVAL: it is not a symbolic link

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_readlink
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/readlinkat.html
    """
    text = d.object.readlink(_name(path)).encode("utf-8", "surrogateescape")[: len(buffer)]
    buffer[: len(text)] = text
    return len(text)


@call(
    30, Op.LINK,
    Param("old_fd", s.FD_ARGUMENT, R.PATH_LINK_SOURCE), Param("old_flags", s.LOOKUPFLAGS), Param("old_path", s.PATH),
    Param("new_fd", s.FD_ARGUMENT, R.PATH_LINK_TARGET), Param("new_path", s.PATH), errors=PATH_ERRORS,
)  # fmt: skip
def path_link(host: Host, old: Descriptor, old_flags: int, old_path: bytes, new: Descriptor, new_path: bytes) -> None:
    """Give a file another name (a hard link), as linkat(2).

    Memory:
        reads old_path_len bytes at old_path and new_path_len bytes at new_path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EEXIST: the name is taken
        ENOSPC: the device or in-memory directory is full, or the limit of names or of bytes written is used up
        EXDEV: the two directories are not on one file system
        EPERM: a path leaves its directory, the old path is a directory, or a grant is read-only

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_link
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/linkat.html
    """
    follow = _follow(old_flags)
    name = _name(old_path)
    new_name, cost = _new_name(host, new_path)
    try:
        old.object.link(name, new.object, new_name, follow)
    except Refused as error:
        raise _of_two(host, error, old, name, new, new_name) from None
    host.names += 1
    host.meter[WRITTEN] += cost
    if host.links.paths:
        host.links.linked(old.path_of(name), new.path_of(new_name))


@call(
    34, Op.RENAME,
    Param("fd", s.FD_ARGUMENT, R.PATH_RENAME_SOURCE), Param("old_path", s.PATH),
    Param("new_fd", s.FD_ARGUMENT, R.PATH_RENAME_TARGET), Param("new_path", s.PATH), errors=PATH_ERRORS,
)  # fmt: skip
def path_rename(host: Host, old: Descriptor, old_path: bytes, new: Descriptor, new_path: bytes) -> None:
    """Rename or move a file or directory, replacing what the new name had, as renameat(2).

    Memory:
        reads old_path_len bytes at old_path and new_path_len bytes at new_path (UTF-8, no NUL needed)

    Errors (and those of every path, `PATH_ERRORS`):
        EXDEV: the two directories are not on one file system
        ENOTEMPTY: the new name is a directory that is not empty
        EISDIR: the new name is a directory and the old one is not
        EBUSY: the directory itself would be renamed

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_rename
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/renameat.html
    """
    name, new_name = _name(old_path), _name(new_path)
    source, target = old.object, new.object
    told = getattr(target, "tells_replaced", False)
    if told and source is not target:
        told = getattr(source, "tells_replaced", False)
    replaces = not told and _has(new, new_name)
    try:
        replaced = source.rename(name, target, new_name)
    except Refused as error:
        raise _of_two(host, error, old, name, new, new_name) from None
    if replaced if told else replaces and not _has(old, name):  # two names of one file both stay
        host.names -= 1
    if host.links.paths:
        follow_link = host.links.linked if _exists(old, name, False) else host.links.renamed
        follow_link(old.path_of(name), new.path_of(new_name))


def _of_two(host: Host, error: Refused, old: Descriptor, name: str, new: Descriptor, new_name: str) -> BaseException:
    """The failure of a call on two directories, attributed to the directory that refused."""
    need, writable = error.need, bool(old.object.writable)
    if need is not None and need.kind is NeedKind.WRITE and writable != bool(new.object.writable):
        second = writable
    else:
        second = need is not None and need.guest == new_name != name
    return host.explain(error, new if second else old) or error


def _exists(d: Descriptor, name: str, follow: bool) -> bool:
    """Whether a path exists; errors are left to the operation that follows."""
    if getattr(d.object, "asks", False):  # the lookup would ask the user a separate question
        return False
    try:
        d.object.stat_path(name, follow)
    except OSError as error:
        return error.errno != errno.ENOENT
    return True


def _has(d: Descriptor, name: str) -> bool:
    """Whether a name exists, a final link not followed."""
    has_name = getattr(d.object, "has_name", None)
    return _exists(d, name, False) if has_name is None else has_name(name)


def _new_name(host: Host, path: bytes, text: bytes = b"") -> tuple[str, int]:
    """A path as text and what its new last name costs (`name_cost`); NOSPC unless the run may still add it."""
    size = len(path)
    name = path.decode() if 0 < size <= MAX_PATH and 0 not in path else _name(path)
    cost = NAME_COST + size + len(text) if "/" not in name else name_cost(path, text)
    meter = host.meter
    if host.names >= host.most_names or cost > meter[MOST_WRITTEN] - meter[WRITTEN]:
        host.require_name(cost)
    return name, cost


def _name(raw: bytes) -> str:
    """A guest's path as text: INVAL for a NUL, ILSEQ (UnicodeError) if it is not UTF-8, NOENT if it is empty.

    The short calls have its first lines written out, because calling it takes as long as they do.
    """
    if 0 < len(raw) <= MAX_PATH and 0 not in raw:  # a number, because looking for bytes takes ten times as long
        return raw.decode()
    if len(raw) > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG, f"a path of {len(raw)} bytes; {MAX_PATH} are allowed")
    if raw:
        raise WasiError(Errno.INVAL, f"the path {raw[:64]!r} contains a NUL")
    raise WasiError(Errno.NOENT, "the path is empty")


def _follow(flags: int) -> bool:
    if flags & ~1:
        raise WasiError(Errno.INVAL, f"undefined lookupflags in {flags:#x}")
    return flags == 1
