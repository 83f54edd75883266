"""Memory of a long-lived kernel: what is freed, what moves to a file, and that it can be read again."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import wasilab
from wasilab.runs import runner
from wasilab.runs.kept import KeptTraces
from wasilab.views.interactive import cells

from .lab import REPOSITORY

CALLS = """
import wasilab
def program(calls):
    return wasilab.compile(f'''(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $more
      (drop (call $random (i32.const 0) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const {calls}))))))''', 'wat')
"""
MEASURE = """
import ctypes, gc, os, threading
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
print(int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') >> 20,
      len(os.listdir('/proc/self/fd')), threading.active_count())
"""


def ran(calls: int) -> wasilab.Run:
    names: dict[str, Any] = {}
    exec(CALLS, names)
    return wasilab.run(names["program"](calls))


class Kernel:
    """A kernel whose front end can ask a person, as JupyterLab's does: widgets live in it."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
        )

    def run(self, code: str, *, history: bool = True) -> str:
        texts: list[str] = []
        errors: list[str] = []

        def heard(message: Any) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
            elif message["msg_type"] == "error":
                errors.append("\n".join(content["traceback"]))

        self.client.execute_interactive(
            code, output_hook=heard, allow_stdin=True, store_history=history, timeout=300
        )
        assert not errors, errors[0]
        return "".join(texts)

    def measure(self) -> tuple[int, int, int]:
        """(MiB of memory, descriptors, threads)."""
        memory, descriptors, threads = self.run(MEASURE, history=False).split()
        return int(memory), int(descriptors), int(threads)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    it = Kernel()
    yield it
    it.client.stop_channels()
    it.manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_cell_that_is_run_again_and_again_keeps_one_run(kernel: Kernel) -> None:
    kernel.run(CALLS + "few, many = program(200), program(1_000_000)")
    for _ in range(5):
        kernel.run("wasilab.run(few)")
    base = kernel.measure()
    for _ in range(200):
        kernel.run("wasilab.run(few)")
    small = kernel.measure()
    for _ in range(6):
        kernel.run("wasilab.run(many)")
    large = kernel.measure()
    assert small[0] - base[0] < 30
    assert large[0] - small[0] < 250
    for measured in (small, large):
        assert measured[1] - base[1] <= 4  # a file of `_` or `__` that is mapped
        assert measured[2] <= base[2] + 1
    assert kernel.run("print(len(_.trace), len(__.trace), len(Out))").split() == ["1000000", "1000000", "2"]


@pytest.mark.slow
def test_names_keep_the_newest_and_forget_lets_go(kernel: Kernel) -> None:
    kernel.run("%load_ext wasilab")
    cell = "%%wasi wat --name loop\n" + wat(5000)
    for _ in range(3):
        kernel.run(cell)
    shown = kernel.run("%wasi list")
    assert shown.startswith("loop ")
    assert "exit status 0, trace " in shown
    assert "all traces in memory: " in shown
    kernel.run("%wasi forget loop")
    assert "nothing is named yet" in kernel.run("%wasi list")
    assert "nothing is named 'loop'" in kernel.run("try:\n    get_ipython().run_line_magic('wasi', 'forget loop')\n"
                                                   "except Exception as error:\n    print(error)")  # fmt: skip


def wat(calls: int) -> str:
    names: dict[str, Any] = {}
    exec(CALLS.replace("wasilab.compile(f", "(lambda text, _: text)(f"), names)
    text: str = names["program"](calls)
    return text


def test_a_trace_that_moved_to_a_file_comes_back_complete() -> None:
    run = ran(20_000)
    run.trace.note(5, "look here")
    before, text = run.trace[:100].text(), run.trace.summary()
    weight = run.weight
    assert weight > 20_000 * 64
    run.unload()
    run.unload()
    assert run.weight == 0
    assert run.traced
    assert len(run.trace) == 20_000
    assert run.trace.notes == [(5, 5, "look here")]
    assert run.trace.summary().rows == text.rows
    assert run.trace.meta["exit_code"] == 0
    assert run.trace[:100].text() == before
    run.unload()
    assert run.trace.notes == [(5, 5, "look here")]


def test_over_the_budget_the_oldest_moves_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptTraces(lambda: 3_000_000)
    for module in ("wasilab.runs.run", "wasilab.runs.runner"):
        monkeypatch.setattr(f"{module}.KEPT", kept)
    runs = [ran(10_000) for _ in range(5)]
    for run in runs:
        assert len(run.trace) == 10_000
    kept.make_room()
    assert runs[0].weight == 0
    assert runs[-1].weight > 0
    assert kept.weight() <= 3_000_000
    assert len(runs[0].trace) == 10_000
    kept.make_room()
    assert runs[0].weight > 0, "it was looked at last"


def test_the_file_goes_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptTraces()
    monkeypatch.setattr("wasilab.runs.run.KEPT", kept)
    run: Any = ran(100)
    run.unload()
    folder = kept.new_file().parent
    assert len(list(folder.iterdir())) == 1
    assert folder.stat().st_mode & 0o077 == 0
    alive = weakref.ref(run)
    del run
    gc.collect()
    assert alive() is None
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_costs_no_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = ran(100)
    kept = KeptTraces()
    monkeypatch.setattr(kept, "new_file", lambda: Path("/dev/full"))
    monkeypatch.setattr("wasilab.runs.run.KEPT", kept)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    run.unload()
    assert run.weight > 0
    assert len(run.trace) == 100


def test_clearing_out_frees_a_value_but_not_what_the_user_named() -> None:
    value = object()
    names = {"_oh": {3: value, 4: 1}, "_3": value, "_4": 1, "_": value, "mine": value}
    cells.forget_output(SimpleNamespace(user_ns=names), value)
    assert names == {"_oh": {4: 1}, "_4": 1, "_": value, "mine": value}


def test_a_run_is_let_go_of_with_its_last_name() -> None:
    alive = weakref.ref(runner.run(ran(10).module))
    gc.collect()
    assert alive() is None
