"""The timeline's controls in a real JupyterLab, in Debian's Chromium: pointer, wheel, fingers, keys, themes.

Runs, saved notebooks and figures are in `test_browser_runs.py`. Screenshots go to the folder that WASILAB_SCREENSHOTS
names (none are kept without it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .lab import COPY, shot

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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

    line.host.locator("input.filter").fill("fd_write")
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

    fingers("touchStart", a=x - 40)
    fingers("touchStart", a=x - 40, b=x + 40)
    fingers("touchMove", a=x - 50, b=x + 50)
    narrowed, left = line.js(f"[{span}, view.navigator.view.from]")
    held = line.js("[...view.navigator.pointers.keys()]")
    fingers("touchEnd", b=x + 50)  # one finger leaves in the middle of the pinch
    assert line.js("[...view.navigator.pointers.keys()]") == held[:1]
    for step in range(1, 6):
        fingers("touchMove", a=x - 50 - 6 * step)
    assert line.js(span) == pytest.approx(narrowed, rel=1e-6), "the finger that stays drags, it does not zoom"
    line.until(f"view.navigator.view.from > {left}")
    fingers("touchStart", a=x - 80, b=x + 40)  # and the other comes back: a pinch again
    for step in range(1, 4):
        fingers("touchMove", a=x - 80 + 10 * step, b=x + 40 - 10 * step)
    line.until(f"{span} > {narrowed * 1.2}")
    fingers("touchEnd")
    assert line.js("[view.navigator.pointers.size, view.navigator.view.pinned]") == [0, -1]

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


def test_every_control_is_reached_and_worked_by_keyboard(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    line.host.locator("button[data-grant]").focus()
    seen = []
    for _ in range(24):
        page.page.keyboard.press("Tab")
        who, outlined = line.js(
            """(() => { const at = view.host.shadowRoot.activeElement; if (!at) return ["", true];
            const name = at.getAttribute("aria-label") ?? at.textContent;
            return [name, getComputedStyle(at).outlineStyle !== "none"]; })()"""
        )
        if not who:
            break
        assert outlined, f"{who} does not show its focus"
        seen.append(who)
    wanted = ("Show the whole run (F)", "Zoom in (W)", "Zoom out (S)", "Lanes by", "Filter of calls",
              "Values that occur, with counts", "Calls that do not match", "Search calls", "Export",
              "Keys and gestures", "Timeline of 42 calls", "State", "Calls; the arrow keys choose one", "#", "time",
              "call", "result", "took", "Output", "Asked for, granted, used", "Calls",
              "Lines of the source")  # fmt: skip
    assert [next((who for who in seen if who.startswith(name)), None) is not None for name in wanted] == [True] * 22
    assert len(seen) == len(wanted) == 22, seen

    table = line.host.locator(".table")
    table.focus()
    for key, row in (("ArrowDown", 0), ("ArrowDown", 1), ("End", 41), ("ArrowUp", 40), ("Home", 0)):
        page.page.keyboard.press(key)
        assert line.js("view.navigator.view.pinned") == row
    assert line.js("view.root.querySelector('#' + arg).getAttribute('aria-selected')",
                   table.get_attribute("aria-activedescendant")) == "true"  # fmt: skip
    inspector = line.host.locator("section.inspector")
    inspector.locator("text=Arguments").wait_for()
    inspector.locator("button[aria-label='Next call']").focus()
    for row in (1, 2, 3):
        page.page.keyboard.press("Enter")
        line.until(f"view.navigator.view.pinned === {row}")
        assert line.js("view.host.shadowRoot.activeElement.getAttribute('aria-label')") == "Next call"
    page.page.keyboard.press("Escape")
    assert line.js("view.navigator.view.pinned") == -1
    assert line.js("view.host.shadowRoot.activeElement === view.canvas")
    page.page.keyboard.press("m")
    line.host.locator("section.selection").wait_for()
    assert "42 calls" in line.host.locator("section.selection").inner_text()
    page.page.keyboard.press("Escape")
    line.host.locator("button[aria-label='Keys and gestures']").press("Enter")
    line.host.locator(".help", has_text="select the time in sight").wait_for()


def test_dark_and_narrow(opened: Any) -> None:
    page = opened(COPY, width=560, height=1100)
    page.command("application:toggle-left-area")
    page.theme("Dark")
    line = page.timeline()
    line.until("view.root.dataset.theme === 'dark'")
    line.until("view.root.classList.contains('narrow')")
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")
    line.canvas.scroll_into_view_if_needed()
    shot(page.page, "lab-dark-narrow")
    page.theme("Light")
    line.until("view.root.dataset.theme === 'light'")


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


def test_search_counts_and_the_table_is_sorted_resized_and_copied(opened: Any) -> None:
    page = opened(COPY)
    line = page.timeline()
    line.host.scroll_into_view_if_needed()
    line.host.locator("input.search").fill("b.txt")
    line.host.locator("input.search").press("Enter")
    place = line.host.locator(".place")
    line.until("view.root.querySelector('.place').textContent.startsWith('1 of ')")
    total = int(place.inner_text().split()[-1])
    assert total > 1
    line.host.locator("button[aria-label^='Next match']").click()
    line.until(f"view.root.querySelector('.place').textContent === '2 of {total}'")
    line.host.locator("button[aria-label^='Previous match']").click()
    line.until(f"view.root.querySelector('.place').textContent === '1 of {total}'")
    page.page.keyboard.press("Escape")

    took = "Array.from({length: 5}, (_, i) => view.store.dur[view.table.rowAt(i)])"
    line.host.locator(".head .c5").click()
    assert line.js(took) == sorted(line.js("Array.from(view.store.dur.subarray(0, view.store.length))"))[::-1][:5]
    assert line.host.locator(".head .c5").get_attribute("aria-sort") == "descending"
    line.host.locator(".head .c5").press("Enter")
    assert line.js(took) == sorted(line.js("Array.from(view.store.dur.subarray(0, view.store.length))"))[:5]
    row = line.js("view.table.rowAt(2)")
    line.host.locator(".scroller .row").nth(2).locator(".c2").click()
    line.until(f"view.navigator.view.pinned === {row}")
    line.js("view.choose(-1)")  # the inspector takes the room of some columns
    line.host.locator(".head .c5").click()
    assert line.js("[0, 1, 2].map((i) => view.table.rowAt(i))") == [0, 1, 2]

    edge = line.host.locator(".head .c2 .edge").bounding_box()
    before = line.host.locator(".head .c2").bounding_box()["width"]
    page.page.mouse.move(edge["x"] + 3, edge["y"] + 8)
    page.page.mouse.down()
    page.page.mouse.move(edge["x"] + 63, edge["y"] + 8, steps=4)
    page.page.mouse.up()
    assert abs(line.host.locator(".head .c2").bounding_box()["width"] - before - 60) < 3
    assert abs(line.host.locator(".scroller .row .c2").first.bounding_box()["width"] - before - 60) < 3

    pinned = line.js("view.navigator.view.pinned")
    cell = line.host.locator(".scroller .row .c2").nth(4).bounding_box()
    page.page.mouse.move(cell["x"] + 2, cell["y"] + 9)
    page.page.mouse.down()
    page.page.mouse.move(cell["x"] + 60, cell["y"] + 9, steps=4)
    page.page.mouse.up()
    marked = line.js("view.table.selected()")
    assert marked
    assert marked in line.host.locator(".scroller .row .c2").nth(4).inner_text()
    assert line.js("view.navigator.view.pinned") == pinned, "marking text is no click"
    assert line.js("view.table.copied(0)").startswith("0\t")
    shot(page.page, "table-sorted")


def test_a_pinned_call_has_no_tooltip_and_every_descriptor_can_be_reached(opened: Any) -> None:
    page = opened(MANY_FILES, width=900)
    line = page.timeline()
    line.host.scroll_into_view_if_needed()
    found = line.js("""(() => {
        const { painter, navigator } = view;
        for (let y = 30; y < painter.height; y += 6)
            for (let x = painter.gutter; x < painter.width; x += 3)
                if (painter.rowAt(navigator.view, x, y) >= 0) return [x, y];
    })()""")
    box = line.canvas.bounding_box()
    page.page.mouse.move(box["x"] + found[0], box["y"] + found[1])
    tip = line.host.locator(".tip")
    tip.wait_for()
    assert tip.bounding_box()["width"] <= 262
    assert tip.bounding_box()["height"] < 130
    shot(page.page, "tooltip")
    page.page.mouse.click(box["x"] + found[0], box["y"] + found[1])
    line.until("view.navigator.view.pinned >= 0")
    assert not tip.is_visible()

    line.host.locator("select[aria-label='Lanes by']").select_option("fd")
    line.until("view.painter.lanes.length > 30 && !view.lanesBar.hidden")
    bar = line.host.locator(".lanes-bar")
    bar.evaluate("(bar) => { bar.scrollTop = bar.scrollHeight; }")
    line.until("view.navigator.view.scroll >= view.painter.contentHeight - view.painter.height - 1")
    shot(page.page, "descriptors-end")
    box = line.canvas.bounding_box()
    page.page.mouse.move(box["x"] + 20, box["y"] + 100)
    page.page.mouse.wheel(0, -5000)
    line.until("view.navigator.view.scroll === 0")
    with page.page.expect_download() as download:
        line.host.locator("select[aria-label='Export']").select_option(".png")
    assert download.value.suggested_filename == "many files.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


MANY_FILES = """
import wasilab
source = '''
#include <stdio.h>
int main(void) {
    char name[20];
    for (int i = 0; i < 40; i++) {
        sprintf(name, "/d/file%d", i);
        FILE *f = fopen(name, "w");
        fputs("x", f);
        if (i % 2) fclose(f);
    }
}
'''
module = wasilab.compile(source, 'c', name='many files')
wasilab.run(module, grants=wasilab.Grants(dirs={'/d': wasilab.MemDir()}), stacks=True)
"""


def test_a_run_appears_at_its_height_without_a_jump(opened: Any) -> None:
    """What is below a cell does not move down and up again while the timeline is being made."""
    page = opened(COPY.removesuffix("run\n"), "run")
    page.timeline()
    page.page.evaluate("""() => { const book = window.jupyterapp.shell.currentWidget.content;
        book.activeCellIndex = 1; book.deselectAll(); window.heights = [];
        const look = () => { const area = book.widgets[1].node.querySelector('.jp-Cell-outputArea');
            window.heights.push(area ? area.getBoundingClientRect().height : 0); requestAnimationFrame(look); };
        look(); }""")
    page.command("notebook:run-cell")
    page.page.wait_for_function("() => window.heights.length > 3 && window.heights.some((height) => height < 100)")
    page.timeline()
    page.page.wait_for_function("() => window.heights.at(-1) > 300 && new Set(window.heights.slice(-30)).size === 1")
    heights = page.page.evaluate("window.heights")
    seen = heights[next(at for at, height in enumerate(heights) if height < 100) :]
    assert max(seen) <= heights[-1] + 12
