"""A user's note on a call appears in every view and every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab.trace.formats.suffixes import WRITABLE
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.views.timeline.figure import figure as timeline

from .building import Lines, copying

NOTE = "here <it> leaks"
SHOWN = ("here <it> leaks", "here &lt;it&gt; leaks")


def noted() -> Trace:
    trace = copying(granted=False, module="m.wasm").trace()
    trace.store.meta["source"] = "int main() {}\n"
    trace.note(0, NOTE)
    return trace


VIEWS = {
    "text": lambda t: t.text(),
    "text -c": lambda t: t.text(count=True),
    "one call": lambda t: repr(t[0]) + str(t[0].notes),
    "notebook": lambda t: t._repr_html_(),
    "summary": lambda t: str(t.summary()),
    "summary in a notebook": lambda t: t.summary()._repr_html_(),
    "descriptors": lambda t: str(t.fds()),
    "descriptors in a notebook": lambda t: t.fds()._repr_html_(),
    "refusals": lambda t: str(t.denied),
    "refusals in a notebook": lambda t: t.denied._repr_html_(),
    "lines": lambda t: str(t.by_line()),
    "lines in a notebook": lambda t: t.by_line()._repr_html_(),
    "source": lambda t: str(t.annotate()),
    "source in a notebook": lambda t: t.annotate()._repr_html_(),
    "difference": lambda t: str(t.diff(copying().trace())),
    "difference, other side": lambda t: str(copying().trace().diff(t)),
    "difference in a notebook": lambda t: t.diff(copying().trace())._repr_html_(),
    "sql": lambda t: str(t.sql("select note from calls where note is not null")),
    "sql text": lambda t: str(t.sql("select text from calls where seq = 0")),
    "pandas": lambda t: t.to_pandas().to_string(),
    "arrow": lambda t: str(t.to_arrow()["note"].to_pylist()),
    "filter": lambda t: t.filter("noted").text(),
    "picture": lambda t: str([text.get_text() for text in timeline(t).axes[0].texts]),
}  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_a_note_is_shown_in_every_view(view: str) -> None:
    shown = VIEWS[view](noted())
    assert any(text in shown for text in SHOWN)
    assert "<it>" not in shown or "in a notebook" not in view


@pytest.mark.parametrize("suffix", [each for each in WRITABLE if each not in (".speedscope", ".folded")])
def test_a_note_is_in_every_file_of_single_calls(suffix: str, tmp_path: Path) -> None:
    path = noted().save(tmp_path / f"t{suffix}")
    if suffix == ".wtrace":
        assert NOTE in Trace.load(path).text()
    else:
        assert NOTE.encode() in path.read_bytes()


def test_a_note_appears_under_the_line_that_made_the_call() -> None:
    recorder = Recorder(stacks=True, meta={"source": "int main() {\n  yield();\n}\n", "source_name": "prog.c"})
    recorder.resolver = Lines({16: ("prog.c", 2)})
    number = recorder.intern_stack([("main", 16)])
    for i in range(2):
        recorder.record(recorder.origin_ns + i, 1, 0, 0, None, None, 40, 0, 0, 0, 0, 0, 0, 0, stack=number * (1 - i))
    trace = Trace.from_recorder(recorder)
    trace.note(0, "first")
    trace.note(0, "span", until=1)
    trace.note(1, "of no line")
    lines = str(trace.annotate()).splitlines()
    assert lines[2].endswith("2    yield();")
    assert [line.split("^ ")[-1] for line in lines[3:5]] == ["call 0: first", "calls 0 to 1: span"]
    assert lines[-1] == "note on call 1: of no line"
