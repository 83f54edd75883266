"""From Enter to the painted timeline in JupyterLab, of a C cell that makes many calls, and where the time goes.

`python -m tests.bench.painted [ROUNDS]` drives JupyterLab in headless Chromium. The cell writes a line to stdout by
`fd_write`, 1,000 times and 1,000,000 times, in a warm kernel; "changed" is compiled by clang, "unchanged" comes from
wasilab's compile cache. Parts in ms:

- wall: from the command that runs the cell to the first painted frame of the timeline
- request: until the kernel says that it is busy
- parse, compile, cranelift, run, report: in the kernel, see `cells.py`; rest: what the kernel and the messages take
- page: from the message that shows the widget to its first painted frame
- loaded: from the command until the page holds all calls, and not only an overview
- cpu: of the kernel's process, during the cell

- middle: the median of `wall` over the rounds

Of several rounds the quickest counts, because the machine may be busy; `cpu` is the least of all rounds. The last lines
compare the two sizes, and give the machine's load. Nothing here asserts a time.
"""

from __future__ import annotations

import ast
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.views.lab import CHROMIUM, Lab, Page

from .cells import CELLS_A_ROUND, PARTS, Split, quickest, stamped

SIZES = (1_000, 1_000_000)
SOURCE = """#include <stdio.h>
#include <unistd.h>
/* STAMP */
int main(void) {
    char line[32];
    for (int i = 0; i < COUNT; i++) write(1, line, snprintf(line, sizeof line, "line %7d of many\\n", i));
    return 0;
}
"""
COLUMNS = ("wall", "middle", "request", *PARTS, "rest", "page", "loaded", "cpu")
_RUN = """async (source) => {
  const now = () => performance.now(), app = window.jupyterapp, book = app.shell.currentWidget;
  const kernel = book.sessionContext.session.kernel, cell = book.content.activeCell;
  cell.model.sharedModel.setSource(source);
  const times = {}, widget = 'application/vnd.jupyter.widget-view+json';
  const heard = (_, message) => {
    if (message.header.msg_type === 'status' && message.content.execution_state === 'busy') times.busy ??= now();
    if (message.content.data?.[widget]) times.shown = now();
  };
  const before = new Set(document.querySelectorAll('.wasilab-timeline'));
  kernel.iopubMessage.connect(heard);
  times.enter = now();
  const done = app.commands.execute('notebook:run-cell');
  const frame = () => new Promise(requestAnimationFrame);
  let host;
  const fresh = () => [...document.querySelectorAll('.wasilab-timeline')].filter((one) => !before.has(one)).at(-1);
  await done;
  const end = now() + 120000;
  while (!((host = fresh())?.timeline?.firstPaint && host.timeline.store.complete)) {
    if (now() > end) throw new Error('no timeline: ' + cell.outputArea?.node.innerText.slice(0, 500));
    await frame();
  }
  kernel.iopubMessage.disconnect(heard);
  return { wall: host.timeline.firstPaint - times.enter, request: times.busy - times.enter,
    page: host.timeline.firstPaint - times.shown, loaded: now() - times.enter };
}"""
_ASK = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const asked = kernel.requestExecute({ code: '', silent: true, store_history: false, user_expressions: { it: code } });
  const { content } = await asked.done, it = content.user_expressions.it;
  if (it.status !== 'ok') throw new Error(it.evalue);
  return it.data['text/plain'];
}"""


def measured(page: Page, body: str) -> Split:
    """Run the notebook's active cell with that source; its parts in ms."""
    found: Split = page.page.evaluate(_RUN, f"%%wasi c\n{body}")
    page.idle()
    inside: Split = ast.literal_eval(page.page.evaluate(_ASK, "bench.spent()"))
    known = found["request"] + found["page"] + sum(inside.get(part, 0.0) for part in PARTS)
    return {**inside, **found, "rest": max(found["wall"] - known, 0.0)}  # the page begins before the report's end


def rows(browser: Any, rounds: int) -> Iterator[tuple[str, Split]]:
    """(label, parts) of each kind of cell."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["WASILAB_CACHE_DIR"] = str(Path(name) / "cache")
        lab = Lab(Path(name) / "lab")
        try:
            lab.write("painted.ipynb", ["%load_ext wasilab\nimport tests.bench.cells as bench; bench.watch()", "pass"])
            page = lab.open(browser, "painted.ipynb")
            page.run_all()
            page.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
            measured(page, stamped(SOURCE).replace("COUNT", "1"))  # warm: imports, the widget's module, clang's library
            for count in SIZES:
                taken: dict[str, list[Split]] = {kind: [] for kind in CELLS_A_ROUND}
                for _ in range(rounds):
                    body = stamped(SOURCE).replace("COUNT", str(count))
                    for kind in CELLS_A_ROUND:
                        taken[kind].append(measured(page, body))
                for kind, splits in taken.items():
                    middle = statistics.median(split["wall"] for split in splits)
                    yield f"{count:,} writes, {kind}", {**quickest(splits), "middle": middle}
            page.close()
        finally:
            lab.close()


def lines(rounds: int = 5) -> Iterator[str]:
    """The figures as text."""
    from playwright.sync_api import sync_playwright

    before = os.getloadavg()[0]
    yield f"{'Enter to painted, ms':<28}" + "".join(f"{name:>10}" for name in COLUMNS)
    walls: dict[str, float] = {}
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for label, split in rows(browser, rounds):
            walls[label] = split["wall"]
            yield f"{label:<28}" + "".join(f"{split.get(name, 0.0):>10.0f}" for name in COLUMNS)
        browser.close()
    few, many = SIZES
    for kind in CELLS_A_ROUND:
        one, other = walls[f"{few:,} writes, {kind}"], walls[f"{many:,} writes, {kind}"]
        yield f"{kind}: {many:,} writes take {other / one:.1f} times as long to be painted as {few:,}"
    yield f"load of {os.cpu_count()} processors: {before:.1f} before, {os.getloadavg()[0]:.1f} after"


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        print(line, flush=True)
