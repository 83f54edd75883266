"""The calls on the attributes of a descriptor and of the file behind it (table only)."""

from __future__ import annotations

from . import signature as s
from .errnos import Errno as E
from .signature import Call, Param, Result
from .types import Rights as R

_RIGHT = "the descriptor lacks the right (strict rights)"

FILESTAT_BYTES = """
    writes 64 bytes at result.filestat (in wasi_unstable 56: nlink is a u32 at 20, size follows at 24):
        0      8      16       17     24        32       40       48       56       64
        |dev   |ino   |filetype|      |nlink    |size    |atim ns |mtim ns |ctim ns |"""

CALLS = (
    Call(
        "fd_fdstat_get", "fd", 10, (Param("fd", s.FD_ARGUMENT),), (Result("fdstat", s.FDSTAT),),
        "The descriptor's file type, flags and rights, as fcntl(F_GETFL).",
        """
    writes 24 bytes at result.fdstat:
        0        1      2         4        8                16               24
        |filetype|      |flags u16|        |rights_base u64 |inheriting u64  |""",
    ),
    Call(
        "fd_fdstat_set_flags", "fd", 11,
        (Param("fd", s.FD_ARGUMENT, R.FD_FDSTAT_SET_FLAGS), Param("flags", s.FDFLAGS)), (),
        "Change the flags of an open descriptor, as fcntl(F_SETFL): append and nonblock.",
        "",
        {E.NOTCAPABLE: _RIGHT, E.INVAL: "an undefined flag, or a change of dsync, rsync or sync"},
    ),
    Call(
        "fd_fdstat_set_rights", "fd", 12,
        (Param("fd", s.FD_ARGUMENT), Param("fs_rights_base", s.RIGHTS), Param("fs_rights_inheriting", s.RIGHTS)), (),
        "Give up rights, for good. Rights can only shrink.",
        "",
        {E.NOTCAPABLE: "a right is asked for that the descriptor does not have"},
    ),
    Call(
        "fd_filestat_get", "fd", 13, (Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_GET),),
        (Result("filestat", s.FILESTAT),),
        "The attributes of the open file, as fstat(2).",
        FILESTAT_BYTES,
        {E.NOTCAPABLE: _RIGHT},
    ),
    Call(
        "fd_filestat_set_size", "fd", 14,
        (Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_SET_SIZE), Param("size", s.FILESIZE)), (),
        "Cut the file, or extend it with zeros, as ftruncate(2).",
        "",
        {
            E.NOTCAPABLE: _RIGHT,
            E.INVAL: "a size of 2**63 or more, or a file that is not open for writing",
            E.FBIG: "the size is beyond what the file system can hold",
                    E.BADF: "the descriptor is a directory",
        },
    ),
    Call(
        "fd_filestat_set_times", "fd", 15,
        (
            Param("fd", s.FD_ARGUMENT, R.FD_FILESTAT_SET_TIMES), Param("atim", s.TIMESTAMP),
            Param("mtim", s.TIMESTAMP), Param("fst_flags", s.FSTFLAGS),
        ), (),
        "Set the times of the open file, each to a given one or to now, as futimens(2). Now is the granted realtime "
        "clock's.",
        "",
        {E.NOTCAPABLE: _RIGHT, E.INVAL: "an undefined flag, or a time both given and now"},
    ),
)  # fmt: skip
