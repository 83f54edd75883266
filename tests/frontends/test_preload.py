"""What is made ready after `%load_ext`: never beside a cell, never seen, and nothing without somebody who types."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

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
        " for name in ('wasilab.views.report.report', 'wasilab.views.interactive.widget', 'matplotlib')]"
    )
    done = kernel.run(asked)
    assert done.text == "[True, True, False]"
    assert (done.stdout, done.stderr, done.displays) == ("", "", [])
    assert kernel.run("%wasi list").stdout.startswith("nothing is named yet")
