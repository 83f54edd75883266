"""The timeline and the report in a real JupyterLab, in Debian's Chromium. Figures are printed: see them with `-s`.

Screenshots of every state go to the folder that WASILAB_SCREENSHOTS names (none are kept without it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import CHROMIUM, Lab, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra installs Playwright")

COPY = """
import wasilab, pathlib
pathlib.Path('in').mkdir(exist_ok=True); pathlib.Path('out').mkdir(exist_ok=True)
pathlib.Path('in/a.txt').write_text('one\\ntwo\\nthree\\n' * 500)
source = '''
#include <stdio.h>
int main(int argc, char **argv) {
    char line[80];
    FILE *from = fopen("/in/a.txt", "r");
    if (!from) { perror("/in/a.txt"); return 1; }
    FILE *to = fopen("/in/b.txt", "w");
    if (!to) perror("/in/b.txt");
    to = fopen("/out/b.txt", "w");
    int n = 0;
    while (fgets(line, sizeof line, from)) { fputs(line, to); if (n++ < 5) { fputs(line, stdout); fflush(stdout); } }
    fclose(to);
    fclose(from);
    return 0;
}
'''
module = wasilab.compile(source, 'c', name='copy')
grants = wasilab.Grants(dirs={'/in': wasilab.HostDir('in'), '/out': wasilab.HostDir('out', mode='rw')})
run = wasilab.run(module, grants=grants, stacks=True)
run
"""

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def opened(lab: Lab, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that writes a notebook, opens it and runs it; closes it and checks for page errors after the test."""
    pages: list[Page] = []

    def make(*cells: str, run: bool = True, **size: int) -> Page:
        name = f"{request.node.name.split('[')[0]}-{len(pages)}.ipynb"
        lab.write(name, cells)
        page = lab.open(browser, name, **size)
        pages.append(page)
        if run:
            page.run_all()
        return page

    yield make
    for page in pages:
        page.close()
        assert page.errors == []


def shot(page: Any, name: str) -> None:
    folder = os.environ.get("WASILAB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_a_run_is_explored_from_the_whole_to_one_byte_of_one_call(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    line.canvas.scroll_into_view_if_needed()
    shot(page.page, "lab-light")
    calls = line.js("view.store.length")
    assert calls > 20

    x, y = line.middle()
    whole = line.js("view.navigator.view.to - view.navigator.view.from")
    page.page.mouse.move(x, y)
    page.page.keyboard.down("Control")
    page.page.mouse.wheel(0, -300)
    page.page.keyboard.up("Control")
    line.until("view.navigator.view.to - view.navigator.view.from < %f" % (whole * 0.9))
    line.canvas.focus()
    before = line.js("view.navigator.view.from")
    page.page.keyboard.press("d")
    line.until(f"view.navigator.view.from > {before}")
    page.page.keyboard.press("f")
    line.until("view.navigator.fitted")
    box = line.canvas.bounding_box()
    page.page.mouse.move(x, y)
    page.page.keyboard.press("w")
    from_ = line.js("view.navigator.view.from")
    page.page.mouse.move(box["x"] + box["width"] * 0.6, y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.page.mouse.up()
    assert line.js("view.navigator.view.from") > from_

    line.host.locator("input.filter").fill("call=fd_write")
    line.host.locator("input.filter").press("Enter")
    line.until("view.store.matches !== null")
    matching = line.js("view.store.matches.length")
    assert 0 < matching < calls
    line.host.locator("select[aria-label='Calls that do not match']").select_option("hide")
    line.until(f"view.table.count === {matching}")
    line.host.locator("input.filter").fill("nonsense=1")
    line.host.locator("input.filter").press("Enter")
    line.until("view.status.textContent.includes('nonsense')")
    line.host.locator("input.filter").fill("")
    line.until(f"view.table.count === {calls}")

    line.canvas.focus()
    page.page.keyboard.press("/")
    page.page.keyboard.type("b.txt")
    page.page.keyboard.press("Enter")
    line.until("view.navigator.view.pinned >= 0")
    inspector = line.host.locator("section.inspector")
    inspector.locator("text=Arguments").wait_for()
    assert "b.txt" in inspector.inner_text()
    line.host.locator(".scroller .row .c2", has_text="fd_write").first.click()
    inspector.locator("pre.hex").wait_for()
    assert "2f 69 6e 2f 62" in inspector.locator("pre.hex").inner_text()
    here = inspector.locator(".source .here")
    here.wait_for()
    assert "f" in here.inner_text()
    assert inspector.locator("a").get_attribute("href").startswith("https://github.com/WebAssembly/WASI/")
    shot(page.page, "lab-pinned")

    line.host.locator("select[aria-label='Lanes by']").select_option("fd")
    line.until("view.painter.lanes.some((lane) => lane.label.includes('/in/a.txt'))")
    shot(page.page, "lab-descriptors")
    with page.page.expect_download() as download:
        line.host.locator("select[aria-label='Export']").select_option(".strace")
    assert b"path_open(" in Path(download.value.path()).read_bytes()
    inspector.locator("input.note").fill("look here")
    inspector.locator("input.note").press("Tab")
    line.until("Object.values(view.model.get('notes')).includes('look here')")


def test_keys_and_fingers_move_the_view(opened: Any) -> None:
    page = opened(COPY, width=420, height=900)
    page.command("application:toggle-left-area")
    line = page.timeline()
    line.until("view.root.classList.contains('narrow')")
    x, y = line.middle()
    span = "(view.navigator.view.to - view.navigator.view.from)"
    line.canvas.focus()
    for key, moved in (("w", f"{span} < arg[1]"), ("d", "view.navigator.view.from > arg[0]"),
                       ("a", "view.navigator.view.from < arg[0]"), ("s", f"{span} > arg[1]")):  # fmt: skip
        before = line.js(f"[view.navigator.view.from, {span}]")
        page.page.keyboard.press(key)
        assert line.js(moved, before), key
    page.page.keyboard.press("f")
    assert line.js("view.navigator.fitted")
    page.page.keyboard.press("ArrowRight")
    assert line.js("view.navigator.view.pinned") == 0
    page.page.keyboard.press("Escape")
    assert line.js("view.navigator.view.pinned") == -1
    page.page.keyboard.press("/")
    assert line.js("view.host.shadowRoot.activeElement.className") == "search"
    page.page.keyboard.press("Escape")

    x, y = line.middle()
    touch = page.page.context.new_cdp_session(page.page)

    def fingers(kind: str, **across: float) -> None:
        places = [{"x": at, "y": y, "id": "ab".index(name)} for name, at in across.items()]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    middle = x - line.js("view.canvas.getBoundingClientRect().left")
    whole, held = line.js(f"[{span}, view.painter.time(view.navigator.view, arg)]", middle)
    fingers("touchStart", a=x - 20)
    fingers("touchStart", a=x - 20, b=x + 20)
    for step in range(1, 9):
        fingers("touchMove", a=x - 20 - 5 * step, b=x + 20 + 5 * step)
    assert line.js(span) == pytest.approx(whole / 3, rel=0.1)
    assert line.js("view.painter.time(view.navigator.view, arg)", middle) == pytest.approx(held, abs=whole * 0.02)
    fingers("touchEnd")
    assert line.js("view.navigator.pointers.size") == 0
    assert line.js("view.navigator.view.pinned") == -1, "the finger that left last was no tap"
    assert line.js(span) == pytest.approx(whole / 3, rel=0.1)
    shot(page.page, "lab-pinched")

    box = line.host.locator("canvas.minimap").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] - 6, box["y"] + 12)
    assert line.js("view.navigator.view.to") == pytest.approx(line.js("view.store.span"), rel=0.03)


def test_a_range_of_time_has_a_summary(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    x, y = line.middle(0.3)
    page.page.keyboard.down("Shift")
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 400, y, steps=5)
    page.page.mouse.up()
    page.page.keyboard.up("Shift")
    summary = line.host.locator("section.selection")
    summary.wait_for()
    assert "in the host" in summary.inner_text()
    line.canvas.focus()
    page.page.keyboard.press("Escape")
    summary.wait_for(state="hidden")


def test_dark_and_narrow(opened: Any) -> None:
    page = opened(COPY, width=560, height=1100)
    page.command("application:toggle-left-area")
    page.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    line = page.timeline()
    line.until("view.root.dataset.theme === 'dark'")
    line.until("view.root.classList.contains('narrow')")
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")
    line.canvas.scroll_into_view_if_needed()
    shot(page.page, "lab-dark-narrow")
    page.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    line.until("view.root.dataset.theme === 'light'")


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
    shot(trusted.page, "lab-reopened-trusted")
    trusted.close()

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


HOSTILE = r"""
import wasilab, pathlib
pathlib.Path('in').mkdir(exist_ok=True)
source = r'''
#include <stdio.h>
int main(int argc, char **argv) {
    fopen("/in/<img src=x onerror=hacked=1>\x1b[31m\xe2\x80\xaegpj.exe", "w");
    printf("<script>hacked=1</script>\x1b]0;title\x07 \xe2\x80\xae\n");
    return 0;
}
'''
grants = wasilab.Grants(dirs={'/in': wasilab.HostDir('in')})
module = wasilab.compile(source, 'c', name='<b onclick=hacked=1>x')
wasilab.run(module, ['<img src=x onerror=hacked=1>'], grants=grants, stacks=True)
"""


def test_nothing_that_a_guest_writes_is_obeyed(opened: Any) -> None:
    page = opened(HOSTILE)
    line = page.timeline()
    refused = line.js("view.store.verdict.findIndex((verdict) => verdict & 1)")
    line.js("view.choose(arg)", refused)
    line.host.locator("section.inspector", has_text="why").wait_for()
    line.host.locator("details summary", has_text="Output").click()
    line.js("view.hover(arg, 200, 100)", refused)
    text = line.js("view.root.innerText")
    assert "<img src=x onerror=hacked=1>\\x1b[31m\\u202egpj.exe" in text
    assert "<script>hacked=1</script>" in text
    for char in ("\x1b", "\u202e", "\x07"):
        assert char not in text
    assert page.page.evaluate("() => window.hacked === undefined")
    assert line.js("view.root.querySelectorAll('img, script, b').length") == 0
    shot(page.page, "lab-hostile")


def test_one_click_grants_what_was_refused_and_runs_again(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    assert "1 call was refused" in line.host.locator(".verdict").inner_text()
    line.host.locator("button[data-grant]").click()
    line.until("!view.store.meta.live && view.root.querySelector('.verdict').innerText.includes('nothing was refused')")
    assert line.host.locator("button[data-grant]").count() == 0
    assert (page.lab.notebooks / "in" / "b.txt").exists()


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
