"""What a whole `wasilab run hello.wasm` costs beside its peers, in CPU time of the process, start to end.

The processes take turns, so that a busy machine blurs them alike, and each is judged by its best and its median. The
bytecode is cached, as it is from the second start on.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import wasmtime

HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00") (data (i32.const 16) "hello\\n")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
WASMTIME_PY = """
import sys, wasmtime
engine = wasmtime.Engine(); store = wasmtime.Store(engine); linker = wasmtime.Linker(engine); linker.define_wasi()
wasi = wasmtime.WasiConfig(); wasi.inherit_stdout(); store.set_wasi(wasi)
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1]))
instance.exports(store)["_start"](store)
"""
NODE = """
const { WASI } = require('node:wasi'); const fs = require('fs');
const wasi = new WASI({ version: 'preview1', args: [], env: {} });
WebAssembly.instantiate(fs.readFileSync(process.argv[2]), wasi.getImportObject()).then(r => wasi.start(r.instance));
"""


def cpu_ms(command: Sequence[str], environment: dict[str, str]) -> float:
    """User and system milliseconds of one process."""
    out = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    os.close(out)
    _, status, used = os.wait4(pid, 0)
    assert status == 0, command
    return 1000 * (used.ru_utime + used.ru_stime)


def lines(rounds: int = 9) -> list[str]:
    """The figures as text."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder, "hello.wasm")
        hello.write_bytes(wasmtime.wat2wasm(HELLO))
        Path(folder, "peer.py").write_text(WASMTIME_PY)
        Path(folder, "peer.js").write_text(NODE)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "wasmtime-py script": [sys.executable, f"{folder}/peer.py", str(hello)],
            "wasilab run": [sys.executable, "-m", "wasilab", "run", str(hello)],
        }
        node = shutil.which("node")
        if node is not None:
            commands["node script"] = [node, "--no-warnings", f"{folder}/peer.js", str(hello)]
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                took = cpu_ms(command, environment)
                if turn:
                    times[name].append(took)
    found = ["start to end of hello.wasm, CPU of the process (best, median):"]
    for name, taken in times.items():
        found.append(f"  {name:20}{min(taken):7.0f} ms{statistics.median(taken):7.0f} ms")
    ours, peer = times["wasilab run"], times["wasmtime-py script"]
    found.append(
        f"  wasilab : wasmtime-py {min(ours) / min(peer):.1f} by the best, "
        f"{statistics.median(ours) / statistics.median(peer):.1f} by the median"
    )
    return found


if __name__ == "__main__":
    print("\n".join(lines()))
