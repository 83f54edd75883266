"""Guest text shown to people: nothing in it moves, hides, recolours or runs."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.text.escape import cut_lines, html_text, shorten, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 大きい", "größe 大きい"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("null\0bell\x07", "null\\x00bell\\x07"),
        ("\ud800", "\\ud800"),
        ("line\u2028separator", "line\\u2028separator"),
        ("tag\U000e0041", "tag\\U000e0041"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
    ],
)
def test_what_is_invisible_or_active_is_shown_as_an_escape(text: str | bytes, shown: str) -> None:
    assert visible(text) == shown


def test_newlines_stay_in_blocks_and_are_escaped_in_one_line() -> None:
    assert visible("a\tb\nc\rd", lines=True) == "a\tb\nc\\rd"
    assert visible("a\tb\nc\rd") == "a\\tb\\nc\\rd"


@given(st.text())
def test_no_control_format_or_surrogate_character_is_left(text: str) -> None:
    for char in visible(text):
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(st.text())
def test_html_text_holds_no_markup(text: str) -> None:
    shown = html_text(text)
    assert not set("<>\"'") & set(shown)


@given(st.text(), st.integers(4, 60))
def test_shorten_keeps_both_ends_within_the_limit(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= max(limit, 3)
    if len(text) > limit:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_cut_lines_counts_what_is_left_out() -> None:
    text = "".join(f"{i}\n" for i in range(100))
    kept, left = cut_lines(text, lines=10, characters=10_000)
    assert kept == "".join(f"{i}\n" for i in range(10))
    assert left == 90
    assert cut_lines("one line", lines=10, characters=100) == ("one line", 0)
    assert cut_lines("", lines=10, characters=100) == ("", 0)
