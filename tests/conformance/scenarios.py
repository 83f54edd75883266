"""What both hosts are asked to do: scenarios by family, each a list of calls in a fresh directory.

A scenario gets a `Caller` and the handle of its directory, which holds the standard tree (`TREE`). What it calls is
logged; numbers that hosts may choose freely (descriptors, inodes, times of now) are kept out of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

from wasilab.wasi.types import Subscription

from .relay import Caller, Handle

Scenario = Callable[[Caller, Handle], None]

TREE: dict[str, Any] = {
    "file": b"0123456789",
    "dir": {"inner": b"inner"},
    "empty": {},
    "link": "->file",
    "dirlink": "->dir",
    "dangling": "->nowhere",
    "loop": "->loop",
    "slashed": "->dir/",
    "out": "->../..",
}
"""Names to contents, sub-trees, or the text of a link."""

PATHS = (
    "file", "new", "dir", "dir/", "empty", ".", "file/", "new/", "link", "link/", "dirlink", "dirlink/", "dangling",
    "dangling/", "loop", "slashed", "dir/inner", "dirlink/inner", "dir/../file", "dir/.", "dir/..", "..", "../x",
    "/file", "", "file/x", "none/x", "link/x", "out", "out/x", "./././file", "dir//inner", "nul\0x", "x" * 256,
)  # fmt: skip
RAW = (b"\xff", b"dir/\xc3")
READ, WRITE = 2, 64
ALL = 0x1FFFFFFF & ~WRITE


def path_open() -> Iterator[tuple[str, Scenario]]:
    """Every path, with the combinations of oflags that mean something, opened to read, to write, and both."""
    oflags = (0, 1, 2, 4, 8, 1 | 4, 1 | 8, 1 | 2, 2 | 8, 2 | 4, 1 | 4 | 8)
    for path, flags, follow, rights in product((*PATHS, *RAW), oflags, (0, 1), (READ, WRITE, READ | WRITE)):

        def scenario(g: Caller, d: Handle, case: Any = (path, flags, follow, rights)) -> None:
            path, flags, follow, rights = case
            opened = g.open(d, path, flags, rights | 1 << 21 | 1 << 2 | 1 << 5, follow)
            if opened is not None:
                stat = g.call("fd_filestat_get", opened, show=False).values[0]
                g.log.append(("type and size", "", (stat[2], stat[4] if stat[2] != 3 else None)))
                if flags & 8 and rights & WRITE:
                    g.call("fd_write", opened, [b"new"])
                g.call("fd_close", opened)

        yield f"path_open {path!r} oflags={flags} follow={follow} rights={rights}", scenario


def path_one() -> Iterator[tuple[str, Scenario]]:
    """The calls with one path, on every path."""
    for path in (*PATHS, *RAW):
        for call in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
            yield f"{call} {path!r}", lambda g, d, call=call, path=path: one(g, call, d, path)
        yield f"path_readlink {path!r}", lambda g, d, path=path: one(g, "path_readlink", d, path, 64)
        for follow in (0, 1):
            yield f"path_filestat_get {path!r} {follow}", lambda g, d, c=(follow, path): stat(g, d, *c)
            yield f"path_filestat_set_times {path!r} {follow}", lambda g, d, c=(follow, path): set_times(g, d, *c)
        for target in ("file", "nowhere", "/etc", "../..", ""):
            yield f"path_symlink {target!r} {path!r}", lambda g, d, c=(target, path): symlink(g, d, *c)


def one(g: Caller, call: str, *args: Any) -> None:
    g.call(call, *args)


def symlink(g: Caller, d: Handle, target: str, path: str) -> None:
    g.call("path_symlink", target, d, path)


def stat(g: Caller, d: Handle, follow: int, path: str) -> None:
    answer = g.call("path_filestat_get", d, follow, path, show=False)
    values = ()
    if answer.values:
        fields = answer.values[0]
        values = (fields[2], *((fields[3], fields[4]) if fields[2] != 3 else ()))
    g.log.append((f"path_filestat_get({d.name}, {follow}, {path!r})", answer.errno, values))


def set_times(g: Caller, d: Handle, follow: int, path: str) -> None:
    answer = g.call("path_filestat_set_times", d, follow, path, 10**18 + 1000, 10**18 + 2000, 1 | 4)
    if answer.errno == "SUCCESS":
        after = g.call("path_filestat_get", d, follow, path, show=False).values
        g.log.append(("times", "", after[0][5:7] if after else ()))


def path_two() -> Iterator[tuple[str, Scenario]]:
    """Renames and hard links from and to a choice of paths."""
    some = (
        "file", "new", "new/", "dir", "dir/", "empty", "link", "dirlink", "dirlink/", "dangling", "dir/inner",
        "dir/sub", ".", "..", "../x", "/file", "", "file/", "none/x", "file/x", "out/x",
    )  # fmt: skip
    for old, new in product(some, some):
        yield f"path_rename {old!r} {new!r}", lambda g, d, c=(old, new): one(g, "path_rename", d, c[0], d, c[1])
        yield f"path_link {old!r} {new!r}", lambda g, d, c=(old, new): one(g, "path_link", d, 0, c[0], d, c[1])


KINDS = ("reader", "writer", "both", "directory", "stdin", "stdout", "closed", "never")
TOP = 1 << 63


def _descriptor(g: Caller, d: Handle, kind: str) -> Handle | None:
    if kind in ("reader", "writer", "both"):
        rights = {"reader": 0x1FFFFFFF & ~(WRITE | 1 << 8 | 1 << 22), "writer": 0x1FFFFFFF & ~READ}.get(
            kind, 0x1FFFFFFF
        )
        return g.open(d, "file", 0, rights)
    if kind == "closed":
        opened = g.open(d, "file")
        g.call("fd_close", opened)
        return opened
    return {
        "directory": d, "stdin": Handle(0, "stdin"), "stdout": Handle(1, "stdout"), "never": Handle(12345, "never"),
    }[kind]  # fmt: skip


FD_CALLS: tuple[tuple[Any, ...], ...] = (
    ("fd_read", [4]), ("fd_read", [2, 0, 20]), ("fd_read", []), ("fd_read", [0]), ("fd_write", [b"ab"]),
    ("fd_write", [b"a", b"", b"bc"]), ("fd_write", []), ("fd_pread", [4], 3), ("fd_pread", [4], 100),
    ("fd_pread", [4], TOP), ("fd_pwrite", [b"xy"], 3), ("fd_pwrite", [b"xy"], 12), ("fd_pwrite", [b"x"], TOP),
    ("fd_pwrite", [], 0), ("fd_seek", 4, 0), ("fd_seek", -1, 0), ("fd_seek", 0, 1), ("fd_seek", -1, 2),
    ("fd_seek", 5, 2), ("fd_seek", 0, 3), ("fd_seek", TOP - 1, 0), ("fd_seek", -TOP, 2), ("fd_tell",), ("fd_sync",),
    ("fd_datasync",), ("fd_advise", 0, 4, 0), ("fd_advise", 0, 0, 3), ("fd_advise", 0, 4, 6), ("fd_advise", TOP, 4, 0),
    ("fd_allocate", 0, 20), ("fd_allocate", 0, 0), ("fd_filestat_set_size", 3), ("fd_filestat_set_size", 20),
    ("fd_filestat_set_size", TOP), ("fd_filestat_set_times", 10**18, 10**18, 5), ("fd_filestat_set_times", 0, 0, 3),
    ("fd_filestat_set_times", 0, 0, 12), ("fd_filestat_set_times", 0, 0, 16), ("fd_filestat_set_times", 0, 0, 0),
    ("fd_fdstat_set_flags", 0), ("fd_fdstat_set_flags", 1), ("fd_fdstat_set_flags", 4), ("fd_fdstat_set_flags", 2),
    ("fd_fdstat_set_flags", 32), ("fd_close",), ("fd_prestat_get",), ("fd_prestat_dir_name", 8),
    ("sock_shutdown", 1), ("sock_shutdown", 0), ("sock_recv", [4], 0), ("sock_send", [b"x"], 0), ("sock_accept", 0),
    ("path_create_directory", "x"), ("path_open", 0, "file", 0, 0, 0, 0),
)  # fmt: skip


def fd() -> Iterator[tuple[str, Scenario]]:
    """Every call on a descriptor, on every kind of descriptor, and what the file holds afterwards."""
    for kind, (call, *args) in product(KINDS, FD_CALLS):

        def scenario(g: Caller, d: Handle, case: Any = (kind, call, args)) -> None:
            kind, call, args = case
            handle = _descriptor(g, d, kind)
            answer = g.call(call, handle, *args, show=call != "path_open")
            if call == "path_open":
                g.log.append((f"path_open({kind}, ...)", answer.errno, ()))
            if call in ("fd_read", "fd_write", "fd_pread", "fd_pwrite", "fd_seek") and kind in (
                "reader",
                "writer",
                "both",
            ):
                g.call("fd_tell", handle)

        yield f"fd {kind} {call}{tuple(args)}", scenario


def flags() -> Iterator[tuple[str, Scenario]]:
    """Opening with each fdflag, and appending."""
    for flag in (*range(17), 31, 32, 64):

        def scenario(g: Caller, d: Handle, flag: int = flag) -> None:
            handle = g.open(d, "file", 0, 0x1FFFFFFF, 0, flag)
            if handle is None:
                return
            shown = g.call("fd_fdstat_get", handle, show=False).values[0]
            g.log.append(("type and flags", "", (shown[0], shown[1])))
            for data in (b"AB", b"CD"):
                g.call("fd_write", handle, [data])
                g.call("fd_seek", handle, 0, 0)
            g.call("fd_pwrite", handle, [b"EF"], 1)
            g.call("fd_read", handle, [30])

        yield f"fdflags {flag}", scenario


def table() -> Iterator[tuple[str, Scenario]]:
    """Closing, renumbering, and the numbers that are free afterwards."""

    def renumber(g: Caller, d: Handle) -> None:
        a, b = g.open(d, "file"), g.open(d, "dir/inner")
        assert a is not None
        assert b is not None
        g.call("fd_renumber", a, b)
        g.call("fd_read", b, [4])
        g.call("fd_read", a, [4])
        g.call("fd_renumber", b, b)
        g.call("fd_renumber", b, Handle(9999, "never"))
        g.call("fd_renumber", Handle(9999, "never"), b)
        g.call("fd_read", b, [4])
        c = g.open(d, "file")
        g.log.append(("the freed number is given again", "", (c is not None and c.fd == a.fd,)))

    def stdio(g: Caller, d: Handle) -> None:
        a = g.open(d, "new", 1, 0x1FFFFFFF)
        assert a is not None
        g.call("fd_renumber", a, Handle(1, "stdout"))
        g.call("fd_write", Handle(1, "stdout"), [b"into the file"])
        g.call("fd_close", Handle(1, "stdout"))
        g.call("fd_write", Handle(1, "stdout"), [b"x"])

    def gone(g: Caller, d: Handle) -> None:
        a = g.open(d, "file", 0, 0x1FFFFFFF)
        g.call("path_unlink_file", d, "file")
        g.call("fd_write", a, [b"still here"])
        g.call("fd_pread", a, [20], 0)
        shown = g.call("fd_filestat_get", a, show=False).values[0]
        g.log.append(("type, links and size", "", shown[2:5]))
        sub = g.open(d, "empty", 2)
        g.call("path_remove_directory", d, "empty")
        g.open(sub, "new", 1, READ | WRITE)
        g.call("path_filestat_get", sub, 0, "x")

    yield "renumber", renumber
    yield "stdio", stdio
    yield "unlinked but open", gone


def readdir() -> Iterator[tuple[str, Scenario]]:
    """Listings through buffers of several sizes."""

    def listing(g: Caller, d: Handle, size: int, path: str) -> list[tuple[str, int]]:
        handle = g.open(d, path, 2)
        names, cookie = [], 0
        while True:
            answer = g.call("fd_readdir", handle, size, cookie, show=False)
            if answer.errno != "SUCCESS":
                g.log.append(("fd_readdir", answer.errno, ()))
                return []
            used, data = answer.values
            at = 0
            while at + 24 <= used:
                length = int.from_bytes(data[at + 16 : at + 20], "little")
                if at + 24 + length > used:
                    break
                cookie = int.from_bytes(data[at : at + 8], "little")
                names.append((data[at + 24 : at + 24 + length].decode(), data[at + 20]))
                at += 24 + length
            if used < size:
                return names
            assert at, "the buffer holds no whole entry"

    for size, path in product((40, 64, 100, 4096), (".", "dir", "empty")):

        def scenario(g: Caller, d: Handle, case: Any = (size, path)) -> None:
            g.log.append(("names and types", "", tuple(sorted(listing(g, d, *case)))))

        yield f"fd_readdir {path!r} in {size} bytes", scenario
    for size, cookie in product((0, 1, 24, 4096), (0, 1, 1000, 2**64 - 1)):

        def odd(g: Caller, d: Handle, case: Any = (size, cookie)) -> None:
            handle = g.open(d, "dir", 2)
            answer = g.call("fd_readdir", handle, *case, show=False)
            g.log.append((f"fd_readdir{case}", answer.errno, answer.values[:1]))

        yield f"fd_readdir size={size} cookie={cookie}", odd


def poll() -> Iterator[tuple[str, Scenario]]:
    """Lists of subscriptions."""
    out, gone = Subscription(2, 2, fd=1), Subscription(4, 1, fd=12345)
    lists: dict[str, list[Subscription]] = {
        "none": [],
        "1 ms": [Subscription(1, 0, 1, 10**6)],
        "past": [Subscription(1, 0, 0, 1, 0, 1)],
        "two times": [Subscription(1, 0, 1, 10**6), Subscription(2, 0, 1, 10**12)],
        "CPU time": [Subscription(1, 0, 2, 10**6)],
        "undefined clock": [Subscription(1, 0, 9, 10**6)],
        "undefined flag": [Subscription(1, 0, 1, 10**6, 0, 2)],
        "undefined type": [Subscription(1, 7)],
        "stdin": [Subscription(1, 1, fd=0)],
        "stdout": [out],
        "stdin to write": [Subscription(1, 2, fd=0)],
        "stdout to read": [Subscription(1, 1, fd=1)],
        "stdout and time": [Subscription(1, 0, 1, 10**12), out],
        "bad descriptor": [gone],
        "bad descriptor and time": [Subscription(1, 0, 1, 10**6), gone],
        "bad descriptor and stdout": [out, gone],
    }
    for name, subs in lists.items():
        yield f"poll {name}", lambda g, d, subs=subs: one(g, "poll_oneoff", subs)
    for kind in (1, 2):

        def file(g: Caller, d: Handle, kind: int = kind) -> None:
            handle = g.open(d, "file", 0, 0x1FFFFFFF)
            g.call("fd_seek", handle, 4, 0)
            assert handle is not None
            answer = g.call("poll_oneoff", [Subscription(1, kind, fd=handle.fd)], show=False)
            g.log.append(("poll_oneoff of a file", answer.errno, answer.values))

        yield f"poll file {kind}", file

        def directory(g: Caller, d: Handle, kind: int = kind) -> None:
            answer = g.call("poll_oneoff", [Subscription(1, kind, fd=d.fd)], show=False)
            g.log.append(("poll_oneoff of a directory", answer.errno, answer.values))

        yield f"poll directory {kind}", directory


def process() -> Iterator[tuple[str, Scenario]]:
    """Arguments, environment, clocks, randomness, exit, signals, stdout."""
    for call in ("args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "sched_yield"):
        yield call, lambda g, d, call=call: one(g, call)
    for clock in (0, 1, 2, 3, 4, 2**32 - 1):

        def clocks(g: Caller, d: Handle, clock: int = clock) -> None:
            for call in (("clock_res_get", clock), ("clock_time_get", clock, 0)):
                answer = g.call(*call, show=False)
                ticks = tuple(value > 0 for value in answer.values if answer.errno == "SUCCESS")
                g.log.append((f"{call[0]}{call[1:]}", answer.errno, ticks))

        yield f"clock {clock}", clocks
    for size in (0, 1, 5000):

        def random(g: Caller, d: Handle, size: int = size) -> None:
            answer = g.call("random_get", size, show=False)
            data = answer.values[0]
            some = size < 16 or any(data)  # one random byte is 0 in one run of 256
            g.log.append((f"random_get({size})", answer.errno, (len(data), some)))

        yield f"random_get {size}", random
    for signal in (0, 2, 6, 13, 16, 30, 31, 255):
        yield f"proc_raise {signal}", lambda g, d, signal=signal: one(g, "proc_raise", signal)
    for code in (0, 1, 125, 126, 255, 2**31, 2**32 - 1):
        yield f"proc_exit {code}", lambda g, d, code=code: one(g, "proc_exit", code)

    def printing(g: Caller, d: Handle) -> None:
        for data in ([b"one\n"], [b"", b"two", b" three\n"]):
            left = data
            while any(left):
                answer = g.call("fd_write", Handle(1, "stdout"), left, show=False)
                joined = b"".join(left)[answer.values[0] :]
                left = [joined]

    yield "stdout", printing


class Family(NamedTuple):
    """Scenarios with their labels, made anew by each call of `scenarios`."""

    name: str
    scenarios: Callable[[], Iterable[tuple[str, Scenario]]]
    alone: bool = False
    """Whether each needs a guest of its own, because it leaves the guest's descriptors or streams changed."""


FAMILIES = (
    Family("path_open", path_open), Family("path_one", path_one), Family("path_two", path_two), Family("fd", fd),
    Family("flags", flags), Family("table", table, alone=True), Family("readdir", readdir), Family("poll", poll),
    Family("process", process, alone=True),
)  # fmt: skip
