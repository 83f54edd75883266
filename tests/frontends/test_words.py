"""The words of a magic's line: shell quoting, and values only by unquoted braces."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.commands.line.usage import UsageProblem
from wasilab.commands.line.words import Values, split


def words(line: str, **names: Any) -> list[object]:
    values = Values()
    found = split(line, lambda source: eval(source, {}, names), values)
    return [values.object(word) for word in found]


@given(st.text(st.sampled_from("ab \t'\"\\={}-:/$!é"), max_size=20))
def test_without_expressions_the_words_are_those_of_shlex(line: str) -> None:
    try:
        expected: list[str] | None = shlex.split(line)
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(UsageProblem):
            split(line)
    else:
        assert split(line) == expected


def test_an_unquoted_expression_is_replaced_and_a_quoted_one_is_not() -> None:
    assert words("""{1 + 1} '{1+1}' "{1+1}" x""") == [2, "{1+1}", "{1+1}", "x"]


def test_a_value_stays_one_word_whatever_is_in_it() -> None:
    assert words("--dir {folder}", folder="my data --deny-all") == ["--dir", "my data --deny-all"]
    assert words("--dir={folder}", folder="a b") == ["--dir=a b"]


def test_a_value_can_stand_inside_a_word() -> None:
    assert words("{p}::/data:ro", p=Path("in")) == ["in::/data:ro"]


def test_braces_and_quotes_inside_an_expression_belong_to_it() -> None:
    assert words("""{ {"a b": "}"}["a b"] } {[c for c in "xy"]}""") == ["}", ["x", "y"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--env 'A=b", "not closed"),
        ('"open', "not closed"),
        ("{1 +", "no Python expression"),
        ("{}", "no Python expression"),
        ("{missing}", "NameError"),
        ("{1/0}", "ZeroDivisionError"),
        ("end\\", "backslash"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_clear_sentence(line: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said) as caught:
        words(line)
    assert "\n" not in caught.value.message


def test_a_value_without_text_cannot_stand_inside_a_word() -> None:
    values = Values()
    (word,) = split("x{v}", lambda source: object(), values)
    with pytest.raises(UsageProblem, match=r"\{v\} is a object"):
        values.text(word)
