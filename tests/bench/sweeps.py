"""What a sweep costs: CPU time a run beside a plain loop of runs, and memory over many runs.

    python -m tests.bench.sweeps [RUNS]

The program is a module of 1 MB that makes 22 calls. Both ways are measured in turns, and the least of each is shown, so
that other load on the machine disturbs little. The last lines are the memory of a sweep of RUNS runs (10,000).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import wasilab
from tests.engine.guests import imports
from wasilab import Clocks, Grants, MemDir, Random

CALLS = ["path_open", "fd_read", "fd_write", "random_get", "proc_exit", "args_sizes_get", "args_get"]
RUNS, ROUNDS = 60, 20


def program(kib: int = 1024) -> wasilab.Module:
    """A module of `kib` KiB, whose status comes from its randomness."""
    data = "".join(f'(data (i32.const 16384) "{"x" * 1000}")' for _ in range(kib))
    text = f"""(module {imports(*CALLS)} (memory (export "memory") 2) {data} (data (i32.const 64) "a.txt")
    (func (export "_start") (local $i i32)
      (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
      (drop (call $args_get (i32.const 128) (i32.const 512)))
      (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 2)
        (i64.const 0) (i32.const 0) (i32.const 80)))
      (i32.store (i32.const 0) (i32.const 8192)) (i32.store (i32.const 4) (i32.const 1000))
      (loop $next
        (drop (call $fd_read (i32.load (i32.const 80)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
      (drop (call $random_get (i32.const 16) (i32.const 4)))
      (call $proc_exit (i32.and (i32.load (i32.const 16)) (i32.const 3)))))"""
    return wasilab.load(text.encode())


def grants() -> Grants:
    return Grants(dirs={"/d": MemDir({"a.txt": b"0" * 5000})})


def memory() -> float:
    """MB of memory that this process takes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main(many: int) -> None:
    module = program()

    def loop() -> None:
        for seed in range(RUNS):
            given = grants().with_(clocks=Clocks.stepped(1000), random=Random.seeded(seed))
            run = wasilab.run(module, ["x"], given)
            _ = run.exit_code, run.stdout_bytes

    def sweep(calls: bool) -> Callable[[], object]:
        return lambda: wasilab.sweep(module, {"seed": range(RUNS)}, args=["x"], grants=grants(), calls=calls)

    ways = {"a plain loop of wasilab.run": loop, "sweep(calls=False)": sweep(False), "sweep()": sweep(True)}
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            way()
            least[name] = min(least[name], (time.process_time() - began) / RUNS)
    print(f"{len(module.bytes):,} bytes of module; CPU time a run, least of {ROUNDS} rounds of {RUNS}")
    for name, seconds in least.items():
        print(f"  {name:28} {1e3 * seconds:6.2f} ms")

    seen: list[tuple[int, float]] = []

    def note(done: int, of: int) -> None:
        if done % max(many // 5, 1) < 20:
            seen.append((done, memory()))

    print(f"memory over {many:,} runs, MB")
    found = wasilab.sweep(module, {"seed": range(many)}, args=["x"], grants=grants(), progress=note)
    for done, used in seen:
        print(f"  after {done:6,} runs {used:8.1f}")
    print(f"  {found}; {found.calls.stat().st_size:,} bytes of calls.parquet")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
