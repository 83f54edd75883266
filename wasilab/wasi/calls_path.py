"""The calls on paths beneath an open directory (table only).

A path is UTF-8, relative, and resolved beneath its descriptor: no part of it, and no link on its way, leads out.
"""

from __future__ import annotations

from . import signature as s
from .calls_fdstat import FILESTAT_BYTES
from .errnos import Errno as E
from .signature import Call, Param, Result
from .types import Rights as R

_PATH_BYTES = "reads path_len bytes at path (UTF-8, no NUL needed)"
_TWO_PATHS = "reads old_path_len bytes at old_path and new_path_len bytes at new_path (UTF-8, no NUL needed)"

_RESOLVE = {
    E.PERM: "the path leaves the directory, or the grant is read-only (compat rights)",
    E.NOTCAPABLE: "the right is missing, or the grant is read-only (strict rights)",
    E.NOENT: "something on the path does not exist, or the path is empty",
    E.NOTDIR: "the descriptor, or something on the path, is no directory",
    E.LOOP: "more than 40 symbolic links",
    E.NAMETOOLONG: "a name over 255 bytes, or a path over 4096",
    E.ILSEQ: "the path is not UTF-8",
    E.INVAL: "a NUL in the path, or an undefined flag",
}
_EXIST = {E.EXIST: "the name is taken"}

CALLS = (
    Call(
        "path_create_directory", "path", 27,
        (Param("fd", s.FD_ARGUMENT, R.PATH_CREATE_DIRECTORY), Param("path", s.PATH)), (),
        "Create a directory, as mkdirat(2).",
        _PATH_BYTES, _RESOLVE | _EXIST,
    ),
    Call(
        "path_filestat_get", "path", 28,
        (Param("fd", s.FD_ARGUMENT, R.PATH_FILESTAT_GET), Param("flags", s.LOOKUPFLAGS), Param("path", s.PATH)),
        (Result("filestat", s.FILESTAT),),
        "The attributes of what a path names, as fstatat(2); of a final symbolic link itself unless symlink_follow.",
        _PATH_BYTES + FILESTAT_BYTES, _RESOLVE,
    ),
    Call(
        "path_filestat_set_times", "path", 29,
        (
            Param("fd", s.FD_ARGUMENT, R.PATH_FILESTAT_SET_TIMES), Param("flags", s.LOOKUPFLAGS),
            Param("path", s.PATH), Param("atim", s.TIMESTAMP), Param("mtim", s.TIMESTAMP),
            Param("fst_flags", s.FSTFLAGS),
        ), (),
        "Set the times of what a path names, each to a given one or to now, as utimensat(2).",
        _PATH_BYTES, {**_RESOLVE, E.INVAL: "an undefined flag, or a time both given and now"},
    ),
    Call(
        "path_link", "path", 30,
        (
            Param("old_fd", s.FD_ARGUMENT, R.PATH_LINK_SOURCE), Param("old_flags", s.LOOKUPFLAGS),
            Param("old_path", s.PATH), Param("new_fd", s.FD_ARGUMENT, R.PATH_LINK_TARGET), Param("new_path", s.PATH),
        ), (),
        "Give a file another name (a hard link), as linkat(2).",
        _TWO_PATHS,
        {
            **_RESOLVE, **_EXIST,
            E.XDEV: "the two directories are not on one file system",
            E.PERM: "a path leaves its directory, the old path is a directory, or a grant is read-only",
        },
    ),
    Call(
        "path_open", "path", 31,
        (
            Param("fd", s.FD_ARGUMENT, R.PATH_OPEN), Param("dirflags", s.LOOKUPFLAGS), Param("path", s.PATH),
            Param("oflags", s.OFLAGS), Param("fs_rights_base", s.RIGHTS), Param("fs_rights_inheriting", s.RIGHTS),
            Param("fdflags", s.FDFLAGS),
        ),
        (Result("opened_fd", s.FD_RESULT),),
        "Open or create a file or directory, as openat(2). The new descriptor has the rights asked for, less those "
        "that the directory does not pass on and those that make no sense for its type. The number is the smallest "
        "free one.",
        _PATH_BYTES + "\n    writes u32 at result.opened_fd",
        {
            **_RESOLVE, **_EXIST,
            E.NOTCAPABLE: "path_open, or path_create_file for creat, path_filestat_set_size for trunc, is missing, or "
            "writing is asked for in a read-only grant (strict rights)",
            E.ISDIR: "writing or truncating is asked for and it is a directory",
            E.NOTDIR: "directory is asked for and it is none",
            E.LOOP: "the last component is a symbolic link and symlink_follow is not set",
            E.MFILE: "the grant's limit of open descriptors is reached",
            E.INVAL: "an undefined flag, or directory together with creat, excl or trunc",
        },
    ),
    Call(
        "path_readlink", "path", 32,
        (Param("fd", s.FD_ARGUMENT, R.PATH_READLINK), Param("path", s.PATH), Param("buf", s.BUFFER)),
        (Result("bufused", s.SIZE),),
        "The text of a symbolic link, as readlinkat(2), cut to the buffer.",
        _PATH_BYTES + "\n    writes at most buf_len bytes at buf, no NUL; u32 at result.bufused",
        {**_RESOLVE, E.INVAL: "it is no symbolic link"},
    ),
    Call(
        "path_remove_directory", "path", 33,
        (Param("fd", s.FD_ARGUMENT, R.PATH_REMOVE_DIRECTORY), Param("path", s.PATH)), (),
        "Remove an empty directory, as unlinkat(AT_REMOVEDIR).",
        _PATH_BYTES, {**_RESOLVE, E.NOTEMPTY: "the directory is not empty"},
    ),
    Call(
        "path_rename", "path", 34,
        (
            Param("fd", s.FD_ARGUMENT, R.PATH_RENAME_SOURCE), Param("old_path", s.PATH),
            Param("new_fd", s.FD_ARGUMENT, R.PATH_RENAME_TARGET), Param("new_path", s.PATH),
        ), (),
        "Rename or move a file or directory, replacing what the new name had, as renameat(2).",
        _TWO_PATHS,
        {
            **_RESOLVE,
            E.XDEV: "the two directories are not on one file system",
            E.NOTEMPTY: "the new name is a directory that is not empty",
            E.ISDIR: "the new name is a directory and the old one is none",
            E.BUSY: "the directory itself would be renamed",
        },
    ),
    Call(
        "path_symlink", "path", 35,
        (Param("old_path", s.PATH), Param("fd", s.FD_ARGUMENT, R.PATH_SYMLINK), Param("new_path", s.PATH)), (),
        "Create a symbolic link at new_path with the text old_path, as symlinkat(2). An absolute text is refused.",
        _TWO_PATHS,
        {**_RESOLVE, **_EXIST, E.PERM: "the text is an absolute path, new_path leaves the directory, or the grant is "
         "read-only"},
    ),
    Call(
        "path_unlink_file", "path", 36,
        (Param("fd", s.FD_ARGUMENT, R.PATH_UNLINK_FILE), Param("path", s.PATH)), (),
        "Remove a name of a file or symbolic link, as unlinkat(2).",
        _PATH_BYTES, {**_RESOLVE, E.ISDIR: "it is a directory"},
    ),
)  # fmt: skip
