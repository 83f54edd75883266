"""The nearest valid word, and that the package has one place that looks for it."""

from __future__ import annotations

from pathlib import Path

import wasilab
from wasilab.text.nearest import did_you_mean, nearest


def test_case_and_dashes_do_not_count() -> None:
    assert nearest("SUMMARY", ["--strace", "--summary"]) == "--summary"


def test_nothing_is_suggested_for_a_word_that_is_like_none() -> None:
    assert nearest("zzz", ["--strace", "--summary"]) is None
    assert did_you_mean("zzz", ["a"], " (valid: a)") == " (valid: a)"
    assert did_you_mean("zzz", []) == ""


def test_a_word_known_from_elsewhere_is_taken_first() -> None:
    assert nearest("rustc", ["rust", "c"], {"rustc": "c"}) == "c"
    assert nearest("rustc", ["rust"], {"rustc": "c"}) == "rust"  # only where the other word is valid


def test_the_suggestion_is_quoted_and_escaped() -> None:
    assert did_you_mean("/dat", ["/data\u202e"]) == "; did you mean '/data\\u202e'?"


def test_only_one_file_looks_for_close_matches() -> None:
    package = Path(wasilab.__file__).parent
    users = [p.name for p in package.rglob("*.py") if "get_close_matches" in p.read_text()]
    assert users == ["nearest.py"]
