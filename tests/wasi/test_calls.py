"""One table for the calls of the fd and path families: what memory they read, what they write, and what the trace says.

Each row makes one call through the engine, in a fresh instance that holds the same small directory. So the declaration,
the semantics, the memory layout and the strace line of a call are checked together, as wazero's tests do it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

import wasilab
from wasilab import Clocks, Grants, MemDir
from wasilab.capabilities.memory.memdir import Symlink
from wasilab.wasi.preview1.spec import SNAPSHOT1
from wasilab.wasi.types import Errno, Rights

SECOND = 1_000_000_000
FULL = int(
    Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK | Rights.FD_TELL | Rights.FD_FILESTAT_GET | Rights.FD_SYNC
    | Rights.FD_FILESTAT_SET_SIZE | Rights.FD_FILESTAT_SET_TIMES | Rights.FD_DATASYNC | Rights.FD_ALLOCATE
    | Rights.FD_ADVISE | Rights.FD_FDSTAT_SET_FLAGS
)  # fmt: skip
DIR, FILE = 3, 4  # /data, and a.txt opened in it with the rights FULL
IOVS, OUT, TEXT, BUFFER = 0, 64, 128, 256  # where the rows put things in memory

ONE_BUFFER = {IOVS: struct.pack("<II", BUFFER, 5)}
TWO_BUFFERS = {IOVS: struct.pack("<IIII", BUFFER, 5, BUFFER + 16, 20)}


def path(text: str) -> dict[int, bytes]:
    return {TEXT: text.encode()}


def stat(ino: int, filetype: int, nlink: int, size: int) -> bytes:
    """A filestat: device 1, and all times at one second."""
    return struct.pack("<QQB7xQQQQQ", 1, ino, filetype, nlink, size, SECOND, SECOND, SECOND)


def entry(cookie: int, ino: int, name: bytes, filetype: int) -> bytes:
    return struct.pack("<QQIB3x", cookie, ino, len(name), filetype) + name


TIME = "1970-01-01T00:00:01.000000000Z"
SHOWN_STAT = f"filetype=%s, nlink=%d, size=%d, atim={TIME}, mtim={TIME}, ctim={TIME}}}}}"


@dataclass(frozen=True)
class Row:
    """A call with its words, the bytes put into memory before it, and what is there and in the trace after it."""

    call: str
    words: tuple[int, ...]
    line: str
    reads: dict[int, bytes] = field(default_factory=dict)
    writes: dict[int, bytes] = field(default_factory=dict)
    errno: Errno = Errno.SUCCESS


ROWS = [
    # -- bytes
    Row(
        "fd_read", (FILE, IOVS, 2, OUT),
        'fd_read(fd=4</data/a.txt>, iovs=[{buf="hello", len=5}, {buf=" world", len=20}]) = 0 {nread=11}',
        TWO_BUFFERS, {BUFFER: b"hello\0", BUFFER + 16: b" world\0", OUT: struct.pack("<I", 11)},
    ),
    Row(
        "fd_read", (9, IOVS, 1, OUT),
        'fd_read(fd=9, iovs=[{buf="", len=5}]) = -1 EBADF (Bad file descriptor)',
        ONE_BUFFER, {BUFFER: bytes(5), OUT: bytes(4)}, Errno.BADF,
    ),
    Row(
        "fd_write", (FILE, IOVS, 1, OUT),
        'fd_write(fd=4</data/a.txt>, iovs=[{buf="HELLO", len=5}]) = 0 {nwritten=5}',
        {**ONE_BUFFER, BUFFER: b"HELLO"}, {BUFFER: b"HELLO", OUT: struct.pack("<I", 5)},
    ),
    Row(
        "fd_pread", (FILE, IOVS, 1, 6, OUT),
        'fd_pread(fd=4</data/a.txt>, iovs=[{buf="world", len=5}], offset=6) = 0 {nread=5}',
        ONE_BUFFER, {BUFFER: b"world", OUT: struct.pack("<I", 5)},
    ),
    Row(
        "fd_pread", (FILE, IOVS, 1, 1 << 63, OUT),
        'fd_pread(fd=4</data/a.txt>, iovs=[{buf="", len=5}], offset=9223372036854775808) = -1 EINVAL '
        "(Invalid argument)",
        ONE_BUFFER, {BUFFER: bytes(5), OUT: bytes(4)}, Errno.INVAL,
    ),
    Row(
        "fd_pwrite", (FILE, IOVS, 1, 6, OUT),
        'fd_pwrite(fd=4</data/a.txt>, iovs=[{buf="WORLD", len=5}], offset=6) = 0 {nwritten=5}',
        {**ONE_BUFFER, BUFFER: b"WORLD"}, {OUT: struct.pack("<I", 5)},
    ),
    # -- position and storage
    Row(
        "fd_seek", (FILE, (1 << 64) - 1, 2, OUT),
        "fd_seek(fd=4</data/a.txt>, offset=-1, whence=END) = 0 {newoffset=10}",
        {}, {OUT: struct.pack("<Q", 10)},
    ),
    Row(
        "fd_seek", (FILE, 0, 3, OUT),
        "fd_seek(fd=4</data/a.txt>, offset=0, whence=3) = -1 EINVAL (Invalid argument)",
        {}, {OUT: bytes(8)}, Errno.INVAL,
    ),
    Row("fd_tell", (FILE, OUT), "fd_tell(fd=4</data/a.txt>) = 0 {offset=0}", {}, {OUT: bytes(8)}),
    Row("fd_sync", (FILE,), "fd_sync(fd=4</data/a.txt>) = 0"),
    Row("fd_datasync", (FILE,), "fd_datasync(fd=4</data/a.txt>) = 0"),
    Row("fd_advise", (FILE, 0, 11, 1), "fd_advise(fd=4</data/a.txt>, offset=0, len=11, advice=SEQUENTIAL) = 0"),
    Row("fd_allocate", (FILE, 0, 20), "fd_allocate(fd=4</data/a.txt>, offset=0, len=20) = 0"),
    # -- the table of descriptors
    Row("fd_close", (FILE,), "fd_close(fd=4</data/a.txt>) = 0"),
    Row("fd_renumber", (FILE, DIR), "fd_renumber(fd=4</data/a.txt>, to=3</data>) = 0"),
    Row(
        "fd_prestat_get", (DIR, OUT), "fd_prestat_get(fd=3</data>) = 0 {prestat={tag=DIR, name_len=5}}",
        {}, {OUT: struct.pack("<BxxxI", 0, 5)},
    ),
    Row(
        "fd_prestat_get", (FILE, OUT), "fd_prestat_get(fd=4</data/a.txt>) = -1 EBADF (Bad file descriptor)",
        {}, {OUT: bytes(8)}, Errno.BADF,
    ),
    Row(
        "fd_prestat_dir_name", (DIR, BUFFER, 5), 'fd_prestat_dir_name(fd=3</data>, path="/data", path_len=5) = 0',
        {}, {BUFFER: b"/data\0"},
    ),
    Row(
        "fd_prestat_dir_name", (DIR, BUFFER, 4),
        "fd_prestat_dir_name(fd=3</data>, path=0x100, path_len=4) = -1 ENAMETOOLONG (File name too long)",
        {}, {BUFFER: bytes(5)}, Errno.NAMETOOLONG,
    ),
    Row(
        "fd_readdir", (DIR, BUFFER, 60, 2, OUT),
        'fd_readdir(fd=3</data>, buf=[{name="a.txt", type=REGULAR_FILE, ino=2, next=3}, {name="sub", type=DIRECTORY, '
        "ino=3, next=4}, ...], buf_len=60, cookie=2) = 0 {bufused=60}",
        {},
        {
            BUFFER: (entry(3, 2, b"a.txt", 4) + entry(4, 3, b"sub", 3) + entry(5, 4, b"link", 7))[:60],
            OUT: struct.pack("<I", 60),
        },
    ),
    # -- attributes
    Row(
        "fd_fdstat_get", (FILE, OUT),
        "fd_fdstat_get(fd=4</data/a.txt>) = 0 {fdstat={filetype=REGULAR_FILE, flags=0, "
        "rights_base=FD_READ|FD_WRITE|..., rights_inheriting=0}}",
        {}, {OUT: struct.pack("<BxHxxxxQQ", 4, 0, FULL, 0)},
    ),
    Row("fd_fdstat_set_flags", (FILE, 1), "fd_fdstat_set_flags(fd=4</data/a.txt>, flags=APPEND) = 0"),
    Row(
        "fd_fdstat_set_rights", (FILE, 2, 0),
        "fd_fdstat_set_rights(fd=4</data/a.txt>, fs_rights_base=FD_READ, fs_rights_inheriting=0) = 0",
    ),
    Row(
        "fd_filestat_get", (FILE, OUT),
        "fd_filestat_get(fd=4</data/a.txt>) = 0 {filestat={dev=1, ino=2, " + SHOWN_STAT % ("REGULAR_FILE", 1, 11),
        {}, {OUT: stat(2, 4, 1, 11)},
    ),
    Row("fd_filestat_set_size", (FILE, 5), "fd_filestat_set_size(fd=4</data/a.txt>, size=5) = 0"),
    Row(
        "fd_filestat_set_times", (FILE, 0, 5 * SECOND, 4),
        "fd_filestat_set_times(fd=4</data/a.txt>, atim=0, mtim=5000000000, fst_flags=MTIM) = 0",
    ),
    # -- names
    Row(
        "path_open", (DIR, 1, TEXT, 5, 0, 2, 0, 0, OUT),
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="a.txt", oflags=0, fs_rights_base=FD_READ, '
        "fs_rights_inheriting=0, fdflags=0) = 0 {opened_fd=5</data/a.txt>}",
        path("a.txt"), {OUT: struct.pack("<I", 5)},
    ),
    Row(
        "path_open", (DIR, 1, TEXT, 8, 0, 2, 0, 0, OUT),
        'path_open(fd=3</data>, dirflags=SYMLINK_FOLLOW, path="../other", oflags=0, fs_rights_base=FD_READ, '
        "fs_rights_inheriting=0, fdflags=0) = -1 EPERM (Operation not permitted) (DENIED: '../other' leaves the "
        "directory it was resolved in: '..' above it)",
        path("../other"), {OUT: bytes(4)}, Errno.PERM,
    ),
    Row(
        "path_filestat_get", (DIR, 0, TEXT, 4, OUT),
        'path_filestat_get(fd=3</data>, flags=0, path="link") = 0 {filestat={dev=1, ino=4, '
        + SHOWN_STAT % ("SYMBOLIC_LINK", 1, 5),
        path("link"), {OUT: stat(4, 7, 1, 5)},
    ),
    Row(
        "path_filestat_get", (DIR, 1, TEXT, 4, OUT),
        'path_filestat_get(fd=3</data>, flags=SYMLINK_FOLLOW, path="link") = 0 {filestat={dev=1, ino=2, '
        + SHOWN_STAT % ("REGULAR_FILE", 1, 11),
        path("link"), {OUT: stat(2, 4, 1, 11)},
    ),
    Row(
        "path_filestat_set_times", (DIR, 0, TEXT, 5, 0, 5 * SECOND, 4),
        'path_filestat_set_times(fd=3</data>, flags=0, path="a.txt", atim=0, mtim=5000000000, fst_flags=MTIM) = 0',
        path("a.txt"),
    ),
    Row("path_create_directory", (DIR, TEXT, 3), 'path_create_directory(fd=3</data>, path="new") = 0', path("new")),
    Row(
        "path_create_directory", (DIR, TEXT, 3),
        'path_create_directory(fd=3</data>, path="sub") = -1 EEXIST (File exists)', path("sub"), {}, Errno.EXIST,
    ),
    Row("path_remove_directory", (DIR, TEXT, 3), 'path_remove_directory(fd=3</data>, path="sub") = 0', path("sub")),
    Row("path_unlink_file", (DIR, TEXT, 5), 'path_unlink_file(fd=3</data>, path="a.txt") = 0', path("a.txt")),
    Row(
        "path_symlink", (TEXT, 5, DIR, BUFFER, 3), 'path_symlink(old_path="a.txt", fd=3</data>, new_path="new") = 0',
        {**path("a.txt"), BUFFER: b"new"},
    ),
    Row(
        "path_readlink", (DIR, TEXT, 4, BUFFER, 3, OUT),
        'path_readlink(fd=3</data>, path="link", buf="a.t", buf_len=3) = 0 {bufused=3}',
        path("link"), {BUFFER: b"a.t\0", OUT: struct.pack("<I", 3)},
    ),
    Row(
        "path_link", (DIR, 0, TEXT, 5, DIR, BUFFER, 3),
        'path_link(old_fd=3</data>, old_flags=0, old_path="a.txt", new_fd=3</data>, new_path="new") = 0',
        {**path("a.txt"), BUFFER: b"new"},
    ),
    Row(
        "path_rename", (DIR, TEXT, 5, DIR, BUFFER, 3),
        'path_rename(fd=3</data>, old_path="a.txt", new_fd=3</data>, new_path="new") = 0',
        {**path("a.txt"), BUFFER: b"new"},
    ),
]  # fmt: skip


def module() -> wasilab.Module:
    """A library that exports a function for each WASI call, which makes it with the words that it is given."""
    imports, exports = [], []
    for call in SNAPSHOT1.values():
        words = " ".join(call.signature)
        result = "(result i32)" if call.returns else ""
        given = " ".join(f"(local.get {number})" for number in range(len(call.signature)))
        imports.append(f'(import "{call.module}" "{call.name}" (func ${call.name} (param {words}) {result}))')
        exports.append(f'(func (export "{call.name}") (param {words}) {result} (call ${call.name} {given}))')
    return wasilab.load(f'(module {" ".join(imports)} (memory (export "memory") 1) {" ".join(exports)})'.encode())


MODULE = module()


@pytest.fixture
def instance() -> Iterator[wasilab.Instance]:
    """A fresh instance that has opened a.txt as descriptor 4; its trace begins after that."""
    directory = MemDir({"a.txt": "hello world", "sub": {}, "link": Symlink("a.txt")})
    grants = Grants(dirs={"/data": directory}, clocks=Clocks.frozen(SECOND))
    made = wasilab.instantiate(MODULE, grants=grants)
    made.memory.write(TEXT, b"a.txt")
    assert made.exports.path_open(DIR, 0, TEXT, 5, 0, FULL, 0, 0, OUT) == 0
    made.memory.write(0, bytes(1024))
    yield made
    made.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.call}-{row.errno.symbol}")
def test_memory_before_memory_after_and_the_line_of_a_call(instance: wasilab.Instance, row: Row) -> None:
    for at, data in row.reads.items():
        instance.memory.write(at, data)
    before = bytearray(instance.memory.read(0, 1024))
    answer = getattr(instance.exports, row.call)(*row.words)
    assert Errno(answer) == row.errno
    line = instance.trace[1:].text(durations=False, time="none", pid=False, strings=8).rstrip("\n")
    assert line == row.line
    for at, data in row.writes.items():
        assert instance.memory.read(at, len(data)) == data
        before[at : at + len(data)] = data
    assert instance.memory.read(0, 1024) == bytes(before), "nothing else was written"


def test_the_table_has_every_call_of_both_families() -> None:
    wanted = {name for name, call in SNAPSHOT1.items() if call.family in ("fd", "path")}
    assert {row.call for row in ROWS if row.errno is Errno.SUCCESS} == wanted
