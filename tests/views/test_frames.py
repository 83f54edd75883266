"""The frames that hold a page in a notebook: high enough for it, and with a sign where they are not."""

from __future__ import annotations

from typing import Any

import pytest

import wasilab
from wasilab.course import program
from wasilab.views.inside.module_picture import look_inside
from wasilab.views.report.page import embedded
from wasilab.views.report.report import html

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIGN = "getComputedStyle(document.body, '::after').opacity"


def framed(browser: Any, page: str, width: int) -> tuple[Any, Any]:
    """(the page around, its frame)."""
    outer = browser.new_page(viewport={"width": width, "height": 900})
    outer.set_content(f'<body style="margin: 0">{page}</body>')
    frame = outer.frames[1]
    frame.wait_for_load_state()
    return outer, frame


@pytest.mark.parametrize("width", [1090, 520])
@pytest.mark.parametrize("kind", ["report", "small module", "module"])
def test_a_frame_is_about_as_high_as_its_page(browser: Any, kind: str, width: int) -> None:
    page = {
        "report": lambda: html(wasilab.run(program("hello"))),
        "small module": lambda: look_inside(program("bare"))._repr_html_(),
        "module": lambda: look_inside(program("hello"))._repr_html_(),
    }[kind]()
    outer, frame = framed(browser, page, width)
    needed = frame.evaluate("document.body.getBoundingClientRect().height")
    there = outer.evaluate("document.querySelector('iframe').clientHeight")
    assert needed <= there <= 1.2 * needed, "nothing is cut off, and little is empty"
    assert frame.evaluate(SIGN) == "0"
    outer.close()


def test_a_sign_says_that_there_is_more_below(browser: Any) -> None:
    long = "".join(f"<p>line {number}</p>" for number in range(60))
    outer, frame = framed(browser, embedded("long", long, "", 300), 1000)
    assert frame.evaluate(SIGN) == "1"
    assert "▾" in frame.evaluate("getComputedStyle(document.body, '::after').content")
    frame.evaluate("window.scrollTo(0, 1e6)")
    frame.wait_for_function(f"() => {SIGN} === '0'")
    outer.close()
