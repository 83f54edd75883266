"""Runs in a real JupyterLab and Notebook 7: a million calls, a running run, one click that grants, what is saved.

Figures are printed: see them with `-s`. The timeline's controls are in `test_browser.py`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab.course import program
from wasilab.views.plots.plots import plot

from .contrast import contrast, over, read
from .lab import COPY, Lab, Page, shot

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MANY = """
import wasilab
wat = '''(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $again
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 64)))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 7)))
        (then (drop (call $read (i32.const 0) (i32.const 128) (i32.const 0) (i32.const 96)))))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 5000)))
        (then (drop (call $write (i32.const 9) (i32.const 128) (i32.const 0) (i32.const 96)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const %d))))))'''
run = wasilab.run(wasilab.compile(wat % COUNT, 'wat', name='many'))
print(len(run.trace))
"""


def test_a_million_calls_paint_within_a_second_and_move_at_fifty_frames(opened: Any) -> None:
    page = opened(MANY.replace("COUNT", "875_000"), "import time; t = time.perf_counter(); view = run.timeline(); "
                  "print(f'made in {time.perf_counter() - t:.2f} s')", "view", run=False)  # fmt: skip
    page.page.evaluate(
        """() => { window.seen = {}; new MutationObserver(() => {
            const host = document.querySelector('.wasilab-timeline');
            if (host && !window.seen.mounted) window.seen.mounted = performance.now();
            if (host?.timeline?.root.dataset.painted && !window.seen.painted) window.seen.painted = performance.now();
        }).observe(document.body, {subtree: true, childList: true, attributes: true}); }"""
    )
    page.run_all()
    line = page.timeline()
    first = line.js("view.firstPaint - window.seen.mounted")
    print(f"\n1,000,175 calls: {page.page.locator('.jp-OutputArea-output').nth(1).inner_text().strip()}; "
          f"first paint {first:.0f} ms after the widget is there", end="")  # fmt: skip
    line.until("view.store.complete", 60_000)
    assert line.js("view.store.length") == 1_000_175
    frames = line.js(
        """await (async () => { const times = [], span = view.store.span; view.paintTimes.length = 0;
        let last = await new Promise(requestAnimationFrame);
        for (let i = 0; i < 240; i++) {
          const wide = span * Math.pow(0.94, i % 120), middle = span * (0.3 + 0.001 * i);
          view.navigator.look(middle - wide / 2, middle + wide / 2);
          const now = await new Promise(requestAnimationFrame); times.push(now - last); last = now;
        }
        const sorted = (list) => [...list].sort((a, b) => a - b), t = sorted(times), p = sorted(view.paintTimes);
        return { frame: t[t.length >> 1], frame95: t[Math.floor(t.length * 0.95)],
                 paint: p[p.length >> 1], paint95: p[Math.floor(p.length * 0.95)], paintMost: p[p.length - 1] }; })()"""
    )
    print("; " + ", ".join(f"{name} {value:.1f} ms" for name, value in frames.items()))
    assert frames["paint"] < 20
    line.js("view.navigator.fit()")
    line.host.locator("input.filter").fill("refused or call=fd_write")
    line.host.locator("input.filter").press("Enter")
    line.until("view.store.matches?.length === 175")
    shot(page.page, "lab-million")


def test_what_is_saved_is_small_and_lives_again(opened: Any, lab: Lab, browser: Any) -> None:
    page = opened(COPY, MANY.replace("COUNT", "100_000") + "\nrun")
    page.timeline(1)
    page.save()
    saved = lab.notebooks / page.name
    book = json.loads(saved.read_text())
    print(f"\nsaved notebook with a small run and one of 114,306 calls: {saved.stat().st_size / 1e6:.2f} MB")
    assert saved.stat().st_size < 1_000_000
    assert "application/vnd.jupyter.widget-state+json" in book["metadata"].get("widgets", {})

    trusted = Page(lab, browser.new_page(viewport={"width": 1300, "height": 1000}), page.name)
    line = trusted.timeline()
    assert line.js("view.store.length") > 20
    assert trusted.page.locator(".wasilab-static").first.is_hidden(), "the report is there for where no widget lives"
    shot(trusted.page, "lab-reopened-trusted")
    for cell in book["cells"]:
        cell["metadata"]["trusted"] = True
    book["metadata"].pop("widgets")  # JupyterLab saves it only where its setting says so
    trusted.page.evaluate(
        """(content) => window.jupyterapp.serviceManager.contents.save("lost.ipynb",
        {type: "notebook", format: "json", content})""", book)  # fmt: skip
    trusted.close()
    lost = Page(lab, browser.new_page(viewport={"width": 1300, "height": 1000}), "lost.ipynb")
    static = lost.page.locator(".wasilab-static").first
    static.wait_for()
    frame = static.locator("iframe").content_frame
    assert "WASI calls in" in frame.locator(".verdict").inner_text()
    assert frame.locator(".lanes svg").count() > 3
    assert lost.page.locator(".wasilab-timeline").count() == 0
    said = lost.page.locator(".jp-OutputArea-output.jupyter-widgets").first
    assert said.inner_text() == "Error displaying widget: model not found"
    assert said.evaluate("(node) => getComputedStyle(node).fontSize") == "0px"
    assert "Run the cell again" in said.evaluate("(node) => getComputedStyle(node, '::after').content")
    shot(lost.page, "lab-reopened-without-state")
    assert lost.errors == []
    lost.close()

    copied = lab.notebooks / "foreign.ipynb"
    for cell in book["cells"]:
        cell["metadata"].pop("trusted", None)
    book["cells"][0]["source"] += "\n# changed elsewhere"
    copied.write_text(json.dumps(book))
    foreign = Page(lab, browser.new_page(viewport={"width": 1300, "height": 1000}), "foreign.ipynb")
    foreign.page.wait_for_selector(".jp-RenderedHTMLCommon img")
    assert foreign.page.locator(".wasilab-timeline").count() == 0
    text = foreign.page.locator(".jp-RenderedHTMLCommon").first.inner_text()
    assert "WASI calls in" in text
    shot(foreign.page, "lab-untrusted")
    assert foreign.errors == []
    foreign.close()


def test_one_click_grants_what_was_refused_and_runs_again(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    assert "1 call was refused" in line.host.locator(".verdict").inner_text()
    line.until("view.table.pages.size > 0")
    refused = line.js("view.table.pages.get(0).findIndex((row) => row[1].includes('ENOTCAPABLE'))")
    assert refused >= 0
    line.js("view.choose(arg)", refused)
    line.host.locator("button[data-grant]").click()
    line.until("!view.store.meta.live && view.root.querySelector('.verdict').innerText.includes('nothing was refused')")
    line.until("view.table.pages.get(0)?.length === view.store.length")
    assert "ENOTCAPABLE" not in line.host.locator(".table").inner_text(), "the rows are those of the new run"
    assert line.js("view.navigator.view.pinned") == -1
    assert line.host.locator("button[data-grant]").count() == 0
    assert (page.lab.notebooks / "in" / "b.txt").exists()
    story = line.host.locator(".attempt")
    assert "Run 2: granted in addition --dir" in story.inner_text()
    assert "one" in line.host.locator(".head-html pre").last.inner_text(), "what the new run wrote"
    shot(page.page, "again-granted")
    story.locator("button[data-compare]").click()
    line.host.locator(".compared pre").wait_for()
    assert "path_open" in line.host.locator(".compared pre").inner_text()
    story.locator("summary").click()
    assert "wasilab run --dir" in story.inner_text()
    shot(page.page, "again-compared")
    page.save()
    (cell,) = json.loads((page.lab.notebooks / page.name).read_text())["cells"]
    saved = "".join(cell["outputs"][0]["data"]["text/plain"])
    assert saved.startswith("run 2 of this program, granted in addition: --dir"), "the saved output follows"
    story.locator("button[data-show='0']").click()
    line.until("view.root.querySelector('.verdict').innerText.includes('1 call was refused')")
    assert story.locator("button[data-show='1']").count() == 1


CELL = """%%wasi c --name writer --dir in
#include <stdio.h>
int main(void) {
    FILE *to = fopen("in/c.txt", "w");
    if (!to) { perror("in/c.txt"); return 1; }
    fputs("written", to);
    return fclose(to);
}"""


def test_one_click_works_in_a_cell_too(opened: Any) -> None:
    prepare = (
        "import pathlib; pathlib.Path('in').mkdir(exist_ok=True); pathlib.Path('in/c.txt').unlink(missing_ok=True)"
    )
    page = opened(f"%load_ext wasilab\n{prepare}", CELL)
    line = page.timeline()
    assert "exit status 1" in line.host.locator(".verdict").inner_text()
    line.host.locator("button[data-grant]").click()
    line.until("!view.store.meta.live && view.root.querySelector('.verdict').innerText.includes('nothing was refused')")
    assert (page.lab.notebooks / "in" / "c.txt").read_text() == "written"
    shot(page.page, "lab-granted")


LIVE = """
import wasilab
wat = '''(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $again
      (local.set $i (i32.const 0))
      (loop $work (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $work (i32.lt_u (local.get $i) (i32.const 200000))))
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 64)))
      (br $again))))'''
run = wasilab.run(wasilab.compile(wat, 'wat', name='endless'), detach=True)
run.timeline()
"""


GROWING = """%%%%wasi wat --name growing --timeout 120
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32) (local $work i32)
    (loop $again
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 16)))
      (local.set $work (i32.const 0))
      (loop $busy
        (local.set $work (i32.add (local.get $work) (i32.const 1)))
        (br_if $busy (i32.lt_u (local.get $work) (i32.const %d))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const %d))))))"""


@pytest.mark.parametrize(("work", "calls"), [(10_000_000, 1500), (100_000, 150_000)], ids=["few calls", "many calls"])
def test_an_ordinary_cell_grows_while_it_runs(opened: Any, work: int, calls: int) -> None:
    page = opened("%load_ext wasilab", GROWING % (work, calls), run=False)
    page.page.evaluate("""() => { window.lengths = new Set(); window.watching = setInterval(() => {
        const store = document.querySelector('.wasilab-timeline')?.timeline?.store;
        if (store?.meta.live && store.length) window.lengths.add(store.length); }, 20); }""")
    page.run_all()
    lengths = page.page.evaluate("[...window.lengths]")
    print(f"\n{calls:,} calls: {len(lengths)} pictures while it ran")
    assert len(lengths) >= 3
    line = page.timeline()
    line.until(f"view.store.length === {calls} && !view.store.meta.live")


def test_a_detached_run_grows_until_it_is_stopped(opened: Any) -> None:
    page = opened(LIVE)
    line = page.timeline()
    line.until("view.store.length > 50")
    seen = line.js("view.store.length")
    line.until(f"view.store.length > {seen + 50}")
    shot(page.page, "lab-live")
    line.host.locator("button.stop").click()
    line.until("!view.store.meta.live")
    assert line.js("view.store.meta.ending") == "stopped"
    assert "Stopped by you" in line.host.locator(".verdict").inner_text()


def test_notebook_7_shows_the_same(tmp_path: Path, browser: Any) -> None:
    server = Lab(tmp_path / "nb7", "notebook")
    try:
        server.write("seven.ipynb", [COPY])
        page = server.open(browser, "seven.ipynb")
        own = list(page.errors)  # Notebook 7.6 has one of its own while it starts
        page.run_all()
        line = page.timeline()
        assert line.js("view.store.length") > 20
        line.canvas.scroll_into_view_if_needed()
        shot(page.page, "notebook7")
        assert page.errors == own
        page.close()
    finally:
        server.close()


AGAIN = """
import wasilab
module = wasilab.compile('''(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start") (drop (call $random (i32.const 0) (i32.const 8)))))''', 'wat')
run = wasilab.run(module)
run
"""


def test_a_cell_that_is_run_again_lets_go_and_elsewhere_the_saved_report_is_seen(opened: Any) -> None:
    page = opened(AGAIN, "run")
    page.timeline(1)
    count = "() => document.querySelectorAll('.wasilab-timeline').length"
    assert page.page.evaluate(count) == 2, "one run, seen in two cells"
    page.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    page.command("notebook:run-cell")
    page.page.wait_for_function("() => document.querySelectorAll('.jp-InputPrompt')[0].textContent.includes('3')")
    page.idle()
    page.timeline(0)
    page.page.wait_for_function("() => document.querySelectorAll('.wasilab-timeline').length === 1")
    second = page.page.locator(".jp-CodeCell").nth(1).locator(".wasilab-static")
    second.wait_for()
    assert "WASI call in" in second.locator("iframe").content_frame.locator(".verdict").inner_text()
    shot(page.page, "released")


def test_plots_take_their_ink_from_the_page_also_when_the_theme_changes(opened: Any) -> None:
    kinds = ("timeline", "counts", "box", "gantt", "capabilities")
    page = opened(COPY, *(f"run.plot({kind!r})" for kind in kinds), "run.plot('compare', other=run)", height=900)
    page.page.wait_for_function("(n) => document.querySelectorAll('.wasilab-plot > svg').length > n", arg=len(kinds))
    assert page.page.evaluate("document.querySelector('.wasilab-plot > svg').getBoundingClientRect().width") > 500
    for theme in ("Light", "Dark", "Light"):
        page.theme(theme)
        assert not page.page.locator(".wasilab-plot > img").first.is_visible()
        paper, words = page.page.evaluate(
            """() => { let node = document.querySelector('.wasilab-plot');
            while (getComputedStyle(node).backgroundColor === 'rgba(0, 0, 0, 0)') node = node.parentElement;
            const letters = [...document.querySelectorAll('.wasilab-plot [id*="-text_"] use')];
            return [getComputedStyle(node).backgroundColor,
                letters.map((use) => [getComputedStyle(use).fill, getComputedStyle(use).fillOpacity])]; }"""
        )
        assert len(words) > 200
        white = [fill for fill, _ in words if fill == "rgb(255, 255, 255)"]
        if theme == "Light":
            assert len(white) == len("copy"), "only the program's box of the capability graph has white words"
        for fill, opacity in {tuple(each) for each in words} - {(each, "1") for each in white}:
            red, green, blue, alpha = read(fill)
            seen = over((red, green, blue, alpha * float(opacity)), read(paper))
            assert contrast(seen, read(paper)) >= 4.5, (theme, fill, opacity)
    shot(page.page, "plots")


def test_a_stored_plot_is_a_picture_in_a_notebook_that_is_not_trusted(lab: Lab, browser: Any) -> None:
    """JupyterLab strips SVG and styles there: exactly one picture is left, with its description."""
    import nbformat

    figure = plot(wasilab.run(program("hello")), "counts")
    shown = figure._repr_mimebundle_()  # type: ignore[attr-defined]
    data = {"text/html": shown["text/html"], "image/png": base64.b64encode(shown["image/png"]).decode()}
    lab.write("stranger.ipynb", ["run.plot('counts')"])
    book = nbformat.read(lab.notebooks / "stranger.ipynb", 4)
    book.cells[0].outputs = [nbformat.v4.new_output("display_data", data=data)]
    nbformat.write(book, lab.notebooks / "stranger.ipynb")
    page = lab.open(browser, "stranger.ipynb")
    page.page.locator(".jp-OutputArea-output img").wait_for()
    assert page.page.locator(".jp-OutputArea-output img:visible").count() == 1
    assert page.page.locator(".jp-OutputArea-output img").get_attribute("alt") == "calls by name"
    assert page.page.locator(".jp-OutputArea-output svg").count() == 0
    assert page.page.locator(".jp-OutputArea-output").inner_text().strip() == ""
    page.close()
