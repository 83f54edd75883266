"""The calls that move bytes through a descriptor, and those on the descriptor table (table only).

Their attributes (`fd_fdstat_*`, `fd_filestat_*`) are in `calls_fdstat.py`.
"""

from __future__ import annotations

from . import signature as s
from .errnos import Errno as E
from .signature import Call, Param, Result
from .types import Rights as R

_RIGHT = "the descriptor lacks the right (strict rights)"

_VECTORS = """
    reads iovs_len x 8 bytes at iovs, {then}:
        0       4       8       12      16
        |ptr u32|len u32|ptr u32|len u32| ...
    {writes}"""
_READ = _VECTORS.format(
    then="a list of buffers", writes="writes the bytes read into the buffers in order, u32 at result.nread"
)
_WRITE = _VECTORS.format(then="and the bytes of each buffer", writes="writes u32 at result.nwritten")

_READ_ERRORS = {
    E.NOTCAPABLE: "the right fd_read is missing (strict rights); a positioned read also needs fd_seek",
    E.BADF: "the descriptor is not open, or not for reading (compat rights)",
    E.ISDIR: "the descriptor is a directory (compat rights)",
    E.INVAL: "more than 1024 buffers",
    E.AGAIN: "the descriptor is non-blocking and there is nothing to read now",
}
_WRITE_ERRORS = {
    E.NOTCAPABLE: "the right fd_write is missing (strict rights); a positioned write also needs fd_seek",
    E.BADF: "the descriptor is not open, or not for writing (compat rights)",
    E.INVAL: "more than 1024 buffers",
    E.FBIG: "the file would grow beyond what its file system can hold",
    E.NOSPC: "the device or in-memory directory is full, or the limit of bytes written is used up",
}

CALLS = (
    Call(
        "fd_advise", "fd", 6,
        (
            Param("fd", s.FD_ARGUMENT, R.FD_ADVISE), Param("offset", s.FILESIZE), Param("len", s.FILESIZE),
            Param("advice", s.ADVICE),
        ), (),
        "Say how a range of the file will be used, as posix_fadvise(3). A length of 0 reaches to the end.",
        "",
        {
            E.NOTCAPABLE: _RIGHT,
            E.INVAL: "undefined advice, or offset or length of 2**63 or more",
            E.SPIPE: "the descriptor is a stream",
            E.BADF: "the descriptor is a directory",
        },
    ),
    Call(
        "fd_allocate", "fd", 7,
        (Param("fd", s.FD_ARGUMENT, R.FD_ALLOCATE), Param("offset", s.FILESIZE), Param("len", s.FILESIZE)), (),
        "Make sure that a range of the file has room, as posix_fallocate(3). Files of the host do not support it; "
        "files in memory grow.",
        "",
        {
            E.NOTCAPABLE: _RIGHT,
            E.NOTSUP: "the file lies on the host",
            E.INVAL: "the length is 0, or offset or length is 2**63 or more",
            E.FBIG: "offset plus length is beyond 2**63 - 1",
            E.BADF: "the descriptor is a directory",
        },
    ),
    Call(
        "fd_close", "fd", 8, (Param("fd", s.FD_ARGUMENT),), (),
        "Close a descriptor and free its number, as close(2). A preopened directory may be closed too.",
    ),
    Call(
        "fd_datasync", "fd", 9, (Param("fd", s.FD_ARGUMENT, R.FD_DATASYNC),), (),
        "Bring the file's data to the storage, as fdatasync(2).",
        "",
        {E.NOTCAPABLE: _RIGHT, E.INVAL: "the descriptor is a stream"},
    ),
    Call(
        "fd_pread", "fd", 16,
        (Param("fd", s.FD_ARGUMENT, R.FD_READ | R.FD_SEEK), Param("iovs", s.IOVEC_ARRAY),
         Param("offset", s.FILESIZE)),
        (Result("nread", s.SIZE),),
        "Read at an offset without moving the position, as preadv(2). All buffers are filled in one operation; 0 "
        "bytes read is the end of the file.",
        _READ,
        {**_READ_ERRORS, E.SPIPE: "the descriptor is a stream",
         E.INVAL: "an offset of 2**63 or more; over 1024 buffers"},
    ),
    Call(
        "fd_prestat_get", "fd", 17, (Param("fd", s.FD_ARGUMENT),), (Result("prestat", s.PRESTAT),),
        "Describe a preopened descriptor. A program asks 3, 4, 5 ... until BADF and so finds what it was granted.",
        """
    writes 8 bytes at result.prestat:
        0     1       4           8
        |tag 0|       |name_len u32|     tag 0: a directory; name_len in bytes, without NUL""",
        {E.BADF: "the descriptor is not open, or was not preopened"},
    ),
    Call(
        "fd_prestat_dir_name", "fd", 18, (Param("fd", s.FD_ARGUMENT), Param("path", s.BUFFER)), (),
        "The name under which a directory was preopened, without NUL.",
        "writes the name at path, at most path_len bytes",
        {
            E.NOTDIR: "the descriptor was not preopened",
            E.NAMETOOLONG: "path_len is less than the name's length",
        },
    ),
    Call(
        "fd_pwrite", "fd", 19,
        (Param("fd", s.FD_ARGUMENT, R.FD_WRITE | R.FD_SEEK), Param("iovs", s.CIOVEC_ARRAY),
         Param("offset", s.FILESIZE)),
        (Result("nwritten", s.SIZE),),
        "Write at an offset without moving the position, as pwritev(2).",
        _WRITE,
        {**_WRITE_ERRORS, E.SPIPE: "the descriptor is a stream",
         E.INVAL: "an offset of 2**63 or more; over 1024 buffers"},
    ),
    Call(
        "fd_read", "fd", 20, (Param("fd", s.FD_ARGUMENT, R.FD_READ), Param("iovs", s.IOVEC_ARRAY)),
        (Result("nread", s.SIZE),),
        "Read at the position and move it, as readv(2). All buffers are filled in one operation; 0 bytes read is the "
        "end of the file.",
        _READ, _READ_ERRORS,
    ),
    Call(
        "fd_readdir", "fd", 21,
        (Param("fd", s.FD_ARGUMENT, R.FD_READDIR), Param("buf", s.BUFFER), Param("cookie", s.DIRCOOKIE)),
        (Result("bufused", s.SIZE),),
        'List a directory, "." and ".." included, from the entry that the cookie names (0: the first). The entries are '
        "of one moment: that of the last call with cookie 0. Fewer bytes than buf_len mean that the end was reached; "
        "otherwise the last entry may be cut short.",
        """
    writes at most buf_len bytes at buf, u32 at result.bufused; each entry:
        0          8         16        20    21      24
        |next u64  |ino u64  |namlen u32|type |       |name ...|      next: the cookie of the following entry""",
        {E.NOTCAPABLE: _RIGHT, E.NOTDIR: "the descriptor is no directory"},
    ),
    Call(
        "fd_renumber", "fd", 22, (Param("fd", s.FD_ARGUMENT), Param("to", s.FD_ARGUMENT)), (),
        "Give a descriptor another number, closing what had it, as dup2(2) and close(2) in one.",
        "",
        {E.BADF: "one of the two is not open"},
    ),
    Call(
        "fd_seek", "fd", 23,
        (Param("fd", s.FD_ARGUMENT, R.FD_TELL), Param("offset", s.FILEDELTA), Param("whence", s.WHENCE)),
        (Result("newoffset", s.FILESIZE),),
        "Move the position, as lseek(2). Moving by 0 from the current position needs only the right fd_tell, which "
        "fd_seek includes.",
        "writes u64 at result.newoffset",
        {
            E.NOTCAPABLE: "the right fd_seek is missing (strict rights)",
            E.SPIPE: "the descriptor is a stream",
            E.INVAL: "undefined whence, or a new offset below 0 or of 2**63 or more",
            E.BADF: "the descriptor is a directory",
        },
    ),
    Call(
        "fd_sync", "fd", 24, (Param("fd", s.FD_ARGUMENT, R.FD_SYNC),), (),
        "Bring the file's data and attributes to the storage, as fsync(2).",
        "",
        {E.NOTCAPABLE: _RIGHT, E.INVAL: "the descriptor is a stream"},
    ),
    Call(
        "fd_tell", "fd", 25, (Param("fd", s.FD_ARGUMENT, R.FD_TELL),), (Result("offset", s.FILESIZE),),
        "The position, as lseek(fd, 0, SEEK_CUR).",
        "writes u64 at result.offset",
        {E.NOTCAPABLE: _RIGHT, E.SPIPE: "the descriptor is a stream", E.BADF: "the descriptor is a directory"},
    ),
    Call(
        "fd_write", "fd", 26, (Param("fd", s.FD_ARGUMENT, R.FD_WRITE), Param("iovs", s.CIOVEC_ARRAY)),
        (Result("nwritten", s.SIZE),),
        "Write at the position (at the end in append mode) and move it, as writev(2).",
        _WRITE, _WRITE_ERRORS,
    ),
)  # fmt: skip
