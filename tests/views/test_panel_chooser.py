"""The powerbox: what is looked through, what is granted, and what is said of a folder that cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, MemDir
from wasilab.panels.chooser import Chooser, guest_name, name_for
from wasilab.panels.panel import Panel

from ..grants.guests import Guest, fd
from .panels import READER, choose


def test_a_path_that_the_library_refused_leads_to_its_folder(shown: Callable[..., Panel], folder: Path) -> None:
    (folder / "other").mkdir()
    guest = Guest().write("/input/a.txt: Capabilities insufficient", fd(2)).read(fd(9))
    it = shown(guest.module(), Grants(dirs={"other": HostDir("other")}))
    it.button_run.click()
    (box,) = it.refusals.children
    assert "✖" in box.children[0].value
    assert "--dir HOST::/input" in box.children[0].value
    assert "✖ 1" in it.cell("+", "refused")
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
def test_the_guest_path_under_which_a_folder_has_what_is_wanted(
    folder: Path, looked_for: str, place: str, name: str
) -> None:
    assert name_for(str(folder / place), looked_for) == name


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
    assert f"link → {folder / 'data'}" in it.controls("link").where.value
    assert "→" not in it.controls("data").where.value


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
