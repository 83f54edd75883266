"""The panel without a browser: what its controls do to the grants, to the next run and to the running run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, run
from wasilab.engine.isolate.sandbox import LAYERS
from wasilab.grants.live.ask import Answer
from wasilab.grants.value import GrantError
from wasilab.panels.panel import Panel
from wasilab.panels.table import static_html

from ..grants.guests import READ, SCRATCH, WRITE, Guest, fd
from .conftest import EVIL
from .panels import READER, going, until


def test_switching_a_grant_changes_the_next_run(shown: Callable[..., Panel]) -> None:
    it = shown(READER.module(), Grants(dirs={"/d": MemDir({"a.txt": "x"})}))
    it.button_run.click()
    assert "Ended well" in it.verdict.value
    assert "hello" in it.output.value
    assert "2 calls" in it.cell("/d", "used")
    it.controls("/d").box.value = False
    assert it.grants.dirs == {}
    assert list(it.model.shelf) == ["/d"]
    it.button_run.click()
    assert "exit status 8" in it.verdict.value
    it.controls("/d").box.value = True
    it.button_run.click()
    assert "Ended well" in it.verdict.value


def test_the_rights_of_a_directory_are_shown_without_a_kernel(folder: Path) -> None:
    grants = Grants(dirs={"data": HostDir("data", "rw")}, withheld={"data": ["path_create_directory"]})
    html = static_html(READER.module(), grants, None)
    assert "27 of 28 rights" in html
    assert "without path_create_directory" in html
    assert "path_create_directory" in html
    assert "linear memory 1g" in html


def test_a_refusal_by_the_programs_own_library_is_shown(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().write("out: Capabilities insufficient", fd(2)).open("missing")
    it = shown(guest.module(), Grants(dirs={"data": HostDir("data")}))
    it.button_run.click()
    assert "no call was refused" in it.verdict.value
    (box,) = it.refusals.children
    assert "no granted directory (data) holds it" in box.children[0].value
    assert "?" in box.children[0].value, "only its words are known"
    it.model.put(Grants())
    it.button_run.click()
    assert "own library" not in "".join(box.children[0].value for box in it.refusals.children)


def test_grant_only_what_was_used_and_undo(shown: Callable[..., Panel]) -> None:
    before = Grants(dirs={"/d": MemDir({"a.txt": "x"}), "/unused": MemDir()}, env={"A": "b"})
    it = shown(READER.module(), before)
    it.button_used.click()
    assert "run the program to its end first" in it.said.value
    it.button_run.click()
    it.button_used.click()
    assert list(it.grants.dirs) == ["/d"]
    assert (it.grants.env, it.grants.stderr, it.grants.random.spec) == ({}, False, "none")
    it.button_run.click()
    assert "Ended well" in it.verdict.value
    it.button_undo.click()
    assert it.grants == before
    assert it.button_undo.disabled


def test_grant_only_what_was_used_keeps_the_streams_of_a_program_that_failed(shown: Callable[..., Panel]) -> None:
    it = shown(Guest().open("missing").module(), Grants(dirs={"/d": MemDir()}, env={"A": "b"}))
    it.button_run.click()
    it.button_used.click()
    assert (it.grants.stdin, it.grants.stdout, it.grants.stderr, it.grants.env) == (b"", True, True, {})
    assert "later is not known" in it.said.value


def test_writing_where_python_imports_from_is_warned_of_and_not_run(
    shown: Callable[..., Panel], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # as a kernel has it
    it = shown(READER.module(), Grants(dirs={"here": HostDir("."), "data": HostDir("data")}))
    assert "wasilab-warning" not in it.cell("here", "warning")
    it.controls("here").mode.value = "rw"
    it.controls("data").mode.value = "rw"
    assert it.grants.dirs["here"] == HostDir(".", mode="rw")
    assert "leave code for it to run" in it.cell("here", "warning")
    assert "wasilab-warning" not in it.cell("data", "warning")
    it.button_run.click()
    assert "is not granted as rw" in it.said.value
    assert it.run is None
    it.writable_code.value = True
    it.button_run.click()
    assert it.run is not None
    it.controls("here").mode.value = "copy"
    assert "wasilab-warning" not in it.cell("here", "warning")


def test_a_refusal_is_granted_by_a_click(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().open("new", rights=READ | WRITE, oflags=1)
    guest.call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")
    it = shown(guest.module(), Grants(dirs={"data": HostDir("data")}, random=Random.nothing()))
    it.button_run.click()
    (first,) = it.refusals.children
    assert "read-only" in first.children[0].value
    first.children[1].click()
    assert it.grants.dirs == {"data": HostDir("data", mode="rw")}
    it.button_run.click()
    (second,) = it.refusals.children
    assert "--random real" in second.children[0].value
    second.children[1].click()
    it.button_run.click()
    assert it.refusals.children == ()
    assert "Ended well" in it.verdict.value


def test_every_control_makes_the_grants_of_its_label(shown: Callable[..., Panel]) -> None:
    it = shown()
    rows = ("argv", "env", "clocks", "random", "stdin", "stdout", "stderr", "sockets")
    groups = {row: it.controls(row) for row in rows}
    groups["argv"].box.value = False
    groups["env"].new.value = "NAME=a=b"
    groups["clocks"].kind.value = "coarse"
    groups["clocks"].number.value = "500"
    groups["random"].kind.value = "seeded"
    groups["random"].number.value = "7"
    groups["stdin"].kind.value = "text"
    groups["stdin"].text.value = "typed"
    groups["stderr"].box.value = False
    groups["sockets"].new.value = "127.0.0.1:0"
    it.limits.fields["seconds"].value = "2.5"
    it.limits.fields["memory"].value = "64m"
    it.limits.fields["bytes_written"].value = "none"
    it.rights.value = "compat"
    it.ask.value = True
    from wasilab import listen

    assert it.grants == Grants(
        args=False,
        env={"NAME": "a=b"},
        clocks=Clocks.coarse(500),
        random=Random.seeded(7),
        stdin=b"typed",
        stderr=False,
        sockets=(listen("127.0.0.1:0"),),
        limits=Limits(seconds=2.5, memory=64 << 20, bytes_written=None),
        rights="compat",
        ask=True,
    )
    assert it.said.value == ""
    groups["env"].children[1].click()
    groups["sockets"].children[1].click()
    assert (it.grants.env, it.grants.sockets) == ({}, ())
    for _ in range(30):
        it.button_undo.click()
    assert it.grants == Grants()
    assert groups["clocks"].kind.value == "real"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("memory", "lots", "is not a size"),
        ("seconds", "-1", "is not a number of seconds"),
        ("fds", "0", "is not a whole number of at least 1"),
    ],
)
def test_a_wrong_limit_is_reported_and_reset(shown: Callable[..., Panel], name: str, text: str, says: str) -> None:
    it = shown()
    before = it.limits.fields[name].value
    it.limits.fields[name].value = text
    assert says in it.said.value
    assert it.limits.fields[name].value == before
    assert it.grants == Grants()


ISOLATED = pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"))


@pytest.mark.parametrize("isolate", [False, ISOLATED])
def test_a_question_is_answered_by_a_button(shown: Callable[..., Panel], folder: Path, isolate: bool) -> None:
    it = shown(Guest().open("data/a.txt").read().module(), Grants(ask=True), isolate=isolate)
    it.button_detached.click()
    until(lambda: it.question.children)
    (box,) = it.question.children
    text, bar = box.children
    assert f"guest wants to read &#x27;{folder}/data/a.txt&#x27;" in text.value
    assert [button.description for button in bar.children] == [a.value.capitalize() for a in Answer]
    bar.children[1].click()
    until(lambda: not going(it).running)
    until(lambda: "Ended well" in it.verdict.value)
    assert it.question.children == ()
    assert [asked.answer for asked in going(it).asked] == [Answer.RUN]
    assert going(it).isolate is isolate


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
def test_the_panel_of_an_isolated_run_runs_it_isolated(shown: Callable[..., Panel]) -> None:
    first = run(READER.module(), (), Grants(dirs={"/d": MemDir({"a.txt": "x"})}), isolate=True)
    it = shown(first)
    it.button_run.click()
    assert "Ended well" in it.verdict.value
    assert it.run is not first
    assert going(it).isolate is True
    layers = going(it).layers
    assert layers, "some layers are always there"
    said = "All 8 layers of the sandbox were active" if len(layers) == len(LAYERS) else "lacks some layers"
    assert said in it.title.value
    for name, meaning in LAYERS.items():
        assert (f"{name} ({meaning})" in it.title.value) is (name not in layers)


LABELLED = [(False, "not isolated"), (True, "isolated"), ("strict", "isolated, strict")]


@pytest.mark.parametrize(("isolate", "label"), LABELLED)
def test_the_panel_says_whether_its_runs_are_isolated(shown: Callable[..., Panel], isolate: Any, label: str) -> None:
    it = shown(READER.module(), isolate=isolate)
    described, text, tip = re.findall(
        r'aria-describedby="([^"]+)" [^>]*>([^<]+)</button><span role="tooltip" id="([^"]+)">', it.title.value
    )[0]
    assert (described, text) == (tip, label), "a screen reader reads the explanation of the label"
    assert ("this notebook's own process" in it.title.value) is (isolate is False)
    assert ("only if this machine has all layers" in it.title.value) is (isolate == "strict")
    static = static_html(it.model.module, it.grants, it.run, it.model.isolate)
    assert f"<b>guest</b>, {label}" in static
    assert ("a process of their own, which" in static) is bool(isolate)
    assert "tooltip" not in shown().title.value, "without a program there are no runs"


def test_a_run_that_was_not_isolated_is_not_called_isolated(shown: Callable[..., Panel]) -> None:
    first = run(READER.module(), (), Grants(dirs={"/d": MemDir({"a.txt": "x"})}))
    assert first.layers is None
    assert "The run shown here was not isolated." in shown(first, isolate=True).title.value
    assert "The run shown here" not in shown(first).title.value


def test_input_is_typed_into_a_running_run(shown: Callable[..., Panel]) -> None:
    it = shown(Guest().read(fd(0)).write("got it", fd(1)).module(), Grants(stdin="ask"))
    it.button_detached.click()
    assert it.line.layout.display == ""
    it.line.children[0].value = "a line"
    until(lambda: not going(it).running)
    assert going(it).stdout == "got it"


def test_the_policy_file_reads_back(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(READER.module(), Grants(dirs={"data": HostDir("data")}, stderr=False))
    it.file.value = "lab.toml"
    it.policy.children[0].click()
    assert "--policy lab.toml" in it.saved.value
    assert Grants.load("lab.toml") == it.grants
    it.file.value = "no/such/folder/x.toml"
    it.policy.children[0].click()
    assert "cannot write the policy file &#x27;no/such/folder/x.toml&#x27;: No such file" in it.saved.value
    it.file.value = "data"
    it.policy.children[0].click()
    assert "that is a folder: name a file in it" in it.saved.value


def test_a_reader_without_a_kernel_sees_a_table(shown: Callable[..., Panel]) -> None:
    it = shown(READER.module(), Grants(dirs={"/d": MemDir({"a.txt": "x"})}))
    it.button_run.click()
    bundle = it._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    html = data["text/html"]
    for word in ("<table>", "path_open", "/d", "2 calls", "asked for", "granted", "refused"):
        assert word in html


def test_hostile_text_stays_text(shown: Callable[..., Panel]) -> None:
    module = READER.module(name=EVIL)
    grants = Grants(dirs={EVIL: MemDir()}, env={"X": EVIL})
    it = shown(module, grants, args=[EVIL])
    it.button_run.click()
    seen = [static_html(module, grants, it.run), it.title.value, it.verdict.value, it.output.value]
    seen += [html.value for html in it.controls("env").children[:1]]
    seen += [child.value for row in it.rows.children for child in row.children if hasattr(child, "value")]
    for html in seen:
        assert "<script" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html


def test_the_panel_of_a_run_begins_with_what_it_was_given(shown: Callable[..., Panel]) -> None:
    grants = Grants(dirs={"/d": MemDir({"a.txt": "x"})}, stderr=False)
    it = shown(run(READER.module(), ["x"], grants))
    assert it.grants == grants
    assert it.model.args == ("x",)
    assert "Ended well" in it.verdict.value
    with pytest.raises(GrantError, match="no program"):
        shown().model.start(detach=False)


@pytest.mark.parametrize("text", ["=x", "NAME", " =x", "80", "example.org:80"])
def test_what_is_typed_wrong_stays_to_be_put_right(shown: Callable[..., Panel], text: str) -> None:
    it = shown()
    name = "sockets" if "80" in text else "env"
    field = it.controls(name).new
    field.value = text
    assert it.said.value
    assert field.value == text
    assert it.grants == Grants()
    field.value = "127.0.0.1:0" if name == "sockets" else "LANG=C"
    assert (field.value, it.said.value) == ("", "")
    assert it.grants != Grants()


def test_the_column_refused_holds_the_reasons(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().write("x", fd(1)).open("new", rights=READ | WRITE, oflags=1)
    it = shown(guest.module(), Grants(dirs={"data": HostDir("data")}))
    it.button_run.click()
    assert 'title="path_open: ' in it.cell("data", "refused")
    assert "granted read-only" in it.cell("data", "refused")
    html = static_html(it.model.module, it.grants, it.run)
    assert "granted read-only" in html.split("<th scope=row>directories</th>")[1], "a reader without a kernel reads why"
    it.model.edit(stdout=False)
    it.button_run.click()
    assert "✖ 1" in it.cell("stdout", "refused")
    assert "stdout is not granted" in it.cell("stdout", "refused")


def test_a_refusal_names_the_line(shown: Callable[..., Panel], folder: Path) -> None:
    from wasilab import compile

    module = compile('#include <stdio.h>\nint main(void) {\n  return !fopen("data/new", "w");\n}\n', "c", name="writer")
    it = shown(module, Grants(dirs={"data": HostDir("data")}))
    it.button_run.click()
    (box,) = it.refusals.children
    assert "at writer.c:3<" in box.children[0].value


def test_directories_that_were_asked_for_stand_in_the_table_though_none_is_granted(folder: Path) -> None:
    from wasilab import run

    before = static_html(READER.module(), Grants(), None)
    assert "<th scope=row>directories</th>" in before
    assert "path_open" in before.split("<th scope=row>directories</th>")[1]
    assert "<th scope=row>sockets</th>" not in before, "it asks for none"
    searching = Guest().call("fd_prestat_get", f"(i32.const 3) (i32.const {SCRATCH})")
    ran = run(searching.module(), (), Grants())
    after = static_html(ran.module, Grants(), ran).split("<th scope=row>directories</th>")[1]
    assert "✖ 1" in after
    assert "looked for granted directories and found none" in after


def test_arguments_are_typed_and_output_keeps_its_order(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().write("one\n", fd(1)).write("two\n", fd(2)).write("three\n", fd(1))
    it = shown(guest.module(), Grants())
    it.controls("argv").words.value = "--fast 'a b'"
    it.button_run.click()
    assert going(it).args == ("--fast", "a b")
    assert [(stream, data) for stream, data in going(it).output] == [
        ("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")
    ]  # fmt: skip
    shown_output = it.output.value
    assert shown_output.index("one") < shown_output.index("two") < shown_output.index("three")
    it.controls("argv").words.value = "'open"
    assert "cannot be split into words" in it.said.value
    assert it.controls("argv").words.value == "--fast 'a b'"
