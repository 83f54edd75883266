"""The views' figures: frames a second with a million calls, the cost of a live timeline, what a notebook stores.

`python -m tests.bench.views [CALLS] [--no-frames]` prints them. Frames are those of headless Chromium while the view
zooms and pans, with each panel of the timeline open, and of two runs on one axis. The cost of a live timeline is the
CPU time of its thread as a share of the run's time. Nothing here asserts a time.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import wasilab
from wasilab.runs.run import Run
from wasilab.views.comparison.compared import compare
from wasilab.views.interactive.live import LiveFeed
from wasilab.views.interactive.pair_widget import PairWidget
from wasilab.views.interactive.widget import TimelineWidget
from wasilab.views.report.report import mimebundle

CALLS = 1_000_000
LOOP = """(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32) (local $work i32)
    (loop $again
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 16)))
      (drop (call $random (i32.const 32) (i32.const 8)))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 1000)))
        (then (drop (call $write (i32.const 9) (i32.const 128) (i32.const 0) (i32.const 96)))))
      (local.set $work (i32.const 0))
      (loop $busy
        (local.set $work (i32.add (local.get $work) (i32.const 1)))
        (br_if $busy (i32.lt_u (local.get $work) (i32.const WORK))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const COUNT))))))"""
FRAMES = """await (async () => {
  const times = [], span = view.navigator.store.span;
  view.paintTimes.length = 0;
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 240; i++) {
    const wide = span * Math.pow(0.94, i % 120), middle = span * (0.3 + 0.001 * i);
    view.navigator.look(middle - wide / 2, middle + wide / 2);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  const sorted = (list) => [...list].sort((a, b) => a - b), t = sorted(times), p = sorted(view.paintTimes);
  view.navigator.fit();
  return [t[t.length >> 1], t[Math.floor(t.length * 0.95)], p[p.length >> 1], p[Math.floor(p.length * 0.95)]];
})()"""


def looping(calls: int, work: int = 1) -> wasilab.Module:
    """A program of about that many calls, with `work` turns of an empty loop between two pairs of them."""
    return wasilab.compile(LOOP.replace("COUNT", str(calls // 2)).replace("WORK", str(work)), "wat", name="loop")


def frames(calls: int) -> Iterator[str]:
    """Frames a second, with each panel open."""
    from playwright.sync_api import sync_playwright

    from tests.views.bare import BarePage
    from tests.views.lab import CHROMIUM

    first, second = (wasilab.run(looping(calls), name=name) for name in ("first", "second"))
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = BarePage(browser, TimelineWidget(first))
        page.line.until("view.store.complete", 120_000)
        yield f"frames of a run of {len(first.trace):,} calls"
        for panel in ("", *page.line.js("view.tabs.tabs.map((tab) => tab.name)")):
            page.line.js("view.tabs.show(arg)", panel)
            page.page.wait_for_timeout(1500)
            yield _frame(panel or "no panel", page.line.js(FRAMES))
        page.close()
        page = BarePage(browser, PairWidget(compare(first, second)))
        page.line.until("!view.loading && view.sides.every((side) => side.length > 0)", 120_000)
        for axis in ("time", "calls"):
            page.line.js("view.setAxis(arg)", axis)
            yield _frame(f"two such runs, axis: {axis}", page.line.js(FRAMES))
        page.close()
        browser.close()


def _frame(name: str, measured: list[float]) -> str:
    middle, slow, paint, slow_paint = measured
    return (
        f"  {name:28} {1000 / middle:5.0f} a second (95 % above {1000 / slow:.0f}); painted in {paint:.1f} ms "
        f"(95 % below {slow_paint:.1f})"
    )


class Counting(LiveFeed):
    """A live timeline that counts what it costs."""

    spent = 0.0
    updates = 0

    def push(self) -> None:
        """Send, and add the CPU time."""
        begun = time.thread_time()
        super().push()
        self.spent += time.thread_time() - begun


def live(calls: int, work: int) -> tuple[float, float, float, float]:
    """(seconds, share of them, updates a second, most updates in one) of a live timeline of a run."""
    sent: list[float] = []
    feeds: list[Counting] = []

    def take(content: object, buffers: list[bytes]) -> None:
        json.dumps(content)
        sent.append(time.monotonic())

    def begin(run: Run) -> None:
        feeds.append(Counting(run, take, lambda _: None))
        feeds[0].start()

    module = looping(calls, work)
    wasilab.run(looping(2, work))  # what is imported at the first run is no cost of the timeline
    run = wasilab.run(module, on_started=begin)
    took, spent, during = run.seconds, feeds[0].spent, list(sent)
    feeds[0].over.wait(60)
    assert run.error is None, run.error
    most = max(sum(1 for other in during if 0 <= other - moment < 1) for moment in during)
    return took, spent / took, len(during) / took, most


def saved(calls: int) -> int:
    """Bytes in a notebook of a cell that shows a run: the report and the widget with its state."""
    run = wasilab.run(looping(calls))
    widget = TimelineWidget(run)
    return _bytes(widget, dict(mimebundle(run)))


def saved_pair(calls: int) -> int:
    """Bytes in a notebook of a cell that shows two runs."""
    difference = wasilab.run(looping(calls)).diff(wasilab.run(looping(calls)))
    return _bytes(PairWidget(difference.on_one_axis), difference._repr_mimebundle_())


def _bytes(widget: Any, bundle: dict[str, str]) -> int:
    state = json.dumps(widget.get_state(), default=lambda data: base64.b64encode(data).decode())
    widget.close()
    return len(state) + len(json.dumps(bundle))


def lines(calls: int = CALLS) -> Iterator[str]:
    """The figures as text."""
    if "--no-frames" not in sys.argv:
        yield from frames(calls)
    for name, count, work in (("few calls", 20_000, 300_000), ("many", calls, 5000), ("all it can", 8 * calls, 1)):
        rounds = [live(count, work) for _ in range(3)]
        took, share, updates, most = (statistics.median(part) for part in zip(*rounds, strict=True))
        yield (
            f"live timeline, {name}: {count / took:,.0f} calls a second for {took:.1f} s: {100 * share:.2f} % of the "
            f"run's time, {updates:.1f} updates a second, at most {most:.0f} in one"
        )
    for count in (10, 12_000, calls):
        yield f"a notebook's cell with a run of {count:,} calls stores {saved(count) / 1e3:,.0f} kB"
    for count in (10, 5_000, min(calls, 100_000)):
        yield f"a notebook's cell with two runs of {count:,} calls stores {saved_pair(count) / 1e3:,.0f} kB"


if __name__ == "__main__":
    for line in lines(next((int(word) for word in sys.argv[1:] if word.isdigit()), CALLS)):
        print(line, flush=True)
