"""File names made of any name: what every system takes, and otherwise unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.text.escape import visible
from wasilab.text.portable_names import file_name


@pytest.mark.parametrize("name", ["naïve ☃.c", "日本語", "it's #1 $x (2)", "a.b", "café", "100%"])
def test_a_name_stays_as_it_is(name: str) -> None:
    assert file_name(name, 100) == name


@pytest.mark.parametrize(
    ("name", "made"),
    [("a/b\\c:d", "a_b_c_d"), ("x\ny\u202ez", "x_y_z"), ("--o", "o"), ("@file", "file"), (" .a ", "a"),
     ("\udcff", "_")],
)  # fmt: skip
def test_what_no_file_name_should_have_is_replaced(name: str, made: str) -> None:
    assert file_name(name, 100) == made


@given(st.text(max_size=80), st.integers(1, 60))
def test_any_name_is_short_and_can_be_shown(name: str, most: int) -> None:
    made = file_name(name, most)
    assert len(made.encode()) <= most
    assert visible(made) == made
    assert not set(made) & set('/\\:*?"<>|\0')
    assert not made.startswith((".", "-", "@", " "))


def test_such_a_file_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / file_name("naïve ☃: <b>\n", 100)
    path.write_text("")
    assert [each.name for each in tmp_path.iterdir()] == ["naïve ☃_ _b__"]
