"""Filters made of examples choose the calls that they were made from, whatever bytes the guest put into its names."""

from __future__ import annotations

import time

import pytest

from wasilab.text.escape import visible
from wasilab.trace.filter.by_example import FACETS, call_term, examples, facets, path_term
from wasilab.trace.trace import Trace

from .building import Builder, copying, many

HOSTILE = [
    b"a,b.txt", b"[x]*?.txt", b'say "hi" \\ it\'s', b"two\nlines", b"\x1b[31mred", "photo\u202egpj.exe".encode(),
    b"caf\xe9", b"not (this) or that", b"-rf", b"$HOME `id`", b"trailing\n", "\U000e0041tag".encode(),
]  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Trace:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for name in HOSTILE:
        b.path_open(3, name, errno=44)
        b.path_open(3, name + b"x", errno=63, denied=3, reason="left")
        b.path_open(3, name + b"/in", errno=44)
    return b.trace()


def test_every_value_of_a_call_chooses_it_again() -> None:
    trace = copying().trace()
    for event in trace:
        found = examples(event)
        assert {"call", "errno"} <= {example.name for example in found} <= set(FACETS)
        for example in found:
            chosen = trace.filter(example.term)
            assert event.seq in chosen.seq.tolist(), example
            rest = trace.filter(f"not {example.term}")
            assert len(chosen) + len(rest) == len(trace)


def test_a_hostile_name_is_chosen_alone_and_its_term_is_harmless(hostile: Trace) -> None:
    for index, name in enumerate(HOSTILE):
        full = "/data/" + name.decode("utf-8", "backslashreplace")
        term = path_term(full)
        assert hostile.filter(term).seq.tolist() == [3 * index], term
        assert visible(term) == term
        assert hostile.filter(path_term(full, below=True)).seq.tolist() == [3 * index + 2], term


def test_facets_count_what_their_terms_choose(hostile: Trace) -> None:
    for trace in (copying().trace(), hostile, hostile.filter("refused"), many(5000)):
        found = facets(trace)
        assert [facet.name for facet in found] == [name for name in FACETS if name in {f.name for f in found}]
        for facet in found:
            counts = [count for _, count in facet.values]
            assert counts == sorted(counts, reverse=True)
            assert len(counts) + facet.more >= 1
            for example, count in facet.values:
                assert len(trace.filter(example.term)) == count or facet.name == "path", example
                assert visible(example.shown) == example.shown
    assert facets(copying().trace()[:0]) == []


def test_names_that_are_not_words_are_matched_exactly() -> None:
    assert call_term("path_open") == "call=path_open"
    assert call_term("[method]descriptor.read") == r'call~"^\\[method\\]descriptor\\.read\\Z"'


def test_facets_of_a_long_run_are_counted_by_column() -> None:
    trace = many(40_000)
    begun = time.process_time()
    found = {facet.name: facet for facet in facets(trace)}
    print(f"facets of {len(trace):,} calls: {time.process_time() - begun:.3f} s")
    assert sum(count for _, count in found["errno"].values) == len(trace)
