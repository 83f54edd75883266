"""Next steps from the timeline: notes on ranges, SQL queries, other tools, changed memory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab.cli import main
from wasilab.trace.formats.suffixes import TOOLS, WRITABLE, opened_in
from wasilab.trace.trace import Trace
from wasilab.views.interactive.feed import MOST_NOTES, NOTE_CHARACTERS, Feed
from wasilab.views.interactive.query_box import EXAMPLES, MOST_ROWS, answer_sql
from wasilab.views.interactive.state import MOST_PARTS, PART_BYTES, memory_of

from .conftest import Book, copied, many, run_of
from .lab import shot

GRANTS = wasilab.Grants(random=wasilab.Random.seeded(1))
GROWING = """(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $yield))
    (i32.store (i32.const 256) (i32.const 0x41424344)) (i32.store (i32.const 4096) (i32.const 7))
    (drop (call $yield))
    (drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 70000) (i32.const 255))
    (drop (call $random (i32.const 512) (i32.const 200)))
    (drop (call $yield))))"""


# --- notes -----------------------------------------------------------------------------------------------------------


def test_notes_on_ranges_are_written_changed_and_removed_and_saved(tmp_path: Path) -> None:
    run = run_of(copied())
    feed = Feed(run)
    feed.take_notes({"3": "one", "5-9": "several <b>"})
    assert run.trace.notes == [(3, 3, "one"), (5, 9, "several <b>")]
    for suffix in (".wtrace", ".jsonl"):
        run.trace.save(tmp_path / f"t{suffix}")
        assert Feed(run_of(Trace.load(tmp_path / f"t{suffix}"))).notes() == {"3": "one", "5-9": "several <b>"}
    feed.take_notes({"5-9": "changed"})
    assert run.trace.notes == [(5, 9, "changed")]


def test_two_notes_on_the_same_calls_stay_two_until_they_are_changed() -> None:
    run = run_of(copied())
    for text in ("first", "second"):
        run.trace.note(5, text, until=9)
    feed = Feed(run)
    assert feed.notes() == {"5-9": "first; second"}
    feed.take_notes({**feed.notes(), "0": "another"})
    assert run.trace.notes == [(0, 0, "another"), (5, 9, "first"), (5, 9, "second")]
    feed.take_notes({"5-9": "both"})
    assert run.trace.notes == [(5, 9, "both")]


def test_a_range_stays_one_where_calls_ended_in_another_order_than_they_began() -> None:
    book = Book()
    for start in (5000, 100, 400):
        book.now = start
        book.call("sched_yield", gap=0)
    run = run_of(book.trace())
    feed = Feed(run)
    assert feed.columns.order is not None
    feed.take_notes({"0-2": "all"})
    assert len(run.trace.notes) == 1
    first, last, _ = run.trace.notes[0]
    assert (first, last) == (0, 2)


@pytest.mark.parametrize(
    "key", ["", "-", "x", "3-", "-3", "9-3", "1-2-3", "10000000", "3-10000000", "9" * 40, "1e3", " 3", "٣", "03"]
)
def test_what_is_no_note_is_ignored(key: str) -> None:
    run = run_of(copied())
    Feed(run).take_notes({key: "text"})
    assert run.trace.notes == []


def test_notes_have_bounds() -> None:
    run = run_of(many(3000))
    Feed(run).take_notes({str(row): "x" * 9000 for row in range(3000)})
    assert len(run.trace.notes) == MOST_NOTES
    assert {len(text) for _, _, text in run.trace.notes} == {NOTE_CHARACTERS}
    Feed(run).take_notes({"1": "  "})
    assert run.trace.notes == []


# --- SQL -------------------------------------------------------------------------------------------------------------


def ask(run: Any, statement: str) -> dict[str, Any]:
    feed = Feed(run)
    return answer_sql(feed.trace, statement, feed.row_of)


@pytest.mark.slow
def test_a_row_leads_to_its_call_or_to_the_calls_that_it_is_about(evil_run: Any) -> None:
    pytest.importorskip("duckdb")
    rows = ask(evil_run, "select seq, call from calls where call = 'path_open' order by seq")
    assert rows["leads"] == [3, 4, 5]
    assert rows["columns"] == ["seq", "call"]
    assert rows["numbers"] == [True, False]
    groups = ask(evil_run, "select call, errno, count(*) n, sum(dur) ns from calls group by all order by n desc")
    assert groups["leads"][0] in ("call=fd_read ok", "call=fd_write ok")
    assert groups["numbers"] == [False, False, True, True]
    for lead, row in zip(groups["leads"], groups["rows"], strict=True):
        assert len(evil_run.trace.filter(lead)) == int(row[2]), lead
    paths = ask(evil_run, "select path, count(*) n from calls where path <> '' group by path")
    for lead, row in zip(paths["leads"], paths["rows"], strict=True):
        assert len(evil_run.trace.filter(lead)) == int(row[1]), lead
    shown = str(paths)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert ask(evil_run, "select life, calls from fds where life = 4")["leads"] == ["handle=4"]
    assert ask(evil_run, "select 7 as x")["leads"] == [""]
    assert ask(evil_run, "select 12345678 as seq")["leads"] == [""]


@pytest.mark.slow
def test_every_example_is_answered(copy_run: Any) -> None:
    pytest.importorskip("duckdb")
    for name, statement in EXAMPLES:
        assert ask(copy_run, statement)["total"] >= 0, name


@pytest.mark.slow
def test_an_answer_has_bounds() -> None:
    pytest.importorskip("duckdb")
    found = ask(run_of(many(2000)), "select *, repeat('x', 100000) from calls")
    assert found["total"] == 2000
    assert len(found["rows"]) == MOST_ROWS
    assert len(str(found)) < 400_000


@pytest.mark.parametrize(
    ("statement", "words"),
    [("", "one SELECT"), ("drop table calls", "one SELECT"), ("select nonsense from calls", "calls has seq"),
     ("select * from '/etc/passwd'", "unknown view"), ("x" * 30_000, "more than 20,000 characters")],
)  # fmt: skip
def test_a_wrong_statement_is_one_sentence(copy_run: Any, statement: str, words: str) -> None:
    pytest.importorskip("duckdb")
    with pytest.raises(ValueError, match=words):
        ask(copy_run, statement)


# --- other tools -----------------------------------------------------------------------------------------------------


def test_every_tool_opens_a_format_that_is_written() -> None:
    assert {suffix for suffix, *_ in TOOLS} <= set(WRITABLE)
    assert "ui.perfetto.dev" in opened_in(".pftrace")
    assert opened_in(".csv") == ""


def test_the_command_says_where_a_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    copied().trace().save("t.wtrace")
    assert main(["trace", "t.wtrace", "--export", "t.pftrace"]) == 0
    assert "t.pftrace: 34 calls; open it in Perfetto: https://ui.perfetto.dev, drop the file" in capsys.readouterr().err


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def growing() -> Any:
    return wasilab.run(wasilab.compile(GROWING, "wat", name="growing"), record=True, grants=GRANTS)


def test_the_changed_parts_of_memory_are_listed(growing: Any) -> None:
    change: Any = memory_of(growing, 1, 0)
    assert change["changed"] == "5 bytes"
    assert [part[:2] for part in change["parts"]] == [(256, 260), (4096, 4097)]
    before, after = (base64.b64decode(text) for text in change["parts"][0][2:])
    assert (before[:4], after[:4]) == (bytes(4), b"DCBA")
    change = memory_of(growing, 2, 1)
    assert change["grown"] == "64.0 KiB more"
    assert [start // 512 * 512 for start, *_ in change["parts"]] == [512, 70000 // 512 * 512]
    assert base64.b64decode(change["parts"][1][2]) == b""
    assert all(len(base64.b64decode(part[3])) <= PART_BYTES for part in change["parts"])
    assert memory_of(growing, 2, 2)["parts"] == []
    back: Any = memory_of(growing, 0, 2)
    assert back["grown"] == "64.0 KiB less"


def test_many_changed_parts_are_bounded() -> None:
    scattered = """(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
      (memory (export "memory") 1) (func (export "_start") (local $at i32) (drop (call $yield))
        (loop $more (i32.store8 (local.get $at) (i32.const 1)) (local.set $at (i32.add (local.get $at) (i32.const 100)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 60000))))
        (drop (call $yield))))"""
    change: Any = memory_of(wasilab.run(wasilab.compile(scattered, "wat", name="s"), record=True), 1, 0)
    assert len(change["parts"]) == MOST_PARTS
    assert change["more"] == 600 - MOST_PARTS


def test_a_run_without_a_recording_says_what_is_needed(copy_run: Any) -> None:
    with pytest.raises(ValueError, match="memory at call 1 is not known"):
        memory_of(copy_run, 1, 0)


# --- in a page -------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.slow
def test_notes_are_written_on_a_range_and_lead_back_to_it(bare: Any) -> None:
    run = run_of(copied(evil=True))
    page = bare(run, width=420, dark=True)
    line, keys = page.line, page.page.keyboard
    line.canvas.focus()
    keys.press("m")
    box = line.host.locator(".selection .note")
    box.fill("the <b>whole</b>")
    box.press("Enter")
    last = len(run.trace) - 1
    assert run.trace.notes == [(0, last, "the <b>whole</b>")]
    line.js("view.escape()")
    line.js("view.tabs.show('notes')")
    line.host.locator(".note-calls").fill("5 to 7")
    line.host.locator(".note-new .note").fill("opens")
    line.host.locator(".note-new .note").press("Enter")
    assert (5, 7, "opens") in run.trace.notes
    shot(page.page, "notes")
    line.host.locator(".note-list .link", has_text="calls 5 to 7").click()
    line.until("view.navigator.view.selection !== null && view.navigator.view.selection[0] === view.store.start[5]")
    line.host.locator(".note-calls").fill("5-999")
    line.host.locator(".note-calls").press("Enter")
    assert "there is no call 999" in line.js("view.status.textContent")
    line.host.locator("button[aria-label='Remove the note on calls 5 to 7']").click()
    assert run.trace.notes == [(0, last, "the <b>whole</b>")]
    assert line.host.locator("b", has_text="whole").count() == 0
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")


@pytest.mark.browser
@pytest.mark.slow
def test_rows_of_an_answer_lead_to_the_calls_by_pointer_and_keyboard(bare: Any, evil_run: Any) -> None:
    pytest.importorskip("duckdb")
    page = bare(evil_run, width=420)
    line, keys = page.line, page.page.keyboard
    line.js("view.tabs.show('sql')")
    box = line.host.locator("textarea")
    box.fill("select seq, call, path from calls where call = 'path_open' order by seq")
    box.press("Control+Enter")
    line.host.locator("tr.leads").first.wait_for()
    shot(page.page, "sql")
    line.host.locator("tr.leads").first.click()
    line.until("view.navigator.view.pinned === 3")
    line.host.locator("tr.leads").first.focus()
    keys.press("ArrowDown")
    keys.press("Enter")
    line.until("view.navigator.view.pinned === 4")
    assert line.host.locator(".sql-answer script").count() == 0
    box.fill("select call, count(*) n from calls group by call order by n desc, call")
    box.press("Control+Enter")
    line.host.locator("tr.leads", has_text="fd_write").click()
    line.until("view.store.matches?.length === 12")
    box.fill("delete from calls")
    box.press("Control+Enter")
    line.until("view.sql.words.className === 'hint wrong'")
    assert "one SELECT" in line.js("view.sql.words.textContent")
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")


@pytest.mark.browser
@pytest.mark.slow
def test_perfetto_gets_a_file_and_instructions(bare: Any, copy_run: Any) -> None:
    page = bare(copy_run, width=420)
    line = page.line
    line.js("view.tabs.show('tools')")
    assert line.host.locator(".tools a").first.get_attribute("href") == "https://ui.perfetto.dev"
    with page.page.expect_download() as download:
        line.host.locator("button", has_text="Save copy.c.pftrace").click()
    assert Path(download.value.path()).stat().st_size > 500
    line.until("view.status.textContent.includes('ui.perfetto.dev, drop the file')")
    shot(page.page, "tools")
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")


@pytest.mark.browser
@pytest.mark.slow
def test_changed_memory_is_asked_for_only_when_it_is_looked_at(bare: Any, growing: Any) -> None:
    page = bare(growing, width=420, dark=True)
    line = page.line
    line.js("(window.asked = [], 1)")
    line.js("(view.asker.model.send = ((send) => (content) => { window.asked.push(content.ask); send(content); })"
            "(view.asker.model.send), 1)")  # fmt: skip
    line.js("view.tabs.show('state')")
    line.js("view.travel.to(0)")
    line.until("view.travel.known.size > 0 && !view.travel.asking")
    assert "memory" not in page.page.evaluate("window.asked")
    line.host.locator(".memory > summary").click()
    line.js("view.travel.to(1)")
    line.until("view.travel.memory.body.textContent.includes('5 bytes changed in 2 places')")
    assert "44 43 42 41" in line.host.locator(".memory .hex").nth(1).inner_text()
    shot(page.page, "memory")
    assert line.js("view.root.scrollWidth <= view.root.clientWidth")
