"""The lesson: one program in C, as a preview1 module and as a component, and what differs between their traces.

Everything that a person asks of the one can be asked of the other in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

import wasilab
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.grants.advice.compare import compare
from wasilab.module.module import Module
from wasilab.panels.table import asked
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.wasm_tools.adapt import adaptation
from wasilab.trace.trace import Trace
from wasilab.views.interactive.feed import Feed
from wasilab.views.plots.by_call import box, counts, latency, transitions
from wasilab.views.plots.things import flows, moved
from wasilab.views.timeline.columns import Columns

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
SOURCE = (resources.files("wasilab") / "examples" / "copy.c").read_text("utf-8")
ARGS = ["in/hello.txt", "out/copy.txt"]


@dataclass
class Pair:
    """The program in both forms, and folders to grant."""

    module: Module
    component: Module
    folder: Path

    def grants(self, mode: str = "rw", **more: object) -> wasilab.Grants:
        dirs = {"in": HostDir(self.folder / "in"), "out": HostDir(self.folder / "out", mode=mode)}  # type: ignore[arg-type]
        return wasilab.Grants(dirs=dirs, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if adaptation().install:
        pytest.skip(adaptation().install)
    folder = tmp_path_factory.mktemp("lesson")
    for name in ("in", "out"):
        (folder / name).mkdir()
    (folder / "in" / "hello.txt").write_text("hello\n")
    try:
        module = wasilab.compile(SOURCE, "c", name="copy.c")
        return Pair(module, wasilab.compile(SOURCE, "c", name="copy.c", component=True), folder)
    except ToolchainMissing as missing:
        pytest.skip(str(missing).splitlines()[0])


@pytest.fixture(scope="module")
def traces(pair: Pair) -> tuple[Trace, Trace]:
    runs = [wasilab.run(program, ARGS, pair.grants()) for program in (pair.module, pair.component)]
    assert runs[0].stdout == runs[1].stdout == "copied 6 bytes from in/hello.txt to out/copy.txt\n"
    return runs[0].trace, runs[1].trace


def test_they_are_compared_by_operation_side_by_side(traces: tuple[Trace, Trace]) -> None:
    found = traces[0].diff(traces[1])
    assert found.by == "operation"
    assert "calls, by operation:" in found.headline()
    rows = [line for line in found.text(200).splitlines() if "path_open" in line]
    assert len(rows) == 2
    assert all("[method]descriptor.open-at" in row for row in rows)
    # The same files are opened, read and written; the component asks more around it.
    assert {call.call for call in found.changed} == {"fd_prestat_get", "fd_read", "fd_write"}
    assert {event.name for event in found.added.filter("operation=open")} == {"get-stdin", "get-stdout", "get-stderr"}
    assert set(found.added.count("operation")) == {"open", "preopens", "describe", "close", "read", "write"}
    by_call = traces[0].diff(traces[1], by="call")
    assert (len(by_call.removed), len(by_call.added)) == (len(traces[0]), len(traces[1]))
    assert traces[0].diff(traces[0], by="operation").same
    assert traces[0].diff(traces[0]).by == "call"
    with pytest.raises(ValueError, match='use "call" or "operation"'):
        traces[0].diff(traces[1], by="name")


def test_both_are_filtered_by_the_same_words(traces: tuple[Trace, Trace]) -> None:
    for trace in traces:
        opened = trace.filter("operation=open path=*.txt")
        assert sorted({event.path for event in opened}) == ["in/hello.txt", "out/copy.txt"]
        assert trace.filter("operation=write path=out/*").count("operation")["write"] >= 1
        assert len(trace.filter(operation="remove")) == 0
    with pytest.raises(ValueError, match="unknown operation 'opne'; did you mean 'open'"):
        traces[1].filter("operation=opne")


def test_a_refusal_names_the_same_path_line_and_remedy(pair: Pair) -> None:
    found = []
    for program in (pair.module, pair.component):
        run = wasilab.run(program, ARGS, pair.grants("ro"), stacks=True)
        assert run.exit_code == 1
        (denial,) = run.denied
        found.append((denial.asked.partition("(")[2], denial.denied_by, denial.remedy, denial.line))
    assert found[0] == found[1]
    assert found[0][0] == "'out/copy.txt')"
    assert found[0][3] == "copy.c:17"
    withheld = pair.grants(withheld={"out": ["path_create_file"]})
    assert [wasilab.run(program, ["in/hello.txt", "out/new.txt"], withheld).denied.entries[0].remedy
            for program in (pair.module, pair.component)] == ["--withhold out:none"] * 2  # fmt: skip


def test_the_least_grants_are_the_same(traces: tuple[Trace, Trace]) -> None:
    least = [wasilab.advise(trace).grants for trace in traces]
    assert least[0].to_toml() == least[1].to_toml()
    assert list(least[0].dirs) == ["in", "out"]


def test_lanes_tables_and_plots_are_those_of_the_same_families(pair: Pair, traces: tuple[Trace, Trace]) -> None:
    run = wasilab.run(pair.component, ARGS, pair.grants())
    assert list(Columns.of(run).families) == ["args", "path", "fd"]
    rows = {row.family: row for row in compare(pair.component, run.grants, run.trace)}
    assert "[method]descriptor.open-at" in rows["path"].asked
    assert rows["path"].used["[method]descriptor.open-at"] == 2
    assert asked(pair.component, "args") == ["get-arguments"]
    feed = Feed(run)
    meta = feed.meta()
    assert meta["families"] == ["args", "path", "fd"]
    words = {name: sentence for name, _, _, sentence in meta["names"]}  # type: ignore[attr-defined]
    assert words["[method]descriptor.open-at"] == "open (wasi:filesystem/types@0.2)"
    said = "".join(text for _, _, stream, text in feed.outputs() if stream == "stdout")
    assert said.startswith("copied 6 bytes")
    for plot in (counts, latency, box, moved, transitions):
        assert plot(run).axes
    assert {flow.writes for flow in flows(run)} == {True, False}
    for trace in traces:
        assert sorted({e.path for e in trace.filter("call=path") if e.path.endswith(".txt")}) == ARGS
    assert len(traces[1].filter("family=filesystem")) > len(traces[1].filter("family=path"))


def test_resources_are_shown_as_descriptors_are(traces: tuple[Trace, Trace]) -> None:
    rows = {row.kind: row for row in traces[1].fds() if row.path == "in/hello.txt"}
    assert set(rows) == {"regular_file", "input-stream"}
    assert (rows["input-stream"].reads, rows["input-stream"].bytes_read) == (2, 6)
    before = {row.path: row.bytes_written for row in traces[0].fds()}
    written = sum(row.bytes_written for row in traces[1].fds() if row.path == "out/copy.txt")
    assert written == before["out/copy.txt"] == 6
    lives = traces[1].lives
    stream = next(life for life in lives.values() if life.type == "input-stream" and life.path == b"in/hello.txt")
    assert lives[stream.parent].type == "descriptor"
