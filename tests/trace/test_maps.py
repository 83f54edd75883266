"""The tree of a run's files and the graph of its capabilities, against the calls; hostile names are harmless there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

import wasilab
import wasilab.course as lessons
from wasilab.text.escape import visible
from wasilab.trace.maps.file_tree import FileTree
from wasilab.trace.maps.origins import MOST, Origin, Origins
from wasilab.views.maps.arrange import EDGE, arranged
from wasilab.views.maps.graph_svg import graph_svg
from wasilab.views.plots.plot_options import PLOT_KINDS
from wasilab.views.subject import as_subject

from .building import Builder, anything, copying, many
from .scripted import program

READ, CREATE = 2, 1
RIGHTS = int(wasilab.wasi.types.Rights.FD_READ | wasilab.wasi.types.Rights.FD_WRITE)


@pytest.fixture(scope="module")
def run() -> wasilab.Run:
    module = wasilab.compile(
        program(
            ("path_open", (3, 0, b"sub/a.txt", 0, RIGHTS, 0, 0)), ("fd_read", (4, b"12345")), ("fd_close", (4,)),
            ("path_open", (3, 0, b"sub/a.txt", 0, RIGHTS, 0, 0)), ("path_open", (3, 0, b"new", CREATE, RIGHTS, 0, 0)),
            ("fd_write", (5, b"hello!")), ("path_open", (3, 0, b"../etc/passwd", 0, READ, 0, 0)),
            ("path_filestat_get", (3, 0, b"none", 64)), ("path_unlink_file", (3, b"new")), ("random_get", (64, 8)),
        ),
        "wat", name="maps",
    )  # fmt: skip
    return wasilab.run(module, grants=wasilab.Grants(dirs={"/d": wasilab.MemDir({"sub": {"a.txt": "abc"}})}))


def test_the_tree_has_what_was_done_to_each_file_and_folder(run: wasilab.Run) -> None:
    tree = run.trace.files
    a, sub, new, top = tree["/d/sub/a.txt"], tree["/d/sub"], tree["/d/new"], tree["/d"]
    assert (a.opens, a.reads, a.bytes_read, a.calls) == (2, 1, 3, 4)
    assert (sub.bytes_read, sub.calls) == (3, 4)
    assert (new.writes, new.bytes_written, new.removed) == (1, 6, 1)
    assert tree["/d/none"].failed == 1
    assert tree["/d/../etc/passwd"].refused == top.refused == 1
    assert top.bytes_written == 6
    assert new.words == "written 6 B, removed"
    for _, use in tree:
        assert len(run.trace.filter(use.term)) == use.calls, use.term
    assert str(tree).splitlines()[0].startswith("/d/")
    with pytest.raises(KeyError):
        tree["/nowhere"]


def of(origins: Origins, label: str, kind: str = "") -> Origin:
    return next(one for one in origins.all() if one.label == label and kind in ("", one.kind))


def test_the_rights_of_a_folder_fit_on_its_edge() -> None:
    folders = {"in": wasilab.MemDir({"a": b"x"}, mode="ro"), "out": wasilab.MemDir()}
    copied = wasilab.run(lessons.program("copy"), ["in/a", "out/b"], wasilab.Grants(dirs=folders))
    graph = Origins.from_calls(copied.trace)
    assert [of(graph, name).edge for name in folders] == ["open, list", "open, list, change"]
    assert len("open, list, change") <= EDGE, "the view would cut it in the middle"


def test_the_graph_shows_what_was_derived_from_what(run: wasilab.Run) -> None:
    graph = Origins.from_calls(run.trace, "maps")
    granted = of(graph, "/d")
    assert granted.kind == "grant"
    assert granted in graph.program.children
    a = of(graph, "/d/sub/a.txt")
    assert a in granted.children
    assert (a.kind, a.openings, a.edge) == ("file", 2, "read, write")
    refused = next(one for one in graph.all() if one.kind == "refused")
    assert refused in granted.children
    assert refused.edge == "path_open: path"
    assert of(graph, "random").calls == 1
    for one in graph.all():
        assert not one.term or len(run.trace.filter(one.term)) >= one.calls, one.term


def test_a_large_graph_keeps_grants_and_refusals_and_counts_the_rest() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for i in range(200):
        b.path_open(3, b"f%d" % i, opened=4)
        b.close_fd(4)
    b.path_open(3, b"../x", errno=63, denied=3, reason="left")
    graph = Origins.from_calls(b.trace())
    assert len(list(graph.all())) == MOST
    assert graph.more == 206 - MOST
    assert of(graph, "/data").kind == "grant"
    assert any(one.kind == "refused" for one in graph.all())


def names(svg: str) -> Iterator[str]:
    for element in ElementTree.fromstring(svg).iter():
        yield element.tag.rpartition("}")[2]
        for name in element.attrib:
            assert not name.lower().startswith("on"), name


@pytest.mark.parametrize("seed", range(3))
def test_pictures_of_hostile_traces_contain_no_active_text(seed: int) -> None:
    b = anything(100, seed)
    b.path_open(3, b'<script>alert(1)</script>"onload="x', errno=76, denied=1, reason="no")
    trace = b.trace()
    for page in (False, True):
        svg = graph_svg(as_subject(trace), page=page)
        assert set(names(svg)) <= {"svg", "style", "g", "title", "rect", "text", "path"}
        assert visible(svg, lines=True) == svg
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    text = str(FileTree.from_calls(trace))
    assert visible(text, lines=True) == text


def test_boxes_do_not_overlap() -> None:
    for trace in (copying().trace(), many(2000), copying().trace()[:0]):
        drawn = arranged(as_subject(trace))
        places = [(box.x, box.y, box.width) for box in drawn.boxes]
        for at, (x, y, width) in enumerate(places):
            assert x + width <= drawn.width
            for other_x, other_y, _ in places[at + 1 :]:
                assert abs(y - other_y) >= 28 or other_x >= x + width or other_x + 1 < x
    assert re.search(r"capabilities", " ".join(PLOT_KINDS))
