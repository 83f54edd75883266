"""What is prepared after `%load_ext`: never while a cell runs, without output, and only in interactive sessions."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pretend_zig import PretendZig, ended
from tests.waiting import until
from wasilab.magics.preload import Preload, wanted

from .conftest import Kernel


def test_a_cell_that_is_already_sent_runs_first() -> None:
    done: list[str] = []
    preload = Preload(lambda: done.append("worked"), pause=60.0)
    preload.begin()
    preload.wait()
    preload.wait()
    assert done == []


def test_a_cell_waits_for_what_has_begun() -> None:
    begun, free, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        free.wait()
        done.append("worked")

    preload = Preload(work, pause=0.0)
    preload.begin()
    begun.wait()
    threading.Timer(0.05, free.set).start()
    preload.wait()
    assert done == ["worked"]


def test_a_failed_preload_is_left_to_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, untold = threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", untold.append)

    def work() -> None:
        tried.set()
        raise ImportError("no such thing")

    preload = Preload(work, pause=0.0)
    preload.begin()
    tried.wait()
    preload.wait()
    assert untold == []


def test_without_begin_a_cell_waits_for_nothing() -> None:
    done: list[str] = []
    Preload(lambda: done.append("worked")).wait()
    assert done == []


def test_it_is_for_kernels_and_prompts() -> None:
    assert wanted(SimpleNamespace(kernel=object()))
    assert wanted(SimpleNamespace(pt_app=object()))
    assert not wanted(SimpleNamespace(kernel=None, pt_app=None))
    assert not wanted(SimpleNamespace())


@pytest.mark.kernel
def test_a_kernel_preloads_silently(kernel: Kernel) -> None:
    asked = (
        "import sys, threading, time\n"
        "while any(t.name == 'wasilab-preload' for t in threading.enumerate()): time.sleep(0.05)\n"
        "[name in sys.modules"
        " for name in ('wasilab.views.report.report', 'wasilab.views.interactive.widget', 'elftools', 'matplotlib')]"
    )
    done = kernel.run(asked)
    assert done.text == "[True, True, True, False]"
    assert (done.stdout, done.stderr, done.displays) == ("", "", [])
    assert kernel.run("%wasi list").stdout.startswith("nothing is named yet")


@pytest.mark.kernel
@pytest.mark.procfs
def test_a_kernel_builds_the_c_library_meanwhile_and_stops_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zig = PretendZig(tmp_path)
    for name, value in zig.variables.items():
        monkeypatch.setenv(name, value)
    kernel = Kernel()
    try:
        assert kernel.run("import wasilab").status == "ok"
        assert zig.started == []
        assert kernel.run("%load_ext wasilab").status == "ok"
        until(lambda: zig.started)
        done = kernel.run('%%wasi wat\n(module (func (export "_start")))')  # nothing waits for it
        assert done.status == "ok"
        assert len(zig.started) == 1
        assert not ended(zig.started[0])
    finally:
        kernel.close()
    until(lambda: ended(zig.started[0]))


def test_a_command_builds_no_library_of_another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zig = PretendZig(tmp_path)
    for name, value in zig.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a.wat").write_text('(module (func (export "_start")))')
    subprocess.run([sys.executable, "-m", "wasilab", "run", str(tmp_path / "a.wat")], check=True)
    assert zig.started == []
