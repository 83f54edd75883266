"""What the native path gives beside the price of a call: `python -m tests.bench.native` prints it in one run.

Growth with the number of calls, of descriptors and of granted folders; memory; how soon a revocation and an interrupt
are in force while the guest only makes native calls; guests side by side. CPU is the process's. The calls that Python
answers are in `left_to_python.py`. Nothing here asserts a time.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.engine.limits import Limits
from wasilab.grants.grants import Grants
from wasilab.module.module import Module, load
from wasilab.runs.run import Run
from wasilab.runs.runner import run

_IMPORTS = {
    "clock_time_get": "i32 i64 i32", "fd_tell": "i32 i32", "fd_read": "i32 i32 i32 i32", "fd_close": "i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32", "path_filestat_get": "i32 i32 i32 i32 i32",
}  # fmt: skip
_CLOCK = "(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8))"
_OPEN = (
    "(call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i64.const 38)"
    " (i64.const 0) (i32.const 0) (i32.const 16))"
)


def guest(call: str, count: int, before: str = "") -> Module:
    """A program that makes `call` so often (0: without end), after `before`; the fd of a file named `a` is in $fd."""
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {words}) (result i32)))'
        for name, words in _IMPORTS.items()
    )
    again = "(br $again)" if not count else "(br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))"
    return load(
        f"""(module {imports} (memory (export "memory") 1) (data (i32.const 64) "a")
        (func (export "_start") (local $i i32) (local $fd i32)
          {before} (local.set $fd (i32.load (i32.const 16)))
          (i32.store (i32.const 32) (i32.const 128)) (i32.store (i32.const 36) (i32.const 1))
          (local.set $i (i32.const {count})) (loop $again (drop {call}) {again})))""".encode()
    )


def cpu(module: Module, grants: Grants, *, trace: bool = True, native: bool = True) -> tuple[float, Run]:
    """Seconds of CPU of a run."""
    start = time.process_time()
    done = run(module, (), grants, trace=trace, native=native)
    took = time.process_time() - start
    assert done.outcome.ok, done.outcome
    return took, done


def calls_and_text() -> Iterator[str]:
    """Growth with the number of calls; what of it 200 lines of text cost."""
    yield "clock_time_get, traced: CPU ns a call beyond the first thousand, bytes kept, CPU ms for 200 lines of text"
    start = min(cpu(guest(_CLOCK, 1000), Grants())[0] for _ in range(3))
    for count in (10**4, 10**5, 10**6, 10**7, 3 * 10**7):
        took, done = cpu(guest(_CLOCK, count), Grants())
        recorder = done.recorder
        assert recorder is not None
        shown = time.process_time()
        done.trace.text(limit=200)
        shown = time.process_time() - shown
        yield (
            f"  {count:>11,} calls: {1e9 * (took - start) / (count - 1000):6.0f} ns, {recorder.nbytes():>12,} bytes, "
            f"{recorder.dropped:,} dropped, text {1000 * shown:.1f} ms"
        )


def descriptors_and_folders() -> Iterator[str]:
    """Growth with open descriptors and with granted folders."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a").write_bytes(b"a" * 100)
        for many in (3, 30, 300, 990):
            module = guest("(call $fd_tell (local.get $fd) (i32.const 8))", 200_000, f"(drop {_OPEN})" * (many - 2))
            took, _ = cpu(module, Grants(dirs={"/d": HostDir(name)}, limits=Limits(fds=1000)))
            yield f"  fd_tell, {many:>4} descriptors: {1e9 * took / 200_000:6.0f} ns of CPU a call, start included"
        look = "(call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))"
        for many in (1, 10, 100, 900):
            folders = {f"/{number}": HostDir(name) for number in range(many)}
            took, _ = cpu(guest(look, 100_000), Grants(dirs=folders, limits=Limits(fds=1000)))
            yield f"  path_filestat_get, {many:>4} folders: {1e9 * took / 100_000:6.0f} ns of CPU, start included"


def endings(rounds: int = 15) -> Iterator[str]:
    """How soon a revocation and an interrupt are in force."""
    taken: dict[str, list[float]] = {"revoke": [], "interrupt": []}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a").write_bytes(b"a" * 100)
        reading = "(call $fd_read (local.get $fd) (i32.const 32) (i32.const 1) (i32.const 8))"
        refused = f"(if {reading} (then unreachable)) (i32.const 0)"
        module = guest(f"(block (result i32) {refused})", 0, f"(drop {_OPEN})")
        for _ in range(rounds):
            going = run(module, (), Grants(dirs={"/d": HostDir(name)}), detach=True)
            while not len(going.trace):
                time.sleep(0.01)
            time.sleep(0.05)
            start = time.perf_counter()
            going.live.revoke("/d")
            taken["revoke"].append(time.perf_counter() - start)
            at = time.perf_counter_ns()
            going.wait(10)
            assert going.outcome.kind == "trap", going.outcome
            (last,) = going.trace[-1:].column("t_start").tolist()
            recorder = going.recorder
            assert recorder is not None
            taken["revoke"][-1] += max(0.0, (recorder.origin_ns + last - at) / 1e9)
        for _ in range(rounds):
            going = run(guest(_CLOCK, 0), (), Grants(), detach=True)
            while not len(going.trace):
                time.sleep(0.01)
            start = time.perf_counter()
            going.stop(10)
            taken["interrupt"].append(time.perf_counter() - start)
    for what, seconds in taken.items():
        yield f"  {what} in a loop of native calls: {1000 * min(seconds):.2f} ms at best, " + (
            f"{1000 * statistics.median(seconds):.2f} ms median, {1000 * max(seconds):.2f} ms at worst"
        )


def side_by_side() -> Iterator[str]:
    """Wall time a call of all guests together, in threads."""
    count = 2_000_000
    module = guest(_CLOCK, count)
    run(module, (), Grants())
    for guests in (1, 2, 4):
        threads = [threading.Thread(target=run, args=(module, (), Grants())) for _ in range(guests)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - start
        each = 1e9 * took / guests / count
        yield f"  {guests} guests of {count:,} clock_time_get: {took:.2f} s, {each:.0f} ns a call of all together"


if __name__ == "__main__":
    for part in (descriptors_and_folders, endings, side_by_side, calls_and_text):
        for line in part():
            print(line, flush=True)
