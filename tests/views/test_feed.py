"""What the timeline sends: columns that read back, answers that decode, a saved form under 1 MB."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from wasilab.trace.errors import QueryError
from wasilab.views.interactive.feed import BINS, LAYOUT, SAVED_CALLS, Feed
from wasilab.views.interactive.widget import timeline
from wasilab.views.report.report import mimebundle
from wasilab.views.subject import as_subject


def read(buffers: list[bytes]) -> dict[str, Any]:
    return {name: np.frombuffer(data, kind) for (name, kind), data in zip(LAYOUT, buffers, strict=True)}


def test_columns_on_the_wire_are_the_traces(copy_run: Any) -> None:
    feed = Feed(copy_run)
    columns = read(feed.calls(0))
    trace = copy_run.trace
    assert columns["start"].tolist() == trace["t_start"].tolist()
    assert columns["call"].tolist() == trace["call"].tolist()
    assert columns["errno"].tolist() == trace["errno"].tolist()
    assert columns["denied_by"].tolist() == trace["denied_by"].tolist()
    assert columns["dur"].tolist() == trace["dur"].tolist()
    assert read(feed.calls(10, 5))["start"].tolist() == trace["t_start"][10:15].tolist()
    assert read(feed.calls(10**9))["start"].tolist() == []


def test_a_small_run_is_saved_whole_and_a_large_one_as_an_overview(many_run: Any) -> None:
    small, large = Feed(many_run(7)), Feed(many_run(20_000))
    assert small.meta()["thin"] is False
    assert len(small.snapshot()) == 7 * 20
    meta = large.meta()
    assert meta["thin"] is True
    assert len(large.snapshot()) == BINS * (len(meta["families"]) + 1) * 9


def test_the_overview_keeps_counts_times_and_verdicts(many_run: Any) -> None:
    run = many_run(20_000)
    feed = Feed(run)
    lanes = len(feed.meta()["families"]) + 1
    data = feed.overview()
    cells = BINS * lanes
    part = np.frombuffer(data, "<f4", cells).reshape(lanes, BINS)
    count = np.frombuffer(data, "<u4", cells, cells * 4).reshape(lanes, BINS)
    flags = np.frombuffer(data, "u1", cells, cells * 8).reshape(lanes, BINS)
    assert count.sum() == 20_000
    assert count[0].sum() == 0
    assert part.sum() * feed.columns.span / BINS == pytest.approx(feed.columns.span, rel=0.01)
    assert np.bitwise_or.reduce(flags.ravel()) == 3


@pytest.mark.parametrize("calls", [0, 1, SAVED_CALLS, 200_000])
def test_what_a_notebook_saves_stays_under_a_megabyte(many_run: Any, calls: int) -> None:
    run = many_run(calls)
    state = timeline(run).get_state()
    kept = [value for name, value in state.items() if name != "layout"]
    size = sum(len(value) * 4 / 3 if isinstance(value, bytes) else len(json.dumps(value)) for value in kept)
    assert size + len(json.dumps(mimebundle(run))) < 1_000_000


def test_what_a_page_gets_at_once_does_not_grow_with_the_calls(many_run: Any) -> None:
    def size(calls: int) -> int:
        run = many_run(calls)
        state = {name: value for name, value in timeline(run).get_state().items() if name != "layout"}
        kept = (len(value) if isinstance(value, bytes) else len(json.dumps(value)) for value in state.values())
        return sum(kept) + len(json.dumps(mimebundle(run)))

    assert size(200_000) < 1.02 * size(20_000)


def test_what_the_guest_printed_is_the_data_of_its_writes(copy_run: Any) -> None:
    feed = Feed(copy_run)
    assert len(list(feed.outputs())) == 12
    for row, ns, stream, text in feed.outputs():
        event = feed.event(row)
        assert (event.t_start, stream, text) == (ns, "stdout", event.data.decode().strip())


def test_details_decode_one_call_to_its_bytes_and_source_line(copy_run: Any) -> None:
    feed = Feed(copy_run)
    detail = feed.detail(6)
    assert detail["call"] == "fd_read"
    assert dict(detail["args"])["fd"] == "4</data/in.txt>"
    assert base64.b64decode(detail["data"]) == b"line 0 of the file\n"
    assert detail["result"] == "19"
    assert detail["moved"] == 19
    file, line, lines = detail["source"]
    assert (file, line) == ("copy.c", 7)
    assert (7, "    while (fgets(line, sizeof line, in)) fputs(line, stdout);") in lines
    opened = feed.detail(5)
    assert opened["result"] == "4</data/in.txt>"
    refused = feed.detail(4)
    assert refused["deniedBy"] == "grant"
    assert refused["reason"].endswith("/data is granted read-only")
    assert refused["errno"] == "EPERM"
    assert refused["meaning"]


def test_every_call_of_a_hostile_run_has_details_without_active_text(evil_run: Any) -> None:
    feed = Feed(evil_run)
    words = json.dumps([feed.detail(row) for row in range(len(feed.columns))] + [feed.meta()], ensure_ascii=False)
    for char in ("\x1b", "\u202e", "\0"):
        assert char not in words


def test_rows_are_words_for_the_table(copy_run: Any) -> None:
    rows = Feed(copy_run).rows(3, 2)
    assert [result for _, result in rows] == ["ENOTCAPABLE", "EPERM"]
    assert rows[0][0].startswith('fd=3</data>, dirflags=SYMLINK_FOLLOW, path="passwd"')
    assert Feed(copy_run).rows(10**6, 5) == []


def test_a_filter_answers_with_a_bit_a_call(copy_run: Any) -> None:
    bits = np.frombuffer(Feed(copy_run).matching("call=fd_write"), np.uint8)
    mask = np.unpackbits(bits, bitorder="little")[: len(copy_run.trace)].astype(bool)
    assert mask.tolist() == (copy_run.trace["name"] == "fd_write").tolist()
    with pytest.raises(QueryError):
        Feed(copy_run).matching("nonsense=3")


def test_a_filter_of_a_selection_of_a_trace_has_its_rows(copy_run: Any) -> None:
    part = copy_run.trace.filter("call=fd")
    bits = np.frombuffer(Feed(as_subject(part)).matching("call=fd_write"), np.uint8)
    mask = np.unpackbits(bits, bitorder="little")[: len(part)].astype(bool)
    assert mask.tolist() == (part["name"] == "fd_write").tolist()


def test_search_finds_names_paths_errnos_and_reasons_in_turn(copy_run: Any) -> None:
    feed = Feed(copy_run)
    named = [row for row in range(34) if "in.txt" in feed.event(row).path]
    assert feed.search("in.txt", -1, 1) == (5, 1, len(named))
    assert feed.search("in.txt", named[-1], 1) == (5, 1, len(named)), "from the last one to the first"
    assert feed.search("in.txt", 5, -1) == (named[-1], len(named), len(named))
    assert (feed.search("IN.TXT", 5, 1) or [None])[0] == 6
    assert (feed.search("read-only", 0, 1) or [None])[0] == 4
    assert (feed.search("enoent", 0, 1) or [None])[0] == 30
    assert (feed.search("fd_close", 33, 1) or [None])[0] == 31
    assert (feed.search("fd_read", 8, -1) or [None])[0] == 6
    assert feed.search("no such thing", 0, 1) is None


def test_of_a_run_too_large_to_hold_a_window_is_sent(many_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wasilab.views.interactive.feed.WHOLE_CALLS", 10_000)
    monkeypatch.setattr("wasilab.views.interactive.feed.WINDOW_CALLS", 4000)
    feed = Feed(many_run(20_000))
    assert feed.meta()["window"] == 4000
    starts = feed.columns.start
    first, count = feed.window(float(starts[9000]), float(starts[9500]))
    assert count == 4000
    assert first <= 9000
    assert first + count >= 9500
    assert feed.around(0) == (0, 4000)
    assert feed.around(19_999) == (17_999, 2001)
    assert feed.around(10**9)[1] <= 4000
    assert Feed(many_run(7)).meta()["window"] == 0


def test_output_is_a_lane_of_text(copy_run: Any) -> None:
    output = Feed(copy_run).meta()["output"]
    assert len(output) == 12
    row, at, stream, text = output[0]
    assert (row, stream, text) == (7, "stdout", "line 0 of the file")
    assert at == copy_run.trace["t_start"][7]


def test_lives_are_bars_from_open_to_close(copy_run: Any) -> None:
    lives = {life["label"]: life for life in Feed(copy_run).lives()}
    trace = copy_run.trace
    assert lives["4</data/in.txt>"]["from"] == trace["t_start"][5]
    assert lives["4</data/in.txt>"]["to"] == trace["t_start"][31]
    assert lives["1<stdout>"]["from"] == 0


def test_a_row_that_is_not_there_is_an_error_in_words(copy_run: Any) -> None:
    with pytest.raises(ValueError, match="there is no call 99"):
        Feed(copy_run).detail(99)


def test_calls_of_several_threads_are_in_the_order_of_their_start() -> None:
    from wasilab.trace.record.recorder import Recorder
    from wasilab.trace.trace import Trace

    recorder = Recorder()
    write, origin = recorder.make_writer(), recorder.origin_ns
    for start, dur, call in ((500, 10, 1), (100, 900, 2), (700, 5, 3)):
        write(origin + start, dur, 0, 0, None, None, call, 0, 0, 0, 0, 0, 0, 0)
    feed = Feed(as_subject(Trace.from_recorder(recorder)))
    assert read(feed.calls(0))["call"].tolist() == [2, 1, 3]
    assert feed.event(0).t_start == 100
    bits = feed.matching("t<200ns")
    assert bits == b"\x01"
