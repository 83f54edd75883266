"""Descriptors that the instances of a lab passed to each other: the arrows of the timeline and of its static forms."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageColor

import wasilab
from tests.lab.programs import OPENER, READER
from wasilab import Channel, Grants, HostDir, Lab
from wasilab.trace.columns.merged import MOST_PASSED, passed_on
from wasilab.trace.columns.store import LIFE_BITS
from wasilab.views.interactive.export import exported
from wasilab.views.interactive.feed import MOST_LANES, Feed
from wasilab.views.interactive.widget import TimelineWidget
from wasilab.views.subject import as_subject
from wasilab.views.timeline import passed as passing
from wasilab.views.timeline.figure import figure
from wasilab.views.timeline.png import picture
from wasilab.views.timeline.scene import scene
from wasilab.views.timeline.svg import strip_html

EVIL = "<img src=x onerror=alert(1)>"


def lab_of(folder: Path, *, rights: Any = "same", keep: bool = False, opener: str = "opener") -> Lab:
    (folder / "a.txt").write_text("some text\n" * 50)
    lab = Lab("library")
    lab.add(opener, OPENER, Grants.nothing(dirs={"/data": HostDir(str(folder), "rw")}))
    lab.add("reader", READER, Grants.nothing())
    functions = ("count", "number", "scribble", "shut", "twice", "keep")
    lab.link(opener, "reader", passing=dict.fromkeys(functions, 0), rights=rights, keep=keep)
    lab.link("reader", opener, as_="opener")
    return lab


def passing_trace(lab: Lab, opener: str = "opener") -> wasilab.Trace:
    """Passes descriptor 4 twice, then the number 77, which is not open."""
    calls = lab[opener].exports
    fd = calls.open()
    calls.count(fd)
    calls.number(fd)
    calls.count(77)
    return lab.trace


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[wasilab.Trace]:
    with lab_of(tmp_path, rights=["fd_read", "fd_seek", "fd_tell"]) as lab:
        yield passing_trace(lab)


def feed_of(trace: wasilab.Trace) -> Feed:
    return Feed(as_subject(trace))


def test_the_browser_gets_each_passed_descriptor_with_its_call_and_what_was_withheld(trace: wasilab.Trace) -> None:
    feed = feed_of(trace)
    meta: Any = feed.meta()
    passed, lives = meta["passed"], {life["life"]: life for life in meta["lives"]}
    assert (meta["instances"], passed["forged"], passed["more"]) == (["opener", "reader"], ["opener 77"], 0)
    first, second, forged = passed["rows"]
    words = passed["words"]
    at, call, giver, fd, life, taker, other, received, withheld, kept, row = first
    assert [words[place] for place in (call, giver, fd, taker, other)] == [
        "reader.count", "opener", "opener 4</data/a.txt>", "reader", "reader 3<<opener>/data/a.txt>"
    ]  # fmt: skip
    assert "fd_write" in words[withheld]
    assert "fd_read" not in words[withheld].split(", ")
    assert not kept
    start, end = int(feed.columns.start[row]), int(feed.columns.end[row])
    assert feed.event(row).name == "count"
    assert start <= at <= end
    assert lives[life]["label"] == words[fd]
    assert (lives[received]["label"], lives[received]["from"], lives[received]["to"]) == (
        words[other], at, end,
    )  # fmt: skip
    assert received >> LIFE_BITS == 1
    assert feed.event(second[-1]).name == "number"
    assert (forged[4], forged[7], words[forged[3]]) == (-1, 0, "opener 77")
    assert feed.event(forged[-1]).errno_name == "EBADF"
    assert json.loads(json.dumps(meta["passed"]))["rows"][0] == list(first)


def test_a_call_without_a_descriptor_is_sent_with_its_instance(trace: wasilab.Trace) -> None:
    feed = feed_of(trace)
    handles = np.frombuffer(feed.calls(0)[2], "<u4")
    names = [feed.event(row).name for row in range(len(handles))]
    refused = [row for row, name in enumerate(names) if name == "count"][1]
    assert handles[refused] == 0
    reads = handles[names.index("fd_read")]
    assert reads >> LIFE_BITS == 1
    plain = wasilab.run(wasilab.compile("(module (func (export \"_start\")))", "wat"))
    meta: Any = Feed(plain).meta()
    assert meta["instances"] == []
    assert "passed" not in meta


def test_a_descriptor_that_is_kept_or_goes_through_a_channel_stays(tmp_path: Path) -> None:
    with lab_of(tmp_path, keep=True) as lab:
        trace = passing_trace(lab)
    meta: Any = feed_of(trace).meta()
    assert [row[9] for row in meta["passed"]["rows"]] == [1, 1, 0]
    ends = {life["life"]: life["to"] for life in meta["lives"]}
    assert ends[meta["passed"]["rows"][0][7]] == meta["span"]


def test_the_static_forms_have_lanes_and_arrows_for_them(trace: wasilab.Trace) -> None:
    drawn = scene(as_subject(trace))
    names = {text.row: text.words for text in drawn.words("lane")}
    assert [(names[each.row], names[each.to]) for each in drawn.arrows] == [
        ("opener 4</data/a.txt>", "reader 3<<opener>/data/a.txt>")
    ] * 2
    (row,) = [row for row, name in names.items() if name == "opener 77: not open"]
    assert [each.verdict for each in drawn.glyphs if each.row == row] == ["refused"]
    strip = strip_html(scene(as_subject(trace)), "a lab")
    assert strip.count('<em class="flow down"') == 2
    assert html.escape("opener 4</data/a.txt> → reader 3<<opener>/data/a.txt> at ") in strip
    axes = figure(trace).axes[0]
    assert len([text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]) == 2
    image = np.asarray(Image.open(io.BytesIO(picture(scene(as_subject(trace))))).convert("RGB"), np.int16)
    green = np.array(ImageColor.getrgb(passing.COLOUR), np.int16)
    assert (abs(image - green).max(axis=2) < 12).sum() > 300


def test_the_timeline_is_exported_as_svg_with_its_arrows(trace: wasilab.Trace) -> None:
    name, data = exported(as_subject(trace), ".timeline.svg")
    assert name == "trace.timeline.svg"
    trace.meta["passed"] = []
    _, plain = exported(as_subject(trace), ".timeline.svg")
    green = []
    for text in (data, plain):
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("}svg")
        assert not [each for each in root.iter() if each.tag.endswith("}script")]
        green.append(sum(passing.COLOUR in each.get("style", "") for each in root.iter()))
    assert green[0] - green[1] == 4, "a line and a head for each of two arrows"


def test_a_run_alone_has_none_of_these_lanes() -> None:
    run = wasilab.run(wasilab.compile("(module (func (export \"_start\")))", "wat"))
    assert scene(run).arrows == ()
    assert "flow" not in strip_html(scene(run), "x")


def test_names_of_instances_are_shown_as_text(tmp_path: Path) -> None:
    with lab_of(tmp_path, opener=EVIL) as lab:
        trace = passing_trace(lab, EVIL)
    strip = strip_html(scene(as_subject(trace)), "x")
    assert "<img" not in strip
    assert html.escape(EVIL) in strip
    trace.meta["instances"] = ["a\x1b[31m\n", "b"]
    assert "\x1b" not in json.dumps(feed_of(trace).meta()["instances"], ensure_ascii=False)


HOSTILE = [
    7, [7], [[1, 2]], [["x"] * 8], [[0, "c", "a", 1, 1, "b", True, 2]],
    [[0, "c", "opener", 1, 1, "reader", 3, 2, "fd_read", True]],
    [[0, "c", "opener", 1, 1, "reader", 3, 2, [1], True]],
    [[0, "c", "opener", 1, 1, "reader", 3, 2, ["x"] * 1000, True]],
    [[0, "c", "opener", 1, 1, "reader", 3, 2, [], 1]],
    [[1 << 70, "c", "opener", 1, 1, "reader", 3, 2, [], True]],
]  # fmt: skip


@pytest.mark.parametrize("found", HOSTILE)
def test_false_entries_of_a_file_draw_nothing(trace: wasilab.Trace, found: Any) -> None:
    trace.meta["passed"] = found
    assert passed_on(trace.store) == []
    assert "passed" not in feed_of(trace).meta()
    assert scene(as_subject(trace)).arrows == ()


def test_entries_that_name_what_is_not_there_are_bounded(trace: wasilab.Trace) -> None:
    span = feed_of(trace).columns.span
    strange = [
        [-5, EVIL, EVIL * 50, -1, -9, "\x1b[2J", 1 << 62, (1 << 62) + at, [EVIL], True] for at in range(MOST_PASSED + 5)
    ]
    trace.meta["passed"] = [*strange, [1 << 62, "c", "opener", 4, 2, "reader", 3, 16777217]]
    meta: Any = feed_of(trace).meta()
    assert meta["passed"]["more"] == MOST_PASSED - len(meta["passed"]["rows"])
    assert {row[0] for row in meta["passed"]["rows"]} <= {0, span}
    assert {row[-1] for row in meta["passed"]["rows"]} == {-1}
    text = json.dumps(meta["passed"], ensure_ascii=False)
    assert "\x1b" not in text
    assert len(text) < 400_000
    assert "<img" not in strip_html(scene(as_subject(trace)), "x")


def test_the_lives_that_were_passed_come_first_where_there_are_too_many(
    trace: wasilab.Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wasilab.views.interactive.feed.MOST_LANES", 2)
    lives = feed_of(trace).lives([16777218, 2])
    assert [life["life"] for life in lives[:2]] == [2, 16777218]
    assert len(lives) > 3
    assert MOST_LANES == 400


def test_a_trace_with_descriptors_sent_through_a_channel_has_an_arrow_for_each(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    channel = Channel()
    wasi = '(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))'
    sender = wasilab.compile(
        f"""(module {wasi} (import "wasilab_channel" "send" (func $send (param i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "go") (result i32) (drop (call $yield))
        (call $send (i32.const 4) (i32.const 3))))""", "wat", name="sender",
    )  # fmt: skip
    receiver = wasilab.compile(
        f"""(module {wasi} (import "wasilab_channel" "receive" (func $receive (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "go") (result i32) (drop (call $yield))
        (call $receive (i32.const 3))))""", "wat", name="receiver",
    )  # fmt: skip
    with Lab() as lab:
        grants = Grants.nothing(dirs={"/data": HostDir(str(tmp_path))}, sockets=(channel.left,))
        lab.add("sender", sender, grants)
        lab.add("receiver", receiver, Grants.nothing(sockets=(channel.right,)))
        assert lab["sender"].exports.go() == 0
        assert lab["receiver"].exports.go() > 0
        trace = lab.trace
        (flow,) = lab.flows
        assert (flow.kept, flow.withheld) == (True, ())
    meta: Any = feed_of(trace).meta()
    (row,) = meta["passed"]["rows"]
    words = meta["passed"]["words"]
    assert (words[row[1]], words[row[3]], row[9]) == ("channel", "sender 3</data>", 1)
    assert len(scene(as_subject(trace)).arrows) == 1


def test_a_widget_of_many_passed_descriptors_stays_small(trace: wasilab.Trace) -> None:
    entry = list(passed_on(trace.store)[0])
    trace.meta["passed"] = [entry] * MOST_PASSED
    widget = TimelineWidget(trace)
    assert len(json.dumps(widget.get_state("_meta"))) < 400_000
