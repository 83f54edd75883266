"""The guest's stacks as a tree, as folded stacks and for speedscope, against the calls; and functions in a filter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasilab.text.escape import visible
from wasilab.trace.filter.by_example import function_term
from wasilab.trace.maps.call_tree import CallTree
from wasilab.trace.trace import Trace

from .building import Builder, anything, copying

EVIL = "evil;<b>\x1b[31m\u202e fn(int)::{closure}"


@pytest.fixture(scope="module")
def trace() -> Trace:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    main = b.recorder.intern_stack([("main", 10)])
    copy = b.recorder.intern_stack([("copy", 20), ("main", 11)])
    evil = b.recorder.intern_stack([(EVIL, 30), ("copy", 21), ("main", 11)])
    b.write_text(1, b"12345", stack=main, dur=100)
    b.write_text(1, b"123", stack=copy, dur=200)
    b.write_text(1, b"1", stack=copy, dur=300)
    b.path_open(3, b"x", errno=76, denied=1, reason="no", stack=evil, dur=50)
    b.call("sched_yield", dur=7)
    return b.trace()


def test_figures_include_what_was_called(trace: Trace) -> None:
    tree = trace.call_tree()
    main = tree.root.children["main", False]
    copy = main.children["copy", False]
    assert (main.time, main.calls, main.bytes, main.refused) == (650, 4, 9, 1)
    assert (copy.time, copy.calls, copy.bytes) == (550, 3, 4)
    assert (copy.children["fd_write", True].calls, tree.without) == (2, 1)
    assert tree.root.time == int(trace["dur"].sum())
    assert [(depth, node.name) for depth, node in tree][:3] == [(0, "main"), (1, "copy"), (2, "fd_write")]
    assert visible(str(tree), lines=True) == str(tree)


def test_a_function_chooses_the_calls_below_it(trace: Trace) -> None:
    assert trace.filter("function=main").seq.tolist() == [0, 1, 2, 3]
    assert trace.filter("function=copy,nothing").seq.tolist() == [1, 2, 3]
    assert trace.filter(f"not {function_term('copy')}").seq.tolist() == [0, 4]
    assert trace.filter(function_term(EVIL)).seq.tolist() == [3]
    assert visible(function_term(EVIL)) == function_term(EVIL)
    for _, node in trace.call_tree():
        assert len(trace.filter(node.term)) >= node.calls


def test_folded_stacks_are_one_line_a_stack(trace: Trace, tmp_path: Path) -> None:
    lines = trace.save(tmp_path / "x.folded").read_text().splitlines()
    assert lines[0] == "main;copy;fd_write 500"
    assert "main;fd_write 100" in lines
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == int(trace["dur"].sum())
    assert all(visible(line) == line for line in lines)
    assert CallTree.from_calls(trace).folded("calls").splitlines()[0] == "main;copy;fd_write 2"


def test_speedscope_gets_three_profiles_of_the_same_stacks(trace: Trace, tmp_path: Path) -> None:
    document = json.loads(trace.save(tmp_path / "x.speedscope").read_text())
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    for profile, total in zip(document["profiles"], (657, 9, 5), strict=True):
        assert profile["type"] == "sampled"
        assert sum(profile["weights"]) == profile["endValue"] == total
        assert len(profile["samples"]) == len(profile["weights"]) == 4
        assert all(0 <= at < len(frames) for sample in profile["samples"] for at in sample)
    assert {"name": "copy"} in frames


@pytest.mark.parametrize("seed", range(2))
def test_traces_made_to_mislead_have_a_tree(seed: int, tmp_path: Path) -> None:
    for trace in (anything(100, seed).trace(), copying().trace()[:0]):
        tree = trace.call_tree()
        assert tree.root.calls == len(trace)
        assert visible(tree.folded(), lines=True) == tree.folded()
        json.loads(trace.save(tmp_path / "y.speedscope").read_text())
