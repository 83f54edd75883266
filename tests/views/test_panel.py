"""The panel without a browser: what its controls do to the grants, to the next run and to the run that goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, run
from wasilab.grants.ask import Answer
from wasilab.grants.grants import GrantError
from wasilab.views.panel import Panel
from wasilab.views.panel_chooser import Chooser, guest_name, name_for
from wasilab.views.panel_table import static_html

from ..grants.guests import READ, SCRATCH, WRITE, Guest, fd
from .conftest import EVIL
from .panels import READER, choose, going, until


def test_switching_a_grant_changes_the_next_run(shown: Callable[..., Panel]) -> None:
    it = shown(READER.module(), Grants(dirs={"/d": MemDir({"a.txt": "x"})}))
    it.button_run.click()
    assert "Ended well" in it.verdict.value
    assert "hello" in it.output.value
    assert "2 calls" in it._used["/d"].value
    it._groups["/d"].box.value = False
    assert it.grants.dirs == {}
    assert list(it.model.shelf) == ["/d"]
    it.button_run.click()
    assert "exit status 8" in it.verdict.value
    it._groups["/d"].box.value = True
    it.button_run.click()
    assert "Ended well" in it.verdict.value


def test_the_rights_of_a_directory_are_shown_without_a_kernel(folder: Path) -> None:
    grants = Grants(dirs={"data": HostDir("data", "rw")}, withheld={"data": ["path_create_directory"]})
    html = static_html(READER.module(), grants, None)
    assert "27 of 28 rights" in html
    assert "without path_create_directory" in html
    assert "path_create_directory" in html
    assert "1g of memory" in html


def test_a_refusal_by_the_programs_own_library_is_told(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().write("out: Capabilities insufficient", fd(2)).open("missing")
    it = shown(guest.module(), Grants(dirs={"data": HostDir("data")}))
    it.button_run.click()
    assert "no call was refused" in it.verdict.value
    (box,) = it.refusals.children
    assert "the granted directories (data)" in box.children[0].value
    assert "?" in box.children[0].value, "only its words are known"
    it.model.put(Grants())
    it.button_run.click()
    assert "own library" not in "".join(box.children[0].value for box in it.refusals.children)


def test_a_path_that_the_library_refused_leads_to_its_folder(shown: Callable[..., Panel], folder: Path) -> None:
    (folder / "other").mkdir()
    guest = Guest().write("/input/a.txt: Capabilities insufficient", fd(2)).read(fd(9))
    it = shown(guest.module(), Grants(dirs={"other": HostDir("other")}))
    it.button_run.click()
    (box,) = it.refusals.children
    assert "✖" in box.children[0].value
    assert "--dir HOST::/input" in box.children[0].value
    assert "✖ 1" in it._refused["+"].value
    box.children[1].click()
    (chooser,) = it.chooser.children
    assert "the program looked for" in chooser.children[0].value
    assert "/input/a.txt" in chooser.children[0].value
    assert chooser.guest.value == ".", "this folder does not hold it"
    chooser.list.chosen = chooser.names.index("data")
    assert chooser.guest.value == "/input", "this one does, under that name"
    chooser.grant.click()
    assert it.grants.dirs["/input"] == HostDir("data")


@pytest.mark.parametrize(
    ("looked_for", "place", "name"),
    [
        ("/data/a.txt", ".", "/"), ("data/a.txt", ".", "."), ("/data/a.txt", "data", "/data"), ("x/a.txt", "data", "x"),
        ("/x/none", "data", ""), ("../a.txt", "data", ""), ("", "data", ""), ("/", "data", ""), ("a\0b", "data", ""),
    ],
)  # fmt: skip
def test_the_name_under_which_a_folder_holds_what_is_wanted(
    folder: Path, looked_for: str, place: str, name: str
) -> None:
    assert name_for(str(folder / place), looked_for) == name


def test_grant_only_what_was_used_and_undo(shown: Callable[..., Panel]) -> None:
    before = Grants(dirs={"/d": MemDir({"a.txt": "x"}), "/unused": MemDir()}, env={"A": "b"})
    it = shown(READER.module(), before)
    it.button_used.click()
    assert "run the program first" in it.said.value
    it.button_run.click()
    it.button_used.click()
    assert list(it.grants.dirs) == ["/d"]
    assert (it.grants.env, it.grants.stderr, it.grants.random.spec) == ({}, False, "none")
    it.button_run.click()
    assert "Ended well" in it.verdict.value
    it.button_undo.click()
    assert it.grants == before
    assert it.button_undo.disabled


def test_choosing_a_folder_grants_it(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(READER.module())
    chooser = choose(it)
    assert (chooser.guest.value, chooser.target) == (".", str(folder))
    assert chooser.list.entries == [["data", ""]]
    assert chooser.list.summary == "1 folder and 1 file here"
    chooser.list.chosen = 0
    assert chooser.path.value == str(folder / "data")
    assert chooser.guest.value == "data"
    assert chooser.grant.description == "Grant data"
    assert it.grants.dirs == {}, "nothing is granted by looking"
    chooser.grant.click()
    assert it.grants.dirs == {"data": HostDir("data")}
    assert it.chooser.children == ()
    it.button_run.click()
    assert "Ended well" in it.verdict.value


@pytest.mark.parametrize("name", ["missing", "file", "closed", "data/nul\0"])
def test_a_folder_that_cannot_be_granted_is_said_and_nothing_is_granted(
    shown: Callable[..., Panel], folder: Path, name: str
) -> None:
    if name == "closed":
        (folder / "closed").mkdir(mode=0)
        if os.access(folder / "closed", os.R_OK):
            (folder / "closed").rmdir()  # root may read anything: then it is only missing
    it = shown(READER.module())
    chooser = choose(it)
    with_it = [*chooser.list.entries]
    chooser.path.value = name
    assert name.split("/")[-1].strip("\0") in chooser.said.value
    assert list(chooser.list.entries) == with_it
    chooser.grant.click()
    assert "nothing is granted" in chooser.said.value
    assert it.grants.dirs == {}
    assert it.chooser.children == (chooser,)
    assert not it.model.can_undo


def test_a_link_is_shown_with_the_place_that_it_leads_to(shown: Callable[..., Panel], folder: Path) -> None:
    (folder / "link").symlink_to("data")
    it = shown(READER.module(), Grants(dirs={"link": HostDir("link"), "data": HostDir("data")}))
    assert f"link → {folder / 'data'}" in it._groups["link"].where.value
    assert "→" not in it._groups["data"].where.value


def test_a_guest_path_is_given_once(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(READER.module(), Grants(dirs={"data": MemDir()}))
    chooser = choose(it)
    chooser.list.chosen = 0
    chooser.grant.click()
    assert "granted at" in chooser.said.value
    assert isinstance(it.grants.dirs["data"], MemDir)
    chooser.guest.value = "/other"
    chooser.memory.click()
    assert list(it.grants.dirs) == ["data", "/other"]


def tell(chooser: Chooser, message: Any) -> None:
    """What the page sends."""
    chooser.list._handle_custom_msg(message, [])


def test_the_chooser_walks_up_and_down(shown: Callable[..., Panel], folder: Path) -> None:
    (folder / "data" / "inner").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "\x1b[31mred\u202e").mkdir()
    chooser = choose(shown(READER.module()))
    names = [name for name, _ in chooser.list.entries]
    assert names[-1] == ".hidden", "hidden ones last"
    assert "\x1b" not in "".join(names)
    assert "\u202e" not in "".join(names)
    tell(chooser, {"open": names.index("data")})
    assert (chooser.place, chooser.names) == (str(folder / "data"), ["inner"])
    assert chooser.list.crumbs[-2:] == [folder.name, "data"]
    tell(chooser, {"up": True})
    assert chooser.place == str(folder)
    tell(chooser, {"crumb": 0})
    assert (chooser.place, chooser.list.crumbs) == ("/", ["/"])
    tell(chooser, {"up": True})
    assert chooser.place == "/"
    before = (chooser.place, chooser.names)
    for nonsense in ({"open": 10**6}, {"open": -1}, {"crumb": 7}, {"open": "data"}, {}, "open", None):
        tell(chooser, nonsense)
    assert (chooser.place, chooser.names) == before
    chooser.list.chosen = 10**6
    assert chooser.target == "/"


def test_a_wrong_path_is_put_right(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(READER.module())
    chooser = choose(it)
    chooser.path.value = "file"
    assert "is a file: choose the folder that holds it" in chooser.said.value
    chooser.guest.value = "/data"
    chooser.grant.click()
    assert it.grants.dirs == {}
    chooser.path.value = "data"
    assert chooser.said.value == ""
    chooser.grant.click()
    assert it.grants.dirs == {"/data": HostDir("data")}


def test_a_link_and_a_closed_folder_are_remarked_in_the_list(shown: Callable[..., Panel], folder: Path) -> None:
    (folder / "link").symlink_to("/")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "closed").mkdir(mode=0)
    chooser = choose(shown(READER.module()))
    remarks = dict(chooser.list.entries)
    assert remarks["link"] == "→ /"
    assert "dangling" not in remarks
    assert remarks["closed"] == ("" if os.access(folder / "closed", os.R_OK) else "you may not look into it")
    (folder / "closed").rmdir()


def test_names_that_programs_use(folder: Path) -> None:
    names = {path: guest_name(str(folder / path)) for path in (".", "data", "..")}
    assert names == {".": ".", "data": "data", "..": f"/{folder.parent.name}"}
    assert guest_name(str(folder / "env")) == "./env", "env is what the environment is called"


def test_writing_where_python_imports_from_is_warned_of(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(READER.module(), Grants(dirs={"here": HostDir("."), "data": HostDir("data")}))
    assert "wasilab-warning" not in it._warnings["here"].value
    it._groups["here"].mode.value = "rw"
    it._groups["data"].mode.value = "rw"
    assert it.grants.dirs["here"] == HostDir(".", mode="rw")
    assert "leave code for the kernel to run" in it._warnings["here"].value
    assert "wasilab-warning" not in it._warnings["data"].value
    it._groups["here"].mode.value = "copy"
    assert "wasilab-warning" not in it._warnings["here"].value


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


def test_every_control_makes_the_grants_that_it_says(shown: Callable[..., Panel]) -> None:
    it = shown()
    groups = it._groups
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
    [("memory", "lots", "is not a size"), ("seconds", "-1", "is not a number of seconds"), ("fds", "0", "Limits.fds")],
)
def test_a_wrong_limit_is_said_and_put_back(shown: Callable[..., Panel], name: str, text: str, says: str) -> None:
    it = shown()
    before = it.limits.fields[name].value
    it.limits.fields[name].value = text
    assert says in it.said.value
    assert it.limits.fields[name].value == before
    assert it.grants == Grants()


def test_a_question_is_answered_by_a_button(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(Guest().open("data/a.txt").read().module(), Grants(ask=True))
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


def test_input_is_typed_into_a_run_that_goes_on(shown: Callable[..., Panel]) -> None:
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
    assert "--policy lab.toml" in it.said.value
    assert Grants.load("lab.toml") == it.grants
    it.file.value = "no/such/folder/x.toml"
    it.policy.children[0].click()
    assert "No such file" in it.said.value


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
    seen += [html.value for html in it._groups["env"].children[:1]]
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
