"""The widget's Python side: questions get answers, errors in words, notes reach the trace, live runs grow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wasilab.capabilities.refusal import NeedKind
from wasilab.grants.remedy import Remedy
from wasilab.views.interactive import cells, live
from wasilab.views.interactive import widget as widget_module
from wasilab.views.interactive.feed import SAVED_CALLS
from wasilab.views.interactive.live import LiveFeed, columns, grown
from wasilab.views.interactive.module_js import ORDERS, module
from wasilab.views.interactive.widget import TimelineWidget, timeline
from wasilab.views.rerun import can_rerun

from .fakes import FakeRun
from .panels import until

JS = Path(__file__).parents[2] / "wasilab" / "views" / "interactive" / "js"


class Talk:
    """A widget whose messages are kept instead of sent."""

    def __init__(self, run: Any, **options: Any) -> None:
        self.widget = TimelineWidget(run, **options)
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.widget.send = lambda content, buffers=None: self.sent.append((content, buffers or []))

    def ask(self, ask: str, **more: Any) -> tuple[dict[str, Any], list[bytes]]:
        self.widget._answer(None, {"id": "7", "ask": ask, **more}, [])
        content, buffers = self.sent.pop()
        assert content["id"] == "7"
        json.dumps(content)
        return content, buffers


def synced(widget: TimelineWidget, name: str) -> str:
    """A part of the widget's state as the browser gets it."""
    value: str = widget.get_state(name)[name]
    return value


def test_every_question_is_answered(copy_run: Any) -> None:
    talk = Talk(copy_run)
    content, buffers = talk.ask("calls", first=0)
    assert content["count"] == len(copy_run.trace)
    assert len(buffers) == 7
    assert len(talk.ask("rows", first=0, count=100)[0]["rows"]) == len(copy_run.trace)
    assert talk.ask("detail", row=5)[0]["detail"]["call"] == "path_open"
    assert len(talk.ask("filter", expression="refused")[1][0]) == (len(copy_run.trace) + 7) // 8
    facets = talk.ask("facets", expression="refused")[0]["facets"]
    assert [facet["name"] for facet in facets][:2] == ["call", "path"]
    assert list(map(list, facets[0]["values"])) == [["path_open", "call=path_open", 2]]
    state = talk.ask("state", row=6)[0]["state"]
    _, fd, path, _, offset, _, instance = state["descriptors"][-1]
    assert (fd, path, offset, instance) == ("4", "/data/in.txt", "19", "")
    maps = talk.ask("maps")[0]["maps"]
    assert [row[1] for row in maps["files"]] == ["/data", "in.txt", "missing", "out.txt", "passwd"]
    assert maps["graph"].startswith("<svg ")
    assert talk.ask("export", suffix=".capabilities.svg")[1][0].startswith(b"<svg ")
    assert talk.ask("search", text="passwd", row=-1, by=1)[0]["row"] == 3
    content, buffers = talk.ask("export", suffix=".strace")
    assert content["name"] == "copy.c.strace"
    assert b"path_open(" in buffers[0]
    assert b"Asked for, granted, used" in talk.ask("export", suffix=".html")[1][0]


@pytest.mark.parametrize(
    ("ask", "more", "words"),
    [
        ("detail", {"row": 10**6}, "there is no call"),
        ("filter", {"expression": "nonsense=1"}, "nonsense"),
        ("state", {"row": 10**6}, "there is no call"),
        ("facets", {"expression": "nonsense=1"}, "nonsense"),
        ("export", {"suffix": ".exe"}, ".exe"),
        ("stop", {}, "the run has ended"),
        ("grant", {"refusal": 99}, "no grant to add"),
        ("format-disk", {}, "does not know the question"),
        ("rows", {"first": "x", "count": 1}, "invalid literal"),
    ],
)
def test_a_failure_is_an_answer_with_a_sentence(copy_run: Any, ask: str, more: dict[str, Any], words: str) -> None:
    assert words in Talk(copy_run).ask(ask, **more)[0]["error"]


def test_messages_that_are_no_questions_are_ignored(copy_run: Any) -> None:
    talk = Talk(copy_run)
    for junk in ("text", None, {}, {"id": 3}):
        talk.widget._answer(None, junk, [])
    assert talk.sent == []


def test_notes_written_in_the_browser_are_notes_of_the_trace(copy_run: Any) -> None:
    talk = Talk(copy_run)
    talk.widget.notes = {"5": "here it opens"}
    assert copy_run.trace.notes == [(5, 5, "here it opens")]
    assert talk.ask("detail", row=5)[0]["detail"]["note"] == "here it opens"
    talk.widget.notes = {}
    assert copy_run.trace.notes == []


def test_notes_are_told_by_their_call_also_where_calls_were_dropped(many_run: Callable[[int], Any]) -> None:
    trace = many_run(500).trace[100:200]
    trace.note(120, "one call")
    trace.note(130, "a range", until=140)
    trace.note(7, "not in this part")
    talk = Talk(trace)
    assert talk.widget.notes == {"20": "one call", "30-40": "a range"}
    assert sorted(trace.store.notes) == [(7, 7, "not in this part"), (120, 120, "one call"), (130, 140, "a range")]
    talk.widget.notes = {"20": "said otherwise", "99": "the last", "100": "beyond"}
    kept = {(7, 7, "not in this part")}
    assert set(trace.store.notes) == kept | {(120, 120, "said otherwise"), (199, 199, "the last")}
    trace.store.notes.clear()


def test_grant_and_run_again_shows_the_new_run(copy_run: Any, many_run: Any) -> None:
    asked: list[Remedy] = []

    def rerun(remedy: Remedy) -> Any:
        asked.append(remedy)
        return many_run(7)

    talk = Talk(copy_run, again=rerun)
    assert synced(talk.widget, "_head").count("grant and run again") == 1
    assert "error" in talk.ask("grant", refusal=0)[0], "a folder has to be chosen first"
    assert "error" not in talk.ask("grant", refusal=1)[0]
    assert asked == [Remedy(NeedKind.WRITE, "/data", "data", "rw")]
    assert talk.widget._meta["calls"] == 7


WAT = """(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $random (i32.const 0) (i32.const 8)))))"""


def test_a_refused_program_runs_again_with_the_flag_that_the_refusal_names() -> None:
    import wasilab
    from wasilab.capabilities.random import Random
    from wasilab.views.report.refused import refusals

    run = wasilab.run(wasilab.compile(WAT, "wat"), grants=wasilab.Grants(random=Random.nothing()))
    assert [refusal.remedy for refusal in refusals(run)] == [Remedy(NeedKind.RANDOM)]
    talk = Talk(run)
    assert synced(talk.widget, "_head").count("grant and run again") == 1
    assert "error" not in talk.ask("grant", refusal=0)[0]
    again = talk.widget.run.wait()
    assert again is not run
    assert len(again.denied) == 0
    assert again.grants.random.spec == "real"


READS = WAT.replace(
    "(memory",
    """(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory""",
).replace(
    "(i32.const 8)))))",
    """(i32.const 8)))
  (drop (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)))))""",
)


def test_a_program_without_input_is_repeated_with_an_empty_stdin() -> None:
    import wasilab
    from wasilab.capabilities.random import Random

    grants = wasilab.Grants(random=Random.nothing(), stdin="ask")
    silent, asking = (wasilab.run(wasilab.compile(wat, "wat"), grants=grants) for wat in (WAT, READS))
    assert can_rerun(silent, Remedy(NeedKind.RANDOM))
    assert not can_rerun(asking, Remedy(NeedKind.RANDOM)), "what was typed cannot be typed again"
    again = Talk(silent)
    assert "error" not in again.ask("grant", refusal=0)[0]
    assert again.widget.run.wait().grants.stdin == b""
    assert len(again.widget.run.denied) == 0


def test_a_remedy_with_blanks_has_no_button() -> None:
    import wasilab

    run = wasilab.run(wasilab.compile(WAT, "wat"))
    for remedy in (Remedy(NeedKind.DIRECTORY, "/in"), Remedy(NeedKind.LIMIT, limit="fds")):
        assert not can_rerun(run, remedy)
    assert can_rerun(run, Remedy(NeedKind.WRITE, "/in", "in", "rw"))


def test_without_a_way_to_run_again_there_is_no_button(copy_run: Any) -> None:
    assert "<button" not in synced(Talk(copy_run).widget, "_head")


def test_the_same_run_has_one_widget(copy_run: Any) -> None:
    assert timeline(copy_run) is timeline(copy_run)


def test_what_is_put_as_html_is_escaped(evil_run: Any) -> None:
    widget = TimelineWidget(evil_run)
    assert "<script" not in synced(widget, "_head") + synced(widget, "_report")
    assert "&lt;script&gt;" in synced(widget, "_head")


class Unending(FakeRun):
    """A run that runs until it is told to end."""

    stopped = 0

    def __init__(self, book: Any) -> None:
        super().__init__(book.trace(), None, recorder=book.recorder, running=True, so_far=1.0)
        object.__setattr__(self, "book", book)

    @property
    def trace(self) -> Any:
        return self.__dict__["book"].trace()

    @trace.setter
    def trace(self, value: Any) -> None: ...

    def stop(self, timeout: float | None = None) -> None:
        object.__setattr__(self, "stopped", self.stopped + 1)
        object.__setattr__(self, "running", False)


def test_a_live_run_grows_and_becomes_a_run_like_any_other(
    copy_run: Any, new_book: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = new_book()
    run: Any = Unending(book)
    assert LiveFeed.possible(run)
    assert not LiveFeed.possible(copy_run)
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    over = threading.Event()
    feed = LiveFeed(run, lambda content, buffers: sent.append((content, buffers)), lambda _: over.set())
    for _ in range(3):
        book.call("clock_time_get", 0, 1, 0, 0)
        feed.push()
    feed.push()
    assert [(content["first"], content["count"]) for content, _ in sent] == [(0, 1), (0, 2), (0, 3)]
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.0)  # from then on the page listens
    book.call("clock_time_get", 0, 1, 0, 0)
    feed.push()
    assert (sent[-1][0]["first"], sent[-1][0]["count"]) == (3, 1)
    assert sent[-1][0]["meta"]["span"] >= book.now
    assert np.frombuffer(sent[-1][1][0], "<f8").tolist() == book.trace()["t_start"][3:].tolist()
    feed.start()
    feed.stop()
    assert over.wait(60)
    assert run.stopped == 1


@pytest.mark.parametrize("calls", [300, 13_000])
def test_a_live_run_is_shown_however_many_calls_it_has_made(calls: int, new_book: Callable[[], Any]) -> None:
    book = new_book()
    for _ in range(calls):
        book.call("clock_time_get", 0, 1, 0, 0)
    run: Any = Unending(book)
    widget = TimelineWidget(run)
    state = widget.get_state(["_meta", "_snapshot"])
    run.stop()
    assert (state["_meta"]["calls"], state["_meta"]["thin"]) == (calls, False)
    assert len(state["_snapshot"]) == (calls * 20 if calls <= SAVED_CALLS else 0)


def test_a_live_timeline_sends_no_more_than_it_may_cost(
    new_book: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = new_book()
    for _ in range(5000):
        book.call("clock_time_get", 0, 1, 0, 0)
    sent: list[dict[str, Any]] = []
    feed = LiveFeed(Unending(book), lambda content, buffers: sent.append(content), lambda _: None)
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(live, "WAIT_FOR_COST", 1e12)
    feed.push()
    assert (sent[-1]["count"], "lives" in sent[-1]["meta"]) == (1000, False)
    monkeypatch.setattr(live, "WAIT_FOR_COST", 1e-12)
    feed.push()
    assert (sent[-1]["count"], "lives" in sent[-1]["meta"]) == (4000, True)


def test_the_end_of_a_run_is_sent_at_once_whatever_the_updates_cost(
    new_book: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WAIT_FOR_COST", 1e12)  # the next update is due in years
    book = new_book()
    book.call("clock_time_get", 0, 1, 0, 0)
    sent: list[dict[str, Any]] = []
    ended = threading.Event()
    feed = LiveFeed(Unending(book), lambda content, buffers: sent.append(content), lambda _: ended.set())
    feed.start()
    until(lambda: bool(sent))
    feed.stop()
    assert ended.wait(60)


def test_what_a_cell_need_not_wait_for_is_done_after_it() -> None:
    happened: list[str] = []
    events: dict[str, Callable[[], None]] = {}
    shell: Any = FakeShell(events)
    cells.after_cell(shell, lambda: happened.append("first"))
    cells.after_cell(shell, lambda: happened.append("second"))
    assert happened == []
    assert list(events) == ["post_run_cell"]
    events["post_run_cell"]()
    events["post_run_cell"]()
    assert happened == ["first", "second"]
    cells.after_cell(None, lambda: happened.append("no shell"))
    assert happened[-1] == "no shell"


def test_a_cell_that_runs_again_does_not_wait_until_its_former_trace_is_in_a_file(
    many_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: dict[str, Callable[[], None]] = {}
    shell: Any = FakeShell(events)
    shell.kernel = SimpleNamespace(get_parent=lambda: {"metadata": {"cellId": "a"}})
    monkeypatch.setattr(widget_module, "shell", lambda: shell)
    unloaded: list[str] = []
    run = replace(many_run(7))
    monkeypatch.setattr(type(run), "unload", lambda self: unloaded.append(self.name), raising=True)
    TimelineWidget(run).display({"text/plain": "", "text/html": ""})
    events["pre_run_cell"]()
    assert unloaded == []
    events["post_run_cell"]()
    assert unloaded == [run.name]


class FakeShell:
    """The part of IPython's shell that `cells` uses; `registered` are its callbacks by event."""

    def __init__(self, registered: dict[str, Callable[[], None]]) -> None:
        self.events = SimpleNamespace(register=registered.__setitem__)
        self.user_ns: dict[str, object] = {}


def test_a_live_run_shows_its_descriptors_output_and_elapsed_time(
    new_book: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "QUIET_PERIOD", 0.0)
    monkeypatch.setattr(live, "WORDS_PERIOD", 0.0)
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.0)
    book = new_book()
    sent: list[dict[str, Any]] = []
    feed = LiveFeed(Unending(book), lambda content, buffers: sent.append(content), lambda _: None)
    book.call("fd_write", 1, 64, 1, 80, fd=1, result=3, data=b"hi\n")
    feed.push()
    assert [(stream, text) for _, _, stream, text in sent[-1]["meta"]["output"]] == [("stdout", "hi")]
    assert [life["to"] for life in sent[-1]["meta"]["lives"]] == [None] * 4
    feed._tell_at = 0.0
    book.open(4, b"/data/in.txt")
    book.call("fd_close", 4, fd=4, closing=True)
    feed.push()
    assert [life["label"] for life in sent[-1]["meta"]["lives"] if life["to"] is not None] == ["4</data/in.txt>"]
    feed.push()
    assert (sent[-1]["count"], "lives" in sent[-1]["meta"]) == (0, False)
    assert sent[-1]["meta"]["span"] > sent[-2]["meta"]["span"]


def test_notes_written_while_it_runs_are_kept_at_its_end(new_book: Callable[[], Any], many_run: Any) -> None:
    book = new_book()
    book.call("clock_time_get", 0, 1, 0, 0)
    widget = TimelineWidget(many_run(7))
    widget.send = lambda *_: None
    widget.feed.trace.store.notes.clear()
    going: Any = Unending(book)
    widget.show(going)
    assert "running; its calls appear" in synced(widget, "_head")
    widget.notes = {"0": "the first"}
    assert widget._live is not None
    widget._live.close()
    ended = many_run(7)
    widget._finished(ended)
    assert ended.trace.notes == [(0, 0, "the first")]
    assert widget.notes == {"0": "the first"}
    ended.trace.store.notes.clear()


def test_growth_is_read_across_chunks_without_gaps(new_book: Callable[[], Any]) -> None:
    book = new_book()
    for i in range(20_000):
        book.call("clock_time_get", i, 1, 0, 0, dur=1, gap=1)
    seen: list[int] = []
    while True:
        records = grown(book.recorder, len(seen), 3000)
        if not len(records):
            break
        assert len(columns(records)) == 7
        seen += records["args"][:, 0].tolist()
    assert seen == list(range(20_000))


@pytest.mark.parametrize("widget", ORDERS)
def test_the_module_is_the_files_joined_without_imports_or_names_defined_twice(widget: str) -> None:
    text = module(widget)
    assert "import " not in re.sub(r"//.*|/\*.*?\*/| import\(\"", "", text, flags=re.DOTALL).split("export default")[0]
    assert text.count("export ") - text.count("@") * 0 >= 1
    names = re.findall(r"^(?:class|function|const|async function) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert "http" not in re.sub(r"https?://[^\s]*github[^\s]*", "", text)


def test_every_file_belongs_to_a_module() -> None:
    files = {path.relative_to(JS).with_suffix("").as_posix() for path in JS.rglob("*.js")}
    assert files == {name for names in ORDERS.values() for name in names}


@pytest.mark.parametrize("widget", ORDERS)
def test_the_module_is_valid_for_a_javascript_engine(widget: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "node is needed to check the module: apt install nodejs"
    path = tmp_path / "module.mjs"
    path.write_text(module(widget), encoding="utf-8")
    done = subprocess.run([node, "--check", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_program_that_is_run_again_is_one_series_of_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    import wasilab
    from wasilab.capabilities.random import Random

    program = wasilab.compile(WAT, "wat", name="dice")
    first = wasilab.run(program, ["six"], grants=wasilab.Grants(random=Random.nothing()))
    hook = SimpleNamespace(_=first, __=None, ___=None)
    names: dict[str, Any] = {"_oh": {4: first}, "_4": first, "_": first, "mine": first}
    monkeypatch.setattr(widget_module, "shell", lambda: SimpleNamespace(user_ns=names, displayhook=hook))
    talk = Talk(first)
    assert "class=attempt" not in synced(talk.widget, "_head")
    assert "error" not in talk.ask("grant", refusal=0)[0]
    second = talk.widget.run
    second.wait()
    until(lambda: "nothing was refused" in synced(talk.widget, "_head") and names["_"] is second)
    head = synced(talk.widget, "_head")
    assert "Run 2</b>: granted in addition <code dir=ltr>--random real</code>" in head
    assert "wasilab run dice six" in head
    assert "back to run 1" in head
    assert "nothing was refused" in head
    assert (names["_oh"][4], names["_4"], names["_"], hook._) == (second, second, second, second)
    assert names["mine"] is first, "a variable of the person stays"
    compared = talk.ask("compare", run=0)[0]["html"]
    assert "Run 1 compared with run 2" in compared
    assert "random_get" in compared
    assert "error" not in talk.ask("show", run=0)[0]
    assert talk.widget.run is first
    assert "to run 2" in synced(talk.widget, "_head")
    assert names["_"] is first
    for wrong in (-1, 2, 99):
        assert "error" in talk.ask("show", run=wrong)[0]
    assert timeline(second) is talk.widget
