"""The words of a magic's line: shell quoting, and values only by unquoted braces."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab import Grants, HostDir
from wasilab.commands.line.grammar import parse
from wasilab.commands.line.usage import UsageProblem
from wasilab.commands.line.words import Values, split
from wasilab.commands.notebook.cell_line import parse_cell
from wasilab.grants.forms.flags import from_options
from wasilab.grants.value import GrantError


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
        ("{1 +", "not a Python expression"),
        ("{}", "not a Python expression"),
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
    with pytest.raises(UsageProblem, match=r"\{v\} is an object"):
        values.text(word)


def test_the_characters_of_a_mark_are_plain_text_where_no_value_stands_for_them() -> None:
    for word in ("\ue0000\ue001", "a\ue000123456789\ue001b", "\ue000" + "9" * 5000 + "\ue001"):
        values = Values()
        assert (values.text(word), values.object(word), values.shown(word)) == (word, word, word)
    request = parse(["run", "--dir", "\ue0000\ue001", "\ue0000\ue001"], "cli")
    assert (str(request.options.grant_dirs[0]), request.options.file) == ("\ue0000\ue001",) * 2


@pytest.mark.parametrize(
    ("word", "values", "host", "guest", "mode"),
    [
        ("{v}", {"v": "a::/b:rw"}, "a::/b:rw", "a::/b:rw", "ro"),
        ("{v}", {"v": "a:copy"}, "a:copy", "a:copy", "ro"),
        ("{v}:rw", {"v": "a::/b"}, "a::/b", "a::/b", "rw"),
        ("{v}::/data", {"v": "a::/b:rw"}, "a::/b:rw", "/data", "ro"),
        ("{v}::/data:copy", {"v": Path("a:rw")}, "a:rw", "/data", "copy"),
        ("x::/{v}", {"v": "d:rw"}, "x", "/d:rw", "ro"),
        ("x/{v}/y::/{w}:ro", {"v": "1::", "w": "::2"}, "x/1::/y", "/::2", "ro"),
    ],
)
def test_a_value_in_a_folder_is_a_path_and_nothing_else(
    word: str, values: dict[str, object], host: str, guest: str, mode: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / host).mkdir(parents=True)
    kept = Values()
    words = split(f"--dir {word}", lambda source: values[source], kept)
    options = parse_cell(["wat", *words], kept).options
    ((found, folder),) = from_options(options, Grants()).dirs.items()
    assert isinstance(folder, HostDir)
    assert (found, str(folder.path), folder.mode) == (guest, host, mode)


@pytest.mark.parametrize("word", ["x::/d:{v}", "x:{v}"])
def test_a_mode_is_typed_and_never_comes_from_a_value(word: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    kept = Values()
    options = parse_cell(["wat", *split(f"--dir {word}", lambda source: "rw", kept)], kept).options
    with pytest.raises(GrantError, match="write the mode itself"):
        from_options(options, Grants())
