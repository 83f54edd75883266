"""`python -m tests.bench.trace [CALLS]`: what a trace costs to record, ask, print, save, load and compare.

Each line prints the figure and the one to reach. A generated trace of 1,000,000 mixed calls (40% writes and 20% reads
of 16 bytes with their data, 20% clock reads, path_filestat_get, path_open), every one different in its times; and
10,000,000 calls spooled to disk, whose peak memory is measured in a process of its own.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from wasilab.trace.record.recorder import Recorder, pack_payload
from wasilab.trace.trace import Trace
from wasilab.wasi import types as t
from wasilab.wasi.preview1.spec import SNAPSHOT1

T = TypeVar("T")
SPOOLED = 10_000_000


def record(n: int, seed: int = 1, **settings: Any) -> Recorder:
    """A recorder that holds `n` generated calls."""
    settings.setdefault("budget_bytes", 8 << 30)
    recorder = Recorder(**settings)
    names = {0: "<stdin>", 1: "<stdout>", 2: "<stderr>", 3: "/data", 4: "/data/a.txt"}
    for fd, name in names.items():
        preopen = name if fd == 3 else None
        recorder.on_open(SimpleNamespace(life=fd + 1, fd=fd, path=name, preopen=preopen, filetype=4))
    origin = recorder.start_clock()
    write = recorder.make_writer()
    fd_write, fd_read, clock, stat, path_open = (
        SNAPSHOT1[name].number
        for name in ("fd_write", "fd_read", "clock_time_get", "path_filestat_get", "path_open")
    )  # fmt: skip
    filestat = t.FILESTAT.pack(1, 2, 4, 1, 100, 10**18, 10**18, 10**18)
    vectors = [struct.pack("<II", 0x1000 + 16 * k, 16) for k in range(64)]
    random = np.random.default_rng(seed)
    done = 0
    while done < n:
        step = min(n - done, 1 << 16)
        times = np.cumsum(random.integers(2500, 6000, step)).tolist()
        durations = random.integers(500, 2400, step).tolist()
        for i in range(done, done + step):
            start, dur = origin + times[i - done], durations[i - done]
            k = i % 10
            if k < 4:
                data = pack_payload(vectors[i & 63], b"line %010d\n" % (i % 1000))
                write(start, dur, 16, 2, None, data, fd_write, 0, 0, 0, 1, 0x2000, 1, 0x3000)
            elif k < 6:
                data = pack_payload(vectors[i & 63], b"abcdefgh%08d" % (i % 500))
                write(start, dur, 16, 5, None, data, fd_read, 0, 0, 0, 4, 0x2000, 1, 0x3000)
            elif k < 8:
                write(start, dur, 10**18 + start, 0, None, None, clock, 0, 0, 0, 1, 1000, 0, 0x100)
            elif k == 8:
                data = pack_payload(filestat, b"", (0x3000,))
                write(start, dur, 0, 4, b"f%d.txt" % (i % 50), data, stat, 0, 0, 0, 3, 1, 0x5000, 6)
            elif i % 100 == 99:
                reason = recorder.intern_reason("the path leaves /data")
                data = pack_payload(b"", b"", (0, 2, 0, 0, 0, 0, 0x3000), reason)
                write(start, dur, 0, 4, b"../etc/passwd", data, path_open, 63, 3, 0, 3, 1, 0x5000, 13)
            else:
                data = pack_payload(b"", b"", (0, 2, 0, 0, 0, 0, 0x3000))
                write(start, dur, 0, 4, b"f%d.txt" % (i % 50), data, path_open, 44, 0, 0, 3, 1, 0x5000, 6)
        origin += times[-1] + 3000
        done += step
    return recorder


def timed(make: Callable[[], T], rounds: int = 3) -> tuple[float, T]:
    """The least seconds of some rounds, and the last result."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        result = make()
        best = min(best, time.perf_counter() - start)
    return best, result


def line(what: str, figure: str, goal: str = "") -> str:
    """One line of the table."""
    return f"{what:<52} {figure:>22}   {goal}".rstrip()


def recording(n: int = 500_000) -> list[str]:
    """What `record` adds to a call, beside a bare `os.write` of 16 bytes for scale."""
    recorder = Recorder(8 << 30)
    write = recorder.make_writer()
    vector, data = struct.pack("<II", 0x1000, 16), b"0123456789abcdef"
    now = time.perf_counter_ns()

    def nothing() -> None:
        for _ in range(n):
            pass

    def plain() -> None:
        for _ in range(n):
            write(now, 100, 16, 2, None, None, 26, 0, 0, 0, 1, 2, 3, 4)

    def payload() -> None:
        for _ in range(n):
            write(now, 100, 16, 2, None, pack_payload(vector, data), 26, 0, 0, 0, 1, 2, 3, 4)

    empty = timed(nothing)[0]
    costs = [(timed(f)[0] - empty) / n * 1e9 for f in (plain, payload)]
    with tempfile.TemporaryFile() as file:
        scale = timed(lambda: [os.write(file.fileno(), data) for _ in range(n // 10)])[0] / (n // 10) * 1e9
    one = Recorder()
    add = one.make_writer()
    now = time.perf_counter_ns()
    for _ in range(8192):
        add(now, 100, 16, 2, None, pack_payload(vector, data), 26, 0, 0, 0, 1, 2, 3, 4)
    size = 64 + len(one.chunks[0].arena) / 8192
    files = Recorder()
    add, random = files.make_writer(), np.random.default_rng(0)
    for ino, length, *times in random.integers((1 << 40) - 1, size=(8193, 5)).tolist():
        struct_ = t.FILESTAT.pack(2049, ino & 0xFFFFF, 4, 1, length & 0xFFFFF, *(10**18 + time for time in times))
        data = pack_payload(struct_, b"", (0x3000,))
        add(files.origin_ns, 100, 0, 2, None, data, SNAPSHOT1["path_filestat_get"].number, 0, 0, 0, 3, 1, 0x5000, 6)
    compact = files.chunks[0].compact
    assert compact is not None
    return [
        line("record a call without payload", f"{costs[0]:.0f} ns", "at most 1000 ns"),
        line("record a 16-byte fd_write with its data", f"{costs[1]:.0f} ns", "at most 1000 ns"),
        line("(a bare os.write of 16 bytes here)", f"{scale:.0f} ns"),
        line("bytes of that fd_write in memory", f"{size:.0f} B", "at most 100 B"),
        line("bytes of a path_filestat_get, all structs new", f"{64 + compact.nbytes / 8192:.0f} B", "at most 100 B"),
    ]


def asking(trace: Trace) -> list[str]:
    """Summary, filter, text."""
    n = len(trace)
    cold = timed(lambda: Trace(type(trace.store)(trace.store.parts, trace.store.tables())).summary(), 2)[0]
    summary = timed(trace.summary)[0]
    first = timed(lambda: trace.filter("call=path_* errno!=0 dur>1us"))[0]
    path = timed(lambda: trace.filter("path~passwd refused"))[0]
    text, shown = timed(trace.text, 2)
    return [
        line("summary(), columns read for the first time", f"{cold:.3f} s", "under 0.3 s"),
        line("summary() again", f"{summary:.3f} s"),
        line("filter('call=path_* errno!=0 dur>1us')", f"{first:.4f} s", "under 0.05 s"),
        line("filter('path~passwd refused')", f"{path:.4f} s", "under 0.05 s"),
        line("text()", f"{n / text:,.0f} lines/s", "300,000 lines/s"),
        line("  of", f"{len(shown) / n:.0f} B a line"),
    ]


def printing(n: int = 200_000) -> list[str]:
    """Text of the calls that have most to print, every line different."""

    def written(i: int) -> bytes:
        return pack_payload(struct.pack("<II", 0x1000, 30), b"a line %10d and more text" % i)

    def gathered(i: int) -> bytes:
        return pack_payload(struct.pack("<IIII", 0x1000, 10, 0x2000, 20), b"%10d, and 12345678901" % i)

    def looked_at(i: int) -> bytes:
        return pack_payload(t.FILESTAT.pack(1, i, 4, 1, 7 * i, 10**18 + 99_991 * i, 10**18, 10**18 + i), b"", (0x3000,))

    out = []
    for name, call, words, make in (
        ("fd_write", "fd_write", (1, 0x2000, 1, 0x3000), written),
        ("fd_write of two buffers", "fd_write", (1, 0x2000, 2, 0x3000), gathered),
        ("path_filestat_get", "path_filestat_get", (3, 1, 0x5000, 6), looked_at),
    ):
        recorder = Recorder(8 << 30)
        write = recorder.make_writer()
        for i in range(n):
            write(recorder.origin_ns + i, 100, 30, 0, None, make(i), SNAPSHOT1[call].number, 0, 0, 0, *words)
        took, _ = timed(Trace.from_recorder(recorder).text, 2)
        out.append(line(f"text() of {n:,} different {name}", f"{n / took:,.0f} lines/s", "300,000 lines/s"))
    return out


def files(trace: Trace, folder: Path) -> list[str]:
    """Saving and loading by format."""
    n = len(trace)
    out = []
    goals = {".parquet": ("under 2 s", "at most 15 B", "under 1 s")}
    for suffix in (".parquet", ".wtrace"):
        goal = goals.get(suffix, ("", "", ""))
        path = folder / f"t{suffix}"
        save, _ = timed(lambda path=path: trace.save(path), 2)  # type: ignore[misc]
        load, loaded = timed(lambda path=path: Trace.load(path), 2)  # type: ignore[misc]
        assert len(loaded) == n
        out += [
            line(f"save {suffix}", f"{save:.2f} s", goal[0]),
            line("  on disk", f"{path.stat().st_size / n:.1f} B a call", goal[1]),
            line(f"load {suffix}", f"{load:.2f} s", goal[2]),
        ]
    some = trace[: min(n, 50_000)]
    for suffix in (".strace", ".jsonl", ".csv", ".pftrace", ".json"):
        path = folder / f"t{suffix}"
        save, _ = timed(lambda path=path: some.save(path), 1)  # type: ignore[misc]
        size = path.stat().st_size / len(some)
        out.append(line(f"save {suffix}", f"{save / len(some) * 1e6:.1f} us, {size:.0f} B a call"))
    return out


def comparing(n: int) -> list[str]:
    """Two traces of `n` calls: alike but for 3%, and as unlike as can be."""
    a, b = Trace.from_recorder(record(n)), Trace.from_recorder(record(n, seed=2))
    random = np.random.default_rng(0)
    fewer = b.where(random.random(n) > 0.03)
    mixed = Trace(a.store, np.sort(random.permutation(n)[: n * 9 // 10]))
    alike, diff = timed(lambda: a.diff(fewer), 2)
    worst, _ = timed(lambda: fewer.diff(mixed), 2)
    return [
        line(f"diff of {n:,} against {len(fewer):,} calls", f"{alike:.2f} s", "under 3 s"),
        line("  differences found", f"{len(diff):,}"),
        line(f"diff of {len(fewer):,} against {len(mixed):,} others", f"{worst:.2f} s", "under 3 s"),
    ]


def peak_kib() -> int:
    """The most memory that this process has held (VmHWM of proc(5)); ru_maxrss would count the parent's."""
    status = Path("/proc/self/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))


def spool(folder: Path) -> None:
    """Record 10,000,000 calls with a spool and print what it took; run in a process of its own."""
    before = peak_kib()
    start = time.perf_counter()
    recorder = record(SPOOLED, budget_bytes=32 << 20, spool=folder / "run.wtrace")
    recorder.close()
    took = time.perf_counter() - start
    peak = peak_kib()
    print(json.dumps({"seconds": took, "before": before, "peak": peak, "dropped": recorder.dropped}))


def opening(folder: Path) -> None:
    """Open that spool again and ask it something, and print what it took."""
    start = time.perf_counter()
    trace = Trace.load(folder / "run.wtrace")
    opened = time.perf_counter() - start
    last = trace[-1].text()
    start = time.perf_counter()
    refused = len(trace.filter("refused"))
    asked = time.perf_counter() - start
    peak = peak_kib()
    found = {"calls": len(trace), "opened": opened, "last": last, "refused": refused, "asked": asked, "peak": peak}
    print(json.dumps(found))


def spooling(folder: Path) -> list[str]:
    """10,000,000 calls through a 32 MiB budget."""
    found = []
    for word in ("spool", "open"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.trace", word, str(folder)], capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout))
    made, read = found
    assert read["calls"] == SPOOLED
    assert made["dropped"] == 0
    size = (folder / "run.wtrace").stat().st_size
    return [
        line(f"record {SPOOLED:,} calls, budget 32 MiB, spooled", f"{made['seconds']:.1f} s"),
        line("  peak memory of the process", f"{made['peak'] >> 10} MiB", f"({made['before'] >> 10} MiB before)"),
        line("  on disk", f"{size / SPOOLED:.0f} B a call"),
        line("open it again", f"{read['opened']:.2f} s", "under 2 s"),
        line("  and filter('refused'), with checksums", f"{read['asked']:.2f} s"),
        line("  peak memory of that process", f"{read['peak'] / 1024:.0f} MiB", "(the mapped file counts)"),
    ]


def lines(n: int = 1_000_000) -> list[str]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = [*recording(), ""]
        trace = Trace.from_recorder(record(n))
        out += [f"{n:,} calls:", *asking(trace), *files(trace, folder), "", *printing(), ""]
        del trace
        return [*out, *comparing(100_000), "", *spooling(folder)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["spool"]:
        spool(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["open"]:
        opening(Path(sys.argv[2]))
    else:
        print("\n".join(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
