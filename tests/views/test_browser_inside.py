"""The views of what is inside a program, in a real JupyterLab: drawn in frames, dark and narrow too."""

from __future__ import annotations

from typing import Any

import pytest

from .lab import Page, shot

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELL = r"""%%wasi c --name look --stacks
#include <stdio.h>

int main(void) {
    char buffer[64];
    FILE *file = fopen("/data/notes.txt", "r");
    if (!file) perror("notes");
    snprintf(buffer, sizeof buffer, "%d lines", 2);
    puts(buffer);
    return 0;
}
"""


def frame(page: Page, from_last: int) -> Any:
    """The document of one of the frames, counted from the last, scrolled into view."""
    found = page.page.locator("iframe.wasilab-frame")
    found.nth(found.count() - from_last).scroll_into_view_if_needed()
    return found.nth(found.count() - from_last).content_frame


@pytest.mark.parametrize(("theme", "width"), [("Light", 1300), ("Dark", 1300), ("Dark", 620)])
def test_a_module_the_code_of_a_function_and_a_memory_are_drawn(opened: Any, theme: str, width: int) -> None:
    cells = ["%load_ext wasilab", CELL, "%wasi inspect look", "%wasi code main look", "%wasi memory look"]
    page = opened(*cells, width=width, run=False)
    page.theme(theme)
    page.run_all()
    page.page.wait_for_function("() => document.querySelectorAll('iframe.wasilab-frame').length >= 3")
    picture = frame(page, 3)
    assert picture.locator(".bars b", has_text="code").count() >= 1
    assert picture.locator(".strip .r-stack").count() == 1
    shot(page.page, f"inside-picture-{theme}-{width}")
    code = frame(page, 2)
    assert code.locator("td.source", has_text='fopen("/data/notes.txt"').count() >= 1
    refused = code.locator("tr.lit.refused td.wat")
    assert "call $fopen" in refused.first.inner_text()
    refused.first.scroll_into_view_if_needed()
    shot(page.page, f"inside-code-{theme}-{width}")
    memory = frame(page, 1)
    assert memory.locator(".hexdump mark").count() == 1
    assert memory.locator("body").evaluate("body => body.scrollWidth <= body.clientWidth + 1"), "it scrolls within"
    shot(page.page, f"inside-memory-{theme}-{width}")
    page.theme("Light")
