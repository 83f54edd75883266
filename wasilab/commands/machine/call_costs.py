"""What a WASI call costs on this machine: wasilab traced and untraced, wasmtime-py's own WASI, Node's, `os.write`.

Hosts take turns, call by call, in one run, so that load affects all of them alike. Each has four figures: its quickest
batch of 500 calls, the least disturbed; the median batch; the mean over all its calls (the median of the rounds), which
is what a program pays; and the CPU time of the process. The ratios are more reliable than the figures.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from os import write as os_write
from pathlib import Path
from typing import Literal

from ...capabilities.host.hostdir import HostDir
from ...grants.grants import Grants
from ...module.module import Module, load
from ...runs import runner
from .bench_guest import BATCH, FILE, WARM, guest

_NODE = """
const { WASI } = require('node:wasi'); const fs = require('fs');
const wasi = new WASI({ version: 'preview1', preopens: { '/d': process.argv[3] }, args: [], env: {} });
WebAssembly.instantiate(fs.readFileSync(process.argv[2]), wasi.getImportObject()).then(r => wasi.start(r.instance));
"""
_WASMTIME = """
import sys, time, wasmtime
config = wasmtime.WasiConfig()
config.preopen_dir(sys.argv[2], "/d")
config.inherit_stdout()
engine = wasmtime.Engine()
linker, store, module = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.Module.from_file(engine, sys.argv[1])
linker.define_wasi()
store.set_wasi(config)
start = linker.instantiate(store, module).exports(store)["_start"]
before = time.process_time_ns()
start(store)
sys.stdout.buffer.write((time.process_time_ns() - before).to_bytes(8, "little"))
"""

Judged = Literal["best", "median", "mean", "cpu"]


@dataclass(frozen=True)
class Times:
    """Nanoseconds of each batch, and of CPU for all together; a CPU time of 0 means unknown."""

    batches: Sequence[int]
    cpu: int


@dataclass
class Figures:
    """What one call costs under one host, in ns per call."""

    batches: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    def add(self, times: Times) -> None:
        """Add one round's times."""
        self.batches += [batch / BATCH for batch in times.batches]
        self.means.append(sum(times.batches) / BATCH / len(times.batches))
        if times.cpu:
            self.cpus.append(times.cpu / BATCH / len(times.batches))

    def judged(self, by: Judged) -> float | None:
        """The figure; None if it is not known."""
        if by == "best":
            return min(self.batches)
        values = {"median": self.batches, "mean": self.means, "cpu": self.cpus}[by]
        return statistics.median(values) if values else None


@dataclass(frozen=True)
class Peer:
    """One host of the comparison."""

    label: str
    count: int
    """Calls made in a round."""
    measure: Callable[[Module, Path, int], Times | None]
    """(guest, folder, calls) -> times; None where the host is absent."""


def ours(*, trace: bool = True, native: bool = True, raw: bool = True, stacks: bool = False) -> Callable[..., Times]:
    """A measurement under wasilab, on a folder granted as rw."""

    def measure(module: Module, folder: Path, count: int) -> Times:
        grants = Grants(dirs={"/d": HostDir(folder, mode="rw")})
        run = runner.run(module, (), grants, trace=trace, native=native, raw=raw, stacks=stacks)
        if not run.outcome.ok:
            raise RuntimeError(f"the benchmark's guest did not end well: {run.outcome.message}")
        return _times(run.stdout_bytes, count)

    return measure


def _times(written: bytes, count: int) -> Times:
    *batches, cpu = memoryview(written[-8 * (count // BATCH + 1) :]).cast("Q")
    return Times(batches, cpu)


def _process(command: Sequence[str | Path], output: Path) -> bytes | None:
    """What a process wrote to stdout, which is a file; None where it failed."""
    with output.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, timeout=300, check=False)
    return output.read_bytes() if done.returncode == 0 else None


def _node(module: Module, folder: Path, count: int) -> Times | None:
    binary = shutil.which("node")
    if binary is None:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        script, program = Path(temporary, "run.cjs"), Path(temporary, "guest.wasm")
        script.write_text(_NODE)
        program.write_bytes(module.bytes)
        written = _process([binary, "--no-warnings", script, program, folder], Path(temporary, "out"))
    return None if written is None else _times(written, count)


def _wasmtime(module: Module, folder: Path, count: int) -> Times | None:
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(temporary, "guest.wasm")
        program.write_bytes(module.bytes)
        written = _process([sys.executable, "-c", _WASMTIME, program, folder], Path(temporary, "out"))
    if written is None:
        return None
    cpu = int.from_bytes(written[-8:], "little") * count // (count + WARM)
    return Times(_times(written[:-8], count).batches, cpu)


def _bare(module: Module, folder: Path, count: int) -> Times:
    """`os.write` of 16 bytes from Python, to a file that grows."""
    data = b"sixteen bytes..."
    batches, cpu = [], time.process_time_ns()
    with tempfile.TemporaryFile(buffering=0) as file:
        fd = file.fileno()
        for _ in range(count // BATCH):
            start = time.perf_counter_ns()
            for _ in range(BATCH):
                os_write(fd, data)
            batches.append(time.perf_counter_ns() - start)
    return Times(batches, time.process_time_ns() - cpu)


TRACED, NODE, WASMTIME, BARE = "wasilab, traced", "node:wasi, no trace", "wasmtime-py's own, no trace", "bare os.write"
PEERS = (
    Peer(TRACED, 30_000, ours()),
    Peer("wasilab, no trace", 30_000, ours(trace=False)),
    Peer("wasilab, traced, --no-native", 10_000, ours(native=False)),
    Peer(NODE, 30_000, _node),
    Peer(WASMTIME, 5_000, _wasmtime),
    Peer(BARE, 30_000, _bare),
)
"""What `wasilab bench` compares."""

Table = dict[str, dict[str, Figures | None]]
"""call -> label of a host -> its figures, None where the host is absent."""


def measure(calls: Sequence[str], rounds: int, peers: Sequence[Peer] = PEERS) -> Iterator[tuple[str, Table]]:
    """Measure `calls` (keys of `CALLS`) in `rounds`; yields the name of each call and the table as it is by then."""
    found: Table = {}
    for call in calls:
        column: dict[str, Figures | None] = {}
        modules = {
            count: load(guest(call, count).encode(), name="bench") for count in {peer.count for peer in peers}
        }
        for _ in range(rounds):
            for peer in peers:
                times = _once(peer, call, modules[peer.count])
                figures = column.setdefault(peer.label, Figures() if times else None)
                if times and figures is not None:
                    figures.add(times)
        found[call] = column
        yield call, found


def _once(peer: Peer, call: str, module: Module) -> Times | None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Growing a file and overwriting one cost differently: writes grow an empty one, as the bare os.write does.
        (folder / FILE).write_bytes(b"" if "write" in call else bytes(16 * (peer.count + 2 * WARM)))
        return peer.measure(module, folder, peer.count)


TITLES: dict[Judged, str] = {
    "best": "ns a call, best of 500 in a row", "median": "ns a call, median of 500 in a row",
    "mean": "ns a call, mean", "cpu": "ns of CPU a call",
}  # fmt: skip


def lines(table: Table, by: Judged) -> list[str]:
    """The table as text for one kind of figure, with wasilab's cost relative to each peer."""
    calls = list(table)
    labels = list(next(iter(table.values())))
    rows = [[TITLES[by], *calls]]
    for label in labels:
        rows.append([label, *(_number(_judged(table[call][label], by)) for call in calls)])
    for label in (NODE, WASMTIME, BARE):
        if label in labels:
            rows.append([f"traced : {label.split(',')[0]}", *(_ratio(table[call], label, by) for call in calls)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _judged(figures: Figures | None, by: Judged) -> float | None:
    return None if figures is None else figures.judged(by)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _ratio(column: dict[str, Figures | None], label: str, by: Judged) -> str:
    own, theirs = _judged(column[TRACED], by), _judged(column[label], by)
    return "-" if not own or not theirs else f"{own / theirs:.2f}x"
