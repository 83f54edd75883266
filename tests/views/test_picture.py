"""The report's picture: a bitmap that shows what the figure shows, for any run, and needs no matplotlib."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from wasilab.engine.outcome import Outcome
from wasilab.views.timeline.columns import COLOURS, Columns
from wasilab.views.timeline.png import LEFT, WIDTH, drawable, picture
from wasilab.views.timeline.scene import scene, tick_values


def pixels(data: bytes) -> Image.Image:
    assert data.startswith(b"\x89PNG")
    return Image.open(io.BytesIO(data)).convert("RGB")


def colour(name: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(COLOURS[name][1:]))


def amount(image: Image.Image, name: str, box: tuple[int, int, int, int] | None = None, near: int = 4) -> int:
    """How many pixels have the colour of a family or verdict, or nearly."""
    wanted = colour(name)
    counts = (image.crop(box) if box else image).getcolors(1 << 20) or []
    return sum(n for n, found in counts if max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= near)


def test_each_family_that_made_a_call_is_drawn_in_its_colour_and_no_other(copy_run: Any) -> None:
    image = pixels(picture(scene(copy_run)))
    assert image.width == WIDTH
    for family in ("args", "clock", "random", "path", "fd", "proc"):
        assert amount(image, family) > 20, family
    for family in ("poll", "sock", "environ"):
        assert amount(image, family) == 0, family


def test_the_paper_is_white(copy_run: Any) -> None:
    image = pixels(picture(scene(copy_run)))
    assert image.getpixel((1, 1)) == image.getpixel((WIDTH - 2, image.height - 2)) == (255, 255, 255)


def test_what_was_refused_has_its_glyph_and_the_legend_names_it(copy_run: Any, empty_run: Any) -> None:
    image = pixels(picture(scene(copy_run)))
    assert amount(image, "refused") > 25
    assert amount(image, "refused", (LEFT, 0, WIDTH, 34)) > 5, "in the legend"
    assert amount(pixels(picture(scene(empty_run))), "refused") == 0


@pytest.mark.parametrize("kind", ["trap", "limit", "interrupt"])
def test_an_end_that_was_not_the_guests_own_is_marked_at_the_right_edge(copy_run: Any, kind: str) -> None:
    plain = pixels(picture(scene(copy_run)))
    marked = pixels(picture(scene(replace(copy_run, outcome=Outcome(kind, 134, "x", seconds=0.001)))))  # type: ignore[arg-type]
    assert amount(marked, "refused") > amount(plain, "refused") + 200


@pytest.mark.parametrize("calls", [0, 1, 7, 30_000])
def test_any_number_of_calls_makes_a_small_picture(many_run: Any, calls: int) -> None:
    data = picture(scene(many_run(calls)))
    assert pixels(data).width == WIDTH
    assert 1_000 < len(data) < 100_000


def test_a_call_stands_where_its_time_is(many_run: Any) -> None:
    run = many_run(2000)
    columns = Columns.of(run)
    image = pixels(picture(scene(run)))
    axis = image.height - 54
    right = max(x for x in range(WIDTH) if image.getpixel((x, axis)) != (255, 255, 255))
    drawn = [x for x in range(WIDTH) if amount(image, "fd", (x, 0, x + 1, image.height)) > 0]
    mask = columns.families["fd"]
    for pixel, ns in ((drawn[0], columns.start[mask].min()), (drawn[-1], columns.end[mask].max())):
        assert pixel == pytest.approx(LEFT + ns / columns.span * (right - LEFT), abs=3)


def test_a_hostile_name_is_drawn_and_does_not_push_the_rest_out(copy_run: Any) -> None:
    for name in ("a$x^{2}$\x1b \U0001f980\u202e" * 50, "\n" * 500, "", "W" * 10_000):
        image = pixels(picture(scene(replace(copy_run, name=name))))
        assert image.width == WIDTH
        assert amount(image, "fd") > 20


@pytest.mark.parametrize("span", [1e-9, 0.3, 1, 6, 7, 99.9, 1234.5, 8e12])
def test_ticks_are_round_and_few(span: float) -> None:
    values = tick_values(span)
    assert values[0] == 0
    assert span / 3 < values[-1] <= span * (1 + 1e-9)
    assert 2 < len(values) <= 7
    assert all(float(f"{value:.3g}") == pytest.approx(value) for value in values)


def test_what_the_font_lacks_is_written_as_its_number() -> None:
    assert drawable("2 calls in 3 µs, ñ € → ▲ \U0001f980 \uac00 \u202e \n$x$") == (
        "2 calls in 3 µs, ñ € → ▲ \\u1f980 \\uac00 \\u202e \\n$x$"
    )
    assert len(drawable("x" * 1000)) == 100


def test_a_report_does_not_wait_for_matplotlib() -> None:
    code = (
        "import sys, wasilab\n"
        "name = 'a b \\u00b5 \\u20ac \\U0001f980'\n"
        "module = wasilab.compile('(module (func (export \"_start\") (drop (i32.const 1))))', lang='wat')\n"
        "run = wasilab.run(module, name=name)\n"
        "assert name in str(run)\n"
        "assert 'image/png' in run._repr_mimebundle_()['text/html']\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
