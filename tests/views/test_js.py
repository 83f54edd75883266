"""The widget's JavaScript without a browser, in Node: level of detail, masks and words, against Python's answers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wasilab.engine.outcome import Outcome
from wasilab.text.numbers import duration, size
from wasilab.views.interactive.feed import Feed
from wasilab.views.subject import as_subject
from wasilab.views.timeline.columns import COLOURS, Columns, busy

from .conftest import copied, run_of

JS = Path(__file__).parents[2] / "wasilab" / "views" / "interactive" / "js"


def node(code: str, **given: Any) -> Any:
    """Run an ES module that sets `out`, with `given` as its globals; returns `out`."""
    program = shutil.which("node")
    assert program is not None, "node is needed to test the widget: apt install nodejs"
    head = f"import {{ pathToFileURL }} from 'node:url'; const given = {json.dumps(given)}; let out;\n"
    head += f"const load = (name) => import(pathToFileURL({json.dumps(str(JS))} + '/' + name + '.js').href);\n"
    head += "const view = (text) => { const b = Buffer.from(text, 'base64'); const a = new ArrayBuffer(b.length);"
    head += " new Uint8Array(a).set(b); return new DataView(a); };\n"
    text = head + code + "\nprocess.stdout.write(JSON.stringify(out));"
    done = subprocess.run(
        [program, "--input-type=module", "-"], input=text, capture_output=True, text=True, check=False, cwd=JS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


FILL = """
const { CallStore, Overview } = await load("data/store"), { LevelOfDetail } = await load("data/lod");
const store = new CallStore();
store.meta = { ...store.meta, ...given.meta };
store.append(given.columns.map(view), given.meta.calls);
const families = Uint8Array.from(store.meta.names, (name) => name[1] + 1);
const lod = new LevelOfDetail(store), lanes = store.meta.families.length + 1;
lod.arrange(lanes, (row) => families[store.call[row]], "family");
"""


def of(run: Any) -> dict[str, Any]:
    feed = Feed(run)
    buffers = feed.calls(0, len(feed.columns))
    return {"meta": feed.meta(), "columns": [base64.b64encode(data).decode() for data in buffers]}


@pytest.mark.parametrize("calls", [1, 7, 3000, 60_000])
def test_every_call_is_in_one_cell_and_busy_time_is_kept(many_run: Any, calls: int) -> None:
    run = many_run(calls)
    out = node(
        FILL + """
        const { cells } = lod.view(0, store.span, 500);
        const sum = (list, lane) => list.subarray(lane * 500, lane * 500 + 500).reduce((a, b) => a + b, 0);
        out = Array.from({ length: lanes }, (_, lane) => [sum(cells.count, lane), sum(cells.busy, lane)]);""",
        **of(run),
    )
    columns = Columns.of(run)
    edges = np.linspace(0, columns.span, 501)
    assert sum(count for count, _ in out) == calls
    expected = [busy(*columns.gaps(), edges), *(busy(columns.start[m], columns.end[m], edges)
                                                for m in columns.families.values())]  # fmt: skip
    for (_, part), lane in zip(out, expected, strict=True):
        assert part * columns.span / 500 == pytest.approx(float(lane.sum()), rel=0.02, abs=columns.span * 0.003)


def test_zoomed_in_the_cells_are_those_of_the_calls_in_sight(many_run: Any) -> None:
    run = many_run(60_000)
    columns = Columns.of(run)
    begin, end = int(columns.start[30_000]), int(columns.start[30_400])
    out = node(
        FILL + """
        const { cells, low, high } = lod.view(given.begin, given.end, 800);
        out = [high - low, cells.count.subarray(0, 800 * lanes).reduce((a, b) => a + b, 0)];""",
        begin=begin, end=end, **of(run),
    )  # fmt: skip
    assert out[1] == 400
    assert 400 <= out[0] <= 464


def test_the_guests_lane_ends_with_a_call_that_did_not_return() -> None:
    book = copied()
    run = run_of(book, outcome=Outcome("exit", 0, seconds=book.now / 1e9 * 2))
    out = node(FILL + "out = [store.guestEnd, lod.view(0, store.span, 500).cells.busy.slice(260, 500)];", **of(run))
    assert out[0] == book.now
    assert not any(out[1].values())


def test_a_call_of_no_time_has_a_cell() -> None:
    from wasilab.trace.record.recorder import Recorder
    from wasilab.trace.trace import Trace

    recorder = Recorder()
    write = recorder.make_writer()
    write(recorder.origin_ns + 500, 0, 0, 0, None, None, 5, 0, 0, 0, 0, 0, 0, 0)
    write(recorder.origin_ns + 1000, 0, 0, 0, None, None, 5, 76, 1, 0, 0, 0, 0, 0)
    out = node(
        FILL + """const { cells } = lod.view(0, store.span * 1.01, 101);
        out = [[...cells.count.subarray(101, 202)], [...cells.flags.subarray(101, 202)]];""",
        **of(as_subject(Trace.from_recorder(recorder))),
    )
    assert (out[0][50], out[0][100]) == (1, 1)
    assert (out[1][50], out[1][100]) == (0, 1)


def test_a_hidden_call_is_in_no_cell(many_run: Any) -> None:
    run = many_run(3000)
    feed = Feed(run)
    bits = base64.b64encode(feed.matching("refused or failed")).decode()
    out = node(
        FILL + """store.setMask("x", new Uint8Array(view(given.bits).buffer)); lod.hide = true;
        const { cells } = lod.view(0, store.span, 300);
        out = [store.matches.length, cells.count.subarray(0, 300 * lanes).reduce((a, b) => a + b, 0)];""",
        bits=bits, **of(run),
    )  # fmt: skip
    wanted = len(run.trace.filter("refused or failed"))
    assert out == [wanted, wanted]


def test_the_saved_overview_shows_the_same_counts(many_run: Any) -> None:
    run = many_run(20_000)
    feed = Feed(run)
    given = of(run)
    out = node(
        FILL + """store.length = 0;
        store.overview = new Overview(view(given.overview), given.meta.bins, lanes);
        const { cells } = lod.view(0, store.span, 700);
        out = [cells.count.subarray(0, 700 * lanes).reduce((a, b) => a + b, 0), store.estimate(0, store.span)];""",
        overview=base64.b64encode(feed.snapshot()).decode(), **given,
    )  # fmt: skip
    assert out == [20_000, 20_000]


def test_the_summary_of_a_range_is_the_traces(many_run: Any) -> None:
    run = many_run(3000)
    columns = Columns.of(run)
    begin, end = int(columns.start[100]), int(columns.start[900])
    out = node(FILL + "out = store.summary(given.begin, given.end);", begin=begin, end=end, **of(run))
    for row in out:
        same = run.trace[100:900].filter(call=row["name"])
        assert row["calls"] == len(same)
        assert row["refused"] == int((same["denied_by"] != 0).sum())
        assert row["total"] == pytest.approx(float(same["dur"].sum()))


def test_numbers_are_worded_as_in_python() -> None:
    times = [0, 1, 999, 1000, 9994, 9995, 99_400, 99_500, 999_499, 1e6, 1.5e9, 119.4e9, 200e9, 9000e9, -1500]
    sizes = [0, 1023, 1024, 4096, 10**6, 10**9, 3 << 30]
    code = (
        'const words = await load("data/words");'
        "out = [given.times.map(words.duration), given.sizes.map(words.bytes)];"
    )
    out = node(code, times=times, sizes=sizes)
    assert out == [[duration(ns) for ns in times], [size(count) for count in sizes]]


def test_every_text_on_a_lane_can_be_read() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    inks = node('const { inkOn } = await load("draw"); out = given.colours.map(inkOn);', colours=list(COLOURS.values()))
    for colour, ink in zip(COLOURS.values(), inks, strict=True):
        dark, bright = sorted((light(colour), 1.0 if ink == "#fff" else 0.0))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {colour}"


def test_a_hexdump_shows_offsets_bytes_and_ascii() -> None:
    data = list(b"hello \x00\xff<b>\n012345678")
    out = node('const { hexdump } = await load("inspector"); out = hexdump(Uint8Array.from(given.data));', data=data)
    assert out.split("\n") == [
        "0000  68 65 6c 6c 6f 20 00 ff  3c 62 3e 0a 30 31 32 33  hello ..<b>.0123",
        "0010  34 35 36 37 38                                    45678",
    ]


@pytest.mark.parametrize(
    ("now", "key", "count", "leads"),
    [
        (-1, "ArrowDown", 3, 0), (0, "ArrowDown", 3, 1), (2, "ArrowDown", 3, 2), (-1, "ArrowUp", 3, 0),
        (1, "Home", 3, 0), (0, "End", 3, 2), (-1, "End", 3, 2), (0, "PageDown", 20, 8), (19, "PageUp", 20, 11),
        (0, "ArrowDown", 0, -1),
    ],
)  # fmt: skip
def test_the_arrow_keys_in_a_list_of_folders(now: int, key: str, count: int, leads: int) -> None:
    code = 'const { moved } = await load("../../../panels/folders"); out = moved(given.now, given.key, given.count);'
    assert node(code, now=now, key=key, count=count) == leads


def test_typing_the_beginning_of_a_folder_finds_it() -> None:
    names = ["alpha", "Beta", "beton", "gamma"]
    code = (
        'const { found } = await load("../../../panels/folders");'
        "out = given.tries.map((t) => found(given.names, ...t));"
    )
    tries = [["b", -1], ["b", 1], ["b", 2], ["bet", 1], ["beto", 1], ["z", 3], ["a", 3]]
    assert node(code, names=names, tries=tries) == [1, 2, 1, 1, 2, 3, 0]
    assert node(code, names=[], tries=[["a", -1]]) == [-1]
