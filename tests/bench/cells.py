"""From Enter to report: WAT, C, Rust and Go cells in a real kernel, and what the alternatives take for the same.

`python -m tests.bench.cells [ROUNDS]` prints the table alone; `python -m tests.bench` prints it among the others. A
cell is timed from the message that asks for it to the message that carries its report, and inside the kernel it is
split: parse (the line), compile (the language's compiler, or wasilab's compile cache), Cranelift (Wasmtime), run (the
guest), report (text, HTML, picture, widget); the rest is the kernel's own and the messages. "Cold" is the first cell of
a kernel with an empty compile cache (the compilers' own libraries are built already), "changed" a source never seen
before, "unchanged" the same cell again. Of several rounds the quickest counts, because the machine may be busy; the
kernel's CPU time stands beside the wall time for the same reason. Nothing here asserts a time.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCES = {
    "wat": """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello STAMP\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 26))
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
""",
    "c": '#include <stdio.h>\nint main(void) { printf("hello STAMP\\n"); return 0; }\n',
    "rust": 'fn main() { println!("hello STAMP"); }\n',
    "go": 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello STAMP") }\n',
}
"""A hello in each language; STAMP makes a source that was never seen."""
PARTS = ("parse", "compile", "cranelift", "run", "report")
CELLS_A_ROUND = ("changed", "unchanged")

Split = dict[str, float]
"""Milliseconds by part, with "wall" (as the front end sees it) and "cpu" (the kernel's process)."""

RUNNER = """
import sys, wasmtime
config = wasmtime.Config(); config.cache = True
engine = wasmtime.Engine(config); linker = wasmtime.Linker(engine); linker.define_wasi()
store = wasmtime.Store(engine); wasi = wasmtime.WasiConfig(); wasi.inherit_stdout(); store.set_wasi(wasi)
start = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1])).exports(store)["_start"]
try:
    start(store)
except wasmtime.ExitTrap as trap:
    sys.exit(trap.code)
"""
"""What a person would write to run a module by wasmtime-py."""


# --- inside the kernel ---------------------------------------------------------------------------------------------

_spent: Split = {}


@contextmanager
def _timed(part: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        _spent[part] = _spent.get(part, 0.0) + 1000 * (time.perf_counter() - start)


def _wrapped(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **more: Any) -> Any:
        with _timed(part):
            return function(*args, **more)

    return timed


def watch() -> None:
    """Let the parts of every cell of this kernel be timed; called in the kernel, before its first `%%wasi`."""
    from IPython import get_ipython

    import wasilab.magics.cells.cell as cell
    from wasilab.runs.run import Run

    cell.split = _wrapped("parse", cell.split)
    cell.parse_cell = _wrapped("parse", cell.parse_cell)
    cell.compile_text = _wrapped("compile", cell.compile_text)
    inner = cell.run_module

    def run_module(*args: Any, **more: Any) -> Any:
        done = inner(*args, **more)
        _spent["cranelift"] = 1000 * done.value.outcome.compile_seconds
        _spent["run"] = 1000 * done.value.outcome.seconds
        return done

    cell.run_module = run_module
    Run._ipython_display_ = _wrapped("report", Run._ipython_display_)
    begun = [0.0]

    def before(info: Any) -> None:
        begun[0] = time.process_time()

    def after(result: Any) -> None:
        if _spent:
            _spent["cpu"] = 1000 * (time.process_time() - begun[0])

    get_ipython().events.register("pre_run_cell", before)
    get_ipython().events.register("post_run_cell", after)


def spent() -> Split:
    """The parts of the last cell, and forget them."""
    found = dict(_spent)
    _spent.clear()
    return found


# --- outside -------------------------------------------------------------------------------------------------------


class Bench:
    """A kernel whose cells are timed, with a compile cache of its own that begins empty."""

    def __init__(self, cache: str, *, watched: bool = True) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager()
        home = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        env = {**os.environ, "PYTHONPATH": paths, "WASILAB_CACHE_DIR": cache}
        self._manager.start_kernel(env=env, stderr=subprocess.DEVNULL)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=120)
        self.run("%load_ext wasilab")
        if watched:
            self.run("import tests.bench.cells as bench; bench.watch()")

    def run(self, code: str) -> tuple[float, str, str]:
        """(milliseconds until the last output, text of the value, the error) of a cell."""
        start = time.perf_counter()
        asked = self._client.execute(code, allow_stdin=True)  # as for a person: with the live timeline
        text, error, last = "", "", 0.0
        while True:
            message = self._client.get_iopub_msg(timeout=600)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind in ("execute_result", "display_data", "stream", "error"):
                last = 1000 * (time.perf_counter() - start)
            if kind == "execute_result":
                text = content["data"]["text/plain"]
            elif kind == "error":
                error = content["evalue"]
            elif kind == "status" and content["execution_state"] == "idle":
                self._client.get_shell_msg(timeout=60)
                return last, text, error

    def cell(self, line: str, body: str) -> Split | str:
        """A `%%wasi` cell, split; or why it did not run."""
        wall, _, error = self.run(f"%%wasi {line}\n{body}")
        if error:
            return error.splitlines()[0]
        found: Split = ast.literal_eval(self.run("bench.spent()")[1])
        return {**found, "wall": wall}

    def close(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def stamped(text: str) -> str:
    """`text` with a number in it that was never there before (19 digits)."""
    return text.replace("STAMP", str(time.time_ns()))


def quickest(found: list[Split]) -> Split:
    """The round with the least wall time; its CPU time is the least of all rounds."""
    best = min(found, key=lambda one: one["wall"])
    return {**best, "cpu": min(one["cpu"] for one in found)}


def by_hand(lang: str, body: str) -> tuple[float, float]:
    """Milliseconds of the same compiler with the same flags, and of wasmtime-py in a process of its own."""
    from wasilab.toolchains.base import Job
    from wasilab.toolchains.registry import toolchain_for

    toolchain = toolchain_for(lang)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = Job(body, toolchain.file_name("hello"), toolchain.tune(()), {}, folder)
        job.source_path.write_text(body)
        start = time.perf_counter()
        if lang == "wat":
            job.output_path.write_text(body)  # wasmtime-py reads the text itself
        else:
            command = toolchain.command(toolchain.find(), job)
            env = {key: value for key, value in {**os.environ, **command.env}.items() if value is not None}
            subprocess.run(command.argv, cwd=command.cwd, env=env, check=True, capture_output=True)
        compiled = time.perf_counter()
        subprocess.run([sys.executable, "-c", RUNNER, str(job.output_path)], check=True, capture_output=True)
        return 1000 * (compiled - start), 1000 * (time.perf_counter() - compiled)


def first_cell(pause: float) -> str:
    """The first cell of a kernel, `pause` seconds after `%load_ext`: imports and all, unless they came ahead of it."""
    with tempfile.TemporaryDirectory() as cache:
        bench = Bench(cache, watched=False)
        try:
            time.sleep(pause)
            wall, _, error = bench.run(f"%%wasi wat\n{stamped(SOURCES['wat'])}")
        finally:
            bench.close()
    return f"the first cell of a kernel, wat, {pause:g} s after %load_ext: {error or f'{wall:.0f} ms'}"


def cython(bench: Bench, rounds: int) -> str:
    """`%%cython` for a hello, the quickest of several changed cells; or that it is not there."""
    if bench.run("%load_ext Cython")[2]:
        return "%%cython hello: absent (Cython is not installed)"
    walls = []
    for _ in range(rounds):
        wall, _, error = bench.run(stamped('%%cython\nprint("hello STAMP")\n'))
        if error:
            return f"%%cython hello: {error.splitlines()[0]}"
        walls.append(wall)
    return f"%%cython hello, changed: {min(walls):.0f} ms"


def lines(rounds: int = 5) -> list[str]:
    """The figures as text."""
    found = [
        f"{'Enter to report, ms':<22}{'wall':>8}{'cpu':>8}" + "".join(f"{part:>11}" for part in PARTS) + f"{'rest':>8}"
    ]
    with tempfile.TemporaryDirectory() as cache:
        bench = Bench(cache)
        try:
            for lang, source in SOURCES.items():
                found += _language(bench, lang, source, rounds)
            found.append(cython(bench, min(rounds, 3)))
        finally:
            bench.close()
    found += [first_cell(pause) for pause in (0.0, 3.0)]
    for lang, source in SOURCES.items():
        try:
            pairs = [by_hand(lang, stamped(source)) for _ in range(min(rounds, 3))]
        except Exception as error:  # noqa: BLE001  (a compiler that is missing or fails: the other figures are kept)
            found.append(f"{lang} by hand: {str(error).splitlines()[0]}")
            continue
        compiled, ran = (min(column) for column in zip(*pairs, strict=True))
        found.append(
            f"{lang} by hand, changed: {compiled + ran:.0f} ms = {compiled:.0f} compiler + {ran:.0f} wasmtime-py"
        )
    return found


def _language(bench: Bench, lang: str, source: str, rounds: int) -> Iterator[str]:
    cold = bench.cell(lang, stamped(source))
    if isinstance(cold, str):
        yield f"{lang}: {cold}"
        return
    yield row(f"{lang}, cold", cold)
    taken: dict[str, list[Split]] = {kind: [] for kind in CELLS_A_ROUND}
    for _ in range(rounds):
        body = stamped(source)
        for kind in CELLS_A_ROUND:
            split = bench.cell(lang, body)
            assert not isinstance(split, str), split
            taken[kind].append(split)
    for kind, splits in taken.items():
        yield row(f"{lang}, {kind}", quickest(splits))


def row(label: str, split: Split) -> str:
    """One line of the table."""
    parts = [split.get(part, 0.0) for part in PARTS]
    rest = max(split["wall"] - sum(parts), 0.0)
    return (
        f"{label:<22}{split['wall']:>8.0f}{split['cpu']:>8.0f}"
        + "".join(f"{p:>11.1f}" for p in parts)
        + f"{rest:>8.1f}"
    )


if __name__ == "__main__":
    print("\n".join(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
