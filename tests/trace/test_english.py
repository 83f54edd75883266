"""Filters in English."""

from __future__ import annotations

import pytest

from wasilab.trace.errors import QueryError
from wasilab.trace.filter.english import in_english


@pytest.mark.parametrize(
    ("filter", "one", "several"),
    [
        ("", "call", "calls"),
        ("fd_write", "fd_write call", "fd_write calls"),
        (
            "call=path_open errno=0 path=*etc*",
            "path_open call that succeeds and acts on a path that matches *etc*",
            "path_open calls that succeed and act on a path that matches *etc*",
        ),
        ("errno!=0", "call that fails", "calls that fail"),
        ("not ok", "call that does not succeed", "calls that do not succeed"),
        ("dur>9ms sched", "sched call that takes more than 9ms", "sched calls that take more than 9ms"),
        ("refused or failed", "call that is refused or fails", "calls that are refused or fail"),
        ("not (refused or failed)", "call that is not refused and does not fail",
         "calls that are not refused and do not fail"),
        ("(refused or ok) fd=3", "call that (is refused or succeeds) and acts on descriptor 3",
         "calls that (are refused or succeed) and act on descriptor 3"),
        ("denied_by=path", "call that is refused because its path leaves the granted folder",
         "calls that are refused because its path leaves the granted folder"),
        ("ENOENT bytes=4", "call that ends with ENOENT and moves 4 bytes",
         "calls that end with ENOENT and move 4 bytes"),
        ("call=fd_read,fd_write,fd_seek", "fd_read, fd_write or fd_seek call", "fd_read, fd_write or fd_seek calls"),
    ],
)  # fmt: skip
def test_a_filter_reads_as_a_noun_phrase(filter: str, one: str, several: str) -> None:
    assert (in_english(filter), in_english(filter, plural=True)) == (one, several)


def test_control_characters_in_typed_text_are_made_visible() -> None:
    assert in_english("path='\u202ea'") == r"call that acts on \u202ea"


@pytest.mark.parametrize("wrong", ["(", "errno=", "a ) b", "errno=~x", "and"])
def test_a_filter_that_cannot_be_read_is_an_error(wrong: str) -> None:
    with pytest.raises(QueryError):
        in_english(wrong)


def test_or_may_be_written_as_in_c() -> None:
    assert in_english("refused || failed") == in_english("refused or failed")
