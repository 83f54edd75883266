"""The report: complete in every form, isolated, with guest text escaped."""

from __future__ import annotations

import html
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.engine.outcome import Frame, Outcome
from wasilab.trace.answers.refusals import Refusals
from wasilab.views import display
from wasilab.views.report import report
from wasilab.views.report.refused import refusals
from wasilab.views.report.verdict import mood, verdict
from wasilab.views.subject import as_subject, snapshot
from wasilab.views.timeline.columns import Columns
from wasilab.views.timeline.scene import scene

from .conftest import run_of
from .fakes import FakeRun


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("outcome", "start", "tone"),
    [
        (Outcome("exit", 0, seconds=0.001), "Ended well (exit status 0), after 34 WASI calls in 1.00 ms; 2 c", "warn"),
        (Outcome("exit", 3, seconds=0.001), "Ended with exit status 3, after 34 WASI calls", "warn"),
        (Outcome("trap", 134, "unreachable was executed.", seconds=1), "Trapped: unreachable was executed, ", "bad"),
        (Outcome("limit", 137, "the fuel is used up", seconds=1), "Stopped by a limit: the fuel is used up, ", "bad"),
        (Outcome("interrupt", 130, "x", seconds=1), "Stopped by you, after 34 WASI calls in 1.00 s", "bad"),
        (Outcome("error", 1, "import missing", seconds=0), "Could not run: import missing, after", "bad"),
    ],
)
def test_the_verdict_says_in_words_how_the_run_ended(copy_run: Any, outcome: Outcome, start: str, tone: str) -> None:
    run = replace(copy_run, outcome=outcome)
    assert verdict(run).startswith(start)
    assert mood(run) == tone


def test_a_clean_run_is_good(many_run: Any) -> None:
    run = many_run(7)
    clean = replace(run, trace=run.trace.filter("ok"), refused=Refusals([]))
    assert verdict(clean).endswith("; nothing was refused.")
    assert mood(clean) == "good"


def test_a_trace_that_does_not_say_how_its_run_ended_is_not_said_to_run(copy_run: Any) -> None:
    part = as_subject(copy_run.trace)
    refused = replace(copy_run, outcome=None)
    clean = replace(refused, trace=copy_run.trace.filter("ok"), refused=Refusals([]))
    assert verdict(clean) == f"{len(clean.trace)} WASI calls; nothing was refused."
    assert mood(clean) == mood(part) == "unknown"
    assert "Still running" not in report.page(part) + report.text(refused)
    assert " refused." in verdict(refused)


def test_a_running_run_and_one_without_a_trace_have_a_report(copy_run: Any) -> None:
    going = replace(copy_run, running=True, outcome=None)
    assert verdict(going).startswith("Still running, after 34 WASI calls")
    assert "Still running" in report.text(going)
    untraced = replace(copy_run, traced=False)
    assert "its calls were not recorded" in report.text(untraced)
    assert "not recorded" in report.page(untraced)


def test_refusals_are_grouped_with_their_remedy(copy_run: Any) -> None:
    groups = refusals(copy_run)
    assert [group.count for group in groups] == [1, 1]
    assert "no granted directory contains it" in groups[0].sentence
    text = report.text(copy_run)
    assert "refused: path_open('/data/passwd') was refused: no granted directory contains it" in text
    assert "to allow it: --dir HOST::/etc (HOST is the folder to give)\n" in text
    assert "to allow it: --dir data::/data:rw\n" in text


def test_text_is_useful_in_a_terminal(copy_run: Any) -> None:
    text = report.text(copy_run)
    assert text.splitlines()[0].startswith("copy.c: Ended well")
    assert re.search(r"^fd_read +12 ", text, re.MULTILINE)
    assert "stdout:\n  line 0\n  line 1" in text
    assert "stdout:" not in report.text(copy_run, output=False)


def test_a_trap_shows_the_guests_stack(copy_run: Any) -> None:
    frames = (Frame("crash", "/cell/a.c", 7), Frame("main", "/cell/a.c", 12))
    run = replace(copy_run, outcome=Outcome("trap", 134, "unreachable", frames, seconds=1))
    assert "crash at /cell/a.c:7" in report.text(run)
    assert "main at /cell/a.c:12" in report.page(run)


def test_the_page_is_complete_and_asks_nothing_of_the_network(copy_run: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report.to_html(copy_run, path)
    page = path.read_text(encoding="utf-8")
    tags = Tags(page)
    assert {"h2", "table", "svg", "ul"} <= {tag for tag, _ in tags.found}
    assert not {"script", "link", "iframe"} & {tag for tag, _ in tags.found}
    for _, attributes in tags.found:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    for words in ("Refused", "Asked for, granted, used", "fd_write", "line 0", "--dir", "real"):
        assert words in tags.text
    assert "prefers-color-scheme: dark" in page


def test_the_embedded_report_is_a_sandboxed_frame_with_a_plain_form_beside_it(copy_run: Any) -> None:
    bundle = report.mimebundle(copy_run)
    assert set(bundle) == {"text/plain", "text/html"}
    outer = Tags(bundle["text/html"])
    frame = next(attributes for tag, attributes in outer.found if tag == "iframe")
    assert frame["sandbox"] == ""
    assert "Asked for, granted, used" in (frame["srcdoc"] or "")
    without = re.sub(r"<style>.*?</style>|<iframe.*?</iframe>", "", bundle["text/html"], flags=re.DOTALL)
    plain = Tags(without)
    assert "Ended well" in plain.text
    assert "to allow it" in plain.text
    assert "fd_write" in plain.text
    assert any(tag == "img" for tag, _ in plain.found)


def test_streamed_output_is_not_repeated(copy_run: Any) -> None:
    assert "line 1" not in report.mimebundle(replace(copy_run, streamed=True))["text/html"]


@pytest.mark.parametrize("form", ["page", "html", "text"])
def test_no_guest_text_is_obeyed(evil_run: Any, form: str) -> None:
    shown = getattr(report, form)(evil_run)
    for layer in (shown, html.unescape(shown)) if form == "html" else (shown,):
        assert "\x1b" not in layer
        assert "\u202e" not in layer
        assert "\x07" not in layer
        assert "\0" not in layer
    if form != "text":
        assert "<script" not in shown
        inner = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1]) if form == "html" else shown  # type: ignore[index]
        assert not any(tag == "script" for tag, _ in Tags(inner).found)
        assert "\\u202egpj.exe" in inner
    else:
        assert "\\u202egpj.exe" in shown


def test_long_output_is_cut_with_a_count_of_what_is_left(copy_run: Any) -> None:
    run = replace(copy_run, stdout_bytes="".join(f"{i}\n" for i in range(100_000)).encode())
    page = report.page(run)
    assert len(page) < 200_000
    assert "more lines; all is in <code>run.stdout</code>" in page


def test_only_what_is_shown_of_the_output_is_read(copy_run: Any) -> None:
    line = replace(copy_run, stdout_bytes=b"out \x1b[31m" + b"x" * 1_000_000)
    page = report.page(line)
    assert len(page) < 100_000
    assert "more bytes of this line; all is in <code>run.stdout</code>" in page
    assert "more bytes of this line: run.stdout" in report.text(line)
    many = replace(copy_run, stdout_bytes=("\u05d0\u202e" * 10 + "\n").encode() * 50_000)
    assert "49,988 more lines: run.stdout" in report.text(many)
    assert "\u202e" not in report.page(many)
    for whole in (b"a\nb\n", b"a\nb", "a\u00e9\n", b"\xff" * 100):
        assert " more " not in report.text(replace(copy_run, stdout_bytes=whole))


def test_right_to_left_letters_stay_in_their_place(copy_run: Any) -> None:
    denial = copy_run.denied[0]
    hebrew = type(denial)(
        denial.call, denial.asked, denial.denied_by, "path_open('\u05e9\u05dc\u05d5\u05dd')", None, 1
    )
    output = "\u05e9\u05dc\u05d5\u05dd 123 end\n".encode()
    page = report.page(replace(copy_run, refused=Refusals([hebrew]), stdout_bytes=output))
    assert "<bdi>path_open(&#x27;\u05e9\u05dc\u05d5\u05dd&#x27;)</bdi>" in page
    assert '<pre dir="ltr">\u05e9\u05dc\u05d5\u05dd 123 end' in page
    assert "unicode-bidi: isolate" in page


def test_notes_are_in_every_form_of_the_report(copy_run: Any) -> None:
    copy_run.trace.note(5, "it opens <its> input")
    copy_run.trace.note(8, "the loop", until=12)
    try:
        for form in (report.page(copy_run), report.plain(copy_run, b"")):
            assert "it opens &lt;its&gt; input" in form
            assert "calls 8 to 12 <code>fd_read</code>" in form
        assert "note on call 5 (path_open): it opens <its> input" in report.text(copy_run)
    finally:
        copy_run.trace.store.notes.clear()
    assert "Notes" not in report.page(copy_run)


def test_a_running_run_is_told_as_of_one_moment(new_book: Any) -> None:
    book = new_book()
    book.call("clock_time_get", 0, 1, 0, 0)

    class Growing(FakeRun):
        @property
        def trace(self) -> Any:
            book.call("clock_time_get", 0, 1, 0, 0)  # it makes a call whenever it is looked at
            return book.trace()

        @trace.setter
        def trace(self, value: Any) -> None: ...

    growing = Growing(book.trace(), None, name="growing", running=True, so_far=2.5)
    assert verdict(snapshot(growing)) == "Still running, after 2 WASI calls in 2.50 s; nothing was refused so far."
    page = report.html(growing)
    assert "3 WASI calls in 2.50 s" in page
    assert "3 calls, still running" in page
    assert "4 calls" not in page
    assert snapshot(ended := run_of(book)) is ended


def test_a_terminal_is_given_text_only(copy_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(display_formatter=SimpleNamespace(active_types=["text/plain"]))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: terminal))
    assert list(report.mimebundle(copy_run)) == ["text/plain"]


def test_the_pages_timeline_shows_what_the_picture_shows(copy_run: Any, many_run: Any) -> None:
    page = report.page(copy_run)
    tags = Tags(page)
    tracks = [attributes for tag, attributes in tags.found if tag == "path"]
    assert len(tracks) == 1 + len(Columns.of(copy_run).families)
    assert page.count('<i class="sign-refused"') == 2
    assert page.count('<i class="sign-injected"') == 1
    for words in ("guest", "26 calls, ", "150 µs", "refused", "other errno"):
        assert words in tags.text, words
    trapped = report.page(replace(copy_run, outcome=Outcome("trap", 134, "unreachable", seconds=1e-3)))
    assert 'class="lanes ended"' in trapped
    assert "┃ trap" in trapped
    assert len(report.page(many_run(60_000))) < 60_000


def test_a_thousand_reasons_do_not_flood_the_report(copy_run: Any) -> None:
    denials = [type(copy_run.denied[0])(
        "path_open", "x", copy_run.denied[0].denied_by, f"reason {i}", None, i) for i in range(1000)]  # fmt: skip
    page = report.page(replace(copy_run, refused=Refusals(denials)))
    assert "970 more reasons" in page


def test_a_path_of_4096_characters_stays_in_the_page(copy_run: Any) -> None:
    denial = copy_run.denied[0]
    long = type(denial)(denial.call, denial.asked, denial.denied_by, "path_open('" + "a" * 4096 + "')", None, 1)
    page = report.page(replace(copy_run, refused=Refusals([long])))
    assert "a" * 4096 in page
    assert "overflow-wrap: anywhere" in page


@pytest.mark.parametrize(
    ("kernel", "server", "expected"),
    [
        (None, "", False),
        (SimpleNamespace(_allow_stdin=True), "", True),
        (SimpleNamespace(_allow_stdin=False), "", False),
        (SimpleNamespace(_allow_stdin=False), "voila/0.5.8", True),
    ],
)
def test_the_widget_is_shown_live_and_the_report_in_pages(
    copy_run: Any, monkeypatch: pytest.MonkeyPatch, kernel: Any, server: str, expected: bool
) -> None:
    ipython = SimpleNamespace(kernel=kernel, display_formatter=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: ipython))
    monkeypatch.setenv("SERVER_SOFTWARE", server)
    shown: list[Any] = []
    monkeypatch.setattr(display, "timeline", lambda run: SimpleNamespace(display=shown.append))
    if expected:
        display.show(copy_run)
        assert "WASI calls in" in shown[0]["text/html"]
    else:
        with pytest.raises(NotImplementedError):  # IPython takes the bundle then
            display.show(copy_run)


def test_a_report_computes_its_timeline_once(copy_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Any] = []
    monkeypatch.setattr(report, "scene", lambda run: computed.append(scene(run)) or computed[-1])
    page = report.mimebundle(copy_run)["text/html"]
    assert len(computed) == 1
    assert "lane-track" in page
    assert "data:image/png" in page


class AskedRun(FakeRun):
    """Counts how often its refusals are computed."""

    asked: ClassVar[list[str]] = []

    @property
    def denied(self) -> Any:
        self.asked.append(self.name)
        return super().denied


def test_a_report_finds_the_refusals_of_an_ended_run_once(copy_run: Any) -> None:
    ended, other = (AskedRun(copy_run.trace, copy_run.outcome, name=name) for name in ("ended", "other"))
    shown = report.mimebundle(ended)["text/html"]
    assert AskedRun.asked == ["ended"]
    assert "passwd" in shown
    report.text(other)
    assert AskedRun.asked == ["ended", "other"], "another run with the same trace may have other grants"
    running = replace(ended, running=True)
    AskedRun.asked.clear()
    refusals(running)
    refusals(running)
    assert len(AskedRun.asked) == 2


def test_a_remedy_with_blanks_says_what_goes_there(copy_run: Any) -> None:
    denial = copy_run.denied[0]
    blank, whole = (replace(denial, need=need) for need in (Need(NeedKind.DIRECTORY), Need(NeedKind.WRITE, "/data")))
    for form in (report.text, report.body):
        incomplete = form(replace(copy_run, refused=Refusals([blank])))
        assert "HOST is the folder to give, GUEST where the program looks" in incomplete
        assert "is the folder to give" not in form(replace(copy_run, refused=Refusals([whole])))


def test_what_the_programs_library_refused_is_in_every_report_whatever_the_status(new_book: Any) -> None:
    book = new_book()
    book.call("fd_write", 2, 64, 1, 80, fd=2, result=3)
    words = b"/etc/passwd: Capabilities insufficient\n"
    for status in (0, 1):
        run = run_of(book, outcome=Outcome("exit", status, seconds=1e-3), stderr_bytes=words)
        forms = (report.text(run), report.page(run), report.plain(run, b""), display.timeline(run)._head)
        for form in forms:
            assert "own library refused" in form
            assert "--dir HOST::/etc" in form
        assert "no call was refused" in forms[0]
    fine = run_of(book, outcome=Outcome("exit", 0, seconds=1e-3), stderr_bytes=b"wrote '/etc/x'\n")
    assert "library" not in report.text(fine)
