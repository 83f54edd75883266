"""The widget in a page without Jupyter: what needs a browser, but no notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wasilab
from tests.engine.guests import wat

from .lab import shot
from .test_passed import EVIL, lab_of, passing_trace

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_filter_is_made_of_values_that_are_pointed_at(bare: Any, evil_run: Any) -> None:
    page = bare(evil_run, width=420, dark=True)
    line, keys = page.line, page.page.keyboard
    box = line.host.locator("input.filter")
    line.host.locator("button", has_text="Facets").click()
    facet = line.host.locator(".facet[aria-label='Values of call']")
    facet.locator(".only", has_text="fd_read").click()
    line.until("view.store.matches?.length === 12")
    assert box.input_value() == "call=fd_read"
    assert facet.locator(".only").all_inner_texts() == ["fd_read\n12"], "the counts are those of the calls that match"
    shot(page.page, "facets")
    facet.locator(".only").press("Enter")
    line.until("view.store.matches === null")
    assert line.js("view.host.shadowRoot.activeElement.title") == "Only: call=fd_read", "the keyboard stays there"

    line.js("view.choose(4)")
    line.js("view.table.element.focus()")
    keys.press("Shift+F10")
    menu = line.host.locator("[role=menu]")
    menu.wait_for()
    assert "<script>" in menu.inner_text()
    assert menu.locator("script").count() == 0
    shot(page.page, "menu")
    term = line.js("view.details.known(4).examples.find(([name]) => name === 'path')[2]")
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    keys.press("Enter")
    line.until("view.store.matches !== null")
    assert box.input_value() == f"not {term}"
    assert line.js("view.store.mask[4]") == 0
    assert line.js("view.store.matches.length") == len(evil_run.trace) - 1
    assert menu.is_hidden()
    assert line.js("view.host.shadowRoot.activeElement === view.table.element")


def test_the_cursor_in_time_is_dragged_stepped_and_played(bare: Any, evil_run: Any) -> None:
    page = bare(evil_run, width=700)
    line, keys, mouse = page.line, page.page.keyboard, page.page.mouse
    line.host.locator("[role=tab]", has_text="State").click()
    last = len(evil_run.trace) - 1
    line.until(f"view.travel.shown?.seq === {last}")
    panel = line.host.locator("section.travel")
    assert "did not return" not in panel.inner_text()
    assert panel.locator("script").count() == 0

    line.canvas.scroll_into_view_if_needed()
    box = line.canvas.bounding_box()
    x = box["x"] + line.js("view.painter.x(view.navigator.view, view.travel.time)")
    mouse.move(x, box["y"] + 10)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + 10, steps=5)
    mouse.up()
    at = line.js("view.travel.at")
    assert 5 < at < last
    line.until(f"view.travel.shown.seq === {at}")
    assert "/data/in.txt" in panel.inner_text()
    line.canvas.focus()
    keys.press(",")
    keys.press(",")
    keys.press(".")
    line.until(f"view.travel.shown.seq === {at - 1}")
    for seq in (6, 8):  # each reads a line
        line.js(f"view.travel.to({seq})")
        line.until(f"view.travel.shown.seq === {seq}")
    assert panel.locator("tr.fresh").count() == 2, "the descriptors that were read and written are marked"
    shot(page.page, "state")
    keys.press(" ")
    line.until("view.travel.at > 8")
    keys.press(" ")
    assert line.js("view.travel.timer") == 0
    panel.locator("input[type=range]").focus()
    keys.press("Home")
    line.until("view.travel.shown.seq === 0")

    page.page.evaluate("window.withoutKernel = true")
    line.js("view.travel.reset()")
    line.js("view.travel.to(12)")
    line.until("view.travel.shown?.partial")
    assert "/data/in.txt" in panel.inner_text()
    assert "Without the kernel" in panel.inner_text()


def test_files_and_capabilities_lead_to_their_calls_also_without_a_kernel(bare: Any, evil_run: Any) -> None:
    page = bare(evil_run, width=900, dark=True)
    line, keys = page.line, page.page.keyboard
    line.host.locator("[role=tab]", has_text="State").focus()
    keys.press("ArrowRight")
    keys.press("Enter")
    tree = line.host.locator("[role=tree]")
    tree.locator("[role=treeitem]").first.focus()
    keys.press("ArrowLeft")
    assert tree.locator("[role=treeitem]").count() == 1
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    assert tree.locator("script").count() == 0
    tree.locator("[role=treeitem]", has_text="in.txt").click()
    line.until("view.store.matches !== null")
    assert line.host.locator("input.filter").input_value() == "path=/data/in.txt"
    shot(page.page, "files")

    page.page.evaluate("window.withoutKernel = true")
    line.js("view.maps.reset()")
    line.host.locator("[role=tab]", has_text="Capabilities").click()
    graph = line.host.locator("section.graph svg")
    graph.wait_for()
    assert graph.locator("script").count() == 0
    assert graph.locator("g.box.refused").count() == 2
    shot(page.page, "graph")
    page.page.evaluate("window.withoutKernel = false")
    graph.locator("g.box.refused").first.focus()
    keys.press("Enter")
    line.until("view.store.matches?.length === 1")
    assert line.js("view.store.denied[view.store.matches[0]]") != 0

    line.host.locator("[role=tab]", has_text="Call tree").click()
    flame = line.host.locator(".flame")
    flame.locator("[role=treeitem]").first.focus()
    assert flame.locator("[role=treeitem][aria-level='1']").first.get_attribute("aria-label").startswith("main")
    keys.press("ArrowDown")
    keys.press("Enter")
    line.until("view.store.matches?.length > 1")
    assert line.host.locator("input.filter").input_value().startswith("call=")
    line.host.locator("select[aria-label='Weighed by']").select_option("calls")
    assert flame.locator("[role=treeitem]").count() > 2
    shot(page.page, "flame")


@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 500)])
def test_the_state_of_a_run_with_snapshots_shows_the_memory_at_each_call(bare: Any, dark: bool, width: int) -> None:
    once = "(drop (call $random_get (i32.const {0}) (i32.const 16)))"
    program = wat("random_get", "".join(once.format(at) for at in (4096, 8192, 20480)))
    run = wasilab.run(program, grants=wasilab.Grants(random=wasilab.Random.seeded(1)), snapshots=True)
    assert all(0 not in event.data for event in run.trace), "each byte becomes another one"
    page = bare(run, dark=dark, width=width)
    line, panel = page.line, page.line.host.locator("section.travel")
    line.host.locator("[role=tab]", has_text="State").click()
    for seq, address in ((2, "0x5000"), (1, "0x5000"), (0, "0x2000"), (1, "0x2000")):  # since the previous stop
        line.js(f"view.travel.to({seq})")
        words = panel.locator(".memory p", has_text=f"to call {seq} ")
        words.wait_for()
        assert "16 bytes changed in 1 place" in words.inner_text()
        assert panel.locator(".memory code").all_inner_texts() == [address]
    shot(page.page, f"snapshots-{'dark' if dark else 'light'}-{width}")
    line.js("(view.travel.memory.reset(), view.travel.memory.to(0))")
    panel.locator(".memory p", has_text="no call comes before call 0").wait_for()
    plain = bare(wasilab.run(wat("random_get", once.format(4096))))
    plain.line.host.locator("[role=tab]", has_text="State").click()
    plain.line.until("view.travel.shown !== null")
    assert plain.line.host.locator("details.memory[open]").count() == 0, "a replay is for who asked for it"


@pytest.mark.parametrize(("dark", "width"), [(False, 1300), (True, 500)])
def test_a_passed_descriptor_is_an_arrow_that_pointer_and_keys_reach(
    bare: Any, tmp_path: Path, dark: bool, width: int
) -> None:
    with lab_of(tmp_path, rights="ro", opener=EVIL) as lab:
        trace = passing_trace(lab, EVIL)
    page = bare(trace, dark=dark, width=width)
    line, keys, mouse = page.line, page.page.keyboard, page.page.mouse
    arrows, tip = "view.passing.arrows", line.host.locator("[role=tooltip]")
    assert line.js(f"{arrows}.drawn") == 0, "no lane of a family holds descriptors"
    line.host.locator("button", has_text="2 passed").click()
    line.until(f"{arrows}.drawn === 3")
    assert line.host.locator("select[aria-label='Lanes by']").input_value() == "fd"
    status = line.host.locator("#status").inner_text()
    assert status.startswith(f"1 of 3 passed: {EVIL} 4</data/a.txt> → reader 3<")
    assert "rights withheld: fd_" in status
    assert tip.inner_text().startswith(f"{EVIL} 4</data/a.txt> → reader 3<")
    assert tip.locator("img").count() == 0
    shot(page.page, f"passed-{'dark' if dark else 'light'}-{width}")
    line.canvas.focus()
    keys.press("p")
    keys.press("p")
    assert "77 → reader: refused" in line.host.locator("#status").inner_text()
    keys.press("Shift+P")
    keys.press("Enter")
    line.until("view.store.nameOf(view.navigator.view.pinned) === 'number'")
    assert line.js(f"{arrows}.chosen") == -1
    keys.press("Escape")
    line.canvas.scroll_into_view_if_needed()
    box = line.canvas.bounding_box()
    for arrangement in ("fd", "instance"):
        line.host.locator("select[aria-label='Lanes by']").select_option(arrangement)
        line.until(f"{arrows}.drawn === 3")
        curve = line.js(f"{arrows}.place(view.navigator.view, 0)")
        x, y = curve["x"] + 0.75 * curve["bend"], (curve["from"] + curve["to"]) / 2
        mouse.move(box["x"] + x, box["y"] + y)
        line.until(f"{arrows}.hover === 0")
        tip.wait_for()
        assert "in the call reader.count" in tip.inner_text()
        mouse.click(box["x"] + x, box["y"] + y)
        line.until(f"{arrows}.chosen === 0")
        line.canvas.focus()
        keys.press("Escape")
        assert line.js(f"{arrows}.chosen") == -1
        mouse.move(0, 0)
    shot(page.page, f"passed-by-instance-{'dark' if dark else 'light'}-{width}")
    line.host.locator("select[aria-label='Lanes by']").select_option("family")
    line.until(f"{arrows}.drawn === 0")


@pytest.mark.parametrize(("dark", "width"), [(False, 1000), (True, 420)])
def test_the_state_of_several_instances_names_the_instance_of_each_descriptor(
    bare: Any, tmp_path: Path, dark: bool, width: int
) -> None:
    with lab_of(tmp_path) as lab:
        trace = passing_trace(lab)
        last = len(trace) - 1
        then = trace.moment(last)
        assert [(one.instance, one.fd) for one in then.descriptors] == [("opener", 3), ("opener", 4), ("reader", 3)]
        assert then.fd(3, "reader").path == "<opener>/data/a.txt"
        assert then.fd(4).instance == "opener"
        with pytest.raises(KeyError, match="in several instances: say instance='opener' or 'reader'"):
            then.fd(3)
        assert "instance  fd  path" in str(then)
        assert {one.instance for one in lab["opener"].trace.moment(0).descriptors} == {""}, "its own trace is of one"
        page = bare(trace, dark=dark, width=width)
        line, panel = page.line, page.line.host.locator("section.travel")
        line.host.locator("[role=tab]", has_text="State").click()
        for partial in (False, True):
            if partial:  # as without a kernel
                line.js("view.asker.ask = () => Promise.reject(new Error('no kernel'))")
                line.js("view.travel.reset()")
            line.js(f"view.travel.to({last})")
            line.until(f"view.travel.shown?.seq === {last} && !!view.travel.shown.partial === {str(partial).lower()}")
            heads = panel.locator("th").all_inner_texts()
            assert heads[:3] == ["instance", "fd", "path"]
            rows = [row.locator("td").all_inner_texts()[:2] for row in panel.locator("tbody tr").all()]
            assert ["opener", "3"] in rows
            assert partial or ["reader", "3"] in rows, "the page knows that it was given back"
        shot(page.page, f"state-of-instances-{'dark' if dark else 'light'}-{width}")
    one = bare(wasilab.run(wat("random_get", "(drop (call $random_get (i32.const 0) (i32.const 1)))")))
    one.line.host.locator("[role=tab]", has_text="State").click()
    one.line.until("view.travel.shown !== null")
    assert "instance" not in one.line.host.locator("section.travel th").all_inner_texts(), "one instance needs no name"
