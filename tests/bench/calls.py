"""What a WASI call costs: wasilab traced and untraced, wasmtime-py's own WASI, Node's; and a bare os.write for scale.

`python -m tests.bench` from the repository's root prints the table. Hosts take turns, call by call, in one run, so
that a busy machine blurs all of them alike. Each is judged twice: by the mean over all its calls (the median of the
rounds), which is what a program pays, and by its quickest batch of 500 calls, which nothing disturbed. Trust the
ratios. Nothing here asserts a time.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import wasmtime

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.streams import CallbackOutput
from wasilab.engine.limits import Limits
from wasilab.engine.worker import execute
from wasilab.module.module import load
from wasilab.trace.record.recorder import Recorder
from wasilab.wasi.host import Host

from .guests import BATCH, CALLS, FILE, guest

_NODE = """
const { WASI } = require('node:wasi'); const fs = require('fs');
const wasi = new WASI({ version: 'preview1', preopens: { '/d': process.argv[3] }, args: [], env: {} });
WebAssembly.instantiate(fs.readFileSync(process.argv[2]), wasi.getImportObject()).then(r => wasi.start(r.instance));
"""

Times = tuple[int, int]
"""Nanoseconds of the guest's quickest batch, and of all its batches together."""
Measure = Callable[[bytes, Path], Times | None]
"""(wasm, folder) -> times, None where the host is absent."""


def _times(written: bytes) -> Times:
    quickest, total = struct.unpack("<QQ", written)
    return quickest, total


def wasilab(wasm: bytes, folder: Path, *, traced: bool, raw: bool = True, stacks: bool = False) -> Times:
    """Under wasilab's host, over a HostDir granted rw."""
    out = bytearray()
    host = Host(
        preopens={"/d": HostDir(str(folder), mode="rw")}, stdout=CallbackOutput(out.extend), clocks=Clocks.real()
    )
    recorder = Recorder(budget_bytes=1 << 30, stacks=stacks) if traced else None
    outcome = execute(load(wasm), host, recorder, Limits(bytes_written=None), raw=raw)
    host.close()
    assert outcome.ok, outcome
    return _times(bytes(out))


def wasmtime_own(wasm: bytes, folder: Path) -> Times:
    """Under the WASI that comes with wasmtime-py."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    config = wasmtime.WasiConfig()
    config.preopen_dir(str(folder), "/d")
    out = folder / "out.bin"
    config.stdout_file = str(out)
    store.set_wasi(config)
    start = linker.instantiate(store, wasmtime.Module(engine, wasm)).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    start(store)
    store.close()
    return _times(out.read_bytes())


def node(wasm: bytes, folder: Path) -> Times | None:
    """Under Node's `node:wasi`, None where there is no Node."""
    binary = shutil.which("node")
    if binary is None:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        script, program = Path(temporary, "run.cjs"), Path(temporary, "guest.wasm")
        script.write_text(_NODE)
        program.write_bytes(wasm)
        done = subprocess.run(
            [binary, "--no-warnings", script, program, folder], capture_output=True, check=False, timeout=300
        )
    return _times(done.stdout) if len(done.stdout) == 16 else None


def os_write(count: int) -> Times:
    """`count` calls of `os.write` with 16 bytes to a growing file, from Python."""
    with tempfile.TemporaryFile(buffering=0) as file:
        fd, data, write = file.fileno(), b"sixteen bytes...", os.write
        best, total = 1 << 62, 0
        for _ in range(count // BATCH):
            start = time.perf_counter_ns()
            for _ in range(BATCH):
                write(fd, data)
            took = time.perf_counter_ns() - start
            best, total = min(best, took), total + took
        return best, total


HOSTS: dict[str, tuple[Measure, int]] = {
    "wasilab traced": (lambda w, f: wasilab(w, f, traced=True), 30_000),
    "wasilab untraced": (lambda w, f: wasilab(w, f, traced=False), 30_000),
    "wasmtime-py's own": (wasmtime_own, 5_000),
    "node:wasi": (node, 30_000),
    "traced, public API": (lambda w, f: wasilab(w, f, traced=True, raw=False), 5_000),
    "traced, with stacks": (lambda w, f: wasilab(w, f, traced=True, stacks=True), 5_000),
}
"""Label -> (measurement, calls made)."""


@dataclass
class Figures:
    """What one call costs under one host, in ns a call; `quickest` is of 500 calls in a row."""

    quickest: float = 1e18
    means: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The median of the rounds' means."""
        return statistics.median(self.means)

    def add(self, times: Times, count: int) -> None:
        """Take one round's times of `count` calls into account."""
        self.quickest = min(self.quickest, times[0] / BATCH)
        self.means.append(times[1] / (count // BATCH * BATCH))


OS_WRITE = "bare os.write 16 B"


def measure(call: str, rounds: int) -> dict[str, Figures | None]:
    """What a call costs under each host, and a bare os.write, in `rounds` in which the hosts take turns."""
    found: dict[str, Figures | None] = {}
    programs = {label: bytes(wasmtime.wat2wasm(guest(call, count))) for label, (_, count) in HOSTS.items()}
    for _ in range(rounds):
        for label, (run, count) in HOSTS.items():
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                # Growing a file and overwriting one cost differently: writes grow an empty one, as the bare
                # os.write does.
                (folder / FILE).write_bytes(b"" if "write" in call else bytes(16 * (count + 4000)))
                _add(found, label, run(programs[label], folder), count)
        _add(found, OS_WRITE, os_write(30_000), 30_000)
    return found


def _add(found: dict[str, Figures | None], label: str, times: Times | None, count: int) -> None:
    if times is None:
        found[label] = None
        return
    figures = found.get(label) or Figures()
    figures.add(times, count)
    found[label] = figures


def table(rounds: int = 7) -> list[str]:
    """The two tables of all calls under all hosts, as lines of text."""
    columns = [measure(call, rounds) for call in CALLS]
    mean = _table("ns per call, mean of all", columns, lambda figures: figures.mean)
    quickest = _table("ns per call, quickest batch", columns, lambda figures: figures.quickest)
    return [*mean, "", *quickest]


def _table(title: str, columns: list[dict[str, Figures | None]], pick: Callable[[Figures], float]) -> list[str]:
    lines = [f"{title:<30}" + "".join(f"{call:>19}" for call in CALLS)]

    def value(column: dict[str, Figures | None], label: str) -> float | None:
        figures = column[label]
        return None if figures is None else pick(figures)

    for label in columns[0]:
        cells = [value(column, label) for column in columns]
        lines.append(f"{label:<30}" + "".join(f"{'absent' if v is None else format(v, ',.0f'):>19}" for v in cells))
    for base in ("wasmtime-py's own", "node:wasi", OS_WRITE):
        ratios = []
        for column in columns:
            ours, theirs = value(column, "wasilab traced"), value(column, base)
            ratios.append("absent" if ours is None or theirs is None else f"{ours / theirs:.2f}x")
        lines.append(f"{'traced : ' + base:<30}" + "".join(f"{ratio:>19}" for ratio in ratios))
    costs = [(value(c, "wasilab traced") or 0) - (value(c, "wasilab untraced") or 0) for c in columns]
    lines.append(f"{'recording adds':<30}" + "".join(f"{cost:>+19,.0f}" for cost in costs))
    return lines


def bytes_per_event(count: int = 200_000) -> dict[str, float]:
    """Bytes of trace memory for one recorded event, by call."""
    found = {}
    for call in CALLS:
        recorder = Recorder(budget_bytes=1 << 30)
        with tempfile.TemporaryDirectory() as temporary:
            (Path(temporary) / FILE).write_bytes(bytes(16 * (count + 4000)))
            host = Host(
                preopens={"/d": HostDir(temporary, mode="rw")},
                stdout=CallbackOutput(lambda data: None),
                clocks=Clocks.real(),
            )
            wasm = bytes(wasmtime.wat2wasm(guest(call, count)))
            assert execute(load(wasm), host, recorder, Limits(bytes_written=None)).ok
            host.close()
        found[call] = recorder.nbytes() / len(recorder)
    return found
