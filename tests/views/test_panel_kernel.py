"""The panel and live grants in a real kernel, driven as a front end drives them: by comm messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..frontends.conftest import Kernel

pytestmark = pytest.mark.kernel

SETUP = """
import sys, time; sys.path.insert(0, {tests!r})
import wasilab
from wasilab import Grants, MemDir
from grants.guests import Guest, fd
reader = Guest().open("a.txt").read().write("hello", fd(1)).module("reader")
endless = Guest().again().open("a.txt").call("fd_close", "(local.get $fd)").module("endless")
given = Grants(dirs={{"/d": MemDir({{"a.txt": "x"}})}})
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    started = Kernel()
    try:
        tests = __file__.rsplit("/views/", 1)[0]
        done = started.run("%load_ext wasilab\n" + SETUP.format(tests=tests))
        assert done.status == "ok", done.traceback
        yield started
    finally:
        started.close()


def click(kernel: Kernel, button: str) -> None:
    """What a browser sends when a button of the panel `p` is clicked."""
    message(kernel, button, {"method": "custom", "content": {"event": "click"}})


def put(kernel: Kernel, widget: str, **state: Any) -> None:
    """What a browser sends when a value is set."""
    message(kernel, widget, {"method": "update", "state": state, "buffer_paths": []})


def message(kernel: Kernel, widget: str, data: dict[str, Any]) -> None:
    model = kernel.run(f"{widget}.model_id").text.strip("'")
    assert model, widget
    session = kernel.client.session
    sent = session.msg("comm_msg", {"comm_id": model, "data": data})
    kernel.client.shell_channel.send(sent)


def until(kernel: Kernel, condition: str) -> None:
    end = time.monotonic() + 30
    while kernel.run(f"bool({condition})").text != "True":
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def test_a_click_runs_and_a_switch_changes_the_next_verdict(kernel: Kernel) -> None:
    shown = kernel.run("p = wasilab.panel(reader, given)\np")
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(shown.results[0])
    click(kernel, "p.button_run")
    until(kernel, "p.run is not None and p.run.exit_code == 0")
    put(kernel, "p.controls('/d').box", value=False)
    click(kernel, "p.button_run")
    until(kernel, "p.run.exit_code == 8 and 'exit status 8' in p.verdict.value")


def test_a_switch_revokes_in_a_running_run(kernel: Kernel) -> None:
    kernel.run("p = wasilab.panel(endless, given)")
    click(kernel, "p.button_detached")
    until(kernel, "p.run is not None and len(p.run.trace) > 100")
    kernel.run(
        "off = []\np.controls('/d').box.observe(lambda change: off.append(time.perf_counter_ns() - "
        "p.run.recorder.origin_ns), 'value')"
    )
    put(kernel, "p.controls('/d').box", value=False)
    until(kernel, "not p.run.running")
    assert kernel.run("p.run.trace[-2].denied_by.name").text == "'REVOKED'"
    late = kernel.run("(p.run.trace[-2].t_start - off[0]) / 1e9").text
    assert float(late) < 0.3


def test_a_mode_revokes_writing_in_a_running_run(kernel: Kernel) -> None:
    kernel.run(
        "import tempfile; folder = tempfile.mkdtemp(); open(f'{folder}/a.txt', 'w').close()\n"
        "writer = Guest().open('a.txt', rights=1 << 2 | 1 << 6).again()"
        ".call('fd_seek', '(local.get $fd) (i64.const 0) (i32.const 0) (i32.const 5000)').write('x').module('writer')\n"
        "p = wasilab.panel(writer, Grants(dirs={'/d': wasilab.HostDir(folder, mode='rw')}))"
    )
    click(kernel, "p.button_detached")
    until(kernel, "p.run is not None and len(p.run.trace) > 100")
    kernel.run(
        "off = []\np.controls('/d').mode.observe(lambda change: off.append(time.perf_counter_ns() - "
        "p.run.recorder.origin_ns), 'value')"
    )
    index = kernel.run("[v for _, v in p.controls('/d').mode.options].index('ro')").text
    put(kernel, "p.controls('/d').mode", index=int(index))
    until(kernel, "not p.run.running")
    assert kernel.run("(p.run.trace[-2].name, p.run.trace[-2].denied_by.name)").text == "('fd_write', 'REVOKED')"
    late = kernel.run("(p.run.trace[-2].t_start - off[0]) / 1e9").text
    assert float(late) < 0.3


def test_a_switch_while_a_cell_sleeps_takes_effect_after_it_and_nothing_is_lost(kernel: Kernel) -> None:
    kernel.run("p = wasilab.panel(endless, given)")
    click(kernel, "p.button_detached")
    until(kernel, "p.run is not None and len(p.run.trace) > 100")
    box = kernel.run("p.controls('/d').box.model_id").text.strip("'")
    cell = kernel.send("time.sleep(0.5)")
    sent = {"comm_id": box, "data": {"method": "update", "state": {"value": False}, "buffer_paths": []}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", sent))
    kernel.finish(cell)
    until(kernel, "not p.run.running")
    assert kernel.run("p.run.live.works('/d')").text == "False"


def test_the_panel_by_its_magic(kernel: Kernel) -> None:
    kernel.run('%%wasi wat --name tiny --quiet\n(module (func (export "_start")))')
    shown = kernel.run("%wasi grants tiny")
    assert "Grants of <b>tiny</b>" in shown.results[0]["text/html"]
    assert kernel.run("%wasi grants nothing-like-it").ename == "UsageError"


def test_an_override_by_its_decorator(kernel: Kernel) -> None:
    done = kernel.run(
        "dice = Guest().call('random_get', '(i32.const 4096) (i32.const 4)').write('rolled', fd(1)).module('dice')\n"
        "@wasilab.override('random_get')\n"
        "def loaded(original, buffer):\n    raise RuntimeError('no dice')\n"
        "wasilab.run(dice)"
    )
    assert "no dice" in done.text
    again = kernel.run("wasilab.remove_overrides()\nwasilab.run(dice).stdout")
    assert again.text == "'rolled'"


def test_a_detached_run_is_revoked_from_the_next_cell(kernel: Kernel) -> None:
    kernel.run("run = wasilab.run(endless, (), given, detach=True)")
    until(kernel, "len(run.trace) > 100")
    kernel.run("run.live.revoke('/d')\nrun.wait(60)")
    assert kernel.run("(run.exit_code, str(run.denied[0].denied_by.name))").text == "(76, 'REVOKED')"
