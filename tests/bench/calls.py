"""What a WASI call costs: wasilab traced and untraced, wasmtime-py's own WASI, Node's; and a bare os.write for scale.

`python -m tests.bench` from the repository's root prints the table. Hosts take turns, call by call, in one run, so
that a busy machine blurs all of them alike, and each is judged by its quickest batch of 500 calls: trust the ratios.
Nothing here asserts a time.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import wasmtime

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.hostdir import HostDir
from wasilab.capabilities.streams import CallbackOutput
from wasilab.engine.limits import Limits
from wasilab.engine.worker import execute
from wasilab.module import load
from wasilab.trace.record import Recorder
from wasilab.wasi.host import Host

from .guests import BATCH, CALLS, FILE, guest

_NODE = """
const { WASI } = require('node:wasi'); const fs = require('fs');
const wasi = new WASI({ version: 'preview1', preopens: { '/d': process.argv[3] }, args: [], env: {} });
WebAssembly.instantiate(fs.readFileSync(process.argv[2]), wasi.getImportObject()).then(r => wasi.start(r.instance));
"""

Measure = Callable[[bytes, Path], int | None]
"""(wasm, folder) -> nanoseconds of the guest's quickest batch, None where the host is absent."""


def wasilab(wasm: bytes, folder: Path, *, traced: bool, raw: bool = True, stacks: bool = False) -> int:
    """Under wasilab's host, over a HostDir granted rw."""
    out = bytearray()
    host = Host(
        preopens={"/d": HostDir(str(folder), mode="rw")}, stdout=CallbackOutput(out.extend), clocks=Clocks.real()
    )
    recorder = Recorder(budget_bytes=1 << 30, stacks=stacks) if traced else None
    outcome = execute(load(wasm), host, recorder, Limits(bytes_written=None), raw=raw)
    host.close()
    assert outcome.ok, outcome
    return struct.unpack("<Q", out)[0]


def wasmtime_own(wasm: bytes, folder: Path) -> int:
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
    return int(struct.unpack("<Q", out.read_bytes())[0])


def node(wasm: bytes, folder: Path) -> int | None:
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
    return int(struct.unpack("<Q", done.stdout)[0]) if len(done.stdout) == 8 else None


def os_write(count: int) -> float:
    """ns of one `os.write` of 16 bytes to a growing file, called from Python: of the quickest batch, too."""
    with tempfile.TemporaryFile(buffering=0) as file:
        fd, data, write = file.fileno(), b"sixteen bytes...", os.write
        best = 1 << 62
        for _ in range(count // BATCH):
            start = time.perf_counter_ns()
            for _ in range(BATCH):
                write(fd, data)
            best = min(best, time.perf_counter_ns() - start)
        return best / BATCH


HOSTS: dict[str, tuple[Measure, int]] = {
    "wasilab traced": (lambda w, f: wasilab(w, f, traced=True), 30_000),
    "wasilab untraced": (lambda w, f: wasilab(w, f, traced=False), 30_000),
    "wasmtime-py's own": (wasmtime_own, 5_000),
    "node:wasi": (node, 30_000),
    "traced, public API": (lambda w, f: wasilab(w, f, traced=True, raw=False), 5_000),
    "traced, with stacks": (lambda w, f: wasilab(w, f, traced=True, stacks=True), 5_000),
}
"""Label -> (measurement, calls made)."""


def measure(call: str, rounds: int) -> dict[str, float | None]:
    """ns per call under each host, and of a bare os.write: the best of `rounds`, in which the hosts take turns."""
    best: dict[str, float | None] = {}
    programs = {label: bytes(wasmtime.wat2wasm(guest(call, count))) for label, (_, count) in HOSTS.items()}
    for _ in range(rounds):
        for label, (run, count) in HOSTS.items():
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                # Growing a file and overwriting one cost differently: writes grow an empty one, as the bare
                # os.write does.
                (folder / FILE).write_bytes(b"" if "write" in call else bytes(16 * (count + 4000)))
                elapsed = run(programs[label], folder)
            best[label] = None if elapsed is None else min(best.get(label) or 1e18, elapsed / BATCH)
        best["bare os.write 16 B"] = min(best.get("bare os.write 16 B") or 1e18, os_write(30_000))
    return best


def table(rounds: int = 7) -> list[str]:
    """The table of all calls under all hosts, as lines of text."""
    lines = [f"{'ns per call':<30}" + "".join(f"{call:>19}" for call in CALLS)]
    columns = [measure(call, rounds) for call in CALLS]
    for label in columns[0]:
        cells = [column[label] for column in columns]
        lines.append(f"{label:<30}" + "".join(f"{'absent' if v is None else format(v, ',.0f'):>19}" for v in cells))
    for base in ("wasmtime-py's own", "node:wasi", "bare os.write 16 B"):
        ratios = []
        for column in columns:
            ours, theirs = column["wasilab traced"], column[base]
            ratios.append("absent" if ours is None or theirs is None else f"{ours / theirs:.2f}x")
        lines.append(f"{'traced : ' + base:<30}" + "".join(f"{ratio:>19}" for ratio in ratios))
    costs = [(c["wasilab traced"] or 0) - (c["wasilab untraced"] or 0) for c in columns]
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
