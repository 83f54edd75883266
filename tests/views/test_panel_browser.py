"""The classroom story in a browser: see what is asked for, be refused, read why, grant by a click, take it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .contrast import PALE_WORDS, contrast, over, read
from .lab import REPOSITORY, Lab, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PREPARE = """
import pathlib
pathlib.Path('data').mkdir(exist_ok=True); pathlib.Path('data/in.txt').write_text('hello from the file\\n')
%load_ext wasilab
"""
PROGRAM = r"""%%wasi c --name reader --save reader.wasm
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    char line[80];
    do {
        FILE *file = fopen("/data/in.txt", "r");
        if (!file) { perror("/data/in.txt"); return 1; }
        if (fgets(line, sizeof line, file)) fputs(line, stdout);
        fflush(stdout);
        fclose(file);
        usleep(20000);
    } while (getenv("FOREVER"));
    return 0;
}
"""


def shot(page: Page, name: str) -> None:
    folder = os.environ.get("WASILAB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.page.locator(".wasilab-panel").last.screenshot(path=str(Path(folder) / f"panel-{name}.png"))


class Panel:
    """The panel in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.page.locator(".wasilab-panel:not(.wasilab-static)").last
        self.root.locator(".wasilab-row").first.wait_for()

    def click(self, name: str) -> None:
        self.root.get_by_role("button", name=name, exact=True).click()

    def row(self, name: str) -> Any:
        mine = self.page.page.locator(".wasilab-name", has_text=name)
        return self.root.locator(".wasilab-row").filter(has=mine).first

    def choose(self, folder: str) -> None:
        """Highlight a folder in the chooser, and wait until it is what would be granted."""
        self.root.get_by_role("option").filter(has_text=folder).first.click()
        self.root.get_by_role("button", name=f"Grant {folder}", exact=True).wait_for()

    def says(self, text: str) -> None:
        self.root.get_by_text(text).first.wait_for()


def test_the_classroom_story(lab: Lab, browser: Any) -> None:
    lab.write("story.ipynb", [PREPARE, PROGRAM, "%wasi grants reader"])
    page = lab.open(browser, "story.ipynb", width=1250, height=1300)
    page.run_all()
    panel = Panel(page)
    assert "path_open" in panel.row("directories").inner_text(), "what it asks for is known before it runs"
    assert "not asked for" in panel.row("sockets").inner_text()
    shot(page, "refused")

    panel.says("without asking the host: no directory is granted")
    panel.says("--dir HOST::/data")
    assert "✖ 1" in panel.row("directories").inner_text()
    panel.click("Choose a folder…")
    panel.says("the program looked for")
    panel.choose("data")
    page.page.wait_for_function(
        "() => document.querySelector('.wasilab-box .wasilab-short input')?.value === '/data'"
    )
    shot(page, "chooser")
    panel.click("Grant data")
    panel.row("data").get_by_text("/work/data").wait_for()
    panel.click("Run")
    panel.says("Ended well")
    panel.says("hello from the file")
    assert "✔" in panel.row("data").inner_text()
    shot(page, "granted")

    variable = panel.row("environment").locator("input")
    variable.fill("FOREVER=1")
    variable.press("Enter")
    panel.says("FOREVER=1")
    panel.root.locator("button", has_text="Timeline").click()
    panel.click("Run detached")
    panel.says("every switch above is live")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.wasilab-timeline')].some((t) => t.timeline?.store?.length > 30)"
    )
    assert panel.root.get_by_role("button", name="+ grant a folder…").is_disabled()
    panel.row("directories").get_by_text("a program learns the names of its folders when it starts").wait_for()
    panel.row("clocks").locator("select").select_option("coarse")
    panel.row("clocks").get_by_text("in force from the next call").wait_for()
    panel.row("data").get_by_role("button", name="rights").click()
    panel.row("data").get_by_label("fd_readdir", exact=True).uncheck()
    panel.row("data").get_by_text("revoked: fd_readdir").wait_for()
    assert panel.root.get_by_text("every switch above is live").is_visible(), "it lists nothing, and runs on"
    shot(page, "running")
    panel.row("data").get_by_label("fd_readdir", exact=True).check()
    panel.row("clocks").locator("select").select_option("real")
    panel.row("data").get_by_label("granted", exact=True).uncheck()
    panel.says("exit status 1")
    panel.says("was granted, then taken back")
    panel.row("data").get_by_text("✖").wait_for()  # one call, or two where it was reading just then
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.wasilab-timeline')].some((t) => t.timeline.store.denied.includes(5))"
    )  # DeniedBy.REVOKED
    shot(page, "revoked")
    page.theme("Dark")
    shot(page, "revoked-dark")
    page.theme("Light")

    panel.row("data").get_by_label("granted", exact=True).check()
    panel.row("data").get_by_label("path_readlink", exact=True).uncheck()
    panel.row("environment").get_by_role("button", name="×").click()
    panel.row("environment").get_by_text("FOREVER=1").wait_for(state="detached")
    panel.click("Run")
    panel.says("Ended well")
    panel.click("Grant only what was used")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.wasilab-row select')].filter((s) => s.value === 'none').length >= 1"
    )
    panel.click("Save as a policy file")
    panel.says("saved: run with --policy policy.toml")
    policy = (lab.notebooks / "policy.toml").read_text()
    assert 'mode = "ro", withhold = ["path_readlink"]' in policy
    assert "stderr = false" in policy
    assert "random" in policy
    shot(page, "least")

    command = [sys.executable, "-m", "wasilab", "run", "--policy", "policy.toml", "reader.wasm"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=lab.notebooks, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "hello from the file\n"), done.stderr

    page.command("application:toggle-left-area")
    page.page.set_viewport_size({"width": 400, "height": 1300})
    shot(page, "narrow")
    wide = panel.root.evaluate(
        "(e) => [...e.querySelectorAll('.wasilab-row *, .wasilab-bar *')]"
        ".filter((c) => c.getBoundingClientRect().right > e.getBoundingClientRect().right + 1).map((c) => c.className)"
    )
    assert wide == []
    page.page.set_viewport_size({"width": 1250, "height": 1300})
    page.save()
    assert page.errors == []
    page.close()

    again = Page(lab, browser.new_page(viewport={"width": 1250, "height": 1300}), "story.ipynb")
    again.page.locator(".wasilab-panel").filter(has_text="data").first.wait_for()
    shot(again, "reopened")
    assert again.errors == []
    again.close()


def test_a_folder_is_chosen_with_the_keyboard_alone(lab: Lab, browser: Any) -> None:
    folders = "import os; [os.makedirs(f'keys/{name}/inner', exist_ok=True) for name in ('alpha', 'beta', 'delta')]"
    lab.write("keys.ipynb", [f"{folders}\nos.chdir('keys')\nimport wasilab; wasilab.panel()"])
    page = lab.open(browser, "keys.ipynb", width=1250, height=1000)
    page.run_all()
    panel = Panel(page)
    cells = page.page.locator(".jp-CodeCell").count()
    keyboard = page.page.keyboard
    panel.root.get_by_role("button", name="+ grant a folder…").focus()
    keyboard.press("Enter")
    page.page.wait_for_function("() => document.activeElement?.getAttribute('role') === 'listbox'")
    for key in ("d", "d", "a", "b"):  # JupyterLab's own keys would delete a cell and insert two
        keyboard.press(key)
    panel.root.get_by_role("button", name="Grant delta", exact=True).wait_for()
    assert page.page.locator(".jp-CodeCell").count() == cells
    keyboard.press("Home")
    keyboard.press("ArrowDown")
    panel.root.get_by_role("button", name="Grant beta", exact=True).wait_for()
    assert panel.root.locator('[role="option"][aria-selected="true"]').inner_text().startswith("beta")
    keyboard.press("Enter")
    panel.root.get_by_role("option").filter(has_text="inner").wait_for()
    keyboard.press("ArrowDown")
    panel.root.get_by_role("button", name="Grant inner", exact=True).wait_for()
    keyboard.press("Backspace")
    panel.root.get_by_role("option").filter(has_text="alpha").wait_for()
    keyboard.press("End")
    panel.root.get_by_role("button", name="Grant delta", exact=True).wait_for()
    panel.root.get_by_role("button", name="Grant delta", exact=True).focus()
    keyboard.press("Enter")
    panel.row("delta").get_by_text("keys/delta").wait_for()
    assert panel.root.locator(".wasilab-box").count() == 0
    assert page.errors == []
    page.close()


def test_a_question_is_answered_by_a_button(lab: Lab, browser: Any) -> None:
    cell = "import wasilab; wasilab.panel('reader.wasm', wasilab.Grants(ask=True))"
    lab.write("ask.ipynb", [PREPARE, PROGRAM.replace("--name reader", "--compile-only"), cell])
    page = lab.open(browser, "ask.ipynb", width=1250, height=1300)
    page.run_all()
    panel = Panel(page)
    panel.click("Run detached")
    panel.says("wants to read")
    shot(page, "question")
    panel.click("Allow for the run")
    panel.says("Ended well")
    assert page.errors == []
    page.close()


def test_a_question_of_a_cell_is_answered_by_a_button(lab: Lab, browser: Any) -> None:
    cell = PROGRAM.replace("--name reader --save reader.wasm", "--ask")
    patient = "import wasilab.panels.question\nwasilab.panels.question.SHOWN_SECONDS = 60"  # on a loaded machine
    lab.write("cell.ipynb", [PREPARE, patient, cell, "print('the next cell')"])
    page = lab.open(browser, "cell.ipynb")
    # Not awaited: the command is done when the cells are, and they wait for the answer.
    page.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    question = page.page.get_by_role("alertdialog")
    question.wait_for()
    assert "wants to read" in question.inner_text()
    assert question.get_by_role("button").all_inner_texts() == [
        "Allow once", "Allow for the run", "Deny", "Deny all",
    ]  # fmt: skip
    question.get_by_role("button", name="Deny", exact=True).wait_for()
    if folder := os.environ.get("WASILAB_SCREENSHOTS"):
        page.page.screenshot(path=f"{folder}/question-in-a-cell.png")
    question.get_by_role("button", name="Allow for the run").click()
    page.page.get_by_text("hello from the file", exact=True).wait_for()
    page.page.get_by_text("the next cell", exact=True).wait_for()
    page.idle()
    assert question.count() == 0
    assert page.page.get_by_text("wants to read").first.inner_text().endswith(": allow for the run")
    assert page.errors == []
    page.close()


def test_where_buttons_do_not_work_a_question_is_put_in_the_input_box(lab: Lab, browser: Any) -> None:
    impatient = "import wasilab.panels.question\nwasilab.panels.question.SHOWN_SECONDS = 0"
    cell = PROGRAM.replace("--name reader --save reader.wasm", "--ask")
    lab.write("box.ipynb", [PREPARE, impatient, cell, "print('the next cell')"])
    page = lab.open(browser, "box.ipynb")
    page.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    box = page.page.locator(".jp-Stdin-input")
    box.wait_for()
    assert "wants to read" in page.page.locator(".jp-Stdin-prompt").inner_text()
    box.fill("r")
    box.press("Enter")
    page.page.get_by_text("hello from the file", exact=True).wait_for()
    page.page.get_by_text("the next cell", exact=True).wait_for()
    page.idle()
    assert page.errors == []
    page.close()


def test_whether_runs_are_isolated_is_explained_to_pointer_keyboard_and_screen_reader(lab: Lab, browser: Any) -> None:
    program = "module = wasilab.compile('(module (memory (export \"memory\") 1) (func (export \"_start\")))', 'wat')"
    lab.write("isolated.ipynb", [f"import wasilab\n{program}", "wasilab.panel(module, isolate=True)"])
    page = lab.open(browser, "isolated.ipynb", width=1250, height=900)
    page.command("application:toggle-left-area")
    page.run_all()
    panel = Panel(page)
    label = panel.root.get_by_role("button", name="isolated", exact=True)
    tip = panel.root.get_by_role("tooltip", include_hidden=True)
    assert not tip.is_visible()
    words = "Its programs run in a process of their own"
    described = page.page.context.new_cdp_session(page.page)
    seen = described.send("Accessibility.getFullAXTree")["nodes"]
    (node,) = [each for each in seen if each.get("role", {}).get("value") == "button"
               and each.get("name", {}).get("value") == "isolated"]  # fmt: skip
    assert node["description"]["value"].startswith(words), "a screen reader reads it with the label"

    label.hover()
    assert tip.is_visible()
    tip.hover()
    assert tip.is_visible(), "the pointer may move onto it"
    page.page.mouse.move(5, 5)
    assert not tip.is_visible()

    panel.root.get_by_role("button", name="Run", exact=True).focus()
    page.page.keyboard.press("Shift+Tab")
    assert label.evaluate("(it) => it === document.activeElement"), "it is in the order of the tab key"
    assert tip.is_visible()
    for theme in ("Light", "Dark"):
        page.theme(theme)
        label.focus()
        for width in (1250, 480):
            page.page.set_viewport_size({"width": width, "height": 900})
            shot(page, f"isolated-{theme}-{width}")
            colours = label.evaluate("""(it) => { let node = it;
                while (getComputedStyle(node).backgroundColor === 'rgba(0, 0, 0, 0)') node = node.parentElement;
                return [getComputedStyle(it).color, getComputedStyle(node).backgroundColor]; }""")
            paper = read(colours[1])
            assert contrast(over(read(colours[0]), paper), paper) >= 4.5
            box, area = tip.bounding_box(), page.page.locator(".jp-WindowedPanel-outer").bounding_box()
            assert box["x"] >= area["x"]
            assert box["x"] + box["width"] <= area["x"] + area["width"], "it is not cut off"
    page.page.keyboard.press("Escape")
    page.page.wait_for_function("() => !document.activeElement.closest('.wasilab-isolation')")
    page.page.mouse.move(5, 5)
    assert not tip.is_visible(), "Escape closes it"
    assert page.errors == []
    page.close()


def test_every_word_of_the_panel_has_contrast_in_both_themes(lab: Lab, browser: Any) -> None:
    lab.write("contrast.ipynb", [PREPARE, PROGRAM, "%wasi grants reader"])
    page = lab.open(browser, "contrast.ipynb", width=1250, height=1300)
    page.run_all()
    panel = Panel(page)
    panel.click("Run")
    panel.says("exit status 1")
    root = panel.root.element_handle()
    assert page.page.evaluate(f"(root) => ({PALE_WORDS})(root, 22).length", root) > 20, "the test sees words"
    for theme in ("Light", "Dark"):
        page.theme(theme)
        assert page.page.evaluate(f"(root) => ({PALE_WORDS})(root, 4.5)", root) == [], theme
        arrow = panel.root.locator("select").first.evaluate("(one) => getComputedStyle(one).backgroundImage")
        assert ("%23e0e0e0" in arrow) is (theme == "Dark"), "the arrow of a list is black in ipywidgets"
        shot(page, f"contrast-{theme}")
    assert page.errors == []
    page.close()
