"""An idle notebook sends its kernel no messages, and draws nothing."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FEW_CALLS = """
import wasilab
module = wasilab.compile('''(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $more
      (drop (call $random (i32.const 0) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 7))))))''', 'wat')
wasilab.run(module)
"""

COUNT = """() => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  window.sent = [];
  kernel.anyMessage.connect((_, { msg, direction }) => {
    if (direction === 'send') window.sent.push(msg.header.msg_type);
  });
}"""


def test_two_runs_on_one_axis_send_the_kernel_nothing(opened: Any) -> None:
    both = "one, two = wasilab.run(module), wasilab.run(module)\none.diff(two)"
    page = opened(FEW_CALLS.replace("wasilab.run(module)", both))
    line = page.timeline()
    line.until("!view.loading && view.sides.every((side) => side.length > 0)")
    line.canvas.focus()
    page.page.keyboard.press("ArrowRight")
    line.until("!view.cards.hidden")
    page.idle()
    page.page.evaluate(COUNT)
    page.page.wait_for_timeout(3000)  # the time looked at, not a wait for anything
    assert page.page.evaluate("window.sent") == []


def test_open_panels_send_the_kernel_nothing(opened: Any) -> None:
    page = opened(FEW_CALLS)
    line = page.timeline()
    for panel in line.js("view.tabs.tabs.map((tab) => tab.name)"):
        line.js("view.tabs.show(arg)", panel)
        line.until("!view.travel.asking && view.asker.open.size === 0")
    line.js("view.tabs.show('state')")
    line.until("!view.travel.asking && view.asker.open.size === 0")
    line.host.locator(".memory > summary").click()
    line.until("!view.travel.memory.asking && view.asker.open.size === 0")
    page.idle()
    page.page.evaluate(COUNT)
    page.page.wait_for_timeout(3000)  # the time looked at, not a wait for anything
    assert page.page.evaluate("window.sent") == []


def test_finished_timelines_send_the_kernel_nothing(opened: Any) -> None:
    page = opened(FEW_CALLS, FEW_CALLS)
    for index in (0, 1):
        line = page.timeline(index)
        line.host.scroll_into_view_if_needed()
        line.until("view.table.pages.size > 0")  # the words of the rows in sight have come
    page.idle()
    page.page.evaluate(COUNT)
    page.page.wait_for_timeout(3000)  # the time looked at, not a wait for anything
    assert page.page.evaluate("window.sent") == []
    page.page.mouse.wheel(0, 5)
    line.js("view.table.paint()")
    page.page.wait_for_timeout(500)
    assert page.page.evaluate("window.sent") == []


def test_an_idle_page_draws_nothing(opened: Any) -> None:
    page = opened(FEW_CALLS, "wasilab.panel(module)", "_1.plot('gantt')")
    line = page.timeline()
    line.js("view.tabs.show('state')")
    line.until("!view.travel.asking && view.asker.open.size === 0")
    page.page.locator(".wasilab-panel .wasilab-row").first.wait_for()
    page.page.locator(".wasilab-plot > svg").wait_for()
    page.idle()
    page.page.evaluate("""() => { window.frames_drawn = 0;
        const raf = window.requestAnimationFrame.bind(window);
        window.requestAnimationFrame = (draw) => raf((now) => { window.frames_drawn++; draw(now); }); }""")
    session = page.page.context.new_cdp_session(page.page)
    session.send("Performance.enable")

    def layouts() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in metrics if each["name"] == "LayoutCount")

    before = layouts()
    page.page.wait_for_timeout(3000)  # the time looked at, not a wait for anything
    assert page.page.evaluate("window.frames_drawn") < 12, "JupyterLab's own are a few; a loop draws 180"
    assert layouts() - before < 12
